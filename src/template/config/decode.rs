//! Decoding the body of a block into the struct of a component's options.

use std::collections::{BTreeMap, BTreeSet};

use super::{Config, Content, Entry, EvaluatedBody, FieldMode, FromConfig, Item, option_name};
use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::go::engine::{self, InterpolateContext};
use crate::template::hcl::value::Value;
use crate::template::schema::Traits;
use crate::template::secrets::Secrets;
use crate::template::source_map::Span;

/// What a list is called in a message.
pub(super) const A_LIST: &str = "a list";

/// A decoded configuration, with what is needed to report on it later.
#[derive(Clone, Debug)]
pub struct Decoded<T> {
    /// The options.
    pub config: T,
    /// Names of options that were given a value not known yet; they have their defaults in `config`. Options of
    /// nested blocks are named `block.option`.
    pub unknown: BTreeSet<String>,
    /// Where options that were given are set.
    pub spans: BTreeMap<String, Span>,
    /// Where the block's header is.
    pub header: Span,
}

impl<T> Decoded<T> {
    /// Whether the option was given a value that is not known yet, so that it cannot be checked.
    pub fn is_unknown(&self, option: &str) -> bool {
        self.unknown.contains(option)
    }

    /// Whether the option was given.
    pub fn is_set(&self, option: &str) -> bool {
        self.spans.contains_key(option)
    }

    /// Where the option is set; the block's header if it is not.
    pub fn span(&self, option: &str) -> Span {
        self.spans.get(option).copied().unwrap_or(self.header)
    }

    /// An error at the place the option is set, or at the block's header if it is not.
    pub fn error(&self, option: &str, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error(summary).at(self.span(option))
    }
}

/// What decoding needs besides the body.
#[derive(Clone, Copy, Debug)]
pub struct DecodeContext<'a> {
    /// What the body belongs to, such as `the shell provisioner`.
    pub owner: &'a str,
    /// What Go templates in strings can use.
    pub interpolate: &'a InterpolateContext,
    /// Gets the sensitive strings met.
    pub secrets: &'a Secrets,
}

impl DecodeContext<'_> {
    /// The kind and the sort of component the body belongs to, such as `shell` and `provisioner`.
    pub(super) fn component(&self) -> Option<(&str, &str)> {
        self.owner.strip_prefix("the ")?.rsplit_once(' ')
    }
}

/// Decodes a body. The configuration is of use only if the diagnostics hold no error.
pub fn decode<T: Config>(body: &EvaluatedBody, context: DecodeContext<'_>) -> (Decoded<T>, Diagnostics) {
    let mut decoder = Decoder {
        context,
        diagnostics: Diagnostics::default(),
        raw: false,
        weak: context.interpolate.is_legacy(),
        values: &[],
        path: Vec::new(),
        unknown: BTreeSet::new(),
        spans: BTreeMap::new(),
    };
    decoder.check(body, &T::schema());
    let config = T::decode_fields(body, &mut decoder);
    (Decoded { config, unknown: decoder.unknown, spans: decoder.spans, header: body.header }, decoder.diagnostics)
}

/// The state of decoding one body.
#[derive(Debug)]
pub struct Decoder<'a> {
    pub(super) context: DecodeContext<'a>,
    diagnostics: Diagnostics,
    pub(super) raw: bool,
    weak: bool,
    /// What the texts of the option may be, if not anything.
    values: &'static [&'static str],
    pub(super) path: Vec<String>,
    unknown: BTreeSet<String>,
    spans: BTreeMap<String, Span>,
}

impl Decoder<'_> {
    /// Decodes the option `name` of `body` into `slot`, which keeps its default if the option is not given.
    pub fn field<T: FromConfig>(
        &mut self,
        body: &EvaluatedBody,
        name: &'static str,
        traits: Traits,
        mode: FieldMode,
        slot: &mut T,
    ) {
        if mode == FieldMode::Flatten {
            if let Some(value) = T::from_flat(body, self) {
                *slot = value;
            }
            return;
        }
        let name = option_name(name);
        let given = body.get(name).filter(|(_, item)| !item.value().is_some_and(Value::is_null));
        let Some((name_span, mut item)) = given else {
            if traits.required {
                self.missing(body.header, name);
            }
            return;
        };
        self.path.push(name.to_owned());
        let path = self.path.join(".");
        self.spans.insert(path.clone(), name_span.to(item.span));
        if let Some(value) = item.value() {
            self.context.secrets.add_sensitive(value);
        }
        if traits.sensitive {
            hide(&mut item, name, body);
        }
        if item.value().is_some_and(|value| !value.is_wholly_known()) && !T::takes_unknown() {
            self.unknown.insert(path);
        } else {
            let raw = std::mem::replace(&mut self.raw, mode == FieldMode::Raw);
            let values = std::mem::replace(&mut self.values, traits.values);
            let weak = self.weak;
            // No attribute of HCL, whose name has a place of its own, but part of an object such as `override`: HCL has
            // not converted it.
            self.weak |= name_span == item.span && item.value().is_some();
            if let Some(value) = T::from_config(&item, self) {
                *slot = value;
            }
            (self.raw, self.values, self.weak) = (raw, values, weak);
        }
        self.path.pop();
    }

    /// Decodes a nested block, or an object given in place of one.
    pub fn nested<T: Config>(&mut self, item: &Item) -> Option<T> {
        let body = match &item.content {
            Content::Block(body) => body.clone(),
            Content::Blocks(bodies) => {
                let (first, second) = (bodies.first()?, bodies.get(1)?);
                let name = self.option();
                self.report(
                    Diagnostic::error(format!("`{name}` is given more than once"))
                        .at(second.header)
                        .see(first.header, "first given here")
                        .hint("keep one of the blocks"),
                );
                return None;
            }
            Content::Value(value) => match value.entries() {
                Some(entries) => from_object(item, entries),
                None => return self.mismatch(item, "block"),
            },
        };
        self.check(&body, &T::schema());
        Some(T::decode_fields(&body, self))
    }

    /// Reports something wrong.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports that an option needs another type. Returns `None` for use in a tail position.
    pub fn mismatch<T>(&mut self, item: &Item, expected: &str) -> Option<T> {
        let name = self.option();
        let mut diagnostic = Diagnostic::error(format!("wrong type for `{name}`"))
            .at(item.span)
            .detail(format!("expected {expected}, found {}", item.describe()));
        if self.is_legacy() {
            if expected == "block" {
                diagnostic = diagnostic.hint(format!("write it as an object: \"{name}\": {{ … }}"));
            }
        } else if expected == "block" {
            diagnostic = diagnostic.hint(format!("write it as a block: {name} {{ … }}"));
        } else if expected == A_LIST && item.value().is_some_and(|value| value.scalar_text().is_some()) {
            diagnostic = diagnostic.hint(format!("put it in brackets: {name} = [ … ]"));
        } else if !matches!(item.content, Content::Value(_)) {
            diagnostic = diagnostic.hint(format!("write it as an attribute: {name} = …"));
        }
        self.report(diagnostic);
        None
    }

    /// Whether a value of another type is made into the one wanted where that can be done, as in legacy templates:
    /// `"1024"` into a number, `"a,b"` into a list.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// Whether the template is a legacy one.
    pub(super) fn is_legacy(&self) -> bool {
        self.context.interpolate.is_legacy()
    }

    /// Name of the option being decoded, as in `debian.suite`.
    pub fn option(&self) -> String {
        self.path.join(".")
    }

    /// The text of a string option: Go templates in it rendered, unless the option is raw.
    pub fn text(&mut self, item: &Item, text: &str) -> Option<String> {
        let text = self.render_whole(item, text)?;
        if item.value().is_some_and(Value::is_sensitive) {
            self.context.secrets.add(&text);
        }
        if text.is_empty() || self.values.is_empty() || self.values.contains(&text.as_str()) {
            return Some(text);
        }
        let name = self.option();
        let diagnostic = Diagnostic::error(format!("wrong value for `{name}`")).at(item.span);
        self.report(diagnostic.detail("it is not one of those there are").hint(
            match did_you_mean(&text, self.values.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("it may be: {}", self.values.join(", ")),
            },
        ));
        None
    }

    /// The text before it is taken apart: its Go templates rendered, unless the option is raw.
    pub(super) fn render_whole(&mut self, item: &Item, text: &str) -> Option<String> {
        if self.raw { Some(text.to_owned()) } else { self.render(item, text) }
    }

    fn render(&mut self, item: &Item, text: &str) -> Option<String> {
        match engine::render_noting(text, self.context.interpolate) {
            Ok(engine::Rendered { text: rendered, missing }) => {
                for field in missing {
                    let name = self.option();
                    self.report(
                        Diagnostic::warning(format!("there is no field `{field}` in `{name}`"))
                            .at(item.span)
                            .detail("it becomes `<no value>`, as in Packer")
                            .hint("to keep the braces, write {{`{{`}}"),
                    );
                }
                Some(rendered)
            }
            Err(error) if error.is_not_known_yet() => {
                self.unknown.insert(self.path.join("."));
                None
            }
            Err(error) => {
                let name = self.option();
                self.report(
                    Diagnostic::error(format!("cannot render the template in `{name}`"))
                        .at(item.span)
                        .detail(error.to_string())
                        .hint(error.hint()),
                );
                None
            }
        }
    }

    fn missing(&mut self, header: Span, name: &str) {
        let hint = if self.is_legacy() {
            format!("add \"{name}\": … to its object")
        } else {
            format!("add {name} = … to the block")
        };
        let diagnostic = Diagnostic::error(format!("`{name}` is required, but not set"))
            .at(header)
            .detail(format!("{} needs it", self.context.owner))
            .hint(hint);
        self.report(diagnostic);
    }
}

/// Passwords of machines that live for one build: everybody knows them, and they are names of other things as well, whose
/// every mention would be lost.
const KNOWN_TO_ALL: &[&str] =
    &["admin", "changeme", "debian", "packer", "password", "root", "test", "toor", "ubuntu", "user", "vagrant"];

/// Marks what an option holds as a secret, unless everybody knows it, or another option tells it.
fn hide(item: &mut Item, name: &str, body: &EvaluatedBody) {
    let Content::Value(value) = &mut item.content else { return };
    let public = |entry: &Entry| {
        entry.name != name && entry.item.value().is_some_and(|other| other.as_str().is_some() && other == value)
    };
    let is_known = value.as_str().is_some_and(|text| KNOWN_TO_ALL.contains(&text));
    if !is_known && !body.entries.iter().any(public) {
        *value = value.clone().mark(true);
    }
}

fn from_object(item: &Item, entries: &BTreeMap<String, Value>) -> EvaluatedBody {
    let entries = entries
        .iter()
        .map(|(name, value)| Entry { name: name.clone(), name_span: item.span, item: item.part(value.clone()) })
        .collect();
    EvaluatedBody { header: item.span, entries }
}
