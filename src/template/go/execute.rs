//! Nodes to text.

use std::collections::BTreeSet;

use super::builtin;
use super::error::{Error, ErrorKind, Failure, Running};
use super::node::{Branch, Id, Kind};
use super::number::Number;
use super::parse::Trees;
use super::quote::quote;
use super::value::Value;

mod call;

/// Most nodes that are visited.
const MAX_STEPS: usize = 1_000_000;
/// Most bytes that functions are given and give.
const MAX_BYTES: usize = 256 << 20;
/// Deepest nesting of what is under way.
const MAX_DEPTH: usize = 250;

/// The types of a function's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`
    Text,
    /// `int`
    Int,
    /// `interface {}`
    Any,
    /// `reflect.Value`: anything, and nothing.
    Reflect,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
        }
    }
}

/// What a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its parameters.
    pub parameters: &'static [Type],
    /// The type of any more arguments.
    pub variadic: Option<Type>,
}

/// Functions beside Go's own.
pub trait Functions {
    /// What the function of this name takes, if there is one.
    fn signature(&self, name: &str) -> Option<Signature>;
    /// Calls it with arguments that fit.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Failure>;
}

/// What a template became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Fields that had no value, as they were written.
    pub missing: BTreeSet<String>,
}

/// How a template is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most bytes it may become.
    pub limit: usize,
    /// Where an action that is a field and no more stays as it is: what is written around the field.
    pub keeps_fields: Option<(&'static str, &'static str)>,
}

type Ran<T> = Result<T, Box<Error>>;

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

pub(super) fn execute(
    trees: &Trees,
    data: &Value,
    functions: &dyn Functions,
    options: Options,
) -> Result<Rendered, Box<Error>> {
    let Some(root) = trees.roots.get(&trees.name).copied() else { return Ok(Rendered::default()) };
    let mut run = Run {
        trees,
        functions,
        options,
        rendered: Rendered::default(),
        template: trees.name.clone(),
        variables: vec![("$".to_owned(), data.clone())],
        at: root,
        steps: MAX_STEPS,
        bytes: MAX_BYTES,
        depth: 0,
    };
    run.walk(root, data)?;
    Ok(run.rendered)
}

struct Run<'a> {
    trees: &'a Trees,
    functions: &'a dyn Functions,
    options: Options,
    rendered: Rendered,
    /// The template that is running.
    template: String,
    variables: Vec<(String, Value)>,
    /// The node that errors name.
    at: Id,
    /// What may still be done: a few words can ask for loops in loops in loops.
    steps: usize,
    bytes: usize,
    depth: usize,
}

impl<'a> Run<'a> {
    fn kind(&self, id: Id) -> &'a Kind {
        self.trees.nodes.kind(id)
    }

    fn error(&self, kind: ErrorKind) -> Box<Error> {
        let at = self.trees.nodes.get(self.at).at;
        let before = &self.trees.text[..at];
        let running = Running {
            column: at - before.rfind('\n').map_or(0, |newline| newline + 1),
            template: self.template.clone(),
            node: self.trees.nodes.text(self.at),
        };
        let line = 1 + before.matches('\n').count();
        Box::new(Error {
            kind,
            name: self.trees.name.clone(),
            line,
            running: Some(running),
            at: before.chars().count(),
        })
    }

    fn fail<T>(&self, message: impl Into<String>) -> Ran<T> {
        Err(self.error(ErrorKind::Other(message.into())))
    }

    fn step(&mut self) -> Ran<()> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| self.error(ErrorKind::TooLarge))?;
        Ok(())
    }

    /// Counts bytes that are worked on.
    fn spend(&mut self, bytes: usize) -> Ran<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| self.error(ErrorKind::TooLarge))?;
        Ok(())
    }

    /// Goes one level down.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Ran<T>) -> Ran<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(ErrorKind::TooLarge));
        }
        self.depth += 1;
        let ran = inner(self);
        self.depth -= 1;
        ran
    }

    fn write(&mut self, text: &str) -> Ran<()> {
        if self.rendered.text.len() + text.len() > self.options.limit {
            return Err(self.error(ErrorKind::TooLarge));
        }
        self.rendered.text.push_str(text);
        Ok(())
    }

    fn walk(&mut self, id: Id, dot: &Value) -> Ran<Flow> {
        self.step()?;
        self.at = id;
        match self.kind(id) {
            Kind::List(nodes) => {
                for node in nodes {
                    let flow = self.deeper(|run| run.walk(*node, dot))?;
                    if flow != Flow::Next {
                        return Ok(flow);
                    }
                }
            }
            Kind::Text(text) => self.write(text)?,
            Kind::Action(pipe) => self.action(id, *pipe, dot)?,
            Kind::If(branch) => return self.choose(branch, dot, false),
            Kind::With(branch) => return self.choose(branch, dot, true),
            Kind::Range(branch) => return self.range(branch, dot),
            Kind::Template { name, pipe } => self.call_template(name, *pipe, dot)?,
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            _ => return self.fail("this cannot be run"),
        }
        Ok(Flow::Next)
    }

    fn action(&mut self, id: Id, pipe: Id, dot: &Value) -> Ran<()> {
        let Kind::Pipe { declared, commands, .. } = self.kind(pipe) else { return Ok(()) };
        if let ([command], true, Some((open, close))) =
            (commands.as_slice(), declared.is_empty(), self.options.keeps_fields)
            && let Kind::Command(words) = self.kind(*command)
            && let [word] = words.as_slice()
            && matches!(self.kind(*word), Kind::Field(_))
        {
            let text = format!("{open}{}{close}", self.trees.nodes.text(*word));
            return self.write(&text);
        }
        let value = self.pipeline(pipe, dot)?;
        self.at = id;
        if declared.is_empty() {
            self.spend(value.weight())?;
            self.write(&value.printed())?;
        }
        Ok(())
    }

    /// `if` and `with`.
    fn choose(&mut self, branch: &Branch, dot: &Value, sets_dot: bool) -> Ran<Flow> {
        let mark = self.variables.len();
        let value = self.pipeline(branch.pipe, dot)?;
        let flow = match (value.is_true(), branch.otherwise) {
            (true, _) => self.walk(branch.list, if sets_dot { &value } else { dot })?,
            (false, Some(otherwise)) => self.walk(otherwise, dot)?,
            (false, None) => Flow::Next,
        };
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Ran<Flow> {
        let before = self.variables.len();
        let value = self.pipeline(branch.pipe, dot)?;
        let mark = self.variables.len();
        let declared = match self.kind(branch.pipe) {
            Kind::Pipe { declared, .. } => declared.len(),
            _ => 0,
        };
        let elements: Vec<(Value, Value)> = match &value {
            Value::Nil => Vec::new(),
            Value::List(elements) => (0..).map(Value::Int).zip(elements.iter().cloned()).collect(),
            Value::Map(entries) => entries.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect(),
            other => return self.fail(format!("range can't iterate over {}", other.shown())),
        };
        if let (true, Some(otherwise)) = (elements.is_empty(), branch.otherwise) {
            let flow = self.walk(otherwise, dot)?;
            self.variables.truncate(before);
            return Ok(flow);
        }
        for (index, element) in elements {
            // The element is in the variable declared last, the index in the one before.
            if let (true, Some(last)) = (declared > 0, mark.checked_sub(1)) {
                self.variables[last].1 = element.clone();
            }
            if let (true, Some(first)) = (declared > 1, mark.checked_sub(2)) {
                self.variables[first].1 = index;
            }
            let flow = self.deeper(|run| run.walk(branch.list, &element))?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        self.variables.truncate(before);
        Ok(Flow::Next)
    }

    fn call_template(&mut self, name: &str, pipe: Option<Id>, dot: &Value) -> Ran<()> {
        let Some(root) = self.trees.roots.get(name).copied() else {
            return self.fail(format!("template {} not defined", quote(name)));
        };
        let dot = pipe.map_or(Ok(Value::Nil), |pipe| self.pipeline(pipe, dot))?;
        // It sees no variables but its own.
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let template = std::mem::replace(&mut self.template, name.to_owned());
        self.deeper(|run| run.walk(root, &dot))?;
        self.variables = outer;
        self.template = template;
        Ok(())
    }

    fn pipeline(&mut self, id: Id, dot: &Value) -> Ran<Value> {
        self.step()?;
        self.at = id;
        let Kind::Pipe { declared, assigns, commands } = self.kind(id) else { return Ok(Value::Nil) };
        let mut last = None;
        for command in commands {
            last = Some(self.deeper(|run| run.command(*command, last, dot))?);
        }
        let value = last.unwrap_or_default();
        for variable in declared {
            let Kind::Variable(names) = self.kind(*variable) else { continue };
            if *assigns {
                let found = self.variables.iter_mut().rev().find(|(name, _)| *name == names[0]);
                match found {
                    Some((_, old)) => *old = value.clone(),
                    None => return self.fail(format!("undefined variable: {}", names[0])),
                }
            } else {
                self.variables.push((names[0].clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, id: Id, last: Option<Value>, dot: &Value) -> Ran<Value> {
        self.step()?;
        let Kind::Command(words) = self.kind(id) else { return Ok(Value::Nil) };
        let first = words[0];
        match self.kind(first) {
            Kind::Field(names) => {
                self.at = first;
                return self.fields(first, dot.clone(), names, words.len() > 1 || last.is_some());
            }
            Kind::Chain { node, fields } => {
                return self.chain(first, *node, fields, words.len() > 1 || last.is_some(), dot);
            }
            Kind::Variable(names) => return self.variable(first, names, words, last.is_some()),
            Kind::Identifier(name) => {
                self.at = first;
                return self.function(id, name, &words[1..], last, dot);
            }
            Kind::Pipe { .. } => {
                self.not_a_function(words, last.is_some())?;
                return self.pipeline(first, dot);
            }
            _ => {}
        }
        self.at = first;
        self.not_a_function(words, last.is_some())?;
        match self.kind(first) {
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Dot => Ok(dot.clone()),
            Kind::Number(number) => self.constant(first, number),
            Kind::Literal { text, .. } => Ok(text.as_str().into()),
            _ => self.fail("nil is not a command"),
        }
    }

    fn not_a_function(&self, words: &[Id], piped: bool) -> Ran<()> {
        if words.len() > 1 || piped {
            let word = self.trees.nodes.text(words[0]);
            return self.fail(format!("can't give argument to non-function {word}"));
        }
        Ok(())
    }

    /// A number whose type nothing tells but how it is written.
    fn constant(&mut self, id: Id, number: &Number) -> Ran<Value> {
        self.at = id;
        if let Some((real, imaginary)) = number.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        match (number.float, number.int) {
            (Some(float), _) if number.is_written_as_float() => Ok(Value::Float(float)),
            (_, Some(int)) => Ok(Value::Int(int)),
            _ => self.fail(format!("{} overflows int", number.text)),
        }
    }

    fn variable(&mut self, id: Id, names: &[String], words: &[Id], piped: bool) -> Ran<Value> {
        self.at = id;
        let found = self.variables.iter().rev().find(|(name, _)| *name == names[0]);
        let Some((_, value)) = found else { return self.fail(format!("undefined variable: {}", names[0])) };
        let value = value.clone();
        if names.len() == 1 {
            self.not_a_function(words, piped)?;
            return Ok(value);
        }
        self.fields(id, value, &names[1..], words.len() > 1 || piped)
    }

    fn chain(&mut self, id: Id, node: Id, fields: &[String], has_arguments: bool, dot: &Value) -> Ran<Value> {
        self.at = id;
        if matches!(self.kind(node), Kind::Nil) {
            let text = self.trees.nodes.text(id);
            return self.fail(format!("indirection through explicit nil in {text}"));
        }
        let value = self.operand(node, dot)?;
        self.fields(id, value, fields, has_arguments)
    }

    /// The field of a field of a value.
    fn fields(&mut self, id: Id, mut value: Value, names: &[String], has_arguments: bool) -> Ran<Value> {
        for (index, name) in names.iter().enumerate() {
            let has_arguments = has_arguments && index + 1 == names.len();
            value = self.field(&value, name, has_arguments)?;
        }
        if value == Value::Nil {
            let text = self.trees.nodes.text(id);
            self.rendered.missing.insert(text);
        }
        Ok(value)
    }

    fn field(&self, value: &Value, name: &str, has_arguments: bool) -> Ran<Value> {
        match value {
            Value::Nil => Ok(Value::Nil),
            Value::Map(_) if has_arguments => self.fail(format!("{name} is not a method but has arguments")),
            Value::Map(entries) => Ok(entries.get(name).cloned().unwrap_or_default()),
            Value::Struct(known) => match known.fields.get(name) {
                Some(_) if has_arguments => {
                    self.fail(format!("{name} has arguments but cannot be invoked as function"))
                }
                Some(value) => Ok(value.clone()),
                None => Err(self.unknown_field(name, value, known.fields.keys().cloned().collect())),
            },
            other => Err(self.unknown_field(name, other, Vec::new())),
        }
    }

    fn unknown_field(&self, field: &str, value: &Value, known: Vec<String>) -> Box<Error> {
        self.error(ErrorKind::UnknownField { field: field.to_owned(), of: value.type_name(), known })
    }

    fn signature(&self, name: &str) -> Option<(Signature, bool)> {
        let own = self.functions.signature(name).map(|signature| (signature, false));
        own.or_else(|| builtin::signature(name).map(|signature| (signature, true)))
    }
}
