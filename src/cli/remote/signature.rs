//! AWS's signature of a request, version 4.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::credentials::Credentials;

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// The query as it is sent, its parameters in order.
    pub(super) query: &'a str,
    /// Names in lower case and in order, with their values.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    /// The time, as `20150830T123600Z`.
    pub(super) time: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Signed<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, credentials: &Credentials) -> String {
        let date = self.time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let names = self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.time, digest(self.canonical(&names).as_bytes()));
        let first = format!("AWS4{}", credentials.secret_key).into_bytes();
        let parts = [date, self.region, self.service, "aws4_request"];
        let key = parts.iter().fold(first, |key, part| mac(&key, part.as_bytes()));
        let signature = hex::encode(mac(&key, text.as_bytes()));
        let key_id = &credentials.access_key;
        format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    fn canonical(&self, names: &str) -> String {
        let header = |(name, value): &(&str, &str)| {
            format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let headers: String = self.headers.iter().map(header).collect();
        format!("{}\n{}\n{}\n{headers}\n{names}\n{}", self.method, self.path, self.query, digest(self.body))
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Credentials {
        Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        }
    }

    /// From AWS's own test suite for signatures: `get-vanilla`, and the example of its documentation.
    #[test]
    fn what_aws_publishes_is_signed_so() {
        let time = "20150830T123600Z";
        let vanilla = Signed {
            method: "GET",
            path: "/",
            query: "",
            headers: &[("host", "example.amazonaws.com"), ("x-amz-date", time)],
            body: b"",
            time,
            region: "us-east-1",
            service: "service",
        };
        assert_eq!(
            vanilla.authorization(&example()),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        let documented = Signed {
            query: "Action=ListUsers&Version=2010-05-08",
            headers: &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("host", "iam.amazonaws.com"),
                ("x-amz-date", time),
            ],
            service: "iam",
            ..vanilla
        };
        let signature = "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert!(documented.authorization(&example()).ends_with(signature));
    }

    /// Requests that Packer 1.6.6 sent, by AWS's SDK for Go.
    #[test]
    fn what_packer_sends_is_signed_so() {
        let mut credentials =
            Credentials { access_key: "AKID".to_owned(), secret_key: "SECRET".to_owned(), token: None };
        let headers = [
            ("content-length", "48"),
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "secretsmanager.eu-west-1.amazonaws.com"),
            ("x-amz-date", "20261124T000715Z"),
            ("x-amz-target", "secretsmanager.GetSecretValue"),
        ];
        let request = Signed {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            body: br#"{"SecretId":"plain","VersionStage":"AWSCURRENT"}"#,
            time: "20261124T000715Z",
            region: "eu-west-1",
            service: "secretsmanager",
        };
        let signature = "Signature=f802d1dc8ac8f1044d8d03c2b67e9e2947ab87a438cc6bf926606ecd3c4ffd5d";
        assert!(request.authorization(&credentials).ends_with(signature));
        credentials.token = Some("sess".to_owned());
        let headers = [
            headers[0],
            headers[1],
            headers[2],
            ("x-amz-date", "20261124T000717Z"),
            ("x-amz-security-token", "sess"),
            headers[4],
        ];
        let request = Signed { headers: &headers, time: "20261124T000717Z", ..request };
        let signature = "Signature=94913f9827e436d639e238bfbac2454e1b014ff647d804fde2dc3f7c922384f9";
        assert!(request.authorization(&credentials).ends_with(signature));
    }
}
