//! What an origin and a parent are sent, byte by byte, as Larder is and with `anonymize`; see
//! `tests/support/peers/anonymize.py`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::larder::Run;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/peers/anonymize.py");
const CLIENTS: [&str; 6] = ["apt", "apt over TLS", "pip", "npm", "curl", "curl over TLS"];

fn driver(ways: &[&str]) -> Value {
    let mut command = Command::new("python3");
    command.arg(DRIVER).args(ways).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    let run = Run::of(command.output().unwrap()).expect(0);
    serde_json::from_str(&run.stdout).unwrap()
}

/// The heads that one side was sent by a client, in the order they came.
fn heads<'a>(told: &'a Value, way: &str, client: &str, side: &str) -> Vec<&'a str> {
    let heads = told[way]["clients"][client][side].as_array().unwrap();
    assert!(!heads.is_empty(), "{way}, {client}: nothing came to the {side}");
    heads.iter().map(|head| head.as_str().unwrap()).collect()
}

/// The lines of a head; of those that differ from run to run, what does not.
fn lines(head: &str) -> BTreeSet<&str> {
    let head = head.strip_suffix("\r\n\r\n").unwrap();
    head.split("\r\n").map(|line| line.split_once("larder-").map_or(line, |(name, _)| name)).collect()
}

/// The lines of each head but for those left out; parallel requests come in any order.
fn sorted<'a>(heads: &[&'a str], left_out: &[&str]) -> BTreeSet<BTreeSet<&'a str>> {
    let others = |head: &&'a str| lines(head).into_iter().filter(|line| !left_out.contains(line)).collect();
    heads.iter().map(others).collect()
}

#[test]
fn with_anonymize_neither_origin_nor_parent_learns_who_asks() {
    let told = driver(&["as it is", "anonymize"]);
    let ours = ["surrogate-capability: larder=\"Surrogate/1.0\"", "via: 1.1 ", "via: 2.0 "];
    for client in CLIENTS {
        for side in ["origin", "parent"] {
            let (open, shut) = (heads(&told, "as it is", client, side), heads(&told, "anonymize", client, side));
            assert_eq!(open.len(), shut.len(), "{client}, {side}");
            if client.starts_with("curl") {
                continue;
            }
            // Of what package managers send, Larder's own lines are gone, and nothing else; parallel ones in any order.
            assert_eq!(sorted(&open, &ours), sorted(&shut, &[]), "{client}, {side}");
        }
        let by_tls = client.contains("TLS") || ["pip", "npm"].contains(&client);
        for way in ["as it is", "anonymize"] {
            for connect in heads(&told, way, client, "parent").iter().filter(|_| by_tls) {
                let target = lines(connect).into_iter().find_map(|line| line.strip_prefix("Host: ")).unwrap();
                assert_eq!(*connect, format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
            }
        }
    }
    let plain = "authorization: Bearer t0ken\r\nuser-agent: curl\r\naccept: */*\r\nhost: deb.example.org\r\n\r\n";
    let path = "/debian/dists/stable/Release?plain HTTP/1.1\r\n";
    assert_eq!(heads(&told, "anonymize", "curl", "origin"), [format!("GET {path}{plain}")]);
    assert_eq!(heads(&told, "anonymize", "curl", "parent"), [format!("GET http://deb.example.org{path}{plain}")]);
    let open = heads(&told, "as it is", "curl", "origin").concat();
    for line in ["referer: https://private", "cookie: session", "from: me", "via: 1.1 gateway", "via: 1.1 larder-"] {
        assert!(open.contains(line), "without it there is nothing to see: {open}");
    }
    let secret = heads(&told, "anonymize", "curl over TLS", "origin").concat();
    for word in ["private.example.net", "s3cret", "gateway", "192.0.2.7", "me@", "arder", "via"] {
        assert!(!secret.contains(word), "{word}: {secret}");
    }
    assert!(secret.contains("authorization: Bearer t0ken"), "{secret}");
}

#[test]
fn names_are_looked_up_by_the_upstream_alone() {
    let told = driver(&["anonymize", "socks5", "socks5, anonymize", "direct"]);
    for way in ["anonymize", "socks5, anonymize"] {
        assert_eq!(told[way]["names"], serde_json::json!([]), "{way}");
    }
    // By itself, socks5:// is for names that are resolved here.
    assert!(told["socks5"]["names"].to_string().contains("pypi.example.org"), "{told}");
    // The resolver does see what is looked up.
    assert!(told["direct"]["names"].to_string().contains("pypi.example.org"), "{told}");
}

#[test]
fn every_client_has_the_user_agent_that_is_asked_for() {
    let told = driver(&["with a User-Agent"]);
    for client in CLIENTS {
        for head in heads(&told, "with a User-Agent", client, "origin") {
            assert!(head.contains("\r\nuser-agent: fetch\r\n"), "{client}: {head}");
        }
    }
}
