//! Root blocks to what they declare.

use super::{Diagnostic, Loading};
use crate::template::diagnostic::did_you_mean;
use crate::template::hcl::syntax::ast::{Block, Body, Name};
use crate::template::mistake;
use crate::template::source::{self, SourceBlock};

/// What can be at the root of a template.
const ROOT_BLOCKS: &[&str] = &[
    "packer",
    "source",
    "variable",
    "variables",
    "local",
    "locals",
    "data",
    "build",
    "hcp_packer_registry",
    "communicator",
];

impl Loading<'_> {
    /// The blocks at the root; what else is there is reported.
    pub(super) fn root_blocks(&mut self, body: Body, is_json: bool) -> Vec<Block> {
        for attribute in &body.attributes {
            let name = &attribute.name;
            if is_json {
                // What is no known block could be either there.
                self.unknown_option(name, "a template", ROOT_BLOCKS);
                continue;
            }
            self.report(
                Diagnostic::error(format!("`{}` cannot be set outside a block", name.text))
                    .at(name.span)
                    .hint(format!("for a value of your own, write locals {{ {} = … }}", name.text)),
            );
        }
        let (known, unknown): (Vec<Block>, Vec<Block>) =
            body.blocks.into_iter().partition(|block| ROOT_BLOCKS.contains(&&*block.kind.text));
        for block in unknown {
            let name = Name { span: block.header, ..block.kind };
            self.unknown_option(&name, "a template", ROOT_BLOCKS);
        }
        for block in &known {
            let label = block.labels.first();
            if let Some(found) =
                label.and_then(|label| mistake::label_too_many(&block.kind.text, &label.text, block.header))
            {
                self.report(found);
            }
        }
        known
    }

    /// Takes note of all that is declared, but for the builds. Gives the sources.
    pub(super) fn declare(&mut self, blocks: &[Block]) -> Vec<SourceBlock> {
        let mut sources: Vec<SourceBlock> = Vec::new();
        for block in blocks {
            match &*block.kind.text {
                "packer" => self.packer_block(block),
                "variable" => self.declare_variable(block),
                "variables" => self.declare_variables(block),
                "local" => self.declare_local(block),
                "locals" => self.declare_locals(block),
                "source" => self.declare_source(block, &mut sources),
                "data" => self.declare_data(block),
                "hcp_packer_registry" => self.registry(block),
                _ => {}
            }
        }
        sources
    }

    fn declare_source(&mut self, block: &Block, sources: &mut Vec<SourceBlock>) {
        let found = match source::parse(block) {
            Ok(found) => found,
            Err(diagnostic) => return self.report(diagnostic),
        };
        let id = (found.builder_type.clone(), found.name.clone());
        match self.source_index.get(&id).and_then(|at| sources.get(*at)) {
            Some(first) => self.report(
                Diagnostic::error(format!("the source `{}.{}` is declared twice", found.builder_type, found.name))
                    .at(found.block.header)
                    .see(first.block.header, "first declared here")
                    .hint("rename one of them"),
            ),
            None => {
                self.source_index.insert(id, sources.len());
                sources.push(found);
            }
        }
    }

    /// Takes note of a `hcp_packer_registry` block, which means nothing here.
    pub(crate) fn registry(&mut self, block: &Block) {
        if let Some(first) = self.registry {
            let error = Diagnostic::error("there are two `hcp_packer_registry` blocks").at(block.header);
            return self.report(error.see(first, "the first is here").hint("remove one of them"));
        }
        self.registry = Some(block.header);
        let note = Diagnostic::note("`hcp_packer_registry` is left out").at(block.header);
        self.report(note.detail("builds are not published to HCP Packer"));
    }

    /// The only label of a block.
    pub(crate) fn label(&mut self, block: &Block, example: &str) -> Option<String> {
        if let [label] = block.labels.as_slice() {
            return Some(label.text.to_string());
        }
        let detail = format!("it has {}", block.labels.len());
        self.report(
            Diagnostic::error(format!("`{}` needs one label", block.kind.text))
                .at(block.header)
                .detail(detail)
                .hint(format!("write {example}")),
        );
        None
    }

    /// Reports blocks in a block that holds options alone.
    pub(crate) fn no_blocks(&mut self, block: &Block, summary: &str, hint: &str) {
        for inner in &block.body.blocks {
            self.report(Diagnostic::error(summary).at(inner.header).hint(hint));
        }
    }

    /// Reports a name that means nothing where it stands.
    pub(crate) fn unknown_option(&mut self, name: &Name, owner: &str, known: &[&str]) {
        let hint = match mistake::misplaced_block(&name.text).filter(|_| known == ROOT_BLOCKS) {
            Some(meant) => meant.to_owned(),
            None => match did_you_mean(&name.text, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has: {}", known.join(", ")),
            },
        };
        self.report(
            Diagnostic::error(format!("unknown option or block `{}`", name.text))
                .at(name.span)
                .detail(format!("{owner} has none of this name"))
                .hint(hint),
        );
    }
}
