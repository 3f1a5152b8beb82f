//! Holds the source to its rules: import order, size budgets, file layout, words that must not be left behind.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

#[path = "support/test_names.rs"]
mod test_names;

/// A module may import from groups to its left, and from its own group.
const ORDER: [&[&str]; 10] = [
    &["error"],
    &["template"],
    &["plan"],
    &["event"],
    &["download", "pack"],
    &["engine"],
    &["guest", "communicator", "provisioner", "post_processor", "data_source", "builder", "plugin"],
    &["catalogue", "history", "output", "tui", "bundle"],
    &["cli"],
    &["main"],
];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 100;
const P95_FUNCTION_LINES: usize = 40;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, with its path from the root of the repository.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// The text without its test module, which by custom stands at the end.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests").map_or(text, |at| &text[..at])
}

fn group(module: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&module))
}

#[test]
fn modules_import_only_from_their_left() {
    let mut wrong = Vec::new();
    for (name, text) in sources("src") {
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = group(module).unwrap_or_else(|| panic!("{name}: module {module} has no place in the order"));
        for (number, line) in without_tests(&text).lines().enumerate() {
            for imported in line.split("crate::").skip(1) {
                let imported: String = imported.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if group(&imported).is_some_and(|place| place > own) {
                    wrong.push(format!("{name}:{}: {module} imports {imported}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_proxy_imports_nothing_of_the_root() {
    for (name, text) in sources("proxy/src") {
        assert!(!text.contains("use larder::"), "{name} imports the root package");
    }
}

#[test]
fn files_keep_to_their_budget_and_layout() {
    let mut wrong = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("proxy/src")) {
        if name.ends_with("/mod.rs") {
            wrong.push(format!("{name}: use `x.rs` beside `x/`"));
        }
        let lines = without_tests(&text).lines().count();
        if lines > MAX_FILE_LINES && !is_test_file(&name) {
            wrong.push(format!("{name}: {lines} lines, at most {MAX_FILE_LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lengths of the functions of a file, tests apart.
#[derive(Default)]
struct Functions {
    found: Vec<(String, usize, usize)>,
}

impl Functions {
    fn note(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], block: &syn::Block) {
        let reasoned = attributes.iter().any(|attribute| attribute.path().is_ident("expect"));
        let (start, end) = (block.span().start().line, block.span().end().line);
        if !reasoned {
            self.found.push((name.to_string(), start, end - start + 1));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig.ident, &function.attrs, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig.ident, &function.attrs, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn functions_keep_to_their_budget() {
    let mut lengths = Vec::new();
    let mut wrong = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("proxy/src")) {
        if is_test_file(&name) {
            continue;
        }
        let mut functions = Functions::default();
        functions.visit_file(&syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
        for (function, line, length) in functions.found {
            lengths.push(length);
            if length > MAX_FUNCTION_LINES {
                wrong.push(format!("{name}:{line}: {function} has {length} lines, at most {MAX_FUNCTION_LINES}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    lengths.sort_unstable();
    let p95 = lengths[lengths.len() * 95 / 100];
    assert!(
        p95 <= P95_FUNCTION_LINES,
        "95 % of the functions have {p95} lines or fewer, the budget is {P95_FUNCTION_LINES}"
    );
}

#[test]
fn nothing_is_left_to_do_in_the_source() {
    // Put together here, so that this file does not find itself.
    let words =
        [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X:"), concat!("todo", "!("), concat!("dbg", "!(")];
    let mut wrong = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("proxy/src")) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                wrong.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_few_small_modules() {
    let files: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("proxy/src"))
        .filter(|(_, text)| text.contains("expect(unsafe_code") || text.contains("expect(\n    unsafe_code"))
        .map(|(name, _)| name)
        .collect();
    assert!(files.len() <= 4, "unsafe code is spread over {files:?}");
}

/// Every test there is.
fn tests_there_are() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests", "proxy/src", "proxy/tests"] {
        for text in sources(folder).into_values() {
            names.extend(test_names::of(&text));
        }
    }
    names
}

#[test]
fn every_complaint_about_proxies_has_a_test_that_exists() {
    let page = fs::read_to_string(root().join("docs/reference/complaints.md")).unwrap();
    let there = tests_there_are();
    let mut groups = 0;
    for line in page.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        groups += 1;
        assert!(line.starts_with(&format!("| {groups} |")), "group {groups} is missing: {line}");
        let tests: Vec<&str> = line.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {line}");
        for name in tests {
            let exists = if name.contains('/') { root().join(name).is_file() } else { there.contains(name) };
            assert!(exists, "there is no test {name}: {line}");
        }
    }
    assert_eq!(groups, 21);
}

#[test]
fn every_limit_has_a_test_that_exists() {
    let page = fs::read_to_string(root().join("docs/reference/limits.md")).unwrap();
    let there = tests_there_are();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for name in tests {
            let exists = if name.contains('/') { root().join(name).is_file() } else { there.contains(name) };
            assert!(exists, "there is no test {name}: {row}");
        }
    }
}

#[test]
fn the_proxy_is_not_built_on_what_is_complained_of() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    // `memmap2` is the part of `cacache` that panicked.
    for name in ["hudsucker", "pingora", "http-cache-semantics", "memmap2"] {
        assert!(!lock.contains(&format!("name = \"{name}")), "{name} is among the dependencies");
    }
}
