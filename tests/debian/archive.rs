//! A tiny signed archive, served over HTTP from this process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey,
};
use pgp::ser::Serialize as _;
use pgp::types::Password;
use sha2::{Digest as _, Sha256};

/// A package: name, further fields, and the size of the one file it holds.
pub(crate) type Made<'a> = (&'a str, &'a str, usize);

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Files by path, and where they are served.
pub(crate) struct Archive {
    files: Files,
    pub(crate) url: String,
    pub(crate) keyring: Vec<u8>,
}

impl Archive {
    /// An archive of one suite, `test`. `head` is put into its Release.
    pub(crate) fn new(packages: &[Made<'_>], head: &str) -> Self {
        let mut files = BTreeMap::new();
        let mut list = String::new();
        for (name, fields, size) in packages {
            let control = format!("Package: {name}\nVersion: 1\nArchitecture: amd64\n{fields}Description: test\n");
            let deb = deb(name, &control, *size);
            let path = format!("pool/{name}_1_amd64.deb");
            writeln!(list, "{control}Filename: {path}\nSize: {}\nSHA256: {}\n", deb.len(), digest(&deb)).unwrap();
            files.insert(path, deb);
        }
        let folder = "main/binary-amd64";
        let digest = digest(list.as_bytes());
        let release = format!(
            "Suite: test\nCodename: test\n{head}Acquire-By-Hash: yes\nArchitectures: amd64\nComponents: main\nSHA256:\n \
             {digest} {} {folder}/Packages\n",
            list.len()
        );
        let key = key();
        files.insert(format!("dists/test/{folder}/by-hash/SHA256/{digest}"), list.into_bytes());
        files.insert("dists/test/InRelease".into(), sign(&key, &release));
        let files: Files = Arc::new(Mutex::new(files));
        let url = serve(files.clone());
        Self { files, url, keyring: SignedPublicKey::from(key).to_bytes().unwrap() }
    }

    /// Changes the file whose path contains this.
    pub(crate) fn alter(&self, part: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        let (_, content) = files.iter_mut().find(|(path, _)| path.contains(part)).expect(part);
        change(content);
    }

    pub(crate) fn remove(&self, path: &str) {
        let _ = self.take(path);
    }

    /// Removes a file, and returns it.
    pub(crate) fn take(&self, path: &str) -> Vec<u8> {
        self.files.lock().unwrap().remove(path).expect(path)
    }

    pub(crate) fn put(&self, path: &str, content: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), content);
    }
}

/// A certificate whose primary key signs.
pub(crate) fn key() -> SignedSecretKey {
    SecretKeyParamsBuilder::default()
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(true)
        .can_encrypt(EncryptionCaps::None)
        .primary_user_id("Test archive <archive@example.org>".into())
        .build()
        .unwrap()
        .generate(rand::thread_rng())
        .unwrap()
}

fn sign(key: &SignedSecretKey, text: &str) -> Vec<u8> {
    let signed = CleartextSignedMessage::sign(rand::thread_rng(), text, &key.primary_key, &Password::empty());
    signed.unwrap().to_armored_bytes(ArmorOptions::default()).unwrap()
}

fn deb(name: &str, control: &str, size: usize) -> Vec<u8> {
    let (shared, content) = (format!("./usr/share/{name}"), vec![0; size]);
    let data = [(shared, &content[..], 0o644)];
    let parts = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", packed(&[("./control".to_owned(), control.as_bytes(), 0o644)])),
        ("data.tar.gz", packed(&data)),
    ];
    let mut deb = b"!<arch>\n".to_vec();
    for (name, content) in parts {
        writeln!(deb, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, 100_644, content.len()).unwrap();
        deb.extend(&content);
        deb.extend(vec![b'\n'; content.len() % 2]);
    }
    deb
}

fn packed(files: &[(String, &[u8], u32)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_size(content.len() as u64);
        // A field that is left empty is not a number.
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn serve(files: Files) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let files = files.clone();
            // A client that goes away is no concern of the server's.
            std::thread::spawn(move || answer(stream, &files).ok());
        }
    });
    url
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream, files: &Files) -> std::io::Result<()> {
    let mut head = BufReader::new(stream.try_clone()?).lines();
    let request = head.next().unwrap_or_else(|| Ok(String::new()))?;
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let found = files.lock().unwrap().get(path).cloned();
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let content = found.unwrap_or_default();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len())?;
    stream.write_all(&content)
}
