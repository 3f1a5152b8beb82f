//! Floppy disks and CDs that are made for a machine.
#![expect(clippy::struct_field_names, reason = "the names are those that templates use")]

use std::collections::BTreeMap;
use std::path::Path;

use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;

crate::config! {
    /// A floppy disk made for the machine.
    pub struct FloppyOptions {
        /// Files put at the top of a floppy disk; wildcards are allowed.
        floppy_files: Vec<String>,
        /// Directories put on the floppy disk with all that is in them; wildcards are allowed.
        floppy_dirs: Vec<String>,
        /// Files put on the floppy disk: texts by their names.
        floppy_content: BTreeMap<String, String>,
        /// Label of the floppy disk.
        floppy_label: String = "packer".to_owned(),
    }
}

crate::config! {
    /// A CD made for the machine.
    pub struct CdOptions {
        /// Files and directories put on a CD; wildcards are allowed.
        cd_files: Vec<String>,
        /// Files put on the CD: texts by their names.
        cd_content: BTreeMap<String, String>,
        /// Label of the CD, such as `cidata` for cloud-init.
        cd_label: Option<String>,
    }
}

/// Reports files of an option that are not there.
pub fn check_files<C>(decoded: &Decoded<C>, option: &str, files: &[String], diagnostics: &mut Diagnostics) {
    let is_pattern = |file: &str| file.contains(['*', '?', '[']);
    for file in files.iter().filter(|file| !is_pattern(file) && !Path::new(file).exists()) {
        diagnostics.push(decoded.error(option, format!("there is no file {file}")));
    }
}
