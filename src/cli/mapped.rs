//! Running a command again inside a mapping of ids, for those who are not root.

use std::path::Path;
use std::process::ExitCode;

use super::args::BuildArgs;
use super::console::Console;
use super::template::Reading;
use super::{Call, Env};
use crate::builder;
use crate::error::{Context as _, Result};
use crate::guest::mapping::{self, MappingSpec};
use crate::guest::{reap, reexec};

/// Whether what is to be built needs ids besides the user's own. Fails when it does and they are not to be had. A
/// template with errors needs none: whoever reads it next tells of them.
pub(super) fn is_needed_to_build(args: &BuildArgs, call: &Call, env: &Env) -> Result<bool> {
    let looked = mapping::look(path(env));
    // Root with ids enough, as nearly always: the template is not read a second time for it.
    if call.inside.is_some() || (looked.is_ok() && !mapping::is_needed()) {
        return Ok(false);
    }
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: false, settings: None };
    if !reading.builders().iter().any(|kind| builder::needs_ids(kind)) {
        return Ok(false);
    }
    looked.map_err(|cause| cause.error("cannot build as this user"))?;
    Ok(mapping::is_needed())
}

/// Whether builds that may be chosen later need ids besides the user's own, and they are to be had. Where they are not,
/// each build says so.
pub(super) fn is_useful_to_build(call: &Call, env: &Env) -> bool {
    call.inside.is_none() && mapping::is_needed() && mapping::look(path(env)).is_ok()
}

/// Whether a dead run may have left files of other owners. Says so when they are out of reach.
pub(super) fn is_needed_to_clean(call: &Call, runs: &Path, env: &Env, console: &Console) -> bool {
    if call.inside.is_some() || !mapping::is_needed() {
        return false;
    }
    let runs = reap::list(runs).unwrap_or_default();
    let left = runs.iter().filter(|run| !run.live).flat_map(|run| &run.trees);
    if !left.into_iter().any(|tree| tree.symlink_metadata().is_ok()) {
        return false;
    }
    match mapping::look(path(env)) {
        Ok(()) => true,
        Err(cause) => {
            console.warning(&format!("files of other owners cannot be removed: {}", cause.finding()));
            false
        }
    }
}

/// Runs this command inside a mapping, and ends as it does.
pub(super) fn run(call: Call, env: &Env) -> Result<ExitCode> {
    let spec = MappingSpec { program: reexec::this_program(), arguments: call.arguments, path: path(env).to_owned() };
    let status = mapping::run(&spec)?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

fn path(env: &Env) -> &str {
    env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str)
}
