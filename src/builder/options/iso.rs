//! The image a machine is installed from.
#![expect(clippy::struct_field_names, reason = "the names are those that templates use")]

use crate::download::ChecksumSpec;
use crate::template::config::Decoded;
use crate::template::diagnostic::{Diagnostic, Diagnostics};

crate::config! {
    /// The image a machine is installed from.
    pub struct IsoOptions {
        /// URL or path of the image. One of `iso_url` and `iso_urls` must be set.
        #[conflicts("iso_urls")]
        iso_url: Option<String>,
        /// URLs or paths of the image, tried in this order.
        iso_urls: Vec<String>,
        /// Checksum of the image: `sha256:HEX`, `file:URL` of a list of checksums, or `none`.
        #[required]
        iso_checksum: String,
        /// Where the image is put. Default: a name by its checksum, in the cache.
        iso_target_path: Option<String>,
        /// What the name of the image ends with.
        iso_target_extension: String = "iso".to_owned(),
    }
}

/// Checks options that depend on each other.
pub fn check<C>(decoded: &Decoded<C>, options: &IsoOptions, diagnostics: &mut Diagnostics) {
    let is_known = !decoded.is_unknown("iso_url") && !decoded.is_unknown("iso_urls");
    if is_known && options.iso_url.as_deref().is_none_or(str::is_empty) && options.iso_urls.is_empty() {
        diagnostics.push(
            Diagnostic::error("there is nothing to install from")
                .at(decoded.header)
                .detail("neither `iso_url` nor `iso_urls` is set")
                .hint("add iso_url = \"https://…\" with the place of the image"),
        );
    }
    if decoded.is_unknown("iso_checksum") {
        return;
    }
    if options.iso_checksum == "none" {
        diagnostics.push(
            Diagnostic::warning("the image is taken as it comes")
                .at(decoded.span("iso_checksum"))
                .hint("name its checksum: iso_checksum = \"sha256:…\""),
        );
    } else if let Err(error) = ChecksumSpec::parse(&options.iso_checksum) {
        let found = decoded.error("iso_checksum", error.to_string());
        diagnostics.push(found.hint("write it as `sha256:` and 64 hex digits"));
    }
}
