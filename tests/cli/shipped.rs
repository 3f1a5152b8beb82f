//! What is installed beside the program: completions and manual pages.

use std::fs;
use std::process::Command;

use super::Larder;
use super::support::Run;

/// Types lines into an interactive bash on a terminal, each followed by a tab, and prints what they became. No waiting is
/// needed: readline takes in what comes after the tab once the completion is done.
const TYPE: &str = r#"
import os, pty, re, sys

def end(pid, fd):
    os.close(fd)
    os.waitpid(pid, 0)

pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1="$ ", TERM="dumb", INPUTRC="/dev/null", HISTFILE="/dev/null")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

def until(mark):
    out = b""
    while mark not in out:
        out += os.read(fd, 65536)
    return out

os.write(fd, f"bind 'set bell-style none' 'set show-all-if-ambiguous off'; source {sys.argv[1]}; echo REA''DY\n".encode())
until(b"READY\r\n")
for line in sys.argv[2:]:
    os.write(fd, f"{line}\t\x01printf '<%s>' '\x05' EN''D; echo\n".encode())
    out = until(b"<END>\r\n").decode()
    print(re.findall("<([^<>]*)><END>", out)[-1])
end(pid, fd)
"#;

#[test]
fn bash_completes_commands_options_and_values() {
    let larder = super::demo();
    let script = larder.write("larder.bash", &larder.run(["completion", "bash"]).expect(0).stdout);
    let cases = [
        ("larder vali", "larder validate "),
        ("larder config tru", "larder config trust "),
        ("larder build --parallel", "larder build --parallel-builds "),
        ("larder build -parallel", "larder build -parallel-builds "),
        ("larder build -fo", "larder build -force "),
        ("larder build --ui js", "larder build --ui json "),
        ("larder build -ui js", "larder build -ui json "),
        ("larder build --ui=js", "larder build --ui=json "),
        ("larder build -on-error=ab", "larder build -on-error=abort "),
        ("larder build --net off", "larder build --net offline "),
        ("larder build -force dem", "larder build -force demo.pkr.hcl "),
        ("larder validate -var-file dem", "larder validate -var-file demo.pkr.hcl "),
        ("larder validate -nonsense", "larder validate -nonsense"),
    ];
    let mut python = Command::new("/usr/bin/python3");
    larder.settle(&mut python);
    python.args(["-c", TYPE]).arg(script).args(cases.iter().map(|(typed, _)| *typed));
    let run = Run::of(python.output().unwrap()).expect(0);
    let became: Vec<&str> = run.stdout.lines().collect();
    let expected: Vec<&str> = cases.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(became, expected);
}

/// Each shell reads its own script without complaint.
#[test]
fn shells_read_their_scripts() {
    let larder = Larder::new();
    for (shell, args) in [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])] {
        let script = larder.write("script", &larder.run(["completion", shell]).expect(0).stdout);
        let mut command = Command::new(shell);
        larder.settle(&mut command);
        match command.args(args).arg(script).output() {
            Ok(output) => assert_eq!(Run::of(output).expect(0).stderr, "", "{shell}"),
            Err(_) => eprintln!("skipped: {shell} is not installed"),
        }
    }
    let run = larder.run(["completion", "csh"]).expect(1);
    assert!(run.stderr.contains("csh"), "{}", run.stderr);
}

#[test]
fn there_is_a_page_for_every_command() {
    let larder = Larder::new();
    let run = larder.run(["man", "--dir", "man1"]).expect(0);
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(larder.dir().join("man1")).unwrap().map(Result::unwrap) {
        names.push(entry.file_name().into_string().unwrap());
        let page = fs::read_to_string(entry.path()).unwrap();
        assert!(page.is_ascii(), "{names:?}: {page}");
    }
    assert!(run.stdout.starts_with(&names.len().to_string()), "{}", run.stdout);
    for name in ["larder.1", "larder-build.1", "larder-cache-ls.1", "larder-config-trust.1"] {
        assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
    }
    let one = larder.run(["man", "cache", "ls"]).expect(0).stdout;
    assert_eq!(one, fs::read_to_string(larder.dir().join("man1/larder-cache-ls.1")).unwrap());
    let unknown = larder.run(["man", "bild"]).expect(1);
    assert!(unknown.stderr.contains("there is no command bild"), "{}", unknown.stderr);
}

#[test]
fn pages_are_sound() {
    let larder = Larder::new();
    let _ = larder.run(["man", "--dir", "man1"]).expect(0);
    for entry in fs::read_dir(larder.dir().join("man1")).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let mut checked = 0;
        for (program, args) in
            [("mandoc", &["-Tlint", "-Wwarning"] as &[&str]), ("groff", &["-man", "-Tutf8", "-ww", "-z"])]
        {
            match Command::new(program).args(args).arg(&path).output() {
                Ok(output) => {
                    let run = Run::of(output);
                    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""), "{program} {path:?}");
                    checked += 1;
                }
                Err(_) => eprintln!("skipped: {program} is not installed"),
            }
        }
        if checked == 0 {
            return;
        }
    }
}

/// The page of one command, as it is written.
#[test]
fn the_page_of_cleanup() {
    let larder = Larder::new();
    let page = larder.run(["man", "cleanup"]).expect(0).stdout;
    let page = page.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    insta::assert_snapshot!("man_cleanup", page);
}

#[test]
fn the_page_of_larder_has_every_part() {
    let larder = Larder::new();
    let page = larder.run(["man"]).expect(0).stdout;
    for part in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
        "SEE ALSO",
    ] {
        let heading = if part.contains(' ') { format!(".SH \"{part}\"\n") } else { format!(".SH {part}\n") };
        assert_eq!(page.matches(&heading).count(), 1, "{part}: {page}");
    }
    for mention in ["PACKER_CACHE_DIR", "LARDER_NET", "larder.toml", "127"] {
        assert!(page.contains(mention), "{mention}: {page}");
    }
}
