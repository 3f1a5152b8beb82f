//! Settings files: TOML, with the place of everything that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{KEYS, Key, Kind, Value};
use super::mirrors;
use super::{proxy_login, upstream};
use crate::bundle::signature::is_key;
use crate::error::{Error, Result};
use crate::template::diagnostic::did_you_mean;

/// Reads a file's text. Relative paths in it are taken from its directory, `~/` from `home`.
pub(super) fn parse(path: &Path, text: &str, home: &Path) -> Result<BTreeMap<&'static str, Value>> {
    let reader = Reader { path, text, home };
    let table = DeTable::parse(text).map_err(|error| {
        let what = error.message().lines().next().unwrap_or("it is not TOML").to_owned();
        reader.error(error.span().unwrap_or(0..0), &what)
    })?;
    let mut values = BTreeMap::new();
    reader.table("", table.get_ref(), &mut values)?;
    Ok(values)
}

pub(super) struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    home: &'a Path,
}

impl Reader<'_> {
    fn table(&self, prefix: &str, table: &DeTable<'_>, values: &mut BTreeMap<&'static str, Value>) -> Result<()> {
        for (name, value) in table {
            let full = format!("{prefix}{}", name.get_ref());
            if let Some(key) = Key::named(&full) {
                values.insert(key.name, self.value(key, value)?);
                continue;
            }
            let inner = format!("{full}.");
            match value.get_ref() {
                DeValue::Table(table) if KEYS.iter().any(|key| key.name.starts_with(&inner)) => {
                    self.table(&inner, table, values)?;
                }
                _ => {
                    let near = did_you_mean(&full, KEYS.iter().map(|key| key.name));
                    let hint = near.map_or_else(
                        || format!("settings are: {}", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    return Err(self.error(name.span(), &format!("there is no setting `{full}`")).hint(hint));
                }
            }
        }
        Ok(())
    }

    fn value(&self, key: &Key, value: &Spanned<DeValue<'_>>) -> Result<Value> {
        let wrong = |expected: &str| {
            self.error(value.span(), &format!("`{}` is {expected}, not {}", key.name, kind_name(value.get_ref())))
        };
        let parsed = |text: &str| {
            key.parse(text).map_err(|why| self.error(value.span(), &format!("cannot use `{}`: {why}", key.name)))
        };
        match (key.kind, value.get_ref()) {
            (Kind::Path, DeValue::String(text)) => Ok(Value::Text(self.resolve(text))),
            (Kind::PathOrUrl(words), DeValue::String(text)) => {
                let is_path = !(text.is_empty() || text.contains("://") || words.contains(&&**text));
                Ok(Value::Text(if is_path { self.resolve(text) } else { text.clone().into_owned() }))
            }
            (Kind::Text | Kind::Word(_) | Kind::Size | Kind::Duration | Kind::Ways, DeValue::String(text)) => {
                parsed(text)
            }
            (Kind::Count | Kind::Size | Kind::Duration, DeValue::Integer(number)) => parsed(&number.to_string()),
            (Kind::Switch, DeValue::Boolean(is_on)) => parsed(if *is_on { "true" } else { "false" }),
            (Kind::List | Kind::Paths | Kind::PublicKeys, DeValue::Array(items)) => {
                let item = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                    DeValue::String(text) if key.kind == Kind::Paths => Ok(self.resolve(text)),
                    DeValue::String(text) if key.kind == Kind::PublicKeys && !is_key(text) => Ok(self.resolve(text)),
                    DeValue::String(text) => Ok(text.clone().into_owned()),
                    other => {
                        Err(self.error(item.span(), &format!("`{}` holds strings, not {}", key.name, kind_name(other))))
                    }
                };
                items.iter().map(item).collect::<Result<_>>().map(Value::List)
            }
            (Kind::Mirrors, DeValue::Table(table)) => mirrors::of_table(self, table).map(Value::Mirrors),
            (Kind::ProxyLogins, DeValue::Array(items)) => proxy_login::of_array(self, items).map(Value::ProxyLogins),
            (Kind::Ways, DeValue::Array(items)) => self.ways(key, items),
            (Kind::Rules, DeValue::Array(items)) => upstream::rules(self, items).map(Value::Rules),
            (Kind::Tls, DeValue::Array(items)) => upstream::tls(self, items).map(Value::Tls),
            (Kind::Map, DeValue::Table(table)) => {
                let pair = |(name, item): (&Spanned<_>, &Spanned<DeValue<'_>>)| match item.get_ref() {
                    DeValue::String(text) => {
                        Ok((AsRef::<str>::as_ref(name.get_ref()).to_owned(), text.clone().into_owned()))
                    }
                    other => {
                        Err(self.error(item.span(), &format!("`{}` holds strings, not {}", key.name, kind_name(other))))
                    }
                };
                table.iter().map(pair).collect::<Result<_>>().map(Value::Map)
            }
            (Kind::Text | Kind::Word(_) | Kind::Path | Kind::PathOrUrl(_), _) => Err(wrong("a string")),
            (Kind::Ways, _) => Err(wrong("a string, or a list of strings")),
            (Kind::Rules | Kind::Tls, _) => Err(wrong(&format!("a list of tables, written `[[{}]]`", key.name))),
            (Kind::Switch, _) => Err(wrong("true or false")),
            (Kind::Count, _) => Err(wrong("a whole number")),
            (Kind::Duration, _) => Err(wrong("a length of time, such as \"30m\"")),
            (Kind::Size, _) => Err(wrong("a size, such as \"20G\"")),
            (Kind::List | Kind::Paths | Kind::PublicKeys, _) => Err(wrong("a list of strings")),
            (Kind::Map, _) => Err(wrong("a table of strings")),
            (Kind::Mirrors, _) => Err(wrong("a table of mirrors")),
            (Kind::ProxyLogins, _) => Err(wrong("a list of tables: [[proxy_login]]")),
        }
    }

    /// Each is checked for itself, so that the place is right; in no way of them is a blank.
    fn ways(&self, key: &Key, items: &[Spanned<DeValue<'_>>]) -> Result<Value> {
        let mut all: Vec<&str> = Vec::new();
        for item in items {
            let DeValue::String(text) = item.get_ref() else {
                let what = format!("`{}` holds strings, not {}", key.name, kind_name(item.get_ref()));
                return Err(self.error(item.span(), &what));
            };
            let wrong = |why| self.error(item.span(), &format!("cannot use `{}`: {why}", key.name));
            key.parse(text).map_err(wrong)?;
            all.push(text);
        }
        Ok(Value::Text(all.join(", ")))
    }

    pub(super) fn resolve(&self, text: &str) -> String {
        let path = match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => self.path.parent().unwrap_or(Path::new("")).join(text),
        };
        path.to_string_lossy().into_owned()
    }

    /// `file:line:column: what`.
    pub(super) fn error(&self, span: Range<usize>, what: &str) -> Error {
        Error::new(format!("{}: {what}", self.place(span)))
    }

    /// `file:line:column`.
    pub(super) fn place(&self, span: Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{}:{line}:{column}", self.path.display())
    }
}

pub(super) fn kind_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
