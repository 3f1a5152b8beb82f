//! Settings that lead each tool to Larder's CA, and to its proxy, without a file in the image.
//!
//! Two things are made from the same facts: the environment of commands, and the files it points to, which lie in
//! a tmpfs of the guest (`/run/larder`) and so never reach the image. `larder exec` uses the same environment with
//! a directory of the host.
//!
//! Proxy variables are left out where egress is enforced: connections reach the proxy without them, and no tool can
//! write an address it does not know into the image (a log, an `sysconfig` dump, a saved npm setting).

use std::collections::BTreeMap;

use super::jks;

/// Where the files lie in a guest.
pub const GUEST_DIRECTORY: &str = "/run/larder";

const BUNDLE: &str = "ca-bundle.pem";
const CA: &str = "ca.pem";
const APT: &str = "apt.conf";
const WGET: &str = "wgetrc";
const JAVA: &str = "cacerts.jks";

/// Variables that name a bundle which **replaces** the tool's own: all get the merged one.
///
/// Yarn is not here: some versions refuse `YARN_` variables they do not know, and all honour `NODE_EXTRA_CA_CERTS`.
const BUNDLE_VARIABLES: [&str; 18] = [
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "HTTPLIB2_CA_CERTS",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
    "BUNDLE_SSL_CA_CERT",
    "COMPOSER_CAFILE",
    "PERL_LWP_SSL_CA_FILE",
    "PERL_NET_HTTPS_SSL_CA_FILE",
    "HEX_CACERTS_PATH",
    "SYSTEM_CERTIFICATE_PATH",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

/// Variables that name certificates **added** to the tool's own.
const ADDED_VARIABLES: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// What the environment is made from.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Directory of the files of [`files`], as the commands see it, without a final slash.
    pub directory: &'a str,
    /// `http://host:port` of the proxy, or `None` where connections reach it by themselves.
    pub proxy: Option<&'a str>,
    /// Hosts to reach without the proxy, beside the loopback.
    pub no_proxy: &'a [String],
    /// Whether Java programs need to be told of a trust store: it makes each JVM print a line to standard error,
    /// and is not needed where the system's `cacerts` holds the CA.
    pub java: bool,
}

/// A file that the environment points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFile {
    /// Name in [`Settings::directory`].
    pub name: &'static str,
    /// All of it.
    pub content: Vec<u8>,
}

/// What the files are made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The CA in PEM.
    pub ca: &'a str,
    /// The guest's own bundle, or the host's where the guest has none yet.
    pub bundle: &'a [u8],
    /// The guest's `/etc/wgetrc`, which `SYSTEM_WGETRC` replaces.
    pub wgetrc: &'a [u8],
}

/// The variables for every command.
pub fn environment(settings: &Settings<'_>) -> BTreeMap<String, String> {
    let at = |name: &str| format!("{}/{name}", settings.directory);
    let mut variables = BTreeMap::new();
    for name in BUNDLE_VARIABLES {
        variables.insert(name.to_owned(), at(BUNDLE));
    }
    for name in ADDED_VARIABLES {
        variables.insert(name.to_owned(), at(CA));
    }
    variables.insert("APT_CONFIG".to_owned(), at(APT));
    variables.insert("SYSTEM_WGETRC".to_owned(), at(WGET));
    if settings.java {
        let store = at(JAVA);
        let options =
            format!("-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStoreType=JKS{}", java_proxy(settings));
        variables.insert("JAVA_TOOL_OPTIONS".to_owned(), options);
    }
    if let Some(proxy) = settings.proxy {
        for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
            variables.insert(name.to_owned(), proxy.to_owned());
        }
        for name in ["no_proxy", "NO_PROXY"] {
            variables.insert(name.to_owned(), no_proxy(settings).join(","));
        }
        variables.insert("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    }
    variables
}

/// The files for [`Settings::directory`], to be readable by everybody.
pub fn files(settings: &Settings<'_>, sources: &Sources<'_>) -> Vec<RunFile> {
    let mut bundle = sources.bundle.to_vec();
    end_line(&mut bundle);
    bundle.extend_from_slice(sources.ca.as_bytes());
    let mut wgetrc = sources.wgetrc.to_vec();
    end_line(&mut wgetrc);
    wgetrc.extend(format!("ca_certificate = {}/{BUNDLE}\n", settings.directory).bytes());
    let mut files = Vec::new();
    if settings.java {
        files.push(RunFile { name: JAVA, content: jks::from_bundle(&bundle, 0) });
    }
    files.push(RunFile { name: BUNDLE, content: bundle });
    files.push(RunFile { name: CA, content: sources.ca.as_bytes().to_vec() });
    files.push(RunFile { name: APT, content: apt_conf(settings).into_bytes() });
    files.push(RunFile { name: WGET, content: wgetrc });
    files
}

/// apt reads this after its own files, so it wins; it is a file of its own because apt takes no variable for the CA.
fn apt_conf(settings: &Settings<'_>) -> String {
    let mut lines = vec![format!("Acquire::https::CaInfo \"{}/{BUNDLE}\";\n", settings.directory)];
    if let Some(proxy) = settings.proxy {
        for scheme in ["http", "https"] {
            lines.push(format!("Acquire::{scheme}::Proxy \"{proxy}\";\n"));
            let direct = |host: &String| format!("Acquire::{scheme}::Proxy::{host} \"DIRECT\";\n");
            lines.extend(no_proxy(settings).iter().map(direct));
        }
    }
    lines.concat()
}

fn no_proxy(settings: &Settings<'_>) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    own.into_iter().chain(settings.no_proxy.iter().cloned()).collect()
}

fn java_proxy(settings: &Settings<'_>) -> String {
    let Some(address) = settings.proxy.and_then(|proxy| url::Url::parse(proxy).ok()) else { return String::new() };
    let (Some(host), Some(port)) = (address.host_str(), address.port_or_known_default()) else { return String::new() };
    let except =
        no_proxy(settings).into_iter().map(|host| if host.starts_with('.') { format!("*{host}") } else { host });
    let except = except.collect::<Vec<_>>().join("|");
    format!(
        " -Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts={except}"
    )
}

fn end_line(content: &mut Vec<u8>) {
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::authority::tests::new_authority;
    use super::*;

    #[test]
    fn without_a_proxy_no_address_is_given() {
        let settings = Settings { directory: GUEST_DIRECTORY, proxy: None, no_proxy: &[], java: false };
        let variables = environment(&settings);
        assert_eq!(variables["SSL_CERT_FILE"], "/run/larder/ca-bundle.pem");
        assert_eq!(variables["NODE_EXTRA_CA_CERTS"], "/run/larder/ca.pem");
        assert!(variables.keys().all(|name| !name.to_ascii_lowercase().contains("proxy")), "{variables:?}");
        assert!(!variables.contains_key("JAVA_TOOL_OPTIONS"));
    }

    #[test]
    fn every_tool_of_the_complaints_is_told_of_the_ca() {
        let settings = Settings { directory: "/x", proxy: None, no_proxy: &[], java: false };
        let variables = environment(&settings);
        for (name, tool) in [
            ("SSL_CERT_FILE", "OpenSSL"),
            ("REQUESTS_CA_BUNDLE", "requests"),
            ("PIP_CERT", "pip"),
            ("NODE_EXTRA_CA_CERTS", "Node"),
            ("CURL_CA_BUNDLE", "curl"),
            ("GIT_SSL_CAINFO", "git"),
            ("CARGO_HTTP_CAINFO", "Cargo"),
            ("AWS_CA_BUNDLE", "the AWS SDKs"),
        ] {
            assert!(variables.get(name).is_some_and(|file| file.starts_with("/x/")), "{tool}: {name}");
        }
    }

    #[test]
    fn a_proxy_is_given_in_both_cases() {
        let hosts = [".corp.example".to_owned()];
        let settings = Settings { directory: "/x", proxy: Some("http://192.0.2.1:3128"), no_proxy: &hosts, java: true };
        let variables = environment(&settings);
        assert_eq!(variables["http_proxy"], variables["HTTPS_PROXY"]);
        assert_eq!(variables["NO_PROXY"], "localhost,127.0.0.1,::1,.corp.example");
        assert!(variables["JAVA_TOOL_OPTIONS"].contains("-Dhttps.proxyPort=3128"));
        assert!(variables["JAVA_TOOL_OPTIONS"].ends_with("nonProxyHosts=localhost|127.0.0.1|::1|*.corp.example"));
    }

    #[test]
    fn every_file_named_is_made() {
        let ca = new_authority("a");
        let settings = Settings { directory: "/x", proxy: Some("http://192.0.2.1:1"), no_proxy: &[], java: true };
        let sources = Sources { ca: ca.pem(), bundle: b"first", wgetrc: b"" };
        let files = files(&settings, &sources);
        for (name, value) in environment(&settings) {
            let Some((_, file)) = value.split_once("/x/") else { continue };
            let file = file.split(' ').next().unwrap();
            assert!(files.iter().any(|made| made.name == file), "{name} names {file}");
        }
        let bundle = &files.iter().find(|file| file.name == BUNDLE).unwrap().content;
        assert_eq!(*bundle, [b"first\n", ca.pem().as_bytes()].concat());
    }
}
