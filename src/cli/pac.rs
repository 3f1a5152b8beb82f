//! From the setting `upstream_pac`, and what rules say of scripts, to a script in use.

use std::sync::Arc;

use larder_proxy::pac::{Fallback, Intervals, Limits, Pac, Source, System};
use larder_proxy::upstream::route::RouteSource;

use super::settings::Settings;
use crate::error::{Error, Result};

/// The script at a path, a URL, or to be found by WPAD. `from` says who names it, for the error. Where requests are to
/// tell nothing of who asks, the script has no names resolved: who resolves one tells the network of it.
pub(super) fn script(settings: &Settings, place: &str, from: &str) -> Result<Arc<dyn RouteSource>> {
    let source = Source::parse(place).map_err(|why| {
        Error::new(format!("cannot use the PAC script of {from}: {why}"))
            .hint("write the path or http(s) URL of a PAC file, or wpad")
    })?;
    let limits = Limits { dns: !settings.anonymize.value, ..Limits::default() };
    let fallback = if settings.upstream_pac_direct.value { Fallback::Direct } else { Fallback::Fail };
    let roots = settings.ca_files.value.clone();
    let script = Pac::with(source, roots, limits, Intervals::default(), Arc::new(System)).fallback(fallback);
    Ok(Arc::new(script))
}
