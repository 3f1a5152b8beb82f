//! Larder builds machine and container images from Packer templates, through a caching proxy of its own.
//!
//! A module imports only from those above it in this list (`tests/architecture.rs` holds it to that).

pub mod builder;
pub mod bundle;
pub mod catalogue;
pub mod cli;
pub mod communicator;
pub mod data_source;
pub mod download;
pub mod engine;
pub mod error;
pub mod event;
pub mod guest;
pub mod history;
pub mod output;
pub mod pack;
pub mod plan;
pub mod post_processor;
pub mod provisioner;
pub mod template;
pub mod tui;
