//! Packs the artifact's files into one archive, or one file into a smaller one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{PostProcessorType, listed, output};
use crate::builder::rootfs::tape;
use crate::engine::artifact::Artifact;
use crate::engine::clamp::Clamp;
use crate::engine::component::{Context, PostProcessed, PostProcessor};
use crate::engine::place;
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::guest::layers::Layers;
use crate::pack::zip::{Content, Meta, ZipWriter};
use crate::pack::{self, Codec, Packer, Watched};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::{Diagnostics, did_you_mean};
use crate::template::go::engine::InterpolateContext;

mod form;

use form::{Archive, FORMATS, Form};

crate::config! {
    /// Packs the artifact's files into one archive, or one file into a smaller one, on all cores.
    pub struct CompressConfig {
        /// The file to write. `{{.BuildName}}` and `{{.BuilderType}}` can be used.
        output: String as raw = "packer_{{.BuildName}}_{{.BuilderType}}".to_owned(),
        /// `tar`, `zip`, `gz`, `bgzf`, `lz4`, `xz`, `bz2` or `zst`, or one of the latter after `tar.`; by default what
        /// the suffix of `output` says, or else `tar.gz`.
        format: String,
        /// How hard to try, from 1 to 9 (19 for zst); 6 by default, 3 for zst, 9 for bz2. Not for lz4.
        compression_level: Option<i32>,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "compress",
    schema: CompressConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn PostProcessor>::new(body, context, validate, |config| Box::new(Compress { config, interpolate }))
    },
};

/// Checks the options.
pub fn validate(decoded: &Decoded<CompressConfig>) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let config = &decoded.config;
    if !config.format.is_empty() && Form::of_words(&config.format).is_none() {
        let hint = did_you_mean(&config.format, FORMATS.iter().copied())
            .map_or_else(|| format!("formats are: {}", FORMATS.join(", ")), |near| format!("did you mean `{near}`?"));
        diagnostics.push(decoded.error("format", format!("unknown format `{}`", config.format)).hint(hint));
    }
    if config.compression_level.is_some_and(|level| level < -1) {
        diagnostics.push(
            decoded
                .error("compression_level", "a level is not negative")
                .hint("use 1 (fast) to 9 (small); 0 and -1 stand for the default"),
        );
    }
    diagnostics.extend(output::check(decoded, &config.output, &[]));
    diagnostics
}

/// The compress post-processor.
#[derive(Debug)]
pub struct Compress {
    config: CompressConfig,
    interpolate: InterpolateContext,
}

#[async_trait]
impl PostProcessor for Compress {
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        let target = self.target(context)?;
        let form = Form::of(&self.config.output, &self.config.format);
        check(form, &target, &input.files)?;
        let (shown, ui) = (target.display(), &context.ui);
        let with = form.codec.map_or("no compression", form::name);
        let threads = pack::threads();
        if form.codec.is_some() {
            ui.say(&format!("Using {with} compression with {threads} cores for {shown}"));
        }
        ui.say(&match form.archive {
            Some(Archive::Tar) => format!("Tarring {shown} with {with}"),
            Some(Archive::Zip) => format!("Zipping {shown}"),
            None => format!("Archiving {} with {with}", listed(&input.files)),
        });
        let work = Work {
            form,
            level: self.config.compression_level.and_then(|level| u32::try_from(level).ok()).filter(|level| *level > 0),
            threads,
            names: names(&input.files),
            clamp: context.clamp,
            cancel: context.cancel.clone(),
        };
        let (path, progress) = (target.clone(), context.ui.clone());
        let work = tokio::task::spawn_blocking(move || {
            place::file(&path, true, &work.cancel, |file| {
                work.write(file.as_file(), &mut |done| progress.progress("packed", done, None))
            })
        });
        work.await.context(|| "the compress post-processor failed".to_owned())??;
        ui.say(&format!("Archive {shown} completed"));
        let artifact = Artifact {
            builder_id: "packer.post-processor.compress".to_owned(),
            id: String::new(),
            description: format!("compressed artifacts in: {shown}"),
            files: vec![target],
        };
        Ok(PostProcessed { artifact: Some(artifact), keep_input: false, force_keep: false })
    }
}

impl Compress {
    fn target(&self, context: &Context) -> Result<PathBuf> {
        output::render(&self.config.output, &self.interpolate, context, &[])
    }
}

/// Refuses what cannot be done with these files.
fn check(form: Form, target: &Path, files: &[PathBuf]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::new("there is nothing to compress: the artifact has no files")
            .hint("name files with the artifice post-processor before this one"));
    }
    if form.archive.is_none() {
        if files.len() != 1 {
            return Err(Error::new(format!(
                "Can only have 1 input file when not using tar/zip. Found {} files: {}",
                files.len(),
                listed(files)
            ))
            .hint("set `format` to tar.gz, tar.zst or zip"));
        }
        if files[0].is_dir() {
            return Err(Error::new(format!("{} is a directory, which needs an archive", files[0].display()))
                .hint("set `format` to tar.gz or tar.zst"));
        }
    }
    let target = resolved(target)?;
    for file in files {
        let file = file.canonicalize().context(|| format!("cannot read {}", file.display()))?;
        if target.starts_with(&file) {
            return Err(Error::new(format!("{} would be packed into itself", file.display()))
                .hint("set `output` to another path"));
        }
    }
    Ok(())
}

/// The path without links in it, also where the end of it is yet to be made.
fn resolved(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).context(|| format!("cannot find {}", path.display()))?;
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    Ok(match there {
        Some((above, real)) => real.join(path.strip_prefix(above).unwrap_or(Path::new(""))),
        None => path,
    })
}

/// The files with their names in an archive: the last part of the path, as Packer has it for tar, or the whole where
/// two would be the same.
fn names(files: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let name = |path: &Path| path.file_name().map_or_else(|| relative(path), PathBuf::from);
    let twice = |path: &Path| files.iter().filter(|other| name(other) == name(path)).count() > 1;
    files.iter().map(|path| (if twice(path) { relative(path) } else { name(path) }, path.clone())).collect()
}

/// The path without a root, `.` and `..`.
fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// What is to be packed, and how.
struct Work {
    form: Form,
    level: Option<u32>,
    threads: usize,
    /// Names in the archive, and where the files are.
    names: Vec<(PathBuf, PathBuf)>,
    clamp: Clamp,
    cancel: CancellationToken,
}

impl Work {
    fn write(&self, output: &File, tell: &mut dyn FnMut(u64)) -> Result<()> {
        if self.form.archive == Some(Archive::Zip) {
            return self.zip(output, tell);
        }
        let started = || "cannot start to pack".to_owned();
        let level = self.form.codec.map_or(0, |codec| codec.level(self.level));
        let output = BufWriter::with_capacity(1 << 20, output);
        let packer = Packer::new(output, self.form.codec, level, self.threads).context(started)?;
        let mut watched = Watched::new(packer, &self.cancel, tell);
        if self.form.archive == Some(Archive::Tar) {
            watched = tape::archive(&self.names, self.clamp, watched)?;
        } else {
            for (_, source) in &self.names {
                let copied = File::open(source).and_then(|mut file| io::copy(&mut file, &mut watched));
                copied.context(|| format!("cannot pack {}", source.display()))?;
            }
        }
        let finished = watched.into_inner().finish().and_then(|mut output| output.flush());
        finished.context(|| "cannot write the end of it".to_owned())
    }

    fn zip(&self, output: &File, tell: &mut dyn FnMut(u64)) -> Result<()> {
        let level = Codec::Gzip.level(self.level);
        let mut writer = ZipWriter::new(output, level, self.threads);
        let mut counter = Watched::new(io::sink(), &self.cancel, tell);
        let mut watch = |bytes: &[u8]| counter.write_all(bytes);
        for (_, source) in &self.names {
            // As Packer has it for zip: the path, not the name alone.
            let top = relative(source);
            let source = source.canonicalize().context(|| format!("cannot read {}", source.display()))?;
            Layers::new([source]).walk(&mut |entry| {
                place::stop_if(&self.cancel)?;
                let name = if entry.path.as_os_str().is_empty() { top.clone() } else { top.join(&entry.path) };
                self.zip_entry(&mut writer, &name, entry, &mut watch)
                    .context(|| format!("cannot pack {}", entry.source.display()))?;
                Ok(true)
            })?;
        }
        writer.finish().context(|| "cannot write the end of it".to_owned())
    }

    fn zip_entry(
        &self,
        writer: &mut ZipWriter<'_>,
        name: &Path,
        entry: &crate::guest::layers::Entry,
        watch: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let metadata = &entry.metadata;
        let meta = Meta {
            name: name.as_os_str().as_bytes(),
            mode: metadata.permissions().mode() & 0o7777,
            mtime: self.clamp.time((metadata.mtime(), 0)).0,
        };
        if metadata.is_dir() {
            writer.entry(meta, Content::Directory, watch)
        } else if metadata.is_symlink() {
            let target = fs::read_link(&entry.source)?;
            writer.entry(meta, Content::Symlink(target.as_os_str().as_bytes()), watch)
        } else if metadata.is_file() {
            let mut file = File::open(&entry.source)?;
            writer.entry(meta, Content::File(&mut file, metadata.len()), watch)
        } else {
            Err(io::Error::other("zip holds no devices, pipes and sockets: use a tar format"))
        }
    }
}

#[cfg(test)]
mod tests;
