//! WPAD by DNS: where a network may keep a script for everybody, going by the host's own domain.

use url::Url;

/// The URLs to ask, the nearest first: `wpad` in the host's domain and in each above it, down to the registered one and
/// never beyond: who may register `wpad` below a public suffix could choose the proxy of everybody there.
pub(super) fn urls(domain: &str) -> Vec<Url> {
    let domain = domain.trim().trim_matches('.').to_ascii_lowercase();
    let Some(registered) = psl::domain(domain.as_bytes()) else { return Vec::new() };
    // Where the list of suffixes has not heard of the last label, nobody has registered anything.
    if !registered.suffix().is_known() {
        return Vec::new();
    }
    let least = registered.as_bytes().len();
    let mut found = Vec::new();
    let mut rest = domain.as_str();
    while rest.len() >= least {
        found.extend(Url::parse(&format!("http://wpad.{rest}/wpad.dat")));
        let Some((_, above)) = rest.split_once('.') else { break };
        rest = above;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devolution_ends_at_the_registered_domain() {
        let table: [(&str, &[&str]); 10] = [
            ("example.org", &["example.org"]),
            ("A.Example.org.", &["a.example.org", "example.org"]),
            ("a.b.example.co.uk", &["a.b.example.co.uk", "b.example.co.uk", "example.co.uk"]),
            ("co.uk", &[]),
            ("uk", &[]),
            ("org", &[]),
            ("", &[]),
            ("lan", &[]),
            ("corp.lan", &[]),
            ("a.github.io", &["a.github.io"]),
        ];
        for (domain, expected) in table {
            let expected: Vec<String> = expected.iter().map(|name| format!("http://wpad.{name}/wpad.dat")).collect();
            let found: Vec<String> = urls(domain).iter().map(Url::to_string).collect();
            assert_eq!(found, expected, "{domain}");
        }
    }
}
