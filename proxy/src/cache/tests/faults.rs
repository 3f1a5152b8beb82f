//! What must never be stored or served, and what heals.

use std::fs;
use std::os::unix::fs::FileExt as _;

use super::*;
use crate::store::Digest;

async fn broken_body(reply: Reply, sender: tokio::sync::mpsc::Sender<std::io::Result<Bytes>>, end: Option<&str>) {
    let bed = Bed::new();
    bed.origin.reply(DEB, reply);
    bed.origin.reply(DEB, Reply::ok("whole"));
    let leader = bed.call("GET", DEB, &[]).await;
    let waiter = bed.call("GET", DEB, &[]).await;
    sender.send(Ok(Bytes::from_static(b"part"))).await.unwrap();
    if let Some(message) = end {
        sender.send(Err(std::io::Error::other(message.to_owned()))).await.unwrap();
    }
    drop(sender);
    assert!(read(leader).await.body.is_err());
    assert!(read(waiter).await.body.is_err());
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    bed.assert_sound();
    assert_eq!(bed.get(DEB).await.text(), "whole");
}

#[tokio::test]
async fn upstream_dies_mid_body() {
    let (reply, sender) = Reply::live();
    Box::pin(broken_body(reply, sender, Some("connection reset"))).await;
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_not_stored() {
    let (reply, sender) = Reply::live();
    Box::pin(broken_body(reply.with("content-length", "10"), sender, None)).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_once_where_it_can_be() {
    // By an error, or by an early end; answered with the rest, with the whole again, or with another part.
    for (error, status, range, expected) in [
        (true, 206, "bytes 4-9/10", Some("0123456789")),
        (false, 206, "bytes 4-9/10", Some("0123456789")),
        (true, 200, "", None),
        (true, 206, "bytes 5-9/10", None),
    ] {
        let bed = Bed::new();
        let (reply, sender) = Reply::live();
        bed.origin.reply(DEB, reply.with("content-length", "10").with("etag", "\"1\""));
        bed.origin.reply(DEB, Reply::new(status, "456789").with("content-range", range));
        let answer = bed.call("GET", DEB, &[("range", "bytes=0-")]).await;
        sender.send(Ok(Bytes::from_static(b"0123"))).await.unwrap();
        if error {
            sender.send(Err(std::io::Error::other("reset"))).await.unwrap();
        }
        drop(sender);
        let answer = read(answer).await;
        assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=4-"));
        assert_eq!(bed.origin.asked("if-range").as_deref(), Some("\"1\""));
        assert_eq!(answer.body.as_ref().ok().map(|body| &body[..]), expected.map(str::as_bytes), "{status} {range}");
        bed.settle().await;
        assert_eq!(bed.store.stats().unwrap().entries, u64::from(expected.is_some()));
        bed.assert_sound();
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_its_url_promises_is_not_stored() {
    let bed = Bed::new();
    let url = |body: &str| format!("http://example.org/x/by-hash/SHA256/{}", Digest::of(body.as_bytes()));
    bed.origin.reply(&url("right"), Reply::ok("wrong").with("content-length", "5"));
    let answer = bed.get(&url("right")).await;
    assert!(answer.body.is_err(), "the last byte is kept back");
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    bed.origin.reply(&url("right"), Reply::ok("right").with("content-length", "5"));
    assert_eq!(bed.get(&url("right")).await.text(), "right");
    assert_eq!(bed.get(&url("right")).await.text(), "right");
    assert_eq!(bed.outcome(), Outcome::Hit);
    bed.assert_sound();
}

#[tokio::test]
async fn a_flipped_bit_is_found_and_healed() {
    for size in [100, 200_000] {
        let bed = Bed::new();
        let body = Bytes::from(vec![5; size]);
        bed.origin.reply(DEB, Reply::ok(body.clone()));
        bed.get(DEB).await;
        let path = bed.store.blob_path(&Digest::of(&body));
        let blob = fs::OpenOptions::new().write(true).open(&path).unwrap();
        blob.write_all_at(&[4], size as u64 - 1).unwrap();
        assert_eq!(bed.store.verify(false).unwrap().damaged.len(), 1);

        let next = bed.again();
        next.origin.reply(DEB, Reply::ok(body.clone()));
        assert_eq!(next.get(DEB).await.body, Ok(body));
        assert_eq!((next.outcome(), next.origin.count()), (Outcome::Miss, 1));
        next.assert_sound();
    }
}

#[tokio::test]
async fn truncated_and_missing_blobs_heal() {
    for truncate in [true, false] {
        let bed = Bed::new();
        bed.origin.reply(DEB, Reply::ok("package"));
        bed.get(DEB).await;
        let path = bed.store.blob_path(&Digest::of(b"package"));
        if truncate {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let next = bed.again();
        next.origin.reply(DEB, Reply::ok("package"));
        assert_eq!(next.get(DEB).await.text(), "package");
        assert_eq!(next.origin.count(), 1);
        next.assert_sound();
    }
}

#[tokio::test]
async fn two_caches_on_one_directory_see_each_others_work() {
    let one = Bed::new();
    let two = one.again();
    one.origin.reply(DEB, Reply::ok("package"));
    one.get(DEB).await;
    assert_eq!(two.get(DEB).await.text(), "package");
    assert_eq!(two.outcome(), Outcome::Hit);
    // While one writes, the other's start and clean-up leave it alone.
    let (reply, sender) = Reply::live();
    one.origin.reply(PLAIN, reply);
    let arriving = one.call("GET", PLAIN, &[]).await;
    let three = one.again();
    assert!(three.store.verify(true).unwrap().is_sound());
    sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
    drop(sender);
    assert_eq!(read(arriving).await.text(), "x");
    one.settle().await;
    three.assert_sound();
    assert_eq!(three.store.stats().unwrap().entries, 2);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_still_lets_bytes_through() {
    let bed = Bed::new();
    fs::remove_dir_all(bed.store.root().join("tmp")).unwrap();
    for _ in 0..2 {
        bed.origin.reply(DEB, Reply::ok("package"));
        assert_eq!(bed.get(DEB).await.text(), "package");
        assert_eq!(bed.outcome(), Outcome::Miss);
        assert!(bed.last().why.contains("cannot be written"), "{}", bed.last().why);
    }
}

/// Without a place for it a body is held to its digest as well.
#[tokio::test]
async fn what_cannot_be_stored_is_checked_all_the_same() {
    let bed = Bed::new();
    fs::remove_dir_all(bed.store.root().join("tmp")).unwrap();
    let url = format!("http://example.org/x/by-hash/SHA256/{}", Digest::of(b"right"));
    for (body, length, expected) in [
        ("right", Some("5"), Some("right")),
        ("right", None, Some("right")),
        ("wrong", Some("5"), None),
        ("wrong", None, None),
    ] {
        let reply = Reply::ok(body);
        bed.origin.reply(&url, if let Some(length) = length { reply.with("content-length", length) } else { reply });
        let answer = bed.get(&url).await;
        assert_eq!(answer.body.as_ref().ok().map(|body| &body[..]), expected.map(str::as_bytes), "{body} {length:?}");
    }
}

/// Somebody empties the cache of a service by removing its directory.
#[tokio::test]
async fn a_directory_removed_while_it_is_in_use_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cache");
    let bed = Bed::at(Arc::new(dir), &path);
    let large = Bytes::from(vec![7; 200_000]);
    let other = "http://example.org/pool/other_1_amd64.deb";
    for (url, body) in [(DEB, Bytes::from_static(b"small")), (other, large.clone())] {
        bed.origin.reply(url, Reply::ok(body));
        bed.get(url).await;
    }
    fs::remove_dir_all(&path).unwrap();
    // Also what the front still knows.
    for (url, body) in [(PLAIN, "plain".into()), (DEB, Bytes::from_static(b"small")), (other, large)] {
        bed.origin.reply(url, Reply::ok(body.clone()).with("cache-control", "max-age=600"));
        assert_eq!(bed.get(url).await.body, Ok(body));
    }
    bed.assert_sound();
    assert_eq!(bed.get(PLAIN).await.text(), "plain");
    assert_eq!(bed.outcome(), Outcome::Hit);
    assert!(!bed.stored(PLAIN).is_empty());
    assert!(path.join("v1/index.sqlite").exists());
}

/// The machine sleeps for a night in mid-download: the connection is dead afterwards, and the clock has jumped.
#[tokio::test]
async fn a_download_goes_on_after_the_machine_has_slept() {
    for jump in [8 * 3600, 10 * 365 * 86_400] {
        let bed = Bed::new();
        let (reply, sender) = Reply::live();
        bed.origin.reply(DEB, reply.with("content-length", "10").with("etag", "\"1\""));
        bed.origin.reply(DEB, Reply::new(206, "456789").with("content-range", "bytes 4-9/10").with("etag", "\"1\""));
        let answer = bed.call("GET", DEB, &[]).await;
        sender.send(Ok(Bytes::from_static(b"0123"))).await.unwrap();
        bed.later(jump);
        sender.send(Err(std::io::Error::other("reset"))).await.unwrap();
        drop(sender);
        assert_eq!(read(answer).await.text(), "0123456789");
        assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=4-"));
        bed.settle().await;
        assert_eq!(bed.get(DEB).await.text(), "0123456789");
        assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 2));
        bed.assert_sound();
    }
}

/// Whether it is of a body, and not the mark of a process that writes.
fn is_blob(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.path().extension().is_none())
}

const SMALL_DISK: &str = "LARDER_TEST_SMALL_DISK";

/// Runs [`on_a_full_disk`] with a tmpfs of 2 MB in a mount namespace of its own. Needs root.
#[test]
fn a_full_disk_does_not_stop_a_download() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let script = "mount -t tmpfs -o size=2m tmpfs \"$LARDER_TEST_SMALL_DISK\" && exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "cache::tests::faults::on_a_full_disk", "--ignored"])
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

#[tokio::test]
#[ignore = "run by a_full_disk_does_not_stop_a_download"]
async fn on_a_full_disk() {
    let path = std::path::PathBuf::from(std::env::var_os(SMALL_DISK).unwrap());
    let bed = Bed::at(Arc::new(TempDir::new().unwrap()), &path);
    let body: Bytes = (0..5_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let part = |range: &str| Reply::new(206, "").with("content-range", range).with("etag", "\"1\"");
    // With and without a length, whole and in part.
    let promised = format!("http://example.org/dists/x/by-hash/SHA256/{}", Digest::of(&body));
    for (url, reply, fields, expected) in [
        // Of these two the last byte is kept back for a while.
        (&*promised, Reply::ok(body.clone()).with("content-length", "5000000"), &[][..], body.clone()),
        (INDEX, Reply::ok(body.clone()), &[], body.clone()),
        (DEB, Reply::ok(body.clone()).with("content-length", "5000000"), &[], body.clone()),
        (DEB, Reply::ok(body.clone()), &[], body.clone()),
        // There is no room for the whole, as has been seen, so the range alone is asked for.
        (DEB, part("bytes 100-4000000/5000000"), &[("range", "bytes=100-4000000")], body.slice(100..4_000_001)),
        (DEB, part("bytes 1000000-4999999/5000000"), &[("range", "bytes=1000000-")], body.slice(1_000_000..)),
    ] {
        let (live, sender) = reply.drip();
        bed.origin.reply(url, live);
        let chunks = expected.clone();
        let feed = tokio::spawn(async move {
            for start in (0..chunks.len()).step_by(100_000) {
                let end = chunks.len().min(start + 100_000);
                if sender.send(Ok(chunks.slice(start..end))).await.is_err() {
                    return;
                }
            }
        });
        let answer = bed.with(url, fields).await;
        assert!(answer.body == Ok(expected), "{url} {fields:?}: {:?}", answer.body.map(|body| body.len()));
        feed.await.unwrap();
        assert_eq!(bed.store.stats().unwrap().entries, 0);
        bed.assert_sound();
    }
    // What does not fit is still not served where it is not what its URL promises; it is asked for once more.
    for length in [Some("5000000"), None] {
        let mut wrong = body.to_vec();
        wrong[4_999_999] ^= 1;
        for _ in 0..2 {
            let reply = Reply::ok(wrong.clone());
            bed.origin
                .reply(&promised, if let Some(length) = length { reply.with("content-length", length) } else { reply });
        }
        let before = bed.origin.count();
        let answer = bed.get(&promised).await;
        assert!(
            answer.body.as_ref().is_err_and(|why| why.contains("was promised")),
            "{:?}",
            answer.body.map(|body| body.len())
        );
        bed.settle().await;
        assert_eq!(bed.origin.count() - before, 2);
        assert_eq!(fs::read_dir(bed.store.root().join("tmp")).unwrap().filter(is_blob).count(), 0);
        bed.assert_sound();
    }
    no_room_for_the_index(&bed, &path).await;
    // There is room again for what is small.
    bed.origin.reply(PLAIN, Reply::ok("small"));
    bed.get(PLAIN).await;
    assert_eq!(bed.store.stats().unwrap().entries, 1);
    bed.assert_sound();
}

/// A page is left for the body, and none for its row.
async fn no_room_for_the_index(bed: &Bed, path: &Path) {
    use std::io::Write as _;
    let mut filler = fs::File::create(path.join("filler")).unwrap();
    while filler.write(&[1; 4096]).is_ok() {}
    let length = filler.metadata().unwrap().len();
    filler.set_len(length - 4096).unwrap();
    let long = "x".repeat(20_000);
    bed.origin.reply(PLAIN, Reply::ok("small").with("x-long", &long));
    assert_eq!(bed.get(PLAIN).await.text(), "small");
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    assert_eq!(fs::read_dir(bed.store.root().join("tmp")).unwrap().filter(is_blob).count(), 0);
    assert!(!bed.store.blob_path(&Digest::of(b"small")).exists());
    bed.assert_sound();
    fs::remove_file(path.join("filler")).unwrap();
}

/// A fetch that ended between a look-up and the joining is not repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_fetched_twice_however_requests_fall() {
    for _ in 0..50 {
        let bed = Arc::new(Bed::new());
        bed.origin.reply(DEB, Reply::ok("package"));
        let clients = (0..20_u64).map(|number| {
            let bed = bed.clone();
            tokio::spawn(async move {
                for _ in 0..number * 5 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(read(bed.call("GET", DEB, &[]).await).await.text(), "package");
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        assert_eq!(bed.origin.count(), 1);
        bed.settle().await;
    }
}

/// The same, made to happen: the front in memory still says that there is nothing, the index knows better.
#[tokio::test]
async fn who_begins_a_fetch_looks_into_the_index_first() {
    let one = Bed::new();
    let two = one.again();
    assert_eq!(two.with(DEB, &[("cache-control", "only-if-cached")]).await.status, 504);
    one.origin.reply(DEB, Reply::ok("package"));
    one.get(DEB).await;
    assert_eq!(two.get(DEB).await.text(), "package");
    assert_eq!((two.outcome(), two.origin.count()), (Outcome::Hit, 0));
}

/// The index has no room left, though the disk has: nothing is stored, everything is served, and later all is well.
#[tokio::test]
async fn a_full_index_does_not_stop_a_download() {
    let bed = Bed::new();
    let limit = |pages: i64| {
        let index = bed.store.write_index();
        index.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0)).unwrap();
    };
    // Never fewer than there are.
    limit(1);
    let body = Bytes::from(vec![1; 100_000]);
    // Fields so long that the rows need pages of their own.
    let long = "x".repeat(20_000);
    let urls: Vec<String> = (0..20).map(|number| format!("http://example.org/pool/a_{number}_amd64.deb")).collect();
    for url in &urls {
        bed.origin.reply(url, Reply::ok(body.clone()).with("x-long", &long));
        assert!(bed.get(url).await.body == Ok(body.clone()));
    }
    let stored = bed.store.stats().unwrap().entries;
    assert!(stored < 20, "{stored}");
    bed.assert_sound();
    limit(1_000_000);
    let url = urls.last().unwrap();
    bed.origin.reply(url, Reply::ok(body.clone()).with("x-long", &long));
    assert!(bed.get(url).await.body == Ok(body.clone()));
    assert_eq!(bed.store.stats().unwrap().entries, stored + 1);
    bed.assert_sound();
}

/// To make room for it would empty the cache, and it would go with the next.
#[tokio::test]
async fn what_is_larger_than_the_cache_passes_it_by() {
    const MOST: usize = 3_000_000;
    let bed = Bed::new();
    bed.cache.keep(Keep { max_bytes: Some(MOST as u64), ..Keep::default() });
    let fits = Bytes::from(vec![1; MOST]);
    bed.origin.reply(DEB, Reply::ok(fits.clone()));
    assert_eq!(bed.get(DEB).await.body, Ok(fits));
    assert_eq!(bed.stored(DEB).len(), 1);

    // By its length.
    let body = Bytes::from(vec![2; MOST + 1]);
    let length = body.len().to_string();
    let reply = Reply::ok(body.clone()).with("content-length", &length).with("cache-control", "max-age=60");
    bed.origin.reply(PLAIN, reply);
    let answer = bed.get(PLAIN).await;
    assert_eq!(answer.body, Ok(body.clone()));
    assert!(bed.last().why.contains("larger than the cache"), "{}", bed.last().why);

    // As it turns out: the client that began it gets all of it.
    let (reply, sender) = Reply::ok("").with("cache-control", "max-age=60").drip();
    bed.origin.reply(PLAIN, reply);
    let asked = bed.call("GET", PLAIN, &[]).await;
    let sent = body.clone();
    let sending = tokio::spawn(async move {
        for at in (0..sent.len()).step_by(100_000) {
            sender.send(Ok(sent.slice(at..sent.len().min(at + 100_000)))).await.unwrap();
        }
    });
    assert_eq!(read(asked).await.body, Ok(body));
    sending.await.unwrap();
    bed.settle().await;
    assert!(bed.stored(PLAIN).is_empty());
    assert_eq!(bed.stored(DEB).len(), 1, "it made room for what is not kept");
    assert_eq!(bed.cache.figures().faults, 0);
    bed.assert_sound();
}

/// What came before the break is kept, however it was gathered: written bytes are told of at once, and those that came
/// with the break are written too.
#[tokio::test]
async fn what_arrived_is_readable_while_the_origin_is_silent() {
    let bed = Bed::new();
    let (reply, sender) = Reply::ok("").with("content-length", "3000000").drip();
    bed.origin.reply(DEB, reply);
    let mut body = bed.call("GET", DEB, &[]).await.into_body();
    for part in [1_000_000_usize, 999_999, 1_000_001] {
        sender.send(Ok(Bytes::from(vec![5; part]))).await.unwrap();
        let mut left = part;
        while left > 0 {
            left -= body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
    }
    drop(sender);
    assert!(body.frame().await.is_none_or(|frame| frame.is_err()));
}

/// Where bodies come faster than the disk takes them, new ones wait, and what is stored does not.
#[tokio::test]
async fn more_bodies_than_can_be_put_in_place_wait() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("stored"));
    bed.get(DEB).await;
    let (held, is_held) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let store = bed.store.clone();
    let disk = std::thread::spawn(move || {
        let _index = store.write_index();
        held.send(()).unwrap();
        released.recv().unwrap();
    });
    is_held.await.unwrap();
    let urls: Vec<String> =
        (0..=PLACED_AT_ONCE).map(|number| format!("http://example.org/pool/a_{number}_amd64.deb")).collect();
    let body = |url: &String| url.clone().into_bytes();
    let (last, urls) = urls.split_last().unwrap();
    for url in urls {
        bed.origin.reply(url, Reply::ok(body(url)));
        assert_eq!(read(bed.call("GET", url, &[]).await).await.body.unwrap(), body(url));
    }
    bed.origin.reply(last, Reply::ok(body(last)));
    let mut waits = std::pin::pin!(bed.call("GET", last, &[]));
    // Each as long as any answer takes.
    for _ in 0..20 {
        let hit = bed.again();
        tokio::select! {
            biased;
            _ = &mut waits => panic!("it has not waited"),
            answer = async { read(hit.call("GET", DEB, &[]).await).await } => assert_eq!(answer.text(), "stored"),
        }
    }
    release.send(()).unwrap();
    assert_eq!(read(waits.await).await.body.unwrap(), body(last));
    disk.join().unwrap();
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, PLACED_AT_ONCE as u64 + 2);
    bed.assert_sound();
}
