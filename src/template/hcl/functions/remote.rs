//! Secrets that servers hold, and such as the template itself holds encrypted. Results are sensitive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};

use super::{Call, Failure, Function, Outcome, STRING, Type, Value};
use super::{function, text};
use crate::template::remote::Question;

/// Largest key that is used, in bits: the time it takes grows with the third power.
const MAX_BITS: usize = 8192;
/// Longest text that is taken for a key.
const MAX_KEY: usize = 64 << 10;

pub(super) const FUNCTIONS: &[Function] = &[
    function("vault", &[text("path"), text("key")], STRING, |c| {
        ask(c, &Question::Vault { path: c.text(0).to_owned(), key: c.text(1).to_owned() })
    }),
    function("consul_key", &[text("key")], STRING, |c| ask(c, &Question::Consul { key: c.text(0).to_owned() })),
    function("aws_secretsmanager", &[text("name"), text("key").or_null()], STRING, |c| {
        let key = Some(c.text(1)).filter(|key| !key.is_empty()).map(str::to_owned);
        ask(c, &Question::SecretsManager { name: c.text(0).to_owned(), key })
    }),
    function("aws_secretsmanager_raw", &[text("name")], STRING, |c| {
        ask(c, &Question::SecretsManagerRaw { name: c.text(0).to_owned() })
    }),
    function("rsadecrypt", &[text("ciphertext"), text("privatekey")], STRING, rsa_decrypt),
];

fn ask(c: &Call<'_>, question: &Question) -> Outcome {
    let value = match c.env.answers.and_then(|answers| answers.ask(question)) {
        Some(answer) => Value::string(answer?),
        None => Value::unknown(Type::String),
    };
    Ok(value.mark(true))
}

/// How much work a call with this key is, as the evaluator counts it.
pub(super) fn rsa_effort(key: Option<&str>) -> usize {
    (key.map_or(0, str::len) / 64).saturating_pow(3)
}

fn rsa_decrypt(c: &Call<'_>) -> Outcome {
    let ciphertext = BASE64.decode(c.text(0)).map_err(|_| c.wrong(0, "it must be in base64"))?;
    let key = rsa_key(c.text(1)).map_err(|why| c.wrong(1, why))?;
    let decrypted = key.decrypt(Pkcs1v15Encrypt, &ciphertext);
    let decrypted = decrypted.map_err(|_| Failure::from("the text was not encrypted for this key"))?;
    let text = String::from_utf8(decrypted).map_err(|_| Failure::from("what was encrypted is no text in UTF-8"))?;
    if let Some(answers) = c.env.answers {
        answers.hide(&text);
    }
    Ok(Value::string(text).mark(true))
}

/// The private key in a PEM text.
fn rsa_key(pem: &str) -> Result<RsaPrivateKey, String> {
    let kind = pem.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let key = match kind {
        _ if pem.len() > MAX_KEY => return Err("it is too long for a key".to_owned()),
        Some("RSA PRIVATE KEY") if pem.contains("Proc-Type:") => {
            return Err("the key has a password; take it off: openssl rsa -in KEY".to_owned());
        }
        Some("RSA PRIVATE KEY") => RsaPrivateKey::from_pkcs1_pem(pem.trim()).map_err(|error| error.to_string()),
        Some("PRIVATE KEY") => RsaPrivateKey::from_pkcs8_pem(pem.trim()).map_err(|error| error.to_string()),
        Some("ENCRYPTED PRIVATE KEY") => {
            return Err("the key has a password; take it off: openssl pkey -in KEY".to_owned());
        }
        Some("OPENSSH PRIVATE KEY") => {
            return Err("this form of a key is not read; change it: ssh-keygen -p -m PEM -f KEY".to_owned());
        }
        Some(other) => return Err(format!("an RSA private key is needed, and this is: {other}")),
        None => return Err("it is no private key in PEM form".to_owned()),
    };
    let key = key.map_err(|error| format!("the RSA private key cannot be read: {error}"))?;
    let bits = key.size() * 8;
    if bits > MAX_BITS { Err(format!("the key has {bits} bits, and at most {MAX_BITS} are used")) } else { Ok(key) }
}
