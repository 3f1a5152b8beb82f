//! Input variables: declared in the template, set from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::hcl::convert::convert;
use super::hcl::eval::Evaluator;
use super::hcl::eval::uses::uses;
use super::hcl::functions::{Allowed, FunctionEnv};
use super::hcl::scope::Scope;
use super::hcl::syntax::ast::{Block, Expr, ExprKind, Step};
use super::hcl::syntax::parser;
use super::hcl::type_expr;
use super::hcl::value::{Kind, Type, Value};
use super::load::{Depth, Loading};
use super::source_map::{FileId, Span};

mod choices;

/// A declared variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name: `var.NAME`.
    pub name: String,
    /// Its type; [`Type::Dynamic`] if none was declared.
    pub ty: Type,
    /// Value if none is given; `None` if one must be.
    pub default: Option<Value>,
    /// What it is for.
    pub description: String,
    /// Whether its value must not be shown.
    pub sensitive: bool,
    /// Its value; unknown if none was given and there is no default.
    pub value: Value,
    /// Where its value was given; `None` if it is the default, or missing.
    pub given: Option<Span>,
    /// Where it is declared.
    pub span: Span,
    validations: Vec<Validation>,
}

impl Variable {
    /// A user variable of a legacy template: always text.
    pub(crate) fn legacy(name: &str, default: Option<&str>, sensitive: bool, span: Span) -> Self {
        let default = default.map(|text| Value::string(text).mark(sensitive));
        Self {
            name: name.to_owned(),
            ty: Type::String,
            value: default.clone().unwrap_or_else(|| Value::unknown(Type::String)),
            default,
            description: String::new(),
            sensitive,
            given: None,
            span,
            validations: Vec::new(),
        }
    }

    /// What is said of values that are not accepted, one sentence for each rule.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.validations.iter().map(|validation| validation.message.as_str())
    }

    /// The texts its value may be, if a rule lists them: `contains([…], var.NAME)`, or `var.NAME == …` joined by `||`.
    pub fn choices(&self) -> Option<Vec<String>> {
        self.validations.iter().find_map(|validation| choices::of(&validation.condition, &self.name))
    }
}

#[derive(Clone, Debug)]
struct Validation {
    condition: Arc<Expr>,
    message: String,
}

/// A value given to a variable from outside, and where.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) value: GivenValue,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum GivenValue {
    /// Text from the command line or environment: read as the type of the variable asks.
    Text(String),
    /// A value from a file.
    Value(Value),
}

impl Loading<'_> {
    /// Declares a `variable` block.
    pub(crate) fn declare_variable(&mut self, block: &Block) {
        let Some(name) = self.label(block, "variable \"name\" {}") else { return };
        let mut variable = Variable {
            name,
            ty: Type::Dynamic,
            default: None,
            description: String::new(),
            sensitive: false,
            value: Value::unknown(Type::Dynamic),
            given: None,
            span: block.header,
            validations: Vec::new(),
        };
        for attribute in &block.body.attributes {
            match &*attribute.name.text {
                "type" => variable.ty = self.type_constraint(&attribute.value),
                "default" => {}
                "description" => variable.description = self.constant_text(&attribute.value).unwrap_or_default(),
                "sensitive" => variable.sensitive = self.constant_bool(&attribute.value),
                _ => self.unknown_option(&attribute.name, "a variable", OPTIONS),
            }
        }
        for inner in &block.body.blocks {
            match &*inner.kind.text {
                "validation" => variable.validations.extend(self.validation(&variable.name, inner)),
                _ => self.unknown_option(&inner.kind, "a variable", OPTIONS),
            }
        }
        if let Some(attribute) = block.body.attribute("default") {
            let value = self.default_value(&variable, &attribute.value);
            // As in Packer, the type of a default is that of the variable where no other is given. Not that of a
            // collection: a tuple would hold it to as many elements.
            let ty = value.ty();
            if variable.ty == Type::Dynamic && ty.is_primitive() && !value.is_null() {
                variable.ty = ty;
            }
            variable.default = Some(value);
        }
        self.add_variable(variable);
    }

    /// Declares the variables of a `variables` block: names and defaults.
    pub(crate) fn declare_variables(&mut self, block: &Block) {
        for attribute in &block.body.attributes {
            let default = self.with_env(&attribute.value);
            let ty = default.ty();
            self.add_variable(Variable {
                name: attribute.name.text.to_string(),
                ty: if ty.is_primitive() { ty } else { Type::Dynamic },
                value: Value::unknown(Type::Dynamic),
                default: Some(default),
                description: String::new(),
                sensitive: false,
                given: None,
                span: attribute.name.span,
                validations: Vec::new(),
            });
        }
        self.no_blocks(block, "`variables` takes no blocks", "write name = default");
    }

    fn add_variable(&mut self, variable: Variable) {
        match self.variables.get(&variable.name) {
            Some(first) => {
                let diagnostic = Diagnostic::error(format!("the variable `{}` is declared twice", variable.name))
                    .at(variable.span)
                    .see(first.span, "first declared here")
                    .hint("remove or rename one of them");
                self.report(diagnostic);
            }
            None => {
                self.variables.insert(variable.name.clone(), variable);
            }
        }
    }

    fn default_value(&mut self, variable: &Variable, expr: &Expr) -> Value {
        let default = self.with_env(expr);
        convert(&default, &variable.ty).unwrap_or_else(|error| {
            self.report(
                Diagnostic::error(format!("the default of `{}` does not fit its type", variable.name))
                    .at(expr.span)
                    .detail(error)
                    .hint(format!("the type is {}", variable.ty)),
            );
            Value::unknown(variable.ty.required())
        })
    }

    /// The type a variable is declared with. Defaults of attributes are plain values.
    fn type_constraint(&mut self, expr: &Expr) -> Type {
        let mut found = Diagnostics::default();
        let functions = FunctionEnv { allowed: Allowed::Nothing, ..self.functions() };
        let ty = type_expr::parse(expr, &Evaluator { env: &functions, work: &self.work }, &mut found);
        self.diagnostics.extend(found);
        ty
    }

    /// Evaluates a default: the one place where `env` may be used, and no names.
    fn with_env(&mut self, expr: &Expr) -> Value {
        let env = &self.options.env;
        self.evaluate_with(expr, Allowed::Env(env), &Scope::default())
    }

    fn validation(&mut self, variable: &str, block: &Block) -> Option<Validation> {
        let (Some(condition), Some(message)) =
            (block.body.attribute("condition"), block.body.attribute("error_message"))
        else {
            let error = Diagnostic::error("a validation needs `condition` and `error_message`");
            self.report(error.at(block.header));
            return None;
        };
        let text = self.constant_text(&message.value)?;
        let sentence = text.chars().next().is_some_and(char::is_uppercase) && text.ends_with(['.', '?']);
        if !sentence {
            self.report(
                Diagnostic::error("an error message must be a sentence")
                    .at(message.value.span)
                    .detail("it must begin with a capital letter and end with a period or question mark"),
            );
        }
        let own = self.refers_to_itself_alone(variable, &condition.value);
        own.then(|| Validation { condition: Arc::clone(&condition.value), message: text })
    }

    /// Whether a condition refers to its variable, and to nothing else; anything else is reported.
    fn refers_to_itself_alone(&mut self, variable: &str, condition: &Expr) -> bool {
        let (mut own, mut others) = (false, Vec::new());
        uses(condition, &mut |name, steps| match steps.first() {
            Some(Step::Attribute(first)) if &*name.text == "var" && &*first.text == variable => own = true,
            Some(Step::Attribute(first)) => {
                others.push((name.span.to(first.span), format!("{}.{}", name.text, first.text)));
            }
            _ => others.push((name.span, name.text.to_string())),
        });
        let alone = others.is_empty();
        for (span, other) in others {
            let error = Diagnostic::error(format!("a validation cannot use `{other}`")).at(span);
            self.report(error.hint(format!("its condition may refer to `var.{variable}` alone")));
        }
        if !own && alone && condition.kind != ExprKind::Error {
            let error = Diagnostic::error("the condition does not depend on its variable").at(condition.span);
            self.report(error.hint(format!("it must refer to `var.{variable}`")));
        }
        own && alone
    }

    /// Gives every variable its value: what was given last, else the default.
    pub(crate) fn set_variables(&mut self, given: &BTreeMap<String, Given>) {
        let names: Vec<String> = self.variables.keys().cloned().collect();
        for name in names {
            let mut variable = self.variables[&name].clone();
            if let (true, Some(given)) = (variable.sensitive, given.get(&name)) {
                match &given.value {
                    GivenValue::Text(text) => self.scope_secrets.add(text),
                    GivenValue::Value(value) => self.scope_secrets.add_sensitive(&value.clone().mark(true)),
                }
            }
            let value = match (given.get(&name), &variable.default) {
                (Some(given), _) => self.given_value(&variable, given),
                (None, Some(default)) => default.clone(),
                // What is declared can be told without values.
                (None, None) if self.options.depth != Depth::Whole => Value::unknown(variable.ty.required()),
                (None, None) => {
                    self.report(
                        Diagnostic::error(format!("the variable `{name}` has no value"))
                            .at(variable.span)
                            .detail("it has no default, and none was given")
                            .hint(format!("give one: -var '{name}=…', or PKR_VAR_{name}, or a default")),
                    );
                    Value::unknown(variable.ty.required())
                }
            };
            variable.value = value.mark(variable.sensitive);
            variable.given = given.get(&name).map(|given| given.span);
            self.scope_secrets.add_sensitive(&variable.value);
            self.validate(&variable, variable.given);
            self.variables.insert(name, variable);
        }
    }

    fn given_value(&mut self, variable: &Variable, given: &Given) -> Value {
        let is_text = match &variable.ty {
            Type::Dynamic => {
                let is_collection = |default: &Value| default.elements().is_some() || default.entries().is_some();
                !variable.default.as_ref().is_some_and(is_collection)
            }
            ty => ty.is_primitive(),
        };
        let value = match &given.value {
            GivenValue::Value(value) => value.clone(),
            GivenValue::Text(text) if is_text => Value::string(text.clone()),
            GivenValue::Text(text) => self.parse_given(text, given.span.file),
        };
        convert(&value, &variable.ty).unwrap_or_else(|error| {
            self.report(
                Diagnostic::error(format!("the value given to `{}` does not fit its type", variable.name))
                    .at(given.span)
                    .detail(error)
                    .see(variable.span, format!("declared as {} here", variable.ty)),
            );
            Value::unknown(variable.ty.required())
        })
    }

    fn parse_given(&mut self, text: &str, file: FileId) -> Value {
        let mut found = Diagnostics::default();
        let Some(expr) = parser::parse_expression(file, text, &mut found) else {
            let hint = "a list is written [\"a\", \"b\"], a map {a = \"b\"}";
            let with_hint = |error: Diagnostic| if error.hint.is_some() { error } else { error.hint(hint) };
            if found.is_empty() {
                self.report(Diagnostic::error("the value is too long").at(Span::new(file, 0..0)));
            }
            self.diagnostics.extend(found.into_iter().map(with_hint));
            return Value::unknown(Type::Dynamic);
        };
        self.diagnostics.extend(found);
        self.evaluate_with(&expr, Allowed::Nothing, &Scope::default())
    }

    fn validate(&mut self, variable: &Variable, given: Option<Span>) {
        let own = BTreeMap::from([(variable.name.clone(), variable.value.clone())]);
        let scope = Scope::new(BTreeMap::from([("var".to_owned(), Value::object(own))]));
        for validation in &variable.validations {
            let span = validation.condition.span;
            let holds = self.evaluate_with(&validation.condition, Allowed::All, &scope);
            match convert(&holds, &Type::Bool).map(Value::into_kind) {
                Ok(Kind::Bool(false)) => self.report(
                    Diagnostic::error(format!("the value of `{}` is not accepted", variable.name))
                        .at(given.unwrap_or(variable.span))
                        .detail(validation.message.clone())
                        .see(span, "it does not meet this condition"),
                ),
                Ok(_) => {}
                Err(error) => {
                    self.report(Diagnostic::error("a condition must be a bool").at(span).detail(error));
                }
            }
        }
    }

    /// The hint for a value given to a variable that is not declared.
    pub(crate) fn undeclared_hint(&self, name: &str) -> String {
        match self.work.near(name, self.variables.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: variable \"{name}\" {{}}"),
        }
    }
}

const OPTIONS: &[&str] = &["type", "default", "description", "sensitive", "validation"];
