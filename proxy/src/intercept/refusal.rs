//! Why a client did not accept our certificate, and what the user can do: most often a tool that brings its own
//! list of authorities and must be told about ours by a variable of its own.

use std::io;

use rustls::AlertDescription;

/// Words by which a tool is known, in the `User-Agent` of its CONNECT request or in the name of the host it asks
/// for, and how that tool is told about a CA.
const TOOLS: [(&[&str], &str); 9] = [
    (&["pip/", "python", "urllib3", "conda"], "pip and requests read REQUESTS_CA_BUNDLE or PIP_CERT"),
    (&["npm", "yarn", "pnpm", "node", "undici"], "Node reads NODE_EXTRA_CA_CERTS"),
    (&["cargo", "crates"], "cargo reads CARGO_HTTP_CAINFO"),
    (
        &["java", "maven", "gradle"],
        "Java reads its own keystore (keytool -importcert, or JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=FILE)",
    ),
    (&["ruby", "bundler"], "gem and bundler read SSL_CERT_FILE"),
    (&["go-http-client", "golang"], "Go reads SSL_CERT_FILE"),
    (&["aws-", "boto"], "the AWS tools read AWS_CA_BUNDLE"),
    (&["git"], "git reads GIT_SSL_CAINFO"),
    (&["curl"], "curl reads CURL_CA_BUNDLE or SSL_CERT_FILE"),
];

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
    let find = |text: &str| {
        let lower = text.to_ascii_lowercase();
        TOOLS.iter().find(|(words, _)| words.iter().any(|word| lower.contains(word)))
    };
    let tool = agent.and_then(find).or_else(|| find(host)).map_or(
        "most tools read SSL_CERT_FILE, some a variable of their own (REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS, \
         CARGO_HTTP_CAINFO, GIT_SSL_CAINFO, CURL_CA_BUNDLE, AWS_CA_BUNDLE, Java its keystore)",
        |(_, advice)| advice,
    );
    let pattern = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
    format!(
        "the client does not trust Larder's CA for {host}: {cause}; {tool}; a client that pins certificates needs \
         the rule tunnel = [\"{pattern}\"], which passes its bytes on unseen and uncached"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_host_variable_and_rule() {
        let text = advice("npm.example.org", 443, None, "x");
        assert!(text.contains("NODE_EXTRA_CA_CERTS") && text.contains("tunnel = [\"npm.example.org\"]"));
        let text = advice("example.org", 8443, Some("other/1"), "x");
        assert!(advice("npm.example.org", 443, Some("pip/24.0"), "x").contains("PIP_CERT"));
        assert!(text.contains("SSL_CERT_FILE") && text.contains("\"example.org:8443\""), "{text}");
    }

    #[test]
    fn an_alert_about_our_certificate_is_told_from_others() {
        let error = |alert| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
        assert!(matches!(classify(&error(AlertDescription::UnknownCA)), Handshake::CaRefused(_)));
        assert!(matches!(classify(&error(AlertDescription::ProtocolVersion)), Handshake::Failed(_)));
        assert!(matches!(classify(&io::ErrorKind::UnexpectedEof.into()), Handshake::CaRefused(_)));
    }
}
