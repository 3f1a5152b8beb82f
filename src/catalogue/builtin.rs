//! The templates that come with Larder.
//!
//! They are few and small, so each file is named here and put into the program by `include_bytes!`: no dependency, no
//! build script. A test holds the list to the directory.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::write;
use crate::error::{Context as _, Error, Result};
use crate::template::diagnostic::did_you_mean;

/// A template in the program.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Its files.
    pub files: &'static [File],
}

/// A file of a template.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Path below the template's directory.
    pub path: &'static str,
    /// What is in it.
    pub content: &'static [u8],
}

impl File {
    /// Permissions: scripts can be run.
    pub fn mode(&self) -> u32 {
        if self.content.starts_with(b"#!") { 0o755 } else { 0o644 }
    }
}

macro_rules! built_in {
    ($name:literal: $($path:literal),+ $(,)?) => {
        BuiltIn {
            name: $name,
            files: &[$(File {
                path: $path,
                content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $name, "/", $path)),
            }),+],
        }
    };
}

/// All of them: what needs nothing but a network first.
pub static TEMPLATES: &[BuiltIn] = &[
    built_in!("debian-rootfs": "README.md", "scripts/apt.sh", "scripts/hello.py", "scripts/npm.sh", "scripts/pip.sh", "template.pkr.hcl"),
    built_in!("debian-oci": "README.md", "files/index.html", "files/nginx.conf", "scripts/nginx.sh", "scripts/setup.sh", "template.pkr.hcl"),
    built_in!("two-builds": "README.md", "scripts/install.sh", "template.pkr.hcl"),
    built_in!("archive-rootfs": "README.md", "scripts/setup.sh", "template.pkr.hcl"),
];

/// Finds one by its name.
pub fn find(name: &str) -> Result<&'static BuiltIn> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| {
        let names = || TEMPLATES.iter().map(|template| template.name);
        let hint = match did_you_mean(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Error::new(format!("no template named {name:?} comes with Larder")).hint(hint)
    })
}

impl BuiltIn {
    /// Its files, to be written.
    pub fn to_write(self) -> Vec<write::NewFile> {
        let file = |file: &File| write::NewFile {
            path: PathBuf::from(file.path),
            content: file.content.to_vec(),
            mode: file.mode(),
        };
        self.files.iter().map(file).collect()
    }
}

/// The templates as files on disk, so that they can be evaluated and checked as any other: scripts they name are there.
#[derive(Debug)]
pub struct Unpacked {
    directory: PathBuf,
    /// Removes them when dropped, where they are not to stay.
    _own: Option<TempDir>,
}

impl Unpacked {
    /// Writes them to a new directory below `parent`, which is removed when this is dropped.
    pub fn new(parent: &Path) -> Result<Self> {
        let own = tempfile::Builder::new()
            .prefix("larder-templates-")
            .tempdir_in(parent)
            .context(|| format!("cannot make a directory in {}", parent.display()))?;
        let unpacked = Self::lasting(own.path())?;
        Ok(Self { _own: Some(own), ..unpacked })
    }

    /// Brings `directory` to hold them, for good: what is there and right is left alone.
    pub fn lasting(directory: &Path) -> Result<Self> {
        for template in TEMPLATES {
            write::write(&directory.join(template.name), &template.to_write(), write::Existing::Replace)?;
        }
        Ok(Self { directory: directory.to_owned(), _own: None })
    }

    /// Where one of them is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn on_disk(directory: &Path, below: &str, found: &mut BTreeMap<String, (Vec<u8>, u32)>) {
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            let name = format!("{below}{}", entry.file_name().expect("a name").to_string_lossy());
            if entry.is_dir() {
                on_disk(&entry, &format!("{name}/"), found);
            } else {
                let mode = entry.metadata().expect("metadata").permissions().mode() & 0o100;
                found.insert(name, (fs::read(&entry).expect("a file"), mode));
            }
        }
    }

    fn built_in() -> BTreeMap<String, (Vec<u8>, u32)> {
        let all = TEMPLATES.iter().flat_map(|template| template.files.iter().map(move |file| (template, file)));
        all.map(|(template, file)| {
            (format!("{}/{}", template.name, file.path), (file.content.to_vec(), file.mode() & 0o100))
        })
        .collect()
    }

    #[test]
    fn the_list_holds_every_file_of_the_directory() {
        let mut expected = BTreeMap::new();
        on_disk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), "", &mut expected);
        let names = |files: &BTreeMap<String, _>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&built_in()), names(&expected));
        assert_eq!(built_in(), expected);
    }

    #[test]
    fn unpacked_they_are_as_in_the_repository_and_do_not_stay() {
        let parent = tempfile::tempdir().expect("a directory");
        let unpacked = Unpacked::new(parent.path()).expect("unpacked");
        let mut found = BTreeMap::new();
        on_disk(&unpacked.directory, "", &mut found);
        assert_eq!(found, built_in());
        drop(unpacked);
        assert_eq!(fs::read_dir(parent.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        assert_eq!(find("debian-rootfs").expect("a template").name, "debian-rootfs");
        let error = find("debian-rotfs").expect_err("no such template");
        assert_eq!(error.hints(), ["did you mean `debian-rootfs`?"]);
        assert!(find("zzz").expect_err("no such template").hints()[0].starts_with("there are: debian-rootfs, "));
    }
}
