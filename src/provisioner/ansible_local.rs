//! Ansible in the guest: its options, so far.

use super::ProvisionerType;
use super::ansible::{GalaxyOptions, check_file};
use crate::engine::registry::Prepared;
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::{Diagnostic, Diagnostics};

crate::config! {
    /// Runs Ansible playbooks in the guest, which has Ansible.
    pub struct AnsibleLocalConfig {
        /// The playbook. One of `playbook_file` and `playbook_files` must be set.
        #[conflicts("playbook_files")]
        playbook_file: Option<String>,
        /// Playbooks, run in this order.
        playbook_files: Vec<String>,
        /// Directory of the host that goes to the guest with all that is in it.
        playbook_dir: Option<String>,
        /// Directories and playbooks of the host that go to the guest.
        playbook_paths: Vec<String>,
        /// Roles of the host that go to the guest.
        role_paths: Vec<String>,
        /// Collections of the host that go to the guest.
        collection_paths: Vec<String>,
        /// The program that runs playbooks.
        command: String = "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook".to_owned(),
        /// Arguments for the program.
        extra_arguments: Vec<String>,
        /// Directory of the host with variables of groups.
        group_vars: Option<String>,
        /// Directory of the host with variables of hosts.
        host_vars: Option<String>,
        /// The inventory. Default: one of the guest alone.
        inventory_file: Option<String>,
        /// Groups of the inventory that the guest is in.
        inventory_groups: Vec<String>,
        /// Directory of the guest that files are put in. Default: one of its own in `/tmp`.
        staging_directory: Option<String>,
        /// Remove that directory when the work is done.
        clean_staging_directory: bool,
        galaxy: GalaxyOptions as flatten,
        /// Directory of the guest for roles.
        galaxy_roles_path: Option<String>,
        /// Directory of the guest for collections.
        galaxy_collections_path: Option<String>,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "ansible-local",
    schema: AnsibleLocalConfig::schema,
    prepare: |body, context| Prepared::checked::<AnsibleLocalConfig>(body, context, validate),
};

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<AnsibleLocalConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    let one = config.playbook_file.as_deref().filter(|file| !file.is_empty());
    let known = !decoded.is_unknown("playbook_file") && !decoded.is_unknown("playbook_files");
    if one.is_none() && config.playbook_files.is_empty() && known {
        let found = Diagnostic::error("there is no playbook to run").at(decoded.header);
        diagnostics.push(found.hint("add playbook_file = \"…\""));
    }
    let lists = [
        ("playbook_files", &config.playbook_files),
        ("playbook_paths", &config.playbook_paths),
        ("role_paths", &config.role_paths),
        ("collection_paths", &config.collection_paths),
    ];
    let listed =
        lists.into_iter().flat_map(|(option, files)| files.iter().map(move |file| (option, Some(file.as_str()))));
    let single = [
        ("playbook_file", one),
        ("playbook_dir", config.playbook_dir.as_deref()),
        ("galaxy_file", config.galaxy.galaxy_file.as_deref()),
        ("inventory_file", config.inventory_file.as_deref()),
        ("group_vars", config.group_vars.as_deref()),
        ("host_vars", config.host_vars.as_deref()),
    ];
    for (option, file) in single.into_iter().chain(listed) {
        check_file(decoded, option, file, &mut diagnostics);
    }
    diagnostics
}
