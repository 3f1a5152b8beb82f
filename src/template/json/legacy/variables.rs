//! User variables: values given over defaults, Go templates in them rendered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::outline::{Declared, Outline};
use crate::template::diagnostic::{Diagnostic, did_you_mean};
use crate::template::go::engine::{self, InterpolateContext};
use crate::template::json::parse::{self, Kind};
use crate::template::load::{Depth, Loading};
use crate::template::source_map::Span;

/// How often values that use other variables are tried again, as in Packer.
const MAX_PASSES: usize = 100;

/// A value not rendered yet, and its place.
#[derive(Clone, Debug)]
struct Raw {
    text: String,
    span: Span,
}

impl Loading<'_> {
    /// The values of all variables: those declared, and those only given; and the places of those given.
    pub(super) fn legacy_values(
        &mut self,
        outline: &Outline,
        directory: &Path,
    ) -> (BTreeMap<String, String>, BTreeMap<String, Span>) {
        let given = self.legacy_given();
        let places = given.iter().map(|(name, raw)| (name.clone(), raw.span)).collect();
        let mut pending: BTreeMap<String, Raw> = BTreeMap::new();
        let mut missing = BTreeSet::new();
        for declared in &outline.variables {
            match &declared.default {
                Some(text) => {
                    pending.insert(declared.name.clone(), Raw { text: text.clone(), span: declared.value_span });
                }
                None if !given.contains_key(&declared.name) => {
                    if self.options.depth == Depth::Whole {
                        self.report(no_value(declared));
                    }
                    missing.insert(declared.name.clone());
                }
                None => {}
            }
        }
        let sensitive = |name: &str| outline.variables.iter().any(|one| one.sensitive && one.name == name);
        for (name, raw) in given {
            if sensitive(&name) {
                self.scope_secrets.add(&raw.text);
            }
            if self.options.warn_on_undeclared && outline.variables.iter().all(|one| one.name != name) {
                self.report(undeclared(&name, outline));
            }
            pending.insert(name, raw);
        }
        let values = self.render_passes(pending, &missing, directory);
        for (_, value) in values.iter().filter(|(name, _)| sensitive(name)) {
            self.scope_secrets.add(value);
        }
        (values, places)
    }

    /// Renders values until none uses a variable that has none yet.
    fn render_passes(
        &mut self,
        mut pending: BTreeMap<String, Raw>,
        missing: &BTreeSet<String>,
        directory: &Path,
    ) -> BTreeMap<String, String> {
        let mut context = InterpolateContext {
            template_dir: directory.display().to_string(),
            cwd: self.options.cwd.display().to_string(),
            packer_version: self.options.packer_version.clone(),
            now: self.options.now,
            env: Some(self.options.env.clone()),
            user: Some(BTreeMap::new()),
            answers: self.answers.clone(),
            ..InterpolateContext::default()
        };
        for _ in 0..MAX_PASSES {
            let mut changed = false;
            for (name, raw) in std::mem::take(&mut pending) {
                match engine::render(&raw.text, &context) {
                    // What was put in may use variables in its turn.
                    Ok(text) if text != raw.text && !engine::user_references(&text).is_empty() => {
                        changed = true;
                        pending.insert(name, Raw { text, span: raw.span });
                    }
                    Ok(text) => {
                        changed = true;
                        context.user.get_or_insert_default().insert(name, text);
                    }
                    Err(error) if error.is_no_variable() => {
                        pending.insert(name, raw);
                    }
                    // Where servers are not asked, the value stays as it is written.
                    Err(error) if error.is_not_known_yet() => {
                        context.user.get_or_insert_default().insert(name, raw.text);
                    }
                    Err(error) => {
                        self.report(
                            Diagnostic::error(format!("cannot render the value of the variable `{name}`"))
                                .at(raw.span)
                                .detail(error.to_string())
                                .hint(error.hint()),
                        );
                        // Known, so that those who use it are not reported too.
                        context.user.get_or_insert_default().insert(name, String::new());
                    }
                }
            }
            if pending.is_empty() || !changed {
                break;
            }
        }
        let values = context.user.unwrap_or_default();
        pending.retain(|_, raw| engine::user_references(&raw.text).iter().any(|name| !values.contains_key(name)));
        self.report_unrendered(&pending, missing, &values);
        values
    }

    /// Says why values could not be rendered: a variable that is not there, or a circle.
    fn report_unrendered(
        &mut self,
        pending: &BTreeMap<String, Raw>,
        missing: &BTreeSet<String>,
        values: &BTreeMap<String, String>,
    ) {
        let uses: BTreeMap<&str, BTreeSet<String>> =
            pending.iter().map(|(name, raw)| (name.as_str(), engine::user_references(&raw.text))).collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for (name, used) in &uses {
            let there =
                |name: &String| uses.contains_key(name.as_str()) || missing.contains(name) || values.contains_key(name);
            for other in used.iter().filter(|other| !there(other)) {
                self.report(
                    Diagnostic::error(format!("there is no variable `{other}`"))
                        .at(pending[*name].span)
                        .detail(format!("the value of `{name}` uses it"))
                        .hint(format!("add it to `variables`, or give it: -var '{other}=…'")),
                );
            }
            let mut path = Vec::new();
            let mut next = *name;
            while seen.insert(next) {
                path.push(next);
                let following = uses[next].iter().find_map(|other| uses.get_key_value(other.as_str()));
                match following {
                    Some((following, _)) => next = following,
                    None => break,
                }
            }
            let Some(begin) = path.iter().position(|one| *one == next && uses[path[path.len() - 1]].contains(next))
            else {
                continue;
            };
            let mut circle = path[begin..].to_vec();
            circle.push(next);
            self.report(
                Diagnostic::error("variables use each other in a circle")
                    .at(pending[next].span)
                    .detail(circle.join(" -> "))
                    .hint("give one of them a value that does not depend on the others"),
            );
        }
    }

    /// Values of variable files, then those of the command line; the last one wins.
    fn legacy_given(&mut self) -> BTreeMap<String, Raw> {
        let mut given = BTreeMap::new();
        for path in self.options.var_files.clone() {
            self.legacy_variable_file(&path, &mut given);
        }
        for (name, value) in &self.options.vars {
            let file = self.source_map.add(format!("-var {name}"), value.clone());
            given.insert(name.clone(), Raw { text: value.clone(), span: Span::new(file, 0..value.len()) });
        }
        given
    }

    fn legacy_variable_file(&mut self, path: &Path, given: &mut BTreeMap<String, Raw>) {
        if path.extension().is_some_and(|extension| extension == "hcl") {
            self.report(
                Diagnostic::error(format!("{} cannot be used with a template in legacy JSON", path.display()))
                    .detail("its variable files are JSON too")
                    .hint("write it as { \"name\": \"value\" }"),
            );
            return;
        }
        let Some((file, text)) = self.read(&self.options.cwd.join(path)) else { return };
        let Some(root) = parse::parse(file, &text, &mut self.diagnostics) else { return };
        let Kind::Object(members) = &root.kind else {
            self.report(
                Diagnostic::error("a variable file must be an object")
                    .at(root.span)
                    .detail(format!("found {}", root.describe()))
                    .hint("write it as { \"name\": \"value\" }"),
            );
            return;
        };
        for member in members {
            match member.value.scalar() {
                Some(text) => {
                    given.insert(member.name.clone(), Raw { text, span: member.value.span });
                }
                None => self.report(
                    Diagnostic::error(format!("the value of `{}` must be a string", member.name))
                        .at(member.value.span)
                        .detail(format!("found {}", member.value.describe())),
                ),
            }
        }
    }
}

fn no_value(declared: &Declared) -> Diagnostic {
    let name = &declared.name;
    Diagnostic::error(format!("the variable `{name}` has no value"))
        .at(declared.name_span)
        .detail("its default is null, so a value must be given")
        .hint(format!("give one: -var '{name}=…', or -var-file"))
}

/// Without a frame: the value may be a secret whose variable is misspelt.
fn undeclared(name: &str, outline: &Outline) -> Diagnostic {
    let known = outline.variables.iter().map(|one| one.name.as_str());
    let hint = match did_you_mean(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add it to `variables`: \"{name}\": null"),
    };
    Diagnostic::warning(format!("`{name}` is set, but not declared")).hint(hint)
}
