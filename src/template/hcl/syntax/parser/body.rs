//! Files, blocks and attributes.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Failed, Parse, Parser};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::ast::{Attribute, Block, Body, Expr, ExprKind, Name};
use crate::template::hcl::syntax::token::{Token, TokenKind};
use crate::template::source_map::Span;

/// A body as it is read.
#[derive(Default)]
struct Items {
    attributes: Vec<Attribute>,
    blocks: Vec<Block>,
    /// Where each attribute was set first.
    set: HashMap<Arc<str>, Span>,
}

/// What ended the reading of a body.
enum End {
    /// Its brace, or the end of the file where it is the file's.
    Closed,
    /// The end of the file or the next root block, with a brace missing.
    Unclosed(Token),
}

impl Parser<'_> {
    /// All of the text.
    pub(super) fn file(mut self) -> (Body, Self) {
        let mut items = Items::default();
        while self.peek_kind() != TokenKind::End {
            self.items(&mut items, false);
            if let Some(brace) = self.take(TokenKind::CloseBrace) {
                let error = Diagnostic::error("this `}` closes nothing").at(self.span(brace));
                self.report(error.hint("is there one too many before it?"));
            }
        }
        let span = self.place.of(0..self.text.len());
        (Body { attributes: items.attributes, blocks: items.blocks, span }, self)
    }

    /// Attributes and blocks up to a `}`, which is left, or up to where the body ends without one.
    fn items(&mut self, items: &mut Items, nested: bool) -> End {
        let mut failed = false;
        loop {
            let token = self.peek();
            match token.kind {
                TokenKind::Newline => drop(self.next()),
                TokenKind::End if nested => return End::Unclosed(token),
                TokenKind::CloseBrace | TokenKind::End => return End::Closed,
                _ if nested && self.is_root_block() => return End::Unclosed(token),
                _ => {
                    let start = self.at;
                    self.quiet = false;
                    self.lost &= nested;
                    self.after_failed = failed;
                    failed = self.item(items).is_err();
                    if failed {
                        self.skip_statement(start);
                    }
                }
            }
        }
    }

    /// One attribute or block, with the end of its line.
    fn item(&mut self, items: &mut Items) -> Parse<()> {
        let first = self.peek();
        if first.kind != TokenKind::Identifier {
            return Err(self.no_item(first));
        }
        self.next();
        let next = self.peek();
        match next.kind {
            TokenKind::Equal => {
                self.attribute(first, items)?;
                self.end_of_line(Self::after_attribute)
            }
            TokenKind::OpenBrace | TokenKind::OpenQuote | TokenKind::Identifier => {
                let block = self.nested(|parser| parser.block(first))?;
                items.blocks.push(block);
                self.end_of_line(|parser, token| {
                    parser.unexpected(token, "a block must be alone on its line: nothing may follow its `}`")
                })
            }
            _ => Err(self.no_definition(first, next)),
        }
    }

    fn no_item(&mut self, token: Token) -> Failed {
        if token.kind == TokenKind::OpenQuote {
            let error = Diagnostic::error("names of options and blocks are not quoted").at(self.span(token));
            return self.report(error.hint("write the name without quotes: name = value"));
        }
        if self.after_failed && token.kind != TokenKind::Number {
            // The statement before seems to go on here.
            return Failed;
        }
        self.unexpected(token, "the name of an option or a block is needed here")
    }

    /// A name that neither sets an option nor begins a block.
    fn no_definition(&mut self, name: Token, next: Token) -> Failed {
        let word = name.text(self.text).to_owned();
        let error = Diagnostic::error(format!("`{word}` must be set to a value, or begin a block"));
        match next.kind {
            TokenKind::Colon => {
                let hint = format!("an option is set by `=`: {word} = value");
                self.report(error.at(self.span(next)).detail("found `:`").hint(hint))
            }
            TokenKind::Newline | TokenKind::End | TokenKind::CloseBrace => {
                let hint = format!("write {word} = value, or {word} {{ … }}");
                self.report(error.at(self.span(name)).hint(hint))
            }
            _ => {
                let error = error.at(self.span(next)).detail(format!("found {}", self.describe(next)));
                self.report(self.with_hint(error, next))
            }
        }
    }

    /// `= value` after a name.
    fn attribute(&mut self, name: Token, items: &mut Items) -> Parse<()> {
        self.next();
        let start = name.start();
        let name = self.name(name);
        let value = self.expression();
        // A name that is there with a value that is none is not missing.
        let failed = value.is_err();
        let value = value.unwrap_or(Expr { kind: ExprKind::Error, span: name.span });
        let span = self.span_from(start);
        if let Some(before) = items.set.get(&name.text) {
            let error = Diagnostic::error(format!("`{}` is set twice", name.text)).at(name.span);
            let before = *before;
            self.report(error.see(before, "it was set here"));
        } else {
            items.set.insert(Arc::clone(&name.text), name.span);
            items.attributes.push(Attribute { name, value: Arc::new(value), span });
        }
        if failed { Err(Failed) } else { Ok(()) }
    }

    /// Takes the end of a line, or reports what stands before it. A `}` that follows is taken for that of the body.
    fn end_of_line(&mut self, wrong: fn(&mut Self, Token) -> Failed) -> Parse<()> {
        let token = self.peek();
        match token.kind {
            TokenKind::Newline => drop(self.next()),
            TokenKind::End => {}
            _ if self.is_root_block() => {}
            TokenKind::CloseBrace => drop(wrong(self, token)),
            _ => return Err(wrong(self, token)),
        }
        Ok(())
    }

    fn after_attribute(&mut self, token: Token) -> Failed {
        let span = self.span(token);
        let error = match token.kind {
            TokenKind::CloseBrace => Diagnostic::error("a `}` stands on a line of its own")
                .hint("only `name { option = value }` may be on one line"),
            TokenKind::Comma => Diagnostic::error("options are not separated by commas")
                .hint("write each on a line of its own, without a comma"),
            TokenKind::Identifier | TokenKind::OpenQuote => Diagnostic::error("this does not belong to the value")
                .detail(format!("found {}", self.describe(token)))
                .hint("write each option on a line of its own"),
            _ => {
                let error = Diagnostic::error("this does not belong to the value");
                self.with_hint(error.detail(format!("found {}", self.describe(token))), token)
            }
        };
        self.report(error.at(span))
    }

    /// Labels and body of a block, after its first word.
    fn block(&mut self, kind: Token) -> Parse<Block> {
        let kind_name = self.name(kind);
        let mut labels = Vec::new();
        let open = loop {
            let token = self.peek();
            match token.kind {
                TokenKind::OpenBrace => break self.next(),
                TokenKind::Identifier => labels.extend(self.take_name()),
                TokenKind::OpenQuote => labels.push(self.label()?),
                _ => return Err(self.no_body(kind, token)),
            }
        };
        let header = kind_name.span.to(labels.last().map_or(kind_name.span, |label| label.span));
        let body = Arc::new(self.block_body(open)?);
        Ok(Block { kind: kind_name, labels, body, header, span: self.span_from(kind.start()) })
    }

    fn no_body(&mut self, kind: Token, found: Token) -> Failed {
        let word = kind.text(self.text).to_owned();
        match found.kind {
            TokenKind::Equal => {
                let error =
                    Diagnostic::error("an option has one name, and a block is not set by `=`").at(self.span(found));
                self.report(error.hint(format!("write {word} = value, or {word} \"label\" {{ … }}")))
            }
            TokenKind::Newline | TokenKind::End => {
                let error = Diagnostic::error(format!("the block `{word}` has no body")).at(self.span(kind));
                self.report(error.hint("a `{` follows on the same line, and a `}` below"))
            }
            _ => self.unexpected(found, &format!("a label or the `{{` of the block `{word}` is needed here")),
        }
    }

    /// A quoted label, which is text and nothing else.
    fn label(&mut self) -> Parse<Name> {
        let expr = self.template()?;
        match &expr.kind {
            ExprKind::Template(template) => match template.literal() {
                Some(text) => Ok(Name { text: text.into(), span: expr.span }),
                None => {
                    let error = Diagnostic::error("a label is text, without values in it").at(expr.span);
                    Err(self.report(error.hint("to keep the characters, write $${ for ${ and %%{ for %{")))
                }
            },
            // It has been reported.
            _ => Err(Failed),
        }
    }

    /// What is between the braces of a block, and the closing one.
    fn block_body(&mut self, open: Token) -> Parse<Body> {
        let mut items = Items::default();
        let whole = match self.peek_kind() {
            TokenKind::Newline | TokenKind::End | TokenKind::CloseBrace => true,
            _ => self.single_line(&mut items)?,
        };
        if whole {
            match self.items(&mut items, true) {
                End::Closed => drop(self.next()),
                End::Unclosed(at) => self.unclosed(open, at),
            }
        }
        Ok(Body { attributes: items.attributes, blocks: items.blocks, span: self.span_from(open.start()) })
    }

    /// A block on one line holds one option. Says whether more is in it after all, which has been reported.
    fn single_line(&mut self, items: &mut Items) -> Parse<bool> {
        const HINT: &str = "write each option on a line of its own";
        let first = self.peek();
        if first.kind != TokenKind::Identifier {
            return Err(self.no_item(first));
        }
        self.next();
        let next = self.peek();
        if next.kind != TokenKind::Equal {
            let error = Diagnostic::error("a block on one line holds one option, and no block").at(self.span(next));
            return Err(self.report(error.hint(HINT)));
        }
        self.attribute(first, items)?;
        let next = self.peek();
        if next.kind == TokenKind::CloseBrace {
            self.next();
            return Ok(false);
        }
        let error = Diagnostic::error("a block that begins on one line ends there, after one option");
        let failed = self.report(error.at(self.span(next)).hint(HINT));
        if next.kind == TokenKind::Newline { Ok(true) } else { Err(failed) }
    }
}
