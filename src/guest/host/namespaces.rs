//! The checks of what guests are made of: namespaces, ids, mounts.

use std::io;
use std::path::Path;

use super::cause::{Cause, Container, Facts, Kind};
use super::check::{Finding, Status};
use super::ids;
use super::probe::{Outcome, Trial};
use crate::guest::gateway::{Gateway, GatewaySpec};
use crate::guest::{layer, mapping};

/// `user-namespace`
pub fn user(facts: &Facts, program: &Path) -> Finding {
    const NAME: &str = "user-namespace";
    if facts.capable {
        return Finding::ok(NAME, "not needed: this is root");
    }
    if facts.root_id {
        let error = io::Error::from_raw_os_error(nix::libc::EPERM);
        return refused(NAME, Status::Problem, facts, Kind::Mount, "make namespaces as this root", &error);
    }
    match Trial::User.run(program) {
        Outcome::Works(_) => Finding::ok(NAME, "can be made by this user"),
        Outcome::Refused(what, error) => refused(NAME, Status::Problem, facts, Kind::User, &what, &error),
    }
}

/// `subordinate-ids`: `path` is the value of the variable `PATH`.
pub fn subordinate_ids(facts: &Facts, program: &Path, path: &str) -> Finding {
    const NAME: &str = "subordinate-ids";
    if facts.root_id {
        return match ids::look_as_root() {
            Ok(()) => Finding::ok(NAME, "not needed: this is root"),
            Err(cause) => Finding::of(NAME, Status::Problem, &cause),
        };
    }
    let tried = |ids| mapping::try_ids(program, path).map(|()| ids);
    match ids::look(rustix::process::geteuid().as_raw(), path).and_then(tried) {
        Ok((users, groups)) => {
            let from = users.iter().map(|range| range.first.to_string()).collect::<Vec<_>>().join(" and ");
            let (users, groups) = (ids::total(&users), ids::total(&groups));
            Finding::ok(NAME, format!("{users} user ids from {from}, {groups} group ids"))
        }
        Err(cause) => Finding::of(NAME, Status::Problem, &cause),
    }
}

/// `mount-namespace`
pub fn mount(facts: &Facts, program: &Path) -> Finding {
    const NAME: &str = "mount-namespace";
    match Trial::Mount.run(program) {
        Outcome::Works(_) => Finding::ok(NAME, "can be made, mounted in, and given a root"),
        Outcome::Refused(what, error) => refused(NAME, Status::Problem, facts, Kind::Mount, &what, &error),
    }
}

/// `network-namespace`
pub async fn network(facts: &Facts, program: &Path) -> Finding {
    const NAME: &str = "network-namespace";
    match Gateway::create(GatewaySpec { program: program.to_owned() }).await {
        Ok(_) => Finding::ok(NAME, "can be made, with a veth pair: egress is enforced"),
        Err(why) => refused(NAME, Status::Warning, facts, Kind::Network, &why.what, &why.error)
            .so("egress would be observed: guests share this machine's network"),
    }
}

/// `proc`
pub fn proc(facts: &Facts, program: &Path) -> Finding {
    const NAME: &str = "proc";
    match Trial::Proc.run(program) {
        Outcome::Works(_) => Finding::ok(NAME, "can be mounted for a process namespace"),
        Outcome::Refused(what, error) if what == "mount /proc" && error.raw_os_error() == Some(nix::libc::EPERM) => {
            let container = facts.container().unwrap_or(Container::Other);
            Finding::of(NAME, Status::Problem, &Cause::ProcCovered(container))
        }
        Outcome::Refused(what, error) => refused(NAME, Status::Problem, facts, Kind::Mount, &what, &error),
    }
}

/// `devices`
pub fn devices(facts: &Facts, program: &Path) -> Finding {
    const NAME: &str = "devices";
    match Trial::Device.run(program) {
        Outcome::Works(how) => Finding::ok(NAME, format!("/dev/null can be {how}, and written to")),
        Outcome::Refused(what, error) => refused(NAME, Status::Problem, facts, Kind::Mount, &what, &error),
    }
}

/// `overlay`, in the state directory. `mounts` tells whether anything can be mounted.
pub async fn overlay(mounts: bool, state: &Path, program: &Path) -> Finding {
    const NAME: &str = "overlay";
    const SO: &str = "each provisioner works on a copy of the image (a reflink where the file system can)";
    if !mounts {
        return Finding::warning(NAME, "not tried: it takes a mount namespace, see above");
    }
    let place = match tempfile::Builder::new().prefix(".larder-doctor-").tempdir_in(state) {
        Ok(place) => place,
        Err(error) => return Finding::warning(NAME, format!("not tried in {}: {error}", state.display())),
    };
    match layer::overlay_works(place.path(), program).await {
        Ok(true) => Finding::ok(NAME, format!("mounts in {}", state.display())),
        Ok(false) => Finding::warning(NAME, format!("refused in {}", state.display()))
            .so(SO)
            .remedy("use a directory that is not itself on an overlay, such as a volume: --state-dir DIR"),
        Err(error) => Finding::warning(NAME, format!("not tried: {error}")),
    }
}

/// A refusal by its cause; what of a user is refused because of its user namespace is told once, there.
fn refused(name: &'static str, status: Status, facts: &Facts, kind: Kind, what: &str, error: &io::Error) -> Finding {
    if name != "user-namespace" && what == "make a user namespace" {
        return Finding { status, ..Finding::warning(name, "not tried: it takes a user namespace, see above") };
    }
    let cause = facts.cause(kind, error);
    let mut finding = Finding::of(name, status, &cause);
    match cause {
        Cause::Unknown(_) => finding.found = format!("cannot {what}: {error}"),
        Cause::Container { .. } | Cause::NotCapable | Cause::NoNetAdmin(_) => {
            finding.found = format!("cannot {what}: {}", finding.found);
        }
        _ => {}
    }
    finding
}
