//! Holds the reference pages to the program: lists of options and settings in them are generated from the schemas.
//!
//! `UPDATE_DOCS=1 cargo test --test reference` writes them anew, between the markers in `docs/reference/*.md`.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use larder::cli::args::Cli;
use larder::cli::docs;
use larder::cli::environment::{Use, VARIABLES};
use larder::cli::exit_codes::EXIT_CODES;
use larder::cli::serve::catalogue::METRICS;
use larder::cli::settings::{KEYS, Key, Kind};
use larder::guest::host::check::CHECKS;
use larder::template::schema::{Schema, page};
use larder::tui::keymap::overlay::OVERLAYS;
use larder::tui::keymap::{self, Keymap, Scope, listing};
use larder::tui::state::Screen;
use larder::{builder, post_processor, provisioner};
use serde_json::Value;

#[path = "support/test_names.rs"]
mod test_names;

/// Replaces what is between `<!-- NAME -->` and `<!-- end -->` in a page, or checks that it is so.
fn hold(page: &str, parts: &[(String, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(page);
    let before = fs::read_to_string(&path).unwrap();
    let mut text = before.clone();
    for (name, part) in parts {
        let begin = format!("<!-- {name} -->\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("{page} lacks {begin}")) + begin.len();
        let end = start + text[start..].find("<!-- end -->").unwrap_or_else(|| panic!("{page}: {name} has no end"));
        text.replace_range(start..end, &format!("\n{part}\n"));
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let now = fs::read_to_string(&path).unwrap();
    assert!(now == text, "{page} is stale: run UPDATE_DOCS=1 cargo test --test reference");
}

fn part(what: &str, kind: &str, schema: &Schema) -> (String, String) {
    (format!("{what} {kind}"), page::markdown(schema))
}

#[test]
fn components() {
    let mut table = "| component | what it is | runs | what it does |\n|---|---|---|---|\n".to_owned();
    for component in docs::components() {
        let page = match (component.what, component.name) {
            ("builder", "null" | "file") => "null-and-file.md".to_owned(),
            ("builder", name) => format!("{name}.md"),
            (what, name) => format!("{what}s.md#{name}"),
        };
        let runs = if component.runs { "yes" } else { "not yet" };
        let (name, what, help) = (component.name, component.what, (component.schema)().help);
        writeln!(table, "| [`{name}`]({page}) | {what} | {runs} | {help} |").unwrap();
    }
    hold("components.md", &[("components".to_owned(), table)]);
}

/// Every option says what it is for, and names no option that is not there.
#[test]
fn options_are_told_of_whole() {
    fn check(of: &str, schema: &Schema) {
        let is_there = |name: &str| schema.option(name).is_some();
        let mut seen = BTreeSet::new();
        for option in &schema.options {
            let of = format!("{of} {}", option.name);
            assert!(!page::help(option, schema).is_empty(), "{of} has no help");
            assert!(
                option.traits.conflicts.iter().chain(&option.traits.replaced_by).all(|name| is_there(name)),
                "{of}"
            );
            assert!(seen.insert(option.name), "{of} is there twice");
            let shown = option.default.as_deref().unwrap_or_default().trim_matches('"');
            let values = option.traits.values;
            assert!(shown.is_empty() || values.is_empty() || values.iter().any(|value| shown.contains(value)), "{of}");
            if let Some(nested) = &option.nested {
                check(&of, nested);
            }
        }
    }
    for component in docs::components() {
        check(&format!("{} {}", component.what, component.name), &(component.schema)());
    }
}

/// Builders have a page each, or one for two.
#[test]
fn builders() {
    let all = builder::REGISTRY.types.iter().chain(builder::REGISTRY.described);
    for entry in all {
        let page = match entry.kind {
            "null" | "file" => "null-and-file.md".to_owned(),
            kind => format!("{kind}.md"),
        };
        hold(&page, &[part("builder", entry.kind, &(entry.schema)())]);
    }
}

#[test]
fn provisioners() {
    let all = provisioner::REGISTRY.types.iter().chain(provisioner::REGISTRY.described);
    let parts: Vec<_> = all.map(|entry| part("provisioner", entry.kind, &(entry.schema)())).collect();
    hold("provisioners.md", &parts);
}

#[test]
fn post_processors() {
    let all = post_processor::REGISTRY.types.iter().chain(post_processor::REGISTRY.described);
    let parts: Vec<_> = all.map(|entry| part("post-processor", entry.kind, &(entry.schema)())).collect();
    hold("post-processors.md", &parts);
}

/// The option of the command line that sets a key, if there is one.
fn flag(key: &Key) -> Option<String> {
    let cli = Cli::command();
    let build = cli.find_subcommand("build").unwrap();
    let name = key.flag();
    let known =
        |name: &str| cli.get_arguments().chain(build.get_arguments()).any(|argument| argument.get_long() == Some(name));
    [name.as_str(), name.trim_end_matches('s')].into_iter().find(|name| known(name)).map(|name| format!("`--{name}`"))
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::PathOrUrl(words) => {
            format!("path, URL, or {}", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
        }
        Kind::Count => "number".to_owned(),
        Kind::Size => "size: `20G`, `512M`, `unlimited`".to_owned(),
        Kind::Duration => "time: `30m`, `1h30m`, `90s`, 0".to_owned(),
        Kind::List => "list; with commas in a variable".to_owned(),
        Kind::PublicKeys => "list of keys or paths; with colons in a variable".to_owned(),
        Kind::Paths => "list of paths; with colons in a variable".to_owned(),
        Kind::Map => "table of texts; `name=text,name=text` in a variable".to_owned(),
        Kind::ProxyLogins => "list of tables; `host:port=user:VARIABLE`, with commas, in a variable".to_owned(),
        Kind::Ways => "text; in a file also a list".to_owned(),
        Kind::Rules | Kind::Tls => "tables; in a file only".to_owned(),
        Kind::Mirrors => "table; `from=to,from=to` in a variable".to_owned(),
    }
}

#[test]
fn doctor() {
    let mut table = "| check | at worst | what is looked at |\n|---|---|---|\n".to_owned();
    for check in CHECKS {
        let worst = format!("{:?}", check.worst).to_lowercase();
        writeln!(table, "| `{}` | {worst} | {} |", check.name, check.help).unwrap();
    }
    hold("doctor.md", &[("checks".to_owned(), table)]);
}

#[test]
fn settings() {
    let mut table = "| key | option | variable | value | what it is |\n|---|---|---|---|---|\n".to_owned();
    for key in KEYS {
        let trust = if key.harmless { "" } else { " (T)" };
        let (name, help) = (key.name, key.help);
        let variable = if key.kind.is_in_files_only() { String::new() } else { format!("`{}`", key.variable()) };
        let flag = flag(key).unwrap_or_default();
        writeln!(table, "| `{name}`{trust} | {flag} | {variable} | {} | {help} |", value(key.kind)).unwrap();
    }
    hold("settings.md", &[("settings".to_owned(), table)]);
}

#[test]
fn metrics() {
    let mut table = "| metric | kind | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        writeln!(table, "| `{}` | {} | {labels} | {} |", metric.name, metric.kind.as_str(), metric.help).unwrap();
    }
    hold("metrics.md", &[("metrics".to_owned(), table)]);
}

#[test]
fn exit_codes() {
    let mut table = "| code | commands | meaning |\n|---|---|---|\n".to_owned();
    for code in EXIT_CODES {
        let meaning = code.meaning.replace('|', "\\|");
        writeln!(table, "| {} | {} | {meaning} |", code.code as u8, code.commands).unwrap();
    }
    hold("exit-codes.md", &[("exit codes".to_owned(), table)]);
}

/// Keys as cells of a table take them.
fn in_cell(keys: &str) -> String {
    let one = |keys: &str| if keys.contains('`') { format!("`` {keys} ``") } else { format!("`{keys}`") };
    keys.split(", ").map(|keys| one(&keys.replace('|', "\\|"))).collect::<Vec<_>>().join(", ")
}

#[test]
fn keys() {
    let keymap = Keymap::default();
    let mut text = String::new();
    let screens = Screen::ALL.into_iter().map(|screen| (Scope::Screen(screen), format!("Screen {}", screen.as_str())));
    let all = [(Scope::Global, "Anywhere".to_owned()), (Scope::Move, "Moving in lists and texts".to_owned())];
    for (scope, heading) in all.into_iter().chain(screens) {
        let bindings = keymap::table(scope);
        if bindings.is_empty() {
            continue;
        }
        writeln!(text, "## {heading}\n\n| keys | what they do | name |\n|---|---|---|").unwrap();
        for binding in bindings {
            let keys = in_cell(&listing::keys(&keymap, binding));
            writeln!(text, "| {keys} | {} | `{}` |", binding.help, binding.name).unwrap();
        }
        text.push('\n');
    }
    let mut over = String::new();
    for overlay in OVERLAYS {
        writeln!(over, "### {}\n\n{}\n\n| keys | what they do |\n|---|---|", overlay.name, overlay.help).unwrap();
        for (keys, help) in overlay.keys {
            writeln!(over, "| {} | {help} |", in_cell(keys)).unwrap();
        }
        over.push('\n');
    }
    let parts = [("keys", text), ("overlays", over)];
    hold("keys.md", &parts.map(|(name, text)| (name.to_owned(), text.trim_end().to_owned() + "\n")));
}

#[test]
fn variables() {
    let mut own = "| variable | setting | what it is |\n|---|---|---|\n".to_owned();
    for key in KEYS {
        if key.kind.is_in_files_only() {
            continue;
        }
        writeln!(own, "| `{}` | `{}` | {} |", key.variable(), key.name, key.help).unwrap();
    }
    let part = |name: &str, wanted: &dyn Fn(Use) -> bool, head: &str| {
        let mut table = format!("| variable | {head} |\n|---|---|\n");
        for variable in VARIABLES.iter().filter(|variable| wanted(variable.usage)) {
            let names = variable.name.split(", ").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            writeln!(table, "| {names} | {} |", variable.meaning).unwrap();
        }
        (name.to_owned(), table)
    };
    let heeded = part("heeded", &|usage| usage != Use::Ignored, "how it is heeded");
    let ignored = part("ignored", &|usage| usage == Use::Ignored, "why it is ignored");
    hold("environment.md", &[("settings".to_owned(), own), heeded, ignored]);
}

/// The type of a property, in words; links to the objects below.
fn type_of(property: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = property["anyOf"].as_array() {
        return any.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let one = |name: &str| match name {
        "array" => format!("list of {}", type_of(&property["items"])),
        "object" if property["additionalProperties"].is_object() => {
            format!("object of {} by name", type_of(&property["additionalProperties"]))
        }
        name => name.to_owned(),
    };
    match &property["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().map(|name| one(name.as_str().unwrap())).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn fields(object: &Value, text: &mut String) {
    let required = |name: &str| object["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let properties: Vec<_> = object["properties"].as_object().into_iter().flatten().collect();
    let is_tag = |name: &str, property: &Value| name == "type" || property["const"].is_string();
    if properties.iter().all(|(name, property)| is_tag(name, property)) {
        text.push_str("It has no fields of its own.\n\n");
        return;
    }
    text.push_str("| field | type | what it is |\n|---|---|---|\n");
    for (name, property) in properties.iter().filter(|(name, property)| !is_tag(name, property)) {
        let description = property["description"].as_str().unwrap().replace('\n', " ");
        let kind = type_of(property);
        // Of what may be absent, null is never written.
        let kind = if required(name) { kind } else { format!("{}, may be absent", kind.replace(" or null", "")) };
        writeln!(text, "| `{name}` | {kind} | {description} |").unwrap();
    }
    text.push('\n');
}

/// The tables of events come from their schema, which a test beside the types holds equal to them.
#[test]
fn events() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/events.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut every = String::new();
    fields(&schema, &mut every);
    let mut kinds = String::new();
    for kind in schema["oneOf"].as_array().unwrap() {
        let name = kind["properties"]["type"]["const"].as_str().unwrap();
        writeln!(kinds, "### `{name}`\n\n{}\n", kind["description"].as_str().unwrap().replace('\n', " ")).unwrap();
        fields(kind, &mut kinds);
    }
    let mut objects = String::new();
    for (name, object) in schema["$defs"].as_object().unwrap() {
        writeln!(objects, "### {name}\n\n{}\n", object["description"].as_str().unwrap().replace('\n', " ")).unwrap();
        if object["properties"].is_object() {
            fields(object, &mut objects);
        } else {
            let words = object["oneOf"].as_array().unwrap();
            for word in words {
                let description = word["description"].as_str().unwrap().replace('\n', " ");
                if let Some(word) = word["const"].as_str() {
                    writeln!(objects, "- `{word}`: {description}").unwrap();
                    continue;
                }
                // One of several objects, told apart by a field.
                let properties = word["properties"].as_object().unwrap();
                let (name, tag) = properties.iter().find(|(_, property)| property["const"].is_string()).unwrap();
                let tag = tag["const"].as_str().unwrap();
                writeln!(objects, "With `{name}` `{tag}`: {description}\n").unwrap();
                if properties.len() > 1 {
                    fields(word, &mut objects);
                }
            }
            objects.push('\n');
        }
    }
    let parts = [("every event", every), ("kinds", kinds), ("objects", objects)];
    hold("events.md", &parts.map(|(name, text)| (name.to_owned(), text.trim_end().to_owned() + "\n")));
}

/// The rows of the checklist: a letter, and how many there are of it.
const HOSTILE: [(&str, usize); 6] = [("A", 16), ("B", 15), ("C", 13), ("D", 7), ("E", 10), ("F", 10)];

/// A test by `file::name`, or a program by its path.
fn exists(test: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match test.split_once("::") {
        Some((file, name)) => {
            fs::read_to_string(root.join(file)).is_ok_and(|text| test_names::of(&text).contains(name))
        }
        None => test.starts_with("tests/") && root.join(test).is_file(),
    }
}

#[test]
fn every_row_of_hostile_input_has_a_test_that_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/hostile-input.md");
    let page = fs::read_to_string(page).unwrap();
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_uppercase()) {
        let escaped = line.replace("\\|", "\0");
        let cells: Vec<&str> = escaped.trim_matches('|').split('|').map(str::trim).collect();
        let [id, tried, tests, outcome] = cells[..] else { panic!("four cells to a row: {line}") };
        assert!(!tried.is_empty() && !outcome.is_empty(), "an empty cell: {line}");
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {line}");
        for test in tests {
            assert!(exists(test), "there is no test {test}: {line}");
        }
        rows.insert(id.to_owned());
    }
    for section in page.split("\n## ").skip(1) {
        let Some((letter, count)) = HOSTILE.iter().find(|(letter, _)| section.starts_with(&format!("{letter}: ")))
        else {
            continue;
        };
        let missing: Vec<_> =
            (1..=*count).map(|row| format!("{letter}{row}")).filter(|row| !rows.contains(row)).collect();
        assert!(missing.is_empty(), "rows without a test: {missing:?}");
    }
    for (letter, _) in HOSTILE {
        assert!(page.contains(&format!("\n## {letter}: ")), "the page has no section {letter}");
    }
}
