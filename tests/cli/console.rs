//! `larder console` at a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Larder;
use super::pty::Pty;

const TEMPLATE: &str = "variable \"name\" { default = \"web\" }\n\
    variable \"password\" {\n  default = \"hunter2\"\n  sensitive = true\n}\n\
    locals { escape = \"a\\u001b[2Jb\" }\n";

fn start(larder: &Larder, term: &str) -> Pty {
    larder.write("t.pkr.hcl", TEMPLATE);
    let mut command = larder.command(["console", "t.pkr.hcl"]);
    command.env("TERM", term);
    let pty = Pty::start(&command, 80, 24);
    pty.wait_for("HCL2, with t.pkr.hcl. `help` says more, Ctrl-D leaves.");
    pty
}

/// What is on the screen below the line that was typed last.
fn answer(screen: &str, typed: &str) -> Vec<String> {
    let below = screen.rsplit_once(typed).map(|(_, below)| below).unwrap_or_default();
    below.lines().skip(1).map(str::to_owned).take_while(|line| !line.starts_with('>')).collect()
}

/// Types a line, and waits for the line after what comes of it.
#[track_caller]
fn ask(pty: &Pty, typed: &str, expected: &[&str]) {
    pty.keys(typed);
    pty.keys("\r");
    let typed = typed.split('\r').next_back().unwrap();
    let typed = typed.split(['\t', '\x03', '\x01']).next_back().unwrap().trim();
    pty.wait_until("an answer", |screen| answer(screen, typed) == expected && screen.trim_end().ends_with("\n>"));
}

#[test]
fn lines_are_edited_completed_and_answered() {
    let larder = Larder::new();
    let pty = start(&larder, "xterm-256color");
    ask(&pty, "1 + 1", &["2"]);
    // A function, a variable.
    pty.keys("upp\tvar.na\t)");
    pty.wait_for("> upper(var.name)");
    pty.keys("\r");
    pty.wait_for("\nWEB\n>");
    // Ctrl-C leaves the line, and not the console.
    pty.keys("garbage\x03");
    pty.wait_for("> garbage\n>");
    ask(&pty, "3 * 3", &["9"]);
    // What is open goes on.
    ask(&pty, "[1,\r2]", &["[", "  1,", "  2,", "]"]);
    ask(&pty, "var.password", &["<sensitive>"]);
    // What a template holds does not write elsewhere on the screen.
    ask(&pty, "local.escape", &["ab"]);
    pty.keys("var.nam\r");
    // What is typed before the next prompt is typed to the terminal, for which this key is the end of another kind.
    let asked = |screen: &str| screen.contains("= help: did you mean `name`?") && screen.trim_end().ends_with("\n>");
    pty.wait_until("the next prompt", asked);
    pty.keys("\x04");
    assert_eq!(pty.end(), 0);
}

#[test]
fn earlier_lines_are_kept_but_for_secrets() {
    let larder = Larder::new();
    let pty = start(&larder, "xterm-256color");
    ask(&pty, "40 + 2", &["42"]);
    ask(&pty, "upper(\"hunter2\")", &["HUNTER2"]);
    ask(&pty, " \"not kept\"", &["not kept"]);
    pty.keys("exit\r");
    assert_eq!(pty.end(), 0);
    let path = larder.state().join("console-history");
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains("40 + 2\n") && !kept.contains("hunter2") && !kept.contains("not kept"), "{kept}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // The next time they are there.
    let pty = start(&larder, "xterm-256color");
    pty.keys("\x1b[A\x1b[A");
    pty.wait_for("> 40 + 2");
    pty.keys("\r");
    pty.wait_for("\n42\n>");
    pty.keys("\x04");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_terminal_that_can_do_nothing_will_do() {
    let larder = Larder::new();
    let pty = start(&larder, "dumb");
    pty.wait_for("leaves.\n>");
    pty.keys("1 + 1\n");
    pty.wait_for("\n2\n>");
    pty.keys("[3,\n4]\n");
    pty.wait_for("\n  3,\n  4,\n]\n>");
    pty.keys("\x04");
    assert_eq!(pty.end(), 0);
}
