//! The setting `proxy_login`: who Larder is to which proxy, and where the password is. The settings never hold one.

use std::path::PathBuf;

use larder_proxy::upstream::auth::Scheme;
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Reader, kind_name};
use super::report::without_password;
use crate::error::{Error, Result};
use crate::template::diagnostic::did_you_mean;

/// One of them, as the settings have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyLoginSetting {
    /// Name or address of the proxy, without brackets.
    pub host: String,
    /// Its port; `None` for any.
    pub port: Option<u16>,
    /// The user: `jane`, `CORP\jane`, `jane@corp.example.org`.
    pub user: Option<String>,
    /// Where the password is.
    pub password: Option<PasswordPlace>,
    /// The schemes that may be used, the preferred first.
    pub schemes: Option<Vec<Scheme>>,
    /// The proxy's Kerberos service.
    pub service: Option<String>,
    /// Where in which file it stands.
    pub place: String,
}

/// Where a proxy's password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordPlace {
    /// In a variable of the environment.
    Env(String),
    /// On the first line of a file.
    File(PathBuf),
    /// On the first line that a command prints.
    Command(String),
    /// In a file of netrc form, with the user.
    Netrc(PathBuf),
}

const KEYS: [&str; 8] =
    ["proxy", "user", "password_env", "password_file", "password_command", "netrc_file", "schemes", "service"];

impl ProxyLoginSetting {
    /// The proxy as it is written.
    fn proxy(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// As shown: of a command only what is run, for a secret may stand behind it.
    fn shown(&self) -> Value {
        let mut all = Map::from_iter([("proxy".to_owned(), json!(self.proxy()))]);
        let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
        if let Some(user) = &self.user {
            put("user", json!(user));
        }
        match &self.password {
            Some(PasswordPlace::Env(name)) => put("password_env", json!(name)),
            Some(PasswordPlace::File(path)) => put("password_file", json!(path.to_string_lossy())),
            Some(PasswordPlace::Netrc(path)) => put("netrc_file", json!(path.to_string_lossy())),
            Some(PasswordPlace::Command(command)) => {
                let mut words = command.split_whitespace();
                let first = words.next().unwrap_or_default();
                put(
                    "password_command",
                    json!(if words.next().is_some() { format!("{first} …") } else { first.into() }),
                );
            }
            None => {}
        }
        if let Some(schemes) = &self.schemes {
            put("schemes", schemes.iter().map(|scheme| scheme.name().to_lowercase()).collect());
        }
        if let Some(service) = &self.service {
            put("service", json!(service));
        }
        Value::Object(all)
    }
}

/// All of them as shown.
pub(super) fn shown(logins: &[ProxyLoginSetting]) -> Value {
    logins.iter().map(ProxyLoginSetting::shown).collect()
}

/// Reads `HOST[:PORT]=USER:VARIABLE`, several separated by commas; the variable holds the password.
pub(super) fn of_text(text: &str) -> Result<Vec<ProxyLoginSetting>, String> {
    let one = |part: &str| {
        let (proxy, rest) = part.split_once('=')?;
        let (user, variable) = rest.rsplit_once(':')?;
        let (host, port) = host_and_port(proxy.trim()).ok()?;
        let (user, password) = (Some(user.to_owned()), Some(PasswordPlace::Env(variable.to_owned())));
        Some(ProxyLoginSetting { host, port, user, password, place: "LARDER_PROXY_LOGIN".into(), ..Default::default() })
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| one(part).ok_or_else(|| format!("{part} is not of the form HOST:PORT=USER:VARIABLE"))).collect()
}

/// Reads the tables of a file.
pub(super) fn of_array(reader: &Reader<'_>, items: &[Spanned<DeValue<'_>>]) -> Result<Vec<ProxyLoginSetting>> {
    let one = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::Table(table) => of_table(reader, item, table),
        other => Err(reader.error(item.span(), &format!("`proxy_login` holds tables, not {}", kind_name(other)))),
    };
    items.iter().map(one).collect()
}

fn of_table(reader: &Reader<'_>, whole: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<ProxyLoginSetting> {
    let mut login = ProxyLoginSetting { place: reader.place(whole.span()), ..ProxyLoginSetting::default() };
    let mut places = Vec::new();
    for (key, value) in table {
        let known: &str = key.get_ref().as_ref();
        let wrong = |expected: &str| {
            let what = format!("`{known}` of a proxy_login is {expected}, not {}", kind_name(value.get_ref()));
            reader.error(value.span(), &what)
        };
        let text = || match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(wrong("a string")),
        };
        let file = || text().map(|text| PathBuf::from(reader.resolve(&text)));
        match known {
            "proxy" => {
                let found = host_and_port(&text()?).map_err(|why| reader.error(value.span(), &why))?;
                (login.host, login.port) = found;
            }
            "user" => login.user = Some(text()?),
            "password_env" => places.push(PasswordPlace::Env(text()?)),
            "password_file" => places.push(PasswordPlace::File(file()?)),
            "password_command" => places.push(PasswordPlace::Command(text()?)),
            "netrc_file" => places.push(PasswordPlace::Netrc(file()?)),
            "schemes" => login.schemes = Some(schemes(reader, value)?),
            "service" => login.service = Some(text()?),
            _ => return Err(unknown(reader, key.span(), known)),
        }
    }
    let wrong = |why: &str| reader.error(whole.span(), &format!("a proxy_login {why}"));
    if login.host.is_empty() {
        return Err(wrong("has no `proxy`").hint("name the proxy it is for: `proxy = \"proxy.example.org:3128\"`"));
    }
    if places.len() > 1 {
        return Err(wrong("has more than one of password_env, password_file, password_command and netrc_file"));
    }
    login.password = places.pop();
    match (&login.user, &login.password) {
        (Some(_), None) => Err(wrong("has a `user`, and no password").hint(
            "add `password_env`, `password_file` or `password_command`; a ticket of Kerberos needs no user here",
        )),
        (None, Some(place)) if !matches!(place, PasswordPlace::Netrc(_)) => Err(wrong("has a password, and no `user`")),
        _ => Ok(login),
    }
}

fn schemes(reader: &Reader<'_>, value: &Spanned<DeValue<'_>>) -> Result<Vec<Scheme>> {
    let all = || Scheme::ALL.map(|scheme| scheme.name().to_lowercase()).join(", ");
    let DeValue::Array(items) = value.get_ref() else {
        let what = format!("`schemes` is a list of {}, not {}", all(), kind_name(value.get_ref()));
        return Err(reader.error(value.span(), &what));
    };
    let one = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(name) if let Some(scheme) = Scheme::named(name) => Ok(scheme),
        DeValue::String(name) => Err(reader.error(item.span(), &format!("{name} is no scheme; there are: {}", all()))),
        other => Err(reader.error(item.span(), &format!("`schemes` holds strings, not {}", kind_name(other)))),
    };
    if items.is_empty() {
        return Err(reader.error(value.span(), &format!("`schemes` names none of {}", all())));
    }
    items.iter().map(one).collect()
}

fn unknown(reader: &Reader<'_>, span: std::ops::Range<usize>, key: &str) -> Error {
    if key == "password" {
        return reader.error(span, "a proxy's password is not kept in a settings file").hint(
            "name what holds it: `password_env = \"VARIABLE\"`, `password_file = \"FILE\"` or \
             `password_command = \"COMMAND\"`",
        );
    }
    let near = did_you_mean(key, KEYS);
    let hint = near
        .map_or_else(|| format!("a proxy_login has: {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
    reader.error(span, &format!("a proxy_login has no `{key}`")).hint(hint)
}

/// `host`, `host:port`, `[2001:db8::1]:port`; a scheme before it is passed over.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let refuse = || format!("{} is no proxy; write `proxy.example.org:3128`", without_password(text));
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, port))) => (host, port.strip_prefix(':')),
        Some(None) => return Err(refuse()),
        None => match rest.split_once(':') {
            Some((_, more)) if more.contains(':') => (rest, None),
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = port.map(|port| port.parse().map_err(|_| refuse())).transpose()?;
    let is_clean = !host.is_empty() && !host.contains(['/', '@', ' ']);
    if is_clean { Ok((host.to_owned(), port)) } else { Err(refuse()) }
}
