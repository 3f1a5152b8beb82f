//! How a builder reaches the machine it builds.
#![expect(clippy::struct_field_names, reason = "the names are those that templates use")]

use std::time::Duration;

use crate::template::config::Decoded;
use crate::template::diagnostic::{Diagnostic, Diagnostics};

crate::config! {
    /// How a machine is reached by SSH.
    pub struct SshOptions {
        /// Address of the machine, where the builder does not find it out.
        ssh_host: Option<String>,
        /// Port of the machine's SSH server.
        ssh_port: u16 = 22,
        /// User to log in as. SSH needs it.
        ssh_username: Option<String>,
        /// Password to log in with; also answers keyboard-interactive questions.
        #[sensitive]
        ssh_password: Option<String>,
        /// Private key to log in with.
        ssh_private_key_file: Option<String>,
        /// OpenSSH certificate that goes with the key.
        ssh_certificate_file: Option<String>,
        /// Name of a key pair that the builder's platform has already.
        ssh_keypair_name: Option<String>,
        /// Name of the key pair made for this build.
        temporary_key_pair_name: Option<String>,
        /// Kind of the key pair made for this build.
        #[values("dsa", "ecdsa", "ed25519", "rsa")]
        temporary_key_pair_type: Option<String>,
        /// Length of the key made for this build, in bits; what it can be depends on its kind.
        temporary_key_pair_bits: Option<u32>,
        /// Take the build's key out of `authorized_keys` when the build ends.
        ssh_clear_authorized_keys: bool,
        /// Ask the SSH agent of the host for keys.
        ssh_agent_auth: bool,
        /// Do not forward the SSH agent of the host to the machine.
        ssh_disable_agent_forwarding: bool,
        /// Ciphers to offer; by default those of the library.
        ssh_ciphers: Vec<String>,
        /// Key exchanges to offer; by default those of the library.
        ssh_key_exchange_algorithms: Vec<String>,
        /// Ask for a pseudo terminal.
        ssh_pty: bool,
        /// How long to wait until the machine lets one log in.
        ssh_timeout: Duration = Duration::from_mins(5),
        /// How long to wait until the machine lets one log in.
        #[replaced("ssh_timeout")]
        ssh_wait_timeout: Option<Duration>,
        /// How often to try to log in once the server answers; 0 tries until `ssh_timeout`.
        ssh_handshake_attempts: u32 = 10,
        /// Host to go through.
        #[conflicts("ssh_proxy_host")]
        ssh_bastion_host: Option<String>,
        /// Port of the SSH server of the host to go through.
        ssh_bastion_port: u16 = 22,
        /// Ask the SSH agent for a key for the host to go through.
        ssh_bastion_agent_auth: bool,
        /// User to log in to the host to go through as.
        ssh_bastion_username: Option<String>,
        /// Password for the host to go through.
        #[sensitive]
        ssh_bastion_password: Option<String>,
        /// Answer keyboard-interactive questions of the host to go through with the password.
        ssh_bastion_interactive: bool,
        /// Private key for the host to go through; by default `ssh_private_key_file`.
        ssh_bastion_private_key_file: Option<String>,
        /// OpenSSH certificate for the host to go through.
        ssh_bastion_certificate_file: Option<String>,
        /// How files are sent.
        #[values("scp", "sftp")]
        ssh_file_transfer_method: String = "scp".to_owned(),
        /// SOCKS proxy to go through.
        ssh_proxy_host: Option<String>,
        /// Port of the SOCKS proxy.
        ssh_proxy_port: u16 = 1080,
        /// User of the SOCKS proxy.
        ssh_proxy_username: Option<String>,
        /// Password of the SOCKS proxy.
        #[sensitive]
        ssh_proxy_password: Option<String>,
        /// How often to send something, so that the connection is kept; a negative time sends nothing.
        ssh_keep_alive_interval: jiff::SignedDuration = jiff::SignedDuration::from_secs(5),
        /// How long a command may say nothing before the connection counts as lost; 0 waits without end.
        ssh_read_write_timeout: Duration,
        /// Ports of the machine that lead to the host, each `PORT:HOST:PORT`.
        ssh_remote_tunnels: Vec<String>,
        /// Ports of the host that lead to the machine, each `PORT:HOST:PORT`.
        ssh_local_tunnels: Vec<String>,
    }
}

crate::config! {
    /// How a machine is reached by WinRM.
    pub struct WinrmOptions {
        /// User to log in as. WinRM needs it.
        winrm_username: Option<String>,
        /// Password to log in with.
        #[sensitive]
        winrm_password: Option<String>,
        /// Address of the machine, where the builder does not find it out.
        winrm_host: Option<String>,
        /// Go to the machine without the proxy of the environment.
        winrm_no_proxy: bool,
        /// Port of the machine's WinRM service. Default: 5985, and with `winrm_use_ssl` 5986.
        winrm_port: Option<u16>,
        /// How long to wait until the machine lets one log in.
        winrm_timeout: Duration = Duration::from_mins(30),
        /// Use HTTPS.
        winrm_use_ssl: bool,
        /// Take any certificate.
        winrm_insecure: bool,
        /// Log in by NTLM rather than basic authentication.
        winrm_use_ntlm: bool,
    }
}

crate::config! {
    /// How a machine is reached.
    pub struct CommunicatorOptions {
        /// How long to wait before the machine is reached for the first time.
        pause_before_connecting: Duration,
        ssh: SshOptions as flatten,
        winrm: WinrmOptions as flatten,
    }
}

/// Checks what depends on how the machine is reached.
pub fn check<C>(
    decoded: &Decoded<C>,
    communicator: &str,
    options: &CommunicatorOptions,
    diagnostics: &mut Diagnostics,
) {
    let user = match communicator {
        "ssh" => ("ssh_username", &options.ssh.ssh_username),
        "winrm" => ("winrm_username", &options.winrm.winrm_username),
        _ => return,
    };
    let (option, value) = user;
    let is_known = !decoded.is_unknown(option) && !decoded.is_unknown("communicator");
    if is_known && value.as_deref().is_none_or(str::is_empty) {
        diagnostics.push(
            Diagnostic::error(format!("`{option}` is not set"))
                .at(decoded.span("communicator"))
                .detail(format!("the machine is reached by {communicator}, which logs in as a user"))
                .hint(format!("set `{option}`, or set `communicator` to \"none\" for a machine that is not reached")),
        );
    }
    if communicator != "ssh" {
        return;
    }
    let ssh = &options.ssh;
    for (option, file) in [
        ("ssh_private_key_file", &ssh.ssh_private_key_file),
        ("ssh_certificate_file", &ssh.ssh_certificate_file),
        ("ssh_bastion_private_key_file", &ssh.ssh_bastion_private_key_file),
        ("ssh_bastion_certificate_file", &ssh.ssh_bastion_certificate_file),
    ] {
        let missing = file.as_deref().filter(|file| !file.is_empty() && !file.starts_with('~'));
        if let Some(file) = missing.filter(|file| !std::path::Path::new(file).exists()) {
            diagnostics.push(decoded.error(option, format!("there is no file {file}")));
        }
    }
}
