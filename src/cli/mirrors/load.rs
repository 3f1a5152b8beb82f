//! From the setting `mirrors` to the proxy's rules: secrets are read here, and go nowhere else.

use larder_proxy::mirror::credentials::Credentials;
use larder_proxy::mirror::{Mirror, TargetConfig};
use url::Url;

use super::netrc;
use crate::cli::Env;
use crate::cli::settings::mirrors::{MirrorSetting, Secret};
use crate::error::{Context as _, Error, Result};

/// The rule for one public name.
pub(in crate::cli) fn rule(from: &str, mirrors: &[MirrorSetting], env: &Env) -> Result<Mirror> {
    let targets = mirrors.iter().map(|mirror| target(mirror, env)).collect::<Result<_>>()?;
    Mirror::new(from, targets).map_err(|error| Error::new(error.to_string()))
}

fn target(mirror: &MirrorSetting, env: &Env) -> Result<TargetConfig> {
    let mut target = TargetConfig::new(mirror.url.clone());
    target.credentials =
        credentials(mirror, env).context(|| format!("the credentials for {} cannot be had", mirror.url))?;
    target.roots.clone_from(&mirror.ca_files);
    target.aliases.clone_from(&mirror.aliases);
    target.client_credentials = mirror.client_credentials;
    target.patience = mirror.patience.unwrap_or(target.patience);
    Ok(target)
}

fn credentials(mirror: &MirrorSetting, env: &Env) -> Result<Option<Credentials>> {
    let refused = |secret: &Secret, error| Error::new(format!("what {secret} holds cannot be used")).caused_by(error);
    if let Some(secret) = &mirror.token {
        return Credentials::bearer(&secret.read(env)?).map(Some).map_err(|error| refused(secret, error));
    }
    if let (Some(user), Some(secret)) = (&mirror.user, &mirror.password) {
        return Credentials::basic(user, &secret.read(env)?).map(Some).map_err(|error| refused(secret, error));
    }
    let Some(path) = &mirror.netrc_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).context(|| format!("cannot read {}", path.display()))?;
    let url = Url::parse(&mirror.url).context(|| format!("{} is no URL", mirror.url))?;
    let entry = netrc::parse(&text).into_iter().find(|entry| entry.is_for(&url));
    let entry = entry.ok_or_else(|| {
        Error::new(format!("{} has no entry for {}", path.display(), url.host_str().unwrap_or_default()))
    })?;
    let refused = |error| Error::new(format!("what {} holds cannot be used", path.display())).caused_by(error);
    Credentials::basic(&entry.login, &entry.password).map(Some).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    #[test]
    fn secrets_are_read_from_where_the_settings_say() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let env = Env::from([("TOKEN".to_owned(), "t0p".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let mirror = || MirrorSetting::at("https://repo.example.net/x/");
        let token = |secret| MirrorSetting { token: Some(secret), ..mirror() };
        let user = |secret| MirrorSetting { user: Some("ci".into()), password: Some(secret), ..mirror() };
        let netrc = |text| MirrorSetting { netrc_file: Some(file("netrc", text)), ..mirror() };
        let read = |mirror: &MirrorSetting| credentials(mirror, &env).map_err(|error| chain(&error));
        assert_eq!(read(&mirror()), Ok(None));
        assert_eq!(read(&token(Secret::Env("TOKEN".into()))), Ok(Some(Credentials::bearer("t0p").unwrap())));
        let kept = Secret::File(file("secret", "s3cret\r\n"));
        assert_eq!(read(&user(kept)), Ok(Some(Credentials::basic("ci", "s3cret").unwrap())));
        assert_eq!(
            read(&netrc("machine repo.example.net login me password pw")),
            Ok(Some(Credentials::basic("me", "pw").unwrap()))
        );
        assert_eq!(read(&token(Secret::Env("EMPTY".into()))).unwrap_err(), "the variable EMPTY is not set");
        let other = netrc("machine other.example.net login me password pw");
        assert!(read(&other).unwrap_err().ends_with("netrc has no entry for repo.example.net"));
        let error = read(&token(Secret::File(file("bad", "s3\ncret")))).unwrap_err();
        assert!(error.contains("cannot be sent in a header") && !error.contains("cret"), "{error}");
    }
}
