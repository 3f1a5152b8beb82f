//! What a build of this kind will fetch by itself, before its provisioners.

use super::config::{Base, RootfsConfig};
use super::debian;
use super::steps::{BASE, PREPARE, Phase, SCAN};
use super::write_image::EXPORT;
use crate::builder::StepNames;
use crate::download::{ChecksumSpec, Downloader};
use crate::error::{Context as _, Error, Result};
use crate::plan::fetch::{Fetch, Outlook};

/// The names of the builder's steps, before and after the provisioners.
pub(super) fn steps(config: &RootfsConfig) -> StepNames {
    let bootstrap = matches!(config.base(), Ok(Base::Debian(_)));
    let base = if bootstrap { Phase::ALL.map(Phase::name).to_vec() } else { vec![BASE] };
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    StepNames { before: names([vec![PREPARE], base].concat()), after: names(vec![SCAN, EXPORT]) }
}

pub(super) async fn outlook(config: &RootfsConfig, downloader: &Downloader) -> Result<Outlook> {
    let base = config.base().map_err(|problem| Error::new(problem.message))?;
    let mut outlook = match base {
        Base::Directory(_) | Base::Archive(_) => Outlook::default(),
        Base::Url(url) => Outlook { fetches: vec![Fetch { what: "base", url, size: None }], unknown: Vec::new() },
        Base::Debian(options) => {
            let spec = debian::Host::read("/".as_ref()).resolve(&options)?;
            debian::outlook::outlook(&spec, downloader, jiff::Timestamp::now()).await
        }
    };
    if let Some(text) = &config.base_checksum
        && let ChecksumSpec::File(place) =
            ChecksumSpec::parse(text).context(|| "cannot read `base_checksum`".to_owned())?
        && place.contains("://")
    {
        outlook.fetches.push(Fetch { what: "checksum", url: place, size: None });
    }
    Ok(outlook)
}
