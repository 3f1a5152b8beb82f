//! What a legacy template consists of, before anything in it is evaluated.

use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::json::parse::{Kind, Member, Node};
use crate::template::source_map::Span;

/// A legacy template as written.
#[derive(Debug)]
pub(in crate::template::json) struct Outline {
    pub(in crate::template::json) description: String,
    pub(in crate::template::json) min_version: Option<(String, Span)>,
    pub(in crate::template::json) variables: Vec<Declared>,
    pub(in crate::template::json) builders: Vec<Component>,
    pub(in crate::template::json) provisioners: Vec<Component>,
    pub(in crate::template::json) error_cleanup: Option<Component>,
    pub(in crate::template::json) post_processors: Vec<Vec<Component>>,
    /// Its first character.
    pub(in crate::template::json) span: Span,
}

/// A variable.
#[derive(Debug)]
pub(in crate::template::json) struct Declared {
    pub(in crate::template::json) name: String,
    pub(in crate::template::json) name_span: Span,
    /// `None` if a value must be given.
    pub(in crate::template::json) default: Option<String>,
    pub(in crate::template::json) value_span: Span,
    pub(in crate::template::json) sensitive: bool,
}

/// A builder, provisioner or post-processor.
#[derive(Debug)]
pub(in crate::template::json) struct Component {
    pub(in crate::template::json) kind: String,
    /// Where it says which kind it is.
    pub(in crate::template::json) header: Span,
    pub(in crate::template::json) members: Vec<Member>,
}

impl Component {
    /// The member of this name.
    pub(in crate::template::json) fn get(&self, name: &str) -> Option<&Member> {
        get(&self.members, name)
    }
}

/// A member by its name; as in Packer, upper and lower case are the same if no name is exactly right.
fn get<'a>(members: &'a [Member], name: &str) -> Option<&'a Member> {
    let exact = members.iter().find(|member| member.name == name);
    exact.or_else(|| members.iter().find(|member| member.name.eq_ignore_ascii_case(name)))
}

const ROOT: &[&str] = &[
    "builders",
    "provisioners",
    "post-processors",
    "variables",
    "sensitive-variables",
    "error-cleanup-provisioner",
    "min_packer_version",
    "description",
    "push",
    "comments",
];

/// Reads the root of a template; what is wrong with its shape is reported.
pub(in crate::template::json) fn read(root: &Node, diagnostics: &mut Diagnostics) -> Outline {
    let mut reader = Reader { diagnostics };
    let mut outline = Outline {
        description: String::new(),
        min_version: None,
        variables: Vec::new(),
        builders: Vec::new(),
        provisioners: Vec::new(),
        error_cleanup: None,
        post_processors: Vec::new(),
        span: Span { end: root.span.start + 1, ..root.span },
    };
    let Some(members) = reader.object(root, "a template") else { return outline };
    let mut sensitive = Vec::new();
    for member in members {
        let value = &member.value;
        // What is null is not given.
        let given = value.kind != Kind::Null;
        match ROOT.iter().find(|name| member.name.eq_ignore_ascii_case(name)).copied() {
            None if member.name.starts_with('_') => {
                let _ = reader.string(value, &format!("the comment `{}`", member.name));
            }
            None => reader.unknown_root(member),
            Some(_) if !given => {}
            Some("description") => outline.description = reader.string(value, "`description`").unwrap_or_default(),
            Some("min_packer_version") => {
                outline.min_version = reader.string(value, "`min_packer_version`").map(|version| (version, value.span));
            }
            Some("variables") => outline.variables = reader.variables(value),
            Some("sensitive-variables") => sensitive = reader.names(value),
            Some("builders") => outline.builders = reader.components(value, "builder"),
            Some("provisioners") => outline.provisioners = reader.components(value, "provisioner"),
            Some("error-cleanup-provisioner") => {
                outline.error_cleanup = reader.component(value, "error-cleanup-provisioner");
            }
            Some("post-processors") => outline.post_processors = reader.chains(value),
            // `push` was for a service that is no more.
            Some("push") => {
                let _ = reader.object(value, "`push`");
            }
            Some(_) => {}
        }
    }
    for (name, span) in sensitive {
        match outline.variables.iter_mut().find(|variable| variable.name == name) {
            Some(variable) => variable.sensitive = true,
            None => diagnostics.push(
                Diagnostic::warning(format!("there is no variable `{name}` to keep secret"))
                    .at(span)
                    .hint("declare it in `variables`, or remove it here"),
            ),
        }
    }
    outline
}

struct Reader<'a> {
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn unknown_root(&mut self, member: &Member) {
        let hint = match did_you_mean(&member.name, ROOT.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a comment is named with an underscore: `_{}`", member.name),
        };
        self.diagnostics.push(
            Diagnostic::error(format!("unknown key `{}`", member.name))
                .at(member.name_span)
                .detail("a template has no such key at its root")
                .hint(hint),
        );
    }

    fn wrong(&mut self, node: &Node, what: &str, expected: &str) {
        self.diagnostics.push(
            Diagnostic::error(format!("{what} must be {expected}"))
                .at(node.span)
                .detail(format!("found {}", node.describe())),
        );
    }

    fn object<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Member]> {
        if let Kind::Object(members) = &node.kind {
            return Some(members);
        }
        self.wrong(node, what, "an object");
        None
    }

    fn array<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        if let Kind::Array(elements) = &node.kind {
            return elements;
        }
        self.wrong(node, what, "an array");
        &[]
    }

    fn string(&mut self, node: &Node, what: &str) -> Option<String> {
        if let Kind::String(text) = &node.kind {
            return Some(text.clone());
        }
        self.wrong(node, what, "a string");
        None
    }

    fn variables(&mut self, node: &Node) -> Vec<Declared> {
        let mut variables = Vec::new();
        for member in self.object(node, "`variables`").unwrap_or_default() {
            let default = member.value.scalar();
            if default.is_none() && member.value.kind != Kind::Null {
                self.wrong(&member.value, &format!("the variable `{}`", member.name), "a string");
                continue;
            }
            variables.push(Declared {
                name: member.name.clone(),
                name_span: member.name_span,
                default,
                value_span: member.value.span,
                sensitive: false,
            });
        }
        variables
    }

    fn names(&mut self, node: &Node) -> Vec<(String, Span)> {
        let elements = self.array(node, "`sensitive-variables`");
        elements
            .iter()
            .filter_map(|element| Some((self.string(element, "the name of a variable")?, element.span)))
            .collect()
    }

    fn components(&mut self, node: &Node, what: &str) -> Vec<Component> {
        self.array(node, &format!("`{what}s`")).iter().filter_map(|element| self.component(element, what)).collect()
    }

    fn component(&mut self, node: &Node, what: &str) -> Option<Component> {
        let article = if what.starts_with('e') { "an" } else { "a" };
        let members = self.object(node, &format!("{article} {what}"))?;
        let Some(kind) = get(members, "type").filter(|kind| kind.value.kind != Kind::Null) else {
            self.diagnostics.push(
                Diagnostic::error(format!("{article} {what} needs a `type`"))
                    .at(Span { end: node.span.start + 1, ..node.span })
                    .hint("add \"type\": \"…\""),
            );
            return None;
        };
        let header = kind.value.span;
        let kind = self.string(&kind.value, "`type`")?;
        Some(Component { kind, header, members: members.to_vec() })
    }

    fn chains(&mut self, node: &Node) -> Vec<Vec<Component>> {
        let mut chains = Vec::new();
        for element in self.array(node, "`post-processors`") {
            let members = match &element.kind {
                Kind::Array(members) => members.as_slice(),
                _ => std::slice::from_ref(element),
            };
            chains.push(members.iter().filter_map(|member| self.post_processor(member)).collect());
        }
        chains
    }

    fn post_processor(&mut self, node: &Node) -> Option<Component> {
        match &node.kind {
            Kind::String(kind) => Some(Component { kind: kind.clone(), header: node.span, members: Vec::new() }),
            Kind::Array(_) => {
                self.diagnostics.push(
                    Diagnostic::error("a chain of post-processors cannot hold another")
                        .at(Span { end: node.span.start + 1, ..node.span })
                        .hint("list them in one array, or make it a chain of its own"),
                );
                None
            }
            _ => self.component(node, "post-processor"),
        }
    }
}
