//! `larder doctor`: what this machine lets Larder do, all at once, with a remedy for what it does not; and the part of
//! it that is looked at before a build starts.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};

use super::Env;
use super::args::DoctorArgs;
use super::console::Console;
use super::settings::Settings;
use super::wrap;
use crate::error::{Error, Result};
use crate::guest::host::cause::Facts;
use crate::guest::host::check::{CHECKS, Finding, Status};
use crate::guest::host::{machine, namespaces, place};
use crate::guest::reexec;

mod upstream;

/// Looks at everything, and prints what it found.
pub(super) async fn run(args: &DoctorArgs, settings: &Settings, env: &Env, console: &Console) -> Result<ExitCode> {
    let mut findings = look(settings, env).await;
    findings.sort_by_key(|finding| CHECKS.iter().position(|check| check.name == finding.check));
    let works = findings.iter().all(|finding| finding.status != Status::Problem);
    if args.json.json {
        console.json(&serde_json::json!({ "version": 1, "builds_work": works, "checks": findings }))?;
    } else {
        for finding in &findings {
            show(finding, console)?;
        }
        console.line(&verdict(&findings))?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(settings: &Settings, env: &Env) -> Vec<Finding> {
    let (facts, program) = (Facts::read(), reexec::this_program());
    let path = env.get("PATH").map_or("", String::as_str);
    let state = settings.state_dir.value.as_path();
    let mount = namespaces::mount(&facts, &program);
    let mounts = mount.status == Status::Ok;
    let mut findings = vec![
        machine::kernel(),
        machine::open_files(),
        namespaces::user(&facts, &program),
        namespaces::subordinate_ids(&facts, &program, path),
        mount,
        namespaces::network(&facts, &program).await,
        namespaces::proc(&facts, &program),
        namespaces::devices(&facts, &program),
    ];
    // First: it makes the directory that the overlay is tried in.
    findings.push(place::look(&place::STATE, state));
    findings.push(namespaces::overlay(mounts, state, &program).await);
    findings.push(place::look(&place::CACHE, &settings.cache_dir.value));
    findings.push(place::look(&place::TEMPORARY, &std::env::temp_dir()));
    let (route, date) = upstream::route(settings, env).await;
    findings.push(machine::clock(SystemTime::now(), &program, date));
    findings.push(route);
    findings.push(upstream::mirrors(settings, env).await);
    findings.push(upstream::roots(settings, env).await);
    findings.push(machine::programs(path));
    findings.push(machine::kvm(Path::new("/dev/kvm")));
    findings.push(machine::docker(env.get("DOCKER_HOST").map(String::as_str)));
    findings
}

/// Before a build with a guest: what is cheap to know and would make it fail in the middle.
pub(super) fn before_build(settings: &Settings) -> Result<()> {
    let (facts, program) = (Facts::read(), reexec::this_program());
    let findings = vec![
        machine::kernel(),
        machine::open_files(),
        place::look(&place::STATE, &settings.state_dir.value),
        place::look(&place::CACHE, &settings.cache_dir.value),
        namespaces::user(&facts, &program),
        namespaces::mount(&facts, &program),
        namespaces::proc(&facts, &program),
        namespaces::devices(&facts, &program),
    ];
    let Some(problem) = findings.into_iter().find(|finding| finding.status == Status::Problem) else {
        return Ok(());
    };
    let error =
        Error::new(format!("this machine does not let a guest be built ({}): {}", problem.check, problem.found));
    let error = problem.remedies.into_iter().fold(error, Error::hint);
    Err(error.hint("`larder doctor` looks at everything at once"))
}

/// Columns of what stands before a finding.
const STATUS: usize = 9;
const NAME: usize = 19;

fn show(finding: &Finding, console: &Console) -> Result<()> {
    let (word, colour) = match finding.status {
        Status::Ok => ("ok", AnsiColor::Green),
        Status::Warning => ("warning", AnsiColor::Yellow),
        Status::Problem => ("problem", AnsiColor::Red),
    };
    let width = console.width.clamp(60, 120);
    let mut start = format!("{word:<STATUS$}{:<NAME$}", finding.check);
    if console.colour_out {
        let style = Style::new().fg_color(Some(colour.into())).bold();
        start = start.replacen(word, &format!("{}{word}{}", style.render(), style.render_reset()), 1);
    }
    for line in wrap::text(&finding.found, width - STATUS - NAME) {
        console.line(&format!("{start}{line}"))?;
        start = " ".repeat(STATUS + NAME);
    }
    for (number, remedy) in finding.remedies.iter().enumerate() {
        let lead = if number == 0 { "  mend: " } else { "    or: " };
        for (number, line) in wrap::remedy(remedy, width - lead.len()).iter().enumerate() {
            let lead = if number == 0 { lead } else { "        " };
            console.line(&format!("{lead}{line}"))?;
        }
    }
    Ok(())
}

fn verdict(findings: &[Finding]) -> String {
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let times = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (count(Status::Problem), count(Status::Warning)) {
        (0, 0) => "Builds work here.".to_owned(),
        (0, warnings) => format!("Builds work here, with {}.", times(warnings, "warning")),
        (problems, _) => format!("Builds of root file systems do not work here: {}.", times(problems, "problem")),
    }
}
