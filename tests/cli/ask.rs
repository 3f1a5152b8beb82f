//! Questions at a terminal, in lines of text.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use super::Larder;
use super::pty::Pty;

const PROMPT: &str = "[c] Clean up and exit, or [r] retry step (build may fail even if retry succeeds)?";

/// A template of these builds on the host, each of which runs this line.
fn template(larder: &Larder, builds: &[&str], line: &str) {
    let sources: Vec<_> = builds.iter().map(|name| format!("source \"null\" \"{name}\" {{}}\n")).collect();
    let sources = sources.concat();
    let names: Vec<_> = builds.iter().map(|name| format!("\"null.{name}\"")).collect();
    larder.write(
        "t.pkr.hcl",
        &format!(
            "{sources}build {{\n  sources = [{}]\n  provisioner \"shell-local\" {{\n    inline = [{line:?}]\n  }}\n  \
             post-processor \"manifest\" {{}}\n}}\n",
            names.join(", ")
        ),
    );
}

fn command(larder: &Larder, options: &[&str]) -> Command {
    let options = if options.contains(&"--ui") { options.to_vec() } else { [&["--ui=plain"], options].concat() };
    larder.command([&["build", "-on-error=ask"], &options[..], &["t.pkr.hcl"]].concat())
}

fn start(larder: &Larder, options: &[&str]) -> Pty {
    Pty::start(&command(larder, options), 120, 60)
}

#[test]
fn a_step_is_retried_once_what_it_lacks_is_there() {
    let larder = Larder::new();
    template(&larder, &["x"], "echo looking; test -e go");
    let pty = start(&larder, &[]);
    pty.wait_for(PROMPT);
    let screen = pty.screen();
    for shown in [
        "??? null.x: step 1 [shell-local] failed",
        "    Script exited with non-zero exit status: 1",
        "    | looking",
        "    [e] edit the script, then retry",
        "    [k] skip this step and go on; the artifact is marked",
        "    Unanswered for 30 min 00 s, it is cleaned up.",
    ] {
        assert!(screen.contains(shown), "{shown:?} is not in:\n{screen}");
    }
    // Neither a stray Enter nor a letter that means nothing ends the build.
    pty.keys("\nx\n");
    pty.wait_for("There is no choice \"x\".");
    larder.write("go", "");
    pty.keys("r\n");
    assert_eq!(pty.end(), 0);
    let screen = pty.screen();
    assert!(screen.contains("shell-local (attempt 2)") && screen.contains("succeeded"), "{screen}");
    pty.assert_restored();
}

#[test]
fn a_skipped_step_is_told_and_ends_with_1() {
    let larder = Larder::new();
    template(&larder, &["x"], "exit 3");
    let pty = start(&larder, &[]);
    pty.wait_for(PROMPT);
    pty.keys("k\n");
    assert_eq!(pty.end(), 1);
    let screen = pty.screen();
    assert!(screen.contains("null.x: succeeded after"), "{screen}");
    assert!(screen.contains("  marked: step 1 [shell-local] failed and was skipped"), "{screen}");
    assert!(larder.dir().join("packer-manifest.json").exists(), "the build went on");
}

#[test]
fn a_script_is_edited_and_retried() {
    let larder = Larder::new();
    template(&larder, &["x"], "echo one; exit 3");
    let editor = larder.write("editor", "#!/bin/sh\ntest \"$1\" = -x && sed -i 's/exit 3/echo mended/' \"$2\"\n");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let pty = Pty::start(command(&larder, &[]).env("EDITOR", format!("{} -x", editor.display())), 400, 60);
    pty.wait_for(PROMPT);
    pty.keys("e\n");
    assert_eq!(pty.end(), 0);
    let screen = pty.screen();
    assert!(screen.contains("null.x: mended"), "{screen}");
    let marked = screen.split("  marked: step 1 [shell-local] ran an edited copy of inline: ").nth(1).unwrap();
    let path = marked.lines().next().unwrap();
    assert!(fs::read_to_string(path).unwrap().contains("echo mended"), "{path}");
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "it may hold secrets");
}

#[test]
fn one_answer_for_all_that_failed_alike() {
    let larder = Larder::new();
    template(&larder, &["x", "y", "z"], "test -e go");
    let pty = start(&larder, &[]);
    // The oldest is shown, and says nothing of those that came later until it is shown again; when the prompt has heard of
    // the last of them is not to be seen.
    pty.wait_for(PROMPT);
    let shown = |screen: &str| screen.contains("3 builds failed so") && screen.contains("(1 of 3 questions)");
    let again = |_| {
        pty.keys("\n");
        pty.try_wait_until(Duration::from_secs(2), shown).is_ok()
    };
    assert!((0..20).any(again), "{}", pty.screen());
    larder.write("go", "");
    pty.keys("r all\n");
    assert_eq!(pty.end(), 0);
}

#[test]
fn without_an_answer_it_is_cleaned_up() {
    for (options, keys, told) in [
        (&[] as &[&str], "\x04", "the terminal is gone: clean up"),
        (&["--ask-timeout=1s"], "", "unanswered by its deadline: clean up"),
        (&[], "\x03", "Cancelling build after being interrupted"),
        (&[], "c\n", "answered: clean up"),
    ] {
        let larder = Larder::new();
        template(&larder, &["x"], "exit 3");
        let pty = start(&larder, options);
        pty.wait_for(PROMPT);
        pty.keys(keys);
        assert_eq!(pty.end(), 1, "{told}");
        assert!(pty.screen().contains(told), "{told:?} is not in:\n{}", pty.screen());
        assert_eq!(fs::read_dir(larder.state().join("scratch")).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn where_nobody_is_it_is_cleanup_with_a_warning() {
    let larder = Larder::new();
    template(&larder, &["x"], "exit 3");
    let run = larder.run(["build", "-on-error=ask", "t.pkr.hcl"]).expect(1);
    assert_eq!(run.stderr.matches("there is nobody to ask").count(), 1, "{}", run.stderr);
    for (name, value, ui) in [("CI", "true", "plain"), ("LANG", "C", "json"), ("LANG", "C", "quiet")] {
        let pty = Pty::start(command(&larder, &["--ui", ui]).env(name, value), 200, 50);
        assert_eq!(pty.end(), 1);
        let screen = pty.screen();
        assert!(screen.contains("there is nobody to ask") && !screen.contains("Clean up and exit"), "{screen}");
    }
}

#[test]
fn a_breakpoint_waits_for_enter() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "source \"null\" \"x\" {}\nbuild {\n  sources = [\"null.x\"]\n  provisioner \"breakpoint\" {\n    \
         note = \"look\"\n  }\n}\n",
    );
    let pty = start(&larder, &[]);
    pty.wait_for("Press enter to continue.");
    assert!(pty.screen().contains("Pausing at breakpoint provisioner with note \"look\"."), "{}", pty.screen());
    pty.keys("\n");
    assert_eq!(pty.end(), 0);
}
