//! A corporate network in small: a namespace whose only way out is a squid with a password that opens all TLS; see
//! `tests/support/peers/corporate.py`. `tests/long/corporate` builds the quick start there.

use std::process::Command;

use serde_json::Value;

use crate::support::{Run, is_root};

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/peers/corporate.py");

/// What came of a case: of `proxy check` and `doctor` as JSON, and of a build.
fn driver(cases: &[&str]) -> Value {
    let mut command = Command::new("python3");
    command.arg(DRIVER).args(cases).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    let run = Run::of(command.output().unwrap()).expect(0);
    assert!(!run.stdout.contains("s3cret"), "{}", run.stdout);
    serde_json::from_str(&run.stdout).unwrap()
}

fn finding<'a>(told: &'a Value, check: &str) -> (&'a str, &'a str) {
    let checks = told["doctor"]["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check).unwrap();
    (found["status"].as_str().unwrap(), found["found"].as_str().unwrap())
}

#[test]
fn with_proxy_password_and_root_a_build_works_where_nothing_else_leads_out() {
    if !is_root() {
        return;
    }
    let told = &driver(&["right"])["right"];
    assert_eq!((told["check"]["code"].as_i64(), told["build"]["code"].as_i64()), (Some(0), Some(0)), "{told:#}");
    let shown = told["check"]["stdout"].as_str().unwrap();
    for words in ["(authentication: Basic)", "TLS 1.3", "of `ca_files`", "not a public root: TLS inspection"] {
        assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{words}: {shown}");
    }
    assert_eq!(told["json"][0]["inspected_by"], "Example Corp TLS inspection");
    assert_eq!(finding(told, "upstream").0, "ok", "{told:#}");
    assert!(finding(told, "upstream").1.contains("TLS is opened on the way"), "{told:#}");
}

/// Each wrong setting: its name, what doctor and the build say of it, and what comes next.
#[test]
fn each_wrong_setting_is_told_by_check_doctor_and_the_build() {
    if !is_root() {
        return;
    }
    let cases = [
        ("no credentials", "no-credentials", "asks for authentication", "--upstream-proxy 'http://USER:PASSWORD@"),
        ("wrong password", "wrong-credentials", "asks for authentication", "--upstream-proxy 'http://USER:PASSWORD@"),
        ("missing root", "missing-root", "Example Corp TLS inspection", "--ca-file FILE"),
        ("proxy down", "proxy-down", "cannot be reached", "--upstream-proxy http://HOST:PORT"),
        ("proxy unknown", "proxy-unknown", "no address for proxy.invalid", "--upstream-proxy http://HOST:PORT"),
        ("no_proxy", "no-proxy", "`no_proxy` (--no-proxy) lists it", "--no-proxy ''"),
        ("no proxy", "no-way", "no address for packages.example.org", "--upstream-proxy http://HOST:PORT"),
    ];
    let told = driver(&cases.map(|(case, ..)| case));
    for (case, cause, words, next) in cases {
        let told = &told[case];
        let failed = &told["json"][0]["failed"];
        assert_eq!((told["check"]["code"].as_i64(), &failed["cause"]), (Some(1), &Value::from(cause)), "{told:#}");
        assert!(failed["why"].as_str().unwrap().contains(words), "{case}: {told:#}");
        assert!(failed["next"][0].as_str().unwrap().contains(next), "{case}: {told:#}");
        let (status, found) = finding(told, "upstream");
        assert!(status == "problem" && found.contains(words), "{case}: {told:#}");
        let shown = told["check"]["stdout"].as_str().unwrap();
        assert!(shown.lines().all(|line| line.chars().count() <= 80 || line.contains("/larder-corporate.")), "{shown}");
        // A build that fails says the same.
        let build = &told["build"];
        let said = build["stdout"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let of_build = match case {
            "missing root" => "an authority that is not trusted here",
            "no_proxy" => "no address for packages.example.org",
            _ => words,
        };
        assert!(build["code"] == 1 && said.contains(of_build), "{case}: {build:#}");
    }
}
