//! What a build makes.

use std::path::PathBuf;

/// The result of a builder or post-processor, as Packer knows it: an id, a description and files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artifact {
    /// Which component made it, such as `packer.file` or `larder.rootfs`.
    pub builder_id: String,
    /// Id within the builder's realm: an AMI id, an image digest, `File`.
    pub id: String,
    /// Files it consists of; a directory counts as one.
    pub files: Vec<PathBuf>,
    /// One line for people.
    pub description: String,
}
