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
