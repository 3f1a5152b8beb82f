//! Files to blocks and attributes.
//!
//! Evaluation uses `hcl-edit`'s. Of what is wrong the parser of our own has more to say.

use super::{Depth, Loading};
use crate::template::diagnostic::Diagnostics;
use crate::template::hcl::parse::{Placed, parse};
use crate::template::hcl::syntax;
use crate::template::json::native::to_native;
use crate::template::json::parse::Node;
use crate::template::source_map::FileId;

impl Loading<'_> {
    /// Those of a file in HCL.
    pub(super) fn native_structures(&mut self, file: FileId, text: &str) -> Vec<Placed> {
        let mut found = Diagnostics::default();
        syntax::parser::parse(file, text, &mut found);
        let mut others = Diagnostics::default();
        let structures = parse(file, text, &mut others);
        self.diagnostics.extend(if found.has_errors() { found } else { others });
        structures
    }

    /// Those of a file in JSON.
    pub(super) fn json_structures(&mut self, root: &Node) -> Vec<Placed> {
        let mut found = Diagnostics::default();
        if self.options.depth == Depth::Syntax {
            syntax::json::body(root, &self.source_map, &mut found);
        }
        let mut others = Diagnostics::default();
        let made = to_native(root, &mut others);
        let file = self.source_map.add_made(made.text.clone(), made.made_of);
        let structures = parse(file, &made.text, &mut others);
        self.diagnostics.extend(if found.has_errors() { found } else { others });
        structures
    }
}
