//! The `shell-local` post-processor: runs scripts on the host and passes the artifact on.

use async_trait::async_trait;

use super::PostProcessorType;
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, PostProcessor};
use crate::engine::registry::Prepared;
use crate::error::Result;
use crate::provisioner::local_script::{self, LocalScriptConfig};
use crate::template::config::Config;
use crate::template::json::interpolate::InterpolateContext;

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "shell-local",
    schema: LocalScriptConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn PostProcessor>::new(body, context, local_script::validate, |config| {
            Box::new(ShellLocal { config, interpolate })
        })
    },
};

/// The shell-local post-processor.
#[derive(Debug)]
pub struct ShellLocal {
    config: LocalScriptConfig,
    interpolate: InterpolateContext,
}

#[async_trait]
impl PostProcessor for ShellLocal {
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        local_script::run(&self.config, &self.interpolate, context).await?;
        Ok(PostProcessed { artifact: Some(input.clone()), keep_input: true, force_keep: true })
    }
}
