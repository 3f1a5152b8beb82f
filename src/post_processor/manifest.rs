//! Keeps a JSON file of what was built.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::PostProcessorType;
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, PostProcessor};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::template::config::Config;
use crate::template::diagnostic::Diagnostics;

#[cfg(test)]
mod tests;

crate::config! {
    /// Adds the artifact to a JSON file of what was built.
    pub struct ManifestConfig {
        /// The file. Builds are added to those in it, unless `-force` is given.
        output: String = "packer-manifest.json".to_owned(),
        /// Write names of files without directories.
        strip_path: bool,
        /// Do not write when the artifact was built.
        strip_time: bool,
        /// Text to write beside the artifact.
        custom_data: BTreeMap<String, String>,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "manifest",
    schema: ManifestConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn PostProcessor>::new(
            body,
            context,
            |_| Diagnostics::default(),
            |config| Box::new(Manifest { config }),
        )
    },
};

/// The manifest post-processor.
#[derive(Debug)]
pub struct Manifest {
    config: ManifestConfig,
}

/// The file, as Packer lays it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct ManifestFile {
    #[serde(deserialize_with = "or_default")]
    builds: Vec<Build>,
    last_run_uuid: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are those of the file")]
struct Build {
    name: String,
    builder_type: String,
    #[serde(skip_serializing_if = "is_zero")]
    build_time: i64,
    files: Option<Vec<BuiltFile>>,
    artifact_id: String,
    packer_run_uuid: String,
    custom_data: Option<BTreeMap<String, String>>,
    /// In what the build was not made as its template says, as in the event `build-finished`. Not of Packer's; absent where
    /// there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct BuiltFile {
    name: String,
    size: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes an empty list as `null`.
fn or_default<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Build>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[async_trait]
impl PostProcessor for Manifest {
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let build = self.build(context, input, i64::try_from(now).unwrap_or(i64::MAX));
        let output = PathBuf::from(&self.config.output);
        let force = context.force;
        // Another Larder may hold the lock for a while.
        let work = tokio::task::spawn_blocking(move || add(&output, build, force));
        work.await.context(|| "the manifest post-processor failed".to_owned())??;
        Ok(PostProcessed { artifact: Some(input.clone()), keep_input: true, force_keep: true })
    }
}

impl Manifest {
    fn build(&self, context: &Context, input: &Artifact, now: i64) -> Build {
        let config = &self.config;
        let file = |path: &PathBuf| BuiltFile {
            name: if config.strip_path { path.file_name().unwrap_or(path.as_os_str()) } else { path.as_os_str() }
                .to_string_lossy()
                .into_owned(),
            size: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        };
        Build {
            name: context.build_name.clone(),
            builder_type: context.builder_type.clone(),
            build_time: if config.strip_time { 0 } else { context.clamp.time((now, 0)).0 },
            files: (!input.files.is_empty()).then(|| input.files.iter().map(file).collect()),
            artifact_id: input.id.clone(),
            packer_run_uuid: context.run_uuid.clone(),
            custom_data: (!config.custom_data.is_empty()).then(|| config.custom_data.clone()),
            marks: context.marks.iter().map(|mark| serde_json::json!(mark)).collect(),
        }
    }
}

/// Adds a build to a manifest, under a lock, replacing the file as a whole.
fn add(output: &Path, build: Build, force: bool) -> Result<()> {
    let lock = Lock::take(output)?;
    let mut manifest = match std::fs::read(output) {
        Ok(content) => serde_json::from_slice(&content).map_err(|error| {
            Error::new(format!("cannot read the manifest {}", output.display()))
                .caused_by(error)
                .hint("move the file away to begin a new one, or name another with `output`")
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ManifestFile::default(),
        Err(error) => return Err(error).context(|| format!("cannot read the manifest {}", output.display())),
    };
    if force && manifest.last_run_uuid != build.packer_run_uuid {
        manifest = ManifestFile::default();
    }
    manifest.last_run_uuid.clone_from(&build.packer_run_uuid);
    manifest.builds.push(build);
    replace(output, &to_json(&manifest)?).context(|| format!("cannot write the manifest {}", output.display()))?;
    lock.release();
    Ok(())
}

/// The manifest in Go's spelling of JSON.
fn to_json(manifest: &ManifestFile) -> Result<String> {
    let json = serde_json::to_string_pretty(manifest).context(|| "cannot write the manifest as JSON".to_owned())?;
    // Go escapes these in strings, and only there can they be.
    let escapes =
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    Ok(escapes.into_iter().fold(json, |json, (letter, escape)| json.replace(letter, escape)))
}

fn replace(output: &Path, content: &str) -> std::io::Result<()> {
    let mode = match std::fs::metadata(output) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => Permissions::from_mode(0o664),
    };
    let mut file =
        tempfile::Builder::new().prefix(".packer-manifest-").permissions(mode).tempfile_in(directory(output))?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(output)?;
    Ok(())
}

fn directory(of: &Path) -> &Path {
    of.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `OUTPUT.lock`, locked. The kernel lets go of it when the process ends, so that none is ever stale.
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(output: &Path) -> Result<Self> {
        let mut name = output.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let lock = || -> std::io::Result<File> {
            std::fs::create_dir_all(directory(output))?;
            loop {
                let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
                flock(&file, FlockOperation::LockExclusive)?;
                // Who held it before may have removed the name: then this file is no longer the one others lock.
                let there = std::fs::metadata(&path);
                let ours = file.metadata()?;
                if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                    return Ok(file);
                }
            }
        };
        let file = lock().context(|| format!("cannot lock the manifest by {}", path.display()))?;
        Ok(Self { path, _file: file })
    }

    /// Removes the name while the lock is still held; an error on the way leaves that to the next who takes it.
    fn release(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
