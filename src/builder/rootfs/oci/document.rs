//! The documents of the OCI image format specification, version 1.1: descriptors, index, manifest, configuration.
//! <https://github.com/opencontainers/image-spec>

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Of a layer that is not packed; what it is packed with follows after a plus sign.
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Name of the image in an index (annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The content of the file `oci-layout` (image-layout.md).
pub(super) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Points to content (descriptor.md).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    /// `sha256:` and hex digits.
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

/// What an image runs on, by Go's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<String>,
}

/// `index.json` (image-index.md).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u32,
    pub(super) media_type: &'static str,
    pub(super) manifests: Vec<Descriptor>,
}

/// manifest.md
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u32,
    pub(super) media_type: &'static str,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// config.md
#[derive(Debug, Serialize)]
pub(super) struct Image {
    /// RFC 3339.
    pub(super) created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<String>,
    #[serde(flatten)]
    pub(super) platform: Platform,
    pub(super) config: Execution,
    pub(super) rootfs: Rootfs,
    pub(super) history: Vec<History>,
}

/// How a container of the image is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Execution {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_objects")]
    pub(super) exposed_ports: BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cmd: Vec<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_objects")]
    pub(super) volumes: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_dir: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_signal: Option<String>,
}

/// Sets are objects of empty objects in Go's JSON.
fn as_objects<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(set.iter().map(|name| (name, serde_json::Map::new())))
}

#[derive(Debug, Serialize)]
pub(super) struct Rootfs {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// Digests of the layers before they were packed, the lowest first.
    pub(super) diff_ids: Vec<String>,
}

/// What made a layer, or changed nothing.
#[derive(Debug, Serialize)]
pub(super) struct History {
    pub(super) created: String,
    pub(super) created_by: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) empty_layer: bool,
}

/// An entry of `manifest.json`, which is not of the specification: `docker load` needs it before Docker 25.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerImage {
    pub(super) config: String,
    pub(super) repo_tags: Vec<String>,
    pub(super) layers: Vec<String>,
}
