//! The user's editor and pager, at the user's terminal.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::engine::host::{Host, HostCommand};
use crate::error::{Context as _, Error, Result};

/// What a file is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// To change it.
    Editor,
    /// To read it.
    Pager,
}

impl Program {
    /// Variables that name it, the first one first.
    const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Editor => &["VISUAL", "EDITOR"],
            Self::Pager => &["PAGER"],
        }
    }

    /// What is looked for where no variable names any.
    const fn fallbacks(self) -> &'static [&'static str] {
        match self {
            Self::Editor => &["sensible-editor", "editor", "vi", "nano"],
            Self::Pager => &["less", "more"],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Editor => "editor",
            Self::Pager => "pager",
        }
    }

    /// The command line as a user writes it: words and options, split as a shell does.
    fn command_line(self, env: &BTreeMap<String, String>) -> Result<String> {
        let named = self.variables().iter().filter_map(|name| env.get(*name)).find(|value| !value.trim().is_empty());
        if let Some(named) = named {
            return Ok(named.clone());
        }
        let path = env.get("PATH").map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
        let found =
            self.fallbacks().iter().find(|name| path.split(':').any(|at| is_program(&Path::new(at).join(name))));
        found.map(|name| (*name).to_owned()).ok_or_else(|| {
            Error::new(format!("no {} is to be found", self.name())).hint(format!(
                "name one in the variable {}, or install one of {}",
                self.variables().join(" or "),
                self.fallbacks().join(", ")
            ))
        })
    }

    /// Opens a file with it and waits until it is closed. `env` is the environment of this process. It runs as the
    /// user, also where Larder is root of an id mapping. Nothing else may read from the terminal or write to it
    /// meanwhile.
    pub async fn open(self, file: &Path, env: &BTreeMap<String, String>, host: &dyn Host) -> Result<()> {
        let line = self.command_line(env)?;
        // Anew, and to be waited for: programs expect that.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty());
        let terminal = terminal.context(|| "cannot open the terminal (/dev/tty)".to_owned())?;
        let file = file.to_str().ok_or_else(|| Error::new(format!("{} is not UTF-8", file.display())))?;
        let argv = ["/bin/sh", "-c", &format!("{line} \"$@\""), &line, file].map(str::to_owned).to_vec();
        match host.attend(HostCommand { argv, env: BTreeMap::new() }, terminal).await? {
            0 => Ok(()),
            126 | 127 => Err(Error::new(format!("the {} `{line}` could not be run", self.name()))
                .hint(format!("name another in the variable {}", self.variables().join(" or ")))),
            status => Err(Error::new(format!("the {} `{line}` ended with status {status}", self.name()))),
        }
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_users_own_choice_comes_first() {
        let both = env(&[("VISUAL", "code --wait"), ("EDITOR", "ed")]);
        assert_eq!(Program::Editor.command_line(&both).unwrap(), "code --wait");
        assert_eq!(Program::Editor.command_line(&env(&[("VISUAL", " "), ("EDITOR", "ed")])).unwrap(), "ed");
        assert_eq!(Program::Pager.command_line(&env(&[("PAGER", "less -R")])).unwrap(), "less -R");
    }

    #[test]
    fn without_one_the_first_that_there_is() {
        let bin = tempfile::tempdir().unwrap();
        let path = bin.path().to_str().unwrap();
        let error = Program::Editor.command_line(&env(&[("PATH", path)])).unwrap_err();
        assert!(error.to_string().contains("no editor"), "{error}");
        for (name, mode) in [("sensible-editor", 0o644), ("vi", 0o755), ("nano", 0o755)] {
            std::fs::write(bin.path().join(name), "").unwrap();
            std::fs::set_permissions(bin.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(Program::Editor.command_line(&env(&[("PATH", path)])).unwrap(), "vi");
    }
}
