//! Waits.

use std::time::Duration;

use async_trait::async_trait;

use super::{ProvisionerType, lines};
use crate::engine::component::{Communicator, Context, Provisioner};
use crate::engine::registry::Prepared;
use crate::error::{Error, Result};
use crate::template::config::Config;
use crate::template::diagnostic::Diagnostics;
use crate::template::duration;

crate::config! {
    /// Waits for a while.
    pub struct SleepConfig {
        /// How long to wait, such as `30s` or `5m`.
        duration: Duration,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "sleep",
    schema: SleepConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn Provisioner>::new(body, context, |_| Diagnostics::default(), |config| Box::new(Sleep { config }))
    },
};

/// The sleep provisioner.
#[derive(Debug)]
pub struct Sleep {
    config: SleepConfig,
}

#[async_trait]
impl Provisioner for Sleep {
    async fn provision(&self, context: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        context.ui.say(&format!("Sleeping {}...", show(self.config.duration)));
        if lines::sleep(self.config.duration, &context.cancel).await {
            return Ok(());
        }
        Err(Error::new("cancelled while sleeping"))
    }
}

/// A duration as Go writes it: `1m30s`.
pub(super) fn show(of: Duration) -> String {
    jiff::SignedDuration::try_from(of).map_or_else(|_| format!("{of:?}"), duration::show)
}
