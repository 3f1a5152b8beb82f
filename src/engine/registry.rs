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
}

/// Finds a kind in a table. `absent` are kinds Packer has in its core or its common plugins and Larder does not.
///
/// # Errors
/// A diagnostic without a place, to which the caller adds the span of the label.
pub fn find<T: ?Sized>(
    what: &str,
    table: &'static [ComponentType<T>],
    absent: &[&str],
    kind: &str,
) -> Result<&'static ComponentType<T>, Box<Diagnostic>> {
    if let Some(found) = table.iter().find(|entry| entry.kind == kind) {
        return Ok(found);
    }
    let kinds = || table.iter().map(|entry| entry.kind);
    if absent.contains(&kind) {
        return Err(Box::new(
            Diagnostic::error(format!("Larder does not have the {what} `{kind}` yet"))
                .detail("Packer has it")
                .hint(format!("Larder has: {}", kinds().collect::<Vec<_>>().join(", "))),
        ));
    }
    let hint = match did_you_mean(kind, kinds().chain(absent.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("Larder has: {}", kinds().collect::<Vec<_>>().join(", ")),
    };
    Err(Box::new(Diagnostic::error(format!("unknown {what} `{kind}`")).hint(hint)))
}
