//! Locals and data sources, which may use each other in any order.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Diagnostic, Loading, Span, Value};
use crate::template::data::DataBlock;
use crate::template::graph;
use crate::template::hcl::eval::uses::{uses, uses_of_body};
use crate::template::hcl::syntax::ast::{Expr, ExprKind, Name, Step};
use crate::template::hcl::value::Type;
use crate::template::local::Local;

/// What has a value that may use others.
#[derive(Clone, Copy)]
enum Node<'a> {
    Local(&'a str, &'a Local),
    Data(&'a DataBlock),
    /// All of one sort: what uses `local` or `data` as a whole uses all of them.
    All(&'static str),
}

impl Node<'_> {
    /// What expressions call it.
    fn reference(self) -> String {
        match self {
            Self::Local(name, _) => format!("local.{name}"),
            Self::Data(data) => data.reference(),
            Self::All(sort) => sort.to_owned(),
        }
    }

    fn span(self) -> Option<Span> {
        match self {
            Self::Local(_, local) => Some(local.span),
            Self::Data(data) => Some(data.block.header),
            Self::All(_) => None,
        }
    }
}

impl Loading<'_> {
    /// Evaluates all locals and data sources, each after those it uses, and sets `local` and `data`. What goes round in
    /// a circle is reported, and not known.
    pub(super) fn evaluate_values(&mut self, directory: &std::path::Path) -> BTreeMap<String, Value> {
        let (locals, data) = (std::mem::take(&mut self.locals), std::mem::take(&mut self.data));
        let nodes: Vec<Node<'_>> = locals
            .iter()
            .map(|(name, local)| Node::Local(name, local))
            .chain(data.iter().map(Node::Data))
            .chain([Node::All("local"), Node::All("data")])
            .collect();
        let used = used(&nodes);
        let unknown = || Value::unknown(Type::Dynamic);
        let mut values = BTreeMap::new();
        for data in &data {
            self.set_data(data, unknown());
        }
        for group in graph::groups(&used) {
            let path = graph::circle(&used, &group);
            if let Some(path) = &path {
                self.report_circle(&path.iter().map(|member| nodes[*member]).collect::<Vec<_>>());
            }
            for member in group {
                match nodes[member] {
                    Node::Local(name, _) if path.is_some() => drop(values.insert(name.to_owned(), unknown())),
                    Node::Local(name, local) => {
                        self.names.insert("local".to_owned(), Value::object(values));
                        let value = self.local_value(local);
                        values = self.names.remove("local").and_then(Value::into_entries).unwrap_or_default();
                        values.insert(name.to_owned(), value);
                    }
                    Node::Data(_) if path.is_some() => {}
                    Node::Data(data) => {
                        self.names.insert("local".to_owned(), Value::object(values));
                        let value = self.data_value(data, self.scope(directory));
                        values = self.names.remove("local").and_then(Value::into_entries).unwrap_or_default();
                        self.set_data(data, value);
                    }
                    Node::All(_) => {}
                }
            }
        }
        self.names.insert("local".to_owned(), Value::object(values.clone()));
        values
    }

    fn local_value(&mut self, local: &Local) -> Value {
        let value = self.evaluate(&local.expr).mark(local.sensitive);
        if local.sensitive {
            self.scope_secrets.add_sensitive(&value);
        } else {
            self.scope_secrets.add_computed(&value);
        }
        value
    }

    /// Sets what a data source gives. Nothing else holds `data` now, so that nothing of it is copied.
    fn set_data(&mut self, data: &DataBlock, value: Value) {
        let mut kinds = self.names.remove("data").and_then(Value::into_entries).unwrap_or_default();
        let mut values = kinds.remove(&data.kind).and_then(Value::into_entries).unwrap_or_default();
        values.insert(data.name.clone(), value);
        kinds.insert(data.kind.clone(), Value::object(values));
        self.names.insert("data".to_owned(), Value::object(kinds));
    }

    fn report_circle(&mut self, path: &[Node<'_>]) {
        let names: Vec<String> = path.iter().chain(path.first()).map(|node| node.reference()).collect();
        let is_data = |node: &Node<'_>| matches!(node, Node::Data(_) | Node::All("data"));
        let what = match (path.iter().all(is_data), path.iter().any(is_data)) {
            (true, _) => "data sources use",
            (false, true) => "locals and data sources use",
            (false, false) => "locals use",
        };
        let error = Diagnostic::error(format!("{what} each other in a circle")).detail(names.join(" -> "));
        let error = error.hint("give one of them a value that does not depend on the others");
        self.report(match path.iter().find_map(|node| node.span()) {
            Some(span) => error.at(span),
            None => error,
        });
    }
}

/// What each of them uses.
fn used(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    let index: BTreeMap<String, usize> = nodes.iter().enumerate().map(|(at, node)| (node.reference(), at)).collect();
    let all = |sort: &str| index.get(sort).copied();
    let mut used: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut own = Vec::new();
        let mut tell = |name: &Name, steps: &[Step]| {
            let sort = &*name.text;
            let wanted = if sort == "data" { 2 } else { 1 };
            if matches!(sort, "local" | "data") {
                match named(steps, wanted) {
                    // Of what is not declared is told when it is used.
                    Some(names) => own.extend(index.get(&format!("{sort}.{names}"))),
                    None => own.extend(all(sort)),
                }
            }
        };
        match node {
            Node::Local(_, local) => uses(&local.expr, &mut tell),
            Node::Data(data) => uses_of_body(&data.block.body, &mut tell),
            Node::All(_) => {}
        }
        own.sort_unstable();
        own.dedup();
        used.push(own);
    }
    for (at, node) in nodes.iter().enumerate() {
        let Node::All(sort) = node else { continue };
        let of_sort = |other: usize| match nodes[other] {
            Node::Local(..) => *sort == "local",
            Node::Data(_) => *sort == "data",
            Node::All(_) => false,
        };
        // One alone of the sort means all others by it.
        let users: Vec<usize> = (0..nodes.len()).filter(|user| of_sort(*user) && used[*user].contains(&at)).collect();
        let alone = (users.len() == 1).then(|| users[0]);
        used[at] = (0..nodes.len()).filter(|other| of_sort(*other) && Some(*other) != alone).collect();
    }
    used
}

/// The names that steps from an object begin with, if they can be told.
fn named(steps: &[Step], count: usize) -> Option<String> {
    let name = |step: &Step| match step {
        Step::Attribute(Name { text, .. }) => Some(Arc::clone(text)),
        Step::Index(Expr { kind: ExprKind::Template(template), .. }, _) => template.literal().map(Arc::from),
        _ => None,
    };
    let names: Option<Vec<Arc<str>>> = steps.iter().take(count).map(name).collect();
    names.filter(|names| names.len() == count).map(|names| names.join("."))
}
