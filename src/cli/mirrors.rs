//! `larder mirrors`: the mirror map in force, whether it works, and one proposed from what the host's tools are set to.

pub(super) mod load;
mod netrc;
