//! The arguments of `larder cache rm`, `pin`, `unpin` and `explain`.

use clap::Args;

use super::JsonArgs;

/// `larder cache rm`
#[derive(Args, Clone, Debug)]
pub struct CacheRmArgs {
    #[command(flatten)]
    pub chosen: CacheChosenArgs,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder cache pin` and `larder cache unpin`
#[derive(Args, Clone, Debug)]
pub struct CachePinArgs {
    #[command(flatten)]
    pub chosen: CacheChosenArgs,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Which stored answers are meant.
#[derive(Args, Clone, Debug)]
pub struct CacheChosenArgs {
    /// URLs of stored answers
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// Also all that lies below them: of `http://example.org/a` also `/a/b`, not `/ab`
    #[arg(short, long)]
    pub recursive: bool,
}

/// `larder cache explain`
#[derive(Args, Clone, Debug)]
pub struct CacheExplainArgs {
    /// The URL
    #[arg(value_name = "URL")]
    pub url: String,
    #[command(flatten)]
    pub json: JsonArgs,
}
