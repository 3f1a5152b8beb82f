//! The form of what is written, by Packer's rules: the last two parts of a name that follow a dot.

use std::sync::LazyLock;

use regex::Regex;

use crate::pack::Codec;

/// What holds the files together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    Tar,
    Zip,
}

/// An archive, packed or not, or one packed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) archive: Option<Archive>,
    pub(super) codec: Option<Codec>,
}

/// The values `format` is shown to have.
pub(super) const FORMATS: &[&str] = &[
    "tar",
    "zip",
    "gz",
    "bgzf",
    "lz4",
    "xz",
    "bz2",
    "zst",
    "tar.gz",
    "tgz",
    "tar.bgzf",
    "tar.lz4",
    "tar.xz",
    "tar.bz2",
    "tar.zst",
    "bzip2",
    "tar.bzip2",
    "zstd",
    "tar.zstd",
    "txz",
    "tbz2",
    "tzst",
];

/// A dot, and what comes after it up to the next. Capitals are not taken, so that `{{.BuildName}}` is no suffix.
static PARTS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.([a-z0-9]+)").expect("the pattern is sound"));

const TAR_GZ: Form = Form { archive: Some(Archive::Tar), codec: Some(Codec::Gzip) };

impl Form {
    /// The form of an output, rendered or not; `tar.gz` if neither name nor format tell.
    pub(super) fn of(output: &str, format: &str) -> Self {
        let name = output.rsplit('/').next().unwrap_or(output);
        let name = if format.is_empty() { name.to_owned() } else { format!("{name}.{format}") };
        let parts: Vec<&str> = PARTS.captures_iter(&name).filter_map(|found| Some(found.get(1)?.as_str())).collect();
        let [before @ .., last] = parts.as_slice() else { return TAR_GZ };
        Self::of_parts(before.last().copied(), last).unwrap_or(TAR_GZ)
    }

    /// The form a `format` names by itself.
    pub(super) fn of_words(format: &str) -> Option<Self> {
        match format.split_once('.') {
            Some(("tar", last)) => Self::of_parts(Some("tar"), last).filter(|form| form.codec.is_some()),
            Some(_) => None,
            None => Self::of_parts(None, format),
        }
    }

    fn of_parts(before: Option<&str>, last: &str) -> Option<Self> {
        let tar = (before == Some("tar")).then_some(Archive::Tar);
        let (archive, codec) = match last {
            "tar" => (Some(Archive::Tar), None),
            "zip" => (Some(Archive::Zip), None),
            "gz" => (tar, Some(Codec::Gzip)),
            "bgzf" => (tar, Some(Codec::Bgzf)),
            "lz4" => (tar, Some(Codec::Lz4)),
            "xz" => (tar, Some(Codec::Xz)),
            "bz2" | "bzip2" => (tar, Some(Codec::Bzip2)),
            "zst" | "zstd" => (tar, Some(Codec::Zstd)),
            "tgz" => (Some(Archive::Tar), Some(Codec::Gzip)),
            "txz" => (Some(Archive::Tar), Some(Codec::Xz)),
            "tbz2" => (Some(Archive::Tar), Some(Codec::Bzip2)),
            "tzst" => (Some(Archive::Tar), Some(Codec::Zstd)),
            _ => return None,
        };
        Some(Self { archive, codec })
    }
}

/// What a codec is called, as in Packer's messages.
pub(super) fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Gzip => "pgzip",
        Codec::Bgzf => "bgzf",
        Codec::Lz4 => "lz4",
        Codec::Xz => "xz",
        Codec::Bzip2 => "bzip2",
        Codec::Zstd => "zstd",
    }
}
