//! The options of the `docker` builder.

use std::collections::BTreeMap;

use crate::builder::options::communicator::{self, CommunicatorOptions};
use crate::template::config::Decoded;
use crate::template::diagnostic::{Diagnostic, Diagnostics};

crate::config! {
    /// Keys for Amazon's registry.
    pub struct EcrOptions {
        /// Log in to Amazon's registry (ECR) with the AWS keys below, or those of the environment.
        ecr_login: bool,
        /// AWS access key.
        aws_access_key: Option<String>,
        /// AWS secret key.
        #[sensitive]
        aws_secret_key: Option<String>,
        /// AWS session token.
        #[sensitive]
        aws_token: Option<String>,
        /// Profile of the AWS credentials file.
        aws_profile: Option<String>,
    }
}

crate::config! {
    /// How one logs in to a registry.
    pub struct LoginOptions {
        /// Log in to the registry first, and out when the work is done.
        login: bool,
        /// User to log in as.
        login_username: Option<String>,
        /// Password to log in with.
        #[sensitive]
        login_password: Option<String>,
        /// The registry to log in to.
        login_server: Option<String>,
    }
}

crate::config! {
    /// An image built from a Dockerfile to begin with.
    pub struct BuildOptions {
        /// The Dockerfile.
        #[required]
        path: String,
        /// Directory the Dockerfile sees. Default: the working directory.
        build_dir: Option<String>,
        /// Build arguments.
        arguments: BTreeMap<String, String>,
        /// Pull the images that the Dockerfile names.
        pull: Option<bool>,
        /// Compress what is sent to Docker.
        compress: bool,
        /// Stage of the Dockerfile to end with.
        target: Option<String>,
        /// Platform to build for, such as `linux/arm64`.
        platform: Option<String>,
    }
}

crate::config! {
    /// Builds a container image with Docker: provisioners run in a container of another image.
    pub struct DockerConfig {
        /// Image to begin with. One of `image` and `build` must be set.
        #[conflicts("build")]
        image: Option<String>,
        /// An image made for the purpose to begin with.
        build: Option<BuildOptions> as block,
        /// Make the container an image. One of `commit`, `export_path` and `discard` must be set.
        #[conflicts("export_path", "discard")]
        commit: bool,
        /// File to write the container's file system to, as a tar archive.
        #[conflicts("discard")]
        export_path: Option<String>,
        /// Throw the container away.
        discard: bool,
        /// Changes to the image, as lines of a Dockerfile: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE` and the like. For
        /// `commit`.
        changes: Vec<String>,
        /// Author of the image. For `commit`.
        author: Option<String>,
        /// What is said of the image. For `commit`.
        message: Option<String>,
        /// Pull the image first.
        pull: bool = true,
        /// Platform of the image, such as `linux/arm64`.
        platform: Option<String>,
        /// Arguments of `docker run`. `{{.Image}}` is the image.
        run_command: Vec<String> as raw =
            ["-d", "-i", "-t", "--entrypoint=/bin/sh", "--", "{{.Image}}"].map(str::to_owned).to_vec(),
        /// Directory of the container that the host's files are at.
        container_dir: String = "/packer-files".to_owned(),
        /// Directories of the host in the container: where they are there by what they are here.
        volumes: BTreeMap<String, String>,
        /// Directories of the container that are kept in memory.
        tmpfs: Vec<String>,
        /// Devices of the host in the container, as `docker run --device` takes them.
        device: Vec<String>,
        /// Capabilities given to the container.
        cap_add: Vec<String>,
        /// Capabilities taken from the container.
        cap_drop: Vec<String>,
        /// Give the container all capabilities and devices.
        privileged: bool,
        /// Runtime of the container, as Docker knows it.
        runtime: Option<String>,
        /// User that commands run as.
        exec_user: Option<String>,
        /// Give uploaded files to the user that commands run as.
        fix_upload_owner: bool = true,
        /// Ask for a pseudo terminal for commands.
        pty: bool,
        /// The container runs Windows.
        windows_container: bool,
        /// The Docker program.
        docker_path: String = "docker".to_owned(),
        login: LoginOptions as flatten,
        ecr: EcrOptions as flatten,
        /// How the container is reached.
        #[values("docker", "dockerWindowsContainer", "ssh", "winrm", "none")]
        communicator: String = "docker".to_owned(),
        connection: CommunicatorOptions as flatten,
    }
}

/// Checks options that depend on each other.
pub fn validate(decoded: &Decoded<DockerConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    communicator::check(decoded, &config.communicator, &config.connection, &mut diagnostics);
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let known = |names: &[&str]| names.iter().all(|name| !decoded.is_unknown(name));
    if !is_set(&config.image) && config.build.is_none() && known(&["image", "build"]) {
        let found = Diagnostic::error("there is no image to begin with").at(decoded.header);
        diagnostics.push(found.hint("add image = \"…\", or a block build { path = \"Dockerfile\" }"));
    }
    let is_kept = config.commit || config.discard || is_set(&config.export_path);
    if !is_kept && known(&["commit", "discard", "export_path"]) {
        diagnostics.push(
            Diagnostic::error("nothing becomes of the container")
                .at(decoded.header)
                .detail("none of `commit`, `export_path` and `discard` is set")
                .hint("add commit = true for an image, or export_path = \"…\" for an archive"),
        );
    }
    check_login(decoded, &config.login, &config.ecr, &mut diagnostics);
    diagnostics
}

/// Checks how one logs in to a registry.
pub fn check_login<C>(decoded: &Decoded<C>, login: &LoginOptions, ecr: &EcrOptions, diagnostics: &mut Diagnostics) {
    if ecr.ecr_login && login.login_server.is_none() && !decoded.is_unknown("login_server") {
        let found = decoded.error("ecr_login", "the registry to log in to is not named");
        diagnostics.push(found.hint("add login_server = \"https://ACCOUNT.dkr.ecr.REGION.amazonaws.com/\""));
    }
}
