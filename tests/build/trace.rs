//! Traces of the proxy that a provisioner leaves in the image, in every form.

use std::fs;

use larder::guest::gateway::{GATEWAY_V4, PROXY_PORT};
use larder::guest::jks;

use crate::busybox::{host, root};
use crate::support::{Larder, is_root};

const CLEAN: &str = r#"
source "rootfs" "clean" {
  base   = "base"
  output = "clean.tar"
}

build {
  sources = ["source.rootfs.clean"]

  provisioner "file" {
    direction   = "download"
    source      = "/run/larder/ca.pem"
    destination = "ca.pem"
  }
}
"#;

const PLANTED: &str = r#"
source "rootfs" "planted" {
  base   = "base"
  output = "image/planted.tar"
}

build {
  sources = ["source.rootfs.planted"]

  provisioner "shell-local" {
    inline = ["env >planted/host-environment"]
  }

  provisioner "file" {
    source      = "planted"
    destination = "/opt"
  }

  provisioner "shell" {
    inline = [
      "cp /run/larder/ca.pem /opt/planted/copied.pem",
      "ln -s /run/larder/ca-bundle.pem /opt/planted/link",
      "mkdir /opt/removed && cp /run/larder/ca.pem /opt/removed/ca.pem",
    ]
  }

  # What a later step removes is not in the image.
  provisioner "shell" {
    inline = ["rm -r /opt/removed"]
  }
}
"#;

/// Each form by its name in `/opt/planted`, and what the message says of it.
const FORMS: [(&str, &str); 19] = [
    ("copied.pem", "in base64 (PEM)"),
    ("link", "a path of the build (link target)"),
    ("ca.pem", "in base64 (PEM)"),
    ("ca.der", "CA certificate or key (offset"),
    ("ca.zip > ca.pem", "in base64 (PEM)"),
    ("ca.pem.gz", "in base64 (PEM)"),
    ("ca.pem.xz", "in base64 (PEM)"),
    ("ca.pem.zst", "in base64 (PEM)"),
    ("ca.tar.gz", "in base64 (PEM)"),
    ("nested.zip > ca.zip > ca.pem", "in base64 (PEM)"),
    ("store.jks", "CA certificate or key (offset"),
    ("store.jks.gz", "CA certificate or key (offset"),
    ("der.base64", "in base64 (PEM)"),
    ("pem.base64", "as PEM in base64"),
    ("fingerprint", "the fingerprint of Larder's CA"),
    ("address.conf", "the address of the proxy"),
    ("path.conf", "a path of the build"),
    ("host-environment", "the address of the proxy"),
    ("host-environment", "a path of the build"),
];

fn plant(larder: &Larder) {
    let dir = larder.dir().join("planted");
    fs::create_dir(&dir).unwrap();
    let ca = fs::read(larder.dir().join("ca.pem")).unwrap();
    fs::write(dir.join("store.jks"), jks::from_bundle(&ca, 0)).unwrap();
    fs::write(dir.join("address.conf"), format!("proxy = http://{GATEWAY_V4}:{PROXY_PORT}\n")).unwrap();
    fs::write(dir.join("path.conf"), "cafile=/run/larder/ca-bundle.pem\n").unwrap();
    host(
        &dir,
        "cp ../ca.pem ca.pem
         openssl x509 -in ca.pem -outform DER -out ca.der
         zip -q ca.zip ca.pem
         zip -q -0 nested.zip ca.zip
         gzip -k ca.pem store.jks
         xz -k ca.pem
         zstd -q ca.pem
         tar -czf ca.tar.gz ca.pem
         base64 -w0 ca.der >der.base64
         base64 -w0 ca.pem >pem.base64
         openssl x509 -in ca.pem -noout -fingerprint -sha256 >fingerprint",
    );
}

#[test]
fn every_form_of_trace_is_found_and_none_reaches_an_image() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    root(&larder.dir().join("base"));
    let template = larder.write("clean.pkr.hcl", CLEAN);
    let run = larder.run(["build".as_ref(), template.as_os_str()]).expect(0);
    assert!(run.stdout.contains("No trace of the proxy; read "), "{}", run.stdout);
    assert!(larder.dir().join("clean.tar").exists());

    plant(&larder);
    larder.write("planted.pkr.hcl", PLANTED);
    larder.write("image/planted.tar", "the image from before");
    let run = larder.run(["build", "--force", "planted.pkr.hcl"]).expect(5);
    // The report at the end, one place a line.
    let (_, report) = run.stdout.split_once("\n==> Builds\n").unwrap();
    let found: Vec<_> = report.lines().filter(|line| line.starts_with("    /")).collect();
    for (name, what) in FORMS {
        let place = format!("/opt/planted/{name}");
        let named = |line: &&&str| line.contains(&format!("{place}: ")) || line.contains(&format!("{place} > "));
        let lines: Vec<_> = found.iter().filter(named).collect();
        assert!(lines.iter().any(|line| line.contains(what)), "{name}: {what} is not in {lines:#?}\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("/opt/removed"), "{}", run.stdout);
    // What was there is untouched, and nothing is beside it.
    assert_eq!(fs::read_to_string(larder.dir().join("image/planted.tar")).unwrap(), "the image from before");
    assert_eq!(fs::read_dir(larder.dir().join("image")).unwrap().count(), 1);

    // Accepting some of them does not accept the others.
    let run = larder.run(["build", "--force", "--allow-trace=/opt/planted/c*", "planted.pkr.hcl"]).expect(5);
    assert!(run.stdout.contains("accepted by --allow-trace: /opt/planted/ca.der"), "{}", run.stdout);
    assert!(run.stdout.contains("store.jks"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(larder.dir().join("image/planted.tar")).unwrap(), "the image from before");

    let run = larder.run(["build", "--force", "--allow-trace", "/opt/planted/**", "planted.pkr.hcl"]).expect(0);
    assert!(run.stdout.contains("accepted by --allow-trace: /opt/planted/store.jks"), "{}", run.stdout);
    host(larder.dir(), "tar -tf image/planted.tar ./opt/planted/store.jks");
}
