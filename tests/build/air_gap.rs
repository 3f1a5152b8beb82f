//! A build recorded where there is a network, repeated where there is none, and what is said of what is missing.

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::busybox;
use crate::plain_origin::Origin;
use crate::schema::assert_valid_events;
use crate::support::{Larder, Run, is_root};

const TEMPLATE: &str = r#"
source "rootfs" "a" {
  base          = "http://base.example.org/base.tar"
  base_checksum = "none"
  output        = "a"
}

build {
  sources = ["source.rootfs.a"]

  provisioner "shell" {
    name = "one"
    inline = [
      "wget -q -O /tmp/x http://public.example.org/pool/one_1.0_all.deb",
      "wget -q -O /tmp/x http://public.example.org/absent 2>/tmp/why || grep 404 /tmp/why",
      "rm /tmp/x /tmp/why",
    ]
  }

  provisioner "shell" {
    name = "two"
    inline = ["wget -q -O /tmp/x http://public.example.org/pool/two_1.0_all.deb", "rm /tmp/x"]
  }
}
"#;

/// Bodies of packages, by path.
const BODIES: [(&str, &str); 3] =
    [("/pool/one_1.0_all.deb", "one"), ("/pool/two_1.0_all.deb", "two"), ("/pool/three_1.0_all.deb", "three")];

struct Bed {
    larder: Larder,
    origin: Origin,
}

impl Bed {
    fn new() -> Self {
        let larder = Larder::new();
        let root = larder.dir().join("root");
        busybox::root(&root);
        busybox::host(larder.dir(), "ln -s busybox root/bin/wget && tar -C root -cf base.tar .");
        let base = std::fs::read(larder.dir().join("base.tar")).unwrap();
        let mut files = vec![("/base.tar", "Content-Type: application/x-tar\r\n", base)];
        files.extend(
            BODIES.map(|(path, body)| (path, "Content-Type: application/vnd.debian.binary-package\r\n", body.into())),
        );
        let origin = Origin::serving(&files);
        larder.write("a.pkr.hcl", TEMPLATE);
        Self { larder, origin }
    }

    /// Runs larder with both public names leading to the origin.
    fn run(&self, args: &[&str]) -> Run {
        let mirror = |name: &str| format!("--mirror={name}=http://{}/", self.origin.address);
        let mirrors = [mirror("public.example.org"), mirror("base.example.org")];
        let (command, rest) = args.split_first().unwrap();
        self.larder.run([*command].into_iter().chain(mirrors.iter().map(String::as_str)).chain(rest.iter().copied()))
    }

    /// Loses the body of a stored package.
    fn lose(&self, body: &str) {
        let digest = hex::encode(Sha256::digest(body));
        let path: PathBuf = [&digest[..2], &digest[2..4], &digest[4..]].iter().collect();
        std::fs::remove_file(self.larder.cache().join("v1/content-v2/sha256").join(path)).unwrap();
    }

    fn record(&self) -> Value {
        let run = self.larder.run(["history", "record", "last", "--json"]).expect(0);
        serde_json::from_str(&run.stdout).unwrap()
    }

    fn plan(&self, code: i32) -> Value {
        let run = self.larder.run(["plan", "--net=offline", "--json", "a.pkr.hcl"]).expect(code);
        serde_json::from_str(&run.stdout).unwrap()
    }
}

/// The entries of a record that are not of its one run: lines of its file.
fn entries(bed: &Bed) -> Vec<String> {
    let run = bed.larder.run(["history", "record", "last", "--json"]).expect(0);
    run.stdout
        .lines()
        .filter(|line| line.contains("\"url\":\"http"))
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect()
}

fn missing(run: &Run) -> Vec<(String, Option<String>)> {
    assert_valid_events(run);
    let events = run.events();
    let table = &events.last().unwrap()["missing"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let requests = table["requests"].as_array().unwrap_or_else(|| panic!("{table}"));
    requests.iter().map(|one| (text(&one["url"]).unwrap(), text(&one["nearest"]["url"]))).collect()
}

#[test]
fn a_recorded_build_is_repeated_offline() {
    if !is_root() {
        return;
    }
    let bed = Bed::new();
    let plan = bed.run(&["plan", "--json", "a.pkr.hcl"]).expect(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["builds"][0]["fetches"][0]["cache"], "missing", "{plan}");
    assert_eq!(plan["builds"][0]["provisioners"][1], "shell (two)");
    let run = bed.run(&["build", "--ui=json", "a.pkr.hcl"]).expect(0);
    // The steps are those that were told.
    let begun: Vec<Value> = run
        .events()
        .into_iter()
        .filter(|event| event["type"] == "step-started")
        .map(|event| event["step"].clone())
        .collect();
    let told: Vec<Value> =
        plan["builds"][0]["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(begun[..told.len()], told);
    let record = bed.record();
    assert_eq!((&record["complete"], &record["egress"]), (&Value::Bool(true), &"enforced".into()), "{record}");
    let urls: Vec<(&str, &str, u64)> = record["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap();
            (text("url"), text("kind"), entry["status"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        urls,
        [
            ("http://base.example.org/base.tar", "mutable", 200),
            ("http://public.example.org/absent", "negative", 404),
            ("http://public.example.org/pool/one_1.0_all.deb", "immutable", 200),
            ("http://public.example.org/pool/two_1.0_all.deb", "immutable", 200),
        ]
    );
    assert_eq!(record["entries"][2]["steps"][0], "shell (one)");
    let first = entries(&bed);
    assert_eq!(first.len(), 4);
    // Without any network, and without the mirrors' rules.
    let offline = bed.larder.run(["build", "--net=offline", "--ui=json", "--force", "a.pkr.hcl"]).expect(0);
    assert_eq!(offline.events().last().unwrap().get("missing"), None);
    assert_eq!(entries(&bed), first, "what was fetched is the same, byte by byte");
    assert_eq!(bed.plan(0)["sums"]["missing"]["count"], 0);
}

#[test]
fn what_is_missing_is_told_with_what_comes_near() {
    if !is_root() {
        return;
    }
    let bed = Bed::new();
    let _ = bed.run(&["build", "--ui=json", "a.pkr.hcl"]).expect(0);
    bed.lose("two");
    let plan = bed.plan(4);
    assert_eq!(plan["sums"]["missing"]["count"], 1, "{plan}");
    let offline = bed.larder.run(["build", "--net=offline", "--ui=json", "--force", "a.pkr.hcl"]).expect(4);
    let url = |name: &str| format!("http://public.example.org/pool/{name}_all.deb");
    assert_eq!(missing(&offline), [(url("two_1.0"), Some(url("one_1.0")))]);
    assert_eq!(bed.record()["complete"], false);
    // A package is added, in a version that was never fetched; and what a later step wants is lost.
    let text = TEMPLATE.replace("one_1.0", "one_1.1");
    bed.larder.write("a.pkr.hcl", &text);
    let args = ["build", "--net=offline", "--force", "a.pkr.hcl"];
    let stopped = bed.larder.run(args.into_iter().chain(["--ui=json"])).expect(4);
    assert_eq!(missing(&stopped), [(url("one_1.1"), Some(url("one_1.0")))], "the build ends at the step");
    let all = bed.larder.run(args.into_iter().chain(["--ui=json", "--keep-going"])).expect(4);
    assert_eq!(
        missing(&all).into_iter().map(|(url, _)| url).collect::<Vec<_>>(),
        [url("one_1.1"), url("two_1.0")],
        "the last complete record tells of the second"
    );
    let shown = bed.larder.run(args.into_iter().chain(["--ui=plain", "--keep-going"])).expect(4);
    for line in [
        "==> Not in the cache, and the run was offline",
        "    asked by rootfs.a, step shell (one)",
        "    nearest: one_1.0_all.deb (another version)",
        "  larder build a.pkr.hcl",
        "  larder bundle export last -o offline.tar.zst",
    ] {
        assert!(shown.stdout.lines().any(|found| found == line), "{line}: {}", shown.stdout);
    }
    let list = shown.stdout.lines().find_map(|line| line.strip_prefix("The URLs alone: ")).unwrap();
    assert_eq!(std::fs::read_to_string(list).unwrap(), format!("{}\n{}\n", url("one_1.1"), url("two_1.0")));
}

#[test]
fn a_command_of_the_host_is_recorded_too() {
    if !is_root() {
        return;
    }
    let bed = Bed::new();
    let fetch = "curl -sS --fail -o /dev/null http://public.example.org/pool/three_1.0_all.deb; curl -sS -X POST http://public.example.org/post";
    let run = bed.run(&["exec", "--", "sh", "-c", fetch]).expect(0);
    let id = run.stderr.lines().find_map(|line| line.strip_prefix("What it fetched: larder history record ")).unwrap();
    let shown = bed.larder.run(["history", "record", id]).expect(0);
    assert!(shown.stdout.contains("immutable") && shown.stdout.contains("/pool/three_1.0_all.deb"), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("  POST http://public.example.org/post: passed around the cache"),
        "{}",
        shown.stdout
    );
    let miss = "curl -sS -o /dev/null -w '%{http_code}' http://public.example.org/pool/three_1.1_all.deb";
    let offline = bed.run(&["exec", "--net=offline", "--", "sh", "-c", miss]).expect(0);
    assert_eq!(offline.stdout, "403");
    assert!(offline.stderr.contains("nearest: three_1.0_all.deb (another version)"), "{}", offline.stderr);
}
