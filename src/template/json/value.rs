//! JSON as options of a component.

use super::parse::{Kind, Member, Node};
use crate::template::config::{Content, Entry, Item};
use crate::template::hcl::value::{Number, Value};

impl Node {
    /// The value, whatever Go templates are in its strings.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::null(),
            Kind::Bool(value) => Value::bool(*value),
            Kind::Number(text) => Number::parse(text).map_or_else(|| Value::string(text.as_str()), Value::number),
            Kind::String(text) => Value::verbatim(text.as_str()),
            Kind::Array(elements) => Value::tuple(elements.iter().map(Self::to_value).collect()),
            Kind::Object(members) => {
                Value::object(members.iter().map(|member| (member.name.clone(), member.value.to_value())).collect())
            }
        }
    }
}

/// The member as an option. Packer does not tell upper case from lower in names of options.
pub(crate) fn entry(member: &Member) -> Entry {
    Entry {
        name: member.name.to_ascii_lowercase(),
        name_span: member.name_span,
        item: Item { span: member.value.span, content: Content::Value(member.value.to_value()) },
    }
}
