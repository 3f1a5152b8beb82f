//! The arguments of `larder diff`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
An image is a directory, a tar archive (plain, or packed with gzip, zstd or xz), or an \
OCI image in a directory or an archive. Texts are shown line by line.

Exit codes, as diff's: 0 the images hold the same; 1 they differ; 2 they could not be \
compared.

Examples:
  larder diff one/image.tar.zst two/image.tar.zst
  larder diff --exclude 'var/log/**' --ignore-times image.tar output-directory
  larder diff --json one.oci two.oci | jq -r '.differences[].path'";

/// `larder diff`
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The first image
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The second image
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Leave out paths that match this glob; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Take files that differ only in their times for the same
    #[arg(long)]
    pub ignore_times: bool,
    /// Most lines shown of how a text differs; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub lines: usize,
    /// Most that an image may unpack to (`500M`, `20G`)
    #[arg(long, value_name = "SIZE", default_value = "256G")]
    pub max_size: String,
    /// Print a JSON object, with every difference
    #[arg(long)]
    pub json: bool,
}
