//! The functions of Go templates, as HCL2 expressions.

use std::sync::Arc;

use crate::template::go::{self, Error, ErrorKind, Failure, Functions, Signature, Struct, Type, Value};

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

/// What a person writes in HCL2 instead of a call.
const INSTEAD: &[(&str, &str)] = &[
    ("clean_resource_name", "regex_replace(var.name, \"[^-a-z0-9]\", \"-\")"),
    ("lower", "lower(var.name)"),
    ("replace", "replace(var.name, \"old\", \"new\")"),
    ("replace_all", "replace(var.name, \"old\", \"new\")"),
    ("split", "split(\"-\", var.name)[0]"),
    ("upper", "upper(var.name)"),
];

/// Functions that write expressions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls;

/// Whether there is a function of this name.
pub(super) fn has(name: &str) -> bool {
    CALLS.iter().any(|(known, ..)| *known == name)
}

impl Functions for Calls {
    fn signature(&self, name: &str) -> Option<Signature> {
        let (_, parameters, _) = CALLS.iter().find(|(known, ..)| *known == name)?;
        Some(Signature { parameters, variadic: None })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        let instead = CALLS.iter().find(|(known, ..)| *known == name).and_then(|(_, _, instead)| *instead);
        let Some(instead) = instead else { return Err("it cannot be upgraded by itself".into()) };
        let argument = match arguments.first() {
            Some(Value::Text(text)) if name == "env" => go::quoted(text),
            Some(Value::Text(text)) => text.to_string(),
            _ => String::new(),
        };
        Ok(instead.replace('@', &argument).into())
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
        && let Some((_, instead)) = INSTEAD.iter().find(|(name, _)| name == function)
    {
        return format!("# {function} has to be upgraded by hand: in HCL2 it is written {instead}");
    }
    format!("# could not parse template for following block: {}", go::quoted(&error.go_text()))
}
