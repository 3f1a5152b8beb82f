//! The setting `mirrors`: a public name, and the mirrors to fetch it from, in order of preference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Reader, kind_name};
use super::key::seconds;
use super::report::without_password;
use crate::error::{Error, Result};
use crate::template::diagnostic::did_you_mean;

/// Mirrors by public name.
pub type Mirrors = BTreeMap<String, Vec<MirrorSetting>>;

/// One mirror, as the settings have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorSetting {
    /// An `http(s)` URL prefix, or `origin` for the public name itself.
    pub url: String,
    /// The user to be there.
    pub user: Option<String>,
    /// Where the user's password is.
    pub password: Option<Secret>,
    /// Where a token is.
    pub token: Option<Secret>,
    /// A file in netrc form (also apt's `auth.conf`) that has user and password for the mirror's host.
    pub netrc_file: Option<PathBuf>,
    /// PEM files trusted of the mirror's host, besides what is trusted anyway.
    pub ca_files: Vec<PathBuf>,
    /// Other prefixes by which the mirror calls itself.
    pub aliases: Vec<String>,
    /// Whether what clients send for the public name is sent to the mirror.
    pub client_credentials: bool,
    /// How long it may take to begin an answer, where there is another.
    pub patience: Option<Duration>,
}

/// Where a secret is. The settings never hold one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a variable of the environment.
    Env(String),
    /// In a file, of which it is the whole content but for a line's end.
    File(PathBuf),
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the variable {name}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Keys of the long form.
const KEYS: [&str; 11] = [
    "url",
    "user",
    "password_env",
    "password_file",
    "token_env",
    "token_file",
    "netrc_file",
    "ca_file",
    "aliases",
    "client_credentials",
    "patience",
];

impl MirrorSetting {
    /// A mirror without anything special.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// As shown: the URL alone where there is nothing else.
    fn shown(&self) -> Value {
        if *self == Self::at(self.url.clone()) { json!(without_password(&self.url)) } else { self.described() }
    }

    /// Everything that is set, by the keys of a settings file.
    pub(crate) fn described(&self) -> Value {
        let url = without_password(&self.url);
        let mut all = Map::from_iter([("url".to_owned(), json!(url))]);
        let path = |path: &Path| json!(path.to_string_lossy());
        let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
        if let Some(user) = &self.user {
            put("user", json!(user));
        }
        for (name, secret) in [("password", &self.password), ("token", &self.token)] {
            match secret {
                Some(Secret::Env(variable)) => put(&format!("{name}_env"), json!(variable)),
                Some(Secret::File(file)) => put(&format!("{name}_file"), path(file)),
                None => {}
            }
        }
        if let Some(file) = &self.netrc_file {
            put("netrc_file", path(file));
        }
        if !self.ca_files.is_empty() {
            put("ca_file", self.ca_files.iter().map(|file| path(file)).collect());
        }
        if !self.aliases.is_empty() {
            put("aliases", json!(self.aliases));
        }
        if self.client_credentials {
            put("client_credentials", json!(true));
        }
        if let Some(patience) = self.patience {
            put("patience", json!(format!("{}s", patience.as_secs())));
        }
        Value::Object(all)
    }
}

/// All of them as shown.
pub(super) fn shown(mirrors: &Mirrors) -> Value {
    let one = |(from, to): (&String, &Vec<MirrorSetting>)| {
        let value = match to.as_slice() {
            [only] => only.shown(),
            several => several.iter().map(MirrorSetting::shown).collect(),
        };
        (from.clone(), value)
    };
    Value::Object(mirrors.iter().map(one).collect())
}

/// Reads `FROM=TO,FROM=TO`; a name that comes again has one more mirror.
pub(super) fn of_pairs<'a>(pairs: impl Iterator<Item = &'a str>) -> Result<Mirrors, String> {
    let mut mirrors = Mirrors::new();
    for pair in pairs {
        let (from, to) = pair.split_once('=').ok_or_else(|| format!("{pair} is not of the form FROM=TO"))?;
        mirrors.entry(from.trim().to_owned()).or_default().push(MirrorSetting::at(to.trim()));
    }
    Ok(mirrors)
}

/// Reads the table of a file: a URL, a table, or a list of either for each name.
pub(super) fn of_table(reader: &Reader<'_>, table: &DeTable<'_>) -> Result<Mirrors> {
    let mut mirrors = Mirrors::new();
    for (name, value) in table {
        let name: &str = name.get_ref().as_ref();
        let list = match value.get_ref() {
            DeValue::Array(items) if items.is_empty() => {
                return Err(reader.error(value.span(), &format!("`mirrors.\"{name}\"` names no mirror")));
            }
            DeValue::Array(items) => items.iter().map(|item| one(reader, name, item)).collect::<Result<_>>()?,
            _ => vec![one(reader, name, value)?],
        };
        mirrors.insert(name.to_owned(), list);
    }
    Ok(mirrors)
}

fn one(reader: &Reader<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Result<MirrorSetting> {
    match value.get_ref() {
        DeValue::String(url) => Ok(MirrorSetting::at(url.clone())),
        DeValue::Table(table) => long(reader, name, value, table),
        other => Err(reader.error(
            value.span(),
            &format!("a mirror in `mirrors` is a URL, or a table with `url`, not {}", kind_name(other)),
        )),
    }
}

fn long(reader: &Reader<'_>, name: &str, whole: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<MirrorSetting> {
    let mut mirror = MirrorSetting::default();
    for (key, value) in table {
        let known: &str = key.get_ref().as_ref();
        let wrong = |expected: &str| {
            let what = format!("`{known}` of a mirror is {expected}, not {}", kind_name(value.get_ref()));
            reader.error(value.span(), &what)
        };
        let text = || match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(wrong("a string")),
        };
        let texts = || match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(text.clone().into_owned()),
                    _ => Err(wrong("a list of strings")),
                })
                .collect(),
            _ => text().map(|one| vec![one]),
        };
        let file = || text().map(|text| PathBuf::from(reader.resolve(&text)));
        match known {
            "url" => mirror.url = text()?,
            "user" => mirror.user = Some(text()?),
            "password_env" => mirror.password = Some(Secret::Env(text()?)),
            "password_file" => mirror.password = Some(Secret::File(file()?)),
            "token_env" => mirror.token = Some(Secret::Env(text()?)),
            "token_file" => mirror.token = Some(Secret::File(file()?)),
            "netrc_file" => mirror.netrc_file = Some(file()?),
            "ca_file" => mirror.ca_files = texts()?.iter().map(|text| PathBuf::from(reader.resolve(text))).collect(),
            "aliases" => mirror.aliases = texts()?,
            "client_credentials" => match value.get_ref() {
                DeValue::Boolean(yes) => mirror.client_credentials = *yes,
                _ => return Err(wrong("true or false")),
            },
            "patience" => {
                let length = seconds(&text()?).map_err(|why| reader.error(value.span(), &why))?;
                mirror.patience = Some(Duration::from_secs(length)).filter(|length| !length.is_zero());
            }
            "password" | "token" => {
                let what = format!("a mirror's {known} is not kept in a settings file");
                return Err(reader
                    .error(key.span(), &what)
                    .hint(format!("name what holds it: `{known}_env = \"VARIABLE\"` or `{known}_file = \"FILE\"`")));
            }
            _ => {
                let near = did_you_mean(known, KEYS);
                let hint = near.map_or_else(
                    || format!("a mirror has: {}", KEYS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(reader.error(key.span(), &format!("a mirror has no `{known}`")).hint(hint));
            }
        }
    }
    check(&mirror).map_err(|why| reader.error(whole.span(), &format!("the mirror for {name} {why}")))?;
    Ok(mirror)
}

fn check(mirror: &MirrorSetting) -> std::result::Result<(), &'static str> {
    let ways = [mirror.password.is_some(), mirror.token.is_some(), mirror.netrc_file.is_some()];
    if mirror.url.is_empty() {
        return Err("has no `url`");
    }
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err("has credentials of several kinds: name a password, a token or a netrc file");
    }
    match (&mirror.user, &mirror.password) {
        (Some(_), None) => Err("has a `user`, and neither `password_env` nor `password_file`"),
        (None, Some(_)) => Err("has a password, and no `user`"),
        _ => Ok(()),
    }
}

impl Secret {
    /// The secret itself.
    pub(crate) fn read(&self, env: &BTreeMap<String, String>) -> Result<String> {
        match self {
            Self::Env(name) => env.get(name).filter(|value| !value.is_empty()).cloned().ok_or_else(|| {
                Error::new(format!("the variable {name} is not set"))
                    .hint(format!("set {name}, or name a file that holds the secret in its place"))
            }),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::new(format!("cannot read {}", path.display())).caused_by(error))?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
    }
}
