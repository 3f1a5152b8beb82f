//! What options a component takes: the one description decoding, help and documentation use.

use std::fmt;

pub mod page;

/// The options of a component, or of a nested block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What the component does.
    pub help: String,
    /// Its options, in the order described.
    pub options: Vec<OptionSchema>,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSchema {
    /// Name in the template.
    pub name: &'static str,
    /// What may be given.
    pub ty: OptionType,
    /// What else is said of it.
    pub traits: Traits,
    /// Its value when not given, if it has one, as a template would write it.
    pub default: Option<String>,
    /// What it does.
    pub help: String,
    /// How it is given.
    pub mode: Mode,
    /// The options of a nested block.
    pub nested: Option<Schema>,
}

/// What is said of an option besides its type: the attributes that [`config!`](crate::config) takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Whether it must be given.
    pub required: bool,
    /// Whether its value must not be shown.
    pub sensitive: bool,
    /// The texts it may be set to; any if there are none.
    pub values: &'static [&'static str],
    /// Options that cannot be given together with it.
    pub conflicts: &'static [&'static str],
    /// What is written in its place nowadays, if it is deprecated.
    pub replaced_by: Option<&'static str>,
}

/// What may be given for an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionType {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A whole number.
    Integer {
        /// The least it may be.
        min: i128,
        /// The most it may be.
        max: i128,
    },
    /// Any number.
    Number,
    /// A time such as `1m30s`.
    Duration,
    /// A path of the host.
    Path,
    /// Several of one type.
    List(Box<OptionType>),
    /// Several of one type, by name.
    Map(Box<OptionType>),
    /// Either of two types.
    Either(Box<OptionType>, Box<OptionType>),
    /// A nested block.
    Block,
    /// Nested blocks.
    Blocks,
    /// Anything.
    Any,
}

impl fmt::Display for OptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Bool => f.write_str("bool"),
            Self::Integer { .. } => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Duration => f.write_str("duration"),
            Self::Path => f.write_str("path"),
            Self::List(element) => write!(f, "list of {element}"),
            Self::Map(element) => write!(f, "map of {element}"),
            Self::Either(one, other) => write!(f, "{one} or {other}"),
            Self::Block => f.write_str("block"),
            Self::Blocks => f.write_str("blocks"),
            Self::Any => f.write_str("any"),
        }
    }
}

impl OptionType {
    /// The word for it that programs read: its kind without what it is made of.
    pub fn word(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Integer { .. } => "integer",
            Self::Number => "number",
            Self::Duration => "duration",
            Self::Path => "path",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Either(..) => "either",
            Self::Block => "block",
            Self::Blocks => "blocks",
            Self::Any => "any",
        }
    }
}

/// How an option is given and decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `name = value`, with Go templates in strings rendered.
    Plain,
    /// `name = value`, with strings taken as they are: the component renders them later.
    Raw,
    /// `name { … }`.
    Block,
}

impl Schema {
    /// The option of this name.
    pub fn option(&self, name: &str) -> Option<&OptionSchema> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The options that cannot be given together with this one, whichever of two says so.
    pub fn conflicts(&self, option: &OptionSchema) -> Vec<&'static str> {
        let says = |one: &OptionSchema, name: &str| one.traits.conflicts.contains(&name);
        let others = self.options.iter().filter(|other| says(option, other.name) || says(other, option.name));
        others.map(|other| other.name).collect()
    }
}

/// Joins the lines of a doc comment into one text: a blank line separates paragraphs.
pub fn help_text(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines.iter().map(|line| line.trim()) {
        if line.is_empty() {
            text.push_str("\n\n");
        } else {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push(' ');
            }
            text.push_str(line);
        }
    }
    text
}
