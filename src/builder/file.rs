//! Builds a file: by copying one, or from text.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{BuilderType, PreparedBuilder};
use crate::engine::artifact::Artifact;
use crate::engine::component::{Builder, Communicator, Context, Step};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Result};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::{Diagnostic, Diagnostics};

crate::config! {
    /// Builds a file: by copying one, or from text.
    pub struct FileConfig {
        /// The file to copy.
        #[conflicts("content")]
        source: String,
        /// The text of the file.
        content: String,
        /// The file to write.
        #[required]
        target: String,
    }
}

pub(super) const TYPE: BuilderType = BuilderType {
    kind: "file",
    schema: FileConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn PreparedBuilder>::new(body, context, validate, |config| Box::new(FileBuilder { config }))
    },
};

/// Checks options that depend on each other.
pub fn validate(decoded: &Decoded<FileConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    if config.target.is_empty() && !decoded.is_unknown("target") {
        diagnostics.push(decoded.error("target", "`target` is empty").hint("name the file to write"));
    }
    let source = !config.source.is_empty() || decoded.is_unknown("source");
    let content = !config.content.is_empty() || decoded.is_unknown("content");
    if !source && !content {
        diagnostics.push(
            Diagnostic::warning("the file will be empty")
                .at(decoded.header)
                .detail("neither `source` nor `content` is set"),
        );
    }
    diagnostics
}

/// The file builder.
#[derive(Debug)]
pub struct FileBuilder {
    config: FileConfig,
}

#[async_trait]
impl Builder for FileBuilder {
    fn start_steps(&mut self) -> Vec<Box<dyn Step>> {
        vec![Box::new(WriteFile { config: self.config.clone() })]
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
            builder_id: "packer.file".to_owned(),
            id: "File".to_owned(),
            files: vec![PathBuf::from(&self.config.target)],
            description: format!("Stored file: {}", self.config.target),
        })
    }
}

/// Writes the file.
struct WriteFile {
    config: FileConfig,
}

#[async_trait]
impl Step for WriteFile {
    fn name(&self) -> String {
        "write file".to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let config = self.config.clone();
        if !config.source.is_empty() {
            context.ui.say(&format!("Copying {} to {}", config.source, config.target));
        }
        let work = tokio::task::spawn_blocking(move || write(&config));
        let copied = work.await.context(|| "the file builder failed".to_owned())??;
        if let Some(bytes) = copied {
            context.ui.say(&format!("Copied {bytes} bytes"));
        }
        Ok(())
    }
}

/// Writes the file as a whole or not at all. Returns how much was copied from `source`.
fn write(config: &FileConfig) -> Result<Option<u64>> {
    let target = Path::new(&config.target);
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).context(|| format!("cannot make the directory {}", directory.display()))?;
    let source = (!config.source.is_empty())
        .then(|| File::open(&config.source).context(|| format!("cannot read {}", config.source)))
        .transpose()?;
    // As in Packer: text is only for the user, a copy for whom the umask lets.
    let mode = if source.is_some() { 0o666 } else { 0o600 };
    let write = || -> std::io::Result<Option<u64>> {
        let mut file = tempfile::Builder::new()
            .prefix(".larder-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        let copied = if let Some(mut source) = source {
            Some(std::io::copy(&mut source, &mut file)?)
        } else {
            file.write_all(config.content.as_bytes())?;
            None
        };
        file.persist(target)?;
        Ok(copied)
    };
    write().context(|| format!("cannot write {}", config.target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioner::testing;

    #[test]
    fn options_are_checked() {
        for (options, expected) in [
            (vec![], "`target` is required, but not set: the test needs it"),
            (vec![("target", "x".into())], "the file will be empty: neither `source` nor `content` is set"),
            (
                vec![("target", "x".into()), ("content", "a".into()), ("source", "b".into())],
                "`content` cannot be used together with `source`",
            ),
        ] {
            assert_eq!(testing::problems(&TYPE, options), [expected]);
        }
    }

    #[tokio::test]
    async fn a_file_is_copied_or_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("in"), "hello\n").unwrap();
        let (context, heard) = testing::context(dir.path());
        for (option, value, expected) in [("source", path("in"), "hello\n"), ("content", "text".into(), "text")] {
            let target = path("out/a.txt");
            let mut config = FileConfig { target: target.clone(), ..FileConfig::default() };
            *(if option == "source" { &mut config.source } else { &mut config.content }) = value;
            let mut builder = FileBuilder { config };
            for step in &mut builder.start_steps() {
                step.run(&context).await.unwrap();
            }
            assert_eq!(std::fs::read_to_string(&target).unwrap(), expected);
            let mode = std::fs::metadata(&target).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o044 != 0, option == "source", "{mode:o}");
            let artifact = builder.artifact().unwrap();
            assert_eq!((artifact.id.as_str(), artifact.builder_id.as_str()), ("File", "packer.file"));
            assert_eq!(artifact.description, format!("Stored file: {target}"));
        }
        let copying = format!("say: Copying {} to {}", path("in"), path("out/a.txt"));
        assert_eq!(heard.lines(), [copying, "say: Copied 6 bytes".to_owned()]);
        assert_eq!(std::fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
    }
}
