//! Builds at the same time that want the same files, in one Larder and in two.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::plain_origin::{Origin, head};
use crate::support::{Larder, Run, is_root};

const PACKAGE: &str = "/debian/pool/main/h/hello/hello_1.0_all.deb";
const HALF: usize = 1_000_000;

/// Two builds on the host that fetch the same, each into a file of its own name.
const FETCHING: &str = r#"
source "null" "a" {}
source "null" "b" {}
build {
  sources = ["source.null.a", "source.null.b"]
  provisioner "shell-local" {
    inline = [
      "curl -sSfN -o ${source.name}.deb http://example.org/debian/pool/main/h/hello/hello_1.0_all.deb",
      "curl -sSf -o ${source.name}.index http://example.org/debian/dists/stable/InRelease",
    ]
  }
}
"#;

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

#[test]
fn one_file_for_two_builds_is_fetched_once_and_streamed_to_both() {
    let larder = Larder::new();
    larder.write("template.pkr.hcl", FETCHING);
    let outputs = ["a", "b"].map(|name| larder.dir().join(format!("{name}.deb")));
    let origin = Origin::start(move |path, stream| {
        if path != PACKAGE {
            head(stream, "", 5)?;
            return stream.write_all(b"index");
        }
        head(stream, "", 2 * HALF)?;
        stream.write_all(&vec![1; HALF])?;
        // The second half comes once both have something of the first: a waiter that is given nothing before the
        // leader is done would wait for ever.
        let deadline = Instant::now() + Duration::from_secs(40);
        while outputs.iter().any(|output| length(output) == 0) {
            if Instant::now() > deadline {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        stream.write_all(&vec![2; HALF])
    });
    let run = larder.run(["build", "--ui=json", "--mirror", &origin.mirror(), "template.pkr.hcl"]).expect(0);
    for name in ["a.deb", "b.deb"] {
        let body = std::fs::read(larder.dir().join(name)).unwrap();
        assert!(body.len() == 2 * HALF && body[..HALF].iter().all(|&byte| byte == 1), "{name}");
    }
    assert_eq!(origin.requests().get(PACKAGE), Some(&1), "{:?}", origin.requests());
    // Which of the two index requests is first to be confirmed in this run is left to chance; it is stored once.
    assert_eq!(origin.requests().get("/debian/dists/stable/InRelease"), Some(&1));
    let mut outcomes: Vec<String> = flows(&run)
        .filter(|flow| flow["url"].as_str().unwrap().contains(".deb"))
        .map(|flow| flow["outcome"].as_str().unwrap().to_owned())
        .collect();
    outcomes.sort();
    assert_eq!(outcomes, ["COALESCED", "MISS"]);
    let _ = larder.run(["cache", "verify"]).expect(0);
}

fn flows(run: &Run) -> impl Iterator<Item = serde_json::Value> + use<> {
    run.events().into_iter().filter(|event| event["type"] == "flow").map(|mut event| event["flow"].take())
}

/// How many answers with a body upstream gave for each URL.
fn fetches(run: &Run) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for flow in flows(run).filter(|flow| flow["bytes_upstream"].as_u64() > Some(0)) {
        *counts.entry(flow["url"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// Two roots of the host's suite, bootstrapped at the same time.
const ROOTS: &str = r#"
source "rootfs" "a" {
  debian { variant = "essential" }
  output = "a"
}
source "rootfs" "b" {
  debian { variant = "essential" }
  output = "b"
}
build {
  sources = ["source.rootfs.a", "source.rootfs.b"]
  provisioner "shell" { inline = ["dpkg-query -W > /root/packages"] }
}
"#;

#[test]
fn two_roots_of_one_template_fetch_each_package_once() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    larder.write("template.pkr.hcl", ROOTS);
    let run = larder.run(["build", "--ui=json", "template.pkr.hcl"]).expect(0);
    let fetches = fetches(&run);
    assert!(fetches.len() > 20, "{fetches:?}");
    assert!(fetches.values().all(|&count| count == 1), "{fetches:?}");
    let packages = |name: &str| std::fs::read_to_string(larder.dir().join(name).join("root/packages")).unwrap();
    assert_eq!(packages("a"), packages("b"));
    assert_eq!(run.totals("package")["requests"].as_u64().unwrap() % 2, 0);
    let _ = larder.run(["cache", "verify"]).expect(0);
}

#[test]
fn two_larders_share_a_cold_cache() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let runs: Vec<_> = ["a", "b"]
        .map(|name| {
            larder.write("template.pkr.hcl", ROOTS);
            let only = format!("--only=rootfs.{name}");
            let mut command = larder.command(["build", "--ui=json", &only, "template.pkr.hcl"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .into_iter()
        .map(|child| Run::of(child.wait_with_output().unwrap()).expect(0))
        .collect();
    let packages = |name: &str| std::fs::read_to_string(larder.dir().join(name).join("root/packages")).unwrap();
    assert_eq!(packages("a"), packages("b"));
    let _ = larder.run(["cache", "verify"]).expect(0);
    // What both fetched is stored once, and neither lost what the other stored.
    let fetched = runs.iter().flat_map(fetches).filter(|(url, _)| url.contains("/pool/")).collect::<BTreeMap<_, _>>();
    let listed = larder.run(["cache", "ls", "--json", "/pool/"]).expect(0);
    assert_eq!(listed.stdout.lines().count(), fetched.len());
}
