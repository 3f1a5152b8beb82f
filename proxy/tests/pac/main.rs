//! A PAC file of eight rules, asked about 240 URLs, by Larder and by `pactester` of pacparser: the same answers.
#![expect(clippy::unwrap_used, reason = "a peer of a test that fails ends the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use larder_proxy::pac::{Directive, Pac, Source};
use url::Url;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pac/eight_rules.pac")
}

/// Every host with every path, under one scheme and port each in turn.
fn urls() -> Vec<String> {
    let hosts = [
        "intranet",
        "portal",
        "portal.example.org",
        "example.org",
        "www.example.org",
        "a.b.example.org",
        "notexample.org",
        "corp.example.net",
        "git.corp.example.net",
        "www.example.net",
        "box.test",
        "10.1.2.3",
        "172.31.255.255",
        "172.32.0.1",
        "192.0.2.127",
        "192.0.2.129",
        "198.51.100.7",
        "203.0.113.8",
        "mirror3.example.com",
        "mirror7.example.com",
        "m1.mirrors.example.com",
        "m12.mirrors.example.com",
        "www.example.com",
        "deep.er.www.example.com",
    ];
    let paths = ["/", "/pub/x.tar", "/images/disk.iso", "/images/disk.iso?x=1", "/a/b.qcow2", "/pool/main/p.deb"];
    let places = ["http://{}", "https://{}", "http://{}:8080", "https://{}:8443", "https://{}:8080"];
    let mut found = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        for (step, path) in paths.iter().enumerate() {
            let place = places[(number + step) % places.len()].replace("{}", host);
            found.push(format!("{place}{path}"));
        }
    }
    for path in ["/pub/", "/x.img", "/x.IMG", "/a:8443/b", "/pubs/x", "/?u=http://y/pub/"] {
        for host in ["www.example.com", "a.b.c.example.com", "cdn.example.io", "example.io", "mirror0.io", "mirror5.io"]
        {
            found.push(format!("http://{host}{path}"));
            found.push(format!("https://{host}{path}"));
            found.push(format!("http://{host}:8080{path}"));
        }
    }
    found
}

/// What a script may see of a URL in a browser of today: of `https` neither path nor query. pactester shows it all.
fn seen(url: &str) -> String {
    let url = Url::parse(url).unwrap();
    if url.scheme() == "https" { url.join("/").unwrap().to_string() } else { url.to_string() }
}

/// pactester's answers, in order. It is of Debian's libpacparser1, which tests/run installs.
fn by_pacparser(urls: &[String]) -> Vec<String> {
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), urls.iter().map(|url| seen(url) + "\n").collect::<String>()).unwrap();
    let output = Command::new("pactester").arg("-p").arg(script()).arg("-f").arg(list.path()).output();
    let output = output.expect("pactester is missing: apt-get install libpacparser1");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.rsplit_once(" : ").unwrap_or_else(|| panic!("{line}")).1.to_owned()).collect()
}

/// An answer with the ports that it leaves out, which Larder's words always have.
fn with_ports(answer: &str) -> String {
    let entries = answer.split(';').map(str::trim).map(|entry| match entry {
        "SOCKS socks.example.org" => "SOCKS socks.example.org:1080".to_owned(),
        other => other.to_owned(),
    });
    entries.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn eight_rules_and_hundreds_of_urls_give_the_answers_of_pacparser() {
    let pac = Pac::new(Source::File(script()), Vec::new());
    let urls = urls();
    assert!(urls.len() >= 200, "{}", urls.len());
    let theirs = by_pacparser(&urls);
    assert_eq!(theirs.len(), urls.len());
    let mut kinds = std::collections::BTreeSet::new();
    for (url, theirs) in urls.iter().zip(&theirs) {
        let ours = pac.directives(&Url::parse(url).unwrap()).await.unwrap();
        let ours = ours.iter().map(Directive::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(ours, with_ports(theirs), "{url}");
        kinds.insert(ours);
    }
    // Each rule decides about some of them; the sentence after the last decides about none.
    assert_eq!(kinds.len(), 9, "{kinds:#?}");
    assert!(!kinds.iter().any(|kind| kind.contains("never")), "{kinds:#?}");
}
