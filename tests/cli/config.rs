//! `larder config`, and variables of the environment.

use std::fs;

use super::support::Run;
use super::{Larder, assert_shown};

fn with_env(larder: &Larder, env: &[(&str, &str)], args: &[&str]) -> Run {
    let mut command = larder.command(args);
    Run::of(command.envs(env.iter().copied()).output().unwrap())
}

const PROJECT: &str = r#"
net = "offline"
upstream_proxy = "http://me:pass@proxy.example.org:3128"
[mirrors]
"a.example.org" = "https://b.example.org/a"
"#;

#[test]
fn every_value_has_its_source() {
    let larder = Larder::new();
    larder.write("project/larder.toml", PROJECT);
    larder.write(".config/larder/config.toml", "parallel_builds = 2\nlog = \"error\"\n");
    let show = |name: &str, env: &[(&str, &str)], args: &[&str]| {
        let mut command = larder.command(args);
        let run =
            Run::of(command.envs(env.iter().copied()).current_dir(larder.dir().join("project")).output().unwrap());
        // How wide columns are depends on where the temporary directory is.
        let shown = regex::Regex::new(" {3,}").unwrap().replace_all(&super::shown(&larder, &run), "  ").into_owned();
        insta::assert_snapshot!(name, shown);
    };
    show("config", &[("LARDER_UI", "plain"), ("PACKER_PLUGIN_PATH", "/plugins")], &["config", "--cache-dir", "/c"]);
    let run = Run::of(larder.command(["config", "trust", "project/larder.toml"]).output().unwrap()).expect(0);
    assert!(run.stdout.contains("is trusted as it is now"));
    show("config_trusted", &[], &["config"]);
    show("config_json", &[], &["config", "show", "--json"]);
    show("config_path", &[], &["config", "path"]);
    show("config_get", &[], &["config", "get", "mirrors"]);
    show("config_get_unknown", &[], &["config", "get", "mirror"]);
    show("config_distrust", &[], &["config", "distrust"]);
    show("config_distrust_again", &[], &["config", "distrust"]);
}

#[test]
fn validate_and_inspect_read_settings_too() {
    let larder = super::demo();
    larder.write("larder.toml", PROJECT);
    for command in ["validate", "inspect"] {
        let run = larder.run([command, "demo.pkr.hcl"]).expect(0);
        assert!(
            run.stderr.contains("sets mirrors, upstream_proxy, which is not taken: it is not trusted"),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains("pass"), "{}", run.stderr);
    }
    larder.write("larder.toml", "nett = \"offline\"\n");
    assert_shown!("validate_settings", larder, ["validate", "demo.pkr.hcl"]);
}

#[test]
fn trust_names_a_file_or_finds_it() {
    let larder = Larder::new();
    let none = larder.run(["config", "trust"]).expect(1);
    assert!(none.stderr.contains("there is no larder.toml in this directory or above it"), "{}", none.stderr);
    larder.write("larder.toml", "");
    let found = larder.run(["config", "trust"]).expect(0);
    assert!(found.stdout.contains("/larder.toml is trusted as it is now"), "{}", found.stdout);
}

#[test]
fn packer_log_logs_what_larder_does() {
    let larder = super::demo();
    let validate = |env: &[(&str, &str)]| with_env(&larder, env, &["validate", "demo.pkr.hcl"]).expect(0).stderr;
    assert_eq!(validate(&[]), "");
    assert_eq!(validate(&[("PACKER_LOG", "0")]), "");
    assert_eq!(validate(&[("PACKER_LOG", "")]), "");
    let log = validate(&[("PACKER_LOG", "1"), ("PACKER_PLUGIN_PATH", "/plugins")]);
    assert!(log.contains("INFO") && log.contains("Larder 0.") && log.contains("net is cache (default)"), "{log}");
    assert!(log.contains("PACKER_PLUGIN_PATH is set, and ignored: Larder has no plugins"), "{log}");
    assert_eq!(validate(&[("PACKER_LOG", "1"), ("LARDER_LOG", "off")]), "", "Larder's own goes before it");

    let path = larder.dir().join("packer.log");
    let with_path = |log: &str| validate(&[("PACKER_LOG", log), ("PACKER_LOG_PATH", path.to_str().unwrap())]);
    assert_eq!(with_path("0"), "");
    assert!(!path.exists(), "it does not switch the log on");
    assert_eq!(with_path("1"), "");
    assert!(fs::read_to_string(&path).unwrap().contains("net is cache (default)"));
    let nowhere = [("PACKER_LOG", "1"), ("PACKER_LOG_PATH", "/nowhere/packer.log")];
    let refused = with_env(&larder, &nowhere, &["validate", "demo.pkr.hcl"]).expect(1);
    assert!(
        refused.stderr.contains("cannot write the log to /nowhere/packer.log (PACKER_LOG_PATH)"),
        "{}",
        refused.stderr
    );
}

#[test]
fn packers_cache_directory_holds_larders() {
    let larder = Larder::new();
    let cache = |env: &[(&str, &str)], args: &[&str]| {
        let mut command = larder.command(["config", "get", "cache_dir"]);
        let run =
            Run::of(command.args(args).env_remove("LARDER_CACHE_DIR").envs(env.iter().copied()).output().unwrap());
        run.expect(0).stdout.trim_end().to_owned()
    };
    let packers = ("PACKER_CACHE_DIR", "/var/cache/packer");
    assert_eq!(cache(&[packers], &[]), "/var/cache/packer/larder");
    assert_eq!(cache(&[("PACKER_CACHE_DIR", "pc")], &[]), larder.dir().join("pc/larder").to_str().unwrap());
    assert_eq!(cache(&[packers, ("LARDER_CACHE_DIR", "/l")], &[]), "/l");
    assert_eq!(cache(&[packers], &["--cache-dir=/o"]), "/o");
    larder.write(".config/larder/config.toml", "cache_dir = \"/u\"\n");
    assert_eq!(cache(&[packers], &[]), "/u");
}

/// `--color` > NO_COLOR > CLICOLOR_FORCE > the terminal.
#[test]
fn variables_of_colour_have_an_order() {
    let larder = super::demo();
    let coloured = |env: &[(&str, &str)], args: &[&str]| {
        let args: Vec<&str> = ["build", "-force", "demo.pkr.hcl"].iter().chain(args).copied().collect();
        with_env(&larder, env, &args).expect(0).stdout.contains('\u{1b}')
    };
    let force = ("CLICOLOR_FORCE", "1");
    assert!(coloured(&[force, ("TERM", "dumb"), ("CLICOLOR", "0"), ("CI", "true")], &[]));
    assert!(!coloured(&[force, ("NO_COLOR", "0")], &[]), "any value");
    assert!(!coloured(&[force, ("PACKER_NO_COLOR", "1")], &[]));
    assert!(coloured(&[force, ("PACKER_NO_COLOR", "0")], &[]));
    assert!(coloured(&[("NO_COLOR", "1")], &["-color"]));
    let mut errors = larder.command(["validate", "nowhere.pkr.hcl"]);
    let errors = Run::of(errors.env("CLICOLOR_FORCE", "1").output().unwrap()).expect(1).stderr;
    assert!(errors.contains('\u{1b}'), "{errors}");
}

/// Where HOME is not set, the user database knows.
#[test]
fn without_home_a_command_still_works() {
    let larder = super::demo();
    let mut command = larder.command(["config", "get", "cache_dir"]);
    let run = Run::of(command.env_remove("HOME").env_remove("LARDER_CACHE_DIR").output().unwrap()).expect(0);
    assert!(run.stdout.starts_with('/') && run.stdout.ends_with("/.cache/larder\n"), "{}", run.stdout);
}
