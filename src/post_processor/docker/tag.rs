//! Gives an image of Docker a name.

use super::super::PostProcessorType;

crate::config! {
    /// Gives an image of Docker a name and tags.
    pub struct DockerTagConfig {
        /// Name of the image, such as `registry.example.org/app`.
        #[required]
        repository: String,
        /// Tags. Default: `latest`.
        tags: Vec<String>,
        /// Tags.
        #[replaced("tags")]
        tag: Vec<String>,
        /// Take a tag away from the image that has it.
        force: bool,
        /// The Docker program.
        docker_path: String = "docker".to_owned(),
    }
}

pub(in crate::post_processor) const TYPE: PostProcessorType =
    PostProcessorType::described::<DockerTagConfig>("docker-tag");
