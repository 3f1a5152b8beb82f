//! The arguments of `larder history`.

use clap::{Args, Subcommand, ValueEnum};

use super::JsonArgs;

pub(super) const EXAMPLES: &str = "\
RUN is the id of a run, a beginning or an end of it that is of no other, or `last`. \
Runs and their logs are kept as the setting history.keep says.

Examples:
  larder history -n 5
  larder history last --sort time
  larder history diff 0a1b2c last
  larder history record last
  larder history --json | jq -r '.[] | select(.ending == \"failed\").builds[].log'";

/// `larder history`
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryArgs {
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// Show this run in detail, in place of the list
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Only runs of templates whose path contains this
    #[arg(long, value_name = "TEXT", conflicts_with = "run")]
    pub template: Option<String>,
    /// List the last N runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, conflicts_with = "run")]
    pub count: usize,
    /// Order of a run's steps: begun (the default), time (the longest first) or bytes (most from upstream first)
    #[arg(
        long,
        value_name = "BY",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true,
        requires = "run"
    )]
    pub sort: StepOrder,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// What there is to do with earlier runs.
#[derive(Clone, Debug, Subcommand)]
pub enum HistoryCommand {
    /// Show the steps of two runs side by side, with their times and downloads
    Diff(HistoryDiffArgs),
    /// Show what a run fetched: what an offline run, or a bundle, is made from
    Record(HistoryRecordArgs),
}

/// `larder history record`
#[derive(Args, Clone, Debug)]
pub struct HistoryRecordArgs {
    /// The run: a build's, or the one that `larder exec` has named
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder history diff`
#[derive(Args, Clone, Debug)]
pub struct HistoryDiffArgs {
    /// The first run
    #[arg(value_name = "A")]
    pub a: String,
    /// The second run
    #[arg(value_name = "B")]
    pub b: String,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// In which order steps are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StepOrder {
    /// As they were begun.
    #[default]
    Begun,
    /// The longest first.
    Time,
    /// Those that fetched most from upstream first.
    Bytes,
}
