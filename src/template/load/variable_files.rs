//! Values for variables, in the order in which later ones win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hcl_edit::Span as _;
use hcl_edit::structure::Structure;

use super::{Diagnostic, Evaluator, Loading, Scope, Span, ends, header_span, parse};
use crate::template::hcl::functions::{Allowed, FunctionEnv};
use crate::template::json;
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
        let structures = parse::parse(file, &text, &mut self.diagnostics);
        for (structure, origin) in structures {
            match structure {
                Structure::Attribute(attribute) => {
                    let functions = FunctionEnv { allowed: Allowed::Nothing, ..self.functions() };
                    let evaluator = Evaluator { origin, env: &functions, work: &self.work };
                    let result = evaluator.eval(&attribute.value, &Scope::default());
                    let value = self.value_or_report(result);
                    let span = origin.span(attribute.key.span()).to(origin.span(attribute.value.span()));
                    self.give(attribute.key.as_str().to_owned(), value, span, given);
                }
                Structure::Block(block) => {
                    let name = block.ident.as_str();
                    let span = header_span(&block, origin);
                    self.report(
                        Diagnostic::error(format!("a variable file cannot hold a `{name}` block"))
                            .at(span)
                            .hint("variables are declared in the template, and set here by name = value"),
                    );
                }
            }
        }
    }

    fn give(&mut self, name: String, value: super::Value, span: Span, given: &mut BTreeMap<String, Given>) {
        if self.variables.contains_key(&name) {
            given.insert(name, Given { value: GivenValue::Value(value), span });
        } else if self.options.warn_on_undeclared {
            let hint = self.undeclared_hint(&name);
            self.report(Diagnostic::warning(format!("`{name}` is set, but not declared")).at(span).hint(hint));
        }
    }
}
