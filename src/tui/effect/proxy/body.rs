//! Stored bodies, for reading and to keep.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use larder_proxy::store::{Digest, Store};
use tempfile::NamedTempFile;

use crate::error::{Context as _, Error, Result};
use crate::output::text::{bytes, printable};

/// Most of a text that is shown, and of what is none.
const MOST_TEXT: u64 = 32 << 20;
const MOST_BYTES: usize = 64 << 10;

fn open(store: &Store, digest: &str) -> Result<File> {
    let digest = Digest::from_hex(digest).ok_or_else(|| Error::new("there is no digest of the body"))?;
    let path = store.blob_path(&digest);
    File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new("the body is not in the cache").hint("r fetches it"),
        _ => Error::new(format!("cannot read {}", path.display())).caused_by(error),
    })
}

/// A file with the body as text: without what would reach the terminal as more than text. What is no text is shown
/// byte by byte, and only its beginning.
pub fn readable(store: &Store, digest: &str) -> Result<NamedTempFile> {
    let file = open(store, digest)?;
    let size = file.metadata().map_or(0, |found| found.len());
    let mut content = Vec::new();
    file.take(MOST_TEXT).read_to_end(&mut content).context(|| "cannot read the body".to_owned())?;
    let write = |out: &mut dyn io::Write| -> io::Result<()> {
        match std::str::from_utf8(&content) {
            Ok(text) => write_text(text, out)?,
            // A text cut at the limit may end within a character.
            Err(error) if content.len() - error.valid_up_to() < 4 && error.valid_up_to() > 0 => {
                write_text(&String::from_utf8_lossy(&content), out)?;
            }
            Err(_) => return write_bytes(&content[..content.len().min(MOST_BYTES)], size, out),
        }
        if size > MOST_TEXT { writeln!(out, "... of {}", bytes(size)) } else { Ok(()) }
    };
    let what = || "cannot write the body for reading".to_owned();
    let mut shown = tempfile::Builder::new().prefix("larder-body-").suffix(".txt").tempfile().context(what)?;
    let mut out = io::BufWriter::new(&mut shown);
    write(&mut out).and_then(|()| out.flush()).context(what)?;
    drop(out);
    Ok(shown)
}

fn write_text(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)))
}

fn write_bytes(content: &[u8], size: u64, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(out, "{} that are no text; the first {}:", bytes(size), bytes(content.len() as u64))?;
    for (number, row) in content.chunks(16).enumerate() {
        write!(out, "{:08x} ", number * 16)?;
        for at in 0..16 {
            match row.get(at) {
                Some(byte) => write!(out, " {byte:02x}")?,
                None => write!(out, "   ")?,
            }
        }
        let shown: String = row
            .iter()
            .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
            .collect();
        writeln!(out, "  {shown}")?;
    }
    Ok(())
}

/// Copies a body into `dir`, named by the URL, and never over a file that is there.
pub fn save(store: &Store, digest: &str, url: &str, dir: &Path) -> Result<String> {
    let mut body = open(store, digest)?;
    let name = url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-+~".contains(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches('.').chars().take(120).collect::<String>();
    let name = if name.is_empty() { "body" } else { &name };
    let (mut file, path) = create(dir, name)?;
    if let Err(error) = io::copy(&mut body, &mut file) {
        let _ = fs::remove_file(&path);
        return Err(Error::new(format!("cannot write {}", path.display())).caused_by(error));
    }
    Ok(format!("saved {}", path.display()))
}

/// A new file in `dir` of this name, or of the next free one: `name.1`, `name.2`.
pub(super) fn create(dir: &Path, name: &str) -> Result<(File, PathBuf)> {
    const TRIES: u32 = 1000;
    let (stem, suffix) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
    for number in 0..TRIES {
        let name = match (number, suffix) {
            (0, _) => name.to_owned(),
            (number, "") => format!("{stem}.{number}"),
            (number, suffix) => format!("{stem}.{number}.{suffix}"),
        };
        let path = dir.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::new(format!("cannot write {}", path.display())).caused_by(error)),
        }
    }
    Err(Error::new(format!("there are {TRIES} files named like {name} in {}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let digest = Digest::of(content);
        let path = store.blob_path(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        fs::read_to_string(readable(&store, &digest.to_string()).unwrap().path()).unwrap()
    }

    #[test]
    fn a_body_cannot_speak_to_the_terminal() {
        assert_eq!(shown(b"one\r\n\x1b]52;c;ZXZpbA==\x07two\x1b[2J\n"), "one\ntwo\n");
        let binary = shown(b"\x7fELF\x00\xff\x1b[2Jabcdefghij");
        assert!(binary.starts_with("20 B that are no text; the first 20 B:\n00000000  7f 45 4c 46"), "{binary}");
        assert!(!binary.contains('\x1b') && binary.contains(".ELF"), "{binary}");
        assert_eq!(shown("ünïcode".as_bytes()), "ünïcode\n");
    }

    #[test]
    fn a_saved_body_is_named_by_its_url_and_overwrites_nothing() {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(dir.path()).unwrap();
        let digest = Digest::of(b"body");
        let path = store.blob_path(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"body").unwrap();
        let hex = digest.to_string();
        for url in [
            "http://example.org/a/x_1.deb?y=/z",
            "http://example.org/x_1.deb",
            "http://example.org/a/",
            "http://h/..%2f.x",
        ] {
            save(&store, &hex, url, out.path()).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["_2f.x", "body", "x_1.1.deb", "x_1.deb"]);
        assert_eq!(fs::read(out.path().join("x_1.1.deb")).unwrap(), b"body");
        let missing = save(&store, &"00".repeat(32), "http://h/x", out.path()).unwrap_err();
        assert_eq!(missing.to_string(), "the body is not in the cache");
    }
}
