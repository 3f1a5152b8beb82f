//! Writes files of checksums.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use tokio_util::sync::CancellationToken;

use super::{PostProcessorType, listed, output};
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, PostProcessor};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;
use crate::template::go::engine::InterpolateContext;

#[cfg(test)]
mod tests;

crate::config! {
    /// Writes the checksums of the artifact's files into files, and adds those to the artifact.
    pub struct ChecksumConfig {
        /// Which checksums.
        #[values("md5", "sha1", "sha224", "sha256", "sha384", "sha512")]
        checksum_types: Vec<String> = vec!["md5".to_owned()],
        /// The file to add lines to. `{{.BuildName}}`, `{{.BuilderType}}` and `{{.ChecksumType}}` can be used.
        output: String as raw = "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum".to_owned(),
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "checksum",
    schema: ChecksumConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn PostProcessor>::new(body, context, validate, |config| Box::new(Checksum { config, interpolate }))
    },
};

/// Checks the options.
pub fn validate(decoded: &Decoded<ChecksumConfig>) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend(output::check(decoded, &decoded.config.output, &["ChecksumType"]));
    diagnostics
}

/// The checksum post-processor.
#[derive(Debug)]
pub struct Checksum {
    config: ChecksumConfig,
    interpolate: InterpolateContext,
}

#[async_trait]
impl PostProcessor for Checksum {
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        let types = self.config.checksum_types.iter().map(|name| Ok((name.clone(), self.output(context, name)?)));
        let types = types.collect::<Result<Vec<(String, PathBuf)>>>()?;
        let files = input.files.clone();
        let cancel = context.cancel.clone();
        // Each file is read once for all checksums, on a thread that may block.
        let work = tokio::task::spawn_blocking(move || write_all(&types, &files, &cancel));
        let written = work.await.context(|| "the checksum post-processor failed".to_owned())??;
        let mut files = input.files.clone();
        files.extend(written.into_iter().filter(|path| !input.files.contains(path)));
        let artifact = Artifact {
            builder_id: "packer.post-processor.checksum".to_owned(),
            id: String::new(),
            description: format!("Created artifact from files: {}", listed(&files)),
            files,
        };
        Ok(PostProcessed { artifact: Some(artifact), keep_input: true, force_keep: true })
    }
}

impl Checksum {
    fn output(&self, context: &Context, checksum: &str) -> Result<PathBuf> {
        output::render(&self.config.output, &self.interpolate, context, &[("ChecksumType", checksum)])
    }
}

/// Writes the checksums of all files. Returns the files of checksums, in order, each once.
fn write_all(types: &[(String, PathBuf)], files: &[PathBuf], cancel: &CancellationToken) -> Result<Vec<PathBuf>> {
    let names: Vec<&str> = types.iter().map(|(name, _)| name.as_str()).collect();
    let sums = files.iter().map(|file| sums(file, &names, cancel)).collect::<Result<Vec<_>>>()?;
    let mut written = Vec::new();
    for (index, (_, output)) in types.iter().enumerate() {
        for (file, sums) in files.iter().zip(&sums) {
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            add_line(output, &format!("{}\t{name}\n", sums[index]))?;
        }
        if !files.is_empty() && !written.contains(output) {
            written.push(output.clone());
        }
    }
    Ok(written)
}

/// Adds a line to a file of checksums, which other builds may add to at the same time. A line that is there already,
/// from an earlier run that made the same file, is not repeated (Packer repeats it).
fn add_line(output: &Path, line: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        if let Some(parent) = output.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(output)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        let mut present = Vec::new();
        file.read_to_end(&mut present)?;
        let lines: BTreeSet<&[u8]> = present.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.contains(line.as_bytes()) {
            return Ok(());
        }
        if present.last().is_some_and(|byte| *byte != b'\n') {
            file.write_all(b"\n")?;
        }
        file.write_all(line.as_bytes())
    };
    write().context(|| format!("cannot write the checksum file {}", output.display()))
}

/// The checksums of a file, in hex, in the order of `names`.
fn sums(path: &Path, names: &[&str], cancel: &CancellationToken) -> Result<Vec<String>> {
    if path.is_dir() {
        return Err(Error::new(format!("cannot checksum {}: it is a directory", path.display()))
            .hint("let the builder write an archive, or name files with the artifice post-processor before this one"));
    }
    let mut hashers: Vec<Box<dyn DynDigest>> = names.iter().filter_map(|name| hasher(name)).collect();
    let mut read = || -> std::io::Result<()> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 || cancel.is_cancelled() {
                return Ok(());
            }
            for hasher in &mut hashers {
                hasher.update(&buffer[..count]);
            }
        }
    };
    read().context(|| format!("cannot read {}", path.display()))?;
    if cancel.is_cancelled() {
        return Err(Error::new("cancelled while computing checksums"));
    }
    Ok(hashers.into_iter().map(|hasher| hex::encode(hasher.finalize())).collect())
}

fn hasher(name: &str) -> Option<Box<dyn DynDigest>> {
    Some(match name {
        "md5" => Box::new(Md5::default()),
        "sha1" => Box::new(Sha1::default()),
        "sha224" => Box::new(Sha224::default()),
        "sha256" => Box::new(Sha256::default()),
        "sha384" => Box::new(Sha384::default()),
        "sha512" => Box::new(Sha512::default()),
        _ => return None,
    })
}
