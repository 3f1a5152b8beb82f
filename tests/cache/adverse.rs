//! Disks that have quotas, are full, fail, or are taken away while a build runs. The build goes on uncached, with one
//! warning that says what to do; nothing partial stays; and what is offline still refuses.

use std::fs;
use std::process::Command;

use super::*;
use crate::support::is_root;

const LARGE: &str = "/debian/pool/main/l/large/large_1.0_all.deb";
const WITHOUT: &str = "downloads go on without it";

/// Nothing that a file system could make smaller.
fn large() -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    };
    (0..1_000_000).flat_map(next).collect()
}

fn origin_with_large() -> Origin {
    Origin::serving(&[
        (DEB, "Cache-Control: max-age=6000\r\n", vec![b'd'; 200_000]),
        (PLAIN, "Cache-Control: max-age=600\r\n", b"read me\n".to_vec()),
        (LARGE, "Cache-Control: max-age=6000\r\n", large()),
    ])
}

fn curl(path: &str) -> String {
    format!("curl -sSf -o out{} http://example.org{path}", path.replace('/', "-"))
}

fn fetched(larder: &Larder, path: &str) -> Vec<u8> {
    fs::read(larder.dir().join(format!("out{}", path.replace('/', "-")))).unwrap()
}

/// A build of these lines of shell, run by a script that calls it `"$@"`, in a mount namespace that ends with it. The
/// script's `larder` is the program.
fn build(larder: &Larder, origin: &Origin, lines: &[String], script: &str) -> Run {
    let lines = lines.iter().map(|line| format!("      {},\n", serde_json::to_string(line).unwrap()));
    let lines = lines.collect::<Vec<_>>().concat();
    let template = format!(
        "source \"null\" \"fetch\" {{}}\nbuild {{\n  sources = [\"source.null.fetch\"]\n  \
         provisioner \"shell-local\" {{\n    inline = [\n{lines}    ]\n  }}\n}}\n"
    );
    larder.write("fetch.pkr.hcl", &template);
    fs::create_dir_all(larder.cache()).unwrap();
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    let script = format!("larder() {{ {} \"$@\"; }}\n{script}", env!("CARGO_BIN_EXE_larder"));
    command.args(["--mount", "--propagation", "private", "sh", "-euc", &script, "sh"]);
    command.args([env!("CARGO_BIN_EXE_larder"), "build", "--ui=plain", "--mirror", &origin.mirror(), "fetch.pkr.hcl"]);
    Run::of(command.output().unwrap())
}

/// Runs the build while calls of these kinds fail; `more` are arguments of strace.
fn failing(calls: &str, error: &str, more: &str) -> String {
    format!("strace -f -qq -o /dev/null -e trace={calls} {more} -e inject={calls}:error={error} \"$@\"")
}

#[track_caller]
fn warned_once(run: &Run, words: &[&str]) {
    assert_eq!(run.stderr.matches(WITHOUT).count(), 1, "{}", run.stderr);
    let warning = run.stderr.lines().find(|line| line.contains(WITHOUT)).unwrap();
    for word in words.iter().chain(&["hint: "]) {
        assert!(warning.contains(word), "{word}: {warning}");
    }
}

/// A real quota: of a subvolume of btrfs, on a loop device that goes with the namespace.
#[test]
fn a_quota_costs_the_cache_and_not_the_build() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    let script = "mkdir disk && truncate -s 128M image && mkfs.btrfs -q -m single image >&2 && mount -o loop image disk
        btrfs quota enable disk && btrfs subvolume create disk/cache >&2 && btrfs qgroup limit 4M disk/cache
        export LARDER_CACHE_DIR=$PWD/disk/cache
        \"$@\"
        find disk/cache/v1/tmp -type f >left
        larder cache verify
        rm out*; code=0; \"$@\" --net=offline >offline 2>&1 || code=$?; echo $code >code";
    let run = build(&larder, &origin, &[curl(DEB), curl(LARGE), curl(PLAIN)], script);
    assert_eq!(run.code, 0, "{run:?}");
    warned_once(&run, &["Disk quota exceeded", "hint: free some space"]);
    assert!(run.stdout.trim_end().ends_with("sound"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(larder.dir().join("left")).unwrap(), "");
    let [code, said] = ["code", "offline"].map(|name| fs::read_to_string(larder.dir().join(name)).unwrap());
    assert!(["1", "4"].contains(&code.trim()), "{code}{said}");
    assert_eq!(origin.requests()[LARGE], 1, "{said}");
    // The run that was not offline got all of it; the other one nothing of it.
    assert!(!larder.dir().join(format!("out{}", LARGE.replace('/', "-"))).exists());
}

#[test]
fn a_disk_that_fails_to_write_costs_the_cache_and_not_the_build() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    // Of bodies, when they are made durable; of the index's log, when a row is written.
    let wal = format!("-P {}/v1/index.sqlite-wal", larder.cache().display());
    for (calls, path) in [("fdatasync", ""), ("pwrite64", &*wal)] {
        let run = build(&larder, &origin, &[curl(LARGE), curl(PLAIN)], &failing(calls, "EIO", path)).expect(0);
        warned_once(&run, &[if path.is_empty() { "Input/output error" } else { "disk I/O error" }]);
        assert!(fetched(&larder, LARGE) == large() && fetched(&larder, PLAIN) == b"read me\n");
        let left: Vec<_> = fs::read_dir(larder.cache().join("v1/tmp")).unwrap().map(|left| left.unwrap()).collect();
        assert!(left.iter().all(|left| left.path().extension().is_some_and(|end| end == "session")), "{left:?}");
        let _ = larder.run(["cache", "verify"]).expect(0);
        let listed = larder.run(["cache", "ls", "--json"]).expect(0);
        assert!(!listed.stdout.contains(LARGE), "{}", listed.stdout);
    }
    // The disk is well again.
    let _ = build(&larder, &origin, &[curl(LARGE), curl(LARGE)], "\"$@\"").expect(0);
    assert_eq!(origin.requests()[LARGE], 3);
    let _ = larder.run(["cache", "verify"]).expect(0);
}

/// What cannot be read is as good as damaged: it is fetched anew, and counted.
#[test]
fn a_body_that_the_disk_does_not_give_back_is_fetched_anew() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    let _ = build(&larder, &origin, &[curl(LARGE)], "\"$@\"").expect(0);
    let listed = larder.run(["cache", "ls", "--json", LARGE]).expect(0).stdout;
    let entry: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let digest = entry["digest"].as_str().unwrap();
    let blob = larder.cache().join("v1/content-v2/sha256").join(&digest[..2]).join(&digest[2..4]).join(&digest[4..]);
    let only = format!("-P {}", blob.display());
    fs::remove_file(larder.dir().join(format!("out{}", LARGE.replace('/', "-")))).unwrap();
    // Once: what takes its place is at the same path.
    let script = failing("read,pread64,preadv2", "EIO:when=1", &only);
    let _ = build(&larder, &origin, &[curl(LARGE)], &script).expect(0);
    assert!(fetched(&larder, LARGE) == large());
    assert_eq!(origin.requests()[LARGE], 2);
    let stats = larder.run(["cache", "stats"]).expect(0).stdout;
    assert!(stats.contains("a damaged or missing body: found and healed once"), "{stats}");
    let _ = larder.run(["cache", "verify"]).expect(0);
}

#[test]
fn a_log_that_cannot_be_written_is_given_up_and_the_build_goes_on() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    fs::create_dir_all(larder.state()).unwrap();
    let lines = [
        "head -c 100M /dev/zero >\"$LARDER_STATE_DIR/filler\" || echo it is full".to_owned(),
        "seq 20000".to_owned(),
        curl(DEB),
        "sleep 0; seq 20000; echo the last line".to_owned(),
    ];
    let script = "mount -t tmpfs -o size=4M none \"$LARDER_STATE_DIR\"\n\"$@\"";
    let run = build(&larder, &origin, &lines, script).expect(0);
    assert!(run.stdout.contains("the last line"), "{}", run.stdout);
    assert_eq!(run.stderr.matches("the build's log ends here").count(), 1, "{}", run.stderr);
    let warning = run.stderr.lines().find(|line| line.contains("the build's log ends here")).unwrap();
    assert!(warning.contains("No space left on device") && warning.contains("hint: "), "{warning}");
    assert_eq!(fetched(&larder, DEB).len(), 200_000);
    let _ = larder.run(["cache", "verify"]).expect(0);
}

#[test]
fn a_cache_directory_removed_while_a_build_runs_is_made_anew() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    // What is just being stored would fail, with a warning of its own.
    let stored = format!("until {} cache ls --json | grep -q hello; do :; done", env!("CARGO_BIN_EXE_larder"));
    let gone = "rm -rf \"$LARDER_CACHE_DIR\"".to_owned();
    let lines = [curl(DEB), stored, gone, curl(PLAIN), curl(LARGE), curl(PLAIN)];
    let run = build(&larder, &origin, &lines, "\"$@\"").expect(0);
    assert_eq!(run.stderr.matches("made anew").count(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains(WITHOUT), "{}", run.stderr);
    assert_eq!((fetched(&larder, DEB).len(), fetched(&larder, LARGE).len()), (200_000, 8_000_000));
    let _ = larder.run(["cache", "verify"]).expect(0);
    let run = fetch(&larder, &origin, &[PLAIN, LARGE, DEB]).expect(0);
    assert_eq!(outcomes(&run), ["HIT", "HIT", "MISS"]);
}

/// The kernel says that the directory lies on NFS.
#[test]
fn a_network_file_system_is_refused() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin_with_large());
    let script = "strace -f -qq -o /dev/null -e trace=statfs -e inject=statfs:poke_exit=@arg2=6969000000000000 \"$@\"";
    let run = build(&larder, &origin, &[curl(PLAIN)], script).expect(1);
    assert!(run.stderr.contains("is on a network file system (NFS)"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: choose a directory on a local disk"), "{}", run.stderr);
    assert!(!larder.cache().join("v1/index.sqlite").exists());
}
