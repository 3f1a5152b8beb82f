//! Packer's functions.

use uuid::Uuid;

use super::{BuildValues, InterpolateContext};
use crate::template::go::execute::{Functions, Signature, Type};
use crate::template::go::{Failure, Value, time_layout};
use crate::template::remote::Question;

const TEXT: Type = Type::Text;

/// The functions of every template, with what they take.
const CORE: &[(&str, &[Type], Option<Type>)] = &[
    ("aws_secretsmanager", &[], Some(TEXT)),
    ("aws_secretsmanager_raw", &[TEXT], None),
    ("build", &[TEXT], None),
    ("build_name", &[], None),
    ("build_type", &[], None),
    ("consul_key", &[TEXT], None),
    ("env", &[TEXT], None),
    ("isotime", &[], Some(TEXT)),
    ("lower", &[TEXT], None),
    ("packer_version", &[], None),
    ("pwd", &[], None),
    ("replace", &[TEXT, TEXT, Type::Int, TEXT], None),
    ("replace_all", &[TEXT, TEXT, TEXT], None),
    ("sed", &[TEXT, TEXT], None),
    ("split", &[TEXT, TEXT, Type::Int], None),
    ("strftime", &[TEXT], None),
    ("template_dir", &[], None),
    ("timestamp", &[], None),
    ("upper", &[TEXT], None),
    ("user", &[TEXT], None),
    ("uuid", &[], None),
    ("vault", &[TEXT, TEXT], None),
];

/// What is said of functions that are for values of variables.
pub(super) const NOT_HERE: &str = "is not allowed here";

/// Functions that components for some platforms have.
const CLEANING: &[&str] = &["clean_resource_name", "clean_ami_name", "clean_image_name"];

/// The functions of a component beside those of every template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionSet {
    /// There are none.
    #[default]
    Core,
    /// Names that AWS takes for images: `clean_resource_name`.
    Amazon,
    /// Names that Azure takes.
    Azure,
    /// Names that Google Cloud takes.
    Google,
    /// Letters, digits, dots, dashes and underscores, which every platform takes.
    Common,
}

impl FunctionSet {
    /// The functions of components of a build with this type of builder.
    pub fn of_builder(kind: &str) -> Self {
        match kind {
            kind if kind.starts_with("amazon-") => Self::Amazon,
            kind if kind.starts_with("azure-") => Self::Azure,
            kind if kind.starts_with("googlecompute") => Self::Google,
            _ => Self::Common,
        }
    }

    /// Whether there is a function of this name.
    pub fn has(self, name: &str) -> bool {
        CORE.iter().any(|(known, ..)| *known == name) || (self != Self::Core && CLEANING.contains(&name))
    }

    /// A name that the platform takes: what it does not take is replaced by a dash.
    fn clean(self, text: &str) -> String {
        let lower = if self == Self::Google { text.to_lowercase() } else { text.to_owned() };
        let keep = |c: char| match self {
            Self::Amazon => c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c),
            Self::Google => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
            Self::Core | Self::Azure | Self::Common => c.is_ascii_alphanumeric() || "-._".contains(c),
        };
        let cleaned: String = lower.chars().map(|c| if keep(c) { c } else { '-' }).collect();
        match self {
            Self::Azure => cleaned.trim_end_matches(['-', '.', '_']).to_owned(),
            _ => cleaned,
        }
    }
}

/// The names of all of them, whatever the component.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CORE.iter().map(|(name, ..)| *name).chain(CLEANING.iter().copied())
}

impl Functions for InterpolateContext {
    fn signature(&self, name: &str) -> Option<Signature> {
        if let Some((_, parameters, variadic)) = CORE.iter().find(|(known, ..)| *known == name) {
            return Some(Signature { parameters, variadic: *variadic });
        }
        self.functions.has(name).then_some(Signature { parameters: &[TEXT], variadic: None })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        let call = Call { arguments };
        Ok(Value::from(match name {
            "build_name" => available(name, self.build_name.as_ref())?,
            "build_type" => available(name, self.build_type.as_ref())?,
            "template_dir" => available(name, Some(&self.template_dir))?,
            "pwd" => self.cwd.clone(),
            "packer_version" => available(name, Some(&self.packer_version))?,
            "timestamp" => self.now.as_second().to_string(),
            "uuid" => Uuid::new_v4().to_string(),
            "isotime" if arguments.is_empty() => time_layout::format("2006-01-02T15:04:05Z07:00", self.now),
            "isotime" if arguments.len() > 1 => {
                let given: Vec<&str> = (0..arguments.len()).map(|index| call.text(index)).collect();
                return Err(format!("too many values, 1 needed: [{}]", given.join(" ")).into());
            }
            "isotime" => time_layout::format(call.text(0), self.now),
            "strftime" => time_layout::strftime(call.text(0), self.now),
            "build" => self.build(call.text(0))?,
            "env" => match &self.env {
                Some(env) => env.get(call.text(0)).cloned().unwrap_or_default(),
                None => return Err("env vars are not allowed here".into()),
            },
            "user" => self.user(call.text(0))?,
            "upper" => upper(call.text(0)),
            "lower" => lower(call.text(0)),
            "replace" => call.replace()?,
            "replace_all" => limited(call.text(2), call.text(0), call.text(1), usize::MAX)?,
            "split" => call.split()?,
            "sed" => return Err("template function `sed` is deprecated use `replace` or `replace_all`".into()),
            "consul_key" | "vault" | "aws_secretsmanager" | "aws_secretsmanager_raw" => self.secret(name, &call)?,
            _ => self.functions.clean(call.text(0)),
        }))
    }
}

impl InterpolateContext {
    fn user(&self, name: &str) -> Result<String, Failure> {
        let Some(user) = &self.user else {
            return Err(format!("HCL2 has no user variables; write ${{var.{name}}}").into());
        };
        match user.get(name) {
            Some(value) => Ok(value.clone()),
            None if self.env.is_some() => Err(Failure::NoVariable(name.to_owned())),
            None => Ok(String::new()),
        }
    }

    /// What a server holds.
    fn secret(&self, name: &str, call: &Call<'_>) -> Result<String, Failure> {
        if self.env.is_none() {
            return Err(format!("{name} {NOT_HERE}").into());
        }
        let text = |index| call.text(index).to_owned();
        let question = match (name, call.arguments.len()) {
            ("vault", _) => Question::Vault { path: text(0), key: text(1) },
            ("consul_key", _) => Question::Consul { key: text(0) },
            ("aws_secretsmanager_raw", _) => Question::SecretsManagerRaw { name: text(0) },
            (_, 0) => return Err("secret name must be provided".into()),
            (_, 1 | 2) => {
                let key = Some(text(1)).filter(|key| !key.is_empty());
                Question::SecretsManager { name: text(0), key }
            }
            _ => return Err("only secret name and optional secret key can be provided.".into()),
        };
        match self.answers.ask(&question) {
            Some(answer) => answer.map_err(Failure::from),
            None => Err(Failure::NotKnownYet(name.to_owned())),
        }
    }

    fn build(&self, name: &str) -> Result<String, Failure> {
        match &self.build {
            BuildValues::NotKnownYet => Err(Failure::NotKnownYet(format!("build `{name}`"))),
            BuildValues::Known(values) => {
                values.get(name).cloned().ok_or_else(|| format!("this builder gives no `{name}`").into())
            }
        }
    }
}

/// A value that is not there outside of builds.
fn available(name: &str, value: Option<&String>) -> Result<String, Failure> {
    value.filter(|value| !value.is_empty()).cloned().ok_or_else(|| format!("{name} not available").into())
}

struct Call<'a> {
    arguments: &'a [Value],
}

impl Call<'_> {
    /// An argument that its parameter has shown to be a text.
    fn text(&self, index: usize) -> &str {
        match self.arguments.get(index) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    fn int(&self, index: usize) -> i64 {
        if let Some(Value::Int(number)) = self.arguments.get(index) { *number } else { 0 }
    }

    /// `replace old new n text`
    fn replace(&self) -> Result<String, Failure> {
        let count = usize::try_from(self.int(2)).unwrap_or(usize::MAX);
        limited(self.text(3), self.text(0), self.text(1), count)
    }

    /// `split text separator index`
    fn split(&self) -> Result<String, Failure> {
        let (text, separator, index) = (self.text(0), self.text(1), self.int(2));
        let parts: Vec<&str> = if separator.is_empty() {
            text.split("").filter(|part| !part.is_empty()).collect()
        } else {
            text.split(separator).collect()
        };
        let Ok(place) = usize::try_from(index) else {
            return Err(format!("runtime error: index out of range [{index}]").into());
        };
        parts.get(place).map(|part| (*part).to_owned()).ok_or_else(|| {
            format!(
                "the substring {index} was unavailable using the separator value, {separator}, only {} values were found",
                parts.len()
            )
            .into()
        })
    }
}

fn limited(text: &str, old: &str, new: &str, count: usize) -> Result<String, Failure> {
    let matches = text.matches(old).take(count).count();
    if matches.saturating_mul(new.len()).saturating_add(text.len()) > super::MAX_OUTPUT {
        return Err("the result is too large".into());
    }
    Ok(text.replacen(old, new, count))
}

/// Letters one by one, as Go does it: what would become two stays as it is.
fn upper(text: &str) -> String {
    mapped(text, char::to_uppercase)
}

fn lower(text: &str) -> String {
    mapped(text, char::to_lowercase)
}

fn mapped<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    let one = |c: char| {
        let mut mapped = map(c);
        match (mapped.next(), mapped.next()) {
            (Some(only), None) => only,
            // The one letter that Go maps to the first of two.
            (Some(first), Some(_)) if c == '\u{130}' => first,
            _ => c,
        }
    };
    text.chars().map(one).collect()
}
