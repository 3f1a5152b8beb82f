use super::super::tests::key::{How, Key};
use super::*;

const TEXT: &str = "Suite: test\n- a dash\nlast line\n";

fn check(key: &Key, document: &[u8]) -> Result<String> {
    let certificates = Certificates::read(&[key.keyring()])?;
    certificates.verify_clearsigned(document, "InRelease", Timestamp::now()).map(|(text, _)| text)
}

fn refusal(key: &Key, how: How) -> String {
    check(key, &key.clearsign(TEXT, how)).unwrap_err().to_string()
}

#[test]
fn good_signatures() {
    let key = Key::new();
    for by_subkey in [true, false] {
        let document = key.clearsign(TEXT, How { by_subkey, ..How::default() });
        assert_eq!(check(&key, &document).unwrap().trim_end(), TEXT.trim_end());
    }
    let certificates = Certificates::read(&[key.keyring()]).unwrap();
    let signature = key.detached(TEXT, How::default());
    let signers = certificates.verify_detached(TEXT.as_bytes(), &signature, "Release", Timestamp::now()).unwrap();
    assert_eq!(signers[0].fingerprint, format!("{:X}", key.public.fingerprint()));
    assert!(certificates.verify_detached(b"other", &signature, "Release", Timestamp::now()).is_err());
}

#[test]
fn keyrings_in_every_form() {
    let (one, two) = (Key::new(), Key::new());
    let document = two.clearsign(TEXT, How::default());
    let both = |bytes: Vec<u8>| Keyring { origin: "k".into(), path: None, bytes };
    for keyring in [
        both([one.keyring().bytes, two.keyring().bytes].concat()),
        both([one.armoured(), b"\n".to_vec(), two.armoured()].concat()),
    ] {
        let certificates = Certificates::read(&[keyring]).unwrap();
        assert_eq!(certificates.keys.len(), 2);
        assert!(certificates.verify_clearsigned(&document, "InRelease", Timestamp::now()).is_ok());
    }
    let error = Certificates::read(&[both(b"no keys".to_vec())]).err().unwrap();
    assert_eq!(error.to_string(), "no OpenPGP certificate can be read from k");
}

#[test]
fn notes_of_gnupg_between_the_parts_of_a_certificate_are_passed_over() {
    let key = Key::new();
    let plain = key.keyring().bytes;
    let mut noted = Vec::new();
    let mut rest = plain.as_slice();
    while let Some((_, length)) = packet(rest) {
        noted.extend_from_slice(&rest[..length]);
        // Old format with one and two octets of length, and the new one.
        for note in [[0xb0, 2, 0, 0].as_slice(), &[0xb1, 0, 1, 9], &[0xcc, 1, 7]] {
            noted.extend_from_slice(note);
        }
        rest = &rest[length..];
    }
    assert!(rest.is_empty() && noted.len() > plain.len());
    assert_eq!(without_trust(&noted), plain);
    let certificates = Certificates::read(&[Keyring { origin: "k".into(), path: None, bytes: noted }]).unwrap();
    let document = key.clearsign(TEXT, How::default());
    assert!(certificates.verify_clearsigned(&document, "InRelease", Timestamp::now()).is_ok());
    // Cut off anywhere, it is kept as it is.
    for end in 0..plain.len() {
        assert_eq!(without_trust(&plain[..end]), plain[..end]);
    }
}

#[test]
fn what_stands_around_the_signed_text_is_not_read() {
    let key = Key::new();
    let document = key.clearsign(TEXT, How::default());
    let before = [b"Suite: evil\n\n".as_slice(), &document].concat();
    assert!(check(&key, &before).is_err());
    let after = [document.as_slice(), b"\nSuite: evil\n"].concat();
    assert!(check(&key, &after).is_err());
    assert!(check(&key, b"<html>log in first</html>").unwrap_err().to_string().contains("no document with an OpenPGP"));
}

#[test]
fn altered_text() {
    let key = Key::new();
    let document = String::from_utf8(key.clearsign(TEXT, How::default())).unwrap().replace("last", "lost");
    let error = check(&key, document.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("the content or the signature has been altered"), "{error}");
    assert!(error.to_string().contains("keyring: test.gpg"), "{error}");
}

#[test]
fn unknown_key() {
    let (key, other) = (Key::new(), Key::new());
    let error = check(&other, &key.clearsign(TEXT, How::default())).unwrap_err();
    let fingerprint = format!("{:X}", key.public.public_subkeys[0].key.fingerprint());
    assert!(
        error.to_string().contains(&format!("by key {fingerprint}: the keyring does not hold this key")),
        "{error}"
    );
    assert!(error.hints()[0].contains("set `keyring`"));
}

#[test]
fn weak_early_and_late_signatures() {
    let key = Key::of(pgp::composed::KeyType::Rsa(2048));
    let weak = How { by_subkey: false, hash: HashAlgorithm::Sha1, ..How::default() };
    assert!(refusal(&key, weak).contains("rests on SHA1"));
    assert!(refusal(&key, How { created: 3600, ..How::default() }).contains("in the future"));
    assert!(refusal(&key, How { created: -100, lifetime: Some(50), ..How::default() }).contains("it has expired"));
}

#[test]
fn expired_and_revoked_keys() {
    let mut key = Key::new();
    key.certify(Some(3600), true);
    for by_subkey in [true, false] {
        assert!(refusal(&key, How { by_subkey, ..How::default() }).contains("the key expired on"));
    }
    key.certify(None, true);
    assert!(check(&key, &key.clearsign(TEXT, How::default())).is_ok());
    key.revoke();
    for by_subkey in [true, false] {
        assert!(refusal(&key, How { by_subkey, ..How::default() }).contains("the key has been revoked"));
    }
}

#[test]
fn keys_not_meant_for_signing() {
    let mut key = Key::new();
    key.certify(None, false);
    assert!(refusal(&key, How { by_subkey: false, ..How::default() }).contains("not meant for signing"));
    assert!(check(&key, &key.clearsign(TEXT, How::default())).is_ok(), "the subkey may still");
    key.public.public_subkeys[0].signatures = vec![key.over_subkey(SignatureType::SubkeyBinding, false, true, None)];
    assert!(refusal(&key, How::default()).contains("not meant for signing"));
}

#[test]
fn subkeys_must_be_bound_both_ways() {
    let mut key = Key::new();
    let bind = |key: &mut Key, signature| key.public.public_subkeys[0].signatures = vec![signature];
    let good = key.over_subkey(SignatureType::SubkeyBinding, true, true, None);
    bind(&mut key, good.clone());
    assert!(check(&key, &key.clearsign(TEXT, How::default())).is_ok());
    let one_way = key.over_subkey(SignatureType::SubkeyBinding, true, false, None);
    bind(&mut key, one_way);
    assert!(refusal(&key, How::default()).contains("not bound"));
    // A foreign certificate adopts the subkey.
    let mut thief = Key::new();
    thief.public.public_subkeys = key.public.public_subkeys.clone();
    assert!(check(&thief, &key.clearsign(TEXT, How::default())).unwrap_err().to_string().contains("not bound"));
    let expired = key.over_subkey(SignatureType::SubkeyBinding, true, true, Some(3600));
    bind(&mut key, expired);
    assert!(refusal(&key, How::default()).contains("the key expired on"));
    bind(&mut key, good);
    let revocation = key.over_subkey(SignatureType::SubkeyRevocation, true, false, None);
    key.public.public_subkeys[0].signatures.push(revocation);
    assert!(refusal(&key, How::default()).contains("the key has been revoked"));
}
