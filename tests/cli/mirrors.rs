//! `larder mirrors`, on a machine that is made up: nothing of the one the tests run on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;

use super::support::Run;
use super::{Larder, assert_shown};

const FILES: &[(&str, &str)] = &[
    ("etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n"),
    (
        "etc/apt/sources.list",
        "deb https://repo.example.net/artifactory/debian-remote bookworm main\n\
         deb https://repo.example.net/artifactory/security-remote bookworm-security main\n",
    ),
    ("etc/apt/auth.conf.d/repo.conf", "machine repo.example.net login ci password s3cret\n"),
    ("etc/apt/apt.conf.d/90proxy", "Acquire::https::Proxy \"http://proxy.example.net:3128\";\n"),
    ("etc/pip.conf", "[global]\nindex-url = https://ci:s3cret@repo.example.net/artifactory/api/pypi/pypi/simple\n"),
    (
        "home/me/.npmrc",
        "registry=https://repo.example.net/artifactory/api/npm/npm/\n//repo.example.net/:_authToken=${NPM_TOKEN}\n\
         @corp:registry=https://corp.example.net/\n",
    ),
    (
        "home/me/.cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"repo\"\n[source.repo]\n\
         registry = \"sparse+https://repo.example.net/artifactory/api/cargo/crates/index/\"\n",
    ),
    (
        "home/me/.config/go/env",
        "GOPROXY=https://repo.example.net/artifactory/api/go/go|https://goproxy.example.org,direct\n",
    ),
    ("etc/docker/daemon.json", r#"{"registry-mirrors": ["https://docker.example.net"]}"#),
];

const PUBLIC: [&str; 9] = [
    "debian=deb.example.org",
    "debian-security=deb.example.org",
    "debian-security=security.example.org",
    "pypi=pypi.example.org",
    "npm=npm.example.org",
    "cargo=index.example.org",
    "crates=crates.example.org",
    "go=goproxy.example.org",
    "docker=registry.example.org",
];

/// A user of a machine whose tools are set to mirrors; the machine's root is `machine` in the working directory.
struct Bed(Larder);

impl Bed {
    fn new() -> Self {
        let larder = Larder::new();
        for (path, text) in FILES {
            larder.write(&format!("machine/{path}"), text);
        }
        Self(larder)
    }

    fn run(&self, args: &[&str]) -> Run {
        let mut command = self.0.command(args);
        command.env("HOME", "/home/me").env("XDG_CONFIG_HOME", self.0.dir().join("config"));
        Run::of(command.output().unwrap())
    }

    /// With every public name told.
    fn init(&self, args: &[&str]) -> Run {
        let public: Vec<&str> = PUBLIC.iter().flat_map(|name| ["--public", name]).collect();
        self.init_knowing(&[args, &public].concat())
    }

    fn init_knowing(&self, args: &[&str]) -> Run {
        let run = self.run(&[&["mirrors", "init", "--root", "machine"], args].concat());
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(!all.contains("s3cret"), "{all}");
        run
    }

    fn settings(&self) -> String {
        fs::read_to_string(self.0.dir().join("config/larder/config.toml")).unwrap()
    }

    fn shown(&self, run: &Run) -> String {
        super::shown(&self.0, run)
    }
}

#[test]
fn a_map_is_proposed_from_what_the_tools_are_set_to() {
    let bed = Bed::new();
    insta::assert_snapshot!("mirrors_init", bed.shown(&bed.init(&[])));
    let json: serde_json::Value = serde_json::from_str(&bed.init(&["--json"]).expect(0).stdout).unwrap();
    assert_eq!(json["proposals"][0]["mirror"]["netrc_file"], "/etc/apt/auth.conf.d/repo.conf");
    assert_eq!(json["written"], serde_json::Value::Null);
    assert!(!bed.0.dir().join("config").exists(), "nothing is written unasked");
}

#[test]
fn what_is_proposed_can_be_read_back() {
    let bed = Bed::new();
    insta::assert_snapshot!("mirrors_init_write", bed.shown(&bed.init(&["--write"])));
    let proposed = bed.init(&["--json"]).expect(0);
    let proposed: serde_json::Value = serde_json::from_str(&proposed.stdout).unwrap();
    let names: std::collections::BTreeSet<&str> = proposed["proposals"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["public"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    let listed: serde_json::Value =
        serde_json::from_str(&bed.run(&["mirrors", "list", "--json"]).expect(0).stdout).unwrap();
    let read: std::collections::BTreeSet<&str> =
        listed["mirrors"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, read);
    insta::assert_snapshot!("mirrors_list", bed.shown(&bed.run(&["mirrors"])));
    let before = bed.settings();
    insta::assert_snapshot!("mirrors_init_again", bed.shown(&bed.init(&["--write"])));
    assert_eq!(bed.settings(), before);
}

#[test]
fn public_names_come_from_the_user_or_the_cache_or_are_left_open() {
    let bed = Bed::new();
    for path in
        ["etc/apt/sources.list", "etc/apt/apt.conf.d/90proxy", "home/me/.cargo/config.toml", "home/me/.config/go/env"]
    {
        fs::remove_file(bed.0.dir().join("machine").join(path)).unwrap();
    }
    let only_npm = ["--public", "npm=npm.example.org"];
    insta::assert_snapshot!("mirrors_init_open", bed.shown(&bed.init_knowing(&only_npm)));
    assert!(!bed.0.cache().exists(), "no cache is made");
    insta::assert_snapshot!(
        "mirrors_init_open_write",
        bed.shown(&bed.init_knowing(&[&only_npm[..], &["--write"]].concat()))
    );
    let json = bed.init_knowing(&["--json"]).expect(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["proposals"][0]["public"], &json["proposals"][0]["ecosystem"]),
        (&serde_json::Value::Null, &"pypi".into())
    );

    let store = larder_proxy::store::Store::open(bed.0.cache()).unwrap();
    for (number, url) in ["https://pypi.example.org/simple/six/", "https://example.org/x"].into_iter().enumerate() {
        let mut writer = store.writer().unwrap();
        writer.write(b"body").unwrap();
        let at = std::time::UNIX_EPOCH;
        let draft = larder_proxy::store::Draft {
            key: [u8::try_from(number).unwrap(); 16],
            url: url.to_owned(),
            status: 200,
            headers: http::HeaderMap::new(),
            vary: Vec::new(),
            requested: at,
            responded: at,
            class: larder_proxy::flow::Class::Index,
            part: None,
            provenance: larder_proxy::store::Provenance::default(),
        };
        store.commit(writer.seal().unwrap(), draft).unwrap();
    }
    let shown = bed.init_knowing(&[]).expect(0).stdout;
    assert!(shown.contains("\n[[mirrors.\"pypi.example.org\"]]\n"), "{shown}");
    assert!(shown.contains("add --public docker=HOST\n# [[mirrors.\"PUBLIC-NAME\"]]\n"), "{shown}");
    let refused = bed.init_knowing(&["--public", "cpan=cpan.example.org"]);
    assert!(refused.expect(1).stderr.contains("`cpan` is none of debian,"));
}

#[test]
fn what_is_there_is_kept() {
    let bed = Bed::new();
    let before = "# mine\nnet = \"cache\" # always\n\n[cache]\nmax_size = \"20G\"\n\n[mirrors]\n# chosen by hand\n\
                  \"pypi.example.org\" = \"https://own.example.net/\"\n";
    // As those have it who keep their settings elsewhere.
    let real = bed.0.write("dotfiles/larder.toml", before);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(bed.0.dir().join("config/larder")).unwrap();
    std::os::unix::fs::symlink(&real, bed.0.dir().join("config/larder/config.toml")).unwrap();
    let run = bed.init(&["--write"]).expect(0);
    assert!(run.stdout.contains("Kept as they were: pypi.example.org"), "{run:?}");
    let now = bed.settings();
    assert!(now.starts_with(before.trim_end()), "{now}");
    assert!(now.contains("[[mirrors.\"npm.example.org\"]]"), "{now}");
    assert!(fs::symlink_metadata(bed.0.dir().join("config/larder/config.toml")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(real.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    let _ = bed.run(&["config"]).expect(0);
}

#[test]
fn a_form_of_the_file_that_has_no_room_is_made_room_in() {
    let bed = Bed::new();
    let path = "config/larder/config.toml";
    bed.0.write(path, "mirrors = { \"pypi.example.org\" = \"https://own.example.net/\" }\nlog = \"info\"\n");
    let _ = bed.init(&["--write"]).expect(0);
    let listed = bed.run(&["config", "get", "mirrors"]).expect(0).stdout;
    assert!(
        listed.contains("pypi.example.org=https://own.example.net/") && listed.contains("npm.example.org="),
        "{listed}"
    );
    assert_eq!(bed.run(&["config", "get", "log"]).expect(0).stdout, "info\n");
    let broken = "mirrors = 3\n";
    bed.0.write(path, broken);
    assert!(bed.init(&["--write"]).expect(1).stderr.contains("`mirrors` is a table of mirrors"));
    assert_eq!(bed.settings(), broken);
}

#[test]
fn a_machine_without_mirrors() {
    let larder = Larder::new();
    fs::create_dir(larder.dir().join("machine")).unwrap();
    assert_shown!("mirrors_init_nothing", larder, ["mirrors", "init", "--root", "machine"]);
    assert_shown!("mirrors_none", larder, ["mirrors"]);
    assert_shown!("mirrors_check_none", larder, ["mirrors", "check"]);
}

/// Answers by what a request's head holds.
fn serving(answer: impl Fn(&str) -> &'static str + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let status = answer(&String::from_utf8_lossy(&head[..length]).to_lowercase());
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    address
}

#[test]
fn each_mirror_is_asked_once() {
    let larder = Larder::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let private = serving(|_| "401 No");
    let failing = serving(|_| "503 Busy");
    larder.write(
        ".config/larder/config.toml",
        &format!(
            "[mirrors]\n\"a.example.org\" = [\"http://{failing}/\", \"origin\"]\n\"b.example.org\" = \"http://{closed}/b/\"\n\
             \"c.example.org\" = \"http://{private}/c/\"\n\
             [[mirrors.\"d.example.org\"]]\nurl = \"http://{private}/d/\"\ntoken_env = \"WRONG\"\n\
             [[mirrors.\"e.example.org\"]]\nurl = \"http://{private}/e/\"\ntoken_env = \"UNSET\"\n"
        ),
    );
    let mut command = larder.command(["mirrors", "check", "--json"]);
    let run = Run::of(command.env("WRONG", "geheim").output().unwrap()).expect(1);
    assert!(!run.stdout.contains("geheim"), "{run:?}");
    let found: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
    let told: Vec<(bool, String)> =
        found.iter().map(|one| (one["works"].as_bool().unwrap(), one["found"].as_str().unwrap().to_owned())).collect();
    let expected = [
        "answers 503 Service Unavailable",
        "cannot connect to 127.0.0.1",
        "asks for credentials (401 Unauthorized): name them in the settings",
        "does not take the credentials",
        "the credentials for",
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((works, found), expected) in told.iter().zip(expected) {
        assert!(!works && found.contains(expected), "{found}");
    }
    let _ = larder.run(["mirrors", "check", "nothing.example.org"]).expect(1);
    // Other commands say what is missing as well.
    let run = larder.run(["exec", "true"]).expect(1);
    assert!(run.stderr.contains("cannot use the mirror for d.example.org"), "{}", run.stderr);
}

#[test]
fn a_mirror_with_credentials_that_are_taken() {
    let larder = Larder::new();
    let private = serving(|head| if head.contains("authorization: bearer t0ken\r\n") { "404 None" } else { "401 No" });
    larder.write("token", "t0ken\n");
    larder.write(
        ".config/larder/config.toml",
        &format!("[[mirrors.\"a.example.org\"]]\nurl = \"http://{private}/a/\"\ntoken_file = \"~/token\"\n"),
    );
    let run = larder.run(["mirrors", "check", "--json"]).expect(0);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&found[0]["credentials"], &found[0]["status"]), (&"accepted".into(), &404.into()), "{found}");
    let run = larder.run(["doctor", "--json"]);
    let doctor: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["check"] == "mirrors").unwrap();
    assert_eq!((&check["status"], &check["found"]), (&"ok".into(), &"1 answer".into()));
}
