//! Asks servers for functions of templates: Vault, Consul, AWS Secrets Manager. Whom and as whom is said by the
//! variables that their own programs heed.
//!
//! Requests go the way of all others upstream, by a proxy of their own that keeps nothing: neither what is sent nor what is
//! answered is stored, recorded or put into the event stream.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Env;
use super::settings::Settings;
use crate::template::remote::{Question, Remote};

mod consul;
mod credentials;
mod exchange;
mod secrets_manager;
mod signature;
mod vault;

/// Most questions of one run: more are a template gone wrong.
const MAX_QUESTIONS: usize = 1000;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    /// Nobody was there to give one. The next question would wait as long in vain.
    Unreachable(String),
    /// It was refused, or could not be used.
    Refused(String),
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self::Refused(message)
    }
}

/// The servers that a run may ask.
pub(super) struct Servers {
    settings: Settings,
    env: Env,
    known: Mutex<Known>,
}

/// What has been answered.
#[derive(Default)]
struct Known {
    answers: BTreeMap<Question, Result<String, String>>,
    /// Services that cannot be reached, and why.
    unreachable: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Servers {
    /// Without tokens and answers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

impl Servers {
    /// Those that the environment names, reached as the settings say.
    pub(super) fn new(settings: &Settings, env: &Env) -> Arc<Self> {
        Arc::new(Self { settings: settings.clone(), env: env.clone(), known: Mutex::default() })
    }

    fn ask(&self, question: &Question) -> Result<String, Wrong> {
        match question {
            Question::Vault { path, key } => vault::read(self, path, key),
            Question::Consul { key } => consul::read(self, key),
            Question::SecretsManager { name, key } => secrets_manager::read(self, name, key.as_deref()),
            Question::SecretsManagerRaw { name } => secrets_manager::read_raw(self, name),
        }
    }

    /// A variable that is set to something.
    fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to what Go takes for true.
    fn is_on(&self, name: &str) -> bool {
        matches!(self.variable(name), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

fn service(question: &Question) -> &'static str {
    match question {
        Question::Vault { .. } => "Vault",
        Question::Consul { .. } => "Consul",
        Question::SecretsManager { .. } | Question::SecretsManagerRaw { .. } => "AWS Secrets Manager",
    }
}

impl Remote for Servers {
    fn answer(&self, question: &Question) -> Result<String, String> {
        // One question at a time: two of the same are asked once.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.answers.get(question) {
            return answer.clone();
        }
        if let Some(why) = known.unreachable.get(service(question)) {
            return Err(why.clone());
        }
        if known.answers.len() >= MAX_QUESTIONS {
            return Err(format!("a template may read {MAX_QUESTIONS} secrets of servers, and these are more"));
        }
        let answer = self.ask(question).map_err(|wrong| match wrong {
            Wrong::Refused(why) => why,
            Wrong::Unreachable(why) => {
                known.unreachable.insert(service(question), why.clone());
                why
            }
        });
        known.answers.insert(question.clone(), answer.clone());
        answer
    }
}
