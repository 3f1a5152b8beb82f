//! Nodes to text.

use super::parse::{Node, Operand, Pipeline};
use super::{InterpolateContext, InterpolateError, functions};

/// A value within a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Go {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// The fields: what `.` is outside `range` and `with`.
    Root,
}

impl Go {
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Root => true,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Root => "map[]".to_owned(),
        }
    }
}

struct Run<'a> {
    context: &'a InterpolateContext,
    output: String,
    limit: usize,
    /// What may still be done: a few words can ask for loops in loops in loops.
    steps: usize,
}

/// Most nodes that are visited.
const MAX_STEPS: usize = 1_000_000;

pub(super) fn execute(nodes: &[Node], context: &InterpolateContext, limit: usize) -> Result<String, InterpolateError> {
    let mut run = Run { context, output: String::new(), limit, steps: MAX_STEPS };
    run.nodes(nodes, &Go::Root)?;
    Ok(run.output)
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Go) -> Result<(), InterpolateError> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Go) -> Result<(), InterpolateError> {
        self.steps = self.steps.checked_sub(1).ok_or(InterpolateError::TooLarge)?;
        match node {
            Node::Text(text) => self.write(text),
            Node::Output(pipeline) => {
                // In the value of a variable a field is left for where the variable is used.
                if let ([command], true) = (pipeline.as_slice(), self.context.env.is_some())
                    && let [Operand::Field(names)] = command.as_slice()
                    && !names.is_empty()
                {
                    return self.write(&format!("{{{{.{}}}}}", names.join(".")));
                }
                let value = self.pipeline(pipeline, dot)?;
                self.write(&value.text())
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.pipeline(condition, dot)?.is_true() {
                        return self.nodes(body, dot);
                    }
                }
                self.nodes(otherwise, dot)
            }
            Node::With { value, body, otherwise } => match self.pipeline(value, dot)? {
                value if value.is_true() => self.nodes(body, &value),
                _ => self.nodes(otherwise, dot),
            },
            Node::Range { over, body, otherwise } => match self.pipeline(over, dot)? {
                Go::Int(count) if count > 100_000 => Err(InterpolateError::TooLarge),
                Go::Int(count) if count > 0 => (0..count).try_for_each(|number| {
                    self.steps = self.steps.checked_sub(1).ok_or(InterpolateError::TooLarge)?;
                    self.nodes(body, &Go::Int(number))
                }),
                Go::Int(_) | Go::Nil => self.nodes(otherwise, dot),
                _ => Err(InterpolateError::Function {
                    function: "range".to_owned(),
                    message: "can only go over a number here".to_owned(),
                }),
            },
        }
    }

    fn write(&mut self, text: &str) -> Result<(), InterpolateError> {
        if self.output.len() + text.len() > self.limit {
            return Err(InterpolateError::TooLarge);
        }
        self.output.push_str(text);
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Go) -> Result<Go, InterpolateError> {
        let mut last: Option<Go> = None;
        for command in pipeline {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or(Go::Nil))
    }

    fn command(&self, command: &[Operand], last: Option<Go>, dot: &Go) -> Result<Go, InterpolateError> {
        let (first, rest) = command.split_first().expect("commands are never empty");
        if let Operand::Function(name) = first {
            let mut arguments = rest.iter().map(|operand| self.operand(operand, dot)).collect::<Result<Vec<_>, _>>()?;
            arguments.extend(last);
            return functions::call(name, &arguments, self.context);
        }
        if rest.is_empty() && last.is_none() {
            return self.operand(first, dot);
        }
        Err(InterpolateError::Syntax { message: "only a function can be given arguments".to_owned(), at: 0 })
    }

    fn operand(&self, operand: &Operand, dot: &Go) -> Result<Go, InterpolateError> {
        Ok(match operand {
            Operand::Text(text) => Go::Text(text.clone()),
            Operand::Int(number) => Go::Int(*number),
            Operand::Float(text) => Go::Float(text.parse().unwrap_or_default()),
            Operand::Bool(value) => Go::Bool(*value),
            Operand::Nil => Go::Nil,
            Operand::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Function(name) => functions::call(name, &[], self.context)?,
            Operand::Field(names) if names.is_empty() => dot.clone(),
            Operand::Field(names) => {
                let name = names.join(".");
                if let Some(text) = self.context.data.get(&name) {
                    Go::Text(text.clone())
                } else if self.context.env.is_some() {
                    Go::Nil
                } else {
                    let known = self.context.data.keys().cloned().collect();
                    return Err(InterpolateError::UnknownField { name, known });
                }
            }
        })
    }
}
