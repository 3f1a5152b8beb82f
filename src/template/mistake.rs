//! Mistakes that people make often, and what they meant.

use super::diagnostic::Diagnostic;
use super::source_map::Span;

/// What to write instead of a block at the root of a template, where it is no slip of the pen.
pub(crate) fn misplaced_block(name: &str) -> Option<&'static str> {
    Some(match name {
        "builders" | "builder" => {
            "this is how JSON templates have it; in HCL2: source \"TYPE\" \"NAME\" { … }, and build { sources = […] }"
        }
        "provisioners" => "this is how JSON templates have it; in HCL2: provisioner \"TYPE\" { … } within build { … }",
        "post_processors" => {
            "this is how JSON templates have it; in HCL2: post-processor \"TYPE\" { … } within build { … }"
        }
        "provisioner" | "post-processor" | "post-processors" | "error-cleanup-provisioner" => {
            "it belongs within build { … }"
        }
        "sources" => "write source \"TYPE\" \"NAME\" { … } for each; `sources = […]` belongs within build { … }",
        "resource" | "provider" | "module" | "output" | "terraform" => {
            "Terraform has such blocks; templates have source and build"
        }
        "required_plugins" => "it belongs within packer { … }",
        _ => return None,
    })
}

/// A block that takes no label and has one.
pub(crate) fn label_too_many(kind: &str, label: &str, span: Span) -> Option<Diagnostic> {
    let hint = match kind {
        "build" => format!("its name is an option: build {{ name = \"{label}\" … }}"),
        "locals" => format!("for one value: local \"{label}\" {{ expression = … }}"),
        "variables" => format!("for one variable: variable \"{label}\" {{ … }}"),
        "packer" | "hcp_packer_registry" => format!("write {kind} {{ … }}"),
        _ => return None,
    };
    Some(Diagnostic::error(format!("`{kind}` takes no label")).at(span).hint(hint))
}
