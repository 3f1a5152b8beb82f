//! Local values, which may use each other in any order.

use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::hcl::syntax::ast::{Block, Expr};
use super::load::Loading;
use super::source_map::Span;

/// A local value as declared.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) expr: Arc<Expr>,
    pub(crate) sensitive: bool,
    pub(crate) span: Span,
}

impl Loading<'_> {
    /// Declares a `local` block.
    pub(crate) fn declare_local(&mut self, block: &Block) {
        let Some(name) = self.label(block, "local \"name\" { expression = … }") else { return };
        let sensitive = block.body.attribute("sensitive").is_some_and(|found| self.constant_bool(&found.value));
        for attribute in &block.body.attributes {
            if !matches!(&*attribute.name.text, "expression" | "sensitive") {
                self.unknown_option(&attribute.name, "a local", &["expression", "sensitive"]);
            }
        }
        self.no_blocks(block, "`local` takes no blocks", "write expression = value");
        match block.body.attribute("expression") {
            Some(attribute) => {
                self.add_local(name, Local { expr: Arc::clone(&attribute.value), sensitive, span: block.header });
            }
            None => self.report(Diagnostic::error("a local needs an `expression`").at(block.header)),
        }
    }

    /// Declares the values of a `locals` block.
    pub(crate) fn declare_locals(&mut self, block: &Block) {
        for attribute in &block.body.attributes {
            let local = Local { expr: Arc::clone(&attribute.value), sensitive: false, span: attribute.name.span };
            self.add_local(attribute.name.text.to_string(), local);
        }
        self.no_blocks(block, "`locals` takes no blocks", "write name = value");
    }

    fn add_local(&mut self, name: String, local: Local) {
        match self.locals.get(&name) {
            Some(first) => {
                let diagnostic = Diagnostic::error(format!("the local `{name}` is defined twice"))
                    .at(local.span)
                    .see(first.span, "first defined here")
                    .hint("remove or rename one of them");
                self.report(diagnostic);
            }
            None => {
                self.locals.insert(name, local);
            }
        }
    }
}
