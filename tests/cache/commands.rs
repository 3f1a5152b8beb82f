//! What the commands print.

use super::*;

/// A cache after two runs: the index was confirmed, the rest served.
fn filled() -> (Larder, Origin) {
    let (larder, origin) = (Larder::new(), origin());
    let first = fetch(&larder, &origin, &[DEB, INDEX, PLAIN]).expect(0);
    assert_eq!(outcomes(&first), ["MISS", "MISS", "MISS"]);
    let second = fetch(&larder, &origin, &[DEB, PLAIN, DEB]).expect(0);
    assert_eq!(outcomes(&second), ["HIT", "HIT", "HIT"]);
    (larder, origin)
}

fn shown(larder: &Larder, arguments: &[&str]) -> String {
    let output = larder.run([&["cache"], arguments].concat()).expect(0).stdout;
    for line in
        output.lines().filter(|line| !line.contains("http") && !line.contains("promised:") && !line.starts_with('{'))
    {
        assert!(line.chars().count() <= 80, "too wide: {line}");
    }
    output.replace(&larder.cache().display().to_string(), "[cache]")
}

#[test]
fn they_say_what_is_stored_and_why() {
    let (larder, _origin) = filled();
    let filters = [
        (r"\d+(\.\d+)? s (ago|old)", "[time] $2"),
        (r#""last_used":"[^"]+""#, r#""last_used":"[time]""#),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[date]"),
        (r#""age":\d+"#, r#""age":[age]"#),
        (r"ttl=\d+", "ttl=[left]"),
        (r"127\.0\.0\.1:\d+", "[mirror]"),
    ];
    insta::with_settings!({ filters => filters }, {
        insta::assert_snapshot!("ls", shown(&larder, &["ls"]));
        insta::assert_snapshot!("ls_filtered", shown(&larder, &["ls", "pool"]));
        insta::assert_snapshot!("ls_json", shown(&larder, &["ls", "--json", "pool"]));
        insta::assert_snapshot!("stats", shown(&larder, &["stats"]));
        insta::assert_snapshot!("verify", shown(&larder, &["verify"]));
        for (name, path) in [("explain_package", DEB), ("explain_index", INDEX), ("explain_plain", PLAIN)] {
            insta::assert_snapshot!(name, shown(&larder, &["explain", &format!("http://example.org{path}")]));
        }
        for (name, path) in [("explain_package_json", DEB), ("explain_plain_json", PLAIN)] {
            insta::assert_snapshot!(name, shown(&larder, &["explain", "--json", &format!("http://example.org{path}")]));
        }
        let signed = "http://example.org/file?x=1&X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c";
        insta::assert_snapshot!("explain_signed", shown(&larder, &["explain", signed]));
        insta::assert_snapshot!("explain_nothing", shown(&larder, &["explain", "http://example.org/other"]));
        insta::assert_snapshot!("gc_dry", shown(&larder, &["gc", "--max-size", "1k", "--dry-run"]));
        insta::assert_snapshot!("gc", shown(&larder, &["gc", "--max-size", "100k"]));
        insta::assert_snapshot!("ls_after_gc", shown(&larder, &["ls"]));
    });
    let _ = larder.run(["cache", "verify"]).expect(0);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    let larder = Larder::new();
    for (arguments, words) in [
        (&["explain", "not a url"][..], "give an absolute http or https URL"),
        (&["gc"][..], "cache.max_size"),
        (&["gc", "--max-size", "much"][..], "500M or 20G"),
        (&["gc", "--max-age", "long"][..], "30d or 12h"),
    ] {
        let run = larder.run([&["cache"], arguments].concat()).expect(1);
        assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
    }
}
