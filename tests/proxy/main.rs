//! `larder proxy` with the real program: clients, an upstream proxy, and faults of the network.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

mod anonymize;
#[path = "../support/certificates.rs"]
mod certificates;
mod clients;
mod complaints;
mod conformance;
mod ecosystems;
mod exposure;
mod faults;
mod kernel;
#[path = "../support/larder.rs"]
mod larder;
mod limits;
mod managers;
mod pac;
mod package_cases;
mod parent_auth;
mod registry;
#[path = "../support/repository.rs"]
mod repository;
mod routes;
mod server;
mod service;
mod suspend;
mod unit;
mod upstream_proxy;
