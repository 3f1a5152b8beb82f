//! What the words of the console show.

use std::fmt::Write as _;

use super::super::inspect::hcl2;
use crate::template::{Language, Template};

/// What `help` shows.
pub(super) fn text(language: Language) -> &'static str {
    match language {
        Language::Hcl2 => HCL2,
        Language::LegacyJson => JSON,
    }
}

const HCL2: &str = "\
Larder console, HCL2. A line is an expression; its value is shown.

  upper(var.name)              functions, and what the template declares
  [for x in var.list : x]      what is open goes on in the next line
  variables                    all variables and locals
  exit, or Ctrl-D              leaves

`build` and `source` are known only in a build. Go templates, such as
\"{{timestamp}}\", are rendered by components, not here.
";

const JSON: &str = "\
Larder console, legacy JSON. Go templates in a line are rendered, the rest is
shown as it is.

  {{user `name`}}              a variable of the template
  {{timestamp}}                functions
  variables                    all variables
  exit, or Ctrl-D              leaves

For expressions of HCL2 without a template: larder console -config-type=hcl2
";

/// What `variables` shows.
pub(super) fn variables(template: &Template) -> String {
    if template.language == Language::Hcl2 {
        return hcl2::values(template);
    }
    let mut text = String::new();
    for (name, value) in template.scope.user.iter().flatten() {
        let sensitive = template.variables.get(name).is_some_and(|variable| variable.sensitive);
        let _ = writeln!(text, "{name}: {}", if sensitive { "<sensitive>" } else { value });
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}
