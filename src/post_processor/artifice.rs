//! Replaces the artifact by other files.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use globset::GlobBuilder;

use super::{PostProcessorType, listed};
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, PostProcessor};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Makes other files the artifact, such as those a provisioner downloaded.
    pub struct ArtificeConfig {
        /// The files. `*`, `?` and `[a-z]` match within a name.
        files: Vec<String>,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType {
    kind: "artifice",
    schema: ArtificeConfig::schema,
    prepare: |body, context| {
        Prepared::<dyn PostProcessor>::new(body, context, validate, |config| Box::new(Artifice { config }))
    },
};

/// Checks the options.
pub fn validate(decoded: &Decoded<ArtificeConfig>) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    if decoded.config.files.is_empty() && !decoded.is_unknown("files") {
        diagnostics
            .push(decoded.error("files", "no files are named").hint("add files = [\"a file\"], patterns are allowed"));
    }
    for pattern in &decoded.config.files {
        for part in pattern.split('/') {
            if let Err(error) = matcher(part) {
                diagnostics
                    .push(decoded.error("files", format!("`{pattern}` is not a pattern")).detail(error.to_string()));
            }
        }
    }
    diagnostics
}

/// The artifice post-processor.
#[derive(Debug)]
pub struct Artifice {
    config: ArtificeConfig,
}

#[async_trait]
impl PostProcessor for Artifice {
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed> {
        if !input.files.is_empty() {
            context.ui.say(&format!("Discarding files from artifact: {}", listed(&input.files)));
        }
        let mut files = Vec::new();
        for pattern in &self.config.files {
            let found = glob(pattern)?;
            if found.is_empty() {
                context.ui.warn(&format!("no file matches {pattern}"));
            }
            files.extend(found);
        }
        context.ui.say(&format!("Using these artifact files: {}", listed(&files)));
        let description = format!("Created artifact from files: {}", listed(&files));
        let builder_id = "packer.post-processor.artifice".to_owned();
        let artifact = Artifact { builder_id, id: String::new(), files, description };
        Ok(PostProcessed { artifact: Some(artifact), keep_input: true, force_keep: false })
    }
}

/// Files that match a pattern as in Go's `filepath.Glob`, sorted. A pattern of no file gives none.
fn glob(pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?', '[', '\\']) {
            found =
                found.into_iter().map(|path| path.join(part)).filter(|path| path.symlink_metadata().is_ok()).collect();
            continue;
        }
        let matcher = matcher(part).context(|| format!("{pattern} is not a pattern"))?.compile_matcher();
        let mut next = Vec::new();
        for directory in found {
            let listing = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
            // A file in place of a directory, or one that may not be read, holds nothing that matches.
            for entry in std::fs::read_dir(listing).into_iter().flatten() {
                let name =
                    entry.map_err(|error| Error::new(format!("cannot list {}", listing.display())).caused_by(error))?;
                if matcher.is_match(name.file_name()) {
                    next.push(directory.join(name.file_name()));
                }
            }
        }
        next.sort();
        found = next;
    }
    Ok(found)
}

/// One part of a pattern. Braces mean nothing in Go's patterns.
fn matcher(part: &str) -> Result<globset::Glob, globset::Error> {
    let part = part.replace('{', "[{]").replace('}', "[}]");
    GlobBuilder::new(&part).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioner::testing;

    #[test]
    fn patterns_are_those_of_go() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.txt", ".hidden.txt", "c.log", "{x}", "sub/a.txt", "sub/deep/a.txt"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for (pattern, expected) in [
            ("*.txt", &[".hidden.txt", "a.txt", "b.txt"] as &[&str]),
            ("?.*", &["a.txt", "b.txt", "c.log"]),
            ("[ab].txt", &["a.txt", "b.txt"]),
            ("*/a.txt", &["sub/a.txt"]),
            ("sub", &["sub"]),
            ("**/a.txt", &["sub/a.txt"]),
            ("{x}", &["{x}"]),
            ("{*}", &["{x}"]),
            ("{a,b}.txt", &[]),
            ("none", &[]),
        ] {
            let found = glob(&format!("{}/{pattern}", dir.path().display())).unwrap();
            let names: Vec<&str> =
                found.iter().map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
            assert_eq!(names, expected, "{pattern}");
        }
    }

    #[test]
    fn files_must_be_named() {
        assert_eq!(testing::problems(&TYPE, vec![]), ["no files are named"]);
    }

    #[tokio::test]
    async fn the_artifact_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new.img");
        std::fs::write(&file, "x").unwrap();
        let (context, heard) = testing::context(dir.path());
        let files = crate::template::hcl::value::Value::strings([file.to_str().unwrap(), "/nonexistent/*.img"]);
        let artifice = testing::prepare(&TYPE, vec![("files", files)]);
        let input = Artifact { files: vec!["old.img".into()], ..Artifact::default() };
        let done = artifice.post_process(&context, &input).await.unwrap();
        let artifact = done.artifact.unwrap();
        assert_eq!((artifact.files, done.keep_input, done.force_keep), (vec![file.clone()], true, false));
        assert_eq!(artifact.description, format!("Created artifact from files: {}", file.display()));
        assert_eq!(
            heard.lines(),
            [
                "say: Discarding files from artifact: old.img".to_owned(),
                "warn: no file matches /nonexistent/*.img".to_owned(),
                format!("say: Using these artifact files: {}", file.display()),
            ]
        );
    }
}
