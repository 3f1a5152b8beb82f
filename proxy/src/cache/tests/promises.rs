//! Digests learnt from indexes: what they make immutable, what they refuse, and what they heal.

use aws_lc_rs::digest;
use base64::Engine as _;

use super::*;
use crate::store::Digest;

const ROOT: &str = "http://example.org/debian/";
const RELEASE: &str = "http://example.org/debian/dists/stable/InRelease";
const PACKAGES: &str = "http://example.org/debian/dists/stable/main/binary-amd64/Packages";

fn release(packages: &str) -> String {
    let (digest, size) = (Digest::of(packages.as_bytes()), packages.len());
    format!("Suite: stable\nSHA256:\n {digest} {size} main/binary-amd64/Packages\n")
}

fn packages(body: &str) -> String {
    let (digest, size) = (Digest::of(body.as_bytes()), body.len());
    format!("Package: hello\nFilename: {}\nSize: {size}\nSHA256: {digest}\n\n", &DEB[ROOT.len()..])
}

fn tagged(body: impl Into<String>) -> Reply {
    let body = body.into();
    let tag = format!("\"{}\"", &Digest::of(body.as_bytes()).to_string()[..8]);
    Reply::ok(body).tagged(&tag)
}

impl Bed {
    fn run(&self) {
        self.later(1000);
        self.cache.begin_run();
    }

    /// Fetches, and returns how it came and how often the origin was asked.
    async fn counted(&self, url: &str, body: &str) -> (Outcome, usize) {
        let before = self.origin.count();
        assert_eq!(self.get(url).await.text(), body, "{url}");
        (self.outcome(), self.origin.count() - before)
    }
}

#[tokio::test]
async fn a_second_run_asks_for_the_release_alone() {
    let bed = Bed::new();
    let (index, body) = (packages("package"), "package");
    for _ in 0..2 {
        bed.origin.reply(RELEASE, tagged(release(&index)));
    }
    bed.origin.reply(PACKAGES, tagged(index.clone()).with("content-length", &index.len().to_string()));
    bed.origin.reply(DEB, tagged(body).with("content-length", "7"));
    bed.run();
    for (url, body) in [(RELEASE, &*release(&index)), (PACKAGES, &index), (DEB, body)] {
        assert_eq!(bed.counted(url, body).await, (Outcome::Miss, 1));
    }
    bed.run();
    assert_eq!(bed.counted(RELEASE, &release(&index)).await, (Outcome::Revalidated, 1));
    assert_eq!(bed.counted(PACKAGES, &index).await, (Outcome::Hit, 0));
    assert_eq!(bed.counted(DEB, body).await, (Outcome::Hit, 0));
    assert_eq!(bed.last().why, "its digest is known");
    // Without the release of this run nobody knows whether the index is still the one, but the package is.
    bed.run();
    assert_eq!(bed.counted(DEB, body).await, (Outcome::Hit, 0));
    bed.origin.reply(PACKAGES, tagged(index.clone()));
    assert_eq!(bed.counted(PACKAGES, &index).await, (Outcome::Revalidated, 1));
    // By the spelling of apt as well.
    let next = bed.again();
    assert_eq!(next.counted(DEB, body).await, (Outcome::Hit, 0));
    bed.assert_sound();
}

#[tokio::test]
async fn without_a_digest_a_package_is_asked_for_once_a_run() {
    let bed = Bed::new();
    for _ in 0..3 {
        bed.origin.reply(DEB, tagged("package"));
    }
    bed.run();
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Miss, 1));
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Hit, 0));
    bed.run();
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Revalidated, 1));
    assert_eq!(bed.with(DEB, &[("cache-control", "no-cache")]).await.text(), "package");
    assert_eq!(bed.outcome(), Outcome::Hit);
    bed.later(1000);
    bed.cache.set_mode(Mode::Offline);
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("package", Outcome::Hit));

    // Its own headers may say more.
    let bed = Bed::new();
    bed.origin.reply(DEB, tagged("package").with("cache-control", "max-age=1500"));
    bed.run();
    bed.get(DEB).await;
    bed.run();
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Hit, 0));
}

#[tokio::test]
async fn an_index_older_than_its_release_is_fetched_anew() {
    let bed = Bed::new();
    let (old, new) = (packages("old one"), packages("the new one"));
    bed.origin.reply(RELEASE, tagged(release(&old)));
    bed.origin.reply(RELEASE, tagged(release(&new)));
    bed.origin.reply(PACKAGES, tagged(old.clone()).with("cache-control", "max-age=100000"));
    bed.origin.reply(PACKAGES, tagged(new.clone()).with("cache-control", "max-age=100000"));
    bed.run();
    bed.get(RELEASE).await;
    bed.get(PACKAGES).await;
    bed.run();
    bed.get(RELEASE).await;
    assert_eq!(bed.get(PACKAGES).await.text(), new);
    assert_eq!(bed.origin.asked("cache-control").as_deref(), Some("no-cache"));
    assert_eq!(bed.origin.asked("if-none-match"), None, "the old one must not be confirmed");
    bed.assert_sound();
}

#[tokio::test]
async fn an_index_of_another_length_is_asked_for_again_before_a_byte_is_out() {
    let bed = Bed::new();
    let (old, new) = (packages("old one"), packages("the new one"));
    bed.origin.reply(RELEASE, tagged(release(&new)));
    let with_length = |text: &str| tagged(text).with("content-length", &text.len().to_string());
    bed.origin.reply(PACKAGES, with_length(&old));
    bed.origin.reply(PACKAGES, with_length(&new));
    bed.run();
    bed.get(RELEASE).await;
    assert_eq!(bed.counted(PACKAGES, &new).await, (Outcome::Miss, 2));

    let bed = Bed::new();
    bed.origin.reply(RELEASE, tagged(release(&new)));
    bed.origin.reply(PACKAGES, with_length(&old));
    bed.origin.reply(PACKAGES, with_length(&old));
    bed.origin.reply(RELEASE, tagged(release(&old)));
    bed.origin.reply(PACKAGES, with_length(&old));
    bed.run();
    bed.get(RELEASE).await;
    assert_eq!(bed.get(PACKAGES).await.status, 502);
    // It was the release that was old: it is asked for again, past every cache.
    assert_eq!(bed.get(RELEASE).await.text(), release(&old));
    assert_eq!(bed.origin.asked("cache-control").as_deref(), Some("no-cache"));
    assert_eq!(bed.counted(PACKAGES, &old).await, (Outcome::Miss, 1));
}

#[tokio::test]
async fn wrong_bytes_are_never_served_whole_and_asked_for_again() {
    for length in [true, false] {
        let bed = Bed::new();
        let index = packages("package");
        bed.origin.reply(PACKAGES, tagged(index.clone()));
        let wrong = Reply::ok("gackape");
        bed.origin.reply(DEB, if length { wrong.with("content-length", "7") } else { wrong });
        bed.origin.reply(DEB, Reply::ok("package"));
        bed.run();
        bed.get(PACKAGES).await;
        let answer = bed.get(DEB).await;
        assert!(answer.body.unwrap_err().contains("was promised"));
        assert_eq!(bed.origin.asked("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(bed.counted(DEB, "package").await, (Outcome::Hit, 0));
        bed.assert_sound();
    }
}

#[tokio::test]
async fn what_was_stored_before_its_digest_was_learnt_is_checked_by_it() {
    let bed = Bed::new();
    let index = packages("package");
    bed.origin.reply(DEB, tagged("gackape"));
    bed.origin.reply(PACKAGES, tagged(index.clone()));
    bed.origin.reply(DEB, tagged("package"));
    bed.run();
    bed.get(DEB).await;
    bed.get(PACKAGES).await;
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Miss, 1));
    bed.run();
    assert_eq!(bed.counted(DEB, "package").await, (Outcome::Hit, 0));
}

#[tokio::test]
async fn pypi_files_are_known_by_their_page() {
    const PAGE: &str = "https://pypi.example.org/simple/x/";
    const FILE: &str = "https://files.example.net/packages/source/x/x-1.0.tar.gz";
    let bed = Bed::new();
    let html = format!("<a href=\"{FILE}#sha256={}\">x</a>", Digest::of(b"sdist"));
    for _ in 0..2 {
        bed.origin.reply(PAGE, tagged(html.clone()).with("content-type", "text/html"));
    }
    bed.origin.reply(FILE, tagged("wrong"));
    bed.origin.reply(FILE, tagged("sdist"));
    bed.run();
    bed.get(PAGE).await;
    assert!(bed.get(FILE).await.body.is_err());
    assert_eq!(bed.counted(FILE, "sdist").await, (Outcome::Hit, 0));
    bed.run();
    assert_eq!(bed.counted(PAGE, &html).await, (Outcome::Revalidated, 1));
    assert_eq!(bed.counted(FILE, "sdist").await, (Outcome::Hit, 0));
}

#[tokio::test]
async fn npm_tarballs_are_checked_by_sha512() {
    const PACKUMENT: &str = "https://npm.example.org/x";
    const TARBALL: &str = "https://npm.example.org/x/-/x-1.0.0.tgz";
    let bed = Bed::new();
    let integrity = base64::engine::general_purpose::STANDARD.encode(digest::digest(&digest::SHA512, b"tarball"));
    let json = format!(
        r#"{{"versions": {{"1.0.0": {{"dist": {{"tarball": "{TARBALL}", "integrity": "sha512-{integrity}"}}}}}}}}"#
    );
    bed.origin.reply(PACKUMENT, tagged(json).with("content-type", "application/vnd.npm.install-v1+json"));
    bed.origin.reply(TARBALL, tagged("stored before"));
    bed.origin.reply(TARBALL, tagged("tarball"));
    bed.run();
    bed.get(TARBALL).await;
    bed.with(PACKUMENT, &[("accept", "application/vnd.npm.install-v1+json")]).await;
    assert_eq!(bed.counted(TARBALL, "tarball").await, (Outcome::Miss, 1));
    bed.run();
    assert_eq!(bed.counted(TARBALL, "tarball").await, (Outcome::Hit, 0));
    assert_eq!(bed.again().counted(TARBALL, "tarball").await, (Outcome::Hit, 0));
}

#[tokio::test]
async fn crates_are_known_by_the_sparse_index() {
    const CONFIG: &str = "https://index.example.org/index/config.json";
    const INDEX: &str = "https://index.example.org/index/he/ll/hello";
    const CRATE: &str = "https://static.example.net/crates/hello/1.0.0/download";
    let bed = Bed::new();
    let line = format!(r#"{{"name":"hello","vers":"1.0.0","cksum":"{}"}}"#, Digest::of(b"crate"));
    bed.origin.reply(CONFIG, tagged(r#"{"dl":"https://static.example.net/crates"}"#));
    bed.origin.reply(INDEX, tagged(line));
    bed.origin.reply(CRATE, tagged("crate"));
    bed.run();
    bed.get(CONFIG).await;
    bed.get(INDEX).await;
    bed.get(CRATE).await;
    bed.run();
    assert_eq!(bed.counted(CRATE, "crate").await, (Outcome::Hit, 0));
}

/// cargo keeps what it knows of an index, and may ask for a file of it before it asks for `config.json`.
#[tokio::test]
async fn crates_are_known_also_when_the_configuration_comes_last() {
    const CONFIG: &str = "https://index.example.org/index/config.json";
    const INDEX: &str = "https://index.example.org/index/he/ll/hello";
    const CRATE: &str = "https://static.example.net/crates/hello/1.0.0/download";
    let line = format!(r#"{{"name":"hello","vers":"1.0.0","cksum":"{}"}}"#, Digest::of(b"crate"));
    let config = || tagged(r#"{"dl":"https://static.example.net/crates"}"#);
    let bed = Bed::new();
    for reply in [tagged(line.clone()), tagged(line.clone())] {
        bed.origin.reply(INDEX, reply);
    }
    bed.origin.reply(CONFIG, config());
    bed.origin.reply(CRATE, tagged("crate"));
    bed.run();
    bed.get(INDEX).await;
    bed.get(CONFIG).await;
    bed.get(CRATE).await;
    bed.run();
    assert_eq!(bed.counted(CRATE, "crate").await, (Outcome::Hit, 0));
    // Also when that is in another process: the file is read when it is confirmed.
    let bed = Bed::new();
    bed.origin.reply(INDEX, tagged(line.clone()));
    bed.get(INDEX).await;
    let next = bed.again();
    next.origin.reply(CONFIG, config());
    next.origin.reply(INDEX, tagged(line));
    next.origin.reply(CRATE, tagged("crate"));
    next.run();
    next.get(CONFIG).await;
    next.get(INDEX).await;
    next.get(CRATE).await;
    next.run();
    assert_eq!(next.counted(CRATE, "crate").await, (Outcome::Hit, 0));
}

#[tokio::test]
async fn an_image_is_known_by_the_sums_of_this_run() {
    const SUMS: &str = "https://example.org/24.04/SHA256SUMS";
    const IMAGE: &str = "https://example.org/24.04/disk.img";
    let bed = Bed::new();
    for body in ["one", "two"] {
        bed.origin.reply(SUMS, tagged(format!("{} *disk.img\n", Digest::of(body.as_bytes()))));
        bed.origin.reply(IMAGE, tagged(body));
    }
    bed.run();
    bed.get(SUMS).await;
    assert_eq!(bed.counted(IMAGE, "one").await, (Outcome::Miss, 1));
    assert_eq!(bed.counted(IMAGE, "one").await, (Outcome::Hit, 0));
    bed.run();
    bed.get(SUMS).await;
    assert_eq!(bed.counted(IMAGE, "two").await, (Outcome::Miss, 1));
}

#[tokio::test]
async fn a_login_page_is_no_package() {
    let bed = Bed::new();
    for _ in 0..2 {
        bed.origin.reply(DEB, Reply::ok("please log in").with("content-type", "text/html"));
    }
    bed.run();
    bed.get(DEB).await;
    assert_eq!(bed.counted(DEB, "please log in").await, (Outcome::Miss, 1));
}

#[tokio::test]
async fn a_registry_says_what_a_tag_is() {
    const TAG: &str = "https://registry.example.org/v2/library/debian/manifests/stable";
    let bed = Bed::new();
    let digest = format!("sha256:{}", Digest::of(b"{manifest}"));
    bed.origin.reply(TAG, tagged("{truncate}").with("docker-content-digest", &digest));
    bed.origin.reply(TAG, tagged("{manifest}").with("docker-content-digest", &digest));
    bed.run();
    assert!(bed.get(TAG).await.body.is_err());
    assert_eq!(bed.counted(TAG, "{manifest}").await, (Outcome::Hit, 0));
}

/// Who has an index whole asks at once for what it names; the index is being read then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_asked_for_right_after_its_index_is_checked() {
    for round in 0..20 {
        let bed = Bed::new();
        let index = packages("package");
        bed.origin.reply(PACKAGES, tagged(index.clone()).with("content-length", &index.len().to_string()));
        for _ in 0..3 {
            bed.origin.reply(DEB, Reply::ok("pAckage").with("content-length", "7"));
        }
        assert_eq!(read(bed.call("GET", PACKAGES, &[]).await).await.text(), index);
        let answer = read(bed.call("GET", DEB, &[]).await).await;
        assert!(answer.body.is_err(), "round {round}: {:?}", answer.body);
        bed.settle().await;
    }
}

/// As in a cache that a version filled which knew nothing of promises.
#[tokio::test]
async fn an_index_stored_unread_is_read_when_it_is_confirmed() {
    let bed = Bed::new();
    let index = packages("package");
    for _ in 0..2 {
        bed.origin.reply(PACKAGES, tagged(index.clone()));
    }
    bed.origin.reply(DEB, tagged("package"));
    bed.run();
    bed.get(PACKAGES).await;
    bed.get(DEB).await;
    let raw = rusqlite::Connection::open(bed.store.root().join("index.sqlite")).unwrap();
    raw.execute_batch("DELETE FROM promise; DELETE FROM source").unwrap();
    let next = bed.again();
    next.origin.reply(PACKAGES, tagged(index.clone()));
    next.run();
    assert_eq!(next.counted(PACKAGES, &index).await, (Outcome::Revalidated, 1));
    assert_eq!(next.counted(DEB, "package").await, (Outcome::Hit, 0));
}
