//! Go: `GOPROXY`, of the environment or of what `go env -w` has written.

use url::Url;

use super::public::Ecosystem;
use super::{Found, Machine};
use crate::cli::mirrors::host::Proposal;
use crate::cli::settings::mirrors::MirrorSetting;

const TOOL: &str = "go";

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let variable = machine.variable("GOPROXY").map(|list| (list.to_owned(), "the variable GOPROXY".to_owned()));
    let Some((list, source)) = variable.or_else(|| of_file(machine)) else { return };
    let mut mirrors = false;
    // After a comma the next is for what is not there, after a bar also for what fails: Larder's mirrors are for both.
    for word in list.split([',', '|']).map(str::trim) {
        match word {
            "" => {}
            "off" | "direct" => break,
            url if Url::parse(url).is_ok_and(|url| found.names.is_public(&url)) => {
                if mirrors {
                    found.proposals.push(Proposal {
                        public: found.names.of(Ecosystem::Go),
                        ecosystem: Some(Ecosystem::Go),
                        mirror: MirrorSetting::at(larder_proxy::mirror::ORIGIN),
                        tool: TOOL,
                        source: source.clone(),
                        notes: Vec::new(),
                    });
                }
                break;
            }
            url => mirrors |= found.mirror(TOOL, source.clone(), Ecosystem::Go, url).is_some(),
        }
    }
}

fn of_file(machine: &Machine<'_>) -> Option<(String, String)> {
    let files = [
        machine.variable("GOENV").filter(|path| *path != "off").map(str::to_owned),
        machine.config("go/env"),
        Some("/usr/local/go/go.env".to_owned()),
        Some("/usr/lib/go/go.env".to_owned()),
    ];
    files.into_iter().flatten().find_map(|path| {
        let text = machine.read(&path)?;
        let list = text.lines().find_map(|line| line.trim().strip_prefix("GOPROXY=").map(str::to_owned))?;
        Some((list.trim_matches(['"', '\'']).to_owned(), format!("{path}, GOPROXY")))
    })
}
