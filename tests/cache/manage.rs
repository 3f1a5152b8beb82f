//! Stored answers chosen by URL: removed, pinned, checked, summed up.

use super::*;

fn url(path: &str) -> String {
    format!("http://example.org{path}")
}

fn listed(larder: &Larder) -> Vec<serde_json::Value> {
    let text = larder.run(["cache", "ls", "--json"]).expect(0).stdout;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_pinned_outlasts_limits_and_removal_until_it_is_unpinned() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB, INDEX, PLAIN]).expect(0);
    let pinned = larder.run(["cache", "pin", &url(DEB)]).expect(0);
    assert_eq!(pinned.stdout, "Pinned 1 answer\n");
    let entry = listed(&larder).into_iter().find(|entry| entry["url"] == url(DEB).as_str()).unwrap();
    assert_eq!((&entry["pinned"], &entry["fresh"]), (&true.into(), &true.into()));
    assert!(entry["last_used"].as_str().unwrap().ends_with('Z'), "{entry}");
    assert!(larder.run(["cache", "ls", "pool"]).expect(0).stdout.contains("fresh, pinned"));

    let _ = larder.run(["cache", "gc", "--max-size", "1"]).expect(0);
    assert_eq!(listed(&larder).len(), 1, "only what is pinned is left");
    let kept = larder.run(["cache", "rm", "-r", "http://example.org/"]).expect(0);
    assert!(kept.stderr.contains("1 answer stay: pinned"), "{}", kept.stderr);
    let unpinned = larder.run(["cache", "unpin", "-r", "http://example.org/debian/pool", "--json"]).expect(0);
    assert_eq!(unpinned.stdout, "{\"entries\":1,\"missing\":[],\"pinned\":false}\n");
    assert!(larder.run(["cache", "rm", "--dry-run", &url(DEB)]).expect(0).stdout.starts_with("Would remove 1 answer,"));
    assert_eq!(larder.run(["cache", "rm", &url(DEB)]).expect(0).stdout, "Removed 1 answer, 200.0 kB\n");
    assert!(listed(&larder).is_empty());
    let run = fetch(&larder, &origin, &[DEB]).expect(0);
    assert_eq!(outcomes(&run), ["MISS"]);
}

#[test]
fn what_is_not_there_is_named_and_the_rest_is_done() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB, PLAIN]).expect(0);
    let run = larder.run(["cache", "rm", &url("/none"), &url(DEB)]).expect(1);
    assert!(run.stdout.starts_with("Removed 1 answer"), "{}", run.stdout);
    assert!(run.stderr.contains("http://example.org/none is not in the cache"), "{}", run.stderr);
    assert!(run.stderr.contains("larder cache ls TEXT"), "{}", run.stderr);
    let run = larder.run(["cache", "pin", "example.org/none"]).expect(1);
    assert!(run.stderr.contains("give an absolute http or https URL"), "{}", run.stderr);
}

#[test]
fn one_body_is_checked_and_mended() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB, PLAIN]).expect(0);
    let sound = larder.run(["cache", "verify", &url(DEB)]).expect(0);
    assert!(sound.stdout.starts_with("sound: http://example.org/debian/"), "{}", sound.stdout);
    let entry = listed(&larder).into_iter().find(|entry| entry["url"] == url(DEB).as_str()).unwrap();
    let digest = entry["digest"].as_str().unwrap();
    let path = larder.cache().join("v1/content-v2/sha256").join(&digest[..2]).join(&digest[2..4]).join(&digest[4..]);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![b'x'; 200_000]).unwrap();
    let _ = larder.run(["cache", "verify", &url(PLAIN)]).expect(0);
    let damaged = larder.run(["cache", "verify", "--json", &url(DEB)]).expect(5);
    assert!(damaged.stdout.contains("\"state\":\"damaged\""), "{}", damaged.stdout);
    let _ = larder.run(["cache", "verify", "--repair", &url(DEB)]).expect(0);
    assert_eq!(listed(&larder).len(), 1);
}

#[test]
fn the_tree_is_summed_up_by_host_and_path() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB, INDEX, PLAIN]).expect(0);
    // By another run: within one its own fetch may still be under way.
    let _ = fetch(&larder, &origin, &[DEB]).expect(0);
    insta::assert_snapshot!("tree", larder.run(["cache", "ls", "--tree"]).expect(0).stdout);
    let first = larder.run(["cache", "ls", "--tree", "--json", "pool"]).expect(0).stdout;
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["prefix"], &first["entries"], &first["bytes"]),
        (&"http://example.org/".into(), &1.into(), &200_000.into())
    );
}
