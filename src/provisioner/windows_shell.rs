//! Scripts for Windows' command line in the guest: their options, so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ProvisionerType, shell};
use crate::engine::registry::Prepared;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Runs scripts for Windows' command line in the guest.
    pub struct WindowsShellConfig {
        /// Commands, joined by newlines into one script. One of `inline`, `script` and `scripts` must be set.
        #[conflicts("script", "scripts")]
        inline: Vec<String>,
        /// A script of the host.
        #[conflicts("scripts")]
        script: String,
        /// Scripts of the host, run in this order.
        scripts: Vec<String>,
        /// Variables for the scripts, each `NAME=VALUE`.
        environment_vars: Vec<String>,
        /// Variables for the scripts.
        env: BTreeMap<String, String>,
        /// How a variable is written: name and value take the place of `%s`.
        env_var_format: String = "set \"%s=%s\" && ".to_owned(),
        /// How a script is run. `{{.Path}}` is the script, `{{.Vars}}` the variables.
        execute_command: String as raw = "{{.Vars}}\"{{.Path}}\"".to_owned(),
        /// Full path a script gets in the guest.
        remote_path: String = "c:/Windows/Temp/script.bat".to_owned(),
        /// How long to try to start a script, such as while the guest restarts.
        start_retry_timeout: Duration = Duration::from_mins(5),
        /// Exit statuses that are success.
        valid_exit_codes: Vec<i64> = vec![0],
        /// Upload scripts as they are, without looking at their line ends.
        binary: bool,
        /// How long to wait once the scripts have run.
        pause_after: Duration,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "windows-shell",
    schema: WindowsShellConfig::schema,
    prepare: |body, context| Prepared::checked::<WindowsShellConfig>(body, context, validate),
};

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<WindowsShellConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    shell::check_what_runs(decoded, &config.inline, &config.script, &config.scripts, &mut diagnostics);
    shell::check_environment(decoded, &config.environment_vars, Some(&config.env_var_format), &mut diagnostics);
    diagnostics
}
