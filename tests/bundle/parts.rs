//! Bundles in parts: row F7.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bed::{Cache, refused, usual};

fn in_parts() -> (Cache, PathBuf, Vec<PathBuf>) {
    let cache = Cache::holding(&usual());
    fs::create_dir(cache.path("media")).unwrap();
    let whole = cache.path("media/b.tar.zst");
    let exported = cache.export(&cache.plan(&usual()), &whole, Some(350_000));
    let parts: Vec<PathBuf> = (1..exported.written.files).map(|number| path(&whole, number)).collect();
    assert_eq!(parts.len(), 5);
    assert!(parts.iter().all(|part| part.metadata().unwrap().len() <= 350_000));
    assert_eq!(fs::read_dir(cache.path("media")).unwrap().count(), 6, "five parts, and the list of them");
    (cache, whole, parts)
}

fn path(whole: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number:03}", whole.display()))
}

#[test]
fn parts_are_read_by_their_list_or_the_name_of_the_whole() {
    let (cache, whole, _) = in_parts();
    for name in [whole.clone(), PathBuf::from(format!("{}.parts.json", whole.display()))] {
        let fresh = Cache::new();
        fresh.imports(&name);
        fresh.has(&usual());
    }
    // Put together they are the file that is written without parts.
    let single = cache.path("single.tar.zst");
    cache.export(&cache.plan(&usual()), &single, None);
    let joined: Vec<u8> = (1..6).flat_map(|number| fs::read(path(&whole, number)).unwrap()).collect();
    assert!(joined == fs::read(single).unwrap());
}

#[test]
fn f7_what_happened_to_a_part_is_told() {
    let (_cache, whole, parts) = in_parts();
    let third = fs::read(&parts[2]).unwrap();
    let check = |words: &str| {
        let text = refused(&whole);
        assert!(text.contains(words), "{text}");
    };
    fs::write(&parts[2], &third[..1000]).unwrap();
    check("part 3 of 5");
    check("is cut short: it has 1000 bytes of 350000");
    fs::write(&parts[2], [&third[..], b"x"].concat()).unwrap();
    check("is too long");
    fs::remove_file(&parts[2]).unwrap();
    check("part 3 of 5");
    check("cannot be read");
    fs::create_dir(&parts[2]).unwrap();
    check("is no file");
    fs::remove_dir(&parts[2]).unwrap();
    let mut damaged = third.clone();
    damaged[5] ^= 1;
    fs::write(&parts[2], &damaged).unwrap();
    check("");
    // Two in each other's place: of one size, so only their digests tell.
    let fourth = fs::read(&parts[3]).unwrap();
    fs::write(&parts[2], &fourth).unwrap();
    fs::write(&parts[3], &third).unwrap();
    check("");
    fs::write(&parts[2], &third).unwrap();
    fs::write(&parts[3], &fourth).unwrap();
    Cache::new().imports(&whole);
}

#[test]
fn f7_parts_in_the_wrong_order_are_named_where_only_digests_tell() {
    let cache = Cache::holding(&usual());
    let whole = cache.path("b.tar");
    cache.export(&cache.plan(&usual()), &whole, Some(300_000));
    // Both lie within one body, whose bytes mean nothing to the archive.
    let (third, fourth) = (path(&whole, 3), path(&whole, 4));
    let (a, b) = (fs::read(&third).unwrap(), fs::read(&fourth).unwrap());
    fs::write(&third, b).unwrap();
    fs::write(&fourth, a).unwrap();
    let text = refused(&whole);
    assert!(text.contains("part 3 of") && text.contains("holds what part 4 should"), "{text}");
}

#[test]
fn f7_lists_that_lie() {
    let (_cache, whole, _) = in_parts();
    let list = PathBuf::from(format!("{}.parts.json", whole.display()));
    let text = fs::read_to_string(&list).unwrap();
    for (from, to) in [
        ("350000", "350001"),
        ("350000", "-1"),
        ("350000", "18446744073709551615"),
        ("vnd.larder.bundle.parts", "vnd.other"),
        ("sha256:", "md5:"),
        ("\"parts\"", "\"files\""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&list, changed).unwrap();
        let said = refused(&whole);
        assert!(said.contains("part"), "{to}: {said}");
    }
}
