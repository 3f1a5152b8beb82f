//! Operators, and steps into values.

use super::{Parse, Parser};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::ast::{Binary, BinaryOperator, Conditional, Expr, ExprKind, Step, UnaryOperator};
use crate::template::hcl::syntax::token::{Token, TokenKind};

/// The operator a token is between two values, and how tightly it binds.
pub(super) fn operator(kind: TokenKind) -> Option<(BinaryOperator, usize)> {
    Some(match kind {
        TokenKind::Or => (BinaryOperator::Or, 1),
        TokenKind::And => (BinaryOperator::And, 2),
        TokenKind::EqualOp => (BinaryOperator::Equal, 3),
        TokenKind::NotEqual => (BinaryOperator::NotEqual, 3),
        TokenKind::Less => (BinaryOperator::Less, 4),
        TokenKind::LessEqual => (BinaryOperator::LessEqual, 4),
        TokenKind::Greater => (BinaryOperator::Greater, 4),
        TokenKind::GreaterEqual => (BinaryOperator::GreaterEqual, 4),
        TokenKind::Plus => (BinaryOperator::Add, 5),
        TokenKind::Minus => (BinaryOperator::Subtract, 5),
        TokenKind::Star => (BinaryOperator::Multiply, 6),
        TokenKind::Slash => (BinaryOperator::Divide, 6),
        TokenKind::Percent => (BinaryOperator::Remainder, 6),
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression, as long as it can be.
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.nested(Self::conditional)
    }

    fn conditional(&mut self) -> Parse<Expr> {
        let condition = self.binary(1)?;
        let Some(question) = self.take(TokenKind::Question) else { return Ok(condition) };
        let yes = self.expression()?;
        if self.take(TokenKind::Colon).is_none() {
            let found = self.peek();
            let error = Diagnostic::error("a `:` and the value for false are missing").at(self.span(found));
            let error = error.detail(format!("found {}", self.describe(found)));
            let question = self.span(question);
            return Err(self.report(error.see(question, "the condition ends here")));
        }
        let no = self.expression()?;
        let span = condition.span.to(no.span);
        Ok(Expr { kind: ExprKind::Conditional(Box::new(Conditional { condition, yes, no })), span })
    }

    /// Values with operators between them that bind at least as tightly as `level`.
    fn binary(&mut self, level: usize) -> Parse<Expr> {
        let mut left = self.unary()?;
        while let Some((operator, binds)) = operator(self.peek_kind()).filter(|(_, binds)| *binds >= level) {
            self.next();
            self.raise()?;
            let right = self.binary(binds + 1)?;
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary(Box::new(Binary { left, operator, right })), span };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parse<Expr> {
        let token = self.peek();
        let operator = match token.kind {
            TokenKind::Minus => UnaryOperator::Negate,
            TokenKind::Bang => UnaryOperator::Not,
            _ => return self.value(),
        };
        self.next();
        let operand = self.nested(Self::unary)?;
        let span = self.span(token).to(operand.span);
        Ok(Expr { kind: ExprKind::Unary(operator, Box::new(operand)), span })
    }

    /// A term and the steps after it.
    fn value(&mut self) -> Parse<Expr> {
        let start = self.peek().start();
        let root = self.term()?;
        let steps = self.steps()?;
        if steps.is_empty() {
            return Ok(root);
        }
        let span = self.span_from(start);
        Ok(Expr { kind: ExprKind::Traversal(Box::new(root), steps), span })
    }

    fn steps(&mut self) -> Parse<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let token = self.peek();
            match token.kind {
                TokenKind::Dot => {
                    self.next();
                    let step = match self.take(TokenKind::Star) {
                        Some(star) => Step::Splat(self.dotted()?, self.span(token).to(self.span(star))),
                        None => self.after_dot(token)?,
                    };
                    steps.push(step);
                }
                TokenKind::OpenBracket => {
                    let step = self.bracket()?;
                    let ends = matches!(step, Step::Splat(..));
                    steps.push(step);
                    if ends {
                        return Ok(steps);
                    }
                }
                _ => return Ok(steps),
            }
        }
    }

    /// `.name` and `.0` after a `.*`.
    fn dotted(&mut self) -> Parse<Vec<Step>> {
        let mut steps = Vec::new();
        while let Some(dot) = self.take(TokenKind::Dot) {
            steps.push(self.after_dot(dot)?);
        }
        Ok(steps)
    }

    /// A name or an index.
    fn after_dot(&mut self, dot: Token) -> Parse<Step> {
        let token = self.peek();
        match token.kind {
            TokenKind::Identifier => {
                self.next();
                Ok(Step::Attribute(self.name(token)))
            }
            TokenKind::Number => {
                self.next();
                let text = token.text(self.text);
                let span = self.span(token);
                if text.bytes().all(|byte| byte.is_ascii_digit()) {
                    let key = Expr { kind: ExprKind::Number(text.into()), span };
                    return Ok(Step::Index(key, self.span(dot).to(span)));
                }
                let hint = format!("write [{}]", text.replace('.', "]["));
                Err(self.report(Diagnostic::error("this is no index").at(span).hint(hint)))
            }
            TokenKind::Star => {
                let error = Diagnostic::error("`.*` takes names and indexes after it, and no other `*`");
                Err(self.report(error.at(self.span(token)).hint("write [*] for either")))
            }
            _ => Err(self.unexpected(token, "a name or an index is needed after the dot")),
        }
    }

    /// `[key]`, or `[*]` with all the steps after it, which are taken from each element.
    fn bracket(&mut self) -> Parse<Step> {
        let open = self.next();
        if self.take(TokenKind::Star).is_some() {
            self.close(open, TokenKind::CloseBracket)?;
            let span = self.span_from(open.start());
            return Ok(Step::Splat(self.nested(Self::steps)?, span));
        }
        let key = self.with_newlines(false, |parser| {
            let key = parser.expression();
            parser.closed(open, TokenKind::CloseBracket, key)
        })?;
        Ok(Step::Index(key, self.span_from(open.start())))
    }
}
