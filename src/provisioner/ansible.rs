//! Ansible from the host: its options, so far.

use std::path::Path;

use super::ProvisionerType;
use crate::engine::registry::Prepared;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// What Ansible Galaxy fetches.
    pub struct GalaxyOptions {
        /// Requirements that Ansible Galaxy installs first.
        galaxy_file: Option<String>,
        /// The program that installs them.
        galaxy_command: String = "ansible-galaxy".to_owned(),
    }
}

crate::config! {
    /// Runs an Ansible playbook on the host against the guest.
    pub struct AnsibleConfig {
        /// The playbook.
        #[required]
        playbook_file: String,
        /// The program that runs it.
        command: String = "ansible-playbook".to_owned(),
        /// Arguments for the program.
        extra_arguments: Vec<String>,
        /// Variables for the program, each `NAME=VALUE`.
        ansible_env_vars: Vec<String>,
        /// Arguments for Ansible's SSH.
        ansible_ssh_extra_args: Vec<String>,
        /// Groups of the inventory that the guest is in.
        groups: Vec<String>,
        /// Groups of the inventory without hosts.
        empty_groups: Vec<String>,
        /// Name of the guest in the inventory.
        host_alias: String = "default".to_owned(),
        /// User that Ansible logs in as. Default: the user of the host, and without `use_proxy` that of the guest.
        user: Option<String>,
        /// Port of the host where the way into the guest begins. Default: a free one.
        local_port: Option<u16>,
        /// Host key of the way into the guest. Default: one made for the build.
        ssh_host_key_file: Option<String>,
        /// Public key that Ansible logs in with. Default: one made for the build.
        ssh_authorized_key_file: Option<String>,
        /// Kind of the keys made for the build.
        #[values("ECDSA", "RSA")]
        ansible_proxy_key_type: String = "ECDSA".to_owned(),
        /// Command of the guest that serves SFTP. Default: `/usr/lib/sftp-server -e`.
        sftp_command: Option<String>,
        /// Send files by SFTP rather than SCP.
        use_sftp: bool,
        /// Do not ask for the version of Ansible first.
        skip_version_check: bool,
        /// Directory the inventory is put in.
        inventory_directory: Option<String>,
        /// The guest's line of the inventory. `{{ .HostAlias }}`, `{{ .Host }}`, `{{ .User }}` and `{{ .Port }}` are
        /// known in it.
        inventory_file_template: Option<String> as raw,
        /// An inventory of the user's own.
        inventory_file: Option<String>,
        /// Leave the inventory behind when the build is done.
        keep_inventory_file: bool,
        galaxy: GalaxyOptions as flatten,
        /// Install roles and collections anew that are there already.
        galaxy_force_install: bool,
        /// Do so with all that they need.
        galaxy_force_with_deps: bool,
        /// Directory for roles.
        roles_path: Option<String>,
        /// Directory for collections.
        collections_path: Option<String>,
        /// Go through an SSH server on the host into the guest. Default: yes where the guest is not reached by SSH.
        use_proxy: Option<bool>,
        /// Go to WinRM by HTTP.
        ansible_winrm_use_http: bool,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "ansible",
    schema: AnsibleConfig::schema,
    prepare: |body, context| Prepared::checked::<AnsibleConfig>(body, context, validate),
};

/// Checks the files of the host.
pub fn validate(decoded: &Decoded<AnsibleConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    check_file(decoded, "playbook_file", Some(&config.playbook_file), &mut diagnostics);
    check_file(decoded, "galaxy_file", config.galaxy.galaxy_file.as_deref(), &mut diagnostics);
    check_file(decoded, "inventory_file", config.inventory_file.as_deref(), &mut diagnostics);
    for variable in config.ansible_env_vars.iter().filter(|variable| !variable.contains('=')) {
        let found = decoded.error("ansible_env_vars", format!("{variable:?} has no `=`"));
        diagnostics.push(found.hint("write each as \"NAME=value\""));
    }
    diagnostics
}

/// Reports a file or directory of the host that is not there.
pub(super) fn check_file<C>(decoded: &Decoded<C>, option: &str, file: Option<&str>, diagnostics: &mut Diagnostics) {
    let Some(file) = file.filter(|file| !file.is_empty() && !decoded.is_unknown(option)) else { return };
    if !Path::new(file).exists() {
        diagnostics.push(decoded.error(option, format!("there is no file {file}")));
    }
}
