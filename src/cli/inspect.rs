//! `larder inspect`: what a template consists of, in Packer's two forms, for people and `-machine-readable`, and as JSON.

use super::Env;
use super::args::InspectArgs;
use super::console::Console;
use super::settings::Settings;
use super::template::Reading;
use crate::error::{Context as _, Result};
use crate::template::{Depth, Language};

mod document;
pub(super) mod hcl2;
mod legacy;

/// Prints variables, locals and builds.
pub(super) fn run(args: &InspectArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: false, settings: Some(settings) };
    let (template, _) = reading.template(Depth::Declared, console)?;
    if args.json.json {
        return console.json(&document::Document::of(&template));
    }
    let out = Output { console };
    match template.language {
        Language::Hcl2 => {
            out.say("Packer Inspect: HCL2 mode\n")?;
            out.say(&hcl2::values(&template))?;
            out.say(&hcl2::builds(&template))
        }
        Language::LegacyJson => legacy::say(&template, &out),
    }
}

/// Where things are said; what is for people is a line of data too where programs read.
struct Output<'a> {
    console: &'a Console,
}

impl Output<'_> {
    fn say(&self, text: &str) -> Result<()> {
        self.console.line(text)
    }

    /// A line for programs alone.
    fn machine(&self, category: &str, data: &[&str]) -> Result<()> {
        if self.console.machine { self.console.machine_line(category, data) } else { Ok(()) }
    }
}
