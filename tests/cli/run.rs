//! Runs that need no guest, in every form of output, and Packer's spellings of options.

use std::fs;

use super::support::Run;
use super::{Larder, assert_shown};

#[test]
fn a_run_in_every_form() {
    let larder = super::demo();
    assert_shown!("build_plain", larder, ["build", "-parallel-builds=1", "demo.pkr.hcl"]);
    assert_eq!(fs::read_to_string(larder.dir().join("note.txt")).unwrap(), "hello world\n");
    assert_shown!("build_quiet", larder, ["build", "-force", "--ui=quiet", "-parallel-builds=1", "demo.pkr.hcl"]);
    let json = larder.run(["build", "-force", "--ui=json", "-parallel-builds=1", "demo.pkr.hcl"]).expect(0);
    let types: Vec<String> = json.events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!((types.first().unwrap().as_str(), types.last().unwrap().as_str()), ("run-started", "run-finished"));
    let finished: Vec<_> = json.events().into_iter().filter(|event| event["type"] == "build-finished").collect();
    assert_eq!(finished.len(), 2);
    assert!(finished.iter().all(|event| event["ending"] == "succeeded"), "{finished:?}");
    assert_eq!(json.stderr, "");
    let log = fs::read_to_string(finished[0]["log"].as_str().map_or_else(|| log_of(&json), str::to_owned)).unwrap();
    assert!(log.contains("nothing by null"), "{log}");
}

fn log_of(run: &Run) -> String {
    let started = run.events().into_iter().find(|event| event["type"] == "build-started").unwrap();
    started["log"].as_str().unwrap().to_owned()
}

#[test]
fn a_failing_step_and_its_exit_code() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "source \"null\" \"x\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.x\"]\n  provisioner \
         \"shell-local\" {\n    inline = [\"exit 3\"]\n  }\n  post-processor \"manifest\" {}\n}\n",
    );
    assert_shown!("build_fails", larder, ["build", "t.pkr.hcl"]);
    assert!(!larder.dir().join("packer-manifest.json").exists());
    assert_eq!(fs::read_dir(larder.state().join("scratch")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn inspect_and_validate() {
    let larder = super::demo();
    assert_shown!("inspect", larder, ["inspect", "-var", "who=you", "demo.pkr.hcl"]);
    assert_shown!("validate", larder, ["validate", "demo.pkr.hcl"]);
    assert_shown!("validate_syntax_only", larder, ["validate", "-syntax-only", "demo.pkr.hcl"]);
}

#[test]
fn packers_spellings() {
    let larder = super::demo();
    let built = |args: &[&str]| {
        let run = larder.run(["build", "--ui=json"].iter().chain(args)).expect(0);
        let events = run.events();
        events[0]["builds"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let null = ["demo.null.nothing"];
    assert_eq!(built(&["-only=*.nothing", "demo.pkr.hcl"]), null);
    assert_eq!(built(&["--only", "demo.null.nothing", "demo.pkr.hcl"]), null);
    assert_eq!(built(&["demo.pkr.hcl", "-only", "demo.null.*"]), null, "options may follow the template");
    assert_eq!(built(&["-except=*.note", "demo.pkr.hcl"]), null);
    assert_eq!(built(&["-force=false", "-color=false", "-timestamp-ui=false", "demo.pkr.hcl"]).len(), 2);
    assert_eq!(built(&["-force", "-color", "-on-error=abort", "-parallel-builds=1", "demo.pkr.hcl"]).len(), 2);
    let _ = built(&["-force=true", "-var", "who=a=b", "-var=who=--x", "-use-sequential-evaluation", "demo.pkr.hcl"]);
    assert_eq!(fs::read_to_string(larder.dir().join("note.txt")).unwrap(), "hello --x\n", "the last -var holds");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let larder = super::demo();
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = larder.command(["build", "-force", "demo.pkr.hcl"]);
        Run::of(command.args(args).envs(env.iter().copied()).output().unwrap()).expect(0).stdout.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]), "not in a pipe");
    assert!(coloured(&["-color"], &[]));
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["-color=false"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("NO_COLOR", "1"), ("PACKER_NO_COLOR", "1")]));
}

#[test]
fn a_plan_tells_the_steps_of_a_run() {
    let larder = super::demo();
    let plan = larder.run(["plan", "--json", "demo.pkr.hcl"]).expect(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let run = larder.run(["build", "-force", "--ui=json", "-parallel-builds=1", "demo.pkr.hcl"]).expect(0);
    for build in plan["builds"].as_array().unwrap() {
        let begun =
            run.events().into_iter().filter(|event| event["type"] == "step-started" && event["build"] == build["name"]);
        let begun: Vec<_> = begun.map(|event| event["step"].clone()).collect();
        let steps = build["steps"].as_array().unwrap().iter().map(|step| step["name"].clone());
        let chains = build["post_processors"].as_array().unwrap().iter().flat_map(|chain| chain.as_array().unwrap());
        let chains = chains.map(|name| format!("post-processor {}", name.as_str().unwrap()).into());
        assert_eq!(begun, steps.chain(chains).collect::<Vec<serde_json::Value>>(), "{build}");
    }
    let text = larder.run(["plan", "demo.pkr.hcl"]).expect(0).stdout;
    assert!(text.contains("\n  steps: "), "{text}");
}

/// Unknown when validating, known when run.
#[test]
fn build_values_are_known_when_run() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        r#"
source "null" "x" {
  communicator = "none"
}
build {
  sources = ["null.x"]
  provisioner "shell-local" {
    environment_vars = ["RUN=${build.PackerRunUUID}", "LENGTH=${length(build.PackerRunUUID)}"]
    inline           = ["echo run=$RUN length=$LENGTH"]
  }
  post-processor "shell-local" {
    inline = ["echo after=${build.PackerRunUUID}"]
  }
}
"#,
    );
    let _ = larder.run(["validate", "t.pkr.hcl"]).expect(0);
    let run = larder.run(["build", "t.pkr.hcl"]).expect(0);
    let found = regex::Regex::new("run=([0-9a-f-]{36}) length=36").unwrap().captures(&run.stdout);
    let uuid = found.unwrap_or_else(|| panic!("{}", run.stdout))[1].to_owned();
    assert!(run.stdout.contains(&format!("after={uuid}")), "{}", run.stdout);
}
