use super::*;
use crate::provisioner::testing;
use crate::template::config::{self, Config as _};
use crate::template::hcl::value::Value;

fn decoded(options: Vec<(&str, Value)>) -> OciConfig {
    let body = testing::body(options);
    let (decoded, diagnostics) = testing::decoding(|context| config::decode::<OciConfig>(&body, context));
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    decoded.config
}

/// What is wrong with a text, or a list of them.
fn wrong(option: &str, texts: &[&str]) -> Vec<String> {
    let value = if option.ends_with('s') || ["cmd", "entrypoint", "env"].contains(&option) {
        Value::strings(texts.iter().copied())
    } else {
        Value::string(texts[0])
    };
    decoded(vec![(option, value)])
        .problems()
        .into_iter()
        .map(|found| format!("{}: {}", found.option, found.message))
        .collect()
}

#[test]
fn every_option_that_is_wrong_is_named() {
    for (option, texts) in [
        ("tag", &["a b"] as &[&str]),
        ("tag", &["-a"]),
        ("cmd", &["echo hello"]),
        ("entrypoint", &[""]),
        ("env", &["=x"]),
        ("workdir", &["srv"]),
        ("volumes", &["/ok", "data"]),
        ("user", &["a:b:c"]),
        ("user", &["two words"]),
        ("exposed_ports", &["0"]),
        ("exposed_ports", &["65536"]),
        ("exposed_ports", &["80/http"]),
        ("exposed_ports", &["+80"]),
        ("stop_signal", &["TERM"]),
        ("stop_signal", &["SIGRTMINUS"]),
        ("stop_signal", &["SIGRTMAX+1"]),
        ("env", &["A=x\0y"]),
        ("platform", &["amd64"]),
        ("platform", &["windows/amd64"]),
        ("compression", &["xz"]),
    ] {
        let found = wrong(option, texts);
        assert!(found.len() == 1 && found[0].starts_with(&format!("oci.{option}: ")), "{option} {texts:?}: {found:?}");
    }
    for (option, texts) in [
        ("tag", &["registry.example.org/app:1.0"] as &[&str]),
        ("cmd", &["/bin/sh", "-c", "echo hello"]),
        ("user", &["1000:1000"]),
        ("exposed_ports", &["80", "53/udp"]),
        ("stop_signal", &["SIGRTMIN+3"]),
        ("stop_signal", &["9"]),
        ("platform", &["linux/arm/v7"]),
    ] {
        assert_eq!(wrong(option, texts), [""; 0], "{option}");
    }
}

#[test]
fn the_configuration_of_containers_is_as_docker_writes_it() {
    let config = decoded(vec![
        ("env", Value::strings(["A=1", "PATH=/bin", "A=2=3"])),
        ("exposed_ports", Value::strings(["53/udp", "80"])),
        ("volumes", Value::strings(["/data"])),
        ("workdir", Value::string("/srv")),
    ]);
    let json = serde_json::to_string(&config.execution()).unwrap();
    let expected = r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["PATH=/bin","A=2=3"],"Volumes":{"/data":{}},"WorkingDir":"/srv"}"#;
    assert_eq!(json, expected);
    assert_eq!(serde_json::to_string(&OciConfig::default().execution()).unwrap(), "{}");
}

#[test]
fn a_variable_without_a_value_is_refused() {
    let body = testing::body(vec![("env", Value::strings(["PATH"]))]);
    let (_, diagnostics) = testing::decoding(|context| config::decode::<OciConfig>(&body, context));
    assert!(diagnostics.errors().next().is_some_and(|found| format!("{found:?}").contains("has no `=`")));
    assert!(OciConfig::schema().option("env").is_some());
}
