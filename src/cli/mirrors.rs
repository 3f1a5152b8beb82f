//! `larder mirrors`: the mirror map in force, whether it works, and one proposed from what the host's tools are set to.

mod check;
mod host;
mod init;
pub(super) mod load;
pub(super) mod netrc;
mod write;

use std::process::ExitCode;

use serde_json::json;

use super::Env;
use super::args::{JsonArgs, MirrorsArgs, MirrorsCommand};
use super::console::Console;
use super::settings::mirrors::MirrorSetting;
use super::settings::{Key, Settings};
use crate::error::Result;
use crate::output::text::{printable, table};

pub(super) use check::findings;
pub(super) use host::public::PublicName;

/// Runs a subcommand.
pub(super) async fn run(args: &MirrorsArgs, settings: &Settings, env: &Env, console: &Console) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match &args.command {
        None => list(&JsonArgs { json: false }, settings, console).map(done),
        Some(MirrorsCommand::List(args)) => list(args, settings, console).map(done),
        Some(MirrorsCommand::Check(args)) => check::run(args, settings, env, console).await,
        Some(MirrorsCommand::Init(args)) => init::run(args, settings, env, console).map(done),
    }
}

fn list(args: &JsonArgs, settings: &Settings, console: &Console) -> Result<()> {
    let mirrors = &settings.mirrors;
    if args.json {
        let value = Key::named("mirrors").map(|key| settings.shown(key).0);
        let source = mirrors.source.to_string();
        return console.json(&json!({ "mirrors": value, "source": mirrors.source.kind(), "from": source }));
    }
    if mirrors.value.is_empty() {
        return console.line("No mirrors are set. `larder mirrors init` proposes some.");
    }
    let mut rows = vec![["public name", "mirror", "credentials"].map(str::to_owned).to_vec()];
    for (name, targets) in &mirrors.value {
        for (index, target) in targets.iter().enumerate() {
            let name = if index == 0 { printable(name) } else { String::new() };
            rows.push(vec![name, printable(&target.url), credentials(target)]);
        }
    }
    let mut lines = table(&rows, &[]);
    lines.push(String::new());
    lines.push(format!("From {}; those of a name are asked in this order.", mirrors.source));
    console.line(&lines.join("\n"))
}

/// Where the credentials of a mirror are.
fn credentials(mirror: &MirrorSetting) -> String {
    let user = mirror.user.as_deref().unwrap_or_default();
    match (&mirror.token, &mirror.password, &mirror.netrc_file) {
        (Some(secret), _, _) => format!("token of {secret}"),
        (_, Some(secret), _) => format!("{} by {secret}", printable(user)),
        (_, _, Some(path)) => format!("of {}", path.display()),
        _ if mirror.client_credentials => "the client's".to_owned(),
        _ => "-".to_owned(),
    }
}
