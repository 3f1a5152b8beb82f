use std::fmt::Write as _;

use super::*;

/// An archive of stanzas written as `name version; Field: value; ...`, with one essential package, `base`.
fn archive(stanzas: &[&str]) -> Vec<String> {
    let mut text = String::new();
    for stanza in stanzas.iter().chain(&["base 1; Essential: yes"]) {
        let mut parts = stanza.split("; ");
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        write!(
            text,
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: pool/{name}.deb\nSize: 1\nSHA256: 00\n"
        )
        .unwrap();
        for field in parts {
            text.push_str(field);
            text.push('\n');
        }
        text.push('\n');
    }
    vec![text]
}

fn install(stanzas: &[&str], include: &[&str]) -> Result<Vec<Chosen>> {
    let lists = archive(stanzas);
    let include: Vec<String> = include.iter().map(|name| (*name).to_owned()).collect();
    solve(&Index::new(&lists), "amd64", Variant::Essential, &include)
}

/// Names chosen besides `base`.
fn names(stanzas: &[&str], include: &[&str]) -> String {
    let chosen = install(stanzas, include).unwrap();
    chosen.iter().map(|c| c.name.as_str()).filter(|name| *name != "base").collect::<Vec<_>>().join(" ")
}

fn failure(stanzas: &[&str], include: &[&str]) -> String {
    install(stanzas, include).unwrap_err().to_string()
}

#[test]
fn dependencies_are_followed_and_marked_automatic() {
    let stanzas = [
        "a 1; Depends: b, c:any; Recommends: r",
        "b 1; Pre-Depends: d",
        "c 1; Multi-Arch: allowed",
        "d 1; Depends: a",
        "r 1",
    ];
    let chosen = install(&stanzas, &["a"]).unwrap();
    let flags: Vec<(&str, bool)> = chosen.iter().map(|c| (c.name.as_str(), c.automatic)).collect();
    assert_eq!(flags, [("a", false), ("b", true), ("base", false), ("c", true), ("d", true)]);
}

#[test]
fn alternatives() {
    let pair = ["x 1", "y 1", "a 1; Depends: x | y", "b 1; Depends: y"];
    assert_eq!(names(&pair, &["a"]), "a x");
    assert_eq!(names(&pair, &["a", "y"]), "a y", "one that is chosen satisfies the other's dependency");
    assert_eq!(
        names(&["x 1; Depends: gone", "y 1", "a 1; Depends: x | y"], &["a"]),
        "a y",
        "the first cannot be installed"
    );
    // What has no alternative is taken first, whatever the order of the field.
    assert_eq!(names(&["x 1", "y 1", "a 1; Depends: x | y, b", "b 1; Depends: y"], &["a"]), "a b y");
}

#[test]
fn versions_are_honoured() {
    let old = ["lib 1.9", "a 1; Depends: lib (>= 1.10)"];
    assert_eq!(failure(&old, &["a"]), "cannot install a: it needs lib (>= 1.10), and the archive has lib 1.9");
    assert_eq!(names(&["lib 1.10-1", "a 1; Depends: lib (>= 1.10), lib (<< 2)"], &["a"]), "a lib");
    assert_eq!(names(&["lib 1", "new 1", "a 1; Depends: lib (>= 2) | new"], &["a"]), "a new");
}

#[test]
fn virtual_packages() {
    let mta = [
        "exim 1; Provides: mta; Priority: optional",
        "postfix 1; Provides: mta; Priority: standard",
        "a 1; Depends: mta",
    ];
    assert_eq!(names(&mta, &["a"]), "a postfix", "the provider of the higher priority");
    assert_eq!(names(&mta, &["a", "exim"]), "a exim");
    let error = install(&mta, &["mta"]).unwrap_err();
    assert_eq!(error.hints(), ["include one of exim, postfix"]);
    let versioned = ["p 1; Provides: v (= 3)", "q 1; Provides: v", "a 1; Depends: v (>= 2)", "b 1; Depends: v (>= 4)"];
    assert_eq!(names(&versioned, &["a"]), "a p", "a provider without a version does not do");
    assert!(failure(&versioned, &["b"]).contains("v (>= 4), which the archive does not have"));
}

#[test]
fn conflicts_and_breaks() {
    let stanzas = ["x 1; Conflicts: base", "y 1", "a 1; Depends: x | y"];
    assert_eq!(names(&stanzas, &["a"]), "a y", "the alternative that does not conflict");
    let error = failure(&["a 1; Breaks: b (<< 2)", "b 1"], &["a", "b"]);
    assert!(error.contains("a 1 cannot stand beside b 1") && error.contains("b (<< 2)"), "{error}");
    assert_eq!(names(&["a 1; Breaks: b (<< 2)", "b 2"], &["a", "b"]), "a b");
    // The usual way to say that there can be only one.
    let own = ["a 1; Provides: mta; Conflicts: mta", "b 1; Provides: mta; Conflicts: mta"];
    assert_eq!(names(&own, &["a"]), "a");
    assert!(install(&own, &["a", "b"]).is_err());
}

#[test]
fn a_failed_attempt_leaves_nothing_behind() {
    let stanzas = ["x 1; Depends: left, gone", "left 1; Conflicts: z", "z 1", "a 1; Depends: x | z"];
    assert_eq!(names(&stanzas, &["a"]), "a z");
}

#[test]
fn errors_show_the_way() {
    let stanzas = ["a 1; Depends: b", "b 1; Depends: c", "c 1; Depends: missing (>= 2) | absent"];
    assert_eq!(
        failure(&stanzas, &["a"]),
        "cannot install c (a -> b -> c): it needs missing (>= 2) | absent, which the archive does not have"
    );
    let error = install(&["curl 1"], &["crul"]).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hints()),
        ("the archive has no package `crul`", &["did you mean `curl`?".to_owned()][..])
    );
}

#[test]
fn architecture_qualifiers() {
    let stanzas = [
        "any 1",
        "allowed 1; Multi-Arch: allowed",
        "a 1; Depends: allowed:any, any:amd64",
        "b 1; Depends: any:any",
        "c 1; Depends: any:i386",
    ];
    assert_eq!(names(&stanzas, &["a"]), "a allowed any");
    assert!(install(&stanzas, &["b"]).is_err());
    assert!(install(&stanzas, &["c"]).is_err());
}

#[test]
fn variants() {
    let lists = archive(&["apt 1; Depends: libapt", "libapt 1", "req 1; Priority: required"]);
    let index = Index::new(&lists);
    let set = |variant| {
        solve(&index, "amd64", variant, &[]).unwrap().into_iter().map(|c| c.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(set(Variant::Essential), "base");
    assert_eq!(set(Variant::Apt), "apt base libapt");
    assert_eq!(set(Variant::Minbase), "apt base libapt req");
}

#[test]
fn a_hostile_list_does_not_lead_out_of_the_pool() {
    for stanza in ["../a 1", "a 1; Filename: ../../etc/passwd", "a 1; Architecture: ../x"] {
        let lists = vec![format!("{}\n{}", archive(&[]).concat(), archive(&[stanza]).concat())];
        let name = stanza.split(' ').next().unwrap().to_owned();
        assert!(solve(&Index::new(&lists), "amd64", Variant::Essential, &[name]).is_err(), "{stanza}");
    }
}
