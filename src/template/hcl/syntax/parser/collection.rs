//! Terms, and what is in brackets.

use super::{Failed, Parse, Parser};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::ast::{Call, Expr, ExprKind, For, ForNames, Item, Key, Name};
use crate::template::hcl::syntax::token::{Token, TokenKind};

impl Parser<'_> {
    /// A value without operators or steps.
    pub(super) fn term(&mut self) -> Parse<Expr> {
        let token = self.peek();
        let kind = match token.kind {
            TokenKind::Number => {
                self.next();
                self.number(token)?
            }
            TokenKind::Identifier => {
                self.next();
                self.word(token)?
            }
            TokenKind::OpenQuote | TokenKind::OpenHeredoc => return self.template(),
            TokenKind::OpenParen => {
                self.next();
                let inner = self.with_newlines(false, |parser| {
                    let inner = parser.expression();
                    parser.closed(token, TokenKind::CloseParen, inner)
                })?;
                ExprKind::Parenthesis(Box::new(inner))
            }
            TokenKind::OpenBracket => {
                self.next();
                self.with_newlines(false, |parser| parser.tuple(token))?
            }
            TokenKind::OpenBrace => {
                self.next();
                self.object(token)?
            }
            _ => return Err(self.no_value(token)),
        };
        Ok(Expr { kind, span: self.span_from(token.start()) })
    }

    fn no_value(&mut self, token: Token) -> Failed {
        let error = Diagnostic::error("a value is needed here").at(self.span(token));
        let error = error.detail(format!("found {}", self.describe(token)));
        let error = match token.kind {
            TokenKind::Newline => {
                error.hint("the value stands on the line of its name; it may go on in further lines within brackets")
            }
            _ => self.with_hint(error, token),
        };
        self.report(error)
    }

    /// A keyword, a call or a variable.
    fn word(&mut self, token: Token) -> Parse<ExprKind> {
        let name = self.name(token);
        if let Some(open) = self.take(TokenKind::OpenParen) {
            return self.with_newlines(false, |parser| parser.call(name, open)).map(ExprKind::Call);
        }
        Ok(match &*name.text {
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "null" => ExprKind::Null,
            _ => ExprKind::Variable(name),
        })
    }

    /// Arguments up to the closing bracket.
    fn call(&mut self, name: Name, open: Token) -> Parse<Call> {
        let mut call = Call { name, arguments: Vec::new(), expand: false };
        let mut failed = false;
        while self.take(TokenKind::CloseParen).is_none() {
            failed |= self.element(open, &mut call.arguments)?;
            if let Some(dots) = self.take(TokenKind::Ellipsis) {
                call.expand = true;
                if self.take(TokenKind::CloseParen).is_none() {
                    let error = Diagnostic::error("`...` follows the last argument").at(self.span(dots));
                    self.report(error.hint("only the last argument can be a list of arguments"));
                    return self.skip_to_close(open).map(|()| call);
                }
                break;
            }
            if !self.separator(open, TokenKind::CloseParen, &mut failed)? {
                break;
            }
        }
        Ok(call)
    }

    /// Elements up to the closing bracket, or a `for`.
    fn tuple(&mut self, open: Token) -> Parse<ExprKind> {
        if self.is_word("for") {
            return self.for_expr(open, TokenKind::CloseBracket);
        }
        let mut elements = Vec::new();
        let mut failed = false;
        while self.take(TokenKind::CloseBracket).is_none() {
            failed |= self.element(open, &mut elements)?;
            if !self.separator(open, TokenKind::CloseBracket, &mut failed)? {
                break;
            }
        }
        Ok(ExprKind::Tuple(elements))
    }

    /// One of several values. Says whether it could not be read, and the next can be all the same.
    fn element(&mut self, open: Token, elements: &mut Vec<Expr>) -> Parse<bool> {
        let first = self.peek();
        if first.kind == TokenKind::End || self.is_root_block() {
            self.unclosed(open, first);
            return Err(Failed);
        }
        match self.expression() {
            Ok(element) => {
                let failed = element.kind == ExprKind::Error;
                elements.push(element);
                Ok(failed)
            }
            Err(Failed) if self.skip_element(open.kind, true, false) => {
                elements.push(Expr { kind: ExprKind::Error, span: self.span_from(first.start()) });
                Ok(true)
            }
            Err(Failed) => Err(Failed),
        }
    }

    /// Takes a comma, or what closes. Says whether more may come. Where something has `failed` already, what is missing
    /// here has to do with that.
    fn separator(&mut self, open: Token, close: TokenKind, failed: &mut bool) -> Parse<bool> {
        let token = self.peek();
        if token.kind == TokenKind::Comma {
            self.next();
            *failed = false;
            return Ok(true);
        }
        if token.kind == close {
            self.next();
            return Ok(false);
        }
        let statement = self.is_statement(self.at, open.kind) || self.is_root_block();
        if *failed {
            let more = !statement && self.skip_element(open.kind, true, false);
            return if more { Ok(self.next().kind == TokenKind::Comma) } else { Err(Failed) };
        }
        if token.kind == TokenKind::End || statement || token.kind.nesting() < 0 {
            self.unclosed(open, token);
            return Err(Failed);
        }
        let begins = matches!(
            token.kind,
            TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::OpenQuote
                | TokenKind::OpenHeredoc
                | TokenKind::OpenBrace
                | TokenKind::OpenParen
        );
        if begins {
            self.report(Diagnostic::error("a comma is missing before this").at(self.span(token)));
            *failed = true;
            return Ok(true);
        }
        self.unexpected(token, &format!("a comma or the end of what {} begins is needed here", self.describe(open)));
        self.skip_to_close(open).map(|()| false)
    }

    /// Names and values up to the closing brace, or a `for`.
    fn object(&mut self, open: Token) -> Parse<ExprKind> {
        if self.with_newlines(false, |parser| parser.is_word("for")) {
            return self.with_newlines(false, |parser| parser.for_expr(open, TokenKind::CloseBrace));
        }
        self.with_newlines(true, |parser| {
            let mut items = Vec::new();
            while parser.take(TokenKind::CloseBrace).is_none() {
                if parser.take(TokenKind::Newline).is_none() {
                    parser.item_of_object(open, &mut items)?;
                }
            }
            Ok(ExprKind::Object(items))
        })
    }

    /// One name and value, with the comma or the end of the line after it.
    fn item_of_object(&mut self, open: Token, items: &mut Vec<Item>) -> Parse<()> {
        let first = self.peek();
        let ends = matches!(first.kind, TokenKind::End | TokenKind::CloseBracket | TokenKind::CloseParen);
        if ends || self.is_root_block() {
            self.unclosed(open, first);
            return Err(Failed);
        }
        match self.key_and_value() {
            Ok(item) => {
                let failed = item.value.kind == ExprKind::Error;
                items.push(item);
                self.item_end(failed, open)
            }
            Err(Failed) => self.skip_item(open),
        }
    }

    fn item_end(&mut self, failed: bool, open: Token) -> Parse<()> {
        let token = self.peek();
        match token.kind {
            TokenKind::Comma => drop(self.next()),
            TokenKind::Newline | TokenKind::CloseBrace | TokenKind::End => {}
            _ if failed => self.skip_item(open)?,
            TokenKind::Identifier | TokenKind::OpenQuote | TokenKind::OpenParen | TokenKind::Number => {
                let error = Diagnostic::error("a comma or a new line is missing before this");
                self.report(error.at(self.span(token)));
            }
            _ => {
                self.unexpected(token, "a comma or a new line is needed here");
                self.skip_item(open)?;
            }
        }
        Ok(())
    }

    /// Goes on after the next comma, or at the next line or the end of the object.
    fn skip_item(&mut self, open: Token) -> Parse<()> {
        if !self.skip_element(open.kind, true, true) {
            return Err(Failed);
        }
        self.take(TokenKind::Comma);
        Ok(())
    }

    fn key_and_value(&mut self) -> Parse<Item> {
        let key = key(self.expression()?);
        let token = self.peek();
        if !matches!(token.kind, TokenKind::Equal | TokenKind::Colon) {
            let error = Diagnostic::error("a key of an object needs a value").at(self.span(token));
            let error = error.detail(format!("found {}", self.describe(token)));
            return Err(self.report(error.hint("write key = value; a key with blanks or dots in it is quoted")));
        }
        self.next();
        Ok(Item { key, value: self.expression()? })
    }

    /// `for` and what follows, with the closing bracket.
    fn for_expr(&mut self, open: Token, close: TokenKind) -> Parse<ExprKind> {
        let read = self.for_parts(close == TokenKind::CloseBrace);
        self.closed(open, close, read).map(|read| ExprKind::For(Box::new(read)))
    }

    fn for_parts(&mut self, object: bool) -> Parse<For> {
        self.next();
        let names = self.for_names()?;
        let collection = self.expression()?;
        if self.take(TokenKind::Colon).is_none() {
            let found = self.peek();
            return Err(self.unexpected(found, "a `:` is needed after what `for` goes through"));
        }
        let first = self.expression()?;
        let arrow = self.take(TokenKind::Arrow);
        let (key, value) = match arrow {
            Some(_) => (Some(first), self.expression()?),
            None => (None, first),
        };
        let dots = self.take(TokenKind::Ellipsis);
        match (object, arrow, dots) {
            (true, None, _) => {
                let error = Diagnostic::error("an object needs a key for each value").at(value.span);
                self.report(error.hint("write {for k, v in x : k => v}, or [for …] for a tuple"));
            }
            (false, Some(token), _) => {
                let error = Diagnostic::error("a tuple has no keys").at(self.span(token));
                self.report(error.hint("write {for …} for an object"));
            }
            (false, None, Some(token)) => {
                let error = Diagnostic::error("`...` puts values of one key together, and a tuple has no keys");
                self.report(error.at(self.span(token)));
            }
            _ => {}
        }
        let mut condition = None;
        if self.is_word("if") {
            self.next();
            condition = Some(self.expression()?);
        }
        Ok(For { names, collection, key, value, group: dots.is_some(), condition })
    }

    /// `value in` or `key, value in`.
    pub(super) fn for_names(&mut self) -> Parse<ForNames> {
        let mut names = ForNames { key: None, value: self.for_name()? };
        if self.take(TokenKind::Comma).is_some() {
            names = ForNames { key: Some(names.value), value: self.for_name()? };
        }
        if !self.is_word("in") {
            let found = self.peek();
            return Err(self.unexpected(found, "`in` is needed after the names of `for`"));
        }
        self.next();
        Ok(names)
    }

    fn for_name(&mut self) -> Parse<Name> {
        let token = self.peek();
        self.take_name().ok_or_else(|| self.unexpected(token, "`for` needs a name for each element"))
    }

    /// Takes what closes a bracket.
    pub(super) fn close(&mut self, open: Token, close: TokenKind) -> Parse<()> {
        if self.take(close).is_some() {
            return Ok(());
        }
        let token = self.peek();
        if token.kind == TokenKind::End || self.is_statement(self.at, open.kind) || self.is_root_block() {
            self.unclosed(open, token);
        } else {
            self.unexpected(token, &format!("what {} begins should end here", self.describe(open)));
        }
        Err(Failed)
    }

    /// Takes what closes a bracket after what is in it. Where that is broken the bracket is none the less.
    pub(super) fn closed<T>(&mut self, open: Token, close: TokenKind, inner: Parse<T>) -> Parse<T> {
        match inner.and_then(|inner| self.close(open, close).map(|()| inner)) {
            Ok(inner) => Ok(inner),
            Err(Failed) => {
                self.skip_to_close(open)?;
                Err(Failed)
            }
        }
    }

    fn skip_to_close(&mut self, open: Token) -> Parse<()> {
        if !self.skip_element(open.kind, false, false) {
            return Err(Failed);
        }
        self.next();
        Ok(())
    }
}

/// A name, or a word with a meaning, stands for itself as a key.
fn key(expr: Expr) -> Key {
    let text = match &expr.kind {
        ExprKind::Variable(name) => return Key::Name(name.clone()),
        ExprKind::Null => "null",
        ExprKind::Bool(true) => "true",
        ExprKind::Bool(false) => "false",
        _ => return Key::Expr(expr),
    };
    Key::Name(Name { text: text.into(), span: expr.span })
}
