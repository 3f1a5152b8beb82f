//! A tool through each kind of proxy; `tests/long/routes` has every tool through each.

use std::collections::BTreeSet;
use std::process::Command;

use crate::larder::{Run, is_root};

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/long/routes");

fn driver(args: &[&str]) -> Run {
    let mut command = Command::new("python3");
    command.arg(DRIVER).args(args).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    Run::of(command.output().unwrap())
}

/// A test for each route, with a tool; and one that none is left out.
macro_rules! routes {
    ($($test:ident: $route:literal, $tool:literal;)+) => {
        $(
            #[test]
            fn $test() {
                if is_root() {
                    let run = driver(&["--only", $route, "--tool", $tool]);
                    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
                }
            }
        )+

        #[test]
        fn every_route_has_a_test() {
            let run = driver(&["--list"]).expect(0);
            let tested: BTreeSet<&str> = [$($route),+].into();
            assert_eq!(run.stdout.lines().collect::<BTreeSet<_>>(), tested);
        }
    };
}

routes! {
    apt_through_tinyproxy: "tinyproxy", "apt";
    git_through_squid_with_basic: "squid-basic", "git";
    pip_through_squid_with_digest: "squid-digest", "pip";
    pip_through_squid_over_tls: "squid-https", "pip";
    apt_through_squid_with_negotiate: "squid-negotiate", "apt";
    pip_through_squid_with_ntlm: "squid-ntlm", "pip";
    npm_through_dante: "dante", "npm";
    apt_through_two_proxies: "two", "apt";
    cargo_through_an_https_parent_with_a_password: "https-parent", "cargo";
}
