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
    let day = Duration::from_secs(24 * 3600);
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
