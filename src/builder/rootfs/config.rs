//! The options of the `rootfs` builder.

use std::path::{Path, PathBuf};

use super::debian::{DebianOptions, Variant};
use super::export::Format;
use super::filesystem::FilesystemConfig;
use super::oci::config::OciConfig;
use crate::download::ChecksumSpec;
use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Bootstraps Debian or Ubuntu from its package archive; suite, mirror and keyring default to the host's own.
    pub struct DebianConfig {
        /// Suite or code name, such as `bookworm`.
        suite: Option<String>,
        /// URL of the archive, up to `/dists`.
        mirror: Option<String>,
        /// How much of the system there is.
        #[values("essential", "apt", "minbase")]
        variant: String = "minbase".to_owned(),
        /// Packages installed besides those of the variant.
        include: Vec<String>,
        /// Components of the archive; by default `main`, and on Ubuntu `universe` too.
        components: Vec<String>,
        /// File or directory of OpenPGP keys the archive must be signed by.
        keyring: Option<PathBuf>,
        /// Debian's name of the architecture, such as `amd64`.
        architecture: Option<String>,
        /// Whether an archive whose `Valid-Until` has passed is refused.
        check_valid_until: Option<bool>,
    }
}

crate::config! {
    /// Builds a root file system: from a directory, an archive or a Debian bootstrap; as a directory or an archive.
    pub struct RootfsConfig {
        /// Directory, archive (tar, tar.gz, tar.xz, tar.zst) or URL of an archive to begin with.
        #[conflicts("debian")]
        base: Option<String>,
        /// Checksum of `base`: `sha256:HEX`, `file:URL` and Packer's other forms, or `none`.
        base_checksum: Option<String>,
        /// Begin with a bootstrap of Debian or Ubuntu.
        debian: Option<DebianConfig> as block,
        /// Where the image goes.
        output: Option<PathBuf>,
        /// `directory`, `tar`, `tar.gz`, `tar.zst`, `oci`, `oci-archive`, `squashfs` or `ext4`; by default what the suffix
        /// of `output` says.
        format: Option<String>,
        /// What a container image says of itself.
        oci: Option<OciConfig> as block,
        /// How an image of a file system is made.
        filesystem: Option<FilesystemConfig> as block,
        /// Host name of the guest while it is being built.
        hostname: String = "larder".to_owned(),
    }
}

/// What the root begins with.
#[derive(Clone, Debug)]
pub(super) enum Base {
    Directory(PathBuf),
    Archive(PathBuf),
    Url(String),
    Debian(DebianOptions),
}

/// Something wrong with the options: which, what, and what to do.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The option to point at.
    pub(super) option: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) hint: String,
}

fn problem(option: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { option, message: message.into(), hint: hint.into() }
}

/// Checks options that depend on each other.
pub(super) fn validate(decoded: &Decoded<RootfsConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    let mut report = |problem: Problem| {
        diagnostics.push(decoded.error(problem.option, problem.message).hint(problem.hint));
    };
    if let (false, Err(found)) = (decoded.is_unknown("base"), config.base()) {
        report(found);
    }
    if let (false, Some(name), Err(hint)) = (decoded.is_unknown("format"), &config.format, config.format()) {
        report(problem("format", format!("unknown format {name:?}"), hint));
    }
    for found in config.images().into_iter().filter(|found| !decoded.is_unknown(found.option)) {
        report(found);
    }
    let known = !decoded.is_unknown("format") && !decoded.is_unknown("output");
    if let (true, Ok(format)) = (known, config.format()) {
        if config.oci.is_some() && !format.is_oci() {
            let hint = "add `format = \"oci\"` or `format = \"oci-archive\"`, or let `output` end in .oci or .oci.tar";
            report(problem("oci", "an `oci` block is for container images, and none is written", hint));
        }
        if config.filesystem.is_some() && !format.is_filesystem() {
            let hint = "add `format = \"squashfs\"` or `format = \"ext4\"`, or let `output` end in .squashfs or .ext4";
            report(problem(
                "filesystem",
                "a `filesystem` block is for images of file systems, and none is written",
                hint,
            ));
        }
    }
    let remote = config.base.as_deref().is_some_and(is_url);
    if remote && config.base_checksum.is_none() && !decoded.is_unknown("base_checksum") {
        let hint = "add `base_checksum = \"sha256:…\"`, or `base_checksum = \"none\"` to take what comes";
        report(problem("base", "a base fetched from a URL needs a checksum", hint));
    }
    if let (false, Some(text)) = (decoded.is_unknown("base_checksum"), &config.base_checksum)
        && let Err(error) = ChecksumSpec::parse(text)
    {
        report(problem("base_checksum", error.to_string(), "write it as `sha256:` and 64 hex digits"));
    }
    if let (false, Some(debian)) = (decoded.is_unknown("debian.variant"), &config.debian)
        && let Err(error) = Variant::parse(&debian.variant)
    {
        report(problem("debian.variant", error.to_string(), error.hints().join("; ")));
    }
    diagnostics
}

impl RootfsConfig {
    pub(super) fn base(&self) -> Result<Base, Problem> {
        match (&self.base, &self.debian) {
            (Some(_), Some(_)) => {
                Err(problem("base", "`base` and `debian` exclude each other", "keep the one to begin with"))
            }
            (None, None) => Err(problem(
                "base",
                "nothing to begin with",
                "add `debian {}` for a bootstrap, or `base` with a directory, an archive or a URL",
            )),
            (None, Some(debian)) => Ok(Base::Debian(debian.options())),
            (Some(base), None) if is_url(base) => Ok(Base::Url(base.clone())),
            (Some(base), None) => {
                let path = PathBuf::from(base);
                if path.is_dir() {
                    Ok(Base::Directory(path))
                } else if path.is_file() {
                    Ok(Base::Archive(path))
                } else {
                    Err(problem(
                        "base",
                        format!("no directory or archive at {base}"),
                        "check the path; it is relative to the working directory",
                    ))
                }
            }
        }
    }

    /// What is wrong with what is said of the image.
    fn images(&self) -> Vec<Problem> {
        let oci = self.oci.iter().flat_map(OciConfig::problems);
        oci.chain(self.filesystem.iter().flat_map(FilesystemConfig::problems)).collect()
    }

    /// The form of the image; the error lists the forms there are.
    pub(super) fn format(&self) -> Result<Format, String> {
        match &self.format {
            Some(name) => {
                let known = || format!("it is one of {}", Format::options().collect::<Vec<_>>().join(", "));
                Format::from_option(name).ok_or_else(known)
            }
            None => Ok(Format::of_name(&self.output_path(""))),
        }
    }

    /// Where the image goes.
    pub(super) fn output_path(&self, build_name: &str) -> PathBuf {
        self.output.clone().unwrap_or_else(|| Path::new(&format!("output-{build_name}")).join("rootfs.tar.zst"))
    }
}

fn is_url(base: &str) -> bool {
    base.starts_with("http://") || base.starts_with("https://")
}

impl DebianConfig {
    fn options(&self) -> DebianOptions {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        DebianOptions {
            suite: given(&self.suite),
            mirror: given(&self.mirror),
            variant: Some(self.variant.clone()),
            include: self.include.clone(),
            components: self.components.clone(),
            keyring: self.keyring.clone(),
            architecture: given(&self.architecture),
            check_valid_until: self.check_valid_until,
        }
    }
}
