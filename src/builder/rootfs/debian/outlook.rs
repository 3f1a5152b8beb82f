//! What a bootstrap will fetch, as far as the indexes that are at hand tell.

use jiff::Timestamp;

use super::closure::solve;
use super::packages::{self, Index};
use super::release::Release;
use super::spec::DebianSpec;
use crate::download::Downloader;
use crate::error::{Context as _, Result, chain};
use crate::plan::fetch::{Fetch, Outlook};

/// What will be fetched. The downloader says no to what is not at hand; what follows from that is then not known.
pub async fn outlook(spec: &DebianSpec, downloader: &Downloader, now: Timestamp) -> Outlook {
    let mut outlook = Outlook::default();
    outlook.fetches.push(Fetch {
        what: "index",
        url: format!("{}dists/{}/InRelease", spec.mirror, spec.suite),
        size: None,
    });
    let release = match Release::fetch(spec, downloader, now).await {
        Ok(release) => release,
        Err(error) => {
            outlook.unknown.push(format!("which packages {} is made of: {}", spec.suite, chain(&error)));
            return outlook;
        }
    };
    match packages::places(spec, &release) {
        Ok(lists) => {
            let index = |(url, size)| Fetch { what: "index", url, size: Some(size) };
            outlook.fetches.extend(lists.into_iter().map(index));
        }
        Err(error) => outlook.unknown.push(chain(&error)),
    }
    match closure(spec, &release, downloader).await {
        Ok(packages) => outlook.fetches.extend(packages),
        Err(error) => outlook.unknown.push(format!("which packages {} is made of: {}", spec.suite, chain(&error))),
    }
    outlook
}

async fn closure(spec: &DebianSpec, release: &Release, downloader: &Downloader) -> Result<Vec<Fetch>> {
    let lists = packages::fetch(spec, release, downloader).await?;
    let owned = spec.clone();
    let work = move || solve(&Index::new(&lists), &owned.architecture, owned.variant, &owned.include);
    let chosen = tokio::task::spawn_blocking(work).await.context(|| "cannot work out the packages".to_owned())??;
    let fetch =
        |filename: &str, size| Fetch { what: "package", url: format!("{}{filename}", spec.mirror), size: Some(size) };
    Ok(chosen.iter().map(|package| fetch(&package.filename, package.size)).collect())
}
