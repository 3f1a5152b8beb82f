//! A Debian archive in memory, with packages made here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use larder_proxy::body::{self, Body};
use sha2::{Digest as _, Sha256};

use super::key::{How, Key};
use crate::download::Transport;

/// What a tar entry is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Folder(u32),
    File(u32, &'static str),
    Symlink(&'static str),
    HardLink(&'static str),
    Device,
}

/// A package to be made.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) name: &'static str,
    pub(super) fields: &'static str,
    pub(super) control: Vec<(&'static str, &'static str)>,
    pub(super) data: Vec<(&'static str, Kind)>,
    /// Extension of the data part: `.xz`, `.zst`, `.gz` or nothing.
    pub(super) form: &'static str,
}

/// Files by their path below the mirror's base URL.
#[derive(Default)]
pub(super) struct Archive {
    pub(super) files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(super) seen: Mutex<Vec<String>>,
    pub(super) down: bool,
}

impl Transport for Archive {
    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        let path = request.uri().path().trim_start_matches("/debian/").to_owned();
        self.seen.lock().unwrap().push(path.clone());
        let file = self.files.lock().unwrap().get(&path).cloned();
        let (status, content) = match file {
            _ if self.down => (StatusCode::BAD_GATEWAY, b"cannot connect to mirror.example.org: refused".to_vec()),
            Some(content) => (StatusCode::OK, content),
            None => (StatusCode::NOT_FOUND, b"not found".to_vec()),
        };
        let response =
            Response::builder().status(status).header("content-type", "text/plain").body(body::full(content));
        Box::pin(async { response.unwrap() })
    }
}

impl Archive {
    /// An archive of one suite, `test`, signed by `key`. `head` is put into its Release.
    pub(super) fn new(key: &Key, packages: &[Made], head: &str) -> Self {
        let mut files = BTreeMap::new();
        let mut list = String::new();
        for package in packages {
            let deb = package.deb();
            let path = format!("pool/{}_1_amd64.deb", package.name);
            list += &package.control_text();
            writeln!(list, "Filename: {path}\nSize: {}\nSHA256: {}\n", deb.len(), digest(&deb)).unwrap();
            files.insert(path, deb);
        }
        let packed = compress(list.as_bytes(), ".xz");
        let folder = "main/binary-amd64";
        let release = format!(
            "Origin: Test\nSuite: test\nCodename: tested\n{head}Acquire-By-Hash: yes\nArchitectures: amd64\nComponents: main\n\
             SHA256:\n {} {} {folder}/Packages\n {} {} {folder}/Packages.xz\n",
            digest(list.as_bytes()),
            list.len(),
            digest(&packed),
            packed.len()
        );
        files.insert(format!("dists/test/{folder}/by-hash/SHA256/{}", digest(&packed)), packed);
        files.insert("dists/test/InRelease".into(), key.clearsign(&release, How::default()));
        files.insert("dists/test/Release.gpg".into(), key.detached(&release, How::default()));
        files.insert("dists/test/Release".into(), release.into_bytes());
        Self { files: Mutex::new(files), ..Self::default() }
    }

    /// Changes the file whose path ends so.
    pub(super) fn alter(&self, ending: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        let (_, content) = files.iter_mut().find(|(path, _)| path.contains(ending)).expect(ending);
        change(content);
    }

    pub(super) fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path).expect(path);
    }
}

impl Made {
    fn control_text(&self) -> String {
        format!("Package: {}\nVersion: 1\nArchitecture: amd64\n{}", self.name, self.fields)
    }

    pub(super) fn deb(&self) -> Vec<u8> {
        let control = self.control_text();
        let mut files = vec![("./control", control.as_str(), 0o644)];
        files.extend(self.control.iter().map(|(name, text)| (*name, *text, 0o755)));
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text, mode) in files {
            let mut header = header(tar::EntryType::Regular, mode, text.len());
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let control = compress(&tar.into_inner().unwrap(), ".gz");
        let data = compress(&self.data_tar(), self.form);
        let mut deb = b"!<arch>\n".to_vec();
        for (name, content) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", control),
            (&format!("data.tar{}", self.form), data),
        ] {
            writeln!(deb, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, content.len()).unwrap();
            deb.extend(&content);
            deb.extend(vec![b'\n'; content.len() % 2]);
        }
        deb
    }

    fn data_tar(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind) in &self.data {
            let (mut header, content, link) = match kind {
                Kind::Folder(mode) => (header(tar::EntryType::Directory, *mode, 0), "", None),
                Kind::File(mode, text) => (header(tar::EntryType::Regular, *mode, text.len()), *text, None),
                Kind::Symlink(target) => (header(tar::EntryType::Symlink, 0o777, 0), "", Some(target)),
                Kind::HardLink(target) => (header(tar::EntryType::Link, 0o644, 0), "", Some(target)),
                Kind::Device => (header(tar::EntryType::Char, 0o666, 0), "", None),
            };
            // Written by hand: the builder would refuse the hostile ones.
            let field = &mut header.as_old_mut().name;
            field[..path.len()].copy_from_slice(path.as_bytes());
            if let Some(target) = link {
                header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            }
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }
}

/// Owned by whoever runs the test, so that it need not be root.
fn header(kind: tar::EntryType, mode: u32, size: usize) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(1_000_000_000);
    header.set_uid(rustix::process::getuid().as_raw().into());
    header.set_gid(rustix::process::getgid().as_raw().into());
    header
}

fn compress(bytes: &[u8], form: &str) -> Vec<u8> {
    match form {
        ".xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
