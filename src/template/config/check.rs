//! What can be told of the options of a body before they are decoded: unknown names, pairs that exclude each other,
//! names that are out of use.

use std::collections::BTreeSet;

use super::{Content, Decoder, Entry, EvaluatedBody, Item};
use crate::template::diagnostic::{Diagnostic, did_you_mean};
use crate::template::json::fixer::{self, Deprecated, Fixer};
use crate::template::schema::{OptionSchema, Schema};

impl Decoder<'_> {
    /// Reports what is wrong with the options that are set, whatever their values.
    pub(super) fn check(&mut self, body: &EvaluatedBody, schema: &Schema) {
        self.check_names(body, schema);
        for option in &schema.options {
            let is_set = |entry: &&Entry| entry.name == option.name && is_given(&entry.item);
            let Some(entry) = body.entries.iter().find(is_set) else { continue };
            self.check_conflicts(body, option, entry);
            if let Some(replaced_by) = option.traits.replaced_by {
                self.report_replaced(entry, replaced_by);
            }
        }
    }

    fn check_names(&mut self, body: &EvaluatedBody, schema: &Schema) {
        let mut reported = BTreeSet::new();
        for entry in &body.entries {
            if schema.option(&entry.name).is_some() || !reported.insert(&entry.name) {
                continue;
            }
            if reported.len() > MOST_UNKNOWN {
                break;
            }
            let diagnostic = match self.fixer_of(&entry.name) {
                Some(found) => self.gone(entry, found, schema),
                None => self.unknown(entry, schema),
            };
            self.report(diagnostic);
        }
    }

    /// What of the body is being decoded, for a message.
    fn within(&self) -> String {
        if self.path.is_empty() {
            self.context.owner.to_owned()
        } else {
            format!("the block `{}` of {}", self.path.join("."), self.context.owner)
        }
    }

    fn unknown(&self, entry: &Entry, schema: &Schema) -> Diagnostic {
        let names =
            || schema.options.iter().filter(|option| option.traits.replaced_by.is_none()).map(|option| option.name);
        let hint = match did_you_mean(&entry.name, names()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if schema.options.is_empty() => "it has no options".to_owned(),
            None => self.listed(&names().collect::<Vec<_>>()),
        };
        Diagnostic::error(format!("unknown option `{}`", entry.name))
            .at(entry.name_span)
            .detail(format!("{} has no option of this name", self.within()))
            .hint(hint)
    }

    /// The names there are, or where they are listed if there are many.
    fn listed(&self, names: &[&str]) -> String {
        match self.context.component() {
            Some((kind, _)) if self.path.is_empty() && names.len() > MANY => {
                format!("it has {} options: `larder docs {kind}` lists them", names.len())
            }
            _ => format!("it has: {}", names.join(", ")),
        }
    }

    fn fixer_of(&self, option: &str) -> Option<(&'static Fixer, Deprecated)> {
        if !self.path.is_empty() {
            return None;
        }
        let (kind, sort) = self.context.component()?;
        fixer::fixer_of(sort, kind, option)
    }

    /// How to repair what a fixer repairs.
    fn repair(&self, fixer: &Fixer, replaced_by: Option<&str>) -> String {
        match replaced_by {
            _ if self.is_legacy() => format!("`larder fix` repairs it (the fixer {})", fixer.name),
            Some(name) => format!("write `{name}` in its place"),
            None => format!("in legacy templates, `larder fix` does this: {}", fixer.description),
        }
    }

    fn gone(&self, entry: &Entry, (fixer, found): (&'static Fixer, Deprecated), schema: &Schema) -> Diagnostic {
        let replaced_by = found.replaced_by.filter(|name| schema.option(name).is_some());
        let detail = match replaced_by {
            Some(name) => format!("{} has `{name}` in its place", self.within()),
            None => format!("{} has no option of this name any more", self.within()),
        };
        Diagnostic::error(format!("`{}` is out of use", entry.name))
            .at(entry.name_span)
            .detail(detail)
            .hint(self.repair(fixer, replaced_by))
    }

    fn report_replaced(&mut self, entry: &Entry, replaced_by: &str) {
        let hint = match self.fixer_of(&entry.name) {
            Some((fixer, _)) => self.repair(fixer, Some(replaced_by)),
            None => format!("write `{replaced_by}` in its place"),
        };
        self.report(
            Diagnostic::warning(format!("`{}` is deprecated", entry.name))
                .at(entry.name_span)
                .detail(format!("`{replaced_by}` has taken its place"))
                .hint(hint),
        );
    }

    /// Reports pairs that exclude each other once: at the one that comes later.
    fn check_conflicts(&mut self, body: &EvaluatedBody, option: &OptionSchema, entry: &Entry) {
        for name in option.traits.conflicts {
            let Some(other) = body.entries.iter().find(|other| other.name == *name && is_given(&other.item)) else {
                continue;
            };
            let (first, second) = if place(other) < place(entry) { (other, entry) } else { (entry, other) };
            self.report(
                Diagnostic::error(format!("`{}` cannot be used together with `{}`", second.name, first.name))
                    .at(second.name_span.to(second.item.span))
                    .see(first.name_span.to(first.item.span), "set here")
                    .hint("keep one of them"),
            );
        }
    }
}

/// Unknown names of a body that are told of: a body of a million of them is nobody's mistake.
const MOST_UNKNOWN: usize = 100;

/// More options than this are not listed in a hint.
const MANY: usize = 30;

/// Whether an option is set to something: Packer takes null, empty texts and lists, and false for not set.
fn is_given(item: &Item) -> bool {
    let Content::Value(value) = &item.content else { return true };
    let is_empty = value.as_str() == Some("")
        || value.elements().is_some_and(<[_]>::is_empty)
        || value.entries().is_some_and(std::collections::BTreeMap::is_empty)
        || value.as_bool() == Some(false);
    !value.is_null() && !is_empty
}

fn place(entry: &Entry) -> (crate::template::source_map::FileId, usize) {
    (entry.name_span.file, entry.name_span.start)
}
