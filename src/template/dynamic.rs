//! `dynamic` blocks, each of which stands for as many blocks as there are elements in a collection.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::hcl::convert::convert;
use super::hcl::eval::Evaluator;
use super::hcl::eval::for_expr::pairs;
use super::hcl::scope::Scope;
use super::hcl::syntax::ast::{Attribute, Block, ExprKind, Name};
use super::hcl::value::{Kind, Type, Value};
use super::source_map::Span;

/// The elements that a block was made for, by the names of their iterators. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Iteration(Option<Arc<Element>>);

#[derive(Debug)]
struct Element {
    iterator: String,
    value: Value,
    around: Iteration,
}

impl Iteration {
    /// An iteration within this one.
    fn inner(&self, iterator: &str, value: Value) -> Self {
        Self(Some(Arc::new(Element { iterator: iterator.to_owned(), value, around: self.clone() })))
    }

    /// The iterators and what they stand for, the innermost of a name last.
    pub(crate) fn names(&self) -> Vec<(String, Value)> {
        let mut names = Vec::new();
        let mut next = &self.0;
        while let Some(element) = next {
            names.push((element.iterator.clone(), element.value.clone()));
            next = &element.around.0;
        }
        names.reverse();
        names
    }
}

/// Whether a block stands for others.
pub(crate) fn is_dynamic(block: &Block) -> bool {
    &*block.kind.text == "dynamic" && block.labels.len() == 1
}

/// The blocks that a `dynamic` block stands for, each with what it was made for. They take so many labels.
pub(crate) fn expand(
    evaluator: &Evaluator<'_>,
    block: &Block,
    labels: usize,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<(Block, Iteration)> {
    expand_within(evaluator, block, labels, scope, &Iteration::default(), diagnostics)
}

/// As [`expand`], of a block that was made for an element itself, which the scope knows.
pub(crate) fn expand_within(
    evaluator: &Evaluator<'_>,
    block: &Block,
    labels: usize,
    scope: &Scope<'_>,
    around: &Iteration,
    diagnostics: &mut Diagnostics,
) -> Vec<(Block, Iteration)> {
    let kind = &block.labels[0];
    let Some(parts) = parts(block, labels, diagnostics) else { return Vec::new() };
    let iterator = parts.iterator.unwrap_or(&kind.text);
    let collection = evaluator.eval(&parts.for_each.value, scope, diagnostics);
    let mut made = Vec::new();
    for (key, value) in elements(&collection, parts.for_each.value.span, diagnostics) {
        let sensitive = collection.is_sensitive();
        let each = [("key".to_owned(), key.mark(sensitive)), ("value".to_owned(), value.mark(sensitive))];
        let iteration = around.inner(iterator, Value::object(each.into()));
        let scope = scope.child(iteration.names());
        let Some(labels) = parts.labels(evaluator, labels, &scope, diagnostics) else { continue };
        let content = parts.content;
        let block = Block { kind: kind.clone(), labels, header: content.header, ..content.clone() };
        made.push((block, iteration));
    }
    made
}

struct Parts<'a> {
    for_each: &'a Attribute,
    iterator: Option<&'a str>,
    labels: Option<&'a Attribute>,
    content: &'a Block,
}

/// What is in a `dynamic` block; all that is wrong with it is reported.
fn parts<'a>(block: &'a Block, labels: usize, diagnostics: &mut Diagnostics) -> Option<Parts<'a>> {
    let name = &block.labels[0].text;
    let before = diagnostics.errors().count();
    for attribute in &block.body.attributes {
        if !matches!(&*attribute.name.text, "for_each" | "iterator" | "labels") {
            let error = Diagnostic::error(format!("a dynamic block has no option `{}`", attribute.name.text));
            let hint = "options of the blocks it stands for are set in `content { … }`";
            diagnostics.push(error.at(attribute.name.span).hint(hint));
        }
    }
    let given = block.body.attribute("labels");
    if let (None, 1..) = (given, labels) {
        let error = Diagnostic::error(format!("a dynamic `{name}` block needs `labels`")).at(block.header);
        diagnostics.push(error.hint("write labels = [\"type\"]"));
    }
    if let (Some(given), 0) = (given, labels) {
        diagnostics.push(Diagnostic::error(format!("`{name}` takes no labels here")).at(given.span));
    }
    let mut contents = block.body.blocks_of("content");
    let (for_each, content) = (block.body.attribute("for_each"), contents.next());
    if for_each.is_none() || content.is_none() {
        let error = Diagnostic::error("a dynamic block needs `for_each` and a `content` block").at(block.header);
        diagnostics.push(error.hint(format!("dynamic \"{name}\" {{ for_each = […] content {{ … }} }}")));
    }
    let others = block.body.blocks.iter().filter(|inner| &*inner.kind.text != "content");
    for other in contents.chain(others) {
        let error = Diagnostic::error("a dynamic block holds one `content` block and no other").at(other.header);
        diagnostics.push(error);
    }
    let iterator = block.body.attribute("iterator").and_then(|attribute| match &attribute.value.kind {
        ExprKind::Variable(name) => Some(&*name.text),
        ExprKind::Error => None,
        _ => {
            let error = Diagnostic::error("an iterator is a plain name").at(attribute.value.span);
            diagnostics.push(error.hint("write iterator = name"));
            None
        }
    });
    let parts = Parts { for_each: for_each?, iterator, labels: given, content: content? };
    (diagnostics.errors().count() == before).then_some(parts)
}

impl Parts<'_> {
    /// The labels of a block; none, and reported, if they cannot be known.
    fn labels(
        &self,
        evaluator: &Evaluator<'_>,
        count: usize,
        scope: &Scope<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Name>> {
        let Some(attribute) = self.labels else { return Some(Vec::new()) };
        let before = diagnostics.errors().count();
        let value = evaluator.eval(&attribute.value, scope, diagnostics);
        let span = attribute.value.span;
        let elements = value.elements().unwrap_or_default();
        let known = value.is_wholly_known();
        let name = |element: &Value| Some(Name { text: convert(element, &Type::String).ok()?.as_str()?.into(), span });
        let labels: Option<Vec<Name>> = elements.iter().map(name).collect();
        match labels {
            Some(labels) if known && labels.len() == count => Some(labels),
            _ if diagnostics.errors().count() > before => None,
            _ => {
                let detail = if known { "they must be a list of strings" } else { "they are not known yet" };
                let error = Diagnostic::error(format!("the block needs {count} labels")).at(span);
                diagnostics.push(error.detail(detail));
                None
            }
        }
    }
}

/// Keys and values of the elements. Of a collection that is not known yet there is one, of which nothing is known.
fn elements(collection: &Value, at: Span, diagnostics: &mut Diagnostics) -> Vec<(Value, Value)> {
    let (key, value) = match collection.kind() {
        Kind::Null(_) => {
            diagnostics.push(Diagnostic::error("`for_each` must not be null").at(at).hint("for no blocks, give []"));
            return Vec::new();
        }
        Kind::Unknown(Type::List(element)) => (Type::Number, (**element).clone()),
        Kind::Unknown(Type::Set(element)) => ((**element).clone(), (**element).clone()),
        Kind::Unknown(Type::Map(element)) => (Type::String, (**element).clone()),
        Kind::Unknown(Type::Dynamic | Type::Tuple(_) | Type::Object(_)) => (Type::Dynamic, Type::Dynamic),
        Kind::Object(entries) if entries.is_open() => (Type::String, Type::Dynamic),
        _ => return pairs(collection, at, diagnostics).unwrap_or_default(),
    };
    vec![(Value::unknown(key), Value::unknown(value))]
}
