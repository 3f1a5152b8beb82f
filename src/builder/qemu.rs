//! Virtual machines of QEMU: their options, so far.

pub mod config;

use super::BuilderType;
use crate::engine::registry::Prepared;
use crate::template::config::Config as _;
use config::{QemuConfig, validate};

pub(super) const TYPE: BuilderType = BuilderType {
    kind: "qemu",
    schema: QemuConfig::schema,
    prepare: |body, context| Prepared::checked::<QemuConfig>(body, context, validate),
};
