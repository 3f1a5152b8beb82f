//! The table of what an offline run missed, for people.

use std::fmt::Write as _;

use super::text::printable;
use crate::event::missing::{Asker, Missing, MissingRequest, Near};

/// Most requests shown; the list in the file, and JSON, have them all.
const SHOWN: usize = 40;
const WIDTH: usize = 80;

/// The table, in lines of plain text: none but URLs, paths and commands are longer than 80 columns.
pub fn render(missing: &Missing) -> String {
    let mut text = String::new();
    let (asked, recorded): (Vec<_>, Vec<_>) = missing.requests.iter().partition(|one| one.recorded_by.is_none());
    if !asked.is_empty() {
        text.push_str("\n==> Not in the cache, and the run was offline\n");
        rows(&mut text, &asked);
    }
    if let Some(run) = recorded.first().and_then(|one| one.recorded_by.as_ref()) {
        let _ = writeln!(text, "\n==> Not in the cache either, and fetched by the run {run}");
        rows(&mut text, &recorded);
    }
    if missing.hosts.len() > 1 {
        let hosts: Vec<String> = missing.hosts.iter().map(|(host, count)| format!("{host} {count}")).collect();
        wrap(&mut text, "hosts: ", &hosts);
    }
    if !missing.commands.is_empty() {
        text.push_str("To have it the next time (the last command here, the others where there is a\nnetwork):\n");
        for command in &missing.commands {
            let _ = writeln!(text, "  {}", printable(command));
        }
    }
    if let Some(list) = &missing.list {
        let _ = writeln!(text, "The URLs alone: {}", list.display());
    }
    text
}

fn rows(text: &mut String, requests: &[&MissingRequest]) {
    for request in requests.iter().take(SHOWN) {
        let _ = writeln!(text, "{} {}", request.method, printable(&request.url));
        if let Some(who) = who(request) {
            let _ = writeln!(text, "    {}", shortened(&printable(&who)));
        }
        if let Some(near) = &request.nearest {
            let _ = writeln!(text, "    {}", shortened(&printable(&nearest(request, near))));
        }
    }
    if let Some(more) = requests.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        let _ = writeln!(text, "and {more} more");
    }
}

fn who(request: &MissingRequest) -> Option<String> {
    let one = |asker: &Asker| match &asker.step {
        Some(step) => format!("{}, step {step}", asker.build),
        None => asker.build.clone(),
    };
    let askers: Vec<String> = request.asked_by.iter().map(one).collect();
    if askers.is_empty() {
        return None;
    }
    let often = if request.count > 1 { format!("asked {} times by ", request.count) } else { "asked by ".to_owned() };
    Some(format!("{often}{}", askers.join("; ")))
}

fn nearest(request: &MissingRequest, near: &Near) -> String {
    let directory = request.url.rsplit_once('/').map_or("", |(directory, _)| directory);
    // In the same directory the name says it all.
    let name = near.url.strip_prefix(directory).map_or(near.url.as_str(), |name| name.trim_start_matches('/'));
    if near.url == request.url {
        return format!("nearest: {}", near.relation);
    }
    format!("nearest: {name} ({})", near.relation)
}

/// At most so long that it fits with its indent: the middle of what is longer is left out.
fn shortened(line: &str) -> String {
    let most = WIDTH - 4;
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= most {
        return line.to_owned();
    }
    let head = most / 2;
    let tail = most - head - 1;
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
}

fn wrap(text: &mut String, label: &str, words: &[String]) {
    let mut line = label.to_owned();
    for (place, word) in words.iter().enumerate() {
        let comma = if place + 1 < words.len() { ", " } else { "" };
        if line.chars().count() + word.chars().count() + 1 > WIDTH && line.trim() != label.trim() {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(label.len());
        }
        line.push_str(word);
        line.push_str(comma);
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> MissingRequest {
        MissingRequest { method: "GET".to_owned(), url: url.to_owned(), count: 1, ..MissingRequest::default() }
    }

    fn asker(build: &str, step: Option<&str>) -> Asker {
        Asker { build: build.to_owned(), step: step.map(str::to_owned) }
    }

    #[test]
    fn the_table() {
        let mut missing = Missing {
            requests: vec![
                MissingRequest {
                    count: 2,
                    asked_by: vec![asker("rootfs.debian", Some("shell")), asker("rootfs.other", None)],
                    nearest: Some(Near {
                        url: "http://example.org/pool/c/curl_7.88.1-10_amd64.deb".to_owned(),
                        relation: "another version".to_owned(),
                    }),
                    ..request("http://example.org/pool/c/curl_7.88.1-11_amd64.deb")
                },
                MissingRequest {
                    nearest: Some(Near {
                        url: format!("http://mirror.example.net/{}/x.whl", "a".repeat(90)),
                        relation: "the same path of another host".to_owned(),
                    }),
                    ..request("http://example.net/x.whl")
                },
                MissingRequest {
                    count: 0,
                    recorded_by: Some("20261102T101530-0a1b2c".to_owned()),
                    ..request("http://example.org/later")
                },
            ],
            hosts: [("example.org".to_owned(), 2), ("example.net".to_owned(), 1)].into(),
            list: Some("/state/logs/r/missing.txt".into()),
            commands: vec!["larder build a.pkr.hcl".to_owned()],
        };
        insta::assert_snapshot!(render(&missing));
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max();
        assert!(widest(&render(&missing)) <= Some(80));
        missing.hosts = (0..40).map(|host| (format!("host-{host}.example.org"), 1)).collect();
        missing.requests = (0..100).map(|number| request(&format!("http://example.org/{number}"))).collect();
        let text = render(&missing);
        assert!(widest(&text) <= Some(80), "{text}");
        assert!(text.contains("and 60 more"), "{text}");
    }
}
