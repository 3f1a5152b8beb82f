//! What a bundle consists of, whatever form it has, and what does not go into it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use larder::bundle::export::{self, Telling};
use larder::bundle::import;
use larder::bundle::output::Output;
use larder_proxy::store::Digest;

use crate::bed::{Answered, Cache, entry, noise, ok, record, usual, watch};

const FORMS: [&str; 3] = ["b.tar.zst", "b.tar", "b"];

#[test]
fn every_form_carries_the_same() {
    let from = Cache::holding(&usual());
    for form in FORMS {
        from.export(&from.plan(&usual()), &from.path(form), None);
        let to = Cache::new();
        to.imports(&from.path(form));
        to.has(&usual());
    }
}

#[test]
fn two_exports_are_the_same_byte_by_byte() {
    // Filled in another order, at another time.
    let mut reversed = usual();
    reversed.reverse();
    let (one, other) = (Cache::holding(&usual()), Cache::holding(&reversed));
    for form in ["b.tar.zst", "b.tar"] {
        let first = one.export(&one.plan(&usual()), &one.path(form), None);
        let second = other.export(&other.plan(&reversed), &other.path(form), None);
        assert_eq!(first.manifest, second.manifest);
        assert_eq!(first.written, second.written);
        let bytes = fs::read(one.path(form)).unwrap();
        assert!(bytes == fs::read(other.path(form)).unwrap());
        assert_eq!(first.written.digest, Some(Digest::of(&bytes).to_string()));
    }
}

#[test]
fn headers_of_the_archive_say_nothing_of_this_machine() {
    let cache = Cache::holding(&usual());
    cache.export(&cache.plan(&usual()), &cache.path("b.tar"), None);
    let bytes = fs::read(cache.path("b.tar")).unwrap();
    let mut names = Vec::new();
    for found in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let found = found.unwrap();
        let header = found.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!((header.mtime().unwrap(), header.mode().unwrap()), (0, 0o644));
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        names.push(found.path().unwrap().into_owned());
    }
    assert_eq!(names[0], Path::new("oci-layout"));
    assert_eq!(names[1], Path::new("index.json"));
}

#[test]
fn many_bodies_make_few_blobs() {
    let many: Vec<Answered> =
        (0..3000).map(|number: u64| ok(&format!("/{number}"), noise(20_000, number + 1))).collect();
    let from = Cache::holding(&many);
    from.export(&from.plan(&many), &from.path("b"), None);
    let blobs = fs::read_dir(from.path("b/blobs/sha256")).unwrap().count();
    // Manifest, record, answers, README, and 60 MB in packs of 32 MiB.
    assert_eq!(blobs, 6);
    let to = Cache::new();
    assert_eq!(to.imports(&from.path("b")).added, 3000);
    to.has(&many[..10]);
}

#[test]
fn tools_of_registries_read_it() {
    let cache = Cache::holding(&usual());
    let exported = cache.export(&cache.plan(&usual()), &cache.path("b"), None);
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").args(arguments).current_dir(cache.dir.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let raw = skopeo(&["inspect", "--raw", "oci:b:bundle"]);
    assert_eq!(Digest::of(&raw), exported.manifest);
    let manifest: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(manifest["artifactType"], "application/vnd.larder.bundle.v1+json");
    // A copy of it holds the same blobs, and can be imported.
    skopeo(&["--insecure-policy", "copy", "--quiet", "oci:b:bundle", "oci:copied:bundle"]);
    let to = Cache::new();
    to.imports(&cache.path("copied"));
    to.has(&usual());
}

#[test]
fn what_credentials_fetched_stays_behind() {
    let secret = ok("/private", b"for members only\n".to_vec());
    let token = ok("/x?token=s3cr3t-of-the-url", b"x\n".to_vec());
    let mut all = usual();
    all.extend([secret.clone(), token.clone()]);
    let from = Cache::holding(&all);
    let mut entries: Vec<_> = all.iter().map(entry).collect();
    entries.iter_mut().find(|entry| entry.url == secret.url).unwrap().auth = true;
    let plan = from.plan_of(record(entries.clone()), false);
    assert_eq!(plan.private.len(), 2);
    assert!(!plan.record.complete && plan.missing.is_empty());
    from.export(&plan, &from.path("b.tar"), None);
    let bytes = fs::read(from.path("b.tar")).unwrap();
    let inner = unpacked(&bytes);
    for word in [&b"s3cr3t-of-the-url"[..], b"for members only"] {
        assert!(!holds(&bytes, word) && !holds(&inner, word), "{}", String::from_utf8_lossy(word));
    }
    let to = Cache::new();
    to.imports(&from.path("b.tar"));
    assert!(to.get(&secret.url).is_none());
    // Told to, it takes them, and says so.
    let plan = from.plan_of(record(entries), true);
    assert_eq!((plan.private.len(), plan.private_taken), (0, 2));
    from.export(&plan, &from.path("all.tar"), None);
    let to = Cache::new();
    to.imports(&from.path("all.tar"));
    to.has(&[secret, token]);
}

#[test]
fn cookies_and_credentials_in_heads_stay_behind() {
    let mut answered = ok("/a", b"a\n".to_vec());
    answered.headers.push(("x-kept", "yes".to_owned()));
    let from = Cache::new();
    from.fill(&[answered.clone()], crate::bed::fetched());
    let plan = from.plan(&[answered]);
    let names: Vec<&str> = plan.answers[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"x-kept") && !names.contains(&"set-cookie"), "{names:?}");
}

/// Everything in the packs of an archive.
fn unpacked(tar: &[u8]) -> Vec<u8> {
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let entries = crate::raw::entries(tar).into_iter().filter(|entry| entry.content.starts_with(&magic));
    entries.flat_map(|entry| zstd::decode_all(&entry.content[..]).unwrap()).collect()
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

#[test]
fn what_the_cache_has_no_more_is_listed() {
    let from = Cache::holding(&usual());
    let gone = ok("/gone.bin", b"nobody has it\n".to_vec());
    let mut all = usual();
    all.push(gone.clone());
    let plan = from.plan(&all);
    assert_eq!(plan.missing.len(), 1);
    assert_eq!(plan.missing[0].url, gone.url);
    assert!(!plan.record.complete);
    assert_eq!(plan.record.incomplete[0].url.as_deref(), Some(gone.url.as_str()));
    // What another answer took the place of is there as long as its body is.
    let b = ok("/b.txt", b"another\n".to_vec());
    from.fill(
        &[Answered { url: "http://example.org/keeps-b".to_owned(), ..usual()[3].clone() }, b],
        crate::bed::fetched(),
    );
    let plan = from.plan(&usual());
    assert!(plan.missing.is_empty());
    from.export(&plan, &from.path("b.tar"), None);
    let to = Cache::new();
    to.imports(&from.path("b.tar"));
    to.has(&usual());
}

#[test]
fn of_two_runs_the_later_ones_answer_counts() {
    let (old, new) = (ok("/index", b"old\n".to_vec()), ok("/index", b"new\n".to_vec()));
    let from = Cache::holding(std::slice::from_ref(&old));
    from.fill(std::slice::from_ref(&new), crate::bed::fetched());
    let mut first = record(vec![entry(&old)]);
    first.entries[0].builds = ["other".to_owned()].into();
    first.captured_at = "2026-10-01T12:00:00Z".parse().unwrap();
    let second = record(vec![entry(&new)]);
    let wanted =
        larder::bundle::gather::Wanted { records: vec![second, first], template: None, include_private: false };
    let plan = larder::bundle::gather::plan(&from.store(), wanted).unwrap();
    assert!(plan.missing.is_empty());
    let builds: Vec<&str> = plan.record.entries[0].builds.iter().map(String::as_str).collect();
    assert_eq!(builds, ["null.fetch", "other"]);
    assert_eq!(plan.answers[0].digest.0, Digest::of(b"new\n"));
}

#[test]
fn variants_keep_what_they_vary_on() {
    let mut answered = ok("/page", b"auf Deutsch\n".to_vec());
    answered.headers.push(("vary", "accept-language".to_owned()));
    let from = Cache::holding(&[answered.clone()]);
    let mut one = entry(&answered);
    one.vary = BTreeMap::from([("accept-language".to_owned(), Some("de;q=1000".to_owned()))]);
    // The cache's own knowledge of it goes before that of the record.
    let plan = from.plan_of(record(vec![one]), false);
    assert_eq!(plan.answers.len(), 1);
    assert!(plan.answers[0].vary.is_empty());
}

#[test]
fn an_export_that_fails_leaves_nothing() {
    let from = Cache::holding(&usual());
    let plan = from.plan(&usual());
    fs::create_dir(from.path("out")).unwrap();
    let damaged = from.files().into_iter().find(|path| path.metadata().unwrap().len() > 1_000_000).unwrap();
    let body = fs::read(&damaged).unwrap();
    let write = |name: &str, cancel: bool| {
        let cancel = AtomicBool::new(cancel);
        let telling = Telling { cancel: &cancel, progress: &|_, _| {} };
        let path = from.path("out").join(name);
        let output = Output::create(&path, (name == "p.tar").then_some(100_000), 0, false).unwrap();
        export::write(&from.store(), &plan, output, &path, 0, &telling).map(drop).map_err(|error| error.to_string())
    };
    fs::write(&damaged, vec![0; body.len()]).unwrap();
    for name in ["b.tar.zst", "p.tar", "b"] {
        let error = write(name, false).unwrap_err();
        assert!(error.contains("http://example.org/large.bin is damaged"), "{error}");
    }
    fs::write(&damaged, body).unwrap();
    for name in ["b.tar.zst", "p.tar", "b"] {
        assert!(write(name, true).unwrap_err().contains("interrupted"));
    }
    assert_eq!(fs::read_dir(from.path("out")).unwrap().count(), 0);
    fs::write(from.path("out/b.tar"), "mine").unwrap();
    let taken = Output::create(&from.path("out/b.tar"), None, 0, false).err().unwrap();
    assert!(taken.hints()[0].contains("--force"));
    assert_eq!(fs::read_to_string(from.path("out/b.tar")).unwrap(), "mine");
}

#[test]
fn the_head_is_read_without_the_bodies() {
    let from = Cache::holding(&usual());
    from.export(&from.plan(&usual()), &from.path("b.tar.zst"), None);
    // Cut behind the documents: what it says of itself is there all the same.
    let bytes = fs::read(from.path("b.tar.zst")).unwrap();
    fs::write(from.path("cut.tar.zst"), &bytes[..bytes.len() - 1000]).unwrap();
    let never = AtomicBool::new(false);
    let watching = || watch(larder::bundle::budget::Limits::default(), &never);
    let (contents, faults) = import::inspect(&from.path("cut.tar.zst"), watching()).unwrap();
    assert_eq!((contents.arrivals.len(), contents.bodies.len(), faults.len()), (7, 5, 0));
    assert!(import::verify(&from.path("cut.tar.zst"), watching()).is_err());
}
