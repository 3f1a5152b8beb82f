//! Finding templates: in the working directory, in `./templates`, where the user keeps theirs, and in the program.

use std::fs;
use std::path::{Path, PathBuf};

use super::builtin::{TEMPLATES, Unpacked};
use super::evaluate::{Request, load_template};
use super::problem::{self, Problem};
use super::{Around, evaluate};
use crate::template::{Depth, Template};

/// A template somebody can choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// Where it was found.
    pub origin: Origin,
    /// What a command takes: a file or a directory, relative to the working directory if it is below it.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Kinds of its builders, without duplicates.
    pub builders: Vec<String>,
    /// What it is, in a sentence or two.
    pub description: String,
    /// How many variables it has.
    pub variables: usize,
    /// Those of them that have no default.
    pub required: Vec<String>,
    /// Why it cannot be used as it is.
    pub problems: Vec<Problem>,
}

/// Where a template was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the working directory, or right below it.
    Here,
    /// In `./templates`.
    Templates,
    /// Where the user keeps templates.
    User,
    /// In the program.
    BuiltIn,
}

impl Origin {
    /// What it is called.
    pub fn text(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Templates => "./templates",
            Self::User => "yours",
            Self::BuiltIn => "built-in",
        }
    }
}

/// Most entries looked at in a directory: a home directory of a million files must not hold up the list.
const MAX_ENTRIES: usize = 2000;
/// Largest `.json` file looked into; lock files of other tools are larger than any template.
const MAX_JSON: u64 = 1 << 20;

/// Every template there is, the nearest first. `unpacked` holds the built-in ones.
pub fn discover(around: &Around, unpacked: &Unpacked) -> Vec<Card> {
    let mut cards = Vec::new();
    folder(around, &around.cwd, Origin::Here, &mut cards);
    let templates = around.cwd.join("templates");
    folder(around, &templates, Origin::Templates, &mut cards);
    for directory in directories(&templates) {
        folder(around, &directory, Origin::Templates, &mut cards);
    }
    for directory in directories(&around.cwd).into_iter().filter(|directory| *directory != templates) {
        folder(around, &directory, Origin::Here, &mut cards);
    }
    if let Some(own) = &around.user_templates {
        folder(around, own, Origin::User, &mut cards);
        for directory in directories(own) {
            folder(around, &directory, Origin::User, &mut cards);
        }
    }
    cards.sort_by(|left, right| (left.origin, &left.name).cmp(&(right.origin, &right.name)));
    cards.extend(TEMPLATES.iter().map(|template| {
        let mut card = card(around, &unpacked.path(template.name), Origin::BuiltIn);
        template.name.clone_into(&mut card.name);
        card
    }));
    cards
}

/// The templates of one directory: its HCL files together if they make one, else each; and legacy templates.
fn folder(around: &Around, directory: &Path, origin: Origin, cards: &mut Vec<Card>) {
    let files = entries(directory);
    let hcl: Vec<&PathBuf> = files.iter().filter(|path| is_hcl2(path)).collect();
    if let [only] = hcl.as_slice()
        && directory == around.cwd
    {
        cards.push(card(around, only, origin));
    } else if !hcl.is_empty() {
        let whole = card(around, directory, origin);
        let is_one = whole.problems.iter().all(|problem| problem.is_missing || !problem.is_error);
        let alone: Vec<Card> = if is_one || hcl.len() == 1 {
            Vec::new()
        } else {
            hcl.iter().map(|path| card(around, path, origin)).filter(|card| !card.builders.is_empty()).collect()
        };
        // Several templates in one directory; or one, which is broken.
        if alone.len() > 1 { cards.extend(alone) } else { cards.push(whole) }
    }
    let legacy = files.iter().filter(|path| !is_hcl2(path) && is_legacy(path));
    cards.extend(legacy.map(|path| card(around, path, origin)));
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).take(MAX_ENTRIES);
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Directories right below one; those of tools and hidden ones are left out.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut found = entries(path);
    found.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        !name.starts_with('.') && !matches!(name.as_str(), "node_modules" | "target" | "packer_cache") && path.is_dir()
    });
    found
}

fn is_hcl2(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json")) && path.is_file()
}

/// Whether a file is a template in legacy JSON: an object with `builders`.
fn is_legacy(path: &Path) -> bool {
    if path.extension().is_none_or(|extension| extension != "json") {
        return false;
    }
    let small = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_JSON);
    let Some(text) = small.then(|| fs::read_to_string(path).ok()).flatten() else { return false };
    // By the words, so that a template that is broken is still listed.
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('{') && text.contains("\"builders\"")
}

/// The card of one template.
pub fn card(around: &Around, path: &Path, origin: Origin) -> Card {
    let is_directory = path.is_dir();
    let relative = path.strip_prefix(&around.cwd).unwrap_or(path);
    let shown = if relative.as_os_str().is_empty() { Path::new(".") } else { relative }.to_owned();
    let request = Request { path: shown.clone(), ..Request::default() };
    let loaded = load_template(around, &request, Depth::Declared);
    let template = loaded.template.as_ref();
    let fields = template.map(|template| super::field::fields(template, &loaded.sources)).unwrap_or_default();
    let mut problems = problem::problems(&loaded, template);
    // A form is there to give what is missing.
    problems.retain(|problem| !problem.is_missing);
    Card {
        name: name(path),
        origin,
        path: shown,
        is_directory,
        builders: template.map(builders).unwrap_or_default(),
        description: description(path, is_directory).or_else(|| template.and_then(own_description)).unwrap_or_default(),
        variables: fields.len(),
        required: fields.iter().filter(|field| field.is_required()).map(|field| field.name.clone()).collect(),
        problems,
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short = [".pkr.hcl", ".pkr.json", ".json"].iter().find_map(|suffix| name.strip_suffix(suffix));
    short.filter(|short| !short.is_empty()).map_or(name.clone(), str::to_owned)
}

fn builders(template: &Template) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for source in template.builds.iter().flat_map(|build| &build.sources) {
        if !kinds.contains(&source.builder_type) {
            kinds.push(source.builder_type.clone());
        }
    }
    kinds
}

fn own_description(template: &Template) -> Option<String> {
    template.builds.iter().map(|build| one_paragraph(&build.description)).find(|text| !text.is_empty())
}

/// What a template's first comment says, or else the first paragraph of the README beside it.
fn description(path: &Path, is_directory: bool) -> Option<String> {
    let files = if is_directory { entries(path) } else { vec![path.to_owned()] };
    let comment = files.iter().filter(|path| is_hcl2(path)).find_map(|path| first_comment(&start_of(path)?));
    comment.or_else(|| {
        let readme = is_directory.then(|| path.join("README.md"))?;
        first_paragraph(&start_of(&readme)?)
    })
}

/// The first 16 KiB of a text.
fn start_of(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut start = Vec::new();
    fs::File::open(path).ok()?.take(16 << 10).read_to_end(&mut start).ok()?;
    Some(String::from_utf8_lossy(&start).into_owned())
}

/// The comment a file begins with; what tells of copyright is no description.
fn first_comment(text: &str) -> Option<String> {
    let mut paragraph = String::new();
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        let comment = line.strip_prefix('#').or_else(|| line.strip_prefix("//"));
        match comment.map(str::trim) {
            Some(words) if !words.is_empty() => {
                paragraph.push_str(words);
                paragraph.push(' ');
            }
            _ if !paragraph.is_empty() && !is_legal(&paragraph) => break,
            _ if comment.is_none() && !line.is_empty() => break,
            _ => paragraph.clear(),
        }
    }
    Some(one_paragraph(&paragraph)).filter(|text| !text.is_empty() && !is_legal(text))
}

fn is_legal(text: &str) -> bool {
    text.contains("Copyright") || text.contains("SPDX-License-Identifier")
}

/// The first paragraph of a README that is text.
fn first_paragraph(text: &str) -> Option<String> {
    let paragraphs = text.split("\n\n").map(str::trim);
    let is_text = |paragraph: &&str| paragraph.starts_with(|c: char| c.is_alphanumeric() || c == '`' || c == '*');
    paragraphs.into_iter().find(is_text).map(one_paragraph)
}

/// The words on one line, without control characters.
fn one_paragraph(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What is shown of a chosen template, beyond its card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// What would be built, the variables that have no default not known.
    pub builds: Vec<super::outline::BuildOutline>,
    /// What is wrong with it, but for values that are missing.
    pub problems: Vec<Problem>,
}

/// Looks at a template more closely: its plan, and the options of its components.
pub fn preview(around: &Around, card: &Card) -> Preview {
    let request = Request { path: card.path.clone(), ..Request::default() };
    let mut found = evaluate::evaluate(around, &request);
    found.problems.retain(|problem| !problem.is_missing);
    Preview { builds: found.builds, problems: found.problems }
}

/// The texts of a template, for looking at: paths below it, and what is in them.
pub fn source(around: &Around, card: &Card) -> Vec<(PathBuf, String)> {
    let path = around.cwd.join(&card.path);
    let files = if card.is_directory { entries(&path) } else { vec![path.clone()] };
    let mut files: Vec<PathBuf> = files.into_iter().filter(|path| path.is_file()).collect();
    files.sort_by_key(|path| !is_hcl2(path));
    let read = |file: PathBuf| {
        let name = file.file_name().map(PathBuf::from).unwrap_or_default();
        let known = is_hcl2(&file) || !card.is_directory || name.extension().is_some_and(|suffix| suffix == "hcl");
        known.then(|| fs::read(&file).ok()).flatten().map(|text| (name, String::from_utf8_lossy(&text).into_owned()))
    };
    files.into_iter().filter_map(read).collect()
}
