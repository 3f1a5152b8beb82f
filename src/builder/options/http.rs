//! The web server that a machine is installed from.
#![expect(clippy::struct_field_names, reason = "the names are those that templates use")]

use std::collections::BTreeMap;

use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;

use super::boot::check_range;

crate::config! {
    /// The web server that machines get their answers for the installation from.
    pub struct HttpOptions {
        /// Directory whose files are served.
        #[conflicts("http_content")]
        http_directory: Option<String>,
        /// Files that are served: texts by their paths, such as `"/preseed.cfg"`.
        http_content: BTreeMap<String, String>,
        /// Lowest port to serve at.
        http_port_min: u16 = 8000,
        /// Highest port to serve at.
        http_port_max: u16 = 9000,
        /// Address to serve at.
        http_bind_address: String = "0.0.0.0".to_owned(),
        /// Network interface whose address the machine is told.
        http_interface: Option<String>,
        /// Protocol to serve by.
        #[values("tcp", "tcp4", "tcp6")]
        http_network_protocol: String = "tcp".to_owned(),
    }
}

/// Checks options that depend on each other.
pub fn check<C>(decoded: &Decoded<C>, options: &HttpOptions, diagnostics: &mut Diagnostics) {
    let ports = (options.http_port_min, options.http_port_max);
    check_range(decoded, ("http_port_min", "http_port_max"), ports, diagnostics);
}
