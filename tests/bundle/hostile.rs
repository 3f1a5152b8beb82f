//! Bundles that attack: rows F1 to F5 of the list of hostile input.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use larder::bundle::budget::Limits;
use larder::bundle::import::Outcome;
use larder_proxy::store::Digest;

use crate::bed::{Cache, refused, usual};
use crate::raw::{Entry, archive, entries, frame, seal, with_layer, with_manifest, write};

const PACK: &str = "application/vnd.larder.bundle.pack.v1.tar+zstd";
const BODY: &str = "application/vnd.larder.bundle.body.v1";

/// A good bundle's entries, and a place for a bad one.
fn good() -> (Cache, Vec<Entry>) {
    let cache = Cache::holding(&usual());
    cache.export(&cache.plan(&usual()), &cache.path("good.tar"), None);
    let all = entries(&fs::read(cache.path("good.tar")).unwrap());
    (cache, all)
}

/// What is said of an archive of these bytes.
#[track_caller]
fn said(cache: &Cache, bytes: &[u8]) -> String {
    write(&cache.path("bad.tar"), bytes);
    let plain = refused(&cache.path("bad.tar"));
    write(&cache.path("bad.tar.zst"), &zstd::encode_all(bytes, 1).unwrap());
    assert_eq!(refused(&cache.path("bad.tar.zst")).lines().next(), plain.lines().next());
    plain
}

#[test]
fn what_the_tests_change_is_good_before() {
    let (cache, all) = good();
    write(&cache.path("same.tar"), &archive(&all));
    let fresh = Cache::new();
    fresh.imports(&cache.path("same.tar"));
    fresh.has(&usual());
}

#[test]
fn f1_names_that_are_none_of_a_bundle() {
    let (cache, all) = good();
    let upper = format!("blobs/sha256/{}", Digest::of(b"x").to_string().to_uppercase());
    let names = [
        "../../x",
        "/abs",
        "/etc/cron.d/x",
        "C:\\x",
        "..\\x",
        "./oci-layout",
        "blobs/sha256/../../../x",
        "blobs//sha256/x",
        "blobs/sha256/0123",
        "blobs/sha512/00",
        "INDEX.JSON",
        "readme",
        "",
        "\u{1b}]0;title\u{7}",
        upper.as_str(),
    ];
    for name in names {
        let mut bad = all.clone();
        bad.insert(4, Entry::new(name, b"x"));
        let text = said(&cache, &archive(&bad));
        assert!(text.contains("which no bundle has"), "{name:?}: {text}");
    }
    // A second name behind a NUL, in the field for links, and in the prefix.
    for (at, hidden) in [(20, &b"hidden"[..]), (157, b"/etc/passwd"), (345, b"../..")] {
        let mut bad = archive(&all);
        bad[at..at + hidden.len()].copy_from_slice(hidden);
        seal(&mut bad);
        let text = said(&cache, &bad);
        assert!(text.contains("more than one name"), "{at}: {text}");
    }
    // 64 kB of a name take a header of another kind.
    let mut bad = all.clone();
    bad.insert(4, Entry { kind: b'L', ..Entry::new("././@LongLink", &vec![b'x'; 65536]) });
    assert!(said(&cache, &archive(&bad)).contains("GNU header"));
    let mut twice = all.clone();
    twice.push(all[5].clone());
    assert!(said(&cache, &archive(&twice)).contains("twice"));
}

#[test]
fn f2_entries_that_are_not_plain_files() {
    let (cache, all) = good();
    for (kind, word) in [
        (b'1', "hard link"),
        (b'2', "symbolic link"),
        (b'3', "device"),
        (b'4', "device"),
        (b'5', "directory"),
        (b'6', "named pipe"),
        (b'7', "unknown kind"),
        (b'S', "sparse"),
        (b'V', "unknown kind"),
        (b'M', "unknown kind"),
        (0, "unknown kind"),
    ] {
        let mut bad = all.clone();
        bad.insert(5, Entry { kind, ..Entry::of(b"x") });
        let text = said(&cache, &archive(&bad));
        assert!(text.contains(word), "{kind}: {text}");
    }
}

#[test]
fn f2_directories_with_links_in_them() {
    let cache = Cache::holding(&usual());
    let make = |name: &str| -> PathBuf {
        let path = cache.path(name);
        cache.export(&cache.plan(&usual()), &path, None);
        path
    };
    let blob = |path: &PathBuf| fs::read_dir(path.join("blobs/sha256")).unwrap().next().unwrap().unwrap().path();
    let linked = make("linked");
    let target = cache.path("target");
    fs::rename(blob(&linked), &target).unwrap();
    symlink(&target, linked.join("blobs/sha256").join("0".repeat(64))).unwrap();
    let text = refused(&linked);
    assert!(text.contains("symbolic link") || text.contains("missing"), "{text}");
    let all_linked = make("all-linked");
    fs::rename(all_linked.join("blobs"), cache.path("elsewhere")).unwrap();
    symlink(cache.path("elsewhere"), all_linked.join("blobs")).unwrap();
    assert!(refused(&all_linked).contains("holds no blobs"));
    let stray = make("stray");
    fs::write(stray.join(".hidden"), "x").unwrap();
    assert!(refused(&stray).contains("which no bundle has"));
    let piped = make("piped");
    fs::remove_file(piped.join("index.json")).unwrap();
    nix::unistd::mkfifo(&piped.join("index.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refused(&piped).contains("no plain file"));
}

#[test]
fn f3_headers_that_two_readers_understand_differently() {
    let (cache, all) = good();
    let insert = |more: &[Entry]| {
        let mut bad = all.clone();
        bad.splice(5..5, more.iter().cloned());
        archive(&bad)
    };
    let pax = |text: &str, kind| Entry { kind, ..Entry::new("PaxHeader/x", text.as_bytes()) };
    for bad in [
        insert(&[pax("19 size=9999999999\n", b'x'), Entry::of(b"x")]),
        insert(&[pax("19 size=9999999999\n", b'g')]),
        insert(&[
            pax("25 path=../../../../etc/x\n", b'x'),
            Entry { kind: b'L', ..Entry::new("././@LongLink", b"../x\0") },
            Entry::of(b"x"),
        ]),
        insert(&[Entry { size: Some(8 << 30), ..pax("", b'x') }]),
    ] {
        let text = said(&cache, &bad);
        assert!(text.contains("PAX header"), "{text}");
    }
    // One number in two forms.
    let mut bad = archive(&all);
    bad[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30]);
    seal(&mut bad);
    assert!(said(&cache, &bad).contains("not a number"));
    bad[124..136].copy_from_slice(&[0xff; 12]);
    seal(&mut bad);
    assert!(said(&cache, &bad).contains("not a number"));
    bad[124..136].copy_from_slice(b"-0000000001\0");
    seal(&mut bad);
    assert!(said(&cache, &bad).contains("not a number"));
    let mut hidden = archive(&all);
    let padding = 512 + all[0].content.len() + 3;
    hidden[padding] = 1;
    assert!(said(&cache, &hidden).contains("hidden between"));
    let mut after = archive(&all);
    after.extend([0; 512]);
    after.extend(Entry::new("../../x", b"x").bytes());
    assert!(said(&cache, &after).contains("something follows the end"));
    let whole = archive(&all);
    for cut in [100, 512, 700, whole.len() / 2, whole.len() - 1024, whole.len() - 512] {
        assert!(said(&cache, &whole[..cut]).contains("ends in the middle"), "{cut}");
    }
}

/// The body that has a blob of its own says that it has so many zeros.
fn of_zeros(all: &[Entry], size: u64) -> (Vec<u8>, u64) {
    let mut bad = all.to_vec();
    let place = bad.iter().position(|entry| entry.content.len() > 1_000_000).unwrap();
    let hex = String::from_utf8(bad[place].name.clone()).unwrap().replace("blobs/sha256/", "sha256:");
    with_manifest(&mut bad, |manifest| {
        let layers = manifest["layers"].as_array_mut().unwrap();
        layers.iter_mut().find(|layer| layer["digest"] == hex.as_str()).unwrap()["size"] = size.into();
    });
    bad.truncate(place + 1);
    bad[place].size = Some(size);
    bad[place].content = Vec::new();
    (bad.iter().flat_map(Entry::bytes).collect(), size)
}

#[test]
fn f4_a_bomb_is_left_before_it_goes_off() {
    let (cache, all) = good();
    // An end that goes on: 4 GB of zeros in 128 kB.
    write(&cache.path("tail.tar.zst"), &frame(17, &archive(&all), 4 << 30));
    assert!(refused(&cache.path("tail.tar.zst")).contains("something follows the end"));
    // A document of 100 GB.
    let mut document = all.clone();
    document.truncate(1);
    document[0].size = Some(100 << 30);
    document[0].content = Vec::new();
    let literal: Vec<u8> = document.iter().flat_map(Entry::bytes).collect();
    write(&cache.path("document.tar.zst"), &frame(17, &literal, 100 << 30));
    assert!(refused(&cache.path("document.tar.zst")).contains("at most"));
    // A pack that says less than it holds, or holds more than it says, and one that holds without end.
    let one = Entry::of(b"the first\n").bytes();
    for packed in [zstd::encode_all(&[one.as_slice(), &[0; 1024]].concat()[..], 1).unwrap(), frame(17, &one, 8 << 30)] {
        for says in ["512", "4096", "0"] {
            let mut bad = all.clone();
            with_layer(&mut bad, PACK, &packed);
            with_manifest(&mut bad, |manifest| {
                let layers = manifest["layers"].as_array_mut().unwrap();
                let pack = layers.iter_mut().find(|layer| layer["mediaType"] == PACK).unwrap();
                pack["annotations"]["org.larder.bundle.unpacked"] = says.into();
            });
            let text = said(&cache, &archive(&bad));
            assert!(text.contains("the pack sha256:"), "{says}: {text}");
        }
    }
}

#[test]
fn f4_budgets_hold_what_is_honest_about_its_size() {
    let (cache, all) = good();
    // The record says another size than the manifest, so it is found before a byte is unpacked.
    let (literal, size) = of_zeros(&all, 100 << 30);
    write(&cache.path("honest.tar.zst"), &frame(17, &literal, size));
    let fresh = Cache::new();
    let limits = Limits { total: 1 << 30, ..Limits::default() };
    let Err(error) = fresh.import_within(&cache.path("honest.tar.zst"), limits) else { panic!("it was imported") };
    assert!(error.hint().contains("--max-size"), "{error}");
    fresh.is_untouched();
    // The same within the total: the ratio ends it. What is skipped is counted as well.
    let Err(error) = fresh.import_within(&cache.path("honest.tar.zst"), Limits::default()) else {
        panic!("it was imported")
    };
    assert!(error.hint().contains("--max-ratio"), "{error}");
    fresh.is_untouched();
    let limits = Limits { count: 5, ..Limits::default() };
    let Err(error) = fresh.import_within(&cache.path("good.tar"), limits) else { panic!("it was imported") };
    assert!(error.hint().contains("--max-count"), "{error}");
    fresh.is_untouched();
    let enough = Limits { total: 4_000_000, count: 20, ratio: 2 };
    assert!(matches!(fresh.import_within(&cache.path("good.tar"), enough), Ok(Outcome::Sound(..))));
}

#[test]
fn f4_frames_that_are_not_the_one_there_should_be() {
    let (cache, all) = good();
    let tar = archive(&all);
    let packed = zstd::encode_all(&tar[..], 1).unwrap();
    let path = cache.path("bad.tar.zst");
    let check = |bytes: &[u8], word: &str| {
        write(&path, bytes);
        let text = refused(&path);
        assert!(text.contains(word), "{text}");
    };
    check(&frame(31, &tar, 0), "memory");
    check(&frame(28, &tar, 0), "memory");
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18], &u32::MAX.to_le_bytes()[..]].concat();
    check(&[&skippable[..], &packed].concat(), "does not begin with a zstd frame");
    check(&[&packed, &skippable[..]].concat(), "something follows the end of the bundle");
    check(&[&packed[..], &packed].concat(), "something follows the end of the bundle");
    check(&[&packed[..], b"x"].concat(), "something follows the end of the bundle");
    check(&packed[..packed.len() - 1], "");
    check(&packed[..20], "");
    let (first, second) = tar.split_at(tar.len() / 2);
    let halves = [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
    check(&halves, "");
    // Within a pack as well.
    let pack = all.iter().find(|entry| entry.content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])).unwrap();
    let inner = zstd::decode_all(&pack.content[..]).unwrap();
    for bad in
        [frame(31, &inner, 0), [&pack.content[..], &skippable].concat(), [&skippable[..], &pack.content].concat()]
    {
        let mut changed = all.clone();
        with_layer(&mut changed, PACK, &bad);
        let text = said(&cache, &archive(&changed));
        assert!(text.contains("the pack sha256:"), "{text}");
    }
}

#[test]
fn f5_all_that_is_wrong_is_told_and_nothing_imported() {
    let (cache, all) = good();
    let large = all.iter().position(|entry| entry.content.len() > 1_000_000).unwrap();
    let mut bad = all.clone();
    bad[large].content[77] ^= 1;
    let pack = all.iter().position(|entry| entry.content.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])).unwrap();
    bad.remove(pack);
    bad.push(Entry::of(b"nobody asked for this"));
    with_manifest(&mut bad, |manifest| {
        let mut md5 = manifest["layers"][0].clone();
        md5["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e".into();
        let mut sha512 = md5.clone();
        sha512["digest"] = format!("sha512:{}", "0".repeat(128)).into();
        sha512["mediaType"] = "application/x-other".into();
        manifest["layers"].as_array_mut().unwrap().extend([md5, sha512]);
    });
    let text = said(&cache, &archive(&bad));
    for fault in [
        "is not what its name says",
        "is missing",
        "which its manifest does not name",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha512:",
        "application/x-other",
        "the body sha256:",
    ] {
        assert!(text.contains("md5"), "{text}");
        // What the documents say is told before bodies are read; what the bodies are, when they are.
        let before = fault.contains(':') && !fault.starts_with("the body") || fault.starts_with("application");
        assert!(!before || text.contains(fault), "{fault}: {text}");
    }
    let mut bodies = all.clone();
    bodies[large].content[77] ^= 1;
    bodies.remove(pack);
    bodies.push(Entry::of(b"nobody asked for this"));
    let text = said(&cache, &archive(&bodies));
    for fault in ["is not what its name says", "is missing", "which its manifest does not name", "the body sha256:"] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
}

#[test]
fn f5_sizes_that_do_not_agree() {
    let (cache, all) = good();
    let mut bad = all.clone();
    with_manifest(&mut bad, |manifest| {
        let layers = manifest["layers"].as_array_mut().unwrap();
        let body = layers.iter_mut().find(|layer| layer["mediaType"] == BODY).unwrap();
        body["size"] = 12.into();
    });
    assert!(said(&cache, &archive(&bad)).contains("bytes instead of 12"));
    let mut bad = all.clone();
    with_manifest(&mut bad, |manifest| manifest["config"]["size"] = 1.into());
    assert!(said(&cache, &archive(&bad)).contains("at most 1 are read"));
    let mut bad = all.clone();
    with_manifest(&mut bad, |manifest| {
        let twice = manifest["layers"][0].clone();
        manifest["layers"].as_array_mut().unwrap().push(twice);
    });
    assert!(said(&cache, &archive(&bad)).contains("twice"));
    // Sizes whose sum nobody can count.
    let mut bad = all.clone();
    with_manifest(&mut bad, |manifest| {
        for layer in manifest["layers"].as_array_mut().unwrap() {
            layer["size"] = u64::MAX.into();
        }
    });
    assert!(said(&cache, &archive(&bad)).contains("unpacks to too much"));
}

/// Changes one of Larder's own documents, by its place among the entries.
fn with_document(all: &[Entry], media_type: &str, change: impl Fn(&str) -> String) -> Vec<u8> {
    let mut bad = all.to_vec();
    if media_type.contains("record") {
        let text = change(std::str::from_utf8(&bad[3].content).unwrap());
        bad[3] = Entry::of(text.as_bytes());
        let (digest, size) = (Digest::of(text.as_bytes()), text.len());
        with_manifest(&mut bad, |manifest| {
            manifest["config"]["digest"] = format!("sha256:{digest}").into();
            manifest["config"]["size"] = size.into();
        });
    } else {
        let text = change(std::str::from_utf8(&bad[4].content).unwrap());
        with_layer(&mut bad, media_type, text.as_bytes());
    }
    archive(&bad)
}

#[test]
fn documents_that_say_what_no_cache_could_have_stored() {
    let (cache, all) = good();
    let answers = "application/vnd.larder.bundle.answers.v1+json";
    let record = "application/vnd.larder.record.v1+json";
    let large = format!("[\"etag\",\"{}\"]", "a".repeat(70_000));
    for (what, from, to, word) in [
        (answers, "[\"etag\",\"\\\"1\\\"\"]", large.as_str(), "header is too large"),
        (answers, "http://example.org/a.txt", "ftp://example.org/a.txt", "not of the record"),
        (answers, "http://example.org/a.txt", "http://EXAMPLE.org/a.txt", "not of the record"),
        (answers, "\"status\":200", "\"status\":206", "of this status is not stored"),
        (answers, "\"status\":200", "\"status\":100", "of this status is not stored"),
        (answers, "[\"etag\",\"\\\"1\\\"\"]", "[\"et ag\",\"x\"]", "a field of its head is none"),
        (answers, "[\"etag\",\"\\\"1\\\"\"]", "[\"etag\",\"a\\r\\nSet-Cookie: b\"]", "a field of its head is none"),
        (answers, "[\"etag\",\"\\\"1\\\"\"]", "[\"vary\",\"*\"]", "varies on everything"),
        (answers, "{\"answers\":[", "{\"answers\":[1,", "cannot be read"),
        (record, "\"algorithm\":\"sha256\"", "\"algorithm\":\"md5\"", "its digests are md5"),
        (record, "\"lock_version\":1", "\"lock_version\":2", "of version 2"),
        (record, "\"digest\":\"sha256:", "\"digest\":\"md5:", "its record"),
    ] {
        let bad = with_document(&all, what, |text| {
            assert!(text.contains(from), "{from}: {text}");
            text.replace(from, to)
        });
        let text = said(&cache, &bad);
        assert!(text.contains(word), "{to}: {text}");
    }
    // Deeper than any reader should follow.
    let deep = with_document(&all, answers, |_| "[".repeat(1_000_000));
    assert!(said(&cache, &deep).contains("cannot be read"));
}
