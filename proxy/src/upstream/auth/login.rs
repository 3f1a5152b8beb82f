//! Who Larder is to a proxy, and where the password is.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::scheme::Scheme;

/// How long a command that prints a password may take: it may have to unlock a store.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// The most that is read of what holds a password.
const MOST: u64 = 64 * 1024;

/// Credentials for one proxy, and how to use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLogin {
    /// Name or address of the proxy, without brackets.
    pub host: String,
    /// Its port; `None` for any.
    pub port: Option<u16>,
    /// The user: `jane`, `CORP\jane` or `jane@corp.example.org`. Without one, only a ticket of the host can be shown.
    pub user: Option<String>,
    /// Where the password is.
    pub password: Option<Password>,
    /// The schemes that may be used, the preferred first; `None` for all, in the order of [`Scheme::ALL`].
    pub schemes: Option<Vec<Scheme>>,
    /// The Kerberos service of the proxy, where it is not `HTTP@` and its name: with a `/` in it a principal, taken as
    /// it is.
    pub service: Option<String>,
    /// What holds user and password, for messages: `its URL`, `[[proxy_login]] of FILE`.
    pub place: String,
}

impl ProxyLogin {
    /// Whether it is for this proxy.
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        self.host.eq_ignore_ascii_case(host) && self.port.is_none_or(|own| own == port)
    }
}

/// Where a password is. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Here.
    Known(String),
    /// In a file, of which it is the first line. Read again after a refusal.
    File(PathBuf),
    /// On the first line that a command of the shell prints. Run again after a refusal.
    Command(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Command(_) => f.write_str("Command(…)"),
        }
    }
}

impl Password {
    /// Whether reading it once more may give another.
    pub(super) fn may_change(&self) -> bool {
        !matches!(self, Self::Known(_))
    }

    /// The password; the error says why it cannot be had.
    pub(super) async fn read(&self) -> Result<String, String> {
        let (text, place) = match self {
            Self::Known(password) => return Ok(password.clone()),
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                (text.map_err(|error| format!("cannot read {}: {error}", path.display()))?, path.display().to_string())
            }
            Self::Command(command) => (output(command).await?, "what the password command prints".to_owned()),
        };
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() { Err(format!("{place} has no first line")) } else { Ok(line.to_owned()) }
    }
}

/// What a command prints. Of what it says besides, nothing is repeated: that may be a secret, too.
async fn output(command: &str) -> Result<String, String> {
    let failed = |what: String| format!("the password command {what}");
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let stdout = child.stdout.take();
    let run = async {
        let mut text = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).take(MOST).read_to_string(&mut text).await?;
        }
        child.wait().await.map(|status| (status, text))
    };
    match timeout(COMMAND_LIMIT, run).await {
        Ok(Ok((status, text))) if status.success() => Ok(text),
        Ok(Ok((status, _))) => Err(failed(format!("failed ({status}); run it by hand to see why"))),
        Ok(Err(error)) => Err(failed(format!("could not be read: {error}"))),
        Err(_) => Err(failed(format!("did not end within {} s", COMMAND_LIMIT.as_secs()))),
    }
}

/// Is told each password that is read, so that it is kept out of what others see.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<dyn Fn(&str) + Send + Sync>>);

impl Secrets {
    /// Tells this function.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(super) fn tell(&self, secret: &str) {
        if let Some(tell) = &self.0 {
            tell(secret);
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_read_from_where_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let file = Password::File(path.clone());
        assert!(file.read().await.unwrap_err().contains("cannot read"));
        std::fs::write(&path, "geheim\r\nmore\n").unwrap();
        assert_eq!(file.read().await.as_deref(), Ok("geheim"));
        std::fs::write(&path, "\n").unwrap();
        assert!(file.read().await.unwrap_err().contains("no first line"));
        let command = |text: &str| Password::Command(text.to_owned());
        assert_eq!(command("printf 'ge heim\\nuser: x\\n'").read().await.as_deref(), Ok("ge heim"));
        let error = command("echo geheim; echo geheim >&2; exit 3").read().await.unwrap_err();
        assert!(error.contains("exit status: 3") && !error.contains("geheim"), "{error}");
        assert!(command("true").read().await.unwrap_err().contains("no first line"));
        for secret in [Password::Known("geheim".into()), command("echo geheim")] {
            assert!(!format!("{secret:?}").contains("geheim"));
        }
    }
}
