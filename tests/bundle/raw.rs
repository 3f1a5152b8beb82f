//! Bundles put together byte by byte, as no program of good will would.

use std::io::Read as _;
use std::path::Path;

use larder_proxy::store::Digest;
use serde_json::Value;

/// An entry of an archive, with whatever its header says.
#[derive(Clone)]
pub(crate) struct Entry {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
    pub kind: u8,
    /// What the header says instead of the content's length.
    pub size: Option<u64>,
}

impl Entry {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        Self { name: name.as_bytes().to_vec(), content: content.to_vec(), kind: b'0', size: None }
    }

    pub(crate) fn of(content: &[u8]) -> Self {
        Self::new(&format!("blobs/sha256/{}", Digest::of(content)), content)
    }

    /// A header of 512 bytes, and the content padded to as many.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut header = vec![0; 512];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        let size = self.size.unwrap_or(self.content.len() as u64);
        if size < 1 << 33 {
            put(124, format!("{size:011o}\0").as_bytes());
        } else {
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
        put(136, b"00000000000\0");
        put(156, &[self.kind]);
        put(257, b"ustar\x0000");
        let mut bytes = header;
        seal(&mut bytes);
        bytes.extend_from_slice(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// Puts the check sum into a header.
pub(crate) fn seal(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header[..512].iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// The entries of an archive.
pub(crate) fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path_bytes().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        Entry { name, content, kind: b'0', size: None }
    });
    entries.collect()
}

pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
    bytes.extend([0; 1024]);
    bytes
}

/// Changes the manifest of a bundle, and the index with it, so that they agree.
pub(crate) fn with_manifest(entries: &mut [Entry], change: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&entries[2].content).unwrap();
    change(&mut manifest);
    entries[2] = Entry::of(&serde_json::to_vec(&manifest).unwrap());
    let mut index: Value = serde_json::from_slice(&entries[1].content).unwrap();
    index["manifests"][0]["digest"] = format!("sha256:{}", Digest::of(&entries[2].content)).into();
    index["manifests"][0]["size"] = entries[2].content.len().into();
    entries[1].content = serde_json::to_vec(&index).unwrap();
}

/// Puts another blob in the place of the layer of this type, and lets all that names it agree.
pub(crate) fn with_layer(entries: &mut [Entry], media_type: &str, content: &[u8]) {
    let manifest: Value = serde_json::from_slice(&entries[2].content).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let place = layers.iter().position(|layer| layer["mediaType"] == media_type).unwrap();
    let old = layers[place]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let entry = entries.iter_mut().find(|entry| entry.name.ends_with(old.as_bytes())).unwrap();
    *entry = Entry::of(content);
    with_manifest(entries, |manifest| {
        manifest["layers"][place]["digest"] = format!("sha256:{}", Digest::of(content)).into();
        manifest["layers"][place]["size"] = content.len().into();
    });
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// A zstd frame of literal blocks, and of blocks of zeros that take four bytes each.
pub(crate) fn frame(window_log: u8, literal: &[u8], zeros: u64) -> Vec<u8> {
    const BLOCK: usize = 128 * 1024;
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (window_log - 10) << 3];
    let mut block = |kind: u32, size: usize, content: &[u8]| {
        let header = (kind << 1) | (u32::try_from(size).unwrap() << 3);
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.extend_from_slice(content);
    };
    for piece in literal.chunks(BLOCK) {
        block(0, piece.len(), piece);
    }
    for _ in 0..zeros / BLOCK as u64 {
        block(1, BLOCK, &[0]);
    }
    let header = 1_u32;
    bytes.extend_from_slice(&header.to_le_bytes()[..3]);
    bytes
}
