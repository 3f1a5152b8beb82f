use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::{CWD, FileType as Kind, Mode, makedev, mknodat};

use super::super::authority::tests::new_authority;
use super::*;

struct Guest {
    directory: tempfile::TempDir,
    ours: Authority,
    journal: Journal,
}

/// A Debian-like tree with one certificate of its own in bundle, hash link and Java store, and the trust layer on it.
fn guest() -> Guest {
    let directory = tempfile::tempdir().unwrap();
    for path in ["base/var/lib/dpkg", "base/usr/local/share", "base/etc/ssl/certs/java", "trust", "upper"] {
        fs::create_dir_all(directory.path().join(path)).unwrap();
    }
    let (ours, other) = (new_authority("ours"), new_authority("other"));
    let certs = directory.path().join("base/etc/ssl/certs");
    fs::write(certs.join("ca-certificates.crt"), other.pem()).unwrap();
    symlink("/etc/ssl/certs/ca-certificates.crt", directory.path().join("base/etc/ssl/cert.pem")).unwrap();
    fs::write(certs.join("java/cacerts"), jks::from_bundle(other.pem().as_bytes(), 7)).unwrap();
    let base = Layers::new([directory.path().join("base")]);
    let journal = install(&base, &directory.path().join("trust"), &ours).unwrap();
    Guest { directory, ours, journal }
}

impl Guest {
    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// What copy-up does.
    fn copy_up(&self, path: &str) {
        let to = self.path("upper").join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let from = self.path("trust").join(path);
        fs::copy(&from, &to).unwrap();
        let time = fs::metadata(&from).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&to).unwrap().set_modified(time).unwrap();
    }

    fn restore(&self) -> Restored {
        restore(&Layers::new([self.path("base")]), &self.path("upper"), &self.ours, &self.journal).unwrap()
    }

    fn upper(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let layers = Layers::new([self.path("upper")]);
        layers
            .walk(&mut |entry| {
                if !entry.metadata.is_dir() {
                    seen.push(entry.path.display().to_string());
                }
                Ok(true)
            })
            .unwrap();
        seen
    }
}

#[test]
fn the_trust_layer_holds_every_form() {
    let guest = guest();
    let trust = guest.path("trust");
    let name = guest.ours.name();
    let bundle = fs::read_to_string(trust.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(bundle.ends_with(guest.ours.pem()) && bundle.matches("BEGIN").count() == 2);
    let hash = trust.join(format!("etc/ssl/certs/{}.0", guest.ours.subject_hash().unwrap()));
    assert_eq!(fs::read_link(hash).unwrap(), Path::new(&format!("{name}.pem")));
    let link = fs::read_link(trust.join(format!("etc/ssl/certs/{name}.pem"))).unwrap();
    assert_eq!(link, Path::new(&format!("/usr/local/share/ca-certificates/{name}.crt")));
    let java = KeyStore::parse(&fs::read(trust.join("etc/ssl/certs/java/cacerts")).unwrap()).unwrap();
    assert!(java.clone().remove(guest.ours.der()));
    for directory in ["etc", "etc/ssl", "etc/ssl/certs", ""] {
        let [now, before] = ["trust", "base"].map(|layer| fs::metadata(guest.path(layer).join(directory)).unwrap());
        assert_eq!((now.mode(), now.mtime()), (before.mode(), before.mtime()), "{directory}");
    }
}

#[test]
fn what_was_only_copied_up_goes() {
    let guest = guest();
    guest.copy_up("etc/ssl/certs/ca-certificates.crt");
    guest.copy_up("etc/ssl/certs/java/cacerts");
    guest.copy_up(&format!("usr/local/share/ca-certificates/{}.crt", guest.ours.name()));
    let restored = guest.restore();
    assert_eq!(restored.reverted.len(), 3);
    assert_eq!(guest.upper(), [""; 0]);
    assert!(!guest.path("upper/usr/local/share/ca-certificates").exists());
}

#[test]
fn a_changed_mode_stays_and_the_content_goes_back() {
    let guest = guest();
    guest.copy_up("etc/ssl/certs/ca-certificates.crt");
    let store = guest.path("upper/etc/ssl/certs/ca-certificates.crt");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    guest.restore();
    assert_eq!(fs::read(&store).unwrap(), fs::read(guest.path("base/etc/ssl/certs/ca-certificates.crt")).unwrap());
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn from_a_rewritten_store_only_the_certificate_goes() {
    let guest = guest();
    let certs = guest.path("upper/etc/ssl/certs");
    fs::create_dir_all(certs.join("java")).unwrap();
    let [one, two] = ["one", "two"].map(new_authority);
    fs::write(certs.join("ca-certificates.crt"), [one.pem(), guest.ours.pem(), two.pem()].concat()).unwrap();
    let all = [one.pem(), guest.ours.pem()].concat();
    fs::write(certs.join("java/cacerts"), jks::from_bundle(all.as_bytes(), 9)).unwrap();
    let name = guest.ours.name();
    for link in ["0123abcd.0", "unique00.0"] {
        symlink(format!("{name}.pem"), certs.join(link)).unwrap();
    }
    symlink("other.pem", certs.join("0123abcd.1")).unwrap();
    symlink(format!("/usr/local/share/ca-certificates/{name}.crt"), certs.join(format!("{name}.pem"))).unwrap();
    for path in ["dropped.pem", "never.pem"] {
        mknodat(CWD, certs.join(path), Kind::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    }
    fs::write(guest.path("base/etc/ssl/certs/dropped.pem"), "x").unwrap();
    let restored = guest.restore();
    assert_eq!(restored.mended.len(), 2);
    assert_eq!(fs::read_to_string(certs.join("ca-certificates.crt")).unwrap(), [one.pem(), two.pem()].concat());
    assert_eq!(fs::read(certs.join("java/cacerts")).unwrap(), jks::from_bundle(one.pem().as_bytes(), 9));
    assert_eq!(fs::read_link(certs.join("0123abcd.0")).unwrap(), Path::new("other.pem"));
    let mut names: Vec<_> = fs::read_dir(&certs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["0123abcd.0", "ca-certificates.crt", "dropped.pem", "java"]);
    assert_eq!(guest.restore(), Restored::default());
}

#[test]
fn links_of_the_guest_lead_nowhere() {
    let guest = guest();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("ca-certificates.crt"), guest.ours.pem()).unwrap();
    fs::create_dir_all(guest.path("upper/etc/ssl")).unwrap();
    symlink(outside.path(), guest.path("upper/etc/ssl/certs")).unwrap();
    guest.restore();
    assert_eq!(fs::read_to_string(outside.path().join("ca-certificates.crt")).unwrap(), guest.ours.pem());
}

#[test]
fn a_tree_without_layers_is_restored_in_place() {
    let guest = guest();
    let view = Layers::new([guest.path("base")]);
    let listing = |guest: &Guest| {
        let mut seen = Vec::new();
        let layers = Layers::new([guest.path("base")]);
        layers
            .walk(&mut |entry| {
                let content = if entry.metadata.is_file() { fs::read(&entry.source).unwrap() } else { Vec::new() };
                seen.push((entry.path.clone(), Attributes::from(&entry.metadata), content));
                Ok(true)
            })
            .unwrap();
        seen
    };
    let before = listing(&guest);
    let journal = install(&view, &guest.path("base"), &guest.ours).unwrap();
    assert_ne!(listing(&guest), before);
    restore(&Layers::new([]), &guest.path("base"), &guest.ours, &journal).unwrap();
    for (old, new) in before.iter().zip(listing(&guest)) {
        assert_eq!(*old, new);
    }
}

#[test]
fn a_store_with_another_password_is_reported() {
    let guest = guest();
    let path = guest.path("upper/etc/ssl/certs/java/cacerts");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut store = jks::from_bundle(guest.ours.pem().as_bytes(), 1);
    *store.last_mut().unwrap() ^= 1;
    fs::write(&path, &store).unwrap();
    assert_eq!(guest.restore().left.len(), 1);
    assert_eq!(fs::read(&path).unwrap(), store);
}
