//! Input variables: declared in the template, set from outside.

use std::collections::BTreeMap;

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Structure};

use super::body::header_span;
use super::diagnostic::{Diagnostic, did_you_mean};
use super::hcl::convert::convert;
use super::hcl::eval::{Evaluator, Origin};
use super::hcl::functions::{Allowed, FunctionEnv};
use super::hcl::scope::Scope;
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
    condition: Expression,
    message: String,
    origin: Origin,
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
    pub(crate) fn declare_variable(&mut self, block: &Block, origin: Origin) {
        let span = header_span(block, origin);
        let Some(name) = self.label(block, origin, "variable \"name\" {}") else { return };
        let mut variable = Variable {
            name,
            ty: Type::Dynamic,
            default: None,
            description: String::new(),
            sensitive: false,
            value: Value::unknown(Type::Dynamic),
            given: None,
            span,
            validations: Vec::new(),
        };
        let mut default = None;
        for structure in &block.body {
            match structure {
                Structure::Attribute(attribute) => match attribute.key.as_str() {
                    "type" => match self.type_constraint(&attribute.value, origin) {
                        Ok(ty) => variable.ty = ty,
                        Err(diagnostic) => self.report(diagnostic),
                    },
                    "default" => default = Some(&attribute.value),
                    "description" => variable.description = self.constant_text(&attribute.value, origin),
                    "sensitive" => variable.sensitive = self.constant_bool(&attribute.value, origin),
                    other => self.unknown_option(other, origin.span(attribute.key.span()), "a variable", OPTIONS),
                },
                Structure::Block(inner) if inner.ident.as_str() == "validation" => {
                    variable.validations.extend(self.validation(inner, origin));
                }
                Structure::Block(inner) => {
                    self.unknown_option(inner.ident.as_str(), header_span(inner, origin), "a variable", OPTIONS);
                }
            }
        }
        if let Some(expression) = default {
            let value = self.default_value(&variable, expression, origin);
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
    pub(crate) fn declare_variables(&mut self, block: &Block, origin: Origin) {
        for attribute in block.body.attributes() {
            let default = self.with_env(&attribute.value, origin);
            let ty = default.ty();
            self.add_variable(Variable {
                name: attribute.key.as_str().to_owned(),
                ty: if ty.is_primitive() { ty } else { Type::Dynamic },
                value: Value::unknown(Type::Dynamic),
                default: Some(default),
                description: String::new(),
                sensitive: false,
                given: None,
                span: origin.span(attribute.key.span()),
                validations: Vec::new(),
            });
        }
        for inner in block.body.blocks() {
            let span = header_span(inner, origin);
            self.report(Diagnostic::error("`variables` takes no blocks").at(span).hint("write name = default"));
        }
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

    fn default_value(&mut self, variable: &Variable, expression: &Expression, origin: Origin) -> Value {
        let default = self.with_env(expression, origin);
        convert(&default, &variable.ty).unwrap_or_else(|error| {
            self.report(
                Diagnostic::error(format!("the default of `{}` does not fit its type", variable.name))
                    .at(origin.span(expression.span()))
                    .detail(error)
                    .hint(format!("the type is {}", variable.ty)),
            );
            Value::unknown(variable.ty.clone())
        })
    }

    /// The type a variable is declared with. Defaults of attributes are plain values.
    fn type_constraint(&self, expression: &Expression, origin: Origin) -> Result<Type, Diagnostic> {
        let functions = FunctionEnv { allowed: Allowed::Nothing, ..self.functions() };
        type_expr::parse(expression, &Evaluator { origin, env: &functions, work: &self.work })
    }

    /// Evaluates a default: the one place where `env` may be used, and no names.
    fn with_env(&mut self, expression: &Expression, origin: Origin) -> Value {
        let functions = FunctionEnv { allowed: Allowed::Env(&self.options.env), ..self.functions() };
        let evaluator = Evaluator { origin, env: &functions, work: &self.work };
        let result = evaluator.eval(expression, &Scope::default());
        self.value_or_report(result)
    }

    fn validation(&mut self, block: &Block, origin: Origin) -> Option<Validation> {
        let span = header_span(block, origin);
        let (Some(condition), Some(message)) =
            (block.body.get_attribute("condition"), block.body.get_attribute("error_message"))
        else {
            self.report(Diagnostic::error("a validation needs `condition` and `error_message`").at(span));
            return None;
        };
        let text = self.constant_text(&message.value, origin);
        let sentence = text.chars().next().is_some_and(char::is_uppercase) && text.ends_with(['.', '?']);
        if !sentence {
            self.report(
                Diagnostic::error("an error message must be a sentence")
                    .at(origin.span(message.value.span()))
                    .detail("it must begin with a capital letter and end with a period or question mark"),
            );
        }
        Some(Validation { condition: condition.value.clone(), message: text, origin })
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
                (None, None) if self.options.depth != Depth::Whole => Value::unknown(variable.ty.clone()),
                (None, None) => {
                    self.report(
                        Diagnostic::error(format!("the variable `{name}` has no value"))
                            .at(variable.span)
                            .detail("it has no default, and none was given")
                            .hint(format!("give one: -var '{name}=…', or PKR_VAR_{name}, or a default")),
                    );
                    Value::unknown(variable.ty.clone())
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
            Value::unknown(variable.ty.clone())
        })
    }

    fn parse_given(&mut self, text: &str, file: FileId) -> Value {
        let origin = Origin { file, base: 0 };
        match text.parse::<Expression>() {
            Ok(expression) => {
                let functions = self.functions();
                let evaluator = Evaluator { origin, env: &functions, work: &self.work };
                let result = evaluator.eval(&expression, &Scope::default());
                self.value_or_report(result)
            }
            Err(error) => {
                self.report(
                    Diagnostic::error("the value given is not a valid expression")
                        .at(Span::new(file, 0..text.len()))
                        .detail(error.message().trim().replace('\n', ", "))
                        .hint("a list is written [\"a\", \"b\"], a map {a = \"b\"}"),
                );
                Value::unknown(Type::Dynamic)
            }
        }
    }

    fn validate(&mut self, variable: &Variable, given: Option<Span>) {
        let own = BTreeMap::from([(variable.name.clone(), variable.value.clone())]);
        let scope = Scope::new(BTreeMap::from([("var".to_owned(), Value::object(own))]));
        for validation in &variable.validations {
            let functions = self.functions();
            let evaluator = Evaluator { origin: validation.origin, env: &functions, work: &self.work };
            let span = evaluator.span(&validation.condition);
            let result = evaluator.eval(&validation.condition, &scope);
            let holds = self.value_or_report(result);
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
        match did_you_mean(name, self.variables.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: variable \"{name}\" {{}}"),
        }
    }
}

const OPTIONS: &[&str] = &["type", "default", "description", "sensitive", "validation"];
