//! The arguments of `larder docs`.

use clap::Args;
use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use super::JsonArgs;
use crate::cli::docs;

pub(super) const EXAMPLES: &str = "\
Without words, lists the components there are. A name that several kinds of \
component have needs its kind before it.

Examples:
  larder docs
  larder docs qemu
  larder docs qemu disk_size
  larder docs provisioner shell-local
  larder docs rootfs debian.suite";

/// `larder docs`
#[derive(Args, Clone, Debug)]
pub struct DocsArgs {
    /// A component, by its name; or builder, provisioner or post-processor, and then its name
    #[arg(value_name = "COMPONENT", value_parser = Name, hide_possible_values = true)]
    pub component: Option<String>,
    /// An option of the component
    #[arg(value_name = "OPTION", num_args = 0..=2)]
    pub rest: Vec<String>,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Any word; shells complete the names of components.
#[derive(Clone, Copy, Debug)]
struct Name;

impl TypedValueParser for Name {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let mut names: Vec<&'static str> = docs::components().iter().map(|component| component.name).collect();
        names.sort_unstable();
        names.dedup();
        Some(Box::new(names.into_iter().map(PossibleValue::new)))
    }
}
