//! `larder completion`: scripts that make a shell complete commands and options, in Packer's spelling too.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::{Cli, CompletionArgs};
use super::console::Console;
use crate::error::{Context as _, Result};

/// Put around clap's function for bash: `-option` is completed like `--option`, and so is what follows `--option=`.
const BASH: &str = r#"
# Options may be written with one dash, as Packer's are, and with their value after `=`.
_larder_as_typed() {
    local cur="$2" prev="$3" one_dash=
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" && $COMP_CWORD -ge 2 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    if [[ $prev == -[!-]?* ]]; then
        prev="-$prev"
    fi
    if [[ $cur == -[!-]* ]]; then
        one_dash=1
        cur="-$cur"
    fi
    _larder "$1" "$cur" "$prev"
    if [[ -n $one_dash ]]; then
        COMPREPLY=("${COMPREPLY[@]/#--/-}")
    fi
}
"#;

/// Prints a shell's script.
pub(super) fn run(args: &CompletionArgs, console: &Console) -> Result<()> {
    let script = script(args.shell)?;
    console.line(script.trim_end())
}

/// The script for a shell.
fn script(shell: Shell) -> Result<String> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "larder", &mut out);
    let script = String::from_utf8(out).context(|| "the completion script is not text".to_owned())?;
    Ok(match shell {
        Shell::Bash => bash(&script),
        Shell::Fish => fish(&script),
        Shell::Zsh => zsh(&script),
        _ => script,
    })
}

fn bash(script: &str) -> String {
    let (functions, registration) = script.rsplit_once("\nif [[").unwrap_or((script, ""));
    let registration = registration.replace("complete -F _larder ", "complete -F _larder_as_typed ");
    format!("{functions}{BASH}\nif [[{registration}")
}

/// fish knows options of one dash (`-o`) beside those of two (`-l`).
fn fish(script: &str) -> String {
    let both = |line: &str| match line.split_once(" -l ") {
        Some((before, after)) => {
            let name = after.split(' ').next().unwrap_or_default();
            format!("{before} -l {name} -o {after}")
        }
        None => line.to_owned(),
    };
    script.lines().map(both).collect::<Vec<_>>().join("\n") + "\n"
}

/// Each line that describes `--option` is said again for `-option`.
fn zsh(script: &str) -> String {
    let mut lines = Vec::new();
    for line in script.lines() {
        lines.push(line.to_owned());
        if line.starts_with('\'') && line.contains("--") {
            let again = line.replacen("'--", "'-", 1).replacen("'*--", "'*-", 1);
            // Once with `(-f --force)`: what excludes what is for the long form alone.
            if again != *line {
                lines.push(again);
            }
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_with_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell).unwrap();
            assert!(script.contains("parallel-builds"), "{shell}: {script}");
        }
    }

    #[test]
    fn both_spellings_are_known() {
        assert!(script(Shell::Bash).unwrap().contains("complete -F _larder_as_typed -o"));
        assert!(!script(Shell::Bash).unwrap().contains("complete -F _larder -o"));
        assert!(script(Shell::Fish).unwrap().contains("-l parallel-builds -o parallel-builds "));
        let zsh = script(Shell::Zsh).unwrap();
        assert!(zsh.contains("\n'--parallel-builds=[") && zsh.contains("\n'-parallel-builds=["), "{zsh}");
    }
}
