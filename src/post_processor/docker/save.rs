//! Writes an image of Docker to a file.

use super::super::PostProcessorType;

crate::config! {
    /// Writes an image of Docker to a file, with its name and layers.
    pub struct DockerSaveConfig {
        /// The file to write.
        #[required]
        path: String,
        /// The Docker program.
        docker_path: String = "docker".to_owned(),
    }
}

pub(in crate::post_processor) const TYPE: PostProcessorType =
    PostProcessorType::described::<DockerSaveConfig>("docker-save");
