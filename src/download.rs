//! Larder's own fetches (ISO, base image, package, checksum file), always through the proxy.

pub mod checksum;
mod downloader;
mod error;
mod response;
mod sink;

pub use checksum::{Algorithm, Checksum, ChecksumError, ChecksumSpec};
pub use downloader::{Download, Downloader, Fetched, ProgressHook, Transport};
pub use error::DownloadError;

#[cfg(test)]
mod tests;
