//! Copies files and directories between host and guest.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::ProvisionerType;
use super::shell::base_name;
use crate::engine::component::{Communicator, Content, Context, Provisioner, needs_communicator};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;

#[cfg(test)]
mod tests;

crate::config! {
    /// Copies files and directories between host and guest.
    pub struct FileConfig {
        /// File or directory to copy. Of a directory with a trailing slash the contents are copied, without it the
        /// directory. One of `source`, `sources` and `content` must be set.
        #[conflicts("content")]
        source: String,
        /// Files and directories to copy.
        #[conflicts("content")]
        sources: Vec<String>,
        /// Text of the file to write.
        content: Option<String>,
        /// Where to copy to. With a trailing slash it is a directory, which a file is put into.
        #[required]
        destination: String,
        /// `upload` to the guest or `download` from it.
        #[values("upload", "download")]
        direction: String = "upload".to_owned(),
        /// Whether the source is made during the build, so that it need not exist when the template is validated.
        generated: bool,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "file",
    schema: FileConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn Provisioner>::new(body, context, validate, |config| Box::new(FileCopy { config }))
    },
};

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<FileConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    let set = |name: &str, given: bool| given || decoded.is_unknown(name);
    let has_source = set("source", !config.source.is_empty()) || set("sources", !config.sources.is_empty());
    let has_content = set("content", config.content.is_some());
    let download = config.direction == "download";
    if !has_source && !has_content {
        diagnostics.push(
            decoded
                .error("", "there is nothing to copy")
                .detail("none of `source`, `sources`, `content` is set")
                .hint("add source = \"a file or directory\""),
        );
    }
    if has_content && download {
        diagnostics.push(decoded.error("content", "`content` can only be uploaded"));
    }
    if has_content && config.destination.ends_with('/') {
        diagnostics.push(
            decoded
                .error("destination", "`destination` is a directory, but `content` has no name")
                .hint("name the file: destination = \"directory/name\""),
        );
    }
    if !download && !config.generated {
        let single = (!config.source.is_empty()).then_some(("source", &config.source));
        for (option, path) in single.into_iter().chain(config.sources.iter().map(|path| ("sources", path))) {
            if let Err(error) = std::fs::metadata(path) {
                diagnostics.push(
                    decoded
                        .error(option, format!("cannot read `{path}`"))
                        .detail(error.to_string())
                        .hint("if the build makes it, add generated = true"),
                );
            }
        }
    }
    diagnostics
}

/// The file provisioner.
#[derive(Debug)]
pub struct FileCopy {
    config: FileConfig,
}

#[async_trait]
impl Provisioner for FileCopy {
    async fn provision(&self, context: &Context, communicator: Option<&dyn Communicator>) -> Result<()> {
        let communicator = communicator.ok_or_else(|| needs_communicator("file"))?;
        let destination = &self.config.destination;
        if let Some(content) = &self.config.content {
            context.ui.say(&format!("Uploading content => {destination}"));
            let upload = communicator.upload(Content::Bytes(content.as_bytes()), destination, 0o644);
            return until_cancelled(context, upload).await;
        }
        let single = (!self.config.source.is_empty()).then_some(&self.config.source);
        // `sources` first, as Packer does.
        for source in self.config.sources.iter().chain(single) {
            let copy = async {
                if self.config.direction == "download" {
                    download(context, communicator, source, destination).await
                } else {
                    upload(context, communicator, source, destination).await
                }
            };
            until_cancelled(context, copy).await?;
        }
        Ok(())
    }
}

/// Copies take no token: they end by being dropped.
async fn until_cancelled(context: &Context, copy: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        done = copy => done,
        () = context.cancel.cancelled() => Err(Error::new("cancelled while copying files")),
    }
}

async fn upload(context: &Context, communicator: &dyn Communicator, source: &str, destination: &str) -> Result<()> {
    let metadata = std::fs::metadata(source).context(|| format!("cannot read {source}"))?;
    if metadata.is_dir() {
        context.ui.say(&format!("Uploading {source} => {destination}"));
        let done = communicator.upload_dir(source, destination).await;
        return done.context(|| format!("cannot upload the directory {source} to {destination}"));
    }
    let target = match destination.strip_suffix('/') {
        Some(directory) => format!("{directory}/{}", base_name(source)),
        None => destination.to_owned(),
    };
    context.ui.say(&format!("Uploading {source} => {target}"));
    let mode = metadata.permissions().mode() & 0o7777;
    let done = communicator.upload(Content::File(Path::new(source)), &target, mode).await;
    done.context(|| format!("cannot upload {source} to {target}"))
}

async fn download(context: &Context, communicator: &dyn Communicator, source: &str, destination: &str) -> Result<()> {
    let is_directory = source.ends_with('/') || source.contains('*');
    let (directory, target) = if !destination.ends_with('/') {
        let parent = Path::new(destination).parent().map(Path::to_path_buf).unwrap_or_default();
        (parent, PathBuf::from(destination))
    } else if is_directory {
        (PathBuf::from(destination), PathBuf::from(destination))
    } else {
        (PathBuf::from(destination), Path::new(destination).join(base_name(source)))
    };
    context.ui.say(&format!("Downloading {source} => {}", target.display()));
    if !directory.as_os_str().is_empty() {
        std::fs::create_dir_all(&directory).context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let done = if is_directory {
        communicator.download_dir(source, &target).await
    } else {
        communicator.download(source, &target).await
    };
    done.context(|| format!("cannot download {source} to {}", target.display()))
}
