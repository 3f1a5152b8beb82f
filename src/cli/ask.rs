//! Questions to the person at the terminal, for breakpoints and `-debug`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Mutex;

use super::Env;
use super::environment::is_unattended;
use crate::engine::component::Ask;
use crate::error::{Context as _, Error, Result};

/// Somebody to ask, if standard input and output are a terminal and `CI` does not say that nobody is there.
pub(super) fn terminal(env: &Env) -> Option<Arc<dyn Ask>> {
    (!is_unattended(env) && io::stdin().is_terminal() && io::stdout().is_terminal())
        .then(|| Arc::new(Terminal::default()) as Arc<dyn Ask>)
}

/// Asks on the terminal, one question at a time.
#[derive(Default)]
struct Terminal {
    turn: Mutex<()>,
}

#[async_trait]
impl Ask for Terminal {
    async fn ask(&self, prompt: &str) -> Result<String> {
        let _turn = self.turn.lock().await;
        let _ = write!(io::stderr().lock(), "{prompt} ");
        let mut line = String::new();
        let read = BufReader::new(tokio::io::stdin()).read_line(&mut line).await;
        match read.context(|| "cannot read an answer".to_owned())? {
            0 => Err(Error::new("the terminal was closed before there was an answer")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}
