//! What an offline run asked for and did not get: the same in the report, in JSON and in the history of a run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// What an offline run asked for and did not get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Missing {
    /// The requests, in the order of their URLs.
    pub requests: Vec<MissingRequest>,
    /// How many of them go to which host.
    pub hosts: BTreeMap<String, u64>,
    /// File with the URLs of those that can be fetched by themselves, one a line; absent if it could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// What can be run to have it the next time: commands for a machine with a network, and in the end for this one.
    pub commands: Vec<String>,
}

/// A request that was refused because nothing answers it offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MissingRequest {
    /// Its method.
    pub method: String,
    /// What was asked for; `host:port` of a tunnel.
    pub url: String,
    /// How often; 0 where this run did not come so far, and an earlier one asked for it.
    pub count: u64,
    /// Who asked.
    pub asked_by: Vec<Asker>,
    /// What comes nearest in the cache; absent if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Near>,
    /// Id of the earlier run of the template that fetched it; absent where this run asked itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_by: Option<String>,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Asker {
    /// Name of the build; `exec` for a command.
    pub build: String,
    /// Name of its step; absent between steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// Something in the cache that comes near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Near {
    /// Its URL.
    pub url: String,
    /// How it is near, in plain words that may change.
    pub relation: String,
}
