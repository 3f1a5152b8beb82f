//! What package managers fetch, from a server of the test's own over intercepted TLS: first, again with nothing of their
//! own, and once more by another proxy with the same cache. A package is fetched once; an index is confirmed at most.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::clients::{apt, from_cache};
use crate::larder::{Larder, Run};
use crate::repository::{Daemon, Repository, free_port};
use crate::server::Server;

/// Marks a place in the list of flows.
const MARK: &str = "http://mark.example.org/mark";

/// Has a client fetch, into an empty folder.
type Fetch = fn(&Server, &Path);

/// Servers for every package manager, and the rules that lead there.
struct World {
    repository: Repository,
    _git: Daemon,
}

impl World {
    fn start() -> Self {
        let mut git = None;
        let repository = Repository::start_with(|root| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/ecosystems.py");
            let made = Command::new("python3").arg(script).arg(root).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let port = free_port();
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/git_origin.py");
            let mut server = Command::new("python3");
            server.arg(script).arg(port.to_string()).arg(root.join("repositories"));
            git = Some(Daemon::start(&mut server, port));
            let root = root.display();
            format!(
                "location = /npm/tiny-npm {{ alias {root}/packument.json; default_type application/json; }}
                 location /git/ {{ proxy_pass http://127.0.0.1:{port}/; }}
                 location /files/ {{ alias {root}/repositories/; }}"
            )
        });
        Self { repository, _git: git.unwrap() }
    }

    fn server(&self, larder: Larder, more: &[&str]) -> Server {
        let origin = self.repository.https();
        let mirrors = [
            ("deb.example.org", ""),
            ("pypi.example.org", ""),
            ("npm.example.org", "npm/"),
            ("index.example.org", "cargo/index/"),
            ("crates.example.org", "cargo/crates/"),
            ("go.example.org", "go/"),
            ("rpm.example.org", "rpm/"),
            ("git.example.org", "git/"),
            ("files.example.org", "files/"),
            ("mark.example.org", ""),
        ];
        let mirrors = mirrors.map(|(host, path)| format!("{host}={origin}/{path}"));
        let mut args = more.to_vec();
        args.extend(["--ca-file", self.repository.ca().to_str().unwrap()]);
        args.extend(mirrors.iter().flat_map(|mirror| ["--mirror", mirror]));
        Server::with(larder, &args, |command| {
            command.env("NO_PROXY", "*");
        })
    }

    /// What `fetch` asks for in the three rounds; each gets an empty folder.
    fn thrice(&self, fetch: Fetch) -> [Vec<Value>; 3] {
        let round = |server: &Server| {
            in_a_new_folder(server, fetch);
            server.flows_until(MARK)
        };
        let first = self.server(Larder::new(), &[]);
        let [one, two] = [round(&first), round(&first)];
        let other = self.server(first.larder.beside(), &[]);
        [one, two, round(&other)]
    }
}

fn in_a_new_folder(server: &Server, fetch: Fetch) {
    let folder = tempfile::Builder::new().prefix("client-").tempdir_in(server.larder.dir()).unwrap();
    fetch(server, folder.path());
}

fn of<'a>(flows: &'a [Value], class: &str) -> Vec<&'a Value> {
    flows.iter().filter(|flow| flow["class"] == class && flow["status"] != 404).collect()
}

fn upstream(flows: &[&Value]) -> u64 {
    flows.iter().map(|flow| flow["bytes_upstream"].as_u64().unwrap()).sum()
}

/// The first time so many packages and at least one index; and from then on not a byte of a package, and of an index
/// only what confirms it.
#[track_caller]
fn fetched_once([first, again, other]: &[Vec<Value>; 3], packages: usize) {
    assert_eq!(of(first, "package").len(), packages, "{first:#?}");
    assert!(!of(first, "index").is_empty() && upstream(&of(first, "package")) > 0, "{first:#?}");
    for round in [again, other] {
        assert_eq!(of(round, "package").len(), packages, "{round:#?}");
        let bytes = ["package", "index", "other"].map(|class| upstream(&of(round, class)));
        assert_eq!(bytes, [0; 3], "{round:#?}");
    }
    // The next run asks whether an index has changed.
    assert!(of(other, "index").into_iter().any(|flow| flow["outcome"] == "REVALIDATED"), "{other:#?}");
}

/// Whether a client is installed.
fn is_there(program: &str, args: &[&str]) -> bool {
    let there = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: there is no {program}");
    }
    there
}

fn apt_fetches(server: &Server, folder: &Path) {
    let source = "deb [trusted=yes] https://deb.example.org/debian stable main\n";
    // apt has no variable for it.
    let ca = format!("Acquire::https::CAInfo={}", server.bundle);
    let _ = server.run(&mut apt(folder, source, &["-o", &ca, "update"])).expect(0);
    let _ = server.run(&mut apt(folder, source, &["-o", &ca, "download", "tiny"])).expect(0);
    fs::remove_file(server.larder.dir().join("tiny_1.0_all.deb")).unwrap();
}

fn pip_fetches(server: &Server, folder: &Path) {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-cache-dir", "--disable-pip-version-check", "tiny-wheel", "-d"]);
    pip.arg(folder).args(["--index-url", "https://pypi.example.org/simple/"]);
    let _ = server.run(&mut pip).expect(0);
    assert!(folder.join("tiny_wheel-1.0-py3-none-any.whl").exists());
}

fn npm_fetches(server: &Server, folder: &Path) {
    fs::write(folder.join("package.json"), r#"{"name": "x", "dependencies": {"tiny-npm": "^1.0.0"}}"#).unwrap();
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix"]).arg(folder);
    npm.args(["--registry", "https://npm.example.org/", "--cache"]).arg(folder.join("npm-cache"));
    let _ = server.run(&mut npm).expect(0);
    assert!(folder.join("node_modules/tiny-npm/index.js").exists());
}

fn cargo_fetches(server: &Server, folder: &Path) {
    let manifest = "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
                    [dependencies]\ntiny-crate = { version = \"1\", registry = \"tiny\" }\n";
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // HOME is another here, where rustup's programs would look for a toolchain.
    let home = std::env::var_os("HOME").unwrap_or_default();
    let rustup = std::env::var_os("RUSTUP_HOME").unwrap_or_else(|| Path::new(&home).join(".rustup").into());
    let mut cargo = server.client("cargo");
    cargo.env("RUSTUP_HOME", rustup).env("CARGO_HOME", folder.join("cargo"));
    cargo.env("CARGO_REGISTRIES_TINY_INDEX", "sparse+https://index.example.org/");
    cargo.args(["fetch", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    let _ = Run::of(cargo.output().unwrap()).expect(0);
    assert!(folder.join("cargo/registry/cache").exists());
}

fn go_fetches(server: &Server, folder: &Path) {
    fs::write(folder.join("go.mod"), "module x\n\ngo 1.19\n\nrequire tiny.example.org/tiny v1.0.0\n").unwrap();
    let mut go = server.client("go");
    go.args(["mod", "download", "-modcacherw", "tiny.example.org/tiny@latest"]).current_dir(folder);
    go.env("GOPROXY", "https://go.example.org").env("GONOSUMDB", "*").env("GOFLAGS", "-mod=mod");
    go.env("GOPATH", folder.join("go")).env("GOCACHE", folder.join("cache"));
    let _ = Run::of(go.output().unwrap()).expect(0);
    assert!(folder.join("go/pkg/mod/tiny.example.org/tiny@v1.0.0/tiny.go").exists());
}

const SPEC: &str = "Name: tiny-rpm\nVersion: 1.0\nRelease: 1\nSummary: Tiny\nLicense: MIT\nBuildArch: noarch\n\
                    %description\nTiny.\n%install\nmkdir -p %{buildroot}/usr/share\n\
                    head -c 100000 /dev/zero >%{buildroot}/usr/share/tiny-rpm\n%files\n/usr/share/tiny-rpm\n";

/// A repository of one package, below what is served.
fn publish_rpm(repository: &Repository) {
    let (folder, work) = (repository.served_from().join("rpm"), tempfile::tempdir().unwrap());
    fs::create_dir_all(&folder).unwrap();
    let spec = work.path().join("tiny.spec");
    fs::write(&spec, SPEC).unwrap();
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--define"]).arg(format!("_topdir {}", work.path().display()));
    rpmbuild.args(["--define", &format!("_rpmdir {}", folder.display())]).arg(&spec).env("HOME", work.path());
    let _ = Run::of(rpmbuild.output().expect("rpmbuild is there (Debian's package rpm)")).expect(0);
    let mut createrepo = Command::new("createrepo_c");
    createrepo.arg("--quiet").arg(&folder);
    let _ = Run::of(createrepo.output().expect("createrepo_c is there (Debian's package createrepo-c)")).expect(0);
}

fn dnf_fetches(server: &Server, folder: &Path) {
    let root = folder.join("root");
    fs::create_dir_all(root.join("etc/yum.repos.d")).unwrap();
    let mut dnf = server.client("dnf");
    dnf.args(["install", "--downloadonly", "--assumeyes", "--releasever=1", "--installroot"]).arg(&root);
    dnf.args(["--disablerepo=*", "--repofrompath=tiny,https://rpm.example.org/", "--enablerepo=tiny"]);
    for option in ["tiny.gpgcheck=0", "plugins=0", "reposdir=/dev/null", "zchunk=0"] {
        dnf.arg(format!("--setopt={option}"));
    }
    dnf.arg(format!("--setopt=sslcacert={}", server.bundle));
    dnf.arg(format!("--setopt=cachedir={}", folder.join("cache").display()));
    dnf.arg(format!("--setopt=logdir={}", folder.join("log").display()));
    dnf.arg("--downloaddir").arg(folder.join("got")).arg("tiny-rpm");
    let _ = Run::of(dnf.output().expect("dnf is there (Debian's package dnf)")).expect(0);
    assert!(folder.join("got/tiny-rpm-1.0-1.noarch.rpm").exists());
}

#[test]
fn dnf_fetches_a_package_once() {
    let world = World::start();
    publish_rpm(&world.repository);
    let rounds = world.thrice(dnf_fetches);
    fetched_once(&rounds, 1);
}

#[test]
fn apt_fetches_a_package_once() {
    let world = World::start();
    let rounds = world.thrice(apt_fetches);
    fetched_once(&rounds, 1);
}

#[test]
fn pip_fetches_a_wheel_once() {
    let world = World::start();
    let rounds = world.thrice(pip_fetches);
    fetched_once(&rounds, 1);
}

#[test]
fn npm_fetches_a_tarball_once() {
    if !is_there("npm", &["--version"]) {
        return;
    }
    let world = World::start();
    let rounds = world.thrice(npm_fetches);
    fetched_once(&rounds, 1);
}

#[test]
fn cargo_fetches_a_crate_once() {
    let world = World::start();
    let rounds = world.thrice(cargo_fetches);
    fetched_once(&rounds, 1);
}

#[test]
fn go_fetches_a_module_once() {
    if !is_there("go", &["version"]) {
        return;
    }
    let world = World::start();
    let rounds = world.thrice(go_fetches);
    // .info, .mod and .zip.
    fetched_once(&rounds, 3);
}

fn clone(server: &Server, url: &str, folder: &Path) {
    let mut git = server.client("git");
    git.args(["clone", "-q", url]).arg(folder.join("clone"));
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let _ = Run::of(git.output().unwrap()).expect(0);
    assert_eq!(fs::read_to_string(folder.join("clone/hello")).unwrap(), "hello from git\n");
}

/// A server that packs for each client answers a POST, which no cache may answer; it passes, and is not stored.
#[test]
fn git_clones_and_nothing_of_it_is_stored() {
    let world = World::start();
    let rounds = world.thrice(|server, folder| clone(server, "https://git.example.org/tiny.git", folder));
    for flows in &rounds {
        assert!(flows.iter().any(|flow| flow["method"] == "POST" && flow["outcome"] == "BYPASS"), "{flows:#?}");
        assert!(flows.iter().all(|flow| flow["intercepted"] == true && !from_cache(flow)), "{flows:#?}");
    }
}

/// Of a server that has only files, what is named by its content is fetched once.
#[test]
fn git_fetches_objects_once_from_a_server_of_files() {
    let world = World::start();
    let [_, again, other] = world.thrice(|server, folder| clone(server, "https://files.example.org/tiny.git", folder));
    for flows in [again, other] {
        let objects: Vec<&Value> = flows
            .iter()
            .filter(|flow| flow["url"].as_str().unwrap().contains("/objects/") && flow["status"] == 200)
            .collect();
        assert!(!objects.is_empty(), "{flows:#?}");
        assert_eq!(upstream(&objects), 0, "{flows:#?}");
    }
}

/// What was fetched once is all a client needs where there is no network, also from a copy of the cache.
#[test]
fn a_copied_cache_serves_every_client_offline() {
    let clients: [(&str, Fetch); 5] = [
        ("apt-get", apt_fetches),
        ("python3", pip_fetches),
        ("npm", npm_fetches),
        ("cargo", cargo_fetches),
        ("go", go_fetches),
    ];
    let there =
        |(program, _): &(&str, Fetch)| is_there(program, &[if *program == "go" { "version" } else { "--version" }]);
    let clients: Vec<_> = clients.into_iter().filter(there).collect();
    let (home, elsewhere) = (Larder::new(), Larder::new());
    let world = World::start();
    let server = world.server(home.beside(), &[]);
    for (_, fetch) in &clients {
        in_a_new_folder(&server, *fetch);
    }
    server.terminate();
    assert_eq!(server.wait().0, Some(0));
    let copied = Command::new("cp").arg("-r").arg(home.cache()).arg(elsewhere.cache()).status().unwrap();
    assert!(copied.success());
    let server = world.server(elsewhere, &["--net", "offline"]);
    drop(world);
    for (program, fetch) in clients {
        in_a_new_folder(&server, fetch);
        let flows = server.flows_until(MARK);
        assert!(of(&flows, "package").iter().any(|flow| flow["status"] == 200), "{program}: {flows:#?}");
        assert_eq!(upstream(&flows.iter().collect::<Vec<_>>()), 0, "{program}: {flows:#?}");
    }
}
