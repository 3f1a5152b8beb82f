//! `larder docs`: what components there are, and what options they take.

use serde::Serialize;

use super::args::DocsArgs;
use super::console::Console;
use crate::engine::registry::Registry;
use crate::error::{Error, Result};
use crate::template::config::Config as _;
use crate::template::diagnostic::did_you_mean;
use crate::template::post_processor::PostProcessorOptions;
use crate::template::provisioner::ProvisionerOptions;
use crate::template::schema::page::{help, text, text_of_option, wrap};
use crate::template::schema::{Mode, OptionSchema, OptionType, Schema};
use crate::{builder, post_processor, provisioner};

/// Most columns of a line that is easily read.
const WIDEST: usize = 100;

/// A component that can be told of.
#[derive(Clone, Copy)]
pub struct Component {
    /// What it is: `builder`.
    pub what: &'static str,
    /// Its name in the template.
    pub name: &'static str,
    /// Describes its options.
    pub schema: fn() -> Schema,
    /// Whether it can run.
    pub runs: bool,
}

/// All components: builders, provisioners, post-processors.
pub fn components() -> Vec<Component> {
    let mut found = of(&builder::REGISTRY);
    found.extend(of(&provisioner::REGISTRY));
    found.extend(of(&post_processor::REGISTRY));
    found
}

fn of<T: ?Sized>(registry: &Registry<T>) -> Vec<Component> {
    let all = registry.types.iter().map(|entry| (entry, true));
    let all = all.chain(registry.described.iter().map(|entry| (entry, false)));
    let all = all.map(|(entry, runs)| Component { what: registry.what, name: entry.kind, schema: entry.schema, runs });
    let mut found: Vec<_> = all.collect();
    found.sort_by_key(|component| component.name);
    found
}

/// A component, for programs.
#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    name: &'static str,
    /// Whether it can run.
    runs: bool,
    help: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Vec<OptionShown>>,
}

/// An option, for programs.
#[derive(Serialize)]
struct OptionShown {
    name: &'static str,
    /// Its type as people read it: `list of string`.
    #[serde(rename = "type")]
    ty: String,
    /// Its type in a word: `list`.
    shape: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<(String, String)>,
    required: bool,
    sensitive: bool,
    /// Its value when not given, as a template writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    values: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<&'static str>,
    help: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<OptionShown>,
}

/// Tells of all components, of one, or of one of its options.
pub(super) fn run(args: &DocsArgs, console: &Console) -> Result<()> {
    let all = components();
    let words: Vec<&str> = args.component.iter().chain(&args.rest).map(String::as_str).collect();
    let what = words.first().copied().filter(|word| all.iter().any(|component| component.what == *word));
    let (of_kind, rest): (Vec<Component>, &[&str]) = match what {
        Some(what) => (all.iter().filter(|component| component.what == what).copied().collect(), &words[1..]),
        None => (all, &words[..]),
    };
    match rest {
        [] => list(&of_kind, args, console),
        [name] => tell(&find(&of_kind, name)?, args, console),
        [name, option] => tell_option(&find(&of_kind, name)?, option, args, console),
        [_, _, word, ..] => Err(Error::new(format!("there is a word too much: {word}"))
            .hint("write a component, and then one of its options: larder docs qemu disk_size")),
    }
}

fn list(components: &[Component], args: &DocsArgs, console: &Console) -> Result<()> {
    if args.json.json {
        return console.json(&components.iter().map(|component| shown(component, false)).collect::<Vec<_>>());
    }
    let width = components.iter().map(|component| component.name.len()).max().unwrap_or(0) + 2;
    let columns = console.width.min(WIDEST);
    let mut what = "";
    for component in components {
        if component.what != what {
            if !what.is_empty() {
                console.line("")?;
            }
            what = component.what;
            console.line(&format!("{}s", capital(what)))?;
        }
        let mut about = (component.schema)().help;
        if !component.runs {
            about.push_str(" (its options only: it cannot run yet)");
        }
        for (index, line) in wrap(&about, columns.saturating_sub(width + 2).max(20)).iter().enumerate() {
            let name = if index == 0 { component.name } else { "" };
            console.line(&format!("  {name:width$}{line}"))?;
        }
    }
    console.note("\nnext: `larder docs COMPONENT`");
    Ok(())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn find(components: &[Component], name: &str) -> Result<Component> {
    let found: Vec<Component> = components.iter().filter(|component| component.name == name).copied().collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let near = did_you_mean(name, components.iter().map(|component| component.name));
            Err(Error::new(format!("there is no component `{name}`")).hint(near.map_or_else(
                || "`larder docs` lists those there are".to_owned(),
                |near| format!("did you mean `{near}`?"),
            )))
        }
        [first, ..] => {
            let kinds: Vec<&str> = found.iter().map(|component| component.what).collect();
            Err(Error::new(format!("`{name}` is a {}", kinds.join(" and a ")))
                .hint(format!("say which: larder docs {} {name}", first.what)))
        }
    }
}

/// Options that a component has because of what it is.
fn common(component: &Component) -> Option<Schema> {
    match component.what {
        "provisioner" => Some(ProvisionerOptions::schema()),
        "post-processor" => Some(PostProcessorOptions::schema()),
        _ => None,
    }
}

fn tell(component: &Component, args: &DocsArgs, console: &Console) -> Result<()> {
    if args.json.json {
        return console.json(&shown(component, true));
    }
    let width = console.width.min(WIDEST);
    let mut page = format!("{} ({})\n\n", component.name, component.what);
    page.push_str(&text(&(component.schema)(), width));
    if let Some(common) = common(component) {
        page.push_str(&format!("\nEvery {} has besides:\n", component.what));
        for option in &common.options {
            page.push('\n');
            page.push_str(&text_of_option(option, &common, width));
        }
    }
    console.text(&page)?;
    if !component.runs {
        console.note(&format!("\nLarder checks the options of {}, and cannot run it yet: Packer can.", component.name));
    }
    Ok(())
}

fn tell_option(component: &Component, path: &str, args: &DocsArgs, console: &Console) -> Result<()> {
    let mut schema = (component.schema)();
    schema.options.extend(common(component).into_iter().flat_map(|common| common.options));
    let mut names = path.split('.');
    let mut name = names.next().unwrap_or_default();
    loop {
        let Some(option) = schema.option(name) else {
            let near = did_you_mean(name, schema.options.iter().map(|option| option.name));
            return Err(Error::new(format!("{} has no option `{path}`", component.name)).hint(near.map_or_else(
                || format!("`larder docs {} {}` lists them", component.what, component.name),
                |near| format!("did you mean `{near}`?"),
            )));
        };
        let Some(next) = names.next() else {
            if args.json.json {
                return console.json(&option_shown(option, &schema));
            }
            return console.text(&text_of_option(option, &schema, console.width.min(WIDEST)));
        };
        name = next;
        schema = option.nested.clone().unwrap_or(Schema { help: String::new(), options: Vec::new() });
    }
}

fn shown(component: &Component, whole: bool) -> Shown {
    let schema = (component.schema)();
    let options = whole.then(|| {
        let common = common(component);
        let all = std::iter::once(&schema).chain(&common);
        all.flat_map(|schema| schema.options.iter().map(|option| option_shown(option, schema))).collect()
    });
    Shown { kind: component.what, name: component.name, runs: component.runs, help: schema.help, options }
}

fn option_shown(option: &OptionSchema, schema: &Schema) -> OptionShown {
    let OptionSchema { name, ty, traits, default, nested, .. } = option;
    let ty = if option.mode == Mode::Block && *ty != OptionType::Blocks { &OptionType::Block } else { ty };
    let range = match ty {
        OptionType::Integer { min, max } => Some((min.to_string(), max.to_string())),
        _ => None,
    };
    OptionShown {
        name,
        ty: ty.to_string(),
        shape: ty.word(),
        range,
        required: traits.required,
        sensitive: traits.sensitive,
        default: default.clone(),
        values: traits.values,
        conflicts: schema.conflicts(option),
        replaced_by: traits.replaced_by,
        help: help(option, schema),
        options: nested
            .iter()
            .flat_map(|nested| nested.options.iter().map(|option| option_shown(option, nested)))
            .collect(),
    }
}
