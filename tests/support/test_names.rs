//! The tests that a source file holds, by name.

use std::collections::BTreeSet;

/// Functions that are tests, and those that a macro makes of `name: "case", ...;`.
pub(crate) fn of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        let function = line.trim_start_matches("pub(crate) ").trim_start_matches("async ").strip_prefix("fn ");
        let made = line.split_once(": \"").map(|(name, _)| name).filter(|_| line.ends_with([';', ',']));
        let name = function.filter(|_| is_test).and_then(|rest| rest.split('(').next()).or(made);
        names.extend(name.map(str::to_owned));
        is_test =
            line.starts_with("#[test]") || line.starts_with("#[tokio::test") || (is_test && line.starts_with("#["));
    }
    names
}
