//! PowerShell scripts in the guest: their options, so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ProvisionerType, shell};
use crate::engine::registry::Prepared;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// Runs PowerShell scripts in the guest.
    pub struct PowershellConfig {
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
        /// How a variable is written: name and value take the place of `%s`. Default: `$env:%s="%s"; `.
        env_var_format: Option<String>,
        /// How a variable is written for a script that runs elevated.
        elevated_env_var_format: Option<String>,
        /// How a script is run. `{{.Path}}` is the script, `{{.Vars}}` the file of variables.
        execute_command: Option<String> as raw,
        /// User to run the scripts as, elevated, by a scheduled task.
        elevated_user: Option<String>,
        /// Password of that user.
        #[sensitive]
        elevated_password: Option<String>,
        /// How a script is run elevated. `{{.Path}}` is the script, `{{.Vars}}` the file of variables.
        elevated_execute_command: Option<String> as raw,
        /// Execution policy the scripts run under.
        #[values("bypass", "allsigned", "default", "remotesigned", "restricted", "undefined", "unrestricted", "none")]
        execution_policy: String = "bypass".to_owned(),
        /// Full path a script gets in the guest. Default: a name of its own in `c:/Windows/Temp`.
        remote_path: Option<String>,
        /// Full path the file of variables gets in the guest. Default: a name of its own in `c:/Windows/Temp`.
        remote_env_var_path: Option<String>,
        /// Leave the script in the guest.
        skip_clean: bool,
        /// How long to try to start a script, such as while the guest restarts.
        start_retry_timeout: Duration = Duration::from_mins(5),
        /// Run `pwsh` rather than `powershell`.
        use_pwsh: bool,
        /// How much the scripts tell of what they do: the level of `Set-PSDebug -Trace`.
        debug_mode: u8,
        /// Exit statuses that are success.
        valid_exit_codes: Vec<i64> = vec![0],
        /// Upload scripts as they are, without looking at their line ends.
        binary: bool,
        /// How long to wait once the scripts have run.
        pause_after: Duration,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "powershell",
    schema: PowershellConfig::schema,
    prepare: |body, context| Prepared::checked::<PowershellConfig>(body, context, validate),
};

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<PowershellConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    shell::check_what_runs(decoded, &config.inline, &config.script, &config.scripts, &mut diagnostics);
    shell::check_environment(decoded, &config.environment_vars, None, &mut diagnostics);
    if config.elevated_user.is_none() && config.elevated_password.is_some() && !decoded.is_unknown("elevated_user") {
        let found = decoded.error("elevated_password", "there is a password, and no user it is of");
        diagnostics.push(found.hint("add elevated_user = \"…\""));
    }
    if config.debug_mode > 2 {
        let found = decoded.error("debug_mode", format!("there is no level {}", config.debug_mode));
        diagnostics.push(found.hint("levels are 0, 1 and 2"));
    }
    diagnostics
}
