//! Tools in a guest that know nothing of the proxy, and one that refuses its CA.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::busybox::host;
use crate::support::{Larder, Run, is_root};

/// Serves `https://origin.test/` with a certificate of its own CA, and a proxy through which that name leads there.
const ORIGIN: &str = include_str!("../support/https_origin.py");

/// A client with a list of authorities of its own.
const OWN_LIST: &str = r#"
import http.client, ssl
context = ssl.create_default_context(cafile="/opt/origin-ca.pem")
connection = http.client.HTTPSConnection("origin.test", context=context, timeout=20)
connection.request("GET", "/hello")
print("own list:", connection.getresponse().read().decode().strip())
"#;

struct Origin {
    server: Child,
    port: String,
}

impl Origin {
    /// Starts it in `larder`'s directory, whose `ca.pem` is then the CA it is signed by.
    fn start(larder: &Larder) -> Self {
        let dir = larder.dir().join("origin");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("make.sh"), include_str!("../support/https_origin.sh")).unwrap();
        host(
            &dir,
            "sh make.sh
             git init -q --bare repository.git
             git -C repository.git update-server-info",
        );
        let mut server = Command::new("/usr/bin/python3")
            .args(["-c", ORIGIN])
            .current_dir(&dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        fs::copy(dir.join("ca.pem"), larder.dir().join("ca.pem")).unwrap();
        Self { server, port: port.trim().to_owned() }
    }

    fn args(&self) -> [String; 2] {
        [format!("--upstream-proxy=http://127.0.0.1:{}", self.port), "--ca-file=ca.pem".to_owned()]
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A Debian root with the tools, built once in a run of the tests.
fn tools_root() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let image = directory.join("tools.tar");
    let lock = File::create(directory.join("tools.lock")).unwrap();
    lock.lock().unwrap();
    if !image.exists() {
        let larder = Larder::with_shared_cache();
        let options = r#"
            debian {
              variant = "apt"
              include = ["ca-certificates", "curl", "wget", "git", "python3", "openssl"]
            }
            output = "tools.tar""#;
        larder.write("tools.pkr.hcl", &template(options, &[]));
        let _ = larder.run(["build", "--ui=plain", "tools.pkr.hcl"]).expect(0);
        let part = directory.join("tools.part");
        fs::copy(larder.dir().join("tools.tar"), &part).unwrap();
        fs::rename(part, &image).unwrap();
    }
    image
}

/// A template that runs these command lines in shells of the guest.
fn template(options: &str, lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    let upload = "provisioner \"file\" {\n  sources = [\"ca.pem\", \"own-list.py\"]\n  destination = \"/opt/\"\n}\n";
    let shell = format!("provisioner \"shell\" {{\n  inline = [{}]\n}}\n", lines.join(", "));
    let provisioners = if lines.is_empty() { String::new() } else { upload.to_owned() + &shell };
    format!(
        "source \"rootfs\" \"x\" {{\n{options}\n}}\nbuild {{\n  sources = [\"source.rootfs.x\"]\n{provisioners}}}\n"
    )
}

/// The guest's lines of standard output.
fn said(run: &Run) -> Vec<String> {
    let events = run.events();
    let lines = events.iter().filter(|event| event["type"] == "stdout");
    lines.map(|event| event["line"].as_str().unwrap().to_owned()).collect()
}

fn flows(run: &Run) -> Vec<Value> {
    run.events().into_iter().filter(|event| event["type"] == "flow").map(|event| event["flow"].clone()).collect()
}

#[test]
fn tools_without_proxy_variables_trust_the_proxy() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let origin = Origin::start(&larder);
    larder.write("own-list.py", OWN_LIST);
    let options = format!("base = {:?}\noutput = \"image\"", tools_root());
    let lines = [
        "! env | grep -i proxy",
        "echo curl: $(curl -sSf https://origin.test/hello)",
        "echo wget: $(wget -qO- https://origin.test/hello)",
        "git clone -q https://origin.test/repository.git /tmp/repository && echo git: cloned && rm -r /tmp/repository",
        "echo python: $(python3 -c 'import urllib.request as r; print(r.urlopen(\"https://origin.test/hello\").read().decode())')",
        "echo openssl: $(printf 'GET /hello HTTP/1.0\\r\\nHost: origin.test\\r\\n\\r\\n' | openssl s_client -quiet -verify_return_error -servername origin.test -connect origin.test:443 2>/dev/null | tail -n 1)",
        // The system's own store as well, for what reads no variable.
        "echo store: $(env -i curl -sSf https://origin.test/hello)",
        "echo hashed: $(printf 'GET /hello HTTP/1.0\\r\\nHost: origin.test\\r\\n\\r\\n' | env -i openssl s_client -quiet -verify_return_error -no-CAfile -CApath /etc/ssl/certs -servername origin.test -connect origin.test:443 2>/dev/null | tail -n 1)",
    ];
    larder.write("x.pkr.hcl", &template(&options, &lines));
    let run = larder
        .run(
            ["build".to_owned(), "--ui=json".to_owned()]
                .into_iter()
                .chain(origin.args())
                .chain(["x.pkr.hcl".to_owned()]),
        )
        .expect(0);
    let said = said(&run);
    for tool in ["curl", "wget", "python", "openssl", "store", "hashed"] {
        let line = format!("{tool}: hello from the origin");
        assert!(said.contains(&line), "{line}: {said:#?}\n{:#?}", flows(&run));
    }
    assert!(said.contains(&"git: cloned".to_owned()), "{said:#?}");
    let hello: Vec<_> = flows(&run).into_iter().filter(|flow| flow["url"] == "https://origin.test/hello").collect();
    assert_eq!(hello.len(), 6, "{hello:#?}");
    assert!(hello.iter().all(|flow| flow["intercepted"] == true && flow["status"] == 200), "{hello:#?}");
    // Nothing of it is in the image.
    host(larder.dir(), "! grep -rl 'Larder' image/etc/ssl image/usr/local/share/ca-certificates image/opt");
}

#[test]
fn a_client_that_refuses_the_ca_is_explained_and_a_tunnel_rule_lets_it_by() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let origin = Origin::start(&larder);
    larder.write("own-list.py", OWN_LIST.trim_start());
    let options = format!("base = {:?}\noutput = \"image.tar\"", tools_root());
    let lines = ["mv /opt/ca.pem /opt/origin-ca.pem", "python3 /opt/own-list.py"];
    larder.write("x.pkr.hcl", &template(&options, &lines));
    let build = |ui: &str, more: &[&str]| {
        let more = more.iter().map(|&argument| argument.to_owned());
        larder.run(
            ["build".to_owned(), ui.to_owned()]
                .into_iter()
                .chain(origin.args())
                .chain(more)
                .chain(["x.pkr.hcl".to_owned()]),
        )
    };
    let run = build("--ui=json", &[]).expect(1);
    let flow = flows(&run).into_iter().find(|flow| flow["url"] == "origin.test:443").unwrap();
    assert_eq!(flow["outcome"], "ERROR");
    let why = flow["why"].as_str().unwrap();
    for part in [
        "Larder's CA for origin.test",
        "SSL_CERT_FILE",
        "tunnel = [\"origin.test\"] in larder.toml",
        "--tunnel=origin.test",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    // People are told at once, and again in the report at the end.
    let run = build("--ui=plain", &[]).expect(1);
    assert_eq!(run.stdout.matches("pass --tunnel=origin.test:").count(), 2, "{}", run.stdout);

    let run = build("--ui=json", &["--tunnel=origin.test"]).expect(0);
    assert!(said(&run).contains(&"own list: hello from the origin".to_owned()), "{:#?}", said(&run));
    let flow = flows(&run).into_iter().find(|flow| flow["url"] == "origin.test:443").unwrap();
    assert_eq!(flow["outcome"], "TUNNEL", "{flow:#?}");

    // The same by the project's own settings, once they are trusted.
    larder.write("larder.toml", "tunnel = [\"origin.test\"]\n");
    let _ = larder.run(["config", "trust"]).expect(0);
    let run = build("--ui=json", &["--force"]).expect(0);
    assert!(said(&run).contains(&"own list: hello from the origin".to_owned()));
}
