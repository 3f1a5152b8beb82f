//! Arguments, and what is done with them.

use super::{ErrorKind, Id, Kind, Ran, Run, Type, Value, builtin};

impl Run<'_> {
    /// Calls a function; `id` is what errors of the function itself name.
    pub(super) fn function(
        &mut self,
        id: Id,
        name: &str,
        words: &[Id],
        last: Option<Value>,
        dot: &Value,
    ) -> Ran<Value> {
        let Some((signature, is_builtin)) = self.signature(name) else {
            return self.fail(format!("{} is not a defined function", super::quote(name)));
        };
        let given = words.len() + usize::from(last.is_some());
        let wanted = signature.parameters.len();
        if signature.variadic.is_some() && given < wanted {
            let got = words.len();
            return self.fail(format!("wrong number of args for {name}: want at least {wanted} got {got}"));
        }
        if signature.variadic.is_none() && given != wanted {
            return self.fail(format!("wrong number of args for {name}: want {wanted} got {given}"));
        }
        if is_builtin && matches!(name, "and" | "or") {
            return self.decide(name == "or", words, last, dot);
        }
        let kind = |index: usize| signature.parameters.get(index).copied().or(signature.variadic).unwrap_or(Type::Any);
        let mut arguments = Vec::with_capacity(given);
        for (index, word) in words.iter().enumerate() {
            arguments.push(self.argument(*word, kind(index), dot)?);
        }
        if let Some(last) = last {
            arguments.push(self.fitting(last, kind(words.len()))?);
        }
        self.spend(arguments.iter().map(Value::weight).fold(0, usize::saturating_add))?;
        let result = if is_builtin { builtin::call(name, &arguments) } else { self.functions.call(name, &arguments) };
        match result {
            Ok(value) => {
                self.spend(value.weight())?;
                Ok(value)
            }
            Err(failure) => {
                self.at = id;
                Err(self.error(ErrorKind::Call { function: name.to_owned(), failure }))
            }
        }
    }

    /// `and` and `or`: the first argument that decides, or the last one.
    fn decide(&mut self, stops_at: bool, words: &[Id], last: Option<Value>, dot: &Value) -> Ran<Value> {
        let mut value = Value::Nil;
        for word in words {
            value = self.argument(*word, Type::Reflect, dot)?;
            if value.is_true() == stops_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, id: Id, kind: Type, dot: &Value) -> Ran<Value> {
        self.at = id;
        let value = match self.kind(id) {
            Kind::Nil if matches!(kind, Type::Any | Type::Reflect) => return Ok(Value::Nil),
            Kind::Nil => return self.fail(format!("cannot assign nil to {}", kind.name())),
            Kind::Bool(_) | Kind::Number(_) | Kind::Literal { .. } => return self.literal(id, kind),
            _ => self.operand(id, dot)?,
        };
        self.fitting(value, kind)
    }

    /// The value of an operand that is no literal, or of a literal whose type nothing asks for.
    pub(super) fn operand(&mut self, id: Id, dot: &Value) -> Ran<Value> {
        self.at = id;
        match self.kind(id) {
            Kind::Dot => Ok(dot.clone()),
            Kind::Field(names) => self.fields(id, dot.clone(), names, false),
            Kind::Variable(names) => self.variable(id, names, &[], false),
            Kind::Pipe { .. } => self.deeper(|run| run.pipeline(id, dot)),
            Kind::Identifier(name) => self.function(id, name, &[], None, dot),
            Kind::Chain { node, fields } => self.deeper(|run| run.chain(id, *node, fields, false, dot)),
            _ => self.literal(id, Type::Any),
        }
    }

    fn literal(&mut self, id: Id, kind: Type) -> Ran<Value> {
        let shown = || self.trees.nodes.text(id);
        match (kind, self.kind(id)) {
            (Type::Any | Type::Reflect, Kind::Number(number)) => self.constant(id, number),
            (Type::Any | Type::Reflect, Kind::Bool(value)) => Ok(Value::Bool(*value)),
            (Type::Any | Type::Reflect | Type::Text, Kind::Literal { text, .. }) => Ok(text.as_str().into()),
            (Type::Int, Kind::Number(number)) if number.int.is_some() => Ok(Value::Int(number.int.unwrap_or_default())),
            (Type::Text, _) => self.fail(format!("expected string; found {}", shown())),
            (Type::Int, _) => self.fail(format!("expected integer; found {}", shown())),
            (Type::Any | Type::Reflect, _) => {
                self.fail(format!("can't handle assignment of {} to empty interface argument", shown()))
            }
        }
    }

    /// Refuses a value of another type.
    fn fitting(&self, value: Value, kind: Type) -> Ran<Value> {
        let fits = match kind {
            Type::Any | Type::Reflect => true,
            Type::Text => matches!(value, Value::Text(_)),
            Type::Int => matches!(value, Value::Int(_)),
        };
        if fits {
            return Ok(value);
        }
        let wanted = kind.name();
        if value == Value::Nil {
            return self.fail(format!("invalid value; expected {wanted}"));
        }
        self.fail(format!("wrong type for value; expected {wanted}; got {}", value.type_name()))
    }
}
