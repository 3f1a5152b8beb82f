use super::*;

const ACCOUNT: Account<'_> = Account { user: "User", domain: "Domain", password: "Password" };
/// MS-NLMP section 4.2.1.
const SERVER: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const CLIENT: [u8; 8] = [0xaa; 8];

fn info() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, text) in [(2u16, "Domain"), (1, "Server")] {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(u16::try_from(text.len() * 2).unwrap().to_le_bytes());
        bytes.extend(utf16(text));
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn the_published_vectors() {
    // MS-NLMP section 4.2.4.
    let key = crypto::ntowf_v2(ACCOUNT);
    assert_eq!(hex::encode(key), "0c868a403bfd7a93a3001ef22ef02e3f");
    let answer = crypto::answer(&key, &SERVER, 0, &CLIENT, &info());
    assert_eq!(hex::encode(&answer.response[..16]), "68cd0ab851e51c96aabc927bebef6a1c");
    assert_eq!(
        hex::encode(&answer.response[16..]),
        "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c00530065007200\
         76006500720000000000000000 00"
            .replace(' ', "")
    );
    assert_eq!(hex::encode(answer.session_key), "8de40ccadbc14a82f15cb0ad0de95ca3");
    let lm = crypto::lm_v2(&key, &SERVER, &CLIENT);
    assert_eq!(hex::encode(lm), "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa");
}

/// A challenge with this information of the target.
fn challenge(info: &[u8]) -> Vec<u8> {
    let mut message = head(2);
    // Target name: none.
    message.extend([0, 0, 0, 0, 56, 0, 0, 0]);
    message.extend((OURS & !OEM).to_le_bytes());
    message.extend(SERVER);
    message.extend([0; 8]);
    let length = u16::try_from(info.len()).unwrap().to_le_bytes();
    message.extend([length, length].concat());
    message.extend([56, 0, 0, 0]);
    message.extend([0; 8]);
    message.extend(info);
    message
}

fn parse(message: &[u8]) -> Result<Challenge, &'static str> {
    Challenge::parse(&BASE64_STANDARD.encode(message))
}

/// A text of the third message, by the place of its description.
fn text(message: &[u8], at: usize) -> &[u8] {
    let length = usize::from(short_number(message, at).unwrap());
    let start = number(message, at + 4).unwrap() as usize;
    &message[start..start + length]
}

#[test]
fn an_answer_without_a_timestamp() {
    let read = parse(&challenge(&info())).unwrap();
    let message = read.answer(ACCOUNT, "HTTP/proxy.example.org", Moment { filetime: 0, nonce: CLIENT });
    assert_eq!(&message[..12], [SIGNATURE.as_slice(), &[3, 0, 0, 0]].concat());
    assert_eq!(hex::encode(&text(&message, 20)[..16]), "68cd0ab851e51c96aabc927bebef6a1c");
    assert_eq!(text(&message, 12)[16..], CLIENT);
    assert_eq!(text(&message, 28), utf16("Domain"));
    assert_eq!(text(&message, 36), utf16("User"));
    assert_eq!(message[MIC_AT..HEAD], [0; 16]);
}

#[test]
fn with_a_timestamp_all_three_messages_are_covered() {
    let mut with_time = info();
    with_time.truncate(with_time.len() - 4);
    with_time.extend([7, 0, 8, 0]);
    with_time.extend(77u64.to_le_bytes());
    with_time.extend([0; 4]);
    let challenge = challenge(&with_time);
    let read = parse(&challenge).unwrap();
    let mut message = read.answer(ACCOUNT, "HTTP/proxy.example.org", Moment { filetime: 5, nonce: CLIENT });
    assert_eq!(text(&message, 12), [0; 24]);
    let response = text(&message, 20).to_vec();
    assert_eq!(response[24..32], 77u64.to_le_bytes());
    let sent = pairs(&response[44..]).unwrap();
    let value = |kind| sent.iter().find(|(own, _)| *own == kind).map(|(_, value)| value.clone()).unwrap();
    assert_eq!(value(AV_FLAGS), [2, 0, 0, 0]);
    assert_eq!(value(AV_CHANNEL_BINDINGS), [0; 16]);
    assert_eq!(value(AV_TARGET_NAME), utf16("HTTP/proxy.example.org"));
    let key = crypto::ntowf_v2(ACCOUNT);
    let session = crypto::hmac(&key, &[&response[..16]]);
    let mic = message[MIC_AT..HEAD].to_vec();
    message[MIC_AT..HEAD].fill(0);
    assert_eq!(crypto::hmac(&session, &[&negotiate(), &challenge, &message]).to_vec(), mic);
}

#[test]
fn names_with_a_domain() {
    assert_eq!(split_domain("CORP\\jane"), ("jane", "CORP"));
    assert_eq!(split_domain("jane@corp.example.org"), ("jane@corp.example.org", ""));
}

#[test]
fn what_is_no_challenge_is_said() {
    assert!(Challenge::parse("%%").is_err());
    assert!(parse(b"NTLMSSP\0\x01\0\0\0").is_err());
    let mut without_unicode = challenge(&info());
    without_unicode[20] &= 0xfe;
    assert!(parse(&without_unicode).is_err());
    let whole = challenge(&info());
    for length in 0..whole.len() {
        let read = parse(&whole[..length]);
        assert_eq!(read.is_err(), length < 32, "{length}");
        assert!(read.is_err() || read.unwrap().target_info.is_empty(), "{length}");
    }
    let mut far = whole;
    far[44..48].fill(0xff);
    assert!(parse(&far).unwrap().target_info.is_empty());
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_fail(info: Vec<u8>, rest: Vec<u8>) {
        if let Ok(read) = parse(&[challenge(&info), rest].concat()) {
            let _ = read.answer(ACCOUNT, "HTTP/x", Moment { filetime: 0, nonce: CLIENT });
        }
    }
}
