//! What the user asks for (`debian { ... }`), and what is made of it with the host's defaults.

use std::path::PathBuf;

use url::Url;

use crate::error::{Error, Result};

/// The options as given; what is absent comes from the host.
#[derive(Clone, Debug, Default)]
pub struct DebianOptions {
    /// Suite or code name: `bookworm`, `stable`, `noble`.
    pub suite: Option<String>,
    /// Base URL of the archive: what stands before `/dists/`.
    pub mirror: Option<String>,
    /// `essential`, `apt` or `minbase` (the default).
    pub variant: Option<String>,
    /// Packages to install besides.
    pub include: Vec<String>,
    /// Components of the archive; `main` if empty.
    pub components: Vec<String>,
    /// File of OpenPGP certificates, or a folder of such files, that may sign the archive.
    pub keyring: Option<PathBuf>,
    /// Debian's name of the architecture: `amd64`, `arm64`.
    pub architecture: Option<String>,
    /// `false` accepts an archive whose `Valid-Until` has passed or whose `Date` lies ahead.
    pub check_valid_until: Option<bool>,
}

/// What is to be made, in full.
#[derive(Clone, Debug)]
pub struct DebianSpec {
    /// Suite or code name.
    pub suite: String,
    /// Base URL of the archive, ending in a slash.
    pub mirror: Url,
    /// Which packages besides [`DebianSpec::include`].
    pub variant: Variant,
    /// Packages to install besides, by name or virtual name.
    pub include: Vec<String>,
    /// Components of the archive.
    pub components: Vec<String>,
    /// Certificates that may sign the archive.
    pub keyrings: Vec<Keyring>,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// Whether `Valid-Until` and `Date` are held against the clock.
    pub check_valid_until: bool,
}

/// OpenPGP certificates, armoured or not, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// For messages: a path, or `Signed-By in FILE`.
    pub origin: String,
    /// The file, where it is one: its path is used again for apt in the guest if it exists there.
    pub path: Option<PathBuf>,
    /// The certificates.
    pub bytes: Vec<u8>,
}

/// Which packages a root file system starts with, as mmdebstrap defines them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// Packages marked `Essential: yes`.
    Essential,
    /// Those and apt.
    Apt,
    /// Those and what has priority `required`.
    #[default]
    Minbase,
}

impl Variant {
    /// Reads the option.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "essential" => Ok(Self::Essential),
            "apt" => Ok(Self::Apt),
            "minbase" | "required" => Ok(Self::Minbase),
            _ => Err(Error::new(format!("unknown variant `{text}` of a Debian root file system"))
                .hint("use `essential`, `apt` or `minbase`, and name further packages in `include`")),
        }
    }

    /// The name the option has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Apt => "apt",
            Self::Minbase => "minbase",
        }
    }
}

/// Reads an archive's base URL.
pub(super) fn parse_mirror(text: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(format!("`{text}` cannot be the mirror of a Debian archive: {why}"))
            .hint("give the URL before `/dists/`, such as `http://example.org/debian`")
    };
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are fetched"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Refuses names that would lead elsewhere than they should within a URL or a file.
pub(super) fn check_name(what: &str, name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-._~:/".contains(c));
    if fine { Ok(()) } else { Err(Error::new(format!("`{name}` is no name of {what}"))) }
}
