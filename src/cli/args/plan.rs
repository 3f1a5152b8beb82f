//! The arguments of `larder plan`.

use clap::Args;

use super::{JsonArgs, ProxyArgs, TemplateArgs};

pub(super) const EXAMPLES: &str = "\
Nothing is fetched: indexes are read from the cache. What provisioners fetch is \
known from the record of an earlier run of the template.

Examples:
  larder plan image.pkr.hcl
  larder plan --net offline image.pkr.hcl && larder build --net offline image.pkr.hcl
  larder plan --json image.pkr.hcl | jq -r '.builds[].fetches[] | select(.cache == \"missing\").url'

Exit codes: 0 the plan could be made; 1 an error; 4 with --net offline, something is not in the cache.";

/// `larder plan`
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    /// List also what is in the cache
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub json: JsonArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}
