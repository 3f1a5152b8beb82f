//! Asking a person for the values of variables, one after another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::catalogue::field::{Field, FieldKind, ValueSource};
use crate::cli::unseen::Unseen;
use crate::error::{Context as _, Result};
use crate::output::text::printable;

/// Whoever is asked.
pub(super) trait Person {
    /// Shows a text.
    fn say(&mut self, text: &str);

    /// The next line that is typed, unseen if it is a secret; `None` when nothing more will come.
    fn line(&mut self, unseen: bool) -> Result<Option<String>>;
}

/// The person at the terminal.
pub(super) struct AtTerminal;

impl Person for AtTerminal {
    fn say(&mut self, text: &str) {
        // Best effort: there is nowhere else to say that it failed.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn line(&mut self, unseen: bool) -> Result<Option<String>> {
        let input = io::stdin();
        let hidden = unseen.then(|| Unseen::begin(&input));
        let mut line = String::new();
        let read = input.read_line(&mut line).context(|| "cannot read an answer".to_owned())?;
        if hidden.is_some() {
            // The Enter that was typed is not seen either.
            self.say("\n");
        }
        Ok((read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

/// What is wrong with the value that a variable has been given.
type Wrong<'a> = dyn FnMut(&BTreeMap<String, String>, &str) -> Option<String> + 'a;

/// Asks for what variables lack, and then, if that is wanted, for those that have a value. Answers go to `typed`; what is
/// in it already is not asked for.
pub(super) fn ask(
    fields: &[Field],
    typed: &mut BTreeMap<String, String>,
    wrong: &mut Wrong<'_>,
    person: &mut dyn Person,
) -> Result<()> {
    let left: Vec<&Field> = fields.iter().filter(|field| !typed.contains_key(&field.name)).collect();
    let (missing, optional): (Vec<&Field>, Vec<&Field>) =
        left.into_iter().partition(|field| field.from == ValueSource::Missing);
    for field in missing {
        if !ask_for(field, typed, wrong, person)? {
            return Ok(());
        }
    }
    if optional.is_empty() {
        return Ok(());
    }
    let mut list = String::from("\nVariables with a value:\n");
    for field in &optional {
        let shown = if field.sensitive { "(sensitive)".to_owned() } else { printable(&field.text) };
        let _ = writeln!(list, "  {} = {shown}", field.name);
    }
    list.push_str("Change any? [y/N] ");
    person.say(&list);
    if !person.line(false)?.is_some_and(|answer| is_yes(&answer)) {
        return Ok(());
    }
    for field in optional {
        if !ask_for(field, typed, wrong, person)? {
            return Ok(());
        }
    }
    Ok(())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Asks for one value until it is one that the template takes. `false` when nothing more will come.
fn ask_for(
    field: &Field,
    typed: &mut BTreeMap<String, String>,
    wrong: &mut Wrong<'_>,
    person: &mut dyn Person,
) -> Result<bool> {
    person.say(&about(field));
    loop {
        person.say(&prompt(field));
        let Some(line) = person.line(field.sensitive)? else {
            person.say("\n");
            return Ok(false);
        };
        if line.trim().is_empty() && (field.from != ValueSource::Missing || field.sensitive) {
            return Ok(true);
        }
        let problem = match answer(field, &line) {
            Ok(text) => {
                let before = typed.insert(field.name.clone(), text);
                let problem = wrong(typed, &field.name);
                if problem.is_some() {
                    match before {
                        Some(before) => typed.insert(field.name.clone(), before),
                        None => typed.remove(&field.name),
                    };
                }
                problem
            }
            Err(problem) => Some(problem),
        };
        match problem {
            None => return Ok(true),
            Some(problem) => person.say(&format!("  {}\n", printable(&problem))),
        }
    }
}

/// What the variable is for, and what it may be.
fn about(field: &Field) -> String {
    let mut text = format!("\n{} ({})", field.name, field.ty);
    if !field.description.is_empty() {
        let _ = write!(text, ": {}", printable(&field.description));
    }
    text.push('\n');
    if let FieldKind::Choice(choices) = &field.kind {
        for (index, choice) in choices.iter().enumerate() {
            let _ = writeln!(text, "  {}) {}", index + 1, printable(choice));
        }
    }
    if field.sensitive {
        text.push_str("  It is a secret: it is checked, and not written. Enter leaves it out.\n");
    }
    text
}

fn prompt(field: &Field) -> String {
    match field.from {
        ValueSource::Missing => format!("{}: ", field.name),
        _ if field.sensitive => format!("{} [as it is]: ", field.name),
        _ => format!("{} [{}]: ", field.name, printable(&field.text)),
    }
}

/// The value that a line stands for, or what is wrong with it.
fn answer(field: &Field, line: &str) -> Result<String, String> {
    let trimmed = line.trim();
    match &field.kind {
        _ if trimmed.is_empty() => Err("It needs a value.".to_owned()),
        FieldKind::Choice(choices) if !choices.iter().any(|choice| choice == trimmed) => {
            let number = trimmed.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            number
                .and_then(|number| choices.get(number).cloned())
                .ok_or_else(|| format!("Choose one, by its name or as 1 to {}.", choices.len()))
        }
        FieldKind::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" => Ok("true".to_owned()),
            "n" | "no" | "false" => Ok("false".to_owned()),
            _ => Err("Say yes or no.".to_owned()),
        },
        FieldKind::Choice(_) | FieldKind::Number | FieldKind::Expression => Ok(trimmed.to_owned()),
        FieldKind::Text => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types these lines, and remembers what was said, and which lines were unseen.
    struct Script {
        lines: Vec<&'static str>,
        said: String,
        unseen: usize,
    }

    impl Person for Script {
        fn say(&mut self, text: &str) {
            self.said.push_str(text);
        }

        fn line(&mut self, unseen: bool) -> Result<Option<String>> {
            self.unseen += usize::from(unseen);
            Ok((!self.lines.is_empty()).then(|| self.lines.remove(0).to_owned()))
        }
    }

    fn field(name: &str, kind: FieldKind, default: Option<&str>) -> Field {
        Field {
            name: name.to_owned(),
            kind,
            ty: "string".to_owned(),
            description: "What it is.".to_owned(),
            rules: Vec::new(),
            sensitive: name == "secret",
            default: default.map(str::to_owned),
            from: if default.is_some() { ValueSource::Default } else { ValueSource::Missing },
            text: default.unwrap_or_default().to_owned(),
        }
    }

    fn asked(fields: &[Field], lines: &[&'static str]) -> (Vec<(String, String)>, Script) {
        let mut person = Script { lines: lines.to_vec(), said: String::new(), unseen: 0 };
        let mut typed = BTreeMap::new();
        let mut wrong = |typed: &BTreeMap<String, String>, name: &str| {
            (typed[name] == "bad").then(|| "It must not be bad.".to_owned())
        };
        ask(fields, &mut typed, &mut wrong, &mut person).unwrap();
        (typed.into_iter().collect(), person)
    }

    fn pair(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn what_is_missing_is_asked_until_it_is_right() {
        let fields = [
            field("name", FieldKind::Text, None),
            field("size", FieldKind::Choice(vec!["s".into(), "l".into()]), None),
            field("fast", FieldKind::Bool, None),
        ];
        let (typed, person) = asked(&fields, &["", "bad", "good", "3", "2", "maybe", "Y"]);
        assert_eq!(typed, [pair("fast", "true"), pair("name", "good"), pair("size", "l")]);
        for said in ["It needs a value.", "It must not be bad.", "  2) l\n", "as 1 to 2.", "Say yes or no."] {
            assert_eq!(person.said.matches(said).count(), 1, "{said:?} in {}", person.said);
        }
    }

    #[test]
    fn what_has_a_value_is_asked_for_on_demand_and_enter_keeps_it() {
        let fields = [field("one", FieldKind::Text, Some("1")), field("two", FieldKind::Number, Some("2"))];
        assert_eq!(asked(&fields, &[""]).0, []);
        assert_eq!(asked(&fields, &["n", "x"]).0, []);
        let (typed, person) = asked(&fields, &["y", "", "7"]);
        assert_eq!(typed, [pair("two", "7")]);
        assert!(person.said.contains("  one = 1\n  two = 2\nChange any? [y/N] "), "{}", person.said);
    }

    #[test]
    fn secrets_are_typed_unseen_and_may_be_left_out() {
        let fields = [field("secret", FieldKind::Text, None)];
        let (typed, person) = asked(&fields, &["pw"]);
        assert_eq!((typed, person.unseen), (vec![pair("secret", "pw")], 1));
        assert!(!person.said.contains("pw"), "{}", person.said);
        assert_eq!(asked(&fields, &[""]).0, []);
    }

    #[test]
    fn the_end_of_the_input_ends_the_questions() {
        let fields = [field("name", FieldKind::Text, None), field("other", FieldKind::Text, None)];
        assert_eq!(asked(&fields, &["x"]).0, [pair("name", "x")]);
    }
}
