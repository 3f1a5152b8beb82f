//! Boxes for Vagrant's registry: their options, so far.

use super::PostProcessorType;

crate::config! {
    /// Sends a box to Vagrant's registry.
    pub struct VagrantCloudConfig {
        /// Name of the box: `user/name`.
        #[required]
        box_tag: String,
        /// Version of the box.
        #[required]
        version: String as raw,
        /// What is said of the version, in Markdown.
        version_description: Option<String> as raw,
        /// Token for the registry. Default: that of the variable `VAGRANT_CLOUD_TOKEN`.
        #[sensitive]
        access_token: Option<String>,
        /// Leave the version unreleased.
        no_release: bool,
        /// The registry.
        vagrant_cloud_url: Option<String>,
        /// Do not check the registry's certificate.
        insecure_skip_tls_verify: bool,
        /// Where the box is, if it is not sent to the registry.
        box_download_url: Option<String> as raw,
        /// Send the box through the registry rather than straight to its storage.
        no_direct_upload: bool,
        /// Checksum of the box: `sha256:HEX` and the like.
        box_checksum: Option<String>,
        /// Architecture of the box, such as `amd64`.
        architecture: Option<String>,
        /// Architecture that those get who name none.
        default_architecture: Option<String>,
    }
}

pub(super) const TYPE: PostProcessorType = PostProcessorType::described::<VagrantCloudConfig>("vagrant-cloud");
