//! A restart of a Windows guest: its options, so far.

use std::time::Duration;

use super::ProvisionerType;

crate::config! {
    /// Restarts a Windows guest, and waits until it is there again.
    pub struct WindowsRestartConfig {
        /// Command that restarts the guest.
        restart_command: String as raw = "shutdown /r /f /t 0 /c \"packer restart\"".to_owned(),
        /// Command that fails as long as the guest is not there again.
        restart_check_command: String as raw = "powershell -command \"& {Write-Output 'restarted.'}\"".to_owned(),
        /// How long the guest may take.
        restart_timeout: Duration = Duration::from_mins(5),
        /// Wait also until no key of the registry says that the guest has to be restarted again.
        check_registry: bool,
        /// Those keys; by default Windows' own for updates and component servicing.
        registry_keys: Vec<String>,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType::described::<WindowsRestartConfig>("windows-restart");
