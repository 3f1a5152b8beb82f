//! Builds nothing: a place for provisioners and post-processors to run.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BuilderType, PreparedBuilder};
use crate::engine::artifact::Artifact;
use crate::engine::component::{Builder, Communicator, Context, Step};
use crate::engine::registry::Prepared;
use crate::error::Result;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::{Diagnostics, did_you_mean};

crate::config! {
    /// Builds nothing. Provisioners that need a machine have none.
    pub struct NullConfig {
        /// How to reach a machine: only `none`.
        communicator: String = "none".to_owned(),
    }
}

pub(super) const TYPE: BuilderType = BuilderType {
    kind: "null",
    schema: NullConfig::schema,
    prepare: |body, context| Prepared::<dyn PreparedBuilder>::new(body, context, validate, |_| Box::new(Null)),
};

/// Checks the options.
pub fn validate(decoded: &Decoded<NullConfig>) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let communicator = decoded.config.communicator.as_str();
    if communicator != "none" {
        let known = ["ssh", "winrm", "docker", "dockerWindowsContainer"];
        let error = if known.contains(&communicator) {
            decoded
                .error(
                    "communicator",
                    format!("the null builder does not support the communicator `{communicator}` yet"),
                )
                .hint("set communicator = \"none\", and use shell-local; or build with rootfs")
        } else {
            let near = did_you_mean(communicator, known.into_iter().chain(["none"]));
            let hint =
                near.map_or_else(|| "set communicator = \"none\"".to_owned(), |near| format!("did you mean `{near}`?"));
            decoded.error("communicator", format!("unknown communicator `{communicator}`")).hint(hint)
        };
        diagnostics.push(error);
    }
    diagnostics
}

/// The null builder.
#[derive(Debug)]
pub struct Null;

#[async_trait]
impl Builder for Null {
    fn start_steps(&mut self) -> Vec<Box<dyn Step>> {
        Vec::new()
    }

    async fn open(&mut self, _: usize, _: &str, _: &Context) -> Result<Option<Arc<dyn Communicator>>> {
        Ok(None)
    }

    async fn close(&mut self, _: bool, _: &Context) -> Result<()> {
        Ok(())
    }

    fn finish_steps(&mut self) -> Vec<Box<dyn Step>> {
        Vec::new()
    }

    fn artifact(&mut self) -> Option<Artifact> {
        Some(Artifact {
            builder_id: "fnoeding.null".to_owned(),
            id: "Null".to_owned(),
            files: Vec::new(),
            description: "Did not export anything. This is the null builder".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioner::testing;

    #[test]
    fn only_none_is_supported() {
        assert!(testing::problems(&TYPE, vec![]).is_empty());
        assert!(testing::problems(&TYPE, vec![("communicator", "none".into())]).is_empty());
        assert_eq!(
            testing::problems(&TYPE, vec![("communicator", "ssh".into())]),
            ["the null builder does not support the communicator `ssh` yet"]
        );
        assert_eq!(testing::problems(&TYPE, vec![("communicator", "shh".into())]), ["unknown communicator `shh`"]);
        assert_eq!(testing::prepare(&TYPE, vec![]).artifact().unwrap().id, "Null");
    }
}
