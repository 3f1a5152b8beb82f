//! Containers of Docker: their options, so far.

pub mod config;

use super::BuilderType;
use crate::engine::registry::Prepared;
use crate::template::config::Config as _;
use config::{DockerConfig, validate};

pub(super) const TYPE: BuilderType = BuilderType {
    kind: "docker",
    schema: DockerConfig::schema,
    prepare: |body, context| Prepared::checked::<DockerConfig>(body, context, validate),
};
