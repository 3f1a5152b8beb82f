//! Credentials, redirects followed inside, bodies shared between URLs and users, and what is not there.

use super::*;
use crate::origin::Phase;
use crate::store::Digest;

const MANIFEST: &str = "https://registry.example.org/v2/library/debian/manifests/stable";
const MINE: [(&str, &str); 1] = [("authorization", "Bearer mine")];
const YOURS: [(&str, &str); 1] = [("authorization", "Bearer yours")];

fn blob(host: &str, repository: &str, body: &str) -> String {
    format!("https://{host}/v2/{repository}/blobs/sha256:{}", Digest::of(body.as_bytes()))
}

fn signed(number: u8, body: &str) -> String {
    format!("https://cdn.example.net/{}?expires=1{number}&signature={number}", Digest::of(body.as_bytes()))
}

fn redirect(to: &str) -> Reply {
    Reply::new(307, "see there")
        .with("location", to)
        .with("cache-control", "max-age=600")
        .with("content-type", "text/html")
}

#[tokio::test]
async fn a_redirect_to_a_signed_url_is_followed_for_the_key_and_not_kept() {
    let bed = Bed::new();
    let url = blob("registry.example.org", "library/debian", "layer");
    bed.origin.reply(&url, redirect(&signed(1, "layer")));
    bed.origin.reply(&signed(1, "layer"), Reply::ok("layer").with("content-length", "5"));
    let fields = [("authorization", "Bearer x"), ("cookie-like", "1"), ("x-jfrog-art-api", "key"), ("accept", "*/*")];
    let answer = bed.with(&url, &fields).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "layer"));
    for name in ["authorization", "cookie-like", "x-jfrog-art-api"] {
        assert_eq!(bed.origin.asked(name), None, "{name} must not reach another server");
    }
    assert_eq!(bed.origin.asked("accept").as_deref(), Some("*/*"));
    assert!(bed.last().route.contains("redirected to https://cdn.example.net/"), "{}", bed.last().route);
    assert!(!bed.last().route.contains("signature"));
    let entry = bed.store.list(&crate::inspect::Filter::default()).unwrap().remove(0);
    assert_eq!(entry.draft.url, url);
    assert!(!entry.draft.provenance.source.clone().unwrap().contains('?'));
    assert_eq!(bed.with(&url, &fields[..3]).await.text(), "layer");
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 2));
    bed.assert_sound();
}

#[tokio::test]
async fn an_answer_to_a_key_is_for_who_has_it() {
    for name in ["x-jfrog-art-api", "private-token", "x-api-key", "x-vault-token", "x-consul-token"] {
        let bed = Bed::new();
        for url in [DEB, "https://example.org/plain"] {
            bed.origin.reply(url, Reply::ok("secret").with("cache-control", "max-age=600"));
            let before = bed.origin.count();
            assert_eq!(bed.with(url, &[(name, "mine")]).await.text(), "secret");
            assert_eq!(bed.with(url, &[(name, "mine")]).await.text(), "secret");
            assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, before + 1), "{name} {url}");
            for fields in [&[][..], &[(name, "yours")], &[("authorization", "mine")]] {
                bed.origin.reply(url, Reply::new(401, "who are you?"));
                assert_eq!(bed.with(url, fields).await.status, StatusCode::UNAUTHORIZED, "{name} {url} {fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn which_redirects_are_followed() {
    const RELEASE: &str = "https://example.org/owner/repo/releases/download/v1/tool.bin";
    const ISO: &str = "https://example.org/latest/disk.iso";
    let layer = blob("example.org", "a", "body");
    for (url, to, followed) in [
        (RELEASE, "https://cdn.example.net/x?sp=r&sv=1&se=9&sig=a", true),
        (RELEASE, "/other/place", false),
        (ISO, "https://mirror.example.net/v1/disk.iso", false),
        (ISO, "https://mirror.example.net/v1/disk.iso?expires=1&signature=2", true),
        (DEB, "http://mirror.example.net/debian/pool/x.deb", true),
        ("https://example.org/pool/x.deb", "http://mirror.example.net/pool/x.deb", false),
        (&*layer, "http://cdn.example.net/x", true),
        (&*layer, "https://user:password@cdn.example.net/x", false),
        (&*layer, "ftp://cdn.example.net/x", false),
        (PLAIN, "https://cdn.example.net/x?expires=1&signature=2", false),
    ] {
        let bed = Bed::new();
        bed.origin.reply(url, redirect(to));
        bed.origin.reply(to, Reply::ok("body"));
        let answer = bed.get(url).await;
        assert_eq!(answer.status == 200, followed, "{url} to {to}");
        assert_eq!(bed.stored(url).len(), usize::from(followed), "the redirect itself is kept for offline runs alone");
    }
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let bed = Bed::new();
    let url = blob("example.org", "a", "body");
    for _ in 0..11 {
        bed.origin.reply(&url, redirect(&url));
    }
    let answer = bed.get(&url).await;
    assert_eq!((answer.status.as_u16(), bed.origin.count()), (502, 11));
    assert!(answer.text().contains("10 redirects"));
}

#[tokio::test]
async fn a_refused_hop_is_an_error() {
    let bed = Bed::new();
    let url = blob("example.org", "a", "body");
    bed.origin.reply(&url, redirect("http://169.254.169.254/secret"));
    bed.origin.reply("http://169.254.169.254/secret", Reply::failure(Phase::Denied, false));
    assert_eq!(bed.get(&url).await.status, 403);
}

#[tokio::test]
async fn answers_to_credentials_are_kept_for_who_has_them() {
    let bed = Bed::new();
    let page = |body: &str| Reply::ok(body.to_owned()).with("cache-control", "max-age=600");
    bed.origin.reply(PLAIN, page("mine"));
    bed.origin.reply(PLAIN, page("yours"));
    bed.origin.reply(PLAIN, page("anybody's"));
    assert_eq!(bed.with(PLAIN, &MINE).await.text(), "mine");
    assert_eq!(bed.with(PLAIN, &YOURS).await.text(), "yours");
    assert_eq!(bed.get(PLAIN).await.text(), "anybody's");
    assert_eq!(bed.origin.count(), 3);
    for (fields, body) in [(&MINE[..], "mine"), (&YOURS, "yours"), (&[], "anybody's")] {
        assert_eq!((bed.with(PLAIN, fields).await.text(), bed.outcome()), (body, Outcome::Hit));
    }
    // Another process that shares the cache knows who is who.
    let next = bed.again();
    assert_eq!((next.with(PLAIN, &MINE).await.text(), next.outcome()), ("mine", Outcome::Hit));
    let raw: Vec<u8> = std::fs::read_dir(bed.store.root())
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .flatten()
        .collect();
    assert!(!raw.windows(6).any(|window| window == b"Bearer"), "no credential is on the disk");
    bed.assert_sound();
}

#[tokio::test]
async fn private_and_no_store_stay_unstored() {
    for control in ["private, max-age=60", "no-store"] {
        let bed = Bed::new();
        bed.origin.reply(PLAIN, Reply::ok("mine").with("cache-control", control));
        bed.with(PLAIN, &MINE).await;
        assert_eq!(bed.store.stats().unwrap().entries, 0);
    }
}

#[tokio::test]
async fn a_body_of_another_user_is_served_when_upstream_confirms_it_for_this_one() {
    let bed = Bed::new();
    for _ in 0..2 {
        bed.origin.reply(MANIFEST, Reply::ok("{manifest}").tagged("\"1\""));
    }
    bed.origin.reply(MANIFEST, Reply::new(403, "no"));
    bed.origin.reply(MANIFEST, Reply::failure(Phase::Connect, false));
    bed.cache.begin_run();
    bed.with(MANIFEST, &MINE).await;
    assert_eq!(bed.with(MANIFEST, &YOURS).await.text(), "{manifest}");
    assert_eq!((bed.outcome(), bed.last().bytes_upstream), (Outcome::Revalidated, 0));
    assert_eq!(bed.origin.asked("authorization").as_deref(), Some("Bearer yours"));
    assert_eq!(bed.origin.asked("if-none-match").as_deref(), Some("\"1\""));
    assert_eq!((bed.with(MANIFEST, &YOURS).await.text(), bed.outcome()), ("{manifest}", Outcome::Hit));
    // Who is refused gets nothing, and neither does who cannot be judged.
    assert_eq!(bed.with(MANIFEST, &[("authorization", "Bearer thief")]).await.status, 403);
    assert_eq!(bed.with(MANIFEST, &[("authorization", "Bearer thief")]).await.status, 502);
    assert_eq!(bed.store.stats().unwrap().blobs, 1);
    bed.assert_sound();
}

#[tokio::test]
async fn a_layer_is_fetched_once_for_all_registries_and_repositories() {
    let bed = Bed::new();
    let first = blob("one.example.org", "library/debian", "layer");
    bed.origin.reply(&first, Reply::ok("layer").with("content-length", "5"));
    bed.get(&first).await;
    for (url, signed_url) in [
        (blob("one.example.org", "team/debian", "layer"), None),
        (blob("two.example.org", "library/debian", "layer"), Some(signed(1, "layer"))),
    ] {
        // Upstream is asked whether this client may have it, and for no byte.
        let head = match &signed_url {
            None => Reply::new(200, "").with("content-length", "5"),
            Some(target) => redirect(target),
        };
        bed.origin.reply(&url, head);
        let answer = bed.with(&url, &MINE).await;
        assert_eq!((answer.text(), bed.outcome(), bed.last().bytes_upstream), ("layer", Outcome::Revalidated, 0));
        assert_eq!(bed.with(&url, &MINE).await.text(), "layer");
        assert_eq!(bed.outcome(), Outcome::Hit);
    }
    assert_eq!(bed.origin.count(), 3);
    let stats = bed.store.stats().unwrap();
    assert_eq!((stats.entries, stats.blobs, stats.bytes), (3, 1, 5));
    bed.assert_sound();
}

#[tokio::test]
async fn a_layer_is_not_lent_without_upstreams_word() {
    for (status, length) in [(401, "5"), (404, "5"), (200, "6"), (200, "")] {
        let bed = Bed::new();
        let (first, second) = (blob("e.org", "a", "layer"), blob("e.org", "b", "layer"));
        bed.origin.reply(&first, Reply::ok("layer"));
        bed.get(&first).await;
        let head = Reply::new(status, "");
        bed.origin.reply(&second, if length.is_empty() { head } else { head.with("content-length", length) });
        bed.origin.reply(&second, Reply::new(401, "who are you?"));
        assert_eq!(bed.get(&second).await.status, 401, "HEAD {status} {length}");
    }
    // What one server gave for credentials, another server cannot vouch for.
    let bed = Bed::new();
    let (first, second) = (blob("e.org", "a", "layer"), blob("evil.example", "b", "layer"));
    bed.origin.reply(&first, Reply::ok("layer"));
    bed.with(&first, &MINE).await;
    bed.origin.reply(&second, Reply::new(404, "none"));
    assert_eq!(bed.get(&second).await.status, 404);
    assert_eq!(bed.origin.count(), 2);
}

#[tokio::test]
async fn a_token_is_kept_only_as_long_as_it_says() {
    const TOKEN: &str = "https://auth.example.org/token?service=registry&scope=repository:a:pull";
    let bed = Bed::new();
    for number in 0..2 {
        bed.origin.reply(TOKEN, Reply::ok(number.to_string()).with("last-modified", "Tue, 14 Nov 2017 22:13:20 GMT"));
    }
    assert_eq!(bed.get(TOKEN).await.text(), "0");
    assert_eq!(bed.get(TOKEN).await.text(), "1");
    assert_eq!(bed.store.stats().unwrap().entries, 0);
}

#[tokio::test]
async fn what_is_not_there_is_remembered_for_a_moment_and_no_longer_than_the_run() {
    for (url, remembered) in [(DEB, true), (INDEX, true), (PLAIN, false)] {
        let bed = Bed::new();
        bed.cache.begin_run();
        for _ in 0..4 {
            bed.origin.reply(url, Reply::new(404, "none").with("content-type", "text/html"));
        }
        assert_eq!(bed.get(url).await.status, 404);
        let again = bed.get(url).await;
        assert_eq!((again.status.as_u16(), again.text()), (404, "none"));
        assert_eq!(bed.origin.count() == 1, remembered, "{url}");
        if remembered {
            assert_eq!(bed.outcome(), Outcome::Hit);
            bed.later(30);
            bed.cache.begin_run();
            bed.get(url).await;
            assert_eq!(bed.origin.count(), 2, "another run");
            bed.later(61);
            bed.get(url).await;
            assert_eq!(bed.origin.count(), 3, "too old");
            bed.with(url, &[("cache-control", "no-cache")]).await;
            assert_eq!(bed.origin.count(), 4, "the client wants to know");
        }
        assert!(bed.stored(url).is_empty());
    }
    let bed = Bed::new();
    for _ in 0..2 {
        bed.origin.reply(DEB, Reply::new(503, "busy"));
        assert_eq!(bed.get(DEB).await.status, 503);
    }
    assert_eq!(bed.origin.count(), 2, "a server's error is never remembered");
}
