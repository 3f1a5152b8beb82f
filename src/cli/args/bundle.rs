//! The arguments of `larder bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{JsonArgs, ServeArgs};

pub(super) const EXAMPLES: &str = "\
FILE is a .tar.zst, a .tar, a directory, or a bundle in parts by its name or its \
list, NAME.parts.json. RUN is as in `larder history`.

Examples:
  larder bundle export last -o image.tar.zst
  larder bundle export templates/debian-rootfs -o image.tar.zst --max-part-size 4G
  larder bundle verify image.tar.zst
  larder bundle import image.tar.zst && larder build --net offline image.pkr.hcl
  minisign -Sm image.tar.zst
  larder bundle import --public-key minisign.pub image.tar.zst

Exit codes: 0 all is well; 1 an error; 5 the bundle is not what it should be.";

/// `larder bundle`
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Put what runs fetched into a bundle
    Export(BundleExportArgs),
    /// Read a bundle to its end, and store nothing
    Verify(BundleVerifyArgs),
    /// Show what a bundle says it holds
    Inspect(BundleInspectArgs),
    /// Take a bundle into the cache, all of it or nothing
    Import(BundleImportArgs),
    /// Serve what is in a bundle, and nothing else, without taking it into the cache
    Serve(Box<BundleServeArgs>),
}

/// `larder bundle export`
#[derive(Args, Clone, Debug)]
pub struct BundleExportArgs {
    /// Runs, or one template: its last run that succeeded
    #[arg(value_name = "RUN|TEMPLATE", required = true)]
    pub what: Vec<String>,
    /// File to write: NAME.tar.zst, NAME.tar, or without an ending a directory
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Write parts of at most this size, such as 4G
    #[arg(long, value_name = "SIZE")]
    pub max_part_size: Option<String>,
    /// Also put in what was fetched with credentials: whoever has the bundle has it
    #[arg(long)]
    pub include_private: bool,
    /// Write it also where the cache lacks some of it
    #[arg(long)]
    pub allow_incomplete: bool,
    /// Replace an existing file
    #[arg(long, short)]
    pub force: bool,
    /// Set a variable of the template; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Read variables from a file (.pkrvars.hcl, .json); may be repeated
    #[arg(long, value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// How much may come out of a bundle.
#[expect(clippy::struct_field_names, reason = "they are named as the options are")]
#[derive(Args, Clone, Debug)]
pub struct BundleLimitArgs {
    /// Most bytes it may unpack to (200G)
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Most bodies it may hold (1000000)
    #[arg(long, value_name = "N")]
    pub max_count: Option<u64>,
    /// Most bytes it may unpack to for each byte of the file (200)
    #[arg(long, value_name = "N")]
    pub max_ratio: Option<u64>,
}

/// Who has to have made a bundle.
#[derive(Args, Clone, Debug)]
pub struct BundleSignatureArgs {
    /// Require a signature of this minisign key: its file, or the key itself; several keys: any of them
    #[arg(long, value_name = "KEY")]
    pub public_key: Vec<String>,
    /// Where the signature is, if not beside what it signs (FILE.minisig)
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Fail where no public key is given or set, in place of reading a bundle of anybody
    #[arg(long)]
    pub require_signature: bool,
}

/// `larder bundle verify`
#[derive(Args, Clone, Debug)]
pub struct BundleVerifyArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub signature: BundleSignatureArgs,
    #[command(flatten)]
    pub limits: BundleLimitArgs,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder bundle inspect`
#[derive(Args, Clone, Debug)]
pub struct BundleInspectArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub signature: BundleSignatureArgs,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder bundle import`
#[derive(Args, Clone, Debug)]
pub struct BundleImportArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do not pin what is taken in: it may go when room is needed
    #[arg(long)]
    pub no_pin: bool,
    /// Let it take the place also of newer answers in the cache
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub signature: BundleSignatureArgs,
    #[command(flatten)]
    pub limits: BundleLimitArgs,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder bundle serve`
#[derive(Args, Clone, Debug)]
pub struct BundleServeArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub signature: BundleSignatureArgs,
    #[command(flatten)]
    pub limits: BundleLimitArgs,
    #[command(flatten)]
    pub serve: ServeArgs,
}
