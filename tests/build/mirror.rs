//! A mirror map: guests and commands ask for public names that nobody has; a private server is all there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::repository::Repository;
use crate::support::{Larder, Run, is_root};

const PACKAGES: [&str; 2] = ["tiny_1.0_all.deb", "tiny_wheel-1.0-py3-none-any.whl"];

const TEMPLATE: &str = r#"
source "rootfs" "mirrored" {
  debian {
    variant = "apt"
    include = ["python3-venv"]
  }
  output = "mirrored"
}

build {
  sources = ["source.rootfs.mirrored"]

  provisioner "shell" {
    name   = "tools"
    inline = [
      "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*",
      "echo 'deb [trusted=yes] http://DEB/debian stable main' > /etc/apt/sources.list",
      "apt-get update",
      "apt-get install -y tiny",
      "cat /usr/share/tiny/hello",
      "python3 -m venv /opt/venv",
      "/opt/venv/bin/pip install --no-cache-dir --index-url https://PYPI/simple/ tiny-wheel",
      "/opt/venv/bin/python -c 'import tiny_wheel'",
    ]
  }
}
"#;

/// Names of this run's own: the cache is shared with runs before it, whose repositories had other digests.
struct Names {
    deb: String,
    pypi: String,
}

impl Names {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        Self { deb: format!("deb-{now}.example.org"), pypi: format!("pypi-{now}.example.org") }
    }

    fn put_into(&self, text: &str) -> String {
        text.replace("DEB", &self.deb).replace("PYPI", &self.pypi)
    }
}

fn mirrors(repository: &Repository, names: &Names) -> [String; 3] {
    [
        format!("--mirror={}={}/", names.deb, repository.http()),
        format!("--mirror=https://{}/={}/", names.pypi, repository.https()),
        format!("--ca-file={}", repository.ca().display()),
    ]
}

#[test]
fn a_guest_and_a_command_of_the_host_use_public_names() {
    if !is_root() {
        return;
    }
    let repository = Repository::start();
    let larder = Larder::with_shared_cache();
    let names = Names::new();
    larder.write("mirrored.pkr.hcl", &names.put_into(TEMPLATE));
    let mirrors = mirrors(&repository, &names);
    let build = |more: &[&str]| {
        let args = ["build", "--ui=json", "--force"].into_iter().chain(mirrors.iter().map(String::as_str));
        larder.run(args.chain(more.iter().copied()).chain(["mirrored.pkr.hcl"]))
    };
    let first = build(&[]).expect(0);
    assert!(first.stdout.contains("hello from tiny") && first.stdout.contains("hello from the wheel"));
    for (name, url) in asked_for(&first) {
        assert!(url.contains(".example.org/"), "{name} was kept as {url}");
    }
    assert_eq!(PACKAGES.map(|name| repository.served(name)), [1, 1]);
    assert!(larder.dir().join("mirrored/usr/share/tiny/hello").exists());
    // The same again, with the private server gone too.
    drop(repository);
    let again = build(&["--net=offline"]).expect(0);
    assert_eq!(again.totals("package")["bytes_upstream"], 0);
    // A command of the host finds them under the same names.
    let wheels = larder.dir().join("wheels");
    let index = names.put_into("https://PYPI/simple/");
    let exec = ["exec", "--net=offline", "--", "python3", "-m", "pip", "download", "--no-cache-dir", "--no-deps"];
    let pip = exec.into_iter().chain(["--index-url", &index, "-d", "wheels", "tiny-wheel"]);
    let pip = larder.run(pip).expect(0);
    assert!(wheels.join(PACKAGES[1]).exists(), "{}", pip.stderr);
}

#[test]
fn apt_of_the_host_in_the_cage_uses_public_names() {
    if !is_root() {
        return;
    }
    let repository = Repository::start();
    let larder = Larder::new();
    let names = Names::new();
    let source = larder.write("sources.list", &names.put_into("deb [trusted=yes] http://DEB/debian stable main\n"));
    for directory in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(larder.dir().join(directory)).unwrap();
    }
    let at = |name: &str| larder.dir().join(name).display().to_string();
    let mut options = vec!["-oAPT::Sandbox::User=root".to_owned(), "-oDir::Etc::sourceparts=/dev/null".to_owned()];
    options.push(format!("-oDir::Etc::sourcelist={}", source.display()));
    options.push(format!("-oDir::State::lists={}", at("lists")));
    options.push(format!("-oDir::Cache={}", at("cache")));
    for command in [["update"].as_slice(), &["download", "tiny"]] {
        let args = ["exec".to_owned()].into_iter().chain(mirrors(&repository, &names));
        let args = args.chain(["--", "apt-get"].map(str::to_owned)).chain(options.clone());
        let _ = larder.run(args.chain(command.iter().map(ToString::to_string))).expect(0);
    }
    let deb = Path::new(&at("tiny_1.0_all.deb")).to_owned();
    let shown = Command::new("dpkg-deb").args(["-f"]).arg(deb).arg("Package").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "tiny\n");
    assert_eq!(repository.served(PACKAGES[0]), 1);
}

/// Packages among the flows of a build, with the URLs they were asked for under.
fn asked_for(run: &Run) -> BTreeSet<(&'static str, String)> {
    let events = run.events();
    let urls = events.iter().filter_map(|event| event["flow"]["url"].as_str());
    let found: BTreeSet<_> = urls
        .filter_map(|url| PACKAGES.iter().find(|name| url.ends_with(**name)).map(|name| (*name, url.to_owned())))
        .collect();
    assert_eq!(found.len(), PACKAGES.len(), "{found:?}");
    found
}
