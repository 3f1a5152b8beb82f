use std::fs;

use crate::host::{self, with_mounts};
use crate::image::{inline, template};
use crate::origin;
use crate::support::{Larder, Run, is_root};

#[test]
fn a_full_state_directory_fails_the_build_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    larder.write("t.pkr.hcl", &template(&inline("nothing", "true")));
    fs::create_dir_all(larder.state()).unwrap();
    // Looked at from inside: the file system ends with the namespace.
    let before = "mount -t tmpfs -o size=20m none \"$LARDER_STATE_DIR\"\n\
                  \"$1\" build --ui=plain t.pkr.hcl && exit 99\n\
                  find \"$LARDER_STATE_DIR/runs\" \"$LARDER_STATE_DIR/scratch\" -mindepth 1 >left\n\
                  ls >names";
    let run =
        Run::of(with_mounts(&larder, &before.replace("&& exit 99", "&& exit 99 || true"), &["ps"]).output().unwrap());
    let run = run.expect(0);
    assert!(run.stdout.contains("No space left on device"), "{run:?}");
    assert!(run.stderr.contains("nothing left behind"), "{run:?}");
    assert_eq!(fs::read_to_string(larder.dir().join("left")).unwrap(), "");
    assert!(!fs::read_to_string(larder.dir().join("names")).unwrap().contains("t.tar"));
    host::assert_nothing_left(&larder);
}

#[test]
fn what_a_full_cache_cannot_hold_is_passed_on_whole() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    fs::create_dir_all(larder.cache()).unwrap();
    let mirror = format!("public.example.org=http://{}/", origin::serve());
    let before = format!(
        "mount -t tmpfs -o size=4m none \"$LARDER_CACHE_DIR\"\n\
         for path in small large small large; do\n\
         \"$1\" exec --mirror {mirror} -- curl -sS --fail -o $path http://public.example.org/$path\n\
         done"
    );
    let run = Run::of(with_mounts(&larder, &before, &["cache", "verify"]).output().unwrap()).expect(0);
    assert_eq!(fs::metadata(larder.dir().join("large")).unwrap().len(), 8 << 20, "{run:?}");
    assert_eq!(fs::read_to_string(larder.dir().join("small")).unwrap(), "origin /small");
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without_and_named() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    fs::create_dir_all(larder.cache()).unwrap();
    let before = "mount -t tmpfs -o ro none \"$LARDER_CACHE_DIR\"";
    let run = Run::of(with_mounts(&larder, before, &["exec", "--", "touch", "ran"]).output().unwrap()).expect(0);
    assert!(run.stderr.contains(larder.cache().to_str().unwrap()), "{run:?}");
    assert!(run.stderr.contains("Read-only file system"), "{run:?}");
    assert!(run.stderr.contains("hint:"), "{run:?}");
    assert!(larder.dir().join("ran").exists());
}
