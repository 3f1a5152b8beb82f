use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

#[test]
fn a_ca_is_kept_private_and_found_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a/ca");
    let now = SystemTime::now();
    let first = Ca::load_or_create(&dir, now).unwrap();
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(dir.join("ca.pem")).unwrap().mode() & 0o777, 0o600);
    let again = Ca::load_or_create(&dir, now).unwrap();
    assert_eq!(again.der(), first.der());
    assert!(first.canary().len() > 32);
    assert!(!first.pem().contains("PRIVATE"));
    assert!(!fs::read_to_string(dir.join("ca-certificate.pem")).unwrap().contains("PRIVATE"));
    assert!(!format!("{first:?}").contains("PRIVATE"));
}

#[test]
fn an_exposed_key_or_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("ca");
    Ca::load_or_create(&dir, SystemTime::now()).unwrap();
    fs::set_permissions(dir.join("ca.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = Ca::load_or_create(&dir, SystemTime::now()).unwrap_err().to_string();
    assert!(error.contains("640") && error.contains("chmod 600"), "{error}");
    fs::set_permissions(dir.join("ca.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let error = Ca::load_or_create(&dir, SystemTime::now()).unwrap_err().to_string();
    assert!(error.contains("755") && error.contains("chmod 700"), "{error}");
}

#[test]
fn a_ca_near_its_end_or_damaged_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("ca");
    let now = SystemTime::now();
    let first = Ca::load_or_create(&dir, now).unwrap();
    let day = Duration::from_hours(24);
    let later = Ca::load_or_create(&dir, now + 20 * day).unwrap();
    assert_eq!(later.der(), first.der());
    let renewed = Ca::load_or_create(&dir, now + 27 * day).unwrap();
    assert_ne!(renewed.der(), first.der());
    assert_ne!(renewed.canary(), first.canary());
    fs::write(dir.join("ca.pem"), "garbage").unwrap();
    let healed = Ca::load_or_create(&dir, now).unwrap();
    assert_ne!(healed.der(), renewed.der());
}

#[test]
fn many_processes_agree_on_one_ca() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("ca");
    let now = SystemTime::now();
    let all: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Ca::load_or_create(&dir, now).unwrap().der().to_vec())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn no_umask_and_no_link_opens_the_key() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("ca");
    // The test has a process of its own.
    let before = rustix::process::umask(rustix::fs::Mode::empty());
    Ca::load_or_create(&dir, SystemTime::now()).unwrap();
    rustix::process::umask(before);
    for (path, mode) in [(dir.clone(), 0o700), (dir.join("ca.pem"), 0o600), (dir.join("lock"), 0o600)] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
    }
    // Another's file does not become the CA, and the key is not written to another's.
    let elsewhere = root.path().join("elsewhere");
    fs::rename(dir.join("ca.pem"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.join("ca.pem")).unwrap();
    let error = Ca::load_or_create(&dir, SystemTime::now()).unwrap_err().to_string();
    assert!(error.contains("ca.pem"), "{error}");
    fs::remove_file(dir.join("ca.pem")).unwrap();
    let bait = root.path().join("bait");
    fs::write(&bait, "").unwrap();
    std::os::unix::fs::symlink(&bait, dir.join("ca.pem.new")).unwrap();
    Ca::load_or_create(&dir, SystemTime::now()).unwrap();
    assert_eq!(fs::read(&bait).unwrap(), b"");
    assert!(fs::symlink_metadata(dir.join("ca.pem")).unwrap().is_file());
    fs::remove_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink(root.path(), &dir).unwrap();
    Ca::load_or_create(&dir, SystemTime::now()).unwrap_err();
}
