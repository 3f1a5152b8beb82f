//! Tables of the kinds of components there are.

use crate::template::config::{Config, DecodeContext, Decoded, EvaluatedBody, decode};
use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::schema::Schema;

/// A kind of builder, provisioner or post-processor. `T` is the trait object: `dyn Provisioner`.
pub struct ComponentType<T: ?Sized + 'static> {
    /// Name in the template.
    pub kind: &'static str,
    /// Describes its options.
    pub schema: fn() -> Schema,
    /// Decodes and checks options, and makes the component. Called twice: when the template is validated, with
    /// `build.*` unknown, and right before it runs, with everything known. Has no side effects.
    pub prepare: fn(&EvaluatedBody, DecodeContext<'_>) -> Prepared<T>,
}

impl<T: ?Sized> ComponentType<T> {
    /// A kind whose options are described and whose values need no more looking at, and that cannot run yet.
    pub const fn described<C: Config>(kind: &'static str) -> Self {
        Self {
            kind,
            schema: C::schema,
            prepare: |body, context| Prepared::checked::<C>(body, context, |_| Diagnostics::default()),
        }
    }
}

/// What preparing gave.
pub struct Prepared<T: ?Sized> {
    /// The component; `None` if an option is wrong, or has a value that is not known yet.
    pub component: Option<Box<T>>,
    /// What is wrong with the options.
    pub diagnostics: Diagnostics,
}

impl<T: ?Sized> Prepared<T> {
    /// Decodes the options, checks them, and if nothing is wrong or unknown makes the component.
    pub fn new<C: Config>(
        body: &EvaluatedBody,
        context: DecodeContext<'_>,
        validate: impl FnOnce(&Decoded<C>) -> Diagnostics,
        make: impl FnOnce(C) -> Box<T>,
    ) -> Self {
        let (decoded, mut diagnostics) = decode::<C>(body, context);
        if !diagnostics.has_errors() {
            diagnostics.extend(validate(&decoded));
        }
        let usable = decoded.unknown.is_empty() && !diagnostics.has_errors();
        Self { component: usable.then(|| make(decoded.config)), diagnostics }
    }

    /// Decodes the options and checks them, of a component that is described and cannot run yet.
    pub fn checked<C: Config>(
        body: &EvaluatedBody,
        context: DecodeContext<'_>,
        validate: impl FnOnce(&Decoded<C>) -> Diagnostics,
    ) -> Self {
        let (decoded, mut diagnostics) = decode::<C>(body, context);
        if !diagnostics.has_errors() {
            diagnostics.extend(validate(&decoded));
        }
        Self { component: None, diagnostics }
    }
}

/// The kinds of one sort of component.
pub struct Registry<T: ?Sized + 'static> {
    /// What they are called: `builder`.
    pub what: &'static str,
    /// Those that run.
    pub types: &'static [ComponentType<T>],
    /// Those that have their options described, and cannot run yet.
    pub described: &'static [ComponentType<T>],
    /// The names of those Packer has in its core or its common plugins, and Larder does not.
    pub absent: &'static [&'static str],
}

/// A kind that was found.
pub struct Found<T: ?Sized + 'static> {
    /// The kind.
    pub component: &'static ComponentType<T>,
    /// Whether it can run.
    pub runs: bool,
}

impl<T: ?Sized> Registry<T> {
    /// Finds a kind.
    ///
    /// # Errors
    /// A diagnostic without a place, to which the caller adds the span of the label.
    pub fn find(&self, kind: &str) -> Result<Found<T>, Box<Diagnostic>> {
        let what = self.what;
        if let Some(component) = self.types.iter().find(|entry| entry.kind == kind) {
            return Ok(Found { component, runs: true });
        }
        if let Some(component) = self.described.iter().find(|entry| entry.kind == kind) {
            return Ok(Found { component, runs: false });
        }
        if self.absent.contains(&kind) {
            return Err(Box::new(
                Diagnostic::error(format!("Larder does not have the {what} `{kind}` yet"))
                    .detail("Packer has it")
                    .hint(self.listed()),
            ));
        }
        let described = self.described.iter().map(|entry| entry.kind);
        let names = self.types.iter().map(|entry| entry.kind).chain(described).chain(self.absent.iter().copied());
        let hint = match did_you_mean(kind, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => self.listed(),
        };
        Err(Box::new(Diagnostic::error(format!("unknown {what} `{kind}`")).hint(hint)))
    }

    /// What is said of a kind that cannot run yet, without a place: a warning for those who only look, an error for
    /// those who want it to run.
    pub fn not_built(&self, kind: &str, must_run: bool) -> Diagnostic {
        let summary = format!("Larder cannot run the {} `{kind}` yet", self.what);
        let found = if must_run { Diagnostic::error(summary) } else { Diagnostic::warning(summary) };
        let detail = if must_run { "its options are right" } else { "its options were checked, and nothing more" };
        found.detail(detail).hint(format!("Packer runs it; {}", self.listed()))
    }

    fn listed(&self) -> String {
        format!("Larder has: {}", self.types.iter().map(|entry| entry.kind).collect::<Vec<_>>().join(", "))
    }
}
