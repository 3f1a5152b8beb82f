//! What is typed into a machine when it starts, and how it is shut down.
#![expect(clippy::struct_field_names, reason = "the names are those that templates use")]

use std::time::Duration;

use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// What is typed into a machine when it starts.
    pub struct BootOptions {
        /// How long to wait after the machine's start before anything is typed.
        boot_wait: Duration = Duration::from_secs(10),
        /// What is typed, joined to one text. `<enter>`, `<wait10s>` and the like are keys and pauses;
        /// `{{ .HTTPIP }}` and `{{ .HTTPPort }}` are the web server's.
        boot_command: Vec<String> as raw,
        /// How long to wait between two keys.
        boot_key_interval: Option<Duration>,
        /// How long to wait between two groups of keys.
        boot_keygroup_interval: Option<Duration>,
    }
}

crate::config! {
    /// How a machine is shut down.
    pub struct ShutdownOptions {
        /// Command that shuts the machine down. Default: its power is cut.
        shutdown_command: Option<String>,
        /// How long the machine may take to shut down.
        shutdown_timeout: Duration = Duration::from_mins(5),
    }
}

/// Reports a range whose lower end is above its upper end.
pub fn check_range<C>(
    decoded: &Decoded<C>,
    (lower, upper): (&str, &str),
    (min, max): (u16, u16),
    diagnostics: &mut Diagnostics,
) {
    if min > max && !decoded.is_unknown(lower) && !decoded.is_unknown(upper) {
        let set = if decoded.is_set(lower) { lower } else { upper };
        diagnostics.push(
            decoded
                .error(set, format!("`{lower}` is above `{upper}`"))
                .detail(format!("there is no port from {min} to {max}")),
        );
    }
}
