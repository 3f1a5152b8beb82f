//! Runs a bootstrap's maintainer scripts in a guest.

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::debian::RootRunner;
use crate::engine::component::{Context, Ui};
use crate::error::{Context as _, Error, Result};
use crate::guest::launch::{Command, Guest};
use crate::provisioner::lines::Lines;

/// Runs commands in `guest`, and relays what they write to the build's log.
pub(super) struct GuestRunner<'a> {
    guest: &'a Guest,
    context: &'a Context,
}

impl<'a> GuestRunner<'a> {
    pub(super) fn new(guest: &'a Guest, context: &'a Context) -> Self {
        Self { guest, context }
    }
}

#[async_trait]
impl RootRunner for GuestRunner<'_> {
    async fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<i32> {
        let environment = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let environment = environment.chain(self.context.clamp.variable());
        let command = Command {
            argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
            env: environment.collect(),
            directory: None,
            uid: 0,
            gid: 0,
        };
        let mut process = self.guest.spawn(command).await?;
        drop(process.stdin.take());
        let work = async {
            let (stdout, stderr, status) = tokio::join!(
                relay(process.stdout, self.context.ui.clone(), false),
                relay(process.stderr, self.context.ui.clone(), true),
                process.exit.wait(),
            );
            stdout.and(stderr).and(status)
        };
        tokio::select! {
            status = work => status,
            () = self.context.cancel.cancelled() => {
                process.control.kill().await?;
                Err(Error::new("cancelled"))
            }
        }
    }
}

async fn relay(mut from: impl AsyncRead + Unpin, ui: Ui, error: bool) -> Result<()> {
    let say = |line: &str| if error { ui.stderr(line) } else { ui.stdout(line) };
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer).await.context(|| "cannot read what a package's script wrote".to_owned())? {
            0 => break,
            length => lines.push(&buffer[..length], say),
        }
        ui.ready().await;
    }
    lines.finish(say);
    Ok(())
}
