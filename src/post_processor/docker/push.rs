//! Sends an image of Docker to a registry.

use super::super::PostProcessorType;
use crate::builder::docker::config::{EcrOptions, LoginOptions};

crate::config! {
    /// Sends an image of Docker to a registry, under the names it has.
    pub struct DockerPushConfig {
        login: LoginOptions as flatten,
        ecr: EcrOptions as flatten,
        /// Platform of the image sent, such as `linux/arm64`.
        platform: Option<String>,
        /// The Docker program.
        docker_path: String = "docker".to_owned(),
    }
}

pub(in crate::post_processor) const TYPE: PostProcessorType =
    PostProcessorType::described::<DockerPushConfig>("docker-push");
