//! A schema as it is shown to people: `larder docs` and the pages of the reference say the same.

use std::fmt::Write as _;

use super::{Mode, OptionSchema, OptionType, Schema};

/// What an option is, in a few words: `list of string, required`.
pub fn facts(option: &OptionSchema) -> String {
    let ty = match option.mode {
        Mode::Block => OptionType::Block.to_string(),
        Mode::Plain | Mode::Raw => option.ty.to_string(),
    };
    let mut facts = ty;
    if option.traits.required {
        facts.push_str(", required");
    }
    if option.traits.sensitive {
        facts.push_str(", sensitive");
    }
    if let Some(default) = &option.default {
        let _ = write!(facts, ", default `{default}`");
    }
    facts
}

/// What an option does, and what else there is to know of it, in paragraphs.
pub fn help(option: &OptionSchema, schema: &Schema) -> String {
    let mut help = match &option.nested {
        Some(nested) if option.help.is_empty() => nested.help.clone(),
        _ => option.help.clone(),
    };
    let mut say = |sentence: String| {
        if !help.is_empty() {
            help.push(' ');
        }
        help.push_str(&sentence);
    };
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    if !option.traits.values.is_empty() {
        say(format!("One of {}.", listed(&quoted(option.traits.values), "and")));
    }
    let conflicts = schema.conflicts(option);
    if !conflicts.is_empty() {
        say(format!("Not together with {}.", listed(&quoted(&conflicts), "or")));
    }
    if let Some(name) = option.traits.replaced_by {
        say(format!("Deprecated: write `{name}`."));
    }
    if option.mode == Mode::Raw && !help.contains("{{") {
        help.push_str(" Go templates in it are rendered when it is used.");
    }
    help.trim_start().to_owned()
}

fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// The component and its options in Markdown: a list, of nested blocks a list within.
pub fn markdown(schema: &Schema) -> String {
    let mut text = format!("{}\n\n", schema.help);
    if schema.options.is_empty() {
        text.push_str("It has no options.\n");
    }
    markdown_options(schema, 0, &mut text);
    text
}

fn markdown_options(schema: &Schema, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for option in &schema.options {
        let help = help(option, schema).replace("\n\n", " ");
        let _ = writeln!(text, "{indent}- `{}` ({}): {help}", option.name, facts(option));
        if let Some(nested) = &option.nested {
            markdown_options(nested, depth + 1, text);
        }
    }
}

/// The component and its options in lines of at most `width` columns, long words apart.
pub fn text(schema: &Schema, width: usize) -> String {
    let mut text = String::new();
    paragraphs(&schema.help, 0, width, &mut text);
    if schema.options.is_empty() {
        text.push_str("\nIt has no options.\n");
    }
    for option in &schema.options {
        text.push('\n');
        text_option(option, schema, 0, width, &mut text);
    }
    text
}

/// One option in lines of at most `width` columns, with those of its block.
pub fn text_of_option(option: &OptionSchema, schema: &Schema, width: usize) -> String {
    let mut text = String::new();
    text_option(option, schema, 0, width, &mut text);
    text
}

fn text_option(option: &OptionSchema, schema: &Schema, depth: usize, width: usize, text: &mut String) {
    let indent = depth * 4;
    paragraphs(&format!("{} ({})", option.name, facts(option)), indent, width, text);
    paragraphs(&help(option, schema), indent + 4, width, text);
    if let Some(nested) = &option.nested {
        for inner in &nested.options {
            text_option(inner, nested, depth + 1, width, text);
        }
    }
}

/// Paragraphs, wrapped and indented.
fn paragraphs(paragraphs: &str, indent: usize, width: usize, text: &mut String) {
    for (index, paragraph) in paragraphs.split("\n\n").filter(|paragraph| !paragraph.is_empty()).enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for line in wrap(paragraph, width.saturating_sub(indent).max(20)) {
            let _ = writeln!(text, "{:indent$}{line}", "");
        }
    }
}

/// The words of a text in lines of at most `width` characters.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one line at least");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
