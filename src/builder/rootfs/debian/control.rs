//! The control part of a package: its fields, scripts, conffiles and triggers.

use std::collections::HashSet;

use super::deb822::paragraphs;
use super::spec::check_name;
use crate::error::{Error, Result};

/// Control files that dpkg keeps elsewhere than in `info/`.
const CONTROL: &str = "control";

/// A file of the control part.
#[derive(Clone, Debug)]
pub(super) struct ControlFile {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) mtime: u64,
    pub(super) content: Vec<u8>,
}

/// The control part.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) architecture: String,
    /// `Multi-Arch: same`: several architectures of it may stand side by side.
    pub(super) is_same: bool,
    /// The `control` file: one paragraph.
    pub(super) text: String,
    /// All but `control`.
    pub(super) files: Vec<ControlFile>,
    /// Paths, as listed: `/etc/x`.
    pub(super) conffiles: Vec<Conffile>,
}

impl Control {
    pub(super) fn new(files: Vec<ControlFile>) -> Result<Self> {
        let malformed = |what: &str| Error::new(format!("its control part {what}"));
        let text =
            |name: &str| files.iter().find(|file| file.name == name).map(|file| String::from_utf8_lossy(&file.content));
        let control = text(CONTROL).ok_or_else(|| malformed("has no control file"))?.trim_end().to_owned();
        let fields = paragraphs(&control).next().ok_or_else(|| malformed("is empty"))?;
        let field =
            |name: &str| fields.get(name).map(str::to_owned).ok_or_else(|| malformed(&format!("has no {name}")));
        let (package, version, architecture) = (field("Package")?, field("Version")?, field("Architecture")?);
        for (what, name) in [("a package", &package), ("an architecture", &architecture)] {
            check_name(what, name)?;
            if name.contains('/') {
                return Err(malformed(&format!("names `{name}`")));
            }
        }
        let is_same = fields.get("Multi-Arch") == Some("same");
        let conffiles = text("conffiles").map(|list| parse_conffiles(&list)).unwrap_or_default();
        let files = files.into_iter().filter(|file| file.name != CONTROL).collect();
        Ok(Self { package, version, architecture, is_same, text: control, files, conffiles })
    }

    /// The name of the package's files in `info/`: with the architecture where several may stand side by side.
    pub(super) fn info_name(&self) -> String {
        if self.is_same { format!("{}:{}", self.package, self.architecture) } else { self.package.clone() }
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.iter().any(|f| f.name == file)
    }

    /// Conffiles as paths below the root.
    pub(super) fn conffile_paths(&self) -> HashSet<String> {
        self.conffiles
            .iter()
            .filter(|file| !file.remove_on_upgrade)
            .map(|file| file.path.trim_start_matches('/').to_owned())
            .collect()
    }

    /// Triggers the package waits for: name, and whether those who activate it need not wait.
    pub(super) fn interests(&self) -> Vec<(String, bool)> {
        let Some(file) = self.files.iter().find(|file| file.name == "triggers") else { return Vec::new() };
        let text = String::from_utf8_lossy(&file.content).into_owned();
        let interest = |line: &str| {
            let line = line.split('#').next().unwrap_or_default().trim();
            let (directive, name) = line.split_once(char::is_whitespace)?;
            let no_wait = match directive {
                "interest" | "interest-await" => false,
                "interest-noawait" => true,
                _ => return None,
            };
            Some((name.trim().to_owned(), no_wait))
        };
        text.lines().filter_map(interest).collect()
    }

    /// The status paragraph of the package as unpacked: dpkg's fields, and its conffiles as not yet installed.
    pub(super) fn status(&self) -> String {
        let mut lines = self.text.lines();
        let mut status = String::new();
        // `Status` follows the first field, which is `Package`; dpkg reorders when it next writes.
        if let Some(first) = lines.next() {
            status.push_str(first);
            status.push('\n');
        }
        status.push_str("Status: install ok unpacked\n");
        for line in lines.filter(|line| !line.trim().is_empty()) {
            status.push_str(line);
            status.push('\n');
        }
        if !self.conffiles.is_empty() {
            status.push_str("Conffiles:\n");
            for file in &self.conffiles {
                let flag = if file.remove_on_upgrade { " remove-on-upgrade" } else { "" };
                status.extend([" ", &file.path, " newconffile", flag, "\n"]);
            }
        }
        status
    }
}

/// A configuration file as `conffiles` lists it (deb-conffiles(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conffile {
    /// Absolute path.
    pub(super) path: String,
    /// Whether it is no longer in the package, and goes when the package is upgraded. dpkg keeps a note of it.
    pub(super) remove_on_upgrade: bool,
}

/// Lines of `conffiles`: a path, with a flag before it or none.
fn parse_conffiles(text: &str) -> Vec<Conffile> {
    let parse = |line: &str| {
        let line = line.trim_end();
        let (remove_on_upgrade, path) = match line.strip_prefix("remove-on-upgrade ") {
            Some(path) => (true, path.trim_start()),
            None => (false, line),
        };
        path.starts_with('/').then(|| Conffile { path: path.to_owned(), remove_on_upgrade })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str) -> ControlFile {
        ControlFile { name: name.to_owned(), mode: 0o644, mtime: 0, content: content.as_bytes().to_vec() }
    }

    const CONTROL_TEXT: &str =
        "Package: a\nVersion: 1:2-3\nArchitecture: amd64\nMulti-Arch: same\nDescription: x\n y\n .\n z\n";

    #[test]
    fn status_paragraph() {
        let conffiles = "/etc/a.conf\nremove-on-upgrade /etc/old\n/etc/with space\n";
        let control = Control::new(vec![file("control", CONTROL_TEXT), file("conffiles", conffiles)]).unwrap();
        assert_eq!(
            control.status(),
            "Package: a\nStatus: install ok unpacked\nVersion: 1:2-3\nArchitecture: amd64\nMulti-Arch: same\n\
             Description: x\n y\n .\n z\nConffiles:\n /etc/a.conf newconffile\n \
             /etc/old newconffile remove-on-upgrade\n /etc/with space newconffile\n"
        );
        assert_eq!(control.info_name(), "a:amd64");
    }

    #[test]
    fn triggers() {
        let text = "# c\ninterest-noawait ldconfig\ninterest /usr/share/fonts\nactivate x\nactivate-noawait y\n";
        let control = Control::new(vec![file("control", CONTROL_TEXT), file("triggers", text)]).unwrap();
        assert_eq!(control.interests(), [("ldconfig".to_owned(), true), ("/usr/share/fonts".to_owned(), false)]);
    }

    #[test]
    fn hostile_names() {
        for text in [
            "Package: ../a\nVersion: 1\nArchitecture: all\n",
            "Package: a\nVersion: 1\nArchitecture: x/y\n",
            "Version: 1\n",
            "",
        ] {
            assert!(Control::new(vec![file("control", text)]).is_err(), "{text}");
        }
    }
}
