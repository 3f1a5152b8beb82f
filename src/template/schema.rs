//! What options a component takes: the one description decoding, help and documentation use.

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
    /// Type as shown, such as `list of string`.
    pub type_name: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its value when not given, if it has one, as a template would write it.
    pub default: Option<String>,
    /// What it does.
    pub help: String,
    /// How it is given.
    pub mode: Mode,
    /// The options of a nested block.
    pub nested: Option<Schema>,
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
