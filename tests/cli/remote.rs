//! Functions that ask servers, beside servers that speak as Vault, Consul and AWS do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Larder;
use super::certificates::TestCa;
use super::support::Run;

const SECRET: &str = "tr0ub4dor-and-3";
const TOKEN: &str = "s.a-token-of-vault";

/// A request as it came.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    fields: BTreeMap<String, String>,
    body: String,
}

impl Asked {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// Status and body for a request.
type Reply = fn(&Asked) -> (u16, String);

/// A server on a port of the loopback, which notes what it is asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(reply: Reply) -> Self {
        Self::over(reply, None)
    }

    /// The same inside TLS.
    fn over(reply: Reply, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let notes = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match &tls {
                    None => serve(stream, reply, &notes),
                    Some(tls) => {
                        let session = rustls::ServerConnection::new(tls.clone()).unwrap();
                        serve(rustls::StreamOwned::new(session, stream), reply, &notes);
                    }
                }
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request. What is answered could be kept by whoever does not mind who asked.
fn serve(stream: impl Read + Write, reply: Reply, notes: &Mutex<Vec<Asked>>) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        // A client that goes away is its own concern.
        match stream.read_line(&mut line) {
            Ok(read) if read > 0 && !line.trim().is_empty() => lines.push(line.trim().to_owned()),
            Ok(read) if read > 0 => break,
            _ => return,
        }
    }
    let fields = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let fields: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let mut body = vec![0; fields.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let asked = Asked { line: lines[0].clone(), fields, body: String::from_utf8(body).unwrap() };
    let (status, body) = reply(&asked);
    notes.lock().unwrap().push(asked);
    let location = body.strip_prefix("to ").map_or(String::new(), |to| format!("location: {to}\r\n"));
    let _ = write!(
        stream.get_mut(),
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncache-control: public, max-age=3600\r\n\
         etag: \"1\"\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.get_mut().flush();
}

fn vault(asked: &Asked) -> (u16, String) {
    if asked.field("x-vault-token") != Some(TOKEN) {
        return (403, json!({"errors": ["permission denied"]}).to_string());
    }
    let answer = match asked.line.split(' ').nth(1).unwrap() {
        "/v1/kv/app" => json!({"data": {"password": SECRET, "number": 5, "data": "x"}}),
        "/v1/secret/data/app" => json!({"data": {"data": {"password": SECRET}, "metadata": {"version": 2}}}),
        "/v1/secret/data/none" => json!({"data": null, "warnings": ["it is no more"]}),
        "/v1/elsewhere" => return (307, "to /v1/kv/app".to_owned()),
        "/v1/circle" => return (307, "to /v1/circle".to_owned()),
        "/v1/page" => return (200, "<html>please log in</html>".to_owned()),
        "/v1/echo" => return (400, json!({"errors": [format!("bad token {TOKEN}\n")]}).to_string()),
        "/v1/long" => return (200, " ".repeat(5 << 20)),
        _ => return (404, json!({"errors": []}).to_string()),
    };
    (200, answer.to_string())
}

fn consul(asked: &Asked) -> (u16, String) {
    let entry = |value: Value| (200, json!([{"Key": "k", "Flags": 0, "Value": value}]).to_string());
    match asked.line.split(' ').nth(1).unwrap() {
        "/v1/kv/app/motd" => entry(BASE64_STANDARD.encode(SECRET).into()),
        "/v1/kv/empty" => entry(Value::Null),
        "/v1/kv/binary" => entry(BASE64_STANDARD.encode([0xff]).into()),
        "/v1/kv/denied" => (403, "Permission denied".to_owned()),
        _ => (404, String::new()),
    }
}

fn aws(asked: &Asked) -> (u16, String) {
    let question: Value = serde_json::from_str(&asked.body).unwrap();
    let secret = match question["SecretId"].as_str().unwrap() {
        "plain" => SECRET.to_owned(),
        "keys" => json!({"user": "me", "password": SECRET}).to_string(),
        "binary" => return (200, json!({"Name": "binary", "SecretBinary": "AA=="}).to_string()),
        _ => {
            let answer = json!({"__type": "ResourceNotFoundException", "Message": "can't find the specified secret."});
            return (400, answer.to_string());
        }
    };
    (200, json!({"Name": "x", "SecretString": secret, "VersionStages": ["AWSCURRENT"]}).to_string())
}

/// Everything that a run is told of servers.
struct Bed {
    larder: Larder,
    env: Vec<(&'static str, String)>,
}

impl Bed {
    fn new(env: &[(&'static str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { larder: Larder::new(), env }
    }

    fn of_vault(server: &Server) -> Self {
        Self::new(&[("VAULT_ADDR", &server.url()), ("VAULT_TOKEN", TOKEN)])
    }

    fn run(&self, args: &[&str]) -> Run {
        let env = self.env.iter().map(|(name, value)| (name, value));
        Run::of(self.larder.command(args).envs(env).output().unwrap())
    }

    /// What is said of a template whose local is an expression.
    fn validate(&self, expression: &str) -> Run {
        self.larder.write("t.pkr.hcl", &with_local(expression));
        self.run(&["validate", "t.pkr.hcl"])
    }

    /// An expression that is an error, with what is said of it.
    #[track_caller]
    fn refuses(&self, expression: &str, reason: &str) {
        let run = self.validate(expression).expect(1);
        assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
        let said = run.stderr.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
        assert!(said.contains(reason), "{expression}: {reason}\n{}", run.stderr);
        assert_nothing_secret(&format!("{run:?}"));
    }
}

fn with_local(expression: &str) -> String {
    format!(
        "locals {{\n  secret = {expression}\n}}\n\
         source \"null\" \"x\" {{\n  communicator = \"none\"\n}}\n\
         build {{\n  sources = [\"source.null.x\"]\n  provisioner \"shell-local\" {{\n    \
         inline = [\"echo 'it is ${{local.secret}}'\", \"echo finished\"]\n  }}\n}}\n"
    )
}

fn assert_nothing_secret(text: &str) {
    for secret in [SECRET, TOKEN, "AKIDEXAMPLE/", "very-secret-key"] {
        assert!(!text.contains(secret), "it holds {secret}:\n{text}");
    }
}

fn everything_below(directory: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            everything_below(&entry.path(), into);
        } else {
            into.extend(fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn vault_is_read_in_both_versions_and_nothing_of_it_is_kept() {
    let server = Server::start(vault);
    let bed = Bed::of_vault(&server);
    for (count, path) in [(1, "kv/app"), (2, "secret/data/app"), (3, "/secret/data/app")] {
        let _ = bed.validate(&format!("vault(\"{path}\", \"password\") == \"{SECRET}\" ? \"ok\" : [][0]")).expect(0);
        assert_eq!(server.asked().len(), count);
    }
    // Twice in one template is once at the server, and a cacheable answer is asked for again by the next run.
    for _ in 0..2 {
        let _ = bed.validate("\"${vault(\"kv/app\", \"password\")}${vault(\"kv/app\", \"password\")}\"").expect(0);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert_eq!(asked[0].field("x-vault-request"), Some("true"));
    let run = bed.run(&["build", "--ui=plain", "t.pkr.hcl"]).expect(0);
    assert!(run.stdout.contains("it is <sensitive>\n") && run.stdout.contains("finished"), "{run:?}");
    assert_nothing_secret(&format!("{run:?}"));
    let mut kept = Vec::new();
    everything_below(bed.larder.dir(), &mut kept);
    // The templates of this test have the secret in them no longer: the last one does not.
    assert_nothing_secret(&String::from_utf8_lossy(&kept));
    let shown = bed.run(&["inspect", "t.pkr.hcl"]).expect(0).stdout;
    assert!(shown.contains("local.secret: \"<sensitive>\""), "{shown}");
}

#[test]
fn what_vault_does_not_give_is_told() {
    let server = Server::start(vault);
    let bed = Bed::of_vault(&server);
    let place = server.url();
    for (call, reason) in [
        ("vault(\"kv/app\", \"nope\")", "the secret `kv/app` has no key `nope`; it has `data`, `number`, `password`"),
        ("vault(\"kv/app\", \"number\")", "`number` of the secret `kv/app` is a number, and must be a string"),
        ("vault(\"secret/app\", \"x\")", "(KV 2) the path is `secret/data/app`"),
        ("vault(\"secret/data/gone\", \"x\")", &format!("Vault at {place} has no secret at `secret/data/gone`")),
        ("vault(\"secret/data/none\", \"x\")", "has no data at `secret/data/none` (it is no more)"),
        ("vault(\"page\", \"x\")", "answered with something that is not JSON: is its address right?"),
        ("vault(\"circle\", \"x\")", "sends in circles"),
        ("vault(\"echo\", \"x\")", "answered 400 Bad Request for `echo` (bad token <sensitive>)"),
        ("vault(\"long\", \"x\")", "answered more than 4 MiB"),
    ] {
        bed.refuses(call, reason);
    }
    let _ = bed.validate("vault(\"elsewhere\", \"password\")").expect(0);
    let other = Bed::new(&[("VAULT_ADDR", &place), ("VAULT_TOKEN", "another")]);
    other.refuses("vault(\"kv/app\", \"x\")", "refuses `kv/app` (permission denied): the token in VAULT_TOKEN must be");
    Bed::new(&[]).refuses("vault(\"a/b\", \"x\")", "VAULT_TOKEN is not set: set it to a token that may read `a/b`");
    let wrong = Bed::new(&[("VAULT_TOKEN", TOKEN), ("VAULT_ADDR", "vault:8200")]);
    wrong.refuses("vault(\"a/b\", \"x\")", "VAULT_ADDR is \"vault:8200\": write it as https://host:port");
    let broken = Bed::new(&[("VAULT_TOKEN", "a\nb"), ("VAULT_ADDR", &place)]);
    broken.refuses("vault(\"a/b\", \"x\")", "VAULT_TOKEN holds characters that cannot be sent");
    // A namespace goes along.
    let mut spaced = Bed::of_vault(&server);
    spaced.env.push(("VAULT_NAMESPACE", "team".to_owned()));
    let _ = spaced.validate("vault(\"kv/app\", \"password\")").expect(0);
    assert_eq!(server.asked().last().unwrap().field("x-vault-namespace"), Some("team"));
}

#[test]
fn who_cannot_be_reached_is_asked_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let bed = Bed::new(&[("VAULT_ADDR", &format!("http://{address}")), ("VAULT_TOKEN", TOKEN)]);
    bed.refuses("[vault(\"a\", \"b\"), vault(\"c\", \"d\")]", &format!("Vault at http://{address} cannot be asked:"));
    let offline = Bed { env: [bed.env, vec![("LARDER_NET", "offline".to_owned())]].concat(), larder: Larder::new() };
    offline.refuses("vault(\"a\", \"b\")", "offline");
    // Nobody is asked without end, whatever becomes of the answers.
    let many = Bed::new(&[]);
    let all = "length([for i in range(1000) : can(vault(\"a${i}\", \"b\"))])";
    many.refuses(&format!("\"${{{all}}}${{vault(\"last\", \"b\")}}\""), "a template may read 1000 secrets of servers");
}

#[test]
fn the_certificate_of_vault_is_checked_against_the_ca_that_is_named() {
    let ca = TestCa::new();
    let directory = tempfile::tempdir().unwrap();
    let identity = ca.identity(directory.path(), "vault", &["localhost"], false);
    let tls = server_config(&fs::read(identity.certificate).unwrap(), &fs::read(identity.key).unwrap());
    let server = Server::over(vault, Some(tls));
    let url = format!("https://localhost:{}", server.address.port());
    let mut bed = Bed::new(&[("VAULT_ADDR", &url), ("VAULT_TOKEN", TOKEN), ("VAULT_SKIP_VERIFY", "1")]);
    bed.refuses(
        "vault(\"kv/app\", \"password\")",
        "VAULT_SKIP_VERIFY does not help here, as certificates are always checked",
    );
    assert_eq!(server.asked().len(), 0, "the token was not sent");
    bed.env.push(("VAULT_CACERT", ca.file(directory.path()).display().to_string()));
    let _ = bed.validate("vault(\"kv/app\", \"password\")").expect(0);
    assert_eq!(server.asked().len(), 1);
}

fn server_config(certificate: &[u8], key: &[u8]) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_slice_iter(certificate).map(Result::unwrap).collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(key).unwrap()).unwrap())
}

#[test]
fn requests_go_by_the_proxy_of_the_network() {
    // A proxy is asked for the whole URL.
    let proxy = Server::start(|asked| {
        let known = asked.line.starts_with("GET http://vault.test:8200/v1/kv/app ");
        if known { (200, json!({"data": {"password": SECRET}}).to_string()) } else { (404, String::new()) }
    });
    let mut bed = Bed::new(&[("VAULT_ADDR", "http://vault.test:8200"), ("VAULT_TOKEN", TOKEN)]);
    bed.env.extend([("LARDER_UPSTREAM_PROXY", proxy.url()), ("LARDER_NO_PROXY", String::new())]);
    let _ = bed.validate("vault(\"kv/app\", \"password\")").expect(0);
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn consul_is_read() {
    let server = Server::start(consul);
    let address = server.address.to_string();
    let bed = Bed::new(&[("CONSUL_HTTP_ADDR", &address), ("CONSUL_HTTP_TOKEN", "t"), ("CONSUL_HTTP_AUTH", "u:p")]);
    let _ = bed.validate(&format!("consul_key(\"/app/motd\") == \"{SECRET}\" ? \"ok\" : [][0]")).expect(0);
    let asked = server.asked();
    assert_eq!((asked[0].field("x-consul-token"), asked[0].field("authorization")), (Some("t"), Some("Basic dTpw")));
    let _ = bed.validate("consul_key(\"app/motd\")").expect(0);
    let run = bed.run(&["build", "--ui=plain", "t.pkr.hcl"]).expect(0);
    assert!(run.stdout.contains("it is <sensitive>"), "{run:?}");
    for (key, reason) in [
        ("nope", "has no key `nope`"),
        ("empty", "the value of `empty` in Consul"),
        ("binary", "is no text in UTF-8"),
        ("denied", "refuses `denied` (Permission denied): set CONSUL_HTTP_TOKEN"),
    ] {
        bed.refuses(&format!("consul_key(\"{key}\")"), reason);
    }
}

#[test]
fn secrets_manager_is_read() {
    let server = Server::start(aws);
    let mut bed = Bed::new(&[("AWS_ENDPOINT_URL", &server.url())]);
    bed.refuses("aws_secretsmanager(\"plain\", null)", "no region of AWS is set: set AWS_REGION");
    bed.env.push(("AWS_REGION", "eu-west-1".to_owned()));
    bed.refuses("aws_secretsmanager(\"plain\", null)", "there are no credentials for AWS: set AWS_ACCESS_KEY_ID");
    bed.larder.write(".aws/config", "[default]\nsso_session = work\n[profile keys]\nregion = us-east-1\n");
    bed.refuses(
        "aws_secretsmanager(\"plain\", null)",
        "the profile `default` of AWS gets its credentials by `sso_session`",
    );
    bed.larder.write(
        ".aws/credentials",
        "[keys]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = very-secret-key\naws_session_token = session-token\n",
    );
    bed.env.retain(|(name, _)| *name != "AWS_REGION");
    bed.env.push(("AWS_PROFILE", "keys".to_owned()));
    for call in [
        "aws_secretsmanager(\"plain\", null)",
        "aws_secretsmanager(\"keys\", \"password\")",
        "jsondecode(aws_secretsmanager_raw(\"keys\")).password",
    ] {
        let _ = bed.validate(&format!("{call} == \"{SECRET}\" ? \"ok\" : [][0]")).expect(0);
    }
    let asked = server.asked().remove(0);
    assert_eq!(asked.field("x-amz-target"), Some("secretsmanager.GetSecretValue"));
    assert_eq!(asked.field("x-amz-security-token"), Some("session-token"));
    assert_eq!(asked.body, r#"{"SecretId":"plain","VersionStage":"AWSCURRENT"}"#);
    let authorization = asked.field("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/secretsmanager/aws4_request, SignedHeaders=content-type;host;"));
    for (call, reason) in [
        ("aws_secretsmanager(\"keys\", \"x\")", "the secret `keys` has no key `x`; it has `password`, `user`"),
        ("aws_secretsmanager(\"keys\", null)", "which key of the secret `keys`?"),
        ("aws_secretsmanager(\"binary\", null)", "the secret `binary` is binary"),
        ("aws_secretsmanager(\"x\", null)", "(ResourceNotFoundException: can't find the specified secret.)"),
    ] {
        bed.refuses(call, reason);
    }
}

#[test]
fn variables_of_legacy_templates_read_secrets_and_other_places_do_not() {
    let server = Server::start(vault);
    let bed = Bed::of_vault(&server);
    let template = |value: &str, word: &str| {
        json!({
            "variables": {"secret": value},
            "builders": [{"type": "null", "communicator": "none"}],
            "provisioners": [{"type": "shell-local", "inline": [format!("echo 'it is {word}'")]}],
        })
        .to_string()
    };
    bed.larder.write("t.json", &template("a {{ vault `kv/app` `password` }}", "{{ user `secret` }}"));
    let run = bed.run(&["build", "--ui=plain", "t.json"]).expect(0);
    assert!(run.stdout.contains("it is a <sensitive>"), "{run:?}");
    let inspected = bed.run(&["inspect", "-machine-readable", "t.json"]).expect(0);
    assert!(inspected.stdout.contains("template-variable,secret,a {{ vault `kv/app` `password` }},0"), "{inspected:?}");
    assert_eq!(server.asked().len(), 1, "what is only looked at asks nobody");
    let mut kept = Vec::new();
    everything_below(bed.larder.dir(), &mut kept);
    assert_nothing_secret(&String::from_utf8_lossy(&kept));
    for (value, word, reason) in [
        ("{{ vault `kv/app` `nope` }}", "x", "the secret `kv/app` has no key `nope`"),
        ("x", "{{ vault `kv/app` `password` }}", "vault is not allowed here"),
        ("{{ aws_secretsmanager }}", "x", "secret name must be provided"),
        ("{{ aws_secretsmanager `a` `b` `c` }}", "x", "only secret name and optional secret key can be provided."),
    ] {
        bed.larder.write("wrong.json", &template(value, word));
        let run = bed.run(&["validate", "wrong.json"]).expect(1);
        assert!(run.stderr.contains(reason), "{run:?}");
    }
}
