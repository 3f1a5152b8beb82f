//! `larder history`: what builds have left on record.

use std::fs;

use super::support::Run;
use super::{Larder, assert_shown};

/// The list and a run, with what differs each time replaced.
fn shown(larder: &Larder, run: &Run) -> String {
    let mut text = super::shown(larder, run);
    for (pattern, by) in [
        (r"\d{8}T\d{6}-[0-9a-f]{6}", "[RUN]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[TIME]"),
        (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[UUID]"),
        (r" +(=|[+-]\[TIME\])", "  [CHANGE]"),
        (r" {3,}", "   "),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, by).into_owned();
    }
    text
}

fn ids(larder: &Larder) -> Vec<String> {
    let run = larder.run(["history", "--json"]).expect(0);
    let runs: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn runs_are_listed_shown_and_compared() {
    let larder = super::demo();
    assert_shown!("history_none", larder, ["history"]);
    assert_shown!("history_none_run", larder, ["history", "last"]);
    assert!(!larder.state().join("history.sqlite").exists(), "looking makes nothing");
    let _ = larder.run(["build", "-parallel-builds=1", "demo.pkr.hcl"]).expect(0);
    let template = fs::read_to_string(larder.dir().join("demo.pkr.hcl")).unwrap();
    larder.write("demo.pkr.hcl", &template.replace("inline = [", "inline = [\"exit 3\", "));
    let _ = larder.run(["build", "-force", "-parallel-builds=1", "demo.pkr.hcl"]).expect(1);
    larder.write("demo.pkr.hcl", &template.replace("name   = \"greet\"", "name   = \"hail\""));
    let _ = larder.run(["build", "-force", "-parallel-builds=1", "-only=*.note", "demo.pkr.hcl"]).expect(0);
    let show = |name: &str, args: &[&str]| {
        insta::assert_snapshot!(name, shown(&larder, &larder.run(args)));
    };
    show("history", &["history"]);
    show("history_template", &["history", "--template", "other"]);
    show("history_run", &["history", "last", "--sort=begun"]);
    let ids = ids(&larder);
    assert_eq!(ids.len(), 3);
    show("history_failed", &["history", &ids[1]]);
    show("history_diff", &["history", "diff", &ids[2], "last"]);
    show("history_unknown", &["history", "nothing"]);
    let run: serde_json::Value =
        serde_json::from_str(&larder.run(["history", "last", "--json"]).expect(0).stdout).unwrap();
    assert_eq!((run["ending"].as_str(), run["live"].as_bool()), (Some("succeeded"), Some(false)));
    let log = run["builds"][0]["log"].as_str().unwrap();
    assert!(fs::read_to_string(log).unwrap().contains(" >>> step 1: "), "the log is where history says");
}

#[test]
fn only_so_many_runs_are_kept_as_is_set() {
    let larder = super::demo();
    larder.write(".config/larder/config.toml", "[history]\nkeep = 2\n");
    for _ in 0..3 {
        let _ = larder.run(["build", "-force", "demo.pkr.hcl"]).expect(0);
    }
    let ids = ids(&larder);
    assert_eq!(ids.len(), 2);
    let mut logs: Vec<String> = fs::read_dir(larder.state().join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    logs.sort_by_key(|log| ids.iter().position(|id| id == log));
    assert_eq!(logs, ids, "the logs of the first are gone with it");
}

#[test]
fn a_build_goes_on_where_its_history_cannot_be_written() {
    let larder = super::demo();
    fs::create_dir_all(larder.state().join("history.sqlite")).unwrap();
    let run = larder.run(["build", "-force", "demo.pkr.hcl"]).expect(0);
    assert_eq!(run.stderr.matches("the history of this run is not complete").count(), 1, "{}", run.stderr);
    let run = larder.run(["history"]).expect(1);
    assert!(run.stderr.contains("cannot open the history of runs"), "{}", run.stderr);
}
