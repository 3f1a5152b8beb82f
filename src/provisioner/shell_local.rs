//! The `shell-local` provisioner: runs scripts on the host.

use async_trait::async_trait;

use super::ProvisionerType;
use super::local_script::{self, LocalScriptConfig};
use crate::engine::component::{Communicator, Context, Provisioner, Replaced, ScriptText};
use crate::engine::registry::Prepared;
use crate::error::Result;
use crate::template::config::Config;
use crate::template::go::engine::InterpolateContext;

#[cfg(test)]
mod tests;

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "shell-local",
    schema: LocalScriptConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn Provisioner>::new(body, context, local_script::validate, |config| {
            Box::new(ShellLocal { config, interpolate, replaced: Vec::new() })
        })
    },
};

/// The shell-local provisioner.
#[derive(Debug)]
pub struct ShellLocal {
    config: LocalScriptConfig,
    interpolate: InterpolateContext,
    replaced: Replaced,
}

#[async_trait]
impl Provisioner for ShellLocal {
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        local_script::scripts(&self.config)
    }

    fn replace_scripts(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }

    async fn provision(&self, context: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        local_script::run(&self.config, &self.interpolate, &self.replaced, context).await
    }
}
