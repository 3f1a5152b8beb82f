//! What must hold of templates, whatever their text. For `fuzz/`; see `docs/reference/fuzzing.md`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Diagnostics;
use super::files::FileLoader;
use super::go::engine::{self, BuildValues, FunctionSet, InterpolateContext};
use super::hcl::convert::to_json;
use super::hcl::format::format;
use super::hcl::show::show;
use super::hcl::syntax::parser::parse;
use super::json::fixer;
use super::json::upgrade::{Dialect, upgrade};
use super::source_map::SourceMap;
use super::{Depth, LoadOptions, Loaded, load};

#[cfg(test)]
mod tests;

/// One template file, and one of variables.
#[derive(Debug)]
struct Memory {
    name: PathBuf,
    text: Vec<u8>,
    variables: Vec<u8>,
}

/// Where the files are.
const FOLDER: &str = "/fuzz";
/// What a template may render to, and what room its error takes.
const MAX_RENDERED: usize = 17 << 20;

impl FileLoader for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.file_name() {
            Some(name) if name == self.name.as_os_str() => Ok(self.text.clone()),
            Some(name) if name == "v.pkrvars.hcl" => Ok(self.variables.clone()),
            Some(name) if name == "file.txt" => Ok(b"one ${x} %{ if x }two%{ endif }\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        if path == Path::new(FOLDER) { Ok(vec![path.join("file.txt")]) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new(FOLDER)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.read(path).is_ok()
    }
}

/// Loads it as `validate` does, and holds what is said to its form.
fn loaded(name: &str, text: &str, variables: &str, depth: Depth) -> Loaded {
    // A value for a variable that is not declared is an error.
    let given = text.contains("variable \"given\"").then(|| ("given".to_owned(), "[\"a\", 1]".to_owned()));
    let options = LoadOptions {
        path: name.into(),
        stdin: None,
        vars: given.into_iter().collect(),
        var_files: if variables.is_empty() { Vec::new() } else { vec!["v.pkrvars.hcl".into()] },
        env: BTreeMap::from([("HOME".to_owned(), "/home".to_owned())]),
        cwd: FOLDER.into(),
        now: jiff::Timestamp::UNIX_EPOCH,
        packer_version: "1.16.0".to_owned(),
        depth,
        warn_on_undeclared: true,
        remote: None,
    };
    let files = Memory { name: name.into(), text: text.as_bytes().to_vec(), variables: variables.as_bytes().to_vec() };
    let loaded = load(&options, Arc::new(files));
    told(&loaded.diagnostics, &loaded.sources);
    loaded
}

/// What is told can be shown, and lies where it says.
fn told(diagnostics: &Diagnostics, sources: &SourceMap) {
    for diagnostic in diagnostics {
        if let Some(span) = diagnostic.span {
            let text = sources.text(span.file);
            assert!(text.get(span.start..span.end).is_some(), "{diagnostic:?} lies outside of {} bytes", text.len());
        }
        assert!(!diagnostic.summary.is_empty());
    }
    let _ = diagnostics.render(sources, 100, false);
}

/// The first byte says what the rest is: a template, an expression in one, a template in HCL's JSON, or a file of variables.
pub fn hcl(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let (name, text, variables) = match first & 3 {
        0 => ("t.pkr.hcl", text.into_owned(), ""),
        1 => ("t.pkr.hcl", format!("{DECLARED}\nlocals {{\n  it = {text}\n}}\n"), ""),
        2 => ("t.pkr.json", text.into_owned(), ""),
        _ => ("t.pkr.hcl", DECLARED.to_owned(), &*text),
    };
    if name == "t.pkr.hcl" {
        syntax(&text);
    }
    let loaded = loaded(name, &text, variables, Depth::Whole);
    let Some(template) = &loaded.template else {
        assert!(loaded.diagnostics.has_errors(), "there is neither a template nor an error");
        return;
    };
    for value in template.locals.values() {
        let _ = show(value);
        let _ = to_json(value);
    }
    for source in &template.sources {
        let _ = source.body.evaluate(&super::DecodeEnv::default());
    }
}

/// Names for expressions to use.
const DECLARED: &str = r#"variable "given" {
  type = list(string)
}
variable "secret" {
  default   = "hidden"
  sensitive = true
}
variable "map" {
  type    = map(number)
  default = { a = 1, b = 2 }
}
variable "object" {
  type    = object({ name = string, list = set(bool), more = tuple([any, number]) })
  default = null
}
source "null" "x" {}"#;

/// What is written without an error is formatted into the same, once and for all.
fn syntax(text: &str) {
    let mut sources = SourceMap::default();
    let file = sources.add("t.pkr.hcl", text);
    let mut diagnostics = Diagnostics::default();
    let _ = parse(file, text, &mut diagnostics);
    told(&diagnostics, &sources);
    if diagnostics.has_errors() {
        return;
    }
    let Some(once) = format(text) else { return };
    let mut again = SourceMap::default();
    let file = again.add("t.pkr.hcl", once.as_str());
    let mut found = Diagnostics::default();
    let _ = parse(file, &once, &mut found);
    assert!(!found.has_errors(), "formatted it has errors: {}", found.render(&again, 100, false));
}

/// A legacy template: read to every depth, fixed, upgraded.
pub fn legacy_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for depth in [Depth::Syntax, Depth::Declared, Depth::Whole] {
        let loaded = loaded("t.json", &text, "", depth);
        let has = loaded.template.is_some() || depth == Depth::Syntax;
        assert!(has || loaded.diagnostics.has_errors(), "there is neither a template nor an error");
    }
    let fixed = fixer::fix_text("t.json", &text);
    told(&fixed.diagnostics, &fixed.sources);
    if let Some(once) = &fixed.text {
        let again = fixer::fix_text("t.json", once);
        assert!(again.text.is_some(), "what was fixed cannot be read: {once}");
    }
    let upgraded = upgrade("t.json", &text, Dialect::Whole, true);
    told(&upgraded.diagnostics, &upgraded.sources);
    assert!(upgraded.text.is_some() || upgraded.diagnostics.has_errors());
}

/// The first byte says where a Go template stands: in a variable, in an option, in a command.
pub fn go_templates(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let map = |entries: &[(&str, &str)]| -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let known = map(&[("ID", "i-1"), ("Host", "h")]);
    let context = InterpolateContext {
        build_name: Some("x".to_owned()),
        user: (first & 1 == 0).then(|| map(&[("a", "1"), ("b", "{{ .C }}")])),
        env: (first & 2 == 0).then(|| map(&[("HOME", "/home")])),
        data: if first & 4 == 0 { map(&[("Path", "/p"), ("Vars", "A='b' ")]) } else { BTreeMap::new() },
        build: if first & 8 == 0 { BuildValues::NotKnownYet } else { BuildValues::Known(known) },
        functions: if first & 16 == 0 { FunctionSet::Core } else { FunctionSet::Google },
        ..InterpolateContext::default()
    };
    let references = engine::user_references(&text);
    match engine::render(&text, &context) {
        Ok(rendered) => {
            assert!(rendered.len() <= MAX_RENDERED, "{} bytes", rendered.len());
            assert!(engine::is_template(&text) || rendered == text, "a text without actions has changed");
        }
        Err(error) => {
            let words = [error.to_string(), error.error().go_text(), error.hint()];
            assert!(words.iter().all(|words| !words.is_empty() && words.len() <= MAX_RENDERED));
        }
    }
    assert!(references.is_empty() || engine::is_template(&text));
}
