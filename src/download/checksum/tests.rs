use super::*;

const A: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const B: &str = "0a7f4098dd3b6a8ac2f5e1e1a1d1eb3c6a2a7c4a7d6d9b3a6cbb60ff0c7f0d11";

#[test]
fn option_forms() {
    assert_eq!(ChecksumSpec::parse("none"), Ok(ChecksumSpec::None));
    let value = ChecksumSpec::Value(Checksum::new(Algorithm::Sha256, A).unwrap());
    assert_eq!(ChecksumSpec::parse(A), Ok(value.clone()));
    assert_eq!(ChecksumSpec::parse(&format!("sha256:{}", A.to_uppercase())), Ok(value.clone()));
    assert_eq!(ChecksumSpec::parse(&format!("SHA256:{A}")), Ok(value));
    let md5 = ChecksumSpec::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap();
    assert!(matches!(md5, ChecksumSpec::Value(c) if c.algorithm == Algorithm::Md5));
    assert_eq!(
        ChecksumSpec::parse("file:https://example.org/SHA256SUMS"),
        Ok(ChecksumSpec::File("https://example.org/SHA256SUMS".into()))
    );
    assert_eq!(ChecksumSpec::parse("file:./sums"), Ok(ChecksumSpec::File("./sums".into())));
}

#[test]
fn wrong_options() {
    assert_eq!(ChecksumSpec::parse(" "), Err(ChecksumError::Empty));
    assert_eq!(ChecksumSpec::parse("file:"), Err(ChecksumError::Empty));
    assert!(matches!(ChecksumSpec::parse("crc32:00"), Err(ChecksumError::UnknownType(_))));
    assert!(matches!(ChecksumSpec::parse("sha256:00"), Err(ChecksumError::NotADigest { .. })));
    assert!(matches!(
        ChecksumSpec::parse(&format!("sha256:{}", "zz".repeat(32))),
        Err(ChecksumError::NotADigest { .. })
    ));
    assert!(matches!(ChecksumSpec::parse("abc"), Err(ChecksumError::UnknownLength(_))));
}

#[test]
fn sums_in_every_format() {
    let wanted = Checksum::new(Algorithm::Sha256, A).unwrap();
    for text in [
        format!("{B}  b.iso\n{A}  a.iso\n"),
        format!("{B} *b.iso\r\n{A} *a.iso\r\n"),
        format!("SHA256 (b.iso) = {B}\nSHA256 (a.iso) = {A}\n"),
        format!("# comment\n{A}\t./dir/a.iso\n{B}\tb.iso"),
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  a.iso\n{B}  b.iso\n-----BEGIN PGP SIGNATURE-----\n\nabc=\n"
        ),
        format!("\u{feff}MD5 (a.iso) = d41d8cd98f00b204e9800998ecf8427e\nSHA256 (a.iso) = {A}\n"),
        format!("{A}\n"),
    ] {
        assert_eq!(find_in_sums(&text, &["a.iso"], "sums").as_ref(), Ok(&wanted), "{text}");
    }
}

#[test]
fn sums_that_do_not_tell() {
    let html = find_in_sums("\n<!DOCTYPE html><html>404</html>", &["a.iso"], "https://example.org/S");
    assert!(html.unwrap_err().to_string().contains("https://example.org/S is an HTML page"));
    assert!(matches!(find_in_sums("nothing here", &["a"], "s"), Err(ChecksumError::NoChecksums { .. })));
    let missing = find_in_sums(&format!("{A}  a.iso\n{B}  b.iso\n"), &["c.iso"], "s").unwrap_err();
    assert_eq!(missing.to_string(), "s has no checksum for `c.iso`; it lists `a.iso`, `b.iso`");
    let twice = find_in_sums(&format!("{A}  a.iso\n{B}  a.iso\n"), &["a.iso"], "s");
    assert!(matches!(twice, Err(ChecksumError::Ambiguous { .. })));
}

#[test]
fn hashers_agree_with_known_digests() {
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(b"");
    assert!(Checksum::from_hex(A).unwrap().matches(&hasher.finalize()));
    let mut hasher = Algorithm::Md5.hasher();
    hasher.update(b"");
    assert_eq!(hex::encode(hasher.finalize()), "d41d8cd98f00b204e9800998ecf8427e");
}
