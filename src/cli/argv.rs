//! Go's flag grammar in front of clap.
//!
//! Packer's users write `-var x=1`, `-only=a,b`, `-force=false`, `--color`; clap knows only `--name`. One pure
//! function rewrites what the user typed into clap's spelling; the table of flags is read from the clap commands
//! themselves, so that there is nothing to keep in step.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::{ArgAction, Command};

use crate::error::{Error, Result};

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing; clap only knows it as present or absent. `=false` takes back what came before.
    Nothing,
    /// `=true` or `=false`, or nothing, which means true. Never the next argument.
    Bool,
    /// A value after `=`, or nothing. Never the next argument.
    Maybe,
    /// A value: after `=`, or the next argument whatever it looks like, as in Go.
    Value,
}

/// The flags of a command, and the tables of its subcommands.
#[derive(Clone, Debug, Default)]
pub struct FlagTable {
    long: BTreeMap<String, Takes>,
    short: BTreeMap<char, Takes>,
    subcommands: BTreeMap<String, FlagTable>,
    /// Whether everything from the first positional argument on belongs to a command that is to be run.
    trailing: bool,
}

impl FlagTable {
    /// Reads the flags of a clap command and all its subcommands.
    pub fn of(command: &Command) -> Self {
        Self::with_inherited(command, &Self::default())
    }

    /// Adds a flag by its long name.
    #[must_use]
    pub fn flag(mut self, name: &str, takes: Takes) -> Self {
        self.long.insert(name.to_owned(), takes);
        self
    }

    fn with_inherited(command: &Command, inherited: &Self) -> Self {
        let trailing = command.get_arguments().any(clap::Arg::is_trailing_var_arg_set);
        let mut table = Self { subcommands: BTreeMap::new(), trailing, ..inherited.clone() };
        let mut global = inherited.clone();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let takes = takes(arg);
            for long in arg.get_long_and_visible_aliases().into_iter().flatten().chain(hidden_aliases(arg)) {
                table.long.insert(long.to_owned(), takes);
                if arg.is_global_set() {
                    global.long.insert(long.to_owned(), takes);
                }
            }
            for short in arg.get_short_and_visible_aliases().into_iter().flatten() {
                table.short.insert(short, takes);
                if arg.is_global_set() {
                    global.short.insert(short, takes);
                }
            }
        }
        for subcommand in command.get_subcommands() {
            let of_subcommand = Self::with_inherited(subcommand, &global);
            for name in std::iter::once(subcommand.get_name()).chain(subcommand.get_all_aliases()) {
                table.subcommands.insert(name.to_owned(), of_subcommand.clone());
            }
        }
        table
    }
}

/// Aliases that help does not show.
fn hidden_aliases(arg: &clap::Arg) -> impl Iterator<Item = &str> {
    arg.get_all_aliases().into_iter().flatten()
}

fn takes(arg: &clap::Arg) -> Takes {
    match arg.get_action() {
        ArgAction::Set | ArgAction::Append => {}
        _ => return Takes::Nothing,
    }
    let may_be_absent = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    if !may_be_absent {
        return Takes::Value;
    }
    let possible = arg.get_possible_values();
    let is_bool = possible.len() == 2 && possible.iter().all(|value| matches!(value.get_name(), "true" | "false"));
    if is_bool { Takes::Bool } else { Takes::Maybe }
}

/// Rewrites arguments (without the program's name) from Go's flag grammar to clap's.
///
/// - `-x`, `--x`, `-x=v`, `-x v` become `--x`, `--x=v`; a value is always joined by `=`, so that it may start with `-`.
/// - Booleans take a value only after `=`, in any of Go's spellings (`1`, `t`, `FALSE`).
/// - Flags may come before and after positional arguments (Packer wants them before).
/// - `-`, short flags (`-h`, `-vv`) and everything from `--` on stay as they are, and so does the command line that
///   `larder exec` is to run.
/// - Unknown flags get two dashes, and clap says what it thinks of them.
///
/// # Errors
/// A flag without its value, and a boolean's value that is none.
pub fn normalise(args: impl IntoIterator<Item = OsString>, table: &FlagTable) -> Result<Vec<OsString>> {
    let mut table = table;
    let mut out: Vec<OsString> = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.push(arg);
            out.extend(args);
            break;
        }
        let Some(flag) = Flag::parse(&arg, table) else {
            if let Some(subcommand) = arg.to_str().and_then(|name| table.subcommands.get(name)) {
                table = subcommand;
            } else if table.trailing && !arg.as_bytes().starts_with(b"-") {
                out.push(arg);
                out.extend(args);
                break;
            }
            out.push(arg);
            continue;
        };
        match (table.long.get(&flag.name), flag.value) {
            (Some(Takes::Value), None) => {
                let value = args.next().ok_or_else(|| {
                    Error::new(format!("the flag -{} needs a value", flag.name))
                        .hint(format!("write -{}=VALUE or -{} VALUE", flag.name, flag.name))
                })?;
                out.push(joined(&flag.name, &value));
            }
            (Some(Takes::Nothing), value) => {
                let on = value.map_or(Ok(true), |value| bool_value(&flag.name, value))?;
                if on {
                    out.push(format!("--{}", flag.name).into());
                } else {
                    out.retain(|earlier| *earlier != *format!("--{}", flag.name));
                }
            }
            (Some(Takes::Bool), value) => {
                let value = value.map_or(Ok(true), |value| bool_value(&flag.name, value))?;
                out.push(format!("--{}={value}", flag.name).into());
            }
            (_, Some(value)) => out.push(joined(&flag.name, value)),
            (_, None) => out.push(format!("--{}", flag.name).into()),
        }
    }
    Ok(out)
}

/// A long flag as typed, with one dash or two.
struct Flag<'a> {
    name: String,
    value: Option<&'a OsStr>,
}

impl<'a> Flag<'a> {
    /// `None` for positional arguments and short flags.
    fn parse(arg: &'a OsStr, table: &FlagTable) -> Option<Self> {
        let bytes = arg.as_bytes();
        let (dashes, rest) = match bytes {
            [b'-', b'-', rest @ ..] => (2, rest),
            [b'-', rest @ ..] => (1, rest),
            _ => return None,
        };
        let split = rest.iter().position(|byte| *byte == b'=');
        let name = std::str::from_utf8(&rest[..split.unwrap_or(rest.len())]).ok()?;
        if name.is_empty() || (dashes == 1 && !table.long.contains_key(name) && table.is_short(name)) {
            return None;
        }
        Some(Self { name: name.to_owned(), value: split.map(|at| OsStr::from_bytes(&rest[at + 1..])) })
    }
}

impl FlagTable {
    /// Whether `-name` is a short flag, a cluster of them (`-vv`), or one with its value attached (`-ofile`).
    fn is_short(&self, name: &str) -> bool {
        let mut letters = name.chars();
        match letters.next() {
            Some(_) if name.chars().count() == 1 => true,
            Some(first) if self.short.get(&first) == Some(&Takes::Value) => true,
            Some(_) => name.chars().all(|letter| self.short.contains_key(&letter)),
            None => false,
        }
    }
}

fn joined(name: &str, value: &OsStr) -> OsString {
    let mut bytes = format!("--{name}=").into_bytes();
    bytes.extend_from_slice(value.as_bytes());
    OsString::from_vec(bytes)
}

/// The spellings of Go's `strconv.ParseBool`.
fn bool_value(name: &str, value: &OsStr) -> Result<bool> {
    match value.to_str() {
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        _ => Err(Error::new(format!("the flag -{name} is true or false, not {}", value.to_string_lossy()))
            .hint(format!("write -{name} or -{name}=false"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn table() -> FlagTable {
        let boolean = |name: &'static str| {
            Arg::new(name)
                .long(name)
                .num_args(0..=1)
                .value_parser(clap::value_parser!(bool))
                .default_missing_value("true")
        };
        let build = Command::new("build")
            .arg(boolean("color"))
            .arg(boolean("force").short('f'))
            .arg(Arg::new("debug").long("debug").action(ArgAction::SetTrue))
            .arg(Arg::new("only").long("only"))
            .arg(Arg::new("var").long("var").action(ArgAction::Append))
            .arg(Arg::new("json").long("json").num_args(0..=1))
            .arg(Arg::new("template"));
        let exec = Command::new("exec")
            .arg(Arg::new("only").long("only"))
            .arg(Arg::new("cmd").num_args(1..).trailing_var_arg(true).allow_hyphen_values(true));
        FlagTable::of(
            &Command::new("larder")
                .arg(Arg::new("machine").long("machine-readable").action(ArgAction::SetTrue).global(true))
                .arg(Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count).global(true))
                .arg(Arg::new("out").short('o').global(true))
                .subcommand(build)
                .subcommand(exec),
        )
    }

    fn run(line: &str) -> String {
        let args = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from);
        match normalise(args, &table()) {
            Ok(args) => args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn go_flags_become_claps() {
        for (given, expected) in [
            ("build t.json", "build t.json"),
            ("build -only=a,b t.json", "build --only=a,b t.json"),
            ("build -only a,b t.json", "build --only=a,b t.json"),
            ("build --only a,b t.json", "build --only=a,b t.json"),
            ("build -only= t.json", "build --only= t.json"),
            ("build -var x=1 -var=y=2 t.json", "build --var=x=1 --var=y=2 t.json"),
            ("build -var -dash t.json", "build --var=-dash t.json"),
            ("build -force t.json", "build --force=true t.json"),
            ("build -force=false t.json", "build --force=false t.json"),
            ("build -color=F t.json", "build --color=false t.json"),
            ("build --force true", "build --force=true true"),
            ("build -debug -debug=false t.json", "build t.json"),
            ("build -debug=1 t.json", "build --debug t.json"),
            ("build t.json -force -only x", "build t.json --force=true --only=x"),
            ("-machine-readable build t.json", "--machine-readable build t.json"),
            ("build t.json -machine-readable", "build t.json --machine-readable"),
            ("build -", "build -"),
            ("build -json t.json", "build --json t.json"),
            ("build -- -force", "build -- -force"),
            ("exec -- pip -only x --y -z=1", "exec -- pip -only x --y -z=1"),
            ("exec -- build -force", "exec -- build -force"),
            ("exec -only x packer build -only=x -force", "exec --only=x packer build -only=x -force"),
            ("exec build -only", "exec build -only"),
            ("-h", "-h"),
            ("build -h", "build -h"),
            ("-vv build", "-vv build"),
            ("-v", "-v"),
            ("-version", "--version"),
            ("build -f t.json", "build -f t.json"),
            ("build -ofile -o -x", "build -ofile -o -x"),
            ("build -unknown t.json", "build --unknown t.json"),
            ("build -unknown=1", "build --unknown=1"),
            ("build -only", "error: the flag -only needs a value"),
            ("build -force=maybe", "error: the flag -force is true or false, not maybe"),
        ] {
            assert_eq!(run(given), expected, "{given}");
        }
    }

    #[test]
    fn values_need_not_be_utf8() {
        let args = [b"build".to_vec(), b"-only".to_vec(), b"\xff".to_vec()].map(OsString::from_vec);
        let out = normalise(args, &table()).unwrap();
        assert_eq!(out[1].as_bytes(), b"--only=\xff");
    }
}
