//! What functions ask of servers: `vault`, `consul_key`, `aws_secretsmanager`, `aws_secretsmanager_raw`. Who runs the
//! template says how, or that nobody is asked.

use std::fmt;
use std::sync::Arc;

use super::secrets::Secrets;

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// A key of a secret in Vault.
    Vault {
        /// Path of the secret, as in Vault's API: with `data/` where the engine has versions.
        path: String,
        /// The key.
        key: String,
    },
    /// The value of a key in Consul.
    Consul {
        /// The key.
        key: String,
    },
    /// A secret in AWS Secrets Manager, or a key of one that is a JSON object.
    SecretsManager {
        /// Name or ARN.
        name: String,
        /// The key; that of the only one if there is none.
        key: Option<String>,
    },
    /// A secret in AWS Secrets Manager as it is stored.
    SecretsManagerRaw {
        /// Name or ARN.
        name: String,
    },
}

/// Asks servers.
pub trait Remote: Send + Sync + fmt::Debug {
    /// The answer, the same for the whole run. An error says what is wrong, where, and what to do.
    fn answer(&self, question: &Question) -> Result<String, String>;
}

/// Answers to questions. They are secret, and whoever hides secrets is told of them.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    remote: Option<Arc<dyn Remote>>,
    secrets: Secrets,
}

impl Answers {
    /// By `remote`; without one nobody is asked.
    pub fn new(remote: Option<Arc<dyn Remote>>, secrets: Secrets) -> Self {
        Self { remote, secrets }
    }

    /// The answer; `None` where nobody is asked, and it is not known.
    pub fn ask(&self, question: &Question) -> Option<Result<String, String>> {
        let answer = self.remote.as_ref()?.answer(question);
        if let Ok(secret) = &answer {
            self.secrets.add(secret);
        }
        Some(answer)
    }

    /// Hides what is secret for another reason.
    pub fn hide(&self, secret: &str) {
        self.secrets.add(secret);
    }
}
