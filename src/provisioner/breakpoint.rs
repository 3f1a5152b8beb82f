//! Stops a build until someone says to go on.

use async_trait::async_trait;

use super::ProvisionerType;
use crate::engine::component::{Communicator, Context, Provisioner};
use crate::engine::registry::Prepared;
use crate::error::{Error, Result};
use crate::template::config::Config;
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Stops the build until someone says to go on.
    pub struct BreakpointConfig {
        /// What to say, to tell breakpoints apart.
        note: String,
        /// Go on at once.
        disable: bool,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "breakpoint",
    schema: BreakpointConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn Provisioner>::new(
            body,
            context,
            |_| Diagnostics::default(),
            |config| Box::new(Breakpoint { config }),
        )
    },
};

/// The breakpoint provisioner.
#[derive(Debug)]
pub struct Breakpoint {
    config: BreakpointConfig,
}

#[async_trait]
impl Provisioner for Breakpoint {
    async fn provision(&self, context: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        let note = match self.config.note.as_str() {
            "" => String::new(),
            note => format!(" with note \"{note}\""),
        };
        if self.config.disable {
            context.ui.say(&format!("Breakpoint provisioner{note} disabled; continuing..."));
            return Ok(());
        }
        let Some(pause) = &context.pause else {
            context.ui.warn(&format!("Not pausing at breakpoint provisioner{note}: there is no one to ask."));
            return Ok(());
        };
        let text = format!("Pausing at breakpoint provisioner{note}.");
        context.ui.say(&text);
        tokio::select! {
            answer = pause.wait(&text) => answer,
            () = context.cancel.cancelled() => Err(Error::new("cancelled at a breakpoint")),
        }
    }
}
