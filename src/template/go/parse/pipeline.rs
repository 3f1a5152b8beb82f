//! Tokens to nodes: what stands within an action.

use super::{ErrorKind, Id, Kind, Parsed, Parser, T};
use crate::template::go::number::Number;
use crate::template::go::quote::quote;

impl Parser<'_> {
    /// Commands that hand their values on, up to the token `end`; variables may be declared or set before.
    pub(super) fn pipeline(&mut self, context: &str, end: T) -> Parsed<Id> {
        let at = self.peek_solid().at;
        let (declared, assigns) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => break,
                T::Bool
                | T::CharConstant
                | T::Complex
                | T::Dot
                | T::Field
                | T::Identifier
                | T::Number
                | T::Nil
                | T::RawString
                | T::String
                | T::Variable
                | T::LeftParen => {
                    self.give_back(token);
                    commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        self.check_commands(&commands, context)?;
        self.node(at, Kind::Pipe { declared, assigns, commands })
    }

    fn declarations(&mut self, context: &str) -> Parsed<(Vec<Id>, bool)> {
        let mut declared = Vec::new();
        loop {
            let variable = self.peek_solid();
            if variable.kind != T::Variable {
                return Ok((declared, false));
            }
            self.next();
            let after = self.peek();
            let next = self.peek_solid();
            let is_comma = next.kind == T::Char && self.value(&next) == ",";
            if !is_comma && !matches!(next.kind, T::Assign | T::Declare) {
                // It is an operand: it and what was between it and the next word go back.
                if after.kind == T::Space {
                    self.give_back(after);
                }
                self.give_back(variable);
                return Ok((declared, false));
            }
            self.next_solid();
            let name = self.value(&variable).to_owned();
            self.scope.variables.push(name.clone());
            declared.push(self.node(variable.at, Kind::Variable(split_variable(&name)))?);
            if !is_comma {
                return Ok((declared, next.kind == T::Assign));
            }
            if context != "range" || declared.len() >= 2 {
                return self.fail(format!("too many declarations in {context}"));
            }
            if !matches!(self.peek_solid().kind, T::Variable | T::RightDelim | T::RightParen) {
                return self.fail("range can only initialize variables");
            }
        }
    }

    fn check_commands(&self, commands: &[Id], context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            let first = match self.nodes.kind(*command) {
                Kind::Command(words) => words.first(),
                _ => None,
            };
            let is_literal = first.is_some_and(|first| {
                matches!(
                    self.nodes.kind(*first),
                    Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number(_) | Kind::Literal { .. }
                )
            });
            if is_literal {
                return self.fail(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    /// Operands up to a pipe or the end of the pipeline.
    fn command(&mut self) -> Parsed<Id> {
        let at = self.peek_solid().at;
        let mut words = Vec::new();
        loop {
            self.peek_solid();
            words.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                T::Space => {}
                T::RightDelim | T::RightParen => {
                    self.give_back(token);
                    break;
                }
                T::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        if words.is_empty() {
            return self.fail("empty command");
        }
        self.node(at, Kind::Command(words))
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Parsed<Option<Id>> {
        let Some(term) = self.term()? else { return Ok(None) };
        let at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == T::Field {
            let token = self.next();
            fields.push(self.value(&token)[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        let node = match self.nodes.kind(term) {
            Kind::Field(names) => Kind::Field(names.iter().cloned().chain(fields).collect()),
            Kind::Variable(names) => Kind::Variable(names.iter().cloned().chain(fields).collect()),
            Kind::Bool(_) | Kind::Literal { .. } | Kind::Number(_) | Kind::Nil | Kind::Dot => {
                let term = quote(&self.nodes.text(term));
                return self.fail(format!("unexpected . after term {term}"));
            }
            _ => Kind::Chain { node: term, fields },
        };
        self.node(at, node).map(Some)
    }

    fn term(&mut self) -> Parsed<Option<Id>> {
        let token = self.next_solid();
        let value = self.value(&token).to_owned();
        let kind = match token.kind {
            T::Identifier => {
                if !(self.has_function)(&value) {
                    return Err(self.error(ErrorKind::UnknownFunction(value)));
                }
                Kind::Identifier(value)
            }
            T::Dot => Kind::Dot,
            T::Nil => Kind::Nil,
            T::Variable => {
                let names = split_variable(&value);
                if !self.scope.variables.contains(&names[0]) {
                    return self.fail(format!("undefined variable {}", quote(&names[0])));
                }
                Kind::Variable(names)
            }
            T::Field => Kind::Field(value[1..].split('.').map(str::to_owned).collect()),
            T::Bool => Kind::Bool(value == "true"),
            T::Number => Kind::Number(Number::parse(&value).or_else(|error| self.fail(error))?),
            T::CharConstant => Kind::Number(Number::character(&value).or_else(|error| self.fail(error))?),
            T::Complex => Kind::Number(Number::complex(&value).or_else(|error| self.fail(error))?),
            T::LeftParen => {
                let pipe = self.deeper(|parser| parser.pipeline("parenthesized pipeline", T::RightParen))?;
                return Ok(Some(pipe));
            }
            T::String | T::RawString => {
                let text = self.unquoted(&token)?;
                Kind::Literal { literal: value, text }
            }
            _ => {
                self.give_back(token);
                return Ok(None);
            }
        };
        self.node(token.at, kind).map(Some)
    }
}

/// A variable's name; a dollar sign alone is one.
fn split_variable(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}
