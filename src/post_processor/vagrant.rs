//! Boxes for Vagrant: their options, so far.

use std::collections::BTreeMap;
use std::path::Path;

use super::PostProcessorType;
use crate::engine::registry::Prepared;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;
use crate::template::hcl::value::Value;

crate::config! {
    /// Packs the image of a machine as a box for Vagrant.
    pub struct VagrantConfig {
        /// The box. `{{ .Provider }}`, `{{ .ArtifactId }}`, `{{ .BuildName }}` and `{{ .Architecture }}` are known in it.
        output: String as raw = "packer_{{ .BuildName }}_{{ .Provider }}.box".to_owned(),
        /// How hard to compress: 0 for not at all to 9; -1 leaves it to the library.
        compression_level: i32 = -1,
        /// Files put into the box beside the image; by default none.
        include: Vec<String>,
        /// A Vagrantfile to put into the box; Go templates in it are rendered.
        vagrantfile_template: Option<String>,
        /// The Vagrantfile does not exist until the build has run: do not look for it before.
        vagrantfile_template_generated: bool,
        /// Vagrant's name of the provider, where the builder does not tell it.
        provider_override: Option<String>,
        /// Architecture of the box, such as `amd64`. Default: the host's.
        architecture: Option<String>,
        /// Options for single providers, by Vagrant's name of each.
        r#override: BTreeMap<String, Value>,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "vagrant",
    schema: VagrantConfig::schema,
    prepare: |body, context| Prepared::checked::<VagrantConfig>(body, context, validate),
};

/// Checks the files of the host.
pub fn validate(decoded: &Decoded<VagrantConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    let template = config.vagrantfile_template.as_deref().filter(|file| !file.is_empty());
    let is_awaited = config.vagrantfile_template_generated || decoded.is_unknown("vagrantfile_template_generated");
    if let Some(file) = template.filter(|file| !is_awaited && !Path::new(file).exists()) {
        let found = decoded.error("vagrantfile_template", format!("there is no file {file}"));
        diagnostics.push(found.hint("if the build makes it, set vagrantfile_template_generated = true"));
    }
    if !(-1..=9).contains(&config.compression_level) {
        let found = decoded.error("compression_level", format!("there is no level {}", config.compression_level));
        diagnostics.push(found.hint("levels are 0 to 9, and -1"));
    }
    diagnostics
}
