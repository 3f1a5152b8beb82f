//! The `shell-local` post-processor: runs scripts on the host and passes the artifact on.

use async_trait::async_trait;

use super::PostProcessorType;
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, PostProcessor, Replaced, ScriptText};
use crate::engine::registry::Prepared;
use crate::error::Result;
use crate::provisioner::local_script::{self, LocalScriptConfig};
use crate::template::config::Config;
use crate::template::go::engine::InterpolateContext;

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "shell-local",
    schema: LocalScriptConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn PostProcessor>::new(body, context, local_script::validate, |config| {
            Box::new(ShellLocal { config, interpolate, replaced: Vec::new() })
        })
    },
};

/// The shell-local post-processor.
#[derive(Debug)]
pub struct ShellLocal {
    config: LocalScriptConfig,
    interpolate: InterpolateContext,
    replaced: Replaced,
}

#[async_trait]
impl PostProcessor for ShellLocal {
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        local_script::scripts(&self.config)
    }

    fn replace_scripts(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }

    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        local_script::run(&self.config, &self.interpolate, &self.replaced, context).await?;
        Ok(PostProcessed { artifact: Some(input.clone()), keep_input: true, force_keep: true })
    }
}
