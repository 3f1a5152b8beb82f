//! Settings files, variables and trust.

use super::support::Run;
use super::{Larder, assert_shown};

#[test]
fn a_projects_file_is_heeded_once_trusted() {
    let larder = super::demo();
    larder.write("larder.toml", "ui = \"quiet\"\nupstream_proxy = \"http://proxy.example.org:3128\"\n");
    assert_shown!("untrusted", larder, ["ps"]);
    assert_shown!("trust", larder, ["config", "trust"]);
    assert_shown!("trusted", larder, ["ps"]);
    larder.write("larder.toml", "upstream_proxy = \"http://other.example.org:3128\"\n");
    assert_shown!("changed", larder, ["ps"]);
}

#[test]
fn mistakes_in_a_file_are_named_with_their_place() {
    let larder = Larder::new();
    for (name, text) in [
        ("toml_syntax", "ui = \"plain\"\nnet = offline\n"),
        ("toml_unknown_key", "[cache]\nmaxsize = \"20G\"\n"),
        ("toml_wrong_type", "ui = \"plain\"\n  parallel_builds = \"two\"\n"),
        ("toml_wrong_word", "ui = \"json\"\nnet = \"ofline\"\n"),
    ] {
        larder.write("larder.toml", text);
        assert_shown!(name, larder, ["ps"]);
    }
}

#[test]
fn mistakes_in_variables_are_named() {
    let larder = Larder::new();
    for (name, variable, value) in [
        ("variable_wrong_word", "LARDER_NET", "ofline"),
        ("variable_wrong_number", "LARDER_PARALLEL_BUILDS", "two"),
        ("variable_unknown", "LARDER_CACHE_DIRR", "/x"),
    ] {
        let run = Run::of(larder.command(["ps"]).env(variable, value).output().unwrap());
        insta::assert_snapshot!(name, super::shown(&larder, &run));
    }
}

/// Flag over variable over file; and where things are without any of them.
#[test]
fn directories_follow_xdg_and_the_order_of_sources() {
    let larder = super::demo();
    let build = |home: &[(&str, &str)], args: &[&str]| {
        let mut command = larder.command(["build", "-only=*.null.*", "demo.pkr.hcl"]);
        command.args(args).env_remove("LARDER_CACHE_DIR").env_remove("LARDER_STATE_DIR");
        command.envs(home.iter().map(|(name, directory)| (*name, larder.dir().join(directory))));
        Run::of(command.output().unwrap()).expect(0)
    };
    let made = |path: &str| larder.dir().join(path).is_dir();
    let _ = build(&[], &[]);
    assert!(made(".cache/larder") && made(".local/state/larder/logs"));
    let _ = build(&[("XDG_CACHE_HOME", "xc"), ("XDG_STATE_HOME", "xs")], &[]);
    assert!(made("xc/larder") && made("xs/larder/logs"));
    let _ = build(&[("XDG_CACHE_HOME", "no"), ("LARDER_CACHE_DIR", "lc"), ("LARDER_STATE_DIR", "ls")], &[]);
    assert!(made("lc") && made("ls/logs") && !made("no"));
    let _ = build(&[("LARDER_CACHE_DIR", "no"), ("LARDER_STATE_DIR", "ls")], &["--cache-dir=fc"]);
    assert!(made("fc") && !made("no"));
}
