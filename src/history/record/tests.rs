use super::*;

fn entry(url: &str) -> RecordEntry {
    RecordEntry {
        alias_of: None,
        auth: false,
        builds: ["rootfs.debian".to_owned()].into(),
        class: Class::Package,
        digest: Some(Sha256(larder_proxy::store::Digest::of(url.as_bytes()))),
        headers: [("etag".to_owned(), "\"a\"".to_owned())].into(),
        kind: Kind::Immutable,
        location: None,
        method: "GET".to_owned(),
        request_digest: None,
        seq: None,
        size: Some(3),
        status: 200,
        steps: ["install".to_owned(), "bootstrap".to_owned()].into(),
        url: url.to_owned(),
        vary: BTreeMap::new(),
    }
}

fn record(entries: Vec<RecordEntry>) -> Record {
    Record {
        captured_at: "2026-11-22T16:00:00Z".parse().unwrap(),
        complete: false,
        egress: Egress::Enforced,
        entries,
        incomplete: vec![Incomplete {
            builds: ["a".to_owned()].into(),
            method: Some("CONNECT".to_owned()),
            steps: BTreeSet::new(),
            url: Some("example.org:443".to_owned()),
            why: "a tunnel".to_owned(),
        }],
        net: "cache".to_owned(),
        run: "20261102T101530-0a1b2c".to_owned(),
        template_digest: None,
    }
}

/// Whether every object's keys are sorted, however deep.
fn sorted(text: &str) -> bool {
    // Maps of `serde_json::Value` are sorted, so that writing one again sorts it.
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let canonical = serde_json::to_string(&value).unwrap();
    let lines: String = text.lines().collect();
    canonical == lines
}

#[test]
fn an_entry_a_line_and_sorted() {
    let mut accept = entry("http://example.org/b");
    accept.vary = [("accept".to_owned(), None), ("accept-language".to_owned(), Some("de".to_owned()))].into();
    accept.seq = Some(1);
    accept.alias_of = accept.digest;
    accept.location = Some("http://example.org/c".to_owned());
    accept.request_digest = accept.digest;
    accept.auth = true;
    let mut record = record(vec![accept, entry("http://example.org/c"), entry("http://example.org/a")]);
    record.template_digest = record.entries[0].digest;
    let text = record.to_text().unwrap();
    assert!(sorted(&text), "{text}");
    let urls: Vec<&str> = text.lines().filter(|line| line.contains("\"url\":\"http:")).collect();
    assert_eq!(urls.len(), 3);
    assert!(urls.is_sorted_by_key(|line| line.split("\"url\":").nth(1)));
    assert!(text.ends_with("}\n"));
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let record = record(vec![entry("http://example.org/a"), entry("http://example.org/b")]);
    record.write(directory.path()).unwrap();
    assert_eq!(Record::read(directory.path(), &record.run).unwrap(), Some(record.clone()));
    assert_eq!(Record::read(directory.path(), "other").unwrap(), None);
    let folder = Record::path(directory.path(), &record.run);
    let left: Vec<_> = std::fs::read_dir(folder.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn entries_do_not_depend_on_the_order_they_came_in() {
    let (a, b) = (entry("http://example.org/a"), entry("http://example.org/b"));
    let one = record(vec![a.clone(), b.clone()]).to_text().unwrap();
    assert_eq!(one, record(vec![b, a]).to_text().unwrap());
}

#[test]
fn what_is_no_record_is_refused() {
    let good = record(vec![entry("http://example.org/a")]).to_text().unwrap();
    assert!(Record::parse(good.as_bytes()).is_ok());
    let digest = entry("http://example.org/a").digest.unwrap().to_string();
    for (what, with, why) in [
        ("\"lock_version\":1", "\"lock_version\":2", "version 2"),
        ("\"algorithm\":\"sha256\"", "\"algorithm\":\"md5\"", "md5"),
        (digest.as_str(), "sha256:../../etc/passwd", "not a record"),
        (digest.as_str(), &digest.to_uppercase(), "not a record"),
        ("\"status\":200", "\"status\":-1", "not a record"),
        ("\"lock_version\":1,", "", "not a record"),
    ] {
        assert!(good.contains(what));
        let error = Record::parse(good.replace(what, with).as_bytes()).unwrap_err();
        assert!(crate::error::chain(&error).contains(why), "{with}: {}", crate::error::chain(&error));
    }
}
