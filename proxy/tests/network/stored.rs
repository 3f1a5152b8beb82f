//! Stored bodies of every size on their way to clients: by the kernel in the clear, through memory inside TLS.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::leg::{LEGS, Leg};
use crate::support::read_all;

/// Around what is kept in memory, what is sent by the kernel, and what is sent at a time.
const SIZES: [usize; 8] =
    [1000, 16 << 10, (16 << 10) + 1, 64 << 10, (64 << 10) + 1, 256 << 10, (256 << 10) + 1, 3 << 20];

/// Text that says at each place where it is.
fn text(size: usize) -> String {
    let mut text = String::new();
    while text.len() < size {
        let at = text.len();
        writeln!(text, "{at:07}").unwrap();
    }
    text.truncate(size);
    text
}

/// Answers one after another on a connection: of each its status line and body. `bodiless` are those to HEAD.
fn answers(mut text: &str, bodiless: &[usize]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").expect("a whole head");
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let length = if bodiless.contains(&found.len()) { 0 } else { length.expect("a length") };
        found.push((head, rest[..length].to_owned()));
        text = &rest[length..];
    }
    found
}

#[tokio::test]
async fn bodies_of_all_sizes_come_whole_in_parts_and_pipelined() {
    for inside in LEGS {
        for size in SIZES {
            let dir = tempfile::tempdir().unwrap();
            let body = text(size);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nContent-Length: {size}\r\n\r\n{body}"
            );
            let mut leg = Leg::with(inside, answer, |config| config.cache_dir = Some(dir.path().join("cache"))).await;
            let get = "GET {}/x HTTP/1.1\r\nHost: {host}\r\n\r\n";
            let head = "HEAD {}/x HTTP/1.1\r\nHost: {host}\r\n\r\n";
            let part = "GET {}/x HTTP/1.1\r\nHost: {host}\r\nRange: bytes=3-\r\n\r\n";
            let none = "GET {}/x HTTP/1.1\r\nHost: {host}\r\nIf-None-Match: \"e\"\r\n\r\n";
            let last = "GET {}/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n";
            let missed = leg.say(last).await;
            assert!(missed.ends_with(&body), "{inside} {size}");
            leg.bed.proxy.cache().drain(Duration::from_secs(5)).await;
            leg.bed.flow().await;
            let mut stream = leg.open().await;
            let all = [get, head, part, get, none, part, last].concat();
            stream.write_all(leg.text(&all).as_bytes()).await.unwrap();
            let answers = answers(&read_all(&mut stream).await, &[1, 4]);
            let expected = [
                (200, &body[..]),
                (200, ""),
                (206, &body[3..]),
                (200, &body),
                (304, ""),
                (206, &body[3..]),
                (200, &body),
            ];
            assert_eq!(answers.len(), expected.len(), "{inside} {size}");
            for (number, ((head, came), (status, body))) in answers.iter().zip(expected).enumerate() {
                assert!(head.starts_with(&format!("http/1.1 {status} ")), "{inside} {size} {number}: {head}");
                assert!(head.contains("\r\ncache-status: larder; hit"), "{inside} {size} {number}: {head}");
                assert!(came == body, "{inside} {size} {number}: {} bytes of {}", came.len(), body.len());
            }
            for (number, (_, body)) in expected.iter().enumerate() {
                let flow = leg.bed.flow().await;
                let counted = (flow.bytes_sent, flow.bytes_cache, flow.bytes_upstream, flow.aborted);
                assert_eq!(counted, (body.len() as u64, body.len() as u64, 0, false), "{inside} {size} {number}");
            }
        }
    }
}
