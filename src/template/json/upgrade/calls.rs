//! The functions of Go templates, as HCL2 expressions.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Dialect;
use crate::template::go::{self, Error, ErrorKind, Failure, Functions, Program, Signature, Struct, Type, Value};
use crate::template::json::legacy::outline::Outline;

const TEXT: Type = Type::Text;

/// What each takes, and what is written instead; nothing for those that a person must see to.
const CALLS: &[(&str, &[Type], Option<&str>)] = &[
    ("build", &[TEXT], Some("${build.@}")),
    ("build_name", &[], Some("${build.name}")),
    ("build_type", &[], Some("${build.type}")),
    ("clean_resource_name", &[TEXT], None),
    ("env", &[TEXT], Some("${env(@)}")),
    ("isotime", &[], Some("${local.timestamp}")),
    ("lower", &[TEXT], None),
    ("packer_version", &[], Some("${packer.version}")),
    ("pwd", &[], Some("${path.cwd}")),
    ("replace", &[TEXT, TEXT, TEXT, Type::Int], None),
    ("replace_all", &[TEXT, TEXT, TEXT], None),
    ("split", &[TEXT, TEXT, Type::Int], None),
    ("template_dir", &[], Some("${path.root}")),
    ("timestamp", &[], Some("${local.timestamp}")),
    ("upper", &[TEXT], None),
    ("user", &[TEXT], Some("${var.@}")),
    ("uuid", &[], Some("${uuidv4()}")),
];

/// Those that are more, or other, in the whole dialect.
const WHOLE: &[(&str, &[Type], Option<Type>)] = &[
    ("aws_secretsmanager", &[TEXT], Some(TEXT)),
    ("aws_secretsmanager_raw", &[TEXT], None),
    ("clean_ami_name", &[TEXT], None),
    ("clean_image_name", &[TEXT], None),
    ("consul_key", &[TEXT], None),
    ("isotime", &[], Some(TEXT)),
    ("replace", &[TEXT, TEXT, Type::Int, TEXT], None),
    ("strftime", &[TEXT], None),
    ("vault", &[TEXT, TEXT], None),
];

/// What a person writes in HCL2 instead of a call.
const INSTEAD: &[(&str, &str)] = &[
    ("clean_ami_name", "regex_replace(var.name, \"[^-a-z0-9]\", \"-\")"),
    ("clean_image_name", "regex_replace(var.name, \"[^-a-z0-9]\", \"-\")"),
    ("clean_resource_name", "regex_replace(var.name, \"[^-a-z0-9]\", \"-\")"),
    ("lower", "lower(var.name)"),
    ("replace", "replace(var.name, \"old\", \"new\")"),
    ("replace_all", "replace(var.name, \"old\", \"new\")"),
    ("split", "split(\"-\", var.name)[0]"),
    ("upper", "upper(var.name)"),
];

/// Functions that write expressions.
#[derive(Debug)]
pub(super) struct Calls {
    dialect: Dialect,
    /// Variables that are locals in HCL2, as their values are made by functions.
    pub(super) locals: BTreeSet<String>,
    declared: BTreeSet<String>,
    /// The local that holds the time.
    pub(super) timestamp: String,
    /// Whether the block at work is a local, in which there is no environment.
    pub(super) in_local: Cell<bool>,
    notes: RefCell<Notes>,
}

/// What was met on the way.
#[derive(Debug, Default)]
struct Notes {
    /// Whether the time is used.
    timestamp: bool,
    /// Calls that a person must see to, of the block at work.
    by_hand: BTreeSet<&'static str>,
    /// Variables that are used and nowhere declared.
    undeclared: BTreeSet<String>,
    /// Variables of the environment that are used where HCL2 has none, and the variables that hold them.
    env: BTreeMap<String, String>,
}

impl Calls {
    pub(super) fn new(dialect: Dialect, outline: &Outline) -> Self {
        let declared: BTreeSet<String> = outline.variables.iter().map(|variable| variable.name.clone()).collect();
        let is_local = |default: &str| dialect == Dialect::Whole && is_made(default);
        let locals = outline.variables.iter().filter(|one| one.default.as_deref().is_some_and(is_local));
        let locals: BTreeSet<String> = locals.map(|variable| variable.name.clone()).collect();
        let mut timestamp = "timestamp".to_owned();
        while locals.contains(&timestamp) {
            timestamp.push('_');
        }
        Self { dialect, locals, declared, timestamp, in_local: Cell::new(false), notes: RefCell::default() }
    }

    /// Whether there is a function of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        CALLS.iter().any(|(known, ..)| *known == name) || self.is_whole() && WHOLE.iter().any(|(own, ..)| *own == name)
    }

    fn is_whole(&self) -> bool {
        self.dialect == Dialect::Whole
    }

    /// The calls of the last block that a person must see to, as comments.
    pub(super) fn take_by_hand(&self) -> Option<String> {
        let names = std::mem::take(&mut self.notes.borrow_mut().by_hand);
        let lines: Vec<String> = names.iter().filter_map(|name| by_hand(name)).collect();
        Some(lines.join("\n")).filter(|lines| !lines.is_empty())
    }

    /// Whether the time was used.
    pub(super) fn uses_timestamp(&self) -> bool {
        self.notes.borrow().timestamp
    }

    /// Variables that were used and are not declared.
    pub(super) fn undeclared(&self) -> BTreeSet<String> {
        self.notes.borrow().undeclared.clone()
    }

    /// Variables for what locals take of the environment: their names, and what they hold.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        self.notes.borrow().env.iter().map(|(key, name)| (name.clone(), key.clone())).collect()
    }

    /// The variable that holds one of the environment.
    fn env_variable(&self, key: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let mut notes = self.notes.borrow_mut();
        if let Some(name) = notes.env.get(key) {
            return name.clone();
        }
        let mut name = format!("env_{}", key.chars().map(plain).collect::<String>());
        while self.declared.contains(&name) || notes.env.values().any(|taken| *taken == name) {
            name.push('_');
        }
        notes.env.insert(key.to_owned(), name.clone());
        name
    }

    fn whole(&self, name: &str, texts: &[&str]) -> Option<String> {
        let quoted = |index: usize| texts.get(index).map_or_else(|| "null".to_owned(), |text| go::quoted(text));
        Some(match name {
            "aws_secretsmanager" => format!("${{aws_secretsmanager({}, {})}}", quoted(0), quoted(1)),
            "aws_secretsmanager_raw" | "consul_key" => format!("${{{name}({})}}", quoted(0)),
            "vault" => format!("${{vault({}, {})}}", quoted(0), quoted(1)),
            "env" if self.in_local.get() => format!("${{var.{}}}", self.env_variable(texts.first()?)),
            "isotime" if texts.is_empty() => "${timestamp()}".to_owned(),
            "isotime" => format!("${{legacy_isotime({})}}", quoted(0)),
            "strftime" => format!("${{legacy_strftime({})}}", quoted(0)),
            "timestamp" => {
                self.notes.borrow_mut().timestamp = true;
                format!("${{local.{}}}", self.timestamp)
            }
            "user" => match texts.first() {
                Some(name) if self.locals.contains(*name) => format!("${{local.{name}}}"),
                Some(name) => {
                    if !self.declared.contains(*name) {
                        self.notes.borrow_mut().undeclared.insert((*name).to_owned());
                    }
                    format!("${{var.{name}}}")
                }
                None => return None,
            },
            _ => return None,
        })
    }
}

/// Whether a value is made by functions that the default of a variable cannot have.
fn is_made(default: &str) -> bool {
    let known = |name: &str| CALLS.iter().any(|(own, ..)| *own == name) || WHOLE.iter().any(|(own, ..)| *own == name);
    let mut made = false;
    if let Ok(program) = Program::parse("root", default, &known) {
        program.commands(&mut |words| {
            made |= words.first().copied().flatten().is_some_and(|name| known(name) && name != "env");
        });
    }
    made
}

impl Functions for Calls {
    fn signature(&self, name: &str) -> Option<Signature> {
        if let Some((_, parameters, variadic)) = WHOLE.iter().find(|(own, ..)| self.is_whole() && *own == name) {
            return Some(Signature { parameters, variadic: *variadic });
        }
        let (_, parameters, _) = CALLS.iter().find(|(known, ..)| *known == name)?;
        Some(Signature { parameters, variadic: None })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        let text = |value: &Value| if let Value::Text(text) = value { text.to_string() } else { String::new() };
        let texts: Vec<String> = arguments.iter().map(text).collect();
        if self.is_whole() {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            if let Some(written) = self.whole(name, &texts) {
                return Ok(written.into());
            }
            if let Some((name, _)) = INSTEAD.iter().find(|(known, _)| *known == name) {
                self.notes.borrow_mut().by_hand.insert(name);
                let words: Vec<String> =
                    std::iter::once((*name).to_owned()).chain(arguments.iter().map(word)).collect();
                return Ok(format!("{{{{ {} }}}}", words.join(" ")).into());
            }
        }
        let instead = CALLS.iter().find(|(known, ..)| *known == name).and_then(|(_, _, instead)| *instead);
        let Some(instead) = instead else { return Err("it cannot be upgraded by itself".into()) };
        let first = texts.first().map(String::as_str).unwrap_or_default();
        let argument = if name == "env" { go::quoted(first) } else { first.to_owned() };
        Ok(instead.replace('@', &argument).into())
    }
}

/// An argument as it is written in a template.
fn word(argument: &Value) -> String {
    match argument {
        Value::Text(text) if text.contains('`') => go::quoted(text),
        Value::Text(text) => format!("`{text}`"),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The fields that stay as they are.
pub(super) fn data() -> Value {
    let fields = ["HTTPIP", "HTTPPort"].map(|name| (name.to_owned(), format!("{{{{ .{name} }}}}").into()));
    let type_name = "struct { HTTPIP string; HTTPPort string }".to_owned();
    Value::Struct(Arc::new(Struct { type_name, fields: fields.into() }))
}

/// The comment over a block that stays as it was.
pub(super) fn reason(error: &Error) -> String {
    if let ErrorKind::Call { function, .. } = &error.kind
        && let Some(comment) = by_hand(function)
    {
        return comment;
    }
    format!("# could not parse template for following block: {}", go::quoted(&error.go_text()))
}

fn by_hand(function: &str) -> Option<String> {
    let (_, instead) = INSTEAD.iter().find(|(name, _)| *name == function)?;
    Some(format!("# {function} has to be upgraded by hand: in HCL2 it is written {instead}"))
}
