//! Joined misses: one fetch for all who want the same.

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::*;

type Sender = mpsc::Sender<std::io::Result<Bytes>>;

async fn feed(sender: &Sender, text: &'static str) {
    sender.send(Ok(Bytes::from_static(text.as_bytes()))).await.unwrap();
}

async fn next(body: &mut crate::body::Body) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn a_waiter_has_its_first_byte_before_the_leaders_last() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(DEB, reply);
    let mut leader = bed.call("GET", DEB, &[]).await.into_body();
    feed(&sender, "first ").await;
    assert_eq!(next(&mut leader).await, "first ");
    let mut waiter = bed.call("GET", DEB, &[]).await.into_body();
    assert_eq!(next(&mut waiter).await, "first ");
    feed(&sender, "last").await;
    assert_eq!(next(&mut waiter).await, "last");
    assert_eq!(next(&mut leader).await, "last");
    drop(sender);
    assert!(leader.frame().await.is_none());
    assert!(waiter.frame().await.is_none());
    drop((leader, waiter));
    bed.settle().await;
    let outcomes: Vec<_> = bed.flows.lock().unwrap().iter().map(|flow| (flow.outcome, flow.bytes_upstream)).collect();
    assert!(outcomes.contains(&(Outcome::Miss, 10)) && outcomes.contains(&(Outcome::Coalesced, 0)), "{outcomes:?}");
    assert_eq!(bed.get(DEB).await.text(), "first last");
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 1));
    bed.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_cause_one_fetch() {
    let bed = Bed::new();
    let big = Bytes::from(vec![7; 3_000_000]);
    bed.origin.reply(DEB, Reply::ok(big.clone()).with("content-length", "3000000"));
    let answers = join_all((0..200).map(|_| async { read(bed.call("GET", DEB, &[]).await).await })).await;
    assert!(answers.iter().all(|answer| answer.body.as_ref() == Ok(&big)));
    assert_eq!(bed.origin.count(), 1);
    bed.settle().await;
    bed.assert_sound();
}

#[tokio::test]
async fn the_fetch_outlives_its_client() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(DEB, reply);
    let leader = bed.call("GET", DEB, &[]).await;
    drop(leader);
    feed(&sender, "all the same").await;
    drop(sender);
    bed.settle().await;
    assert_eq!(bed.get(DEB).await.text(), "all the same");
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 1));
}

#[tokio::test]
async fn drain_cancels_what_does_not_end_and_leaves_nothing() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(DEB, reply);
    let leader = bed.call("GET", DEB, &[]).await;
    feed(&sender, "part").await;
    bed.cache.drain(Duration::from_millis(1)).await;
    assert!(read(leader).await.body.is_err());
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    bed.assert_sound();
}

#[tokio::test]
async fn what_is_private_is_fetched_by_each() {
    let bed = Bed::new();
    for number in 0..5 {
        let reply = Reply::ok(number.to_string()).with("cache-control", "PRIVATE, max-age=60");
        bed.origin.reply(PLAIN, reply);
    }
    let answers = join_all((0..5).map(|_| async { read(bed.call("GET", PLAIN, &[]).await).await })).await;
    let mut bodies: Vec<_> = answers.iter().map(Answer::text).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
    assert_eq!(bed.store.stats().unwrap().entries, 0);
}

#[tokio::test]
async fn credentials_are_not_shared() {
    let bed = Bed::new();
    let mine = [("authorization", "Basic eDp5")];
    bed.origin.reply(PLAIN, Reply::ok("mine").with("cache-control", "max-age=60"));
    bed.origin.reply(PLAIN, Reply::ok("yours").with("cache-control", "max-age=60"));
    assert_eq!(bed.with(PLAIN, &mine).await.text(), "mine");
    assert_eq!(bed.get(PLAIN).await.text(), "yours");

    bed.origin.reply(DEB, Reply::ok("public").with("cache-control", "public, max-age=60"));
    bed.with(DEB, &mine).await;
    assert_eq!(bed.get(DEB).await.text(), "public");
    assert_eq!(bed.outcome(), Outcome::Hit);
}

#[tokio::test]
async fn a_waiter_for_another_variant_fetches_its_own() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(PLAIN, reply.with("vary", "accept").with("cache-control", "max-age=60"));
    bed.origin.reply(PLAIN, Reply::ok("b").with("vary", "accept").with("cache-control", "max-age=60"));
    let leader = bed.call("GET", PLAIN, &[("accept", "text/a")]).await;
    let other = read(bed.call("GET", PLAIN, &[("accept", "text/b")]).await).await;
    assert_eq!(other.text(), "b");
    feed(&sender, "a").await;
    drop(sender);
    assert_eq!(read(leader).await.text(), "a");
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, 2);
}

#[tokio::test]
async fn a_range_of_what_is_arriving() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(DEB, reply.with("content-length", "10"));
    let leader = bed.call("GET", DEB, &[]).await;
    feed(&sender, "01234").await;
    let early = bed.call("GET", DEB, &[("range", "bytes=1-2")]).await;
    assert_eq!(early.status(), 206);
    assert_eq!(read(early).await.text(), "12", "before the rest has arrived");
    feed(&sender, "56789").await;
    drop(sender);
    assert_eq!(read(leader).await.text(), "0123456789");
    assert_eq!(bed.origin.count(), 1);
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_up_the_fetch() {
    let bed = Bed::new();
    let body = Bytes::from(vec![1; 8_000_000]);
    bed.origin.reply(DEB, Reply::ok(body.clone()));
    let slow = bed.call("GET", DEB, &[]).await;
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().bytes, 8_000_000, "stored, though nobody has read a byte");
    assert_eq!(read(slow).await.body, Ok(body));
}
