//! The `packer` block: versions and plugins a template asks for.

use hcl_edit::Span as _;
use hcl_edit::structure::Block;

use super::body::header_span;
use super::diagnostic::Diagnostic;
use super::hcl::eval::Origin;
use super::hcl::value::Value;
use super::load::Loading;
use super::source_map::Span;

/// A plugin a template asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredPlugin {
    /// The name components are used by.
    pub name: String,
    /// Where it comes from, such as `github.com/hashicorp/qemu`.
    pub source: String,
    /// Versions that will do, such as `>= 1.0.0`; empty for any.
    pub version: String,
    /// Where it is asked for.
    pub span: Span,
}

impl Loading<'_> {
    /// Reads a `packer` block.
    pub(crate) fn packer_block(&mut self, block: &Block, origin: Origin) {
        const OPTIONS: &[&str] = &["required_version", "required_plugins"];
        for attribute in block.body.attributes() {
            let span = origin.span(attribute.key.span());
            if attribute.key.as_str() != "required_version" {
                self.unknown_option(attribute.key.as_str(), span, "the packer block", OPTIONS);
                continue;
            }
            let constraint = self.constant_text(&attribute.value, origin);
            let span = origin.span(attribute.value.span());
            let version = self.options.packer_version.clone();
            match satisfies(&version, &constraint) {
                Some(true) => {}
                Some(false) => self.report(
                    Diagnostic::error(format!("the template needs version {constraint}"))
                        .at(span)
                        .detail(format!("this program behaves as version {version}"))
                        .hint("change required_version if the template works all the same"),
                ),
                None => self.report(
                    Diagnostic::error("this is not a version constraint")
                        .at(span)
                        .hint("write it like \">= 1.7.0, < 2.0.0\""),
                ),
            }
        }
        for inner in block.body.blocks() {
            match inner.ident.as_str() {
                "required_plugins" => self.required_plugins(inner, origin),
                other => self.unknown_option(other, header_span(inner, origin), "the packer block", OPTIONS),
            }
        }
    }

    fn required_plugins(&mut self, block: &Block, origin: Origin) {
        for attribute in block.body.attributes() {
            let span = origin.span(attribute.key.span());
            let value = self.evaluate(&attribute.value, origin);
            let text = |name: &str| value.entries().and_then(|entries| entries.get(name)).and_then(Value::scalar_text);
            let Some(source) = text("source") else {
                self.report(
                    Diagnostic::error("a required plugin needs a `source`")
                        .at(span)
                        .hint("write name = { source = \"github.com/owner/name\", version = \">= 1.0.0\" }"),
                );
                continue;
            };
            let version = text("version").unwrap_or_default();
            let name = attribute.key.as_str().to_owned();
            self.required_plugins.push(RequiredPlugin { name, source, version, span });
        }
    }
}

/// Whether a version meets a constraint such as `>= 1.7, < 2`; `None` if either cannot be read.
pub fn satisfies(version: &str, constraint: &str) -> Option<bool> {
    let version = parse_version(version)?;
    let mut met = true;
    for part in constraint.split(',').map(str::trim) {
        let digits = part.find(|c: char| c.is_ascii_digit() || c == 'v')?;
        let (operator, wanted) = part.split_at(digits);
        let places = wanted.split('-').next()?.split('.').count();
        let wanted = parse_version(wanted)?;
        met &= match operator.trim() {
            "" | "=" => version == wanted,
            "!=" => version != wanted,
            ">" => version > wanted,
            ">=" => version >= wanted,
            "<" => version < wanted,
            "<=" => version <= wanted,
            // Only the last place given may be larger.
            "~>" => version >= wanted && version[..places.clamp(2, 3) - 1] == wanted[..places.clamp(2, 3) - 1],
            _ => return None,
        };
    }
    Some(met)
}

fn parse_version(text: &str) -> Option<[u64; 3]> {
    let mut version = [0; 3];
    let numbers = text.trim().trim_start_matches('v').split(['-', '+']).next()?;
    for (index, part) in numbers.split('.').enumerate() {
        *version.get_mut(index)? = part.parse().ok()?;
    }
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::satisfies;

    #[test]
    fn constraints_are_met_or_not() {
        for (constraint, met) in [
            (">= 1.7.0", Some(true)),
            ("> 1.16.0", Some(false)),
            ("~> 1.7", Some(true)),
            ("~> 1.15.0", Some(false)),
            (">= 1.0, < 2.0", Some(true)),
            ("1.16.0", Some(true)),
            ("!= 1.16", Some(false)),
            ("latest", None),
            ("=> 1", None),
        ] {
            assert_eq!(satisfies("1.16.0", constraint), met, "{constraint}");
        }
    }
}
