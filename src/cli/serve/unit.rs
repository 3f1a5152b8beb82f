//! `larder proxy unit`: units of systemd.

use super::address::Address;
use super::rules;
use crate::cli::args::ProxyUnitArgs;
use crate::cli::console::Console;
use crate::cli::settings::Settings;
use crate::error::{Context as _, Result};

/// The service. What it may not do is all that it does not do; `@larder@` is the program.
const SERVICE: &str = include_str!("larder-proxy.service");

/// The socket: `@listen@` are its addresses.
const SOCKET: &str = "\
[Unit]
Description=Sockets of Larder's proxy

[Socket]
@listen@
FileDescriptorName=proxy
SocketMode=0660
Backlog=4096
NoDelay=yes

[Install]
WantedBy=sockets.target
";

pub(in crate::cli) fn run(args: &ProxyUnitArgs, settings: &Settings, console: &Console) -> Result<()> {
    let text = if args.socket {
        let addresses = rules::addresses("proxy.listen", &settings.service.listen)?;
        socket(&addresses)
    } else {
        let program = std::env::current_exe().context(|| "cannot tell where this program is".to_owned())?;
        SERVICE.replace("@larder@", &escaped(&program.to_string_lossy()))
    };
    text.lines().try_for_each(|line| console.line(line))
}

fn socket(addresses: &[Address]) -> String {
    let one = |address: &Address| match address {
        Address::Tcp(address) => format!("ListenStream={address}"),
        Address::Unix(path) => format!("ListenStream={}", path.display()),
    };
    SOCKET.replace("@listen@\n", &(addresses.iter().map(one).collect::<Vec<_>>().join("\n") + "\n"))
}

/// A path as a unit's command line takes it: `%` begins a specifier, `$` a variable.
fn escaped(path: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('%', "%%").replace('$', "$$").replace('"', "\\\"");
    if path.contains(' ') { format!("\"{path}\"") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_those_of_the_settings() {
        let addresses = ["0.0.0.0:3142", "[::1]:3142", "unix:/run/larder/s"].map(|text| text.parse().unwrap());
        let text = socket(&addresses);
        assert!(text.contains("ListenStream=0.0.0.0:3142\nListenStream=[::1]:3142\nListenStream=/run/larder/s\nFile"));
    }

    #[test]
    fn paths_mean_themselves() {
        assert_eq!(escaped("/opt/a %b/$c"), "\"/opt/a %%b/$$c\"");
    }
}
