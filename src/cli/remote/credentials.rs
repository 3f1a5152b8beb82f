//! Who to be at AWS, and in which region: from the environment, or the files of its command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Servers, Wrong};

/// A key of AWS's.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// Of a session that ends.
    pub(super) token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Options of a profile that say to get credentials in ways that are not here.
const ELSEWHERE: [&str; 6] =
    ["role_arn", "sso_session", "sso_start_url", "credential_process", "credential_source", "web_identity_token_file"];

/// What to do where nothing else is to be had.
const EXPORT: &str = "single sign-on, roles and the credentials of an instance are not read here: \
                      eval \"$(aws configure export-credentials --format env)\"";

type Section = BTreeMap<String, String>;

/// The sections of a file by their names.
fn sections(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        // What is indented belongs to the option above, and is none of those wanted here.
        if line.starts_with([' ', '\t', '#', ';']) || line.is_empty() {
            continue;
        }
        if let Some(name) = line.trim_end().strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            name.trim().clone_into(&mut current);
        } else if let Some((name, value)) = line.split_once('=') {
            let value = value.split(" #").next().unwrap_or_default().trim();
            sections.entry(current.clone()).or_default().insert(name.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    sections
}

/// What the files say of the profile.
struct Profile {
    name: String,
    credentials: Section,
    config: Section,
}

impl Profile {
    fn read(servers: &Servers) -> Self {
        let name = servers.variable("AWS_PROFILE").or(servers.variable("AWS_DEFAULT_PROFILE")).unwrap_or("default");
        let home = || servers.variable("HOME").map(PathBuf::from).unwrap_or_default().join(".aws");
        let file = |variable: &str, file: &str| {
            let path = servers.variable(variable).map_or_else(|| home().join(file), PathBuf::from);
            sections(&std::fs::read_to_string(path).unwrap_or_default())
        };
        let mut credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let mut config = file("AWS_CONFIG_FILE", "config");
        let in_config = config.remove(&format!("profile {name}")).or_else(|| config.remove(name));
        Self {
            name: name.to_owned(),
            credentials: credentials.remove(name).unwrap_or_default(),
            config: in_config.unwrap_or_default(),
        }
    }

    fn get(&self, option: &str) -> Option<&String> {
        self.credentials.get(option).or_else(|| self.config.get(option)).filter(|value| !value.is_empty())
    }
}

/// The region.
pub(super) fn region(servers: &Servers) -> Result<String, Wrong> {
    let named = servers.variable("AWS_REGION").or(servers.variable("AWS_DEFAULT_REGION")).map(str::to_owned);
    let region = named.or_else(|| Profile::read(servers).get("region").cloned()).ok_or_else(|| {
        Wrong::Refused("no region of AWS is set: set AWS_REGION, or `region` in ~/.aws/config".to_owned())
    })?;
    let is_label = region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if is_label {
        Ok(region)
    } else {
        Err(Wrong::Refused(format!("{region:?} is no region of AWS: write it as eu-west-1")))
    }
}

/// The key: of the environment, or else of the profile.
pub(super) fn find(servers: &Servers) -> Result<Credentials, Wrong> {
    let either = |first: &str, second: &str| servers.variable(first).or(servers.variable(second)).map(str::to_owned);
    let access_key = either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
    let secret_key = either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
    match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => {
            let token = servers.variable("AWS_SESSION_TOKEN").map(str::to_owned);
            return Ok(Credentials { access_key, secret_key, token });
        }
        (Some(_), None) => {
            return Err(Wrong::Refused(
                "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not: set both".to_owned(),
            ));
        }
        _ => {}
    }
    let profile = Profile::read(servers);
    if let (Some(access_key), Some(secret_key)) =
        (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key"))
    {
        return Ok(Credentials {
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            token: profile.get("aws_session_token").cloned(),
        });
    }
    let name = &profile.name;
    Err(Wrong::Refused(match ELSEWHERE.iter().find(|option| profile.get(option).is_some()) {
        Some(option) => format!("the profile `{name}` of AWS gets its credentials by `{option}`; {EXPORT}"),
        None => format!(
            "there are no credentials for AWS: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into the \
             profile `{name}` in ~/.aws/credentials; {EXPORT}"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_command_line_are_read() {
        let text = "# c\n[default]\nregion = eu-west-1 # near\ns3 =\n  max = 1\n\n[profile other]\nREGION=us-east-1\n[x\nbad\n";
        let found = sections(text);
        assert_eq!(found["default"]["region"], "eu-west-1");
        assert!(!found["default"].contains_key("max"));
        assert_eq!(found["profile other"]["region"], "us-east-1");
    }
}
