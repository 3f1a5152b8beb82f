//! The documents of a bundle: those of the OCI image format (version 1.1), and Larder's own.
//! <https://github.com/opencontainers/image-spec>

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use larder_proxy::flow::Class;
use larder_proxy::store::{Digest, VaryField};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result};
use crate::history::record::Sha256;

/// What a bundle is, in its manifest.
pub const ARTIFACT: &str = "application/vnd.larder.bundle.v1+json";
/// Its record: what was fetched.
pub const RECORD: &str = "application/vnd.larder.record.v1+json";
/// The heads of the answers.
pub const ANSWERS: &str = "application/vnd.larder.bundle.answers.v1+json";
/// The template it was made for.
pub const TEMPLATE: &str = "application/vnd.larder.bundle.template.v1+json";
/// Words for people.
pub const README: &str = "text/markdown";
/// Small bodies, in an archive of the bundle's own form, packed.
pub const PACK: &str = "application/vnd.larder.bundle.pack.v1.tar+zstd";
/// One body.
pub const BODY: &str = "application/vnd.larder.bundle.body.v1";
/// The list of the parts of a bundle in several files.
pub const PARTS: &str = "application/vnd.larder.bundle.parts.v1+json";

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The content of the file `oci-layout`.
pub(super) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Bytes of a pack once it is unpacked.
pub(super) const UNPACKED: &str = "org.larder.bundle.unpacked";
/// Bodies in a pack, and the first and last of their digests: they are sorted.
pub(super) const BODIES: &str = "org.larder.bundle.bodies";
pub(super) const FIRST: &str = "org.larder.bundle.first";
pub(super) const LAST: &str = "org.larder.bundle.last";
/// Name of a file in the layout, for tools that write blobs out.
pub(super) const TITLE: &str = "org.opencontainers.image.title";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Points to a blob (descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// `sha256:` and hex digits.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// Names and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What the manifest it points to is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Of a blob, without annotations.
    pub(super) fn new(media_type: &str, digest: &Digest, size: u64) -> Self {
        let digest = format!("sha256:{digest}");
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), artifact_type: None }
    }

    pub(super) fn with(mut self, name: &str, value: &impl ToString) -> Self {
        self.annotations.insert(name.to_owned(), value.to_string());
        self
    }

    /// The hex digits of its digest, in the one form there is for them.
    pub(super) fn hex(&self) -> Option<&str> {
        self.digest.strip_prefix("sha256:").filter(|hex| super::archive::is_digest(hex.as_bytes()))
    }
}

/// `index.json` (image-index.md).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub schema_version: u32,
    /// May be missing.
    #[serde(default = "index_type")]
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
}

fn index_type() -> String {
    INDEX.to_owned()
}

impl Index {
    /// That of one bundle.
    pub(super) fn of(manifest: Descriptor) -> Self {
        let manifest = Descriptor { artifact_type: Some(ARTIFACT.to_owned()), ..manifest }.with(REF_NAME, &"bundle");
        Self { schema_version: 2, media_type: INDEX.to_owned(), manifests: vec![manifest] }
    }
}

/// manifest.md
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub schema_version: u32,
    pub media_type: String,
    pub artifact_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

/// The head of an answer as the cache has it, with what it needs to store it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it is for runs offline alone: redirects, and that something is not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
    /// Whether it was fetched with credentials.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auth: bool,
    /// What the URL names.
    pub class: Class,
    /// SHA-256 of the body.
    pub digest: Sha256,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// Names and values; a value's characters are bytes.
    pub headers: Vec<(String, String)>,
    /// The rule that said what the URL names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Bytes of the body.
    pub size: u64,
    /// Where it was fetched from, where that is another than its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The status.
    pub status: u16,
    /// The URL it answers.
    pub url: String,
    /// What it varies on: names of request fields, and what they said (null: nothing).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vary: BTreeMap<String, Option<String>>,
}

/// Fields as they are written: every byte of a value is a character, so that none is lost.
pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|&byte| char::from(byte)).collect();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Fields as they were; `None` where one is none.
pub(super) fn header_map(fields: &[(String, String)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let bytes: Option<Vec<u8>> = value.chars().map(|character| u8::try_from(character).ok()).collect();
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.try_append(name, HeaderValue::from_bytes(&bytes?).ok()?).ok()?;
    }
    Some(headers)
}

/// What an answer varies on, as the cache has it; `None` where a name is none, or a value would break its line.
pub(super) fn vary_fields(vary: &BTreeMap<String, Option<String>>) -> Option<Vec<VaryField>> {
    let field = |(name, value): (&String, &Option<String>)| {
        let sound = value.as_ref().is_none_or(|value| !value.contains(['\n', '\r']));
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|_| sound)?;
        Some((name, value.clone()))
    };
    vary.iter().map(field).collect()
}

/// All answers, one a line.
#[derive(Debug, Deserialize)]
pub(super) struct Answers {
    pub answers: Vec<Answer>,
}

/// The file form of answers.
pub(super) fn answers_text(answers: &[Answer]) -> Result<String> {
    let lines: std::result::Result<Vec<String>, _> = answers.iter().map(serde_json::to_string).collect();
    let lines = lines.context(|| "cannot write the answers".to_owned())?;
    Ok(format!("{{\"answers\":[\n{}\n]}}\n", lines.join(",\n")))
}

/// The template that a bundle was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateDocument {
    /// Its files, by paths from the directory of the template.
    pub files: BTreeMap<String, String>,
    /// Values of its variables, but for sensitive ones, as JSON.
    pub variables: BTreeMap<String, serde_json::Value>,
}

/// The list of parts. They are named after it: `NAME.parts.json` lists `NAME.001` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartList {
    pub media_type: String,
    /// Of all parts together.
    pub size: u64,
    pub parts: Vec<PartEntry>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartEntry {
    pub digest: String,
    pub size: u64,
}
