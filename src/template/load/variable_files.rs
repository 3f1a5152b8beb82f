//! Values for variables, in the order in which later ones win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Diagnostic, Loading, Span, Value, ends, json, syntax};
use crate::template::hcl::functions::Allowed;
use crate::template::hcl::scope::Scope;
use crate::template::variable::{Given, GivenValue};

impl Loading<'_> {
    /// Environment, then automatic files, then files of the command line, then its variables.
    pub(super) fn given_variables(&mut self, directory: &Path, is_dir: bool) -> BTreeMap<String, Given> {
        let mut given = BTreeMap::new();
        for (name, value) in &self.options.env {
            // Names not declared are ignored: the environment is shared by many templates.
            if let Some(name) = name.strip_prefix("PKR_VAR_").filter(|name| self.variables.contains_key(*name)) {
                let file = self.source_map.add(format!("PKR_VAR_{name}"), value.clone());
                let span = Span::new(file, 0..value.len());
                given.insert(name.to_owned(), Given { value: GivenValue::Text(value.clone()), span });
            }
        }
        let mut files: Vec<PathBuf> = Vec::new();
        if is_dir {
            let mut found = self.files.list(directory).unwrap_or_default();
            found.sort();
            for suffix in [".auto.pkrvars.hcl", ".auto.pkrvars.json"] {
                files.extend(found.iter().filter(|path| ends(path, suffix)).cloned());
            }
        }
        files.extend(self.options.var_files.iter().map(|path| self.options.cwd.join(path)));
        for file in files {
            self.variable_file(&file, &mut given);
        }
        for (name, value) in &self.options.vars {
            let file = self.source_map.add(format!("-var {name}"), value.clone());
            let span = Span::new(file, 0..value.len());
            if self.variables.contains_key(name) {
                given.insert(name.clone(), Given { value: GivenValue::Text(value.clone()), span });
            } else {
                let hint = self.undeclared_hint(name);
                // Without a frame: the value may be a secret whose variable is misspelt.
                self.report(Diagnostic::error(format!("-var sets `{name}`, which is not declared")).hint(hint));
            }
        }
        given
    }

    fn variable_file(&mut self, path: &Path, given: &mut BTreeMap<String, Given>) {
        let Some((file, text)) = self.read(path) else { return };
        if ends(path, ".json") {
            let Some(root) = json::parse::parse(file, &text, &mut self.diagnostics) else { return };
            let json::parse::Kind::Object(members) = &root.kind else {
                let found = format!("found {}", root.describe());
                self.report(Diagnostic::error("a variable file must be an object").at(root.span).detail(found));
                return;
            };
            for member in members.iter().filter(|member| member.name != "//") {
                let span = member.name_span.to(member.value.span);
                self.give(member.name.clone(), member.value.to_value(), span, given);
            }
            return;
        }
        let body = syntax::parser::parse(file, &text, &mut self.diagnostics);
        for attribute in &body.attributes {
            let value = self.evaluate_with(&attribute.value, Allowed::Nothing, &Scope::default());
            self.give(attribute.name.text.to_string(), value, attribute.span, given);
        }
        for block in &body.blocks {
            self.report(
                Diagnostic::error(format!("a variable file cannot hold a `{}` block", block.kind.text))
                    .at(block.header)
                    .hint("variables are declared in the template, and set here by name = value"),
            );
        }
    }

    fn give(&mut self, name: String, value: Value, span: Span, given: &mut BTreeMap<String, Given>) {
        if self.variables.contains_key(&name) {
            given.insert(name, Given { value: GivenValue::Value(value), span });
        } else if self.options.warn_on_undeclared {
            let hint = self.undeclared_hint(&name);
            self.report(Diagnostic::warning(format!("`{name}` is set, but not declared")).at(span).hint(hint));
        }
    }
}
