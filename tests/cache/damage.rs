//! A damaged cache is found, repaired, and fetched anew.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::*;

fn blob(larder: &Larder, path: &str) -> PathBuf {
    let listed = larder.run(["cache", "ls", "--json", path]).expect(0).stdout;
    let entry: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let digest = entry["digest"].as_str().unwrap();
    larder.cache().join("v1/content-v2/sha256").join(&digest[..2]).join(&digest[2..4]).join(&digest[4..])
}

/// Damages a cache; `verify` has to say it in these words, and `--repair` to heal it.
#[track_caller]
fn heals(words: &str, damage: impl Fn(&Larder)) {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB, PLAIN]).expect(0);
    damage(&larder);
    let found = larder.run(["cache", "verify"]).expect(5);
    assert!(found.stdout.contains(words), "{}", found.stdout);
    assert!(found.stderr.contains("larder cache verify --repair"), "{}", found.stderr);
    let again = larder.run(["cache", "verify", "--json"]).expect(5);
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["sound"], false, "looking changes nothing");
    let repaired = larder.run(["cache", "verify", "--repair"]).expect(0);
    assert!(repaired.stdout.contains(words) && repaired.stdout.contains("repaired"), "{}", repaired.stdout);
    let _ = larder.run(["cache", "verify"]).expect(0);
    let _ = fetch(&larder, &origin, &[DEB, PLAIN]).expect(0);
    assert_eq!(fs::read(larder.dir().join("0.out")).unwrap(), vec![b'd'; 200_000]);
    let _ = larder.run(["cache", "verify"]).expect(0);
    assert!(origin.requests()[DEB] <= 2);
}

#[test]
fn a_flipped_bit() {
    heals("damaged: 1", |larder| {
        let file = fs::OpenOptions::new().write(true).open(blob(larder, DEB)).unwrap();
        file.write_all_at(b"e", 100_000).unwrap();
    });
}

#[test]
fn a_truncated_body() {
    heals("damaged: 1", |larder| {
        fs::OpenOptions::new().write(true).open(blob(larder, DEB)).unwrap().set_len(77).unwrap();
    });
}

#[test]
fn a_removed_body() {
    heals("missing: 1", |larder| fs::remove_file(blob(larder, DEB)).unwrap());
}

#[test]
fn a_strange_file_among_the_bodies() {
    heals("not a body: 1", |larder| fs::write(blob(larder, DEB).with_file_name("strange"), "?").unwrap());
}

#[test]
fn an_index_that_is_none() {
    heals("damaged index: ", |larder| {
        let root = larder.cache().join("v1");
        for name in ["index.sqlite-wal", "index.sqlite-shm"] {
            let _ = fs::remove_file(root.join(name));
        }
        fs::write(root.join("index.sqlite"), vec![b'x'; 10_000]).unwrap();
    });
}

#[test]
fn an_index_with_a_page_of_garbage() {
    heals("damaged index: ", |larder| {
        let root = larder.cache().join("v1");
        for name in ["index.sqlite-wal", "index.sqlite-shm"] {
            let _ = fs::remove_file(root.join(name));
        }
        let index = fs::OpenOptions::new().write(true).open(root.join("index.sqlite")).unwrap();
        for page in 1..index.metadata().unwrap().len() / 4096 {
            index.write_all_at(&[b'x'; 4096], page * 4096).unwrap();
        }
    });
}

#[test]
fn what_killed_processes_leave_harms_nothing() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB]).expect(0);
    let temporary = larder.cache().join("v1/tmp");
    fs::write(temporary.join("1-dead-0"), "half a body").unwrap();
    fs::create_dir(temporary.join("directory")).unwrap();
    let found = larder.run(["cache", "verify"]).expect(0);
    assert!(found.stdout.contains("left by a killed process: 1"), "{}", found.stdout);
    assert_eq!(outcomes(&fetch(&larder, &origin, &[DEB]).expect(0)), ["HIT"]);
    assert!(!temporary.join("1-dead-0").exists(), "the next run removes it");
}

#[test]
fn a_build_heals_a_body_by_itself() {
    for removed in [false, true] {
        let (larder, origin) = (Larder::new(), origin());
        let _ = fetch(&larder, &origin, &[DEB]).expect(0);
        let path = blob(&larder, DEB);
        if removed {
            fs::remove_file(path).unwrap();
        } else {
            fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(b"e", 5).unwrap();
        }
        assert_eq!(outcomes(&fetch(&larder, &origin, &[DEB]).expect(0)), ["MISS"]);
        // By another run: within one it might still join the fetch, whose last byte comes before it is stored.
        assert_eq!(outcomes(&fetch(&larder, &origin, &[DEB]).expect(0)), ["HIT"]);
        assert_eq!(origin.requests()[DEB], 2);
        let _ = larder.run(["cache", "verify"]).expect(0);
    }
}

#[test]
fn a_build_mends_an_unreadable_index_by_itself() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB]).expect(0);
    fs::write(larder.cache().join("v1/index.sqlite"), vec![b'x'; 10_000]).unwrap();
    let refused = larder.run(["cache", "ls"]).expect(1);
    assert!(refused.stderr.contains("larder cache verify --repair"), "{}", refused.stderr);
    let run = fetch(&larder, &origin, &[DEB]).expect(0);
    assert_eq!(run.stderr.matches("set aside").count(), 1, "{}", run.stderr);
    assert_eq!(outcomes(&fetch(&larder, &origin, &[DEB]).expect(0)), ["HIT"]);
    let stats = larder.run(["cache", "stats"]).expect(0).stdout;
    assert!(stats.contains("a damaged index: found and healed once"), "{stats}");
    let _ = larder.run(["cache", "verify"]).expect(0);
}
