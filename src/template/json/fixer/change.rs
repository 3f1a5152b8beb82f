//! What a fixer changes, and where.

use super::{Deprecated, FixError, Object, Tree, member};

/// One change of a fixer.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) place: Place,
    pub(super) kinds: Kinds,
    pub(super) change: Change,
}

/// Which components are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Builders,
    /// Builders, of a template that has post-processors.
    BuildersBeforePostProcessors,
    Provisioners,
    /// Post-processors, also those in chains.
    PostProcessors,
}

impl Place {
    /// Whether components of this sort are among those gone through; a source is a builder.
    pub(super) fn has(self, sort: &str) -> bool {
        match self {
            Self::Builders | Self::BuildersBeforePostProcessors => matches!(sort, "builder" | "source"),
            Self::Provisioners => sort == "provisioner",
            Self::PostProcessors => sort == "post-processor",
        }
    }
}

/// Which kinds of components are changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kinds {
    Any,
    Are(&'static [&'static str]),
    Prefix(&'static str),
}

/// A change to the options of a component.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The option gets another name.
    Rename { from: &'static str, to: &'static str, of: Of, existing: Existing },
    /// The option is taken away.
    Remove(&'static str),
    /// The component becomes one of this kind.
    Retype(&'static str),
    /// Something of its own, which takes away these options.
    By(&'static [&'static str], fn(&mut Object)),
    /// The same, where a value can make it fail.
    Try(&'static [&'static str], fn(&mut Object) -> Result<(), FixError>),
}

/// The values that are moved to the new name; others stay where they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Any,
    String,
    Bool,
}

/// What happens where there is an option of the new name already.
#[derive(Clone, Copy, Debug)]
pub(super) enum Existing {
    /// It gets the value of the old one.
    Replace,
    /// It stays, and the old one goes if it could have been moved.
    Keep,
    /// It stays, and the old one goes.
    KeepAlways,
}

impl Kinds {
    pub(super) fn hold(self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Are(kinds) => kinds.contains(&kind),
            Self::Prefix(prefix) => kind.starts_with(prefix),
        }
    }

    /// Whether the component is of one of these kinds.
    fn are_of(self, component: &Object) -> bool {
        match self {
            Self::Any => true,
            _ => component.get("type").and_then(Tree::as_str).is_some_and(|kind| self.hold(kind)),
        }
    }
}

impl Of {
    fn holds(self, value: &Tree) -> bool {
        match self {
            Self::Any => true,
            Self::String => matches!(value, Tree::String(_)),
            Self::Bool => matches!(value, Tree::Bool(_)),
        }
    }
}

impl Change {
    pub(super) fn deprecates(&self) -> impl Iterator<Item = Deprecated> {
        let (options, replaced_by): (&[&'static str], _) = match self {
            Self::Rename { from, to, .. } => (std::slice::from_ref(from), Some(*to)),
            Self::Remove(option) => (std::slice::from_ref(option), None),
            Self::Retype(_) => (&[], None),
            Self::By(options, _) | Self::Try(options, _) => (options, None),
        };
        options.iter().map(move |option| Deprecated { option, replaced_by })
    }

    fn apply(&self, component: &mut Object) -> Result<(), FixError> {
        match *self {
            Self::Rename { from, to, of, existing } => rename(component, from, to, of, existing),
            Self::Remove(option) => {
                component.remove(option);
            }
            Self::Retype(kind) => {
                component.insert("type".to_owned(), Tree::String(kind.to_owned()));
            }
            Self::By(_, change) => change(component),
            Self::Try(_, change) => change(component)?,
        }
        Ok(())
    }
}

fn rename(component: &mut Object, from: &str, to: &str, of: Of, existing: Existing) {
    let there = component.contains_key(to);
    let Some(value) = component.get(from) else { return };
    let goes = of.holds(value) || (there && matches!(existing, Existing::KeepAlways));
    if !goes {
        return;
    }
    let value = component.remove(from);
    if let (Some(value), true) = (value, !there || matches!(existing, Existing::Replace)) {
        component.insert(to.to_owned(), value);
    }
}

impl Rule {
    pub(super) fn apply(&self, root: &mut Object) -> Result<(), FixError> {
        let name = match self.place {
            Place::BuildersBeforePostProcessors => {
                if member(root, "post-processors").is_none_or(|chains| *chains == Tree::Null) {
                    return Ok(());
                }
                "builders"
            }
            Place::Builders => "builders",
            Place::Provisioners => "provisioners",
            Place::PostProcessors => "post-processors",
        };
        let Some(Tree::Array(components)) = member(root, name) else { return Ok(()) };
        for component in components {
            match component {
                Tree::Object(component) => self.change(component)?,
                Tree::Array(chain) if self.place == Place::PostProcessors => {
                    for component in chain {
                        if let Tree::Object(component) = component {
                            self.change(component)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn change(&self, component: &mut Object) -> Result<(), FixError> {
        if self.kinds.are_of(component) { self.change.apply(component) } else { Ok(()) }
    }
}
