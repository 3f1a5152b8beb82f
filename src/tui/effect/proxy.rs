//! Work on the live proxy.

pub mod body;
pub mod har;

use std::path::PathBuf;
use std::time::SystemTime;

use http::Uri;
use larder_proxy::cache::Mode;
use larder_proxy::flow::Flow;
use larder_proxy::identity::Client;
use larder_proxy::in_flight::InFlight;
use larder_proxy::inspect::{Explanation, Target};

use super::store::OpenStore;
use super::worker::{Outside, Run};
use crate::error::{Context as _, Error, Result};
use crate::output::text::bytes;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Op {
    /// Look at what is under way.
    Look,
    /// Say what the cache has of a URL.
    Explain(String),
    /// Ask upstream for a URL, whatever is stored.
    Refetch(String),
    /// Remove URLs from the cache.
    Drop(Vec<String>),
    /// Change the proxy's mode.
    SetMode(Mode),
    /// Write requests to a file.
    Har(Vec<Flow>),
    /// Make the body with this digest readable in a pager.
    View {
        /// SHA-256, in hex.
        digest: String,
    },
    /// Write the body with this digest to a file.
    Save {
        /// SHA-256, in hex.
        digest: String,
        /// The URL it answered, which the file is named by.
        url: String,
    },
}

impl PartialEq for Op {
    /// Flows have no equality of their own; their numbers tell them apart.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Har(one), Self::Har(two)) => one.iter().map(|flow| flow.id).eq(two.iter().map(|flow| flow.id)),
            (one, two) => format!("{one:?}") == format!("{two:?}"),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// What is under way, and in which mode; nothing where there is no proxy.
    Looked(Option<(Mode, Vec<InFlight>)>),
    /// What the cache has of a URL.
    Explained(String, Box<Explanation>),
    /// A body to be read in a pager.
    View(PathBuf),
    /// Something to say.
    Told(Result<String>),
}

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {
    store: OpenStore,
    /// What is shown in a pager: gone with the next, and with the UI.
    viewed: Option<tempfile::NamedTempFile>,
}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        let told = match op {
            Op::Look => return Some(Done::Looked(outside.run().map(|run| look(&run)))),
            Op::Explain(url) => {
                let store = self.store.get(outside).ok()?;
                let found = store.explain(&url, &outside.rules, SystemTime::now()).ok()??;
                return Some(Done::Explained(url, Box::new(found)));
            }
            Op::View { digest } => match self.view(&digest, outside) {
                Ok(path) => return Some(Done::View(path)),
                Err(error) => Err(error),
            },
            Op::Refetch(url) => refetch(&url, outside),
            Op::Drop(urls) => self.drop_urls(&urls, outside),
            Op::SetMode(mode) => set_mode(mode, outside),
            Op::Har(flows) => har::export(&flows, outside),
            Op::Save { digest, url } => {
                self.store.get(outside).and_then(|store| body::save(&store, &digest, &url, &outside.places.cwd))
            }
        };
        Some(Done::Told(told))
    }

    fn view(&mut self, digest: &str, outside: &Outside) -> Result<PathBuf> {
        let store = self.store.get(outside)?;
        let file = body::readable(&store, digest)?;
        let path = file.path().to_owned();
        self.viewed = Some(file);
        Ok(path)
    }

    fn drop_urls(&mut self, urls: &[String], outside: &Outside) -> Result<String> {
        let (mut entries, mut freed, mut pinned) = (0, 0, 0);
        for url in urls {
            let dropped = self.store.remove(target(url)?, outside)?;
            entries += dropped.removed.entries;
            freed += dropped.removed.bytes;
            pinned += dropped.pinned;
        }
        Ok(match (entries, pinned) {
            (0, 0) => "nothing of that is in the cache".to_owned(),
            (0, _) => "it is pinned, and stays; P on the Cache screen takes the pin out".to_owned(),
            (entries, 0) => format!("dropped {entries} from the cache, {}", bytes(freed)),
            (entries, pinned) => format!("dropped {entries} from the cache, {}; {pinned} pinned stay", bytes(freed)),
        })
    }
}

fn look(run: &Run) -> (Mode, Vec<InFlight>) {
    let mut found = run.proxy.in_flight();
    for request in &mut found {
        // Flows that end pass the event stream's redaction; these do not.
        let flow = &mut request.flow;
        flow.url = run.redactor.text(std::mem::take(&mut flow.url));
        flow.why = run.redactor.text(std::mem::take(&mut flow.why).into_owned()).into();
    }
    (run.proxy.cache().mode(), found)
}

fn target(url: &str) -> Result<Target> {
    Target::parse(url, false).ok_or_else(|| {
        Error::new(format!("{url} cannot be looked up in the cache"))
            .hint("tunnels are not cached, and of a URL with a secret in it the secret is not kept")
    })
}

fn refetch(url: &str, outside: &Outside) -> Result<String> {
    let run = outside.run().ok_or_else(|| Error::new("there is no proxy: nothing is being built"))?;
    target(url)?;
    let uri: Uri = url.parse().context(|| format!("cannot read the URL {url}"))?;
    if run.proxy.cache().mode() == Mode::Offline {
        return Err(Error::new("the proxy is offline, so nothing is fetched").hint("M changes the mode"));
    }
    let status = outside
        .runtime
        .block_on(run.proxy.refetch(uri, &Client::host("refetch")))
        .context(|| format!("cannot fetch {url}"))?;
    if status.is_success() {
        Ok(format!("fetched anew: {url}"))
    } else {
        Err(Error::new(format!("upstream did not give {url}: {status}")))
    }
}

fn set_mode(mode: Mode, outside: &Outside) -> Result<String> {
    let run = outside.run().ok_or_else(|| Error::new("there is no proxy: nothing is being built"))?;
    run.proxy.cache().set_mode(mode);
    Ok(match mode {
        Mode::Cache => "mode cache: what is not stored is fetched".to_owned(),
        Mode::Offline => "mode offline: upstream is not asked any more".to_owned(),
    })
}
