//! Why a client did not accept our certificate, and what the user can do: most often a tool that brings its own
//! list of authorities and must be told about ours by a variable of its own.

use std::io;

use rustls::AlertDescription;

/// A tool, and how it is told about a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tool {
    /// The tool, as people call it.
    name: &'static str,
    /// Its own setting for the CA: a variable, or an option.
    setting: &'static str,
}

/// What tells tools apart: a part of the `User-Agent`, in lower case, the more special first.
const TOOLS: [(&str, Tool); 31] = [
    ("debian apt", Tool { name: "apt", setting: "APT_CONFIG (Acquire::https::CaInfo)" }),
    ("pip/", Tool { name: "pip", setting: "PIP_CERT" }),
    ("uv/", Tool { name: "uv", setting: "SSL_CERT_FILE" }),
    ("poetry/", Tool { name: "Poetry", setting: "REQUESTS_CA_BUNDLE" }),
    ("conda/", Tool { name: "conda", setting: "REQUESTS_CA_BUNDLE (or `ssl_verify` in .condarc)" }),
    ("mamba/", Tool { name: "mamba", setting: "MAMBA_SSL_VERIFY" }),
    ("python-requests/", Tool { name: "Python requests", setting: "REQUESTS_CA_BUNDLE" }),
    ("python-httpx/", Tool { name: "Python httpx", setting: "SSL_CERT_FILE" }),
    ("python-urllib/", Tool { name: "Python", setting: "SSL_CERT_FILE" }),
    ("npm/", Tool { name: "npm", setting: "NODE_EXTRA_CA_CERTS" }),
    ("pnpm/", Tool { name: "pnpm", setting: "NODE_EXTRA_CA_CERTS" }),
    ("yarn/", Tool { name: "Yarn", setting: "NODE_EXTRA_CA_CERTS" }),
    ("node", Tool { name: "Node.js", setting: "NODE_EXTRA_CA_CERTS" }),
    ("undici", Tool { name: "Node.js", setting: "NODE_EXTRA_CA_CERTS" }),
    ("bun/", Tool { name: "Bun", setting: "NODE_EXTRA_CA_CERTS" }),
    ("deno/", Tool { name: "Deno", setting: "DENO_CERT" }),
    ("git/", Tool { name: "git", setting: "GIT_SSL_CAINFO" }),
    ("cargo", Tool { name: "Cargo", setting: "CARGO_HTTP_CAINFO" }),
    ("rustup/", Tool { name: "rustup", setting: "SSL_CERT_FILE" }),
    ("gradle/", Tool { name: "Gradle", setting: "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=…" }),
    ("apache-maven", Tool { name: "Maven", setting: "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=…" }),
    ("java", Tool { name: "Java", setting: "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=…" }),
    ("aws-cli/", Tool { name: "the AWS CLI", setting: "AWS_CA_BUNDLE" }),
    ("gcloud", Tool { name: "gcloud", setting: "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE" }),
    ("bundler/", Tool { name: "Bundler", setting: "BUNDLE_SSL_CA_CERT" }),
    ("composer/", Tool { name: "Composer", setting: "COMPOSER_CAFILE" }),
    ("libwww-perl", Tool { name: "Perl LWP", setting: "PERL_LWP_SSL_CA_FILE" }),
    ("hex/", Tool { name: "Hex", setting: "HEX_CACERTS_PATH" }),
    ("go-http-client", Tool { name: "a Go program", setting: "SSL_CERT_FILE" }),
    ("wget", Tool { name: "wget", setting: "SYSTEM_WGETRC (`ca_certificate` in a wgetrc)" }),
    ("curl/", Tool { name: "curl", setting: "CURL_CA_BUNDLE" }),
];

/// Hosts that tell a tool when it refuses the CA, since it has then sent no `User-Agent`: a label of the name.
const HOST_LABELS: [(&str, &str); 11] = [
    ("pypi", "pip/"),
    ("npmjs", "npm/"),
    ("yarnpkg", "npm/"),
    ("crates", "cargo"),
    ("rustup", "rustup/"),
    ("rubygems", "bundler/"),
    ("packagist", "composer/"),
    ("maven", "apache-maven"),
    ("gradle", "gradle/"),
    ("hex", "hex/"),
    ("anaconda", "conda/"),
];

/// The tool that made a connection, told by its `User-Agent`, or by the host where none was sent. `None` for one that
/// nothing is known of.
fn tool(agent: Option<&str>, host: &str) -> Option<Tool> {
    let known = |text: &str| TOOLS.iter().find(|(part, _)| text.contains(part)).map(|(_, tool)| *tool);
    if let Some(agent) = agent {
        return known(&agent.to_ascii_lowercase());
    }
    let host = host.to_ascii_lowercase();
    let label = HOST_LABELS.iter().find(|(label, _)| host.split('.').any(|part| part == *label))?;
    known(label.1)
}

/// What an error of the handshake means.
pub(crate) enum Handshake {
    /// The client does not trust our CA, or went away when it saw our certificate.
    CaRefused(String),
    /// Anything else.
    Failed(String),
}

/// Reads the error of a server's handshake.
pub(crate) fn classify(error: &io::Error) -> Handshake {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied),
        )) => Handshake::CaRefused(format!("it answered with the alert {alert:?}")),
        Some(other) => Handshake::Failed(other.to_string()),
        None if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ) =>
        {
            Handshake::CaRefused("it closed the connection when it saw the certificate".to_owned())
        }
        None => Handshake::Failed(error.to_string()),
    }
}

/// The sentence for the flow of a client that refused our CA.
pub(crate) fn advice(host: &str, port: u16, agent: Option<&str>, cause: &str) -> String {
    let tool = tool(agent, host).map_or_else(
        || {
            "most tools read SSL_CERT_FILE, some a variable of their own (REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS, \
             CARGO_HTTP_CAINFO, GIT_SSL_CAINFO, CURL_CA_BUNDLE, AWS_CA_BUNDLE, Java its key store)"
                .to_owned()
        },
        |tool| format!("{} is told of a CA by {}", tool.name, tool.setting),
    );
    let pattern = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
    format!(
        "the client does not trust Larder's CA for {host}: {cause}; {tool}; for a client that brings its own list of \
         authorities, write tunnel = [\"{pattern}\"] in larder.toml, or pass --tunnel={pattern}: its bytes are then \
         passed on unseen and uncached"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_host_variable_and_rule() {
        let text = advice("npm.example.org", 443, None, "x");
        assert!(
            text.contains("tunnel = [\"npm.example.org\"]") && text.contains("--tunnel=npm.example.org:"),
            "{text}"
        );
        let text = advice("example.org", 8443, Some("other/1"), "x");
        assert!(advice("npm.example.org", 443, Some("pip/24.0"), "x").contains("PIP_CERT"));
        assert!(text.contains("SSL_CERT_FILE") && text.contains("\"example.org:8443\""), "{text}");
    }

    #[test]
    fn tools_are_told_by_agent_or_host() {
        let setting = |agent, host| tool(agent, host).map(|tool| tool.setting);
        assert_eq!(setting(Some("pip/24.0 {\"ci\":null}"), ""), Some("PIP_CERT"));
        assert_eq!(setting(Some("npm/10.2 node/v20 linux x64"), ""), Some("NODE_EXTRA_CA_CERTS"));
        assert_eq!(setting(Some("Debian APT-HTTP/1.3 (2.6.1)"), ""), Some("APT_CONFIG (Acquire::https::CaInfo)"));
        assert_eq!(setting(None, "pypi.example"), Some("PIP_CERT"));
        assert_eq!(setting(None, "index.crates.example"), Some("CARGO_HTTP_CAINFO"));
        assert_eq!(setting(Some("Unheard/1"), "crates.example"), None);
        assert_eq!(setting(None, "example.org"), None);
    }

    #[test]
    fn an_alert_about_our_certificate_is_told_from_others() {
        let error = |alert| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
        assert!(matches!(classify(&error(AlertDescription::UnknownCA)), Handshake::CaRefused(_)));
        assert!(matches!(classify(&error(AlertDescription::ProtocolVersion)), Handshake::Failed(_)));
        assert!(matches!(classify(&io::ErrorKind::UnexpectedEof.into()), Handshake::CaRefused(_)));
    }
}
