use http::HeaderValue;

use super::*;

/// A file as `htpasswd -B` writes it.
const FILE: &str = "# the fleet\nci:$2y$05$XCQn9HjYHBZ2XFGAuu9TT.hNQI7uTWyYAhpdBQjXpsvMSwQHnSlea\n\n";

fn users() -> Users {
    let ci = format!("ci:{}", bcrypt::hash("s3cret", 4).unwrap());
    let other = format!("ä:{}", bcrypt::hash("p:ä s", 4).unwrap());
    Users::parse(&format!("# the fleet\n\n{ci}\n{other}\r\n")).unwrap()
}

fn header(user: &str, password: &str) -> HeaderMap {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    HeaderMap::from_iter([(PROXY_AUTHORIZATION, HeaderValue::from_str(&format!("basic {pair}")).unwrap())])
}

fn raw(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(PROXY_AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
}

#[tokio::test]
async fn who_knows_the_password_is_let_in_and_then_known() {
    let users = users();
    for (user, password) in [("ci", "s3cret"), ("ä", "p:ä s")] {
        let headers = header(user, password);
        assert_eq!(users.judge(&headers, None).await, Login::Checked(user.into()));
        assert_eq!(users.judge(&headers, None).await, Login::Known(user.into()));
    }
    for headers in [
        header("ci", "s3cre"),
        header("ci", "s3cret\0"),
        header("ci", ""),
        header("nobody", "s3cret"),
        raw("Basic"),
        raw("Basic !!!"),
        raw("Basic Y2k="),
        raw("Bearer s3cret"),
    ] {
        assert_eq!(users.judge(&headers, None).await, Login::Wrong, "{headers:?}");
    }
    assert_eq!(users.judge(&HeaderMap::new(), None).await, Login::Missing);
    let mut twice = header("ci", "s3cret");
    twice.append(PROXY_AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
    assert_eq!(users.judge(&twice, None).await, Login::Wrong);
}

#[tokio::test]
async fn who_is_wrong_too_often_waits_and_nobody_else() {
    let users = users();
    let (bad, good) = ("192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap());
    assert_eq!(users.judge(&header("ci", "s3cret"), Some(bad)).await, Login::Checked("ci".into()));
    let mut wrong = 0;
    let wait = loop {
        match users.judge(&header("ci", &format!("guess {wrong}")), Some(bad)).await {
            Login::Wrong => wrong += 1,
            Login::Later(wait) => break wait,
            other => panic!("{other:?}"),
        }
        assert!(wrong < 100);
    };
    assert_eq!(wrong, 10);
    assert!(wait <= Duration::from_secs(30), "{wait:?}");
    // A right guess is not told from a wrong one meanwhile; but who was known stays so, and others are not concerned.
    assert!(matches!(users.judge(&header("ä", "p:ä s"), Some(bad)).await, Login::Later(_)));
    assert_eq!(users.judge(&header("ci", "s3cret"), Some(bad)).await, Login::Known("ci".into()));
    assert_eq!(users.judge(&header("ä", "p:ä s"), Some(good)).await, Login::Checked("ä".into()));
}

#[test]
fn the_bucket_leaks() {
    let (attempts, start) = (Attempts::new(), Instant::now());
    let address = Some("2001:db8::1".parse().unwrap());
    for _ in 0..10 {
        assert_eq!(attempts.must_wait(address, "ci", start), None);
        attempts.failed(address, "ci", start);
    }
    // The whole /64 is one client.
    let neighbour = Some("2001:db8::2".parse().unwrap());
    assert!(attempts.must_wait(neighbour, "other", start).is_some());
    assert!(attempts.must_wait(Some("2001:db8:0:1::1".parse().unwrap()), "ci", start).is_none());
    let later = start + Duration::from_secs(31);
    assert_eq!(attempts.must_wait(neighbour, "ci", later), None);
    attempts.failed(neighbour, "ci", later);
    assert!(attempts.must_wait(address, "ci", later).is_some());
}

#[tokio::test]
async fn who_guesses_behind_a_tunnel_shuts_out_nobody_else_there() {
    // A Unix socket, and the loopback: there many may come by one way.
    for from in [None, Some("127.0.0.1".parse().unwrap()), Some("::1".parse().unwrap())] {
        let users = users();
        while users.judge(&header("ci", "a guess"), from).await == Login::Wrong {}
        assert!(matches!(users.judge(&header("ci", "s3cret"), from).await, Login::Later(_)), "{from:?}");
        assert_eq!(users.judge(&header("ä", "p:ä s"), from).await, Login::Checked("ä".into()), "{from:?}");
    }
}

#[test]
fn what_was_proven_lapses() {
    let (proven, start) = (Proven::new(), Instant::now());
    proven.note("ci", "pw", "hash", start);
    assert!(proven.holds("ci", "pw", "hash", start));
    assert!(!proven.holds("ci", "pw", "other", start));
    assert!(!proven.holds("cip", "w", "hash", start));
    assert!(!proven.holds("ci", "pw", "hash", start + Duration::from_secs(601)));
}

#[test]
fn files_are_read_or_refused_with_the_line() {
    assert_eq!(Users::parse(FILE).unwrap().count(), 1);
    let hash = "$2y$05$XCQn9HjYHBZ2XFGAuu9TT.hNQI7uTWyYAhpdBQjXpsvMSwQHnSlea";
    for (text, part) in [
        ("", "names no user"),
        ("# nobody\n", "names no user"),
        ("ci", "line 1: it is not of the form"),
        (":x", "line 1: the name is missing"),
        ("\nci:$apr1$abcdefgh$0123456789012345678901", "line 2: the password of ci is not hashed with bcrypt"),
        ("ci:plain", "not hashed with bcrypt"),
        ("ci:$2y$05$short", "not hashed with bcrypt"),
        (&format!("ci:{}", hash.replace("$05$", "$31$")), "takes too long"),
        (&format!("ci:{hash}\nci:{hash}"), "line 2: ci is there twice"),
    ] {
        let error = Users::parse(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("XCQn"), "{text}: {error}");
    }
}

#[test]
fn lines_are_made_that_are_taken() {
    let made = line("ci", "s3cret").unwrap();
    let (user, hash) = parse_line(&made).unwrap().unwrap();
    assert_eq!((user, file::cost(hash)), ("ci", Some(10)));
    assert!(bcrypt::verify("s3cret", hash).unwrap());
    for (user, password) in
        [("", "x"), ("a:b", "x"), ("#a", "x"), ("a\n", "x"), ("a", ""), ("a", "x\n"), ("a", &"x".repeat(73))]
    {
        assert!(line(user, password).is_err(), "{user} {password}");
    }
}

#[test]
fn what_stands_for_an_unknown_user_is_a_hash() {
    // If it were none, the check would end at once, and tell that there is no such user.
    assert!(!bcrypt::verify("anything", &file::decoy(4)).unwrap());
}
