//! What Larder changed in a guest's tree, and how it was before.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::rooted::Attributes;

/// Everything Larder put into one tree, in the order it did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Files, links and directories touched.
    pub touched: Vec<Touched>,
}

/// One thing Larder changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Path in the tree, relative to its root, without links.
    pub path: PathBuf,
    /// How it was before.
    pub before: Before,
    /// SHA-256 of the content Larder left, in hexadecimal; of the target for a link; empty for a directory.
    pub left: String,
}

/// The pre-image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// Nothing was there.
    Absent,
    /// A regular file.
    File {
        /// All of it: what is recorded here are trust stores of a few hundred kilobytes.
        content: Vec<u8>,
        /// Owner, permissions, time.
        attributes: Attributes,
    },
}

impl Journal {
    /// The record of one path.
    pub fn find(&self, path: &std::path::Path) -> Option<&Touched> {
        self.touched.iter().find(|touched| touched.path == path)
    }
}
