//! `larder bundle`: what runs fetched, carried to a machine without a network.

mod export;
mod progress;
mod show;
mod signed;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_proxy::store::{Imported, Store, StoreError, Taking};
use serde_json::json;

use self::progress::Progress;
use super::Env;
use super::args::{
    BundleCommand, BundleImportArgs, BundleLimitArgs, BundleServeArgs, BundleSignatureArgs, BundleVerifyArgs,
};
use super::console::Console;
use super::serve;
use super::session::StateDirs;
use super::settings::{Net, Settings, parse_bytes};
use super::signals::Signals;
use crate::bundle::budget::{Budget, Limits};
use crate::bundle::fault::{BundleError, Fault};
use crate::bundle::import::{self, Outcome};
use crate::bundle::read::Contents;
use crate::bundle::scratch;
use crate::bundle::signature::Trusted;
use crate::bundle::source::Watch;
use crate::error::{Context as _, Error, Exit, Result};
use crate::output::text::bytes;

/// Faults that are shown one by one.
const SHOWN: usize = 20;

/// Runs a subcommand.
pub(super) async fn run(command: &BundleCommand, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    match command {
        BundleCommand::Export(args) => export::run(args, settings, env, console).await,
        BundleCommand::Verify(args) => verify(args, settings, console).await,
        BundleCommand::Inspect(args) => show::run(args, settings, console),
        BundleCommand::Import(args) => take_in(args, settings, console).await,
        BundleCommand::Serve(args) => serve(args, settings, env, console).await,
    }
}

/// Does blocking work, which ends at the first signal that ends programs; at a second the program leaves at once.
async fn interruptible<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static) -> Result<T> {
    let cancel = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::listen()?;
    let cancelled = cancel.clone();
    let mut working = tokio::task::spawn_blocking(move || work(&cancelled));
    let ended = tokio::select! {
        ended = &mut working => ended,
        _ = signals.next() => {
            cancel.store(true, Ordering::Relaxed);
            tokio::select! {
                ended = working => ended,
                _ = signals.next() => return Err(Error::new("interrupted")),
            }
        }
    };
    ended.context(|| "the work was cut short".to_owned())?
}

fn limits(args: &BundleLimitArgs) -> Result<Limits> {
    let default = Limits::default();
    let total = match &args.max_size {
        Some(text) => size(text, "--max-size")?,
        None => default.total,
    };
    Ok(Limits { total, count: args.max_count.unwrap_or(default.count), ratio: args.max_ratio.unwrap_or(default.ratio) })
}

fn size(text: &str, option: &str) -> Result<u64> {
    parse_bytes(text).map_err(|why| Error::new(format!("cannot use {option}: {why}")).hint("write it as 500M or 20G"))
}

/// What may come out of a bundle, and whose it has to be.
#[derive(Clone)]
struct Terms {
    limits: Limits,
    trusted: Option<Trusted>,
}

impl Terms {
    fn of(limit: &BundleLimitArgs, signature: &BundleSignatureArgs, settings: &Settings) -> Result<Self> {
        Ok(Self { limits: limits(limit)?, trusted: signed::trusted(signature, settings)? })
    }

    fn watch<'a>(&'a self, cancel: &'a AtomicBool, progress: &'a dyn Fn(u64)) -> Watch<'a> {
        let budget = Rc::new(Budget::new(self.limits));
        Watch { budget, cancel, progress, trusted: self.trusted.as_ref() }
    }
}

fn failed(what: &str, file: &Path, error: BundleError) -> Error {
    let exit = match &error {
        BundleError::Malformed(_)
        | BundleError::Part { .. }
        | BundleError::Budget { .. }
        | BundleError::Signature(_) => Exit::Trace,
        _ => Exit::Failure,
    };
    let hint = error.hint();
    let shown = Error::new(format!("cannot {what} {}", file.display())).caused_by(error).exit(exit);
    if hint.is_empty() { shown } else { shown.hint(hint) }
}

fn unsound(file: &Path, faults: &[Fault], console: &Console) -> Error {
    for fault in faults.iter().take(SHOWN) {
        console.note(&format!("wrong: {fault}"));
    }
    if faults.len() > SHOWN {
        console.note(&format!("and {} more", faults.len() - SHOWN));
    }
    Error::new(format!("{} is not sound, and nothing of it was stored", file.display()))
        .hint("copy it again, and compare its digest with what `larder bundle export` printed")
        .exit(Exit::Trace)
}

async fn verify(args: &BundleVerifyArgs, settings: &Settings, console: &Console) -> Result<()> {
    let (file, terms) = (args.file.clone(), Terms::of(&args.limits, &args.signature, settings)?);
    let outcome = interruptible(move |cancel| {
        let progress = Progress::new("Read");
        import::verify(&file, terms.watch(cancel, &|done| progress.show(done, None)))
            .map_err(|error| failed("verify", &file, error))
    })
    .await?;
    let (sound, faults, contents) = match outcome {
        Outcome::Sound(contents, ()) => (true, Vec::new(), Some(contents)),
        Outcome::Unsound(faults) => (false, faults, None),
    };
    if args.json.json {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let manifest = contents.as_ref().map(|contents| format!("sha256:{}", contents.manifest));
        let signature = signed::as_json(contents.as_ref().and_then(|contents| contents.signer.as_ref()));
        console.json(&json!({ "sound": sound, "faults": texts, "manifest": manifest, "signature": signature }))?;
    }
    let Some(contents) = contents else { return Err(unsound(&args.file, &faults, console)) };
    if args.json.json {
        return Ok(());
    }
    signed::tell(contents.signer.as_ref(), &args.file, console);
    console.line(&format!("{}: sound", holds(&contents)))
}

fn holds(contents: &Contents) -> String {
    let sum: u64 = contents.bodies.values().sum();
    format!("{} answers, {} bodies of {}", contents.arrivals.len(), contents.bodies.len(), bytes(sum))
}

fn open(dir: &Path) -> Result<Store> {
    Store::open(dir).map_err(|error: StoreError| {
        let hint = error.hint();
        let shown = Error::new(format!("cannot open the cache at {}", dir.display())).caused_by(error);
        if hint.is_empty() { shown } else { shown.hint(hint) }
    })
}

async fn taken_in(
    file: PathBuf,
    cache: PathBuf,
    terms: Terms,
    (taking, in_place): (Taking, bool),
) -> Result<Outcome<Imported>> {
    interruptible(move |cancel| {
        let progress = Progress::new("Read");
        let store = open(&cache)?;
        let outcome =
            import::import(&file, &store, taking, in_place, terms.watch(cancel, &|done| progress.show(done, None)))
                .map_err(|error| failed(if in_place { "serve" } else { "import" }, &file, error))?;
        store.settle().context(|| "cannot make the cache's index durable".to_owned())?;
        Ok(outcome)
    })
    .await
}

async fn take_in(args: &BundleImportArgs, settings: &Settings, console: &Console) -> Result<()> {
    let taking = Taking { pinned: !args.no_pin, replace: args.replace };
    let cache = settings.cache_dir.value.clone();
    let terms = Terms::of(&args.limits, &args.signature, settings)?;
    let outcome = taken_in(args.file.clone(), cache, terms, (taking, false)).await?;
    let (contents, imported) = match outcome {
        Outcome::Sound(contents, imported) => (contents, imported),
        Outcome::Unsound(faults) => return Err(unsound(&args.file, &faults, console)),
    };
    let private = contents.record.entries.iter().filter(|entry| entry.auth).count();
    if args.json.json {
        return console.json(&json!({
            "manifest": format!("sha256:{}", contents.manifest),
            "added": imported.added, "replaced": imported.replaced, "known": imported.known,
            "outdated": imported.outdated, "bodies": imported.bodies, "bytes": imported.bytes,
            "pinned": taking.pinned, "private": private, "complete": contents.record.complete,
            "signature": signed::as_json(contents.signer.as_ref()),
        }));
    }
    console.line(&format!(
        "Imported {} answers with {} bodies of {}; {} were there already.",
        imported.added + imported.replaced,
        imported.bodies,
        bytes(imported.bytes),
        imported.known
    ))?;
    signed::tell(contents.signer.as_ref(), &args.file, console);
    if imported.outdated > 0 {
        console.note(&format!(
            "{} were left out: the cache has newer ones. --replace takes them all the same.",
            imported.outdated
        ));
    }
    if private > 0 {
        console.note(&format!(
            "{private} of them were fetched with credentials; whoever uses this cache gets them without any."
        ));
    }
    if taking.pinned {
        console.note("They are pinned: no limit of the cache removes them. `larder cache unpin` takes the pin out.");
    }
    if !contents.record.complete {
        console
            .note("The bundle does not hold everything its runs fetched; `larder bundle inspect` lists what it lacks.");
    }
    Ok(())
}

/// A new directory to unpack in, and the lock that says it is in use. Those that killed programs left are removed.
fn unpacking_place(place: &Path) -> std::io::Result<(tempfile::TempDir, File)> {
    const PREFIX: &str = "bundle-";
    scratch::sweep(place, PREFIX);
    scratch::make(|| tempfile::Builder::new().prefix(PREFIX).tempdir_in(place), |made| File::open(made.path()))
}

/// Serves a bundle by the proxy itself, offline, over a cache that is made of the bundle and goes with the program.
async fn serve(args: &BundleServeArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    let terms = Terms::of(&args.limits, &args.signature, settings)?;
    let scratch = StateDirs::of(settings).scratch;
    std::fs::create_dir_all(&scratch).context(|| format!("cannot make {}", scratch.display()))?;
    let (made, _lock) = unpacking_place(&scratch).context(|| format!("cannot unpack in {}", scratch.display()))?;
    let taking = Taking { pinned: true, replace: true };
    let file = std::path::absolute(&args.file).context(|| format!("cannot name {}", args.file.display()))?;
    let outcome = taken_in(file, made.path().to_owned(), terms, (taking, true)).await?;
    let contents = match outcome {
        Outcome::Sound(contents, _) => contents,
        Outcome::Unsound(faults) => return Err(unsound(&args.file, &faults, console)),
    };
    signed::tell(contents.signer.as_ref(), &args.file, console);
    console.note(&format!("Serving {}, unpacked in {}", holds(&contents), made.path().display()));
    let mut settings = settings.clone();
    made.path().clone_into(&mut settings.cache_dir.value);
    settings.net.value = Net::Offline;
    settings.cache_max_size.value = None;
    settings.cache_max_age.value = None;
    settings.cache_min_free.value = None;
    let same = settings.clone();
    serve::run(&args.serve, settings, &|| Ok(same.clone()), env, console).await
}
