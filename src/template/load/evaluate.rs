//! Declarations to the model: what they are when the variables have their values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Diagnostic, Diagnostics, Language, Loading, Template, TemplateScope};
use crate::template::body::ConfigBody;
use crate::template::dynamic::Iteration;
use crate::template::hcl::convert::convert;
use crate::template::hcl::eval::Evaluator;
use crate::template::hcl::functions::{Allowed, FunctionEnv};
use crate::template::hcl::scope::Scope;
use crate::template::hcl::syntax::ast::{Block, Expr};
use crate::template::hcl::value::{Kind, Type, Value};
use crate::template::source::Source;

impl Loading<'_> {
    pub(super) fn evaluate_template(&mut self, blocks: &[Block], directory: PathBuf, is_dir: bool) -> Template {
        let sources = self.declare(blocks);
        let given = self.given_variables(&directory, is_dir);
        self.set_variables(&given);
        self.set_names(&directory);
        let locals = self.evaluate_values(&directory);
        let scope = Arc::new(self.scope(&directory));
        for found in sources {
            let owner = format!("the {} source", found.builder_type);
            let body = ConfigBody::new(&owner, &found.block, &Iteration::default(), &scope, &[]);
            let span = found.block.header;
            self.sources.push(Source { builder_type: found.builder_type, name: found.name, body, span });
        }
        let builds = blocks.iter().filter(|block| &*block.kind.text == "build");
        let builds = builds.map(|block| self.build(block, &scope)).collect();
        Template {
            language: Language::Hcl2,
            variables: std::mem::take(&mut self.variables),
            locals,
            sources: std::mem::take(&mut self.sources),
            builds,
            required_plugins: std::mem::take(&mut self.required_plugins),
            directory,
            scope,
        }
    }

    /// What bodies can use, of all that is known so far.
    pub(crate) fn scope(&self, directory: &Path) -> TemplateScope {
        TemplateScope {
            names: self.names.clone(),
            user: None,
            files: Arc::clone(&self.files),
            cwd: self.options.cwd.clone(),
            template_dir: directory.to_owned(),
            now: self.options.now,
            packer_version: self.options.packer_version.clone(),
            secrets: self.scope_secrets.clone(),
            work: TemplateScope::new_work(),
            answers: self.answers.clone(),
        }
    }

    /// Sets `var`, `path` and `packer`.
    fn set_names(&mut self, directory: &Path) {
        let object = |entries: Vec<(&str, String)>| {
            Value::object(entries.into_iter().map(|(name, text)| (name.to_owned(), Value::string(text))).collect())
        };
        let variables = self.variables.iter().map(|(name, variable)| (name.clone(), variable.value.clone()));
        let variables = Value::object(variables.collect());
        let root = directory.strip_prefix(&self.options.cwd).ok().filter(|_| !self.options.path.is_absolute());
        let root = match root {
            Some(root) if root.as_os_str().is_empty() => ".".to_owned(),
            Some(root) => root.display().to_string(),
            None => directory.display().to_string(),
        };
        let path = object(vec![("root", root), ("cwd", self.options.cwd.display().to_string())]);
        let packer = object(vec![("version", self.options.packer_version.clone())]);
        self.names.extend([("var".to_owned(), variables), ("path".to_owned(), path), ("packer".to_owned(), packer)]);
    }

    /// Reports something.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Evaluates an expression with the names known so far. What is wrong is reported, and what depends on it not known.
    pub(crate) fn evaluate(&mut self, expr: &Expr) -> Value {
        let names = std::mem::take(&mut self.names);
        let value = self.evaluate_with(expr, Allowed::All, &Scope::of(&names));
        self.names = names;
        value
    }

    /// As [`Self::evaluate`], in a block that was made for an element.
    pub(crate) fn evaluate_for(&mut self, expr: &Expr, iteration: &Iteration) -> Value {
        let names = std::mem::take(&mut self.names);
        let scope = Scope::of(&names);
        let value = self.evaluate_with(expr, Allowed::All, &scope.child(iteration.names()));
        self.names = names;
        value
    }

    /// As [`Self::evaluate`], with these functions and names.
    pub(crate) fn evaluate_with(&mut self, expr: &Expr, allowed: Allowed<'_>, scope: &Scope<'_>) -> Value {
        let functions = FunctionEnv { allowed, ..self.functions() };
        let mut found = Diagnostics::default();
        let value = Evaluator { env: &functions, work: &self.work }.eval(expr, scope, &mut found);
        self.diagnostics.extend(found);
        value
    }

    /// What functions can use.
    pub(crate) fn functions(&self) -> FunctionEnv<'_> {
        FunctionEnv {
            files: &*self.files,
            cwd: &self.options.cwd,
            now: self.options.now,
            allowed: Allowed::All,
            answers: Some(&self.answers),
        }
    }

    /// The text of an option that must be known while loading; none if it is not, or is none.
    pub(crate) fn constant_text(&mut self, expr: &Expr) -> Option<String> {
        self.constant_text_for(expr, &Iteration::default())
    }

    /// As [`Self::constant_text`], in a block that was made for an element.
    pub(crate) fn constant_text_for(&mut self, expr: &Expr, iteration: &Iteration) -> Option<String> {
        let value = self.evaluate_for(expr, iteration);
        if value.is_unknown() || value.is_null() {
            return None;
        }
        let text = value.scalar_text();
        if text.is_none() {
            let found = format!("found {}", value.describe());
            self.report(Diagnostic::error("a string is needed here").at(expr.span).detail(found));
        }
        text
    }

    /// The value of a bool that must be known while loading.
    pub(crate) fn constant_bool(&mut self, expr: &Expr) -> bool {
        let value = self.evaluate(expr);
        match convert(&value, &Type::Bool).map(Value::into_kind) {
            Ok(Kind::Bool(value)) => value,
            Ok(_) => false,
            Err(error) => {
                self.report(Diagnostic::error("true or false is needed here").at(expr.span).detail(error));
                false
            }
        }
    }
}
