//! The same image twice, and what is said where it is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::busybox::root;
use crate::support::{Larder, Run, is_root};

const EPOCH: &str = "1500000000";

/// A template that begins with `base`, writes `outputs`, and whose provisioners run the scripts `s0.sh`, `s1.sh` and so on.
fn template(outputs: &[&str], scripts: usize) -> String {
    let sources = outputs.iter().enumerate().map(|(index, output)| {
        format!("source \"rootfs\" \"s{index}\" {{\n  base = \"base\"\n  output = \"{output}\"\n}}\n")
    });
    let names: Vec<String> = (0..outputs.len()).map(|index| format!("\"source.rootfs.s{index}\"")).collect();
    let provisioners = (0..scripts)
        .map(|index| format!("  provisioner \"shell\" {{\n    script = \"${{path.root}}/s{index}.sh\"\n  }}\n"));
    let build = format!("build {{\n  sources = [{}]\n{}}}\n", names.join(", "), provisioners.collect::<String>());
    sources.collect::<String>() + &build
}

/// A machine with a base and a template; what is in `base` is as old as it is.
fn larder(outputs: &[&str], scripts: &[&str]) -> Larder {
    let larder = Larder::new();
    root(&larder.dir().join("base"));
    larder.write("x.pkr.hcl", &template(outputs, scripts.len()));
    for (index, script) in scripts.iter().enumerate() {
        larder.write(&format!("s{index}.sh"), script);
    }
    larder
}

/// Has the template upload a directory first, whose file was changed at `time`, in seconds.
fn with_upload(larder: &Larder, outputs: &[&str], scripts: usize, time: u64) {
    let upload = "  provisioner \"file\" {\n    source      = \"site/\"\n    destination = \"/opt/site\"\n  }\n";
    larder.write(
        "x.pkr.hcl",
        &template(outputs, scripts).replacen("  provisioner", &format!("{upload}  provisioner"), 1),
    );
    let page = larder.write("site/pages/index.html", "a page");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    fs::File::options().write(true).open(page).unwrap().set_modified(time).unwrap();
}

/// Builds with `line` before the program, and with this environment.
fn build(larder: &Larder, line: &str, env: &[(&str, &str)]) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{line} \"$@\""), "sh", env!("CARGO_BIN_EXE_larder"), "build", "x.pkr.hcl"]);
    larder.settle(&mut command);
    Run::of(command.envs(env.iter().copied()).output().unwrap())
}

fn digest(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

fn diff(a: &Path, b: &Path, options: &[&str]) -> Run {
    let larder = Larder::new();
    let paths = [a, b].map(Path::as_os_str);
    larder.run(["diff".as_ref()].into_iter().chain(options.iter().map(AsRef::as_ref)).chain(paths))
}

/// Waits until the clock shows another second than `then`.
fn another_second(then: SystemTime) {
    let second = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    while second(SystemTime::now()) == second(then) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn whoever_builds_where_and_when_gets_the_same_bytes() {
    if !is_root() {
        return;
    }
    let outputs = ["out/image.tar", "out/image.tar.gz", "out/image.tar.zst", "out/image.oci.tar"];
    let scripts = ["#!/bin/sh\nset -e
         test $SOURCE_DATE_EPOCH = 1500000000
         mkdir -p /var/log /opt/app
         busybox date >/var/log/dpkg.log
         busybox tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
         echo \"root:*:$(($(busybox date +%s) / 86400)):0:99999:7:::\" >/etc/shadow",
        // Byte-code of Python 3.11, with the time of its source.
        "#!/bin/sh\nset -e
         cd /opt/app
         echo 'print(1)' >a.py
         t=$(busybox printf %08x $(busybox stat -c %Y a.py))
         byte() { busybox printf \"\\\\x$(echo $t | busybox cut -c$1)\"; }
         code() { busybox printf '\\247\\015\\015\\012\\0\\0\\0\\0'; byte 7-8; byte 5-6; byte 3-4; byte 1-2; busybox printf '\\011\\0\\0\\0code'; }
         code >a.pyc
         busybox ln a.py b.py
         rm /etc/group"];
    let first = larder(&outputs, &scripts);
    // Both older than the epoch: which clone is the older is no matter.
    with_upload(&first, &outputs, scripts.len(), 1_400_000_000);
    let began = SystemTime::now();
    let _ = build(&first, "umask 022;", &[("SOURCE_DATE_EPOCH", EPOCH)]).expect(0);
    another_second(began);
    let second = larder(&outputs, &scripts);
    with_upload(&second, &outputs, scripts.len(), 1_450_000_000);
    let env = [("SOURCE_DATE_EPOCH", EPOCH), ("TZ", "Asia/Tokyo"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8")];
    let line = "umask 027; hostname elsewhere; exec taskset -c 0";
    let _ = build(&second, &format!("exec unshare -u sh -c '{line} \"$@\"' sh"), &env).expect(0);
    for output in outputs {
        let images = [&first, &second].map(|larder| larder.dir().join(output));
        if digest(&images[0]) != digest(&images[1]) {
            let run = diff(&images[0], &images[1], &[]);
            panic!("{output}:\n{}{}", run.stdout, run.stderr);
        }
    }
    // All of them hold the same, and what was to be taken out is out.
    let images: Vec<PathBuf> = outputs.iter().map(|output| first.dir().join(output)).collect();
    for image in &images[1..] {
        let run = diff(&images[0], image, &[]).expect(0);
        assert!(run.stdout.is_empty() && run.stderr.contains("byte for byte"), "{run:?}");
    }
    let script = "set -eu; t() { tar -xOf out/image.tar \"$1\"; }; test -z \"$(t ./etc/machine-id)\"
        ! t ./var/log/dpkg.log 2>/dev/null; test \"$(t ./etc/shadow)\" = 'root:*:17361:0:99999:7:::'
        test \"$(t ./opt/app/a.pyc | od -An -tu4 -j8 -N4 | tr -d ' ')\" = 1500000000
        test \"$(tar -tvf out/image.tar --full-time --utc | grep -c '2017-07-14 02:40:00')\" -gt 10";
    let checked = Command::new("sh").args(["-c", script]).current_dir(first.dir()).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // Without the variable, nothing is taken out.
    fs::remove_dir_all(first.dir().join("out")).unwrap();
    first.write("x.pkr.hcl", &template(&["out/tree"], 1));
    first.write("s0.sh", "mkdir -p /var/log && busybox date >/var/log/dpkg.log && test -z \"$SOURCE_DATE_EPOCH\"");
    let _ = build(&first, "", &[]).expect(0);
    assert!(first.dir().join("out/tree/var/log/dpkg.log").is_file());
}

#[test]
fn what_a_template_makes_differ_is_shown_file_by_file() {
    if !is_root() {
        return;
    }
    let outputs = ["image.tar.zst", "image.oci"];
    let scripts = [
        "echo same >/etc/same; mkdir -p /opt && cat /proc/sys/kernel/random/uuid >/opt/id",
        "cat /proc/sys/kernel/random/uuid >/etc/key && chmod 600 /etc/key
         mkdir -p /opt/deep/er
         test ! -e /base.b || echo 1 >/opt/deep/er/f",
    ];
    let [a, b] = ["a", "b"].map(|name| {
        let larder = larder(&outputs, &scripts);
        larder.write(&format!("base/base.{name}"), "");
        let _ = build(&larder, "", &[("SOURCE_DATE_EPOCH", EPOCH)]).expect(0);
        larder
    });
    for output in outputs {
        let (a, b) = (a.dir().join(output), b.dir().join(output));
        let run = diff(&a, &b, &[]).expect(1);
        for part in ["only in A base.a", "only in B base.b", "changed   opt/id", "\n              -"] {
            assert!(run.stdout.contains(part), "{output}: {part}\n{}", run.stdout);
        }
        assert!(run.stdout.contains("only in B opt/deep/er/f (file, 2 bytes)"), "{}", run.stdout);
        // What is not for everybody is not for a log.
        let key = run.stdout.split("changed   etc/key").nth(1).unwrap().lines().nth(1).unwrap();
        assert!(key.contains("not everybody may read it"), "{key}");
        assert!(!run.stdout.contains("etc/same"), "{}", run.stdout);
        let layers = run.stdout.contains("A: layer 2, ");
        assert_eq!(layers, output == "image.oci", "{}", run.stdout);

        let run = diff(&a, &b, &["--json", "--exclude", "opt/**", "--exclude=base.*"]).expect(1);
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        let paths: Vec<&str> =
            found["differences"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert_eq!(
            (found["version"].as_u64(), found["equal"].as_bool(), paths),
            (Some(1), Some(false), vec!["etc/key"])
        );
    }
    // An archive and a layout of the same build hold the same.
    let run = diff(&a.dir().join(outputs[0]), &a.dir().join(outputs[1]), &["--json"]);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    // Each build drew its own numbers.
    assert_eq!(found["differences"].as_array().unwrap().len(), 2, "{}", run.stdout);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let larder = Larder::new();
    let text = larder.write("text", "no image at all");
    let squashfs = larder.write("image.squashfs", &format!("hsqs{}", "x".repeat(600)));
    fs::create_dir(larder.dir().join("tree")).unwrap();
    let tree = larder.dir().join("tree");
    let damaged = larder.write(
        "oci/index.json",
        &format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"sha256:{}","size":2}}]}}"#, "0".repeat(64)),
    );
    larder.write("oci/oci-layout", "{}");
    larder.write(&format!("oci/blobs/sha256/{}", "0".repeat(64)), "{}");
    let evil =
        larder.write("evil/index.json", r#"{"manifests":[{"digest":"sha256:../../../../etc/passwd","size":2}]}"#);
    larder.write("evil/oci-layout", "{}");
    for (path, says) in [
        (text.as_path(), "neither a tar archive"),
        (&squashfs, "unsquashfs"),
        (Path::new("/nowhere/at/all"), "cannot open"),
        (Path::new("/dev/null"), "neither a directory nor a regular file"),
        (damaged.parent().unwrap(), "not what its digest says"),
        (evil.parent().unwrap(), "is not a digest"),
    ] {
        let run = diff(&tree, path, &[]).expect(2);
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{says}: {}", run.stderr);
    }
    let _ = diff(&tree, &tree, &[]).expect(0);
    let _ = larder.run(["diff", "tree"]).expect(2);
    let _ = diff(&tree, &tree, &["--exclude", "a[", "--lines=0"]).expect(2);
    let mut command = larder.command(["build", "x.pkr.hcl"]);
    larder.write(
        "x.pkr.hcl",
        "source \"null\" \"x\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"source.null.x\"]\n}\n",
    );
    let run = Run::of(command.env("SOURCE_DATE_EPOCH", "yesterday").output().unwrap()).expect(1);
    assert!(run.stderr.contains("SOURCE_DATE_EPOCH is \"yesterday\""), "{}", run.stderr);
}
