//! From the setting `proxy_login` to what the proxy is told: variables and netrc files are read here, files and
//! commands when a proxy asks.

use larder_proxy::upstream::auth::{Password, ProxyLogin};
use url::Url;

use super::Env;
use super::mirrors::netrc;
use super::settings::Settings;
use super::settings::proxy_login::{PasswordPlace, ProxyLoginSetting};
use crate::error::{Context as _, Error, Result};

/// All of them.
pub(super) fn load(settings: &Settings, env: &Env) -> Result<Vec<ProxyLogin>> {
    settings.proxy_login.value.iter().map(|login| one(login, env)).collect()
}

fn one(setting: &ProxyLoginSetting, env: &Env) -> Result<ProxyLogin> {
    let mut user = setting.user.clone();
    let password = match &setting.password {
        None => None,
        Some(PasswordPlace::File(path)) => Some(Password::File(path.clone())),
        Some(PasswordPlace::Command(command)) => Some(Password::Command(command.clone())),
        Some(PasswordPlace::Env(name)) => {
            let value = env.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                Error::new(format!("the password for the proxy {} cannot be had: {name} is not set", setting.host))
                    .hint(format!("set {name}, or change the proxy_login ({})", setting.place))
            })?;
            Some(Password::Known(value.clone()))
        }
        Some(PasswordPlace::Netrc(path)) => {
            let text = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
            let host = if setting.host.contains(':') { format!("[{}]", setting.host) } else { setting.host.clone() };
            let port = setting.port.map(|port| format!(":{port}")).unwrap_or_default();
            let url = Url::parse(&format!("http://{host}{port}/")).context(|| format!("{host} is no host"))?;
            // An entry for every host there is may be meant for many, but not for a proxy.
            let fits = |entry: &netrc::Entry| !entry.is_default() && entry.is_for(&url);
            let same = |entry: &netrc::Entry| user.as_ref().is_none_or(|user| *user == entry.login);
            let entry = netrc::parse(&text).into_iter().find(|entry| fits(entry) && same(entry)).ok_or_else(|| {
                Error::new(format!("{} has no entry for the proxy {host}", path.display()))
                    .hint(format!("add `machine {host} login USER password PASSWORD` ({})", setting.place))
            })?;
            user = Some(entry.login);
            Some(Password::Known(entry.password))
        }
    };
    Ok(ProxyLogin {
        host: setting.host.clone(),
        port: setting.port,
        user,
        password,
        schemes: setting.schemes.clone(),
        service: setting.service.clone(),
        place: format!("the proxy_login of {}", setting.place),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    #[test]
    fn passwords_come_from_where_the_settings_say() {
        let directory = tempfile::tempdir().unwrap();
        let netrc = directory.path().join("netrc");
        let text = "machine proxy.example.org login jane password one\ndefault login any password two\n";
        std::fs::write(&netrc, text).unwrap();
        let env = Env::from([("SECRET".to_owned(), "s3cret".to_owned())]);
        let setting = |host: &str, user: Option<&str>, password| ProxyLoginSetting {
            host: host.to_owned(),
            port: Some(3128),
            user: user.map(str::to_owned),
            password: Some(password),
            place: "config.toml:1:1".to_owned(),
            ..ProxyLoginSetting::default()
        };
        let read = |setting| one(&setting, &env).map_err(|error| chain(&error));
        let found = read(setting("h", Some("joe"), PasswordPlace::Env("SECRET".into()))).unwrap();
        assert_eq!((found.user.as_deref(), found.password), (Some("joe"), Some(Password::Known("s3cret".into()))));
        assert_eq!(found.place, "the proxy_login of config.toml:1:1");
        let found = read(setting("proxy.example.org", None, PasswordPlace::Netrc(netrc.clone()))).unwrap();
        assert_eq!((found.user.as_deref(), found.password), (Some("jane"), Some(Password::Known("one".into()))));
        let other = read(setting("other.example.org", None, PasswordPlace::Netrc(netrc.clone()))).unwrap_err();
        assert!(other.contains("no entry for the proxy other.example.org"), "{other}");
        let unset = read(setting("h", Some("joe"), PasswordPlace::Env("NONE".into()))).unwrap_err();
        assert!(unset.contains("NONE is not set"), "{unset}");
        let command = read(setting("h", Some("joe"), PasswordPlace::Command("false".into()))).unwrap();
        assert_eq!(command.password, Some(Password::Command("false".into())), "it is not run here");
    }
}
