//! Whole bootstraps from a tiny signed archive made here, good and broken in every way.

mod archive;
pub(crate) mod key;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::bootstrap::bootstrap;
use super::*;
use crate::download::Downloader;
use crate::engine::component::Say;
use crate::error::{Error, Result, chain};
use archive::{Archive, Kind, Made};
use key::{How, Key};

struct Silent;

impl Say for Silent {
    fn say(&self, _: &str) {}
    fn stdout(&self, _: &str) {}
    fn stderr(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn progress(&self, _: &str, _: u64, _: Option<u64>) {}
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Remembers commands instead of running them, and looks at the root meanwhile.
struct Recorder<'a> {
    root: &'a Path,
    ran: Mutex<Vec<String>>,
    status: i32,
}

#[async_trait]
impl RootRunner for Recorder<'_> {
    async fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<i32> {
        let policy = std::fs::read_to_string(self.root.join("usr/sbin/policy-rc.d")).unwrap();
        assert!(policy.contains("exit 101"), "services must be held while scripts run");
        if argv[0].ends_with("preinst") {
            let control = self.root.join("var/lib/dpkg/tmp.ci/control");
            assert!(std::fs::read_to_string(control).unwrap().starts_with("Package: base"), "debconf looks there");
        }
        let package = env.iter().find(|(name, _)| *name == "DPKG_MAINTSCRIPT_PACKAGE").map_or("", |(_, value)| value);
        self.ran.lock().unwrap().push(format!("{package}: {}", argv.join(" ")));
        Ok(self.status)
    }
}

fn base() -> Made {
    Made {
        name: "base",
        fields: "Essential: yes\nDepends: libx (>= 1)\nDescription: base\n more\n",
        control: vec![
            ("./conffiles", "/etc/base.conf\n"),
            ("./preinst", "#!/bin/sh\n"),
            ("./triggers", "interest-noawait ldconfig\ninterest /usr/share/x\n"),
        ],
        data: vec![
            ("./", Kind::Folder(0o755)),
            ("./etc/", Kind::Folder(0o755)),
            ("./etc/base.conf", Kind::File(0o640, "conf\n")),
            ("./usr/bin/tool", Kind::File(0o4755, "tool")),
            ("./usr/bin/same", Kind::HardLink("./usr/bin/tool")),
            ("./usr/bin/alias", Kind::Symlink("tool")),
            ("./lib64/ld.so", Kind::File(0o755, "ld")),
        ],
        form: ".xz",
    }
}

fn packages() -> Vec<Made> {
    let libx = Made {
        name: "libx",
        fields: "Multi-Arch: same\n",
        control: vec![],
        data: vec![("./lib/libx.so", Kind::File(0o644, "x"))],
        form: ".zst",
    };
    let passwd = Made {
        name: "base-passwd",
        fields: "Essential: yes\n",
        control: vec![("./preinst", "#!/bin/sh\n")],
        data: vec![],
        form: ".gz",
    };
    let merged = Made { name: "usr-is-merged", fields: "Essential: yes\n", control: vec![], data: vec![], form: "" };
    let apt = Made { name: "apt", fields: "", control: vec![], data: vec![], form: ".xz" };
    let extra = Made {
        name: "extra",
        fields: "Depends: libx\n",
        control: vec![],
        data: vec![("./opt/extra", Kind::File(0o600, "e"))],
        form: ".gz",
    };
    vec![base(), libx, passwd, merged, apt, extra]
}

fn spec(key: &Key) -> DebianSpec {
    DebianSpec {
        suite: "test".into(),
        mirror: "http://mirror.example.org/debian/".parse().unwrap(),
        variant: Variant::Minbase,
        include: vec!["extra".into()],
        components: vec!["main".into()],
        keyrings: vec![key.keyring()],
        architecture: "amd64".into(),
        check_valid_until: true,
    }
}

/// Runs all phases into `root`.
async fn run_into(root: &Path, archive: Arc<Archive>, spec: &DebianSpec) -> Result<Bootstrapped> {
    let scratch = tempfile::tempdir().unwrap();
    let downloader = Downloader::new(archive);
    let work = Bootstrap {
        spec,
        root,
        scratch: scratch.path(),
        downloader: &downloader,
        ui: &Silent,
        keep_going: false,
        now: Timestamp::now(),
    };
    let runner = Recorder { root, ran: Mutex::default(), status: 0 };
    bootstrap(work, &runner).await
}

async fn failure(archive: Archive, spec: &DebianSpec) -> Error {
    let root = tempfile::tempdir().unwrap();
    run_into(root.path(), Arc::new(archive), spec).await.unwrap_err()
}

fn good() -> (Key, Archive) {
    let key = Key::new();
    let archive = Archive::new(&key, &packages(), "");
    (key, archive)
}

#[tokio::test]
async fn a_root_with_all_packages() {
    let (key, archive) = good();
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = folder.path();
    let (spec, downloader) = (spec(&key), Downloader::new(Arc::new(archive)));
    let work = Bootstrap {
        spec: &spec,
        root,
        scratch: scratch.path(),
        downloader: &downloader,
        ui: &Silent,
        keep_going: false,
        now: Timestamp::now(),
    };
    let resolved = work.resolve().await.unwrap();
    let names: Vec<&str> = resolved.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["apt", "base", "base-passwd", "extra", "libx", "usr-is-merged"]);
    let unpacked = work.fetch_and_unpack(&resolved).await.unwrap();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(text("usr/lib/libx.so"), "x", "a merged /usr takes in /lib");
    assert_eq!(text("usr/lib64/ld.so"), "ld");
    assert_eq!(text("etc/base.conf.dpkg-new"), "conf\n");
    assert!(!root.join("etc/base.conf").exists(), "dpkg installs conffiles when it configures");
    assert_eq!(root.join("usr/bin/alias").read_link().unwrap(), Path::new("tool"));
    let meta = |path: &str| root.join(path).metadata().unwrap();
    assert_eq!((meta("usr/bin/tool").mode() & 0o7777, meta("usr/bin/tool").mtime()), (0o4755, 1_000_000_000));
    assert_eq!(meta("usr/bin/tool").ino(), meta("usr/bin/same").ino());
    let info = "var/lib/dpkg/info";
    assert_eq!(
        text(&format!("{info}/base.list")),
        "/.\n/etc\n/etc/base.conf\n/usr/bin/tool\n/usr/bin/same\n/usr/bin/alias\n/lib64/ld.so\n"
    );
    assert_eq!(text(&format!("{info}/libx:amd64.list")), "/lib/libx.so\n");
    assert_eq!(meta(&format!("{info}/base.preinst")).mode() & 0o777, 0o755);
    assert_eq!(text("var/lib/dpkg/triggers/ldconfig"), "base/noawait\n");
    assert_eq!(text("var/lib/dpkg/triggers/File"), "/usr/share/x base\n");
    assert_eq!(text("var/lib/dpkg/arch"), "amd64\n");
    let status = text("var/lib/dpkg/status");
    assert_eq!(status.matches("Status: install ok unpacked\n").count(), 6);
    assert!(status.contains("Conffiles:\n /etc/base.conf newconffile\n\n"), "{status}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing stays in the scratch folder");

    let runner = Recorder { root, ran: Mutex::default(), status: 0 };
    std::fs::write(root.join("tmp/left"), "x").unwrap();
    let done = work.configure(resolved, unpacked, &runner).await.unwrap();
    assert_eq!(
        *runner.ran.lock().unwrap(),
        [
            "base-passwd: /var/lib/dpkg/tmp.ci/preinst install",
            "base: /var/lib/dpkg/tmp.ci/preinst install",
            ": dpkg --force-unsafe-io --force-depends --configure base base-passwd libx:amd64 usr-is-merged",
            ": dpkg --force-unsafe-io --configure -a",
        ]
    );
    assert!(!root.join("usr/sbin/policy-rc.d").exists() && !root.join("tmp/left").exists());
    assert!(!root.join("var/lib/dpkg/tmp.ci").exists());
    assert_eq!(text("etc/apt/sources.list"), "deb http://mirror.example.org/debian test main\n");
    assert!(
        !root.join("var/lib/apt/extended_states").exists(),
        "libx came with the essential packages, the rest by name"
    );
    assert_eq!((done.packages.len(), done.codename.as_deref()), (6, Some("tested")));
}

#[tokio::test]
async fn a_failing_script_names_the_package_and_frees_services() {
    let (key, archive) = good();
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (spec, downloader) = (spec(&key), Downloader::new(Arc::new(archive)));
    let root = folder.path();
    let work = Bootstrap {
        spec: &spec,
        root,
        scratch: scratch.path(),
        downloader: &downloader,
        ui: &Silent,
        keep_going: false,
        now: Timestamp::now(),
    };
    let runner = Recorder { root, ran: Mutex::default(), status: 7 };
    let error = bootstrap(work, &runner).await.unwrap_err();
    assert_eq!(error.to_string(), "the preinst script of base-passwd 1 ended with status 7");
    assert!(!root.join("usr/sbin/policy-rc.d").exists());
}

#[tokio::test]
async fn release_and_its_signature_apart() {
    let (key, archive) = good();
    archive.remove("dists/test/InRelease");
    let root = tempfile::tempdir().unwrap();
    run_into(root.path(), Arc::new(archive), &spec(&key)).await.unwrap();
    let (key, archive) = good();
    archive.remove("dists/test/InRelease");
    archive.remove("dists/test/Release.gpg");
    assert!(failure(archive, &spec(&key)).await.hints().iter().any(|hint| hint.contains("not signed")));
}

#[tokio::test]
async fn bad_signatures() {
    let (key, archive) = good();
    let other = Key::new();
    let error = failure(archive, &DebianSpec { keyrings: vec![other.keyring()], ..spec(&key) }).await;
    assert!(error.to_string().contains("the keyring does not hold this key); keyring: test.gpg"), "{error}");
    let (key, archive) = good();
    archive.alter("InRelease", |content| {
        let text = String::from_utf8(std::mem::take(content)).unwrap();
        *content = text.replace("Origin: Test", "Origin: Evil").into_bytes();
    });
    let error = failure(archive, &spec(&key)).await;
    assert!(
        error.to_string().starts_with("no signature of http://mirror.example.org/debian/dists/test/InRelease"),
        "{error}"
    );
    assert!(error.to_string().contains("altered"), "{error}");
}

#[tokio::test]
async fn expired_and_early_archives() {
    let key = Key::new();
    let at = |offset: SignedDuration| (Timestamp::now() + offset).strftime("%a, %d %b %Y %H:%M:%S UTC").to_string();
    let expired = format!("Valid-Until: {}\n", at(SignedDuration::from_hours(-73)));
    let error = failure(Archive::new(&key, &packages(), &expired), &spec(&key)).await;
    assert!(error.to_string().contains("InRelease expired 3 days ago"), "{error}");
    assert!(error.hints()[1].contains("check_valid_until = false"));
    let early = format!("Date: {}\n", at(SignedDuration::from_hours(5)));
    let error = failure(Archive::new(&key, &packages(), &early), &spec(&key)).await;
    assert!(error.to_string().contains("in the future"), "{error}");
    let root = tempfile::tempdir().unwrap();
    let lenient = DebianSpec { check_valid_until: false, ..spec(&key) };
    run_into(root.path(), Arc::new(Archive::new(&key, &packages(), &expired)), &lenient).await.unwrap();
}

#[tokio::test]
async fn another_suite_in_its_place() {
    let key = Key::new();
    let archive = Archive::new(&key, &packages(), "");
    archive.alter("InRelease", |content| {
        *content = key.clearsign("Suite: other\nCodename: otherwise\nSHA256:\n", How::default());
    });
    let error = failure(archive, &spec(&key)).await;
    assert!(error.to_string().ends_with("is the index of `other` or `otherwise`, not of `test`"), "{error}");
}

#[tokio::test]
async fn missing_suites_and_mirrors_that_are_down() {
    let (key, archive) = good();
    let error = failure(archive, &DebianSpec { suite: "tset".into(), ..spec(&key) }).await;
    assert_eq!(error.to_string(), "the archive http://mirror.example.org/debian/ has no suite `tset`");
    let (key, archive) = good();
    let error = failure(Archive { down: true, ..archive }, &spec(&key)).await;
    assert!(error.to_string().contains("502 Bad Gateway (cannot connect to mirror.example.org: refused)"), "{error}");
    assert!(error.hints().last().unwrap().contains("set `mirror`"));
    let (key, archive) = good();
    let error = failure(archive, &DebianSpec { components: vec!["contrib".into()], ..spec(&key) }).await;
    assert_eq!(
        (error.to_string().as_str(), error.hints()),
        ("test has no component `contrib`", &["it has main".to_owned()][..])
    );
    let (key, archive) = good();
    let error = failure(archive, &DebianSpec { architecture: "arm64".into(), ..spec(&key) }).await;
    assert_eq!(error.to_string(), "test has no packages for the architecture arm64");
}

#[tokio::test]
async fn tampered_lists_and_packages() {
    let (key, archive) = good();
    archive.alter("by-hash", |content| content[20] ^= 1);
    let error = failure(archive, &spec(&key)).await;
    assert!(
        error.to_string().contains("is not the list that the signed Release names: its SHA-256 digest is"),
        "{error}"
    );
    let (key, archive) = good();
    archive.alter("pool/libx", |content| content[100] ^= 1);
    let error = failure(archive, &spec(&key)).await;
    assert!(
        error.to_string().contains("the sha256 digest of http://mirror.example.org/debian/pool/libx_1_amd64.deb is"),
        "{error}"
    );
    let (key, archive) = good();
    archive.alter("pool/libx", |content| content.extend(b"more"));
    assert!(failure(archive, &spec(&key)).await.to_string().contains("larger than the"));
    let (key, archive) = good();
    archive.remove("pool/libx_1_amd64.deb");
    assert!(failure(archive, &spec(&key)).await.to_string().contains("404"));
}

#[tokio::test]
async fn hostile_packages() {
    let hostile: [(&str, Vec<(&'static str, Kind)>); 5] = [
        ("lead out of the root", vec![("./../../escaped", Kind::File(0o644, "x"))]),
        ("lead out of the root", vec![("/etc/escaped", Kind::File(0o644, "x"))]),
        ("lead out of the root", vec![("./a", Kind::HardLink("../../../etc/passwd"))]),
        ("packages do not hold", vec![("./dev/sda", Kind::Device)]),
        // The link leads out; the kernel resolves it below the root, where there is no such folder.
        (
            "/out/escaped",
            vec![("./out", Kind::Symlink("/nonexistent-outside")), ("./out/escaped", Kind::File(0o644, "x"))],
        ),
    ];
    for (expected, data) in hostile {
        let key = Key::new();
        let evil = Made { name: "evil", fields: "Essential: yes\n", control: vec![], data, form: ".xz" };
        let archive = Archive::new(&key, &[packages(), vec![evil]].concat(), "");
        let error = failure(archive, &spec(&key)).await;
        assert!(chain(&error).contains(expected), "{expected}: {}", chain(&error));
        assert!(chain(&error).contains("evil.deb"), "{}", chain(&error));
        assert!(!Path::new("/etc/escaped").exists());
    }
}

#[tokio::test]
async fn lists_come_by_their_digest() {
    let (key, archive) = good();
    let (archive, root) = (Arc::new(archive), tempfile::tempdir().unwrap());
    run_into(root.path(), archive.clone(), &spec(&key)).await.unwrap();
    let seen = archive.seen.lock().unwrap();
    assert_eq!(seen[0], "dists/test/InRelease");
    assert!(seen[1].starts_with("dists/test/main/binary-amd64/by-hash/SHA256/"), "{seen:?}");
    assert_eq!(seen.len(), 2 + 6);
}
