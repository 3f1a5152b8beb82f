//! Makes an archive an image of Docker.

use super::super::PostProcessorType;

crate::config! {
    /// Makes the archive of a container's file system an image of Docker.
    pub struct DockerImportConfig {
        /// Name of the image, such as `registry.example.org/app`.
        #[required]
        repository: String,
        /// Tag of the image. Default: `latest`.
        tag: Option<String>,
        /// Changes to the image, as lines of a Dockerfile: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE` and the like.
        changes: Vec<String>,
        /// Platform of the image, such as `linux/arm64`.
        platform: Option<String>,
        /// The Docker program.
        docker_path: String = "docker".to_owned(),
    }
}

pub(in crate::post_processor) const TYPE: PostProcessorType =
    PostProcessorType::described::<DockerImportConfig>("docker-import");
