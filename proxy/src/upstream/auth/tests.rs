use http::HeaderValue;
use http::header::{HeaderMap, PROXY_AUTHENTICATE};

use super::*;

const TARGET: &str = "origin.example.org:443";

fn login(schemes: &[Scheme]) -> ProxyLogin {
    ProxyLogin {
        host: "proxy.example.org".to_owned(),
        port: Some(3128),
        user: Some("CORP\\jane".to_owned()),
        password: Some(Password::Known("geheim".to_owned())),
        schemes: Some(schemes.to_vec()),
        service: None,
        place: "its URL".to_owned(),
    }
}

fn auth(login: ProxyLogin) -> Arc<ProxyAuth> {
    let proxy = ProxyUrl::parse("http://proxy.example.org:3128", "test").unwrap();
    Arc::new(ProxyAuth::new(&proxy, login, Secrets::default()))
}

fn challenge(fields: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in fields {
        headers.append(PROXY_AUTHENTICATE, field.parse().unwrap());
    }
    headers
}

async fn says(conversation: &mut Conversation) -> String {
    let value = conversation.authorization("CONNECT", TARGET).await.unwrap();
    value.as_ref().map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

fn parameter(field: &str, name: &str) -> String {
    let parameters = field.strip_prefix("Digest ").unwrap();
    challenge::parameter(parameters.as_bytes(), name).unwrap_or_default()
}

#[tokio::test]
async fn nothing_is_said_before_it_is_asked_for_and_then_at_once() {
    let auth = auth(login(&Scheme::ALL));
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    let asked = challenge(&["Basic realm=\"x\""]);
    assert_eq!(first.challenged(&asked).await.unwrap(), Next::Any);
    assert_eq!(says(&mut first).await, "Basic Q09SUFxqYW5lOmdlaGVpbQ==");
    first.accepted(&HeaderMap::new());
    let mut second = auth.conversation();
    let value = second.authorization("CONNECT", TARGET).await.unwrap().unwrap();
    assert_eq!(value, "Basic Q09SUFxqYW5lOmdlaGVpbQ==");
    assert!(value.is_sensitive());
}

#[tokio::test]
async fn a_refused_password_is_not_sent_again() {
    let auth = auth(login(&[Scheme::Digest, Scheme::Basic]));
    let asked = challenge(&["Basic realm=x"]);
    let mut sent = 0;
    for round in 0..4 {
        let mut conversation = auth.conversation();
        sent += usize::from(!says(&mut conversation).await.is_empty());
        let error = match conversation.challenged(&asked).await {
            Ok(_) => {
                sent += usize::from(!says(&mut conversation).await.is_empty());
                conversation.challenged(&asked).await.unwrap_err()
            }
            Err(error) => error,
        };
        let text = error.to_string();
        assert!(text.contains("password in its URL is wrong") && text.contains("offers Basic"), "{text}");
        assert_eq!(text.contains("not sent again"), round > 0, "{text}");
        assert!(!text.contains("geheim"), "{text}");
    }
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn a_password_that_may_have_changed_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "old").unwrap();
    let auth = auth(ProxyLogin { password: Some(Password::File(path.clone())), ..login(&[Scheme::Basic]) });
    let asked = challenge(&["Basic realm=x"]);
    let mut conversation = auth.conversation();
    assert_eq!(says(&mut conversation).await, "");
    conversation.challenged(&asked).await.unwrap();
    let old = says(&mut conversation).await;
    std::fs::write(&path, "new").unwrap();
    conversation.challenged(&asked).await.unwrap();
    let new = says(&mut conversation).await;
    assert_ne!(old, new);
    // The same as before: not sent a second time.
    let error = conversation.challenged(&asked).await.unwrap_err();
    assert!(error.to_string().contains("not sent again"), "{error}");
    std::fs::write(&path, "third").unwrap();
    let mut later = auth.conversation();
    assert_eq!(says(&mut later).await, "");
    later.challenged(&asked).await.unwrap();
    assert!(!says(&mut later).await.is_empty());
}

#[tokio::test]
async fn only_one_finds_out_whether_the_password_is_taken() {
    let auth = auth(login(&[Scheme::Basic]));
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    let mut second = auth.conversation();
    let waiting = tokio::spawn(async move { says(&mut second).await });
    first.challenged(&challenge(&["Basic realm=x"])).await.unwrap();
    assert!(says(&mut first).await.starts_with("Basic "));
    assert!(!waiting.is_finished());
    first.accepted(&HeaderMap::new());
    assert!(waiting.await.unwrap().starts_with("Basic "), "it asks for nothing that is known");
}

#[tokio::test]
async fn a_proxy_that_asks_by_host_has_one_answer_it_too() {
    let auth = auth(login(&[Scheme::Basic]));
    let mut open = auth.conversation();
    assert_eq!(says(&mut open).await, "");
    open.accepted(&HeaderMap::new());
    let asked = challenge(&["Basic realm=x"]);
    let (mut first, mut second) = (auth.conversation(), auth.conversation());
    assert_eq!(says(&mut first).await + &says(&mut second).await, "");
    first.challenged(&asked).await.unwrap();
    let also = asked.clone();
    let waiting = tokio::spawn(async move {
        second.challenged(&also).await.unwrap();
        says(&mut second).await
    });
    assert!(says(&mut first).await.starts_with("Basic "));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "the first is to find out whether the password is taken");
    first.accepted(&HeaderMap::new());
    assert!(waiting.await.unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn a_nonce_is_counted_replaced_and_renewed() {
    let auth = auth(login(&Scheme::ALL));
    let asked = |nonce: &str, more: &str| challenge(&[&format!("Digest realm=x, qop=auth, nonce={nonce}{more}")]);
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    first.challenged(&asked("one", "")).await.unwrap();
    let answer = says(&mut first).await;
    assert_eq!((parameter(&answer, "nonce").as_str(), parameter(&answer, "nc").as_str()), ("one", "00000001"));
    assert_eq!(parameter(&answer, "uri"), TARGET);
    first.accepted(&HeaderMap::new());
    let mut second = auth.conversation();
    assert_eq!(parameter(&says(&mut second).await, "nc"), "00000002");
    let mut info = HeaderMap::new();
    info.insert("proxy-authentication-info", HeaderValue::from_static("nextnonce=\"two\""));
    second.accepted(&info);
    let mut third = auth.conversation();
    let answer = says(&mut third).await;
    assert_eq!((parameter(&answer, "nonce").as_str(), parameter(&answer, "nc").as_str()), ("two", "00000001"));
    assert_eq!(third.challenged(&asked("three", ", stale=TRUE")).await.unwrap(), Next::Any);
    assert_eq!(parameter(&says(&mut third).await, "nonce"), "three");
    third.accepted(&HeaderMap::new());
    // A proxy that was started anew may not call its old nonce stale: one more try, and only one.
    let mut fourth = auth.conversation();
    assert_eq!(parameter(&says(&mut fourth).await, "nonce"), "three");
    fourth.challenged(&asked("four", "")).await.unwrap();
    assert_eq!(parameter(&says(&mut fourth).await, "nonce"), "four");
    let error = fourth.challenged(&asked("five", "")).await.unwrap_err();
    assert!(error.to_string().contains("is wrong"), "{error}");
}

/// A challenge of NTLM's without information about the target.
const NTLM_CHALLENGE: &str = "NTLM TlRMTVNTUAACAAAAAAAAADgAAAABAoAAASNFZ4mrze8AAAAAAAAAAAAAAAA4AAAAAAAAAAAAAAA=";

#[tokio::test]
async fn ntlm_takes_two_steps_on_one_connection() {
    let auth = auth(login(&Scheme::ALL));
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    assert_eq!(first.challenged(&challenge(&["NTLM", "Basic realm=x"])).await.unwrap(), Next::Any);
    assert!(auth.is_of_connection());
    for mut conversation in [first, auth.conversation()] {
        assert!(says(&mut conversation).await.starts_with("NTLM TlRMTVNTUAAB"));
        assert_eq!(conversation.challenged(&challenge(&[NTLM_CHALLENGE])).await.unwrap(), Next::Same);
        assert!(says(&mut conversation).await.starts_with("NTLM TlRMTVNTUAAD"));
        conversation.accepted(&HeaderMap::new());
        assert_eq!(says(&mut conversation).await, "", "the connection is authenticated");
    }
    let mut wrong = auth.conversation();
    says(&mut wrong).await;
    wrong.challenged(&challenge(&[NTLM_CHALLENGE])).await.unwrap();
    says(&mut wrong).await;
    let error = wrong.challenged(&challenge(&["NTLM", "Basic realm=x"])).await.unwrap_err();
    assert!(error.to_string().contains("is wrong"), "no other scheme with the same password: {error}");
}

#[tokio::test]
async fn the_next_scheme_is_taken_where_one_does_not_do() {
    // A name of a service that asks no name service.
    let service = Some("HTTP/proxy.example.org@EXAMPLE.ORG".to_owned());
    let auth = auth(ProxyLogin { service, ..login(&Scheme::ALL) });
    let offered = challenge(&["Negotiate", "Digest nonce=x, algorithm=SHA-1, Basic realm=x"]);
    let mut conversation = auth.conversation();
    assert_eq!(says(&mut conversation).await, "");
    conversation.challenged(&offered).await.unwrap();
    assert!(says(&mut conversation).await.starts_with("Basic "));
    let text = conversation.challenged(&offered).await.unwrap_err().to_string();
    for part in ["offers Negotiate, Digest, Basic", "Negotiate: ", "Digest: the algorithm SHA-1", "is wrong"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("kinit") || text.contains("libgssapi-krb5-2"), "{text}");
}

#[tokio::test]
async fn schemes_are_kept_to() {
    let ordered = auth(login(&[Scheme::Basic, Scheme::Digest]));
    let mut conversation = ordered.conversation();
    conversation.challenged(&challenge(&["NTLM, Digest nonce=x, Basic realm=x"])).await.unwrap();
    assert!(says(&mut conversation).await.starts_with("Basic "), "the user's order");
    let strict = auth(login(&[Scheme::Ntlm, Scheme::Digest]));
    let mut conversation = strict.conversation();
    let error = conversation.challenged(&challenge(&["Basic realm=x", "Bearer"])).await.unwrap_err().to_string();
    assert!(error.contains("offers Basic, Bearer") && error.contains("Basic: not among the `schemes`"), "{error}");
}

#[tokio::test]
async fn without_credentials_it_says_where_to_put_them() {
    let auth = auth(ProxyLogin { user: None, password: None, ..login(&[Scheme::Ntlm, Scheme::Basic]) });
    let mut conversation = auth.conversation();
    let error = conversation.challenged(&challenge(&["NTLM", "Basic realm=x"])).await.unwrap_err().to_string();
    assert!(error.contains("NTLM, Basic: no user and password") && error.contains("[[proxy_login]]"), "{error}");
    let error = auth.conversation().challenged(&challenge(&["Bearer"])).await.unwrap_err().to_string();
    assert!(error.contains("ask for another proxy"), "{error}");
}

#[tokio::test]
async fn credentials_go_to_their_own_proxy_only_and_are_told_as_secrets() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let secrets = Secrets::new(move |secret| sink.lock().unwrap().push(secret.to_owned()));
    let auths = Auths::new(vec![login(&[Scheme::Basic])], secrets);
    let asked = challenge(&["Basic realm=x"]);
    for (url, expected) in [
        ("http://proxy.example.org:3129", None),
        ("http://other.example.org:3128", None),
        ("http://PROXY.example.org:3128", Some("Basic Q09SUFxqYW5lOmdlaGVpbQ==")),
        ("http://joe@proxy.example.org:3128", Some("Basic Q09SUFxqYW5lOmdlaGVpbQ==")),
        ("http://joe:own@proxy.example.org:3128", Some("Basic am9lOm93bg==")),
    ] {
        let proxy = ProxyUrl::parse(url, "test").unwrap();
        let mut conversation = auths.of(&proxy).conversation();
        assert_eq!(says(&mut conversation).await, "");
        match (conversation.challenged(&asked).await, expected) {
            (Ok(_), Some(expected)) => assert_eq!(says(&mut conversation).await, expected, "{url}"),
            (Err(_), None) => {}
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
    let told = told.lock().unwrap();
    for secret in ["geheim", "CORP\\jane:geheim", "own"] {
        assert!(told.iter().any(|one| one == secret), "{secret}: {told:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_never_has_enough_is_left() {
    let auth = auth(login(&[Scheme::Digest]));
    let mut conversation = auth.conversation();
    for round in 0.. {
        let asked = challenge(&[&format!("Digest realm=x, nonce={round}, stale=true")]);
        match conversation.challenged(&asked).await {
            Ok(_) => assert!(round < 10, "it goes on"),
            Err(error) => {
                assert!(error.to_string().contains("again and again"), "{error}");
                break;
            }
        }
        says(&mut conversation).await;
    }
}

#[tokio::test]
async fn a_late_407_to_an_old_nonce_says_nothing_of_the_password() {
    let auth = auth(login(&[Scheme::Digest]));
    let asked = |nonce: &str| challenge(&[&format!("Digest realm=x, qop=auth, nonce={nonce}")]);
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    first.challenged(&asked("one")).await.unwrap();
    says(&mut first).await;
    first.accepted(&HeaderMap::new());
    // Three are under way when the proxy forgets its nonces, and does not say that they are stale.
    let mut under_way = [auth.conversation(), auth.conversation(), auth.conversation()];
    for one in &mut under_way {
        assert_eq!(parameter(&says(one).await, "nonce"), "one");
    }
    let [mut quick, late, later] = under_way;
    assert_eq!(quick.challenged(&asked("two")).await.unwrap(), Next::Any);
    assert_eq!(parameter(&says(&mut quick).await, "nonce"), "two");
    for (mut one, nonce) in [(late, "three"), (later, "four")] {
        assert_eq!(one.challenged(&asked(nonce)).await.unwrap(), Next::Any);
        // It is one connection that finds out whether it is the password after all.
        let waiting = tokio::spawn(async move { says(&mut one).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        if nonce == "three" {
            waiting.abort();
            continue;
        }
        quick.accepted(&HeaderMap::new());
        assert_eq!(parameter(&waiting.await.unwrap(), "nonce"), "two");
        break;
    }
    assert!(!says(&mut auth.conversation()).await.is_empty(), "the password is not held back");
}

#[tokio::test]
async fn a_late_407_to_an_old_password_does_not_hold_back_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "old").unwrap();
    let auth = auth(ProxyLogin { password: Some(Password::File(path.clone())), ..login(&[Scheme::Basic]) });
    let asked = challenge(&["Basic realm=x"]);
    let mut first = auth.conversation();
    assert_eq!(says(&mut first).await, "");
    first.challenged(&asked).await.unwrap();
    let old = says(&mut first).await;
    first.accepted(&HeaderMap::new());
    let (mut quick, mut late) = (auth.conversation(), auth.conversation());
    assert_eq!([says(&mut quick).await, says(&mut late).await], [old.clone(), old.clone()]);
    // The password is changed, and one connection finds out.
    std::fs::write(&path, "new").unwrap();
    quick.challenged(&asked).await.unwrap();
    let new = says(&mut quick).await;
    assert_ne!(new, old);
    quick.accepted(&HeaderMap::new());
    assert_eq!(late.challenged(&asked).await.unwrap(), Next::Any);
    assert_eq!(says(&mut late).await, new);
    late.accepted(&HeaderMap::new());
    assert_eq!(says(&mut auth.conversation()).await, new);
    // The old one is not forgotten over that.
    std::fs::write(&path, "old").unwrap();
    let mut last = auth.conversation();
    assert_eq!(says(&mut last).await, new);
    let error = last.challenged(&asked).await.unwrap_err();
    assert!(error.to_string().contains("not sent again"), "{error}");
}
