//! What tests of components share: a listener, a context, a "guest" that is a directory of the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::component::{Communicator, Content, Context, EXIT_DISCONNECTED, Output, Say};
use crate::error::{Error, Result};
use crate::template::config::{Content as Option_, DecodeContext, Entry, EvaluatedBody, Item};
use crate::template::go::engine::InterpolateContext;
use crate::template::hcl::value::Value;
use crate::template::secrets::Secrets;
use crate::template::source_map::{SourceMap, Span};

/// Remembers what was said.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, kind: &str, text: &str) {
        self.0.lock().unwrap().push(format!("{kind}: {text}"));
    }
}

impl Say for Heard {
    fn say(&self, text: &str) {
        self.add("say", text);
    }
    fn stdout(&self, line: &str) {
        self.add("out", line);
    }
    fn stderr(&self, line: &str) {
        self.add("err", line);
    }
    fn warn(&self, text: &str) {
        self.add("warn", text);
    }
    fn progress(&self, _: &str, _: u64, _: Option<u64>) {}
    fn ready(&self) -> futures_util::future::BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// A context whose scratch directory is `scratch`.
pub(crate) fn context(scratch: &Path) -> (Context, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let context = Context {
        ui: heard.clone(),
        cancel: CancellationToken::new(),
        build_name: "one".into(),
        builder_type: "null".into(),
        run_uuid: "run-1".into(),
        force: false,
        debug: false,
        pause: None,
        host: Arc::new(crate::communicator::local::Here),
        host_env: BTreeMap::new(),
        clamp: crate::engine::clamp::Clamp::default(),
        marks: Vec::new(),
        generated: BTreeMap::new(),
        scratch: scratch.to_owned(),
    };
    (context, heard)
}

/// A block's body with these options.
pub(crate) fn body(options: Vec<(&str, Value)>) -> EvaluatedBody {
    let file = SourceMap::default().add("test", "");
    let span = Span::new(file, 0..1);
    let entries = options.into_iter().map(|(name, value)| Entry {
        name: name.into(),
        name_span: span,
        item: Item { span, content: Option_::Value(value) },
    });
    EvaluatedBody { header: span, entries: entries.collect() }
}

/// Calls `with` with what decoding needs.
pub(crate) fn decoding<T>(with: impl FnOnce(DecodeContext<'_>) -> T) -> T {
    let secrets = Secrets::default();
    let interpolate = InterpolateContext::default();
    with(DecodeContext { owner: "the test", interpolate: &interpolate, secrets: &secrets })
}

/// The component prepared from options; panics with what is wrong with them.
pub(crate) fn prepare<T: ?Sized>(
    of: &crate::engine::registry::ComponentType<T>,
    options: Vec<(&str, Value)>,
) -> Box<T> {
    let prepared = decoding(|context| (of.prepare)(&body(options), context));
    let problems: Vec<String> = prepared.diagnostics.iter().map(|diagnostic| format!("{diagnostic:?}")).collect();
    prepared.component.unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// Summary and detail of each thing wrong with options.
pub(crate) fn problems<T: ?Sized>(
    of: &crate::engine::registry::ComponentType<T>,
    options: Vec<(&str, Value)>,
) -> Vec<String> {
    let prepared = decoding(|context| (of.prepare)(&body(options), context));
    let text = |found: crate::template::diagnostic::Diagnostic| match found.detail {
        Some(detail) => format!("{}: {detail}", found.summary),
        None => found.summary,
    };
    prepared.diagnostics.into_iter().map(text).collect()
}

/// A "guest" that is a directory: absolute paths of the guest are below `root`, and commands run on the host with
/// the text `/guest/` replaced by that directory.
#[derive(Debug)]
pub(crate) struct DirectoryGuest {
    pub(crate) root: PathBuf,
    /// Operations that were asked for.
    pub(crate) log: Mutex<Vec<String>>,
    /// How often uploads fail before they work.
    pub(crate) failures: Mutex<usize>,
    /// Report that the connection was lost when a script has run.
    pub(crate) disconnect: bool,
    pub(crate) connection: &'static str,
}

impl DirectoryGuest {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            log: Mutex::default(),
            failures: Mutex::default(),
            disconnect: false,
            connection: "ssh",
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.strip_prefix("/guest/").unwrap_or(path).trim_start_matches('/'))
    }
}

#[async_trait]
impl Communicator for DirectoryGuest {
    async fn run(&self, command: &str, output: mpsc::Sender<Output>, _: &CancellationToken) -> Result<i32> {
        self.note(format!("run {command}"));
        let command = command.replace("/guest/", &format!("{}/", self.root.display()));
        let done = tokio::process::Command::new("/bin/sh").arg("-c").arg(&command).stdin(Stdio::null()).output().await;
        let done = done.map_err(|error| Error::new("cannot run").caused_by(error))?;
        let _ = output.send(Output::Stdout(done.stdout)).await;
        let _ = output.send(Output::Stderr(done.stderr)).await;
        if self.disconnect && !command.starts_with("rm ") {
            return Ok(EXIT_DISCONNECTED);
        }
        Ok(done.status.code().unwrap_or(255))
    }

    async fn upload(&self, content: Content<'_>, destination: &str, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(Error::new("no route to guest"));
            }
        }
        self.note(format!("upload {destination} {mode:o}"));
        let bytes = match content {
            Content::Bytes(bytes) => bytes.to_vec(),
            Content::File(path) => std::fs::read(path).unwrap(),
        };
        let path = self.path(destination);
        std::fs::write(&path, bytes).map_err(|error| Error::new("cannot write").caused_by(error))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Ok(())
    }

    async fn upload_dir(&self, source: &str, destination: &str) -> Result<()> {
        self.note(format!("upload_dir {source} {destination}"));
        Ok(())
    }

    async fn download(&self, source: &str, destination: &Path) -> Result<()> {
        self.note(format!("download {source}"));
        std::fs::copy(self.path(source), destination).unwrap();
        Ok(())
    }

    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()> {
        self.note(format!("download_dir {source} {}", destination.file_name().unwrap().display()));
        Ok(())
    }

    fn generated_data(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("ConnType".to_owned(), self.connection.to_owned())])
    }
}
