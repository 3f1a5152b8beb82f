//! The arguments of `larder console`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::TemplateArgs;

pub(super) const EXAMPLES: &str = "\
Each line is an expression of HCL2, or, in a legacy template, text with Go templates; \
what is open (a bracket, a heredoc) goes on in the next line. The words `variables`, \
`help` and `exit` are understood. From a file or a pipe every line is evaluated.

Exit codes: 0, also where a line failed; 1 the template has errors, or a line of a \
pipe failed.

Examples:
  larder console image.pkr.hcl
  larder console -config-type=hcl2
  echo 'upper(var.name)' | larder console -var name=web image.pkr.hcl";

/// What a template is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ConfigType {
    /// JSON with Go templates.
    #[default]
    Json,
    /// HCL2.
    Hcl2,
}

/// `larder console`
#[derive(Args, Clone, Debug)]
pub struct ConsoleArgs {
    /// A template (.pkr.hcl, .pkr.json; else legacy JSON), or a directory, whose names can be used
    #[arg(value_name = "TEMPLATE")]
    pub template: Option<PathBuf>,
    /// Set a variable of the template; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Read variables from a file (.pkrvars.hcl, .json); may be repeated
    #[arg(long, value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    /// Without TEMPLATE: the language, hcl2 or json (the default, as with Packer)
    #[arg(long, value_name = "LANGUAGE", value_enum, hide_possible_values = true)]
    pub config_type: Option<ConfigType>,
    /// Packer's way of evaluating locals in order; the result is the same.
    #[arg(long, hide = true)]
    pub use_sequential_evaluation: bool,
}

impl ConsoleArgs {
    /// How the template is read.
    pub fn template_args(&self) -> TemplateArgs {
        TemplateArgs {
            template: self.template.clone().unwrap_or_default(),
            var: self.var.clone(),
            var_file: self.var_file.clone(),
            only: Vec::new(),
            except: Vec::new(),
            use_sequential_evaluation: self.use_sequential_evaluation,
            ignore_prerelease_plugins: false,
        }
    }
}
