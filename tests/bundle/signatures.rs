//! Who signed a bundle: row F6. Keys and signatures are made by `minisign` itself.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use larder::bundle::budget::{Budget, Limits};
use larder::bundle::fault::BundleError;
use larder::bundle::import::{self, Outcome};
use larder::bundle::signature::{Signer, Trusted, beside};
use larder::bundle::source::Watch;
use larder_proxy::store::Store;
use tempfile::TempDir;

use crate::bed::{Cache, TAKING, ok, usual};
use crate::carried::keep;
use crate::support::Larder;

/// Somebody with a key.
struct Maker {
    dir: TempDir,
}

impl Maker {
    fn new() -> Self {
        let maker = Self { dir: tempfile::Builder::new().prefix("larder-key-").tempdir().unwrap() };
        maker.minisign(&["-G", "-W", "-p", &maker.public(), "-s", &maker.secret()]);
        maker
    }

    #[track_caller]
    fn minisign(&self, arguments: &[&str]) {
        let output = Command::new("minisign").args(arguments).current_dir(self.dir.path()).output();
        let output = output.expect("the package minisign has to be installed");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn public(&self) -> String {
        self.dir.path().join("key.pub").display().to_string()
    }

    fn secret(&self) -> String {
        self.dir.path().join("key.sec").display().to_string()
    }

    /// The key itself, on a line.
    fn line(&self) -> String {
        fs::read_to_string(self.public()).unwrap().lines().nth(1).unwrap().to_owned()
    }

    /// Its name, as minisign shows it.
    fn id(&self) -> String {
        let text = fs::read_to_string(self.public()).unwrap();
        text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned()
    }

    /// Signs a file as users do; returns where the signature is.
    fn sign(&self, file: &Path) -> PathBuf {
        self.sign_with(file, &["-t", "made for the test"])
    }

    fn sign_with(&self, file: &Path, more: &[&str]) -> PathBuf {
        let path = file.display().to_string();
        self.minisign(&[&["-S", "-s", &self.secret(), "-m", &path], more].concat());
        beside(file)
    }
}

fn trust(makers: &[&Maker]) -> Trusted {
    let keys: Vec<String> = makers.iter().map(|maker| maker.public()).collect();
    Trusted::of(&keys, None).unwrap()
}

fn watch<'a>(trusted: &'a Trusted, cancel: &'a AtomicBool, progress: &'a dyn Fn(u64)) -> Watch<'a> {
    Watch { budget: Rc::new(Budget::new(Limits::default())), cancel, progress, trusted: Some(trusted) }
}

fn import_telling(
    to: &Cache,
    path: &Path,
    trusted: &Trusted,
    progress: &dyn Fn(u64),
) -> Result<Option<Signer>, BundleError> {
    let never = AtomicBool::new(false);
    match import::import(path, &to.store(), TAKING, false, watch(trusted, &never, progress))? {
        Outcome::Sound(contents, _) => Ok(contents.signer),
        Outcome::Unsound(faults) => panic!("{faults:?}"),
    }
}

/// Imports a bundle, and returns who signed it.
#[track_caller]
fn imports(path: &Path, trusted: &Trusted) -> Signer {
    let to = Cache::new();
    let signer = import_telling(&to, path, trusted, &|_| {}).unwrap_or_else(|error| panic!("{error}"));
    to.has(&usual());
    signer.expect("it was checked")
}

/// What import says, which must not have stored anything; nothing may have been read out of it either.
#[track_caller]
fn refused(path: &Path, trusted: &Trusted) -> String {
    let to = Cache::new();
    let error = import_telling(&to, path, trusted, &|_| {}).expect_err("it was imported");
    to.is_untouched();
    let never = AtomicBool::new(false);
    let same = [
        import::verify(path, watch(trusted, &never, &|_| {})).err(),
        import::inspect(path, watch(trusted, &never, &|_| {})).err(),
    ];
    for other in same {
        assert_eq!(other.expect("it was read").to_string(), error.to_string());
    }
    assert!(matches!(error, BundleError::Signature(_)), "{error}");
    format!("{error}\n{}", error.hint())
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words}: {text}");
    }
}

fn exported(name: &str) -> (Cache, PathBuf) {
    let cache = Cache::holding(&usual());
    let path = cache.path(name);
    cache.export(&cache.plan(&usual()), &path, None);
    (cache, path)
}

#[test]
fn a_signed_bundle_is_taken_and_the_signer_told() {
    let maker = Maker::new();
    for name in ["b.tar.zst", "b.tar"] {
        let (_cache, path) = exported(name);
        maker.sign(&path);
        let signer = imports(&path, &trust(&[&maker]));
        assert_eq!((signer.key.to_string(), signer.comment.as_str()), (maker.id(), "made for the test"));
        // By the key itself, in place of its file; and what minisign says by itself.
        let by_line = Trusted::of(&[maker.line()], None).unwrap();
        maker.sign_with(&path, &[]);
        says(&imports(&path, &by_line).comment, &["timestamp:", &format!("file:{name}")]);
        // Elsewhere than beside.
        let aside = maker.dir.path().join("signature");
        fs::rename(beside(&path), &aside).unwrap();
        imports(&path, &Trusted::of(&[maker.line()], Some(aside)).unwrap());
    }
}

#[test]
fn f6_without_a_signature_nothing_is_taken() {
    let (maker, (_cache, path)) = (Maker::new(), exported("b.tar.zst"));
    let text = refused(&path, &trust(&[&maker]));
    says(&text, &["there is no signature", "b.tar.zst.minisig", "minisign -Sm b.tar.zst", "--signature"]);
}

#[test]
fn f6_the_signature_of_another_key() {
    let (maker, other, (_cache, path)) = (Maker::new(), Maker::new(), exported("b.tar.zst"));
    let signature = other.sign(&path);
    let text = refused(&path, &trust(&[&maker]));
    says(&text, &[&other.id(), &maker.id(), "--public-key"]);
    // The name of a key proves nothing: here it is written over the other's.
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    let mut forged = lines(&signature);
    forged[1] = renamed(&forged[1], &maker.line());
    fs::write(&signature, forged.join("\n")).unwrap();
    says(&refused(&path, &trust(&[&maker])), &["is not valid for", "b.tar.zst"]);
}

/// A signature with the name of another's key.
fn renamed(signature: &str, key: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (mut bytes, key) = (STANDARD.decode(signature).unwrap(), STANDARD.decode(key).unwrap());
    bytes[2..10].copy_from_slice(&key[2..10]);
    STANDARD.encode(bytes)
}

#[test]
fn f6_the_signature_of_another_bundle() {
    let (maker, (cache, path)) = (Maker::new(), exported("b.tar.zst"));
    let other = [ok("/other", b"another\n".to_vec())];
    let from = Cache::holding(&other);
    from.export(&from.plan(&other), &from.path("other.tar.zst"), None);
    fs::copy(maker.sign_with(&from.path("other.tar.zst"), &[]), beside(&path)).unwrap();
    let text = refused(&path, &trust(&[&maker]));
    says(&text, &["is not valid for", "file:other.tar.zst", "unproven"]);
    // Cut, longer, and changed by a bit.
    maker.sign(&path);
    imports(&path, &trust(&[&maker]));
    let whole = fs::read(&path).unwrap();
    let mut bit = whole.clone();
    bit[1_000_000] ^= 1;
    for changed in [&whole[..whole.len() - 1], &[&whole[..], b"x"].concat(), &bit, b""] {
        fs::write(&path, changed).unwrap();
        says(&refused(&path, &trust(&[&maker])), &["is not valid for"]);
    }
    drop(cache);
}

#[test]
fn f6_signatures_that_were_changed() {
    let (maker, (_cache, path)) = (Maker::new(), exported("b.tar.zst"));
    let signature = maker.sign(&path);
    let text = fs::read_to_string(&signature).unwrap();
    let trusted = trust(&[&maker]);
    // What is not signed may be anything.
    fs::write(&signature, text.replacen("signature from minisign", "whatever", 1)).unwrap();
    imports(&path, &trusted);
    for (changed, words) in [
        (text.replace("made for the test", "made for the best"), "is not valid for"),
        (text.replace("trusted comment: made", "comment: made"), "is not a signature of minisign"),
        (text.lines().take(3).collect::<Vec<_>>().join("\n"), "is not a signature of minisign"),
        (text.replacen("\nRU", "\nXX", 1), "is not a signature of minisign"),
        (String::new(), "is not a signature of minisign"),
        (fs::read_to_string(maker.public()).unwrap(), "is not a signature of minisign"),
        (format!("{}\0\u{1b}[2J", text.replace("made for", "made\u{1b}[2J for")), "is not"),
    ] {
        assert_ne!(changed, text);
        fs::write(&signature, &changed).unwrap();
        let said = refused(&path, &trusted);
        says(&said, &[words]);
        assert!(!said.contains(['\0', '\u{1b}']), "{said:?}");
    }
    fs::write(&signature, [0xff; 100]).unwrap();
    says(&refused(&path, &trusted), &["cannot read the signature"]);
}

#[test]
fn f6_a_new_key_beside_the_old_one() {
    let (old, new, third) = (Maker::new(), Maker::new(), Maker::new());
    let (_cache, path) = exported("b.tar.zst");
    for maker in [&old, &new] {
        maker.sign(&path);
        assert_eq!(imports(&path, &trust(&[&old, &new])).key.to_string(), maker.id());
    }
    third.sign(&path);
    says(&refused(&path, &trust(&[&old, &new])), &[&old.id(), &new.id(), &third.id()]);
    // One file of both.
    let both = old.dir.path().join("both.pub");
    fs::write(&both, fs::read_to_string(old.public()).unwrap() + &fs::read_to_string(new.public()).unwrap()).unwrap();
    new.sign(&path);
    imports(&path, &Trusted::of(&[both.display().to_string()], None).unwrap());
}

#[test]
fn what_is_no_public_key_is_told() {
    let maker = Maker::new();
    for (what, words) in [(maker.secret(), "is not a public key"), ("/nowhere/key.pub".to_owned(), "cannot read")] {
        let error = Trusted::of(std::slice::from_ref(&what), None).unwrap_err().to_string();
        says(&error, &[words, &what]);
    }
}

#[test]
fn the_older_form_is_taken_too() {
    let (maker, (cache, path)) = (Maker::new(), exported("b.tar.zst"));
    maker.sign_with(&path, &["-l"]);
    imports(&path, &trust(&[&maker]));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    says(&refused(&path, &trust(&[&maker])), &["is not valid for"]);
    // But not where all of it would have to be held in memory.
    fs::File::options().write(true).open(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    says(&refused(&path, &trust(&[&maker])), &["older form", "minisign -SHm"]);
    drop(cache);
}

#[test]
fn of_parts_the_list_is_signed() {
    let maker = Maker::new();
    let cache = Cache::holding(&usual());
    let whole = cache.path("b.tar");
    cache.export(&cache.plan(&usual()), &whole, Some(350_000));
    let list = PathBuf::from(format!("{}.parts.json", whole.display()));
    let trusted = trust(&[&maker]);
    says(&refused(&whole, &trusted), &["b.tar.parts.json.minisig"]);
    maker.sign(&list);
    imports(&whole, &trusted);
    imports(&list, &trusted);
    // A part that is not what the signed list says is found before a byte of any is used.
    let last = PathBuf::from(format!("{}.005", whole.display()));
    let sound = fs::read(&last).unwrap();
    let mut damaged = sound.clone();
    damaged[100] ^= 1;
    fs::write(&last, damaged).unwrap();
    let to = Cache::new();
    let error = import_telling(&to, &whole, &trusted, &|_| {}).unwrap_err().to_string();
    says(&error, &["part 5 of", "is damaged"]);
    let never = AtomicBool::new(false);
    assert!(import::inspect(&whole, watch(&trusted, &never, &|_| {})).is_err(), "though the head is in the first");
    to.is_untouched();
    fs::write(&last, sound).unwrap();
    // Another list, though it is a right one.
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text + " ").unwrap();
    says(&refused(&whole, &trusted), &["is not valid for", "b.tar.parts.json"]);
}

#[test]
fn of_a_directory_the_index_is_signed() {
    let (maker, (cache, path)) = (Maker::new(), exported("b"));
    let trusted = trust(&[&maker]);
    says(&refused(&path, &trusted), &["b/index.json.minisig"]);
    maker.sign(&path.join("index.json"));
    assert_eq!(imports(&path, &trusted).key.to_string(), maker.id());
    // The signature is no stranger where nobody asks for it.
    Cache::new().imports(&path);
    // The index of another bundle, with all its blobs.
    let other = [ok("/other", b"another\n".to_vec())];
    let from = Cache::holding(&other);
    from.export(&from.plan(&other), &from.path("c"), None);
    fs::copy(path.join("index.json.minisig"), from.path("c/index.json.minisig")).unwrap();
    says(&refused(&from.path("c"), &trusted), &["is not valid for"]);
    // A blob that is not what it should be is found by its digest.
    let large = fs::read_dir(path.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let large = large.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let length = usize::try_from(large.metadata().unwrap().len()).unwrap();
    fs::write(&large, vec![0; length]).unwrap();
    let to = Cache::new();
    let never = AtomicBool::new(false);
    let outcome = import::import(&path, &to.store(), TAKING, false, watch(&trusted, &never, &|_| {}));
    assert!(matches!(outcome, Ok(Outcome::Unsound(_)) | Err(_)));
    to.is_untouched();
    drop(cache);
}

/// Does something to a bundle between the check of its signature and its reading.
fn in_between(path: &Path, trusted: &Trusted, act: impl Fn()) -> (Cache, Result<Option<Signer>, BundleError>) {
    let size = path.metadata().unwrap().len();
    let done = Cell::new(false);
    let to = Cache::new();
    let came = import_telling(&to, path, trusted, &|read| {
        if read == size && !done.replace(true) {
            act();
        }
    });
    assert!(done.get());
    (to, came)
}

#[test]
fn what_was_checked_is_what_is_read() {
    let (maker, (cache, path)) = (Maker::new(), exported("b.tar"));
    maker.sign(&path);
    let trusted = trust(&[&maker]);
    let evil = [ok("/evil", b"evil\n".to_vec())];
    let from = Cache::holding(&evil);
    from.export(&from.plan(&evil), &from.path("evil.tar"), None);
    let evil = fs::read(from.path("evil.tar")).unwrap();
    let whole = fs::read(&path).unwrap();
    // Another file in its place is not looked at.
    let (to, came) = in_between(&path, &trusted, || {
        fs::write(cache.path("new"), &evil).unwrap();
        fs::rename(cache.path("new"), &path).unwrap();
    });
    came.unwrap();
    to.has(&usual());
    assert!(to.get("http://example.org/evil").is_none());
    // The same file, written over: the first byte, all of it, cut.
    for changed in [&[b"x", &whole[1..]].concat(), &evil, &whole[..1_200_000]] {
        fs::write(&path, &whole).unwrap();
        let (to, came) = in_between(&path, &trusted, || fs::write(&path, changed).unwrap());
        let error = came.expect_err("it was imported");
        says(&error.to_string(), &["changed while it was read"]);
        assert!(matches!(error, BundleError::Signature(_)), "{error}");
        to.is_untouched();
    }
}

/// A machine with a bundle `b.tar.zst`, and one without anything.
fn machines() -> (Larder, Larder, String) {
    let from = Larder::new();
    keep(&from, &usual());
    let run = from.run(["bundle", "export", "a-run", "-o", "b.tar.zst"]).expect(0);
    says(&run.stderr, &["To sign it: minisign -Sm b.tar.zst"]);
    let path = from.dir().join("b.tar.zst").display().to_string();
    (from, Larder::new(), path)
}

#[test]
fn the_program_tells_who_signed() {
    let (maker, (_from, to, path)) = (Maker::new(), machines());
    let key = maker.public();
    // Each way to read one, and nothing is stored.
    for verb in ["verify", "inspect", "import", "serve"] {
        let run = to.run(["bundle", verb, "--public-key", &key, &path]).expect(5);
        says(&run.stderr, &[verb, "there is no signature", "minisign -Sm b.tar.zst"]);
    }
    assert_eq!(stored(&to), 0);
    maker.sign(Path::new(&path));
    let run = to.run(["bundle", "verify", &path]).expect(0);
    says(&run.stderr, &["b.tar.zst.minisig was not checked"]);
    let signed = format!("key {}, made for the test", maker.id());
    for verb in ["verify", "import"] {
        let run = to.run(["bundle", verb, "--public-key", &key, &path]).expect(0);
        says(&run.stderr, &[&format!("Signed: {signed}")]);
    }
    assert_eq!(stored(&to), 7);
    let run = to.run(["bundle", "inspect", "--require-signature", "--public-key", &maker.line(), &path]).expect(0);
    says(&run.stdout, &[&format!("signed     {signed}")]);
    let run = to.run(["bundle", "verify", "--json", "--public-key", &key, &path]).expect(0);
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(told["signature"], serde_json::json!({ "key": maker.id(), "comment": "made for the test" }));
}

#[test]
fn a_signature_is_required_where_it_is_set() {
    let (maker, other, (_from, to, path)) = (Maker::new(), Maker::new(), machines());
    // Asked for without a key, it is an error that says so.
    for option in ["--require-signature", "--signature=x"] {
        let run = to.run(["bundle", "import", option, &path]).expect(1);
        says(&run.stderr, &["no public key to check a signature against", "bundle.public_keys"]);
    }
    // A key, and a file beside the settings.
    fs::create_dir_all(to.dir().join(".config/larder/keys")).unwrap();
    fs::copy(maker.public(), to.dir().join(".config/larder/keys/maker.pub")).unwrap();
    let text = format!("[bundle]\npublic_keys = [\"keys/maker.pub\", \"{}\"]\n", other.line());
    to.write(".config/larder/config.toml", &text);
    let run = to.run(["bundle", "import", &path]).expect(5);
    says(&run.stderr, &["there is no signature"]);
    assert_eq!(stored(&to), 0);
    // What came with a clone must not take that back.
    to.write("larder.toml", "[bundle]\npublic_keys = []\n");
    let run = to.run(["bundle", "import", &path]).expect(5);
    says(&run.stderr, &["bundle.public_keys, which is not taken", "there is no signature"]);
    for signer in [&maker, &other] {
        signer.sign(Path::new(&path));
        let run = to.run(["bundle", "verify", "--require-signature", &path]).expect(0);
        says(&run.stderr, &[&signer.id()]);
    }
    // A key of the command line goes before those that are set.
    let run = to.run(["bundle", "verify", "--public-key", &maker.public(), &path]).expect(5);
    says(&run.stderr, &[&maker.id(), &other.id()]);
    let run =
        to.command(["bundle", "import", &path]).env("LARDER_BUNDLE_PUBLIC_KEYS", maker.public()).output().unwrap();
    assert_eq!(run.status.code(), Some(5));
}

/// Answers in the cache of a machine.
fn stored(machine: &Larder) -> u64 {
    Store::open(machine.cache()).unwrap().stats().unwrap().entries
}
