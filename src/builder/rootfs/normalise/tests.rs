use std::fs;

use super::*;

const EPOCH: u32 = 1_600_000_000;
const DAY: u32 = EPOCH / 86_400;

/// A tree with these files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

/// What the files of a tree hold.
fn files(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    Layers::new([directory.to_owned()])
        .walk(&mut |entry| {
            if entry.metadata.is_file() {
                let content = String::from_utf8_lossy(&fs::read(&entry.source).unwrap()).into_owned();
                found.push((entry.path.to_str().unwrap().to_owned(), content));
            }
            Ok(true)
        })
        .unwrap();
    found
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

const ID: &str = "0123456789abcdef0123456789abcdef\n";

#[test]
fn what_a_layer_has_of_leftovers_is_forgotten() {
    let below = tree(&[("etc/machine-id", ""), ("var/log/alternatives.log", "of the base"), ("var/log/dpkg.log", "x")]);
    let written = [
        ("etc/machine-id", ID),
        ("etc/passwd-", "root"),
        ("root/.wget-hsts", "1"),
        ("srv/var/log/dpkg.log", "another's"),
        ("var/cache/apt/archives/x.deb", "kept"),
        ("var/lib/random-seed", "r"),
        ("var/log/alternatives.log", "of the base, and more"),
        ("var/log/apt/term.log", "t"),
        ("var/log/dpkg.log", ""),
        ("var/log/own.log", "kept"),
    ];
    let kept = [
        ("srv/var/log/dpkg.log", "another's"),
        ("var/cache/apt/archives/x.deb", "kept"),
        ("var/log/dpkg.log", ""),
        ("var/log/own.log", "kept"),
    ];
    let lower = Layers::new([below.path().to_owned()]);
    let layer = tree(&written);
    normalise(layer.path(), &lower, false, Origin::Written, Clamp::at(EPOCH)).unwrap();
    assert_eq!(files(layer.path()), pairs(&kept));

    // A whole copy gets back what was there.
    let copy = tree(&written);
    normalise(copy.path(), &lower, true, Origin::Written, Clamp::at(EPOCH)).unwrap();
    let mut whole = pairs(&kept);
    whole.extend(pairs(&[("etc/machine-id", ""), ("var/log/alternatives.log", "of the base")]));
    whole.sort();
    assert_eq!(files(copy.path()), whole);

    // Nothing is below a base; and without a clamp everything stays.
    let base = tree(&[("etc/machine-id", ID), ("var/log/dpkg.log", "x")]);
    normalise(base.path(), &Layers::new(Vec::new()), false, Origin::Written, Clamp::default()).unwrap();
    assert_eq!(files(base.path()).len(), 2);
    normalise(base.path(), &Layers::new(Vec::new()), false, Origin::Given, Clamp::at(EPOCH)).unwrap();
    assert_eq!(files(base.path()).len(), 2);
    normalise(base.path(), &Layers::new(Vec::new()), false, Origin::Written, Clamp::at(EPOCH)).unwrap();
    assert_eq!(files(base.path()), pairs(&[("etc/machine-id", "")]));
}

#[test]
fn byte_code_fits_the_time_its_source_will_have() {
    let code =
        |time: u32| [&3495_u16.to_le_bytes()[..], b"\r\n\0\0\0\0", &time.to_le_bytes(), b"\x05\0\0\0code"].concat();
    let layer = tree(&[]);
    for (name, time) in [("new.pyc", EPOCH + 5), ("old.pyc", EPOCH - 5)] {
        fs::write(layer.path().join(name), code(time)).unwrap();
    }
    fs::write(layer.path().join("text.pyc"), "not byte-code").unwrap();
    fs::hard_link(layer.path().join("new.pyc"), layer.path().join("twin.pyc")).unwrap();
    let before = fs::metadata(layer.path().join("new.pyc")).unwrap();
    normalise(layer.path(), &Layers::new(Vec::new()), false, Origin::Given, Clamp::at(EPOCH)).unwrap();
    let read = |name: &str| fs::read(layer.path().join(name)).unwrap();
    assert_eq!([read("new.pyc"), read("twin.pyc"), read("old.pyc")], [code(EPOCH), code(EPOCH), code(EPOCH - 5)]);
    assert_eq!(read("text.pyc"), b"not byte-code");
    let after = fs::metadata(layer.path().join("new.pyc")).unwrap();
    assert_eq!((after.ino(), after.nlink(), after.mtime()), (before.ino(), 2, before.mtime()));
}

#[test]
fn days_and_dates_are_no_later() {
    let next = DAY + 100;
    let shadow = format!("root:*:{next}:0:99999:7:::\nold:!:1000:0:99999:7:::\nnone:!::::::\nodd:{next}\n");
    let mut store = KeyStore::new();
    store.add("later", b"one", u64::from(EPOCH) * 1000 + 1);
    store.add("old", b"two", 5);
    let layer = tree(&[("etc/shadow", &shadow)]);
    let cacerts = layer.path().join("etc/ssl/certs/java/cacerts");
    fs::create_dir_all(cacerts.parent().unwrap()).unwrap();
    fs::write(&cacerts, store.to_bytes()).unwrap();
    normalise(layer.path(), &Layers::new(Vec::new()), false, Origin::Written, Clamp::at(EPOCH)).unwrap();
    assert_eq!(
        fs::read_to_string(layer.path().join("etc/shadow")).unwrap(),
        shadow.replacen(&next.to_string(), &DAY.to_string(), 1)
    );
    let mut expected = KeyStore::new();
    expected.add("later", b"one", u64::from(EPOCH) * 1000);
    expected.add("old", b"two", 5);
    assert_eq!(fs::read(&cacerts).unwrap(), expected.to_bytes());
}

#[test]
fn private_keys_are_told_of() {
    for clamp in [Clamp::default(), Clamp::at(EPOCH)] {
        let layer = tree(&[("etc/ssh/ssh_host_rsa_key", "k"), ("etc/ssh/ssh_host_rsa_key.pub", "p")]);
        let told = normalise(layer.path(), &Layers::new(Vec::new()), false, Origin::Written, clamp).unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("/etc/ssh/ssh_host_rsa_key is a private key"), "{told:?}");
        assert_eq!(files(layer.path()).len(), 2);
    }
}

#[test]
fn the_guide_names_every_leftover() {
    let guide = include_str!("../../../../docs/guide/reproducible.md");
    for row in ROWS.iter().chain(SECRETS) {
        for path in row.paths {
            assert!(guide.contains(&format!("`/{path}`")), "{path}: {}", row.why);
        }
    }
}
