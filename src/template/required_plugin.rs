//! The `packer` block: versions and plugins a template asks for.

use super::diagnostic::Diagnostic;
use super::hcl::syntax::ast::Block;
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
    pub(crate) fn packer_block(&mut self, block: &Block) {
        const OPTIONS: &[&str] = &["required_version", "required_plugins"];
        for attribute in &block.body.attributes {
            if &*attribute.name.text != "required_version" {
                self.unknown_option(&attribute.name, "the packer block", OPTIONS);
                continue;
            }
            let Some(constraint) = self.constant_text(&attribute.value) else { continue };
            let span = attribute.value.span;
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
        for inner in &block.body.blocks {
            match &*inner.kind.text {
                "required_plugins" => self.required_plugins(inner),
                _ => self.unknown_option(&inner.kind, "the packer block", OPTIONS),
            }
        }
    }

    fn required_plugins(&mut self, block: &Block) {
        for attribute in &block.body.attributes {
            let span = attribute.name.span;
            let value = self.evaluate(&attribute.value);
            if value.is_unknown() {
                continue;
            }
            let name = attribute.name.text.to_string();
            match required(&name, &value, span) {
                Ok(plugin) => self.add_plugin(plugin),
                Err(error) => self.report(error.at(attribute.value.span)),
            }
        }
        self.no_blocks(block, "`required_plugins` takes no blocks", EXAMPLE);
    }

    fn add_plugin(&mut self, plugin: RequiredPlugin) {
        let Some(first) = self.required_plugins.iter().find(|first| first.name == plugin.name) else {
            return self.required_plugins.push(plugin);
        };
        let error = Diagnostic::error(format!("the plugin `{}` is asked for twice", plugin.name)).at(plugin.span);
        self.report(error.see(first.span, "first asked for here").hint("remove one of them"));
    }
}

const EXAMPLE: &str = "write name = { source = \"github.com/owner/name\", version = \">= 1.0.0\" }";

/// The plugin that a value asks for.
fn required(name: &str, value: &Value, span: Span) -> Result<RequiredPlugin, Diagnostic> {
    let Some(entries) = value.entries() else {
        return Err(Diagnostic::error("a required plugin is an object").hint(EXAMPLE));
    };
    if let Some(other) = entries.keys().find(|key| !matches!(key.as_str(), "source" | "version")) {
        return Err(Diagnostic::error(format!("a required plugin has no `{other}`")).hint(EXAMPLE));
    }
    let text = |name: &str| entries.get(name).and_then(Value::scalar_text);
    let Some(source) = text("source") else {
        return Err(Diagnostic::error("a required plugin needs a `source`").hint(EXAMPLE));
    };
    let parts: Vec<&str> = source.split('/').collect();
    let (is_path, last) = (parts.len() >= 3 && parts.iter().all(|part| !part.is_empty()), parts.last().copied());
    if !is_path {
        let error = Diagnostic::error(format!("`{source}` is not where a plugin comes from"));
        return Err(error.hint("write the host, the owner and the name: github.com/owner/name"));
    }
    if let Some(short) = last.and_then(|last| last.strip_prefix("packer-plugin-").or(last.strip_prefix("packer-"))) {
        let error = Diagnostic::error("the name of a plugin does not begin with `packer-`");
        return Err(error.hint(format!("write `{short}` for the last part")));
    }
    let version = text("version").unwrap_or_default();
    if !version.is_empty() && satisfies("0.0.0", &version).is_none() {
        let error = Diagnostic::error(format!("`{version}` is not a version constraint"));
        return Err(error.hint("write it like \">= 1.7.0, < 2.0.0\""));
    }
    Ok(RequiredPlugin { name: name.to_owned(), source, version, span })
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
