//! The text of blocks, before and after their Go templates are run.

/// The text with at most one blank line together, and none at its start. No string has a line's end in it as it is.
pub(super) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = true;
    for line in text.lines() {
        if !(blank && line.is_empty()) {
            out.push_str(line);
            out.push('\n');
        }
        blank = line.is_empty();
    }
    out
}

/// The text with the strings in its Go templates in backquotes, where they can be: within a block quotes are escaped.
pub(super) fn backquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let Some((action, after)) = action(&rest[at..]) else { break };
        out.push_str(&rest[..at]);
        out.push_str(&action);
        rest = after;
    }
    out + rest
}

/// The action that a text begins with, its strings in backquotes, and what follows; `None` if it has no end.
fn action(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '`', '}'])?;
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let quote = &rest[..1];
        let inside = &rest[1..];
        if quote == "}" {
            out.push('}');
            rest = inside;
            if let Some(after) = rest.strip_prefix('}') {
                out.push('}');
                return Some((out, after));
            }
            continue;
        }
        let mut escaped = false;
        let length = inside.find(|c| {
            let ends = !escaped && quote.starts_with(c);
            escaped = !escaped && c == '\\' && quote == "\"";
            ends
        })?;
        let literal = &inside[..length];
        let quote = if literal.contains(['\\', '`', '\n', '\r']) { quote } else { "`" };
        out.extend([quote, literal, quote]);
        rest = &inside[length + 1..];
    }
}

/// The lines with so many levels of blanks before them.
pub(super) fn indented(text: &str, depth: usize) -> String {
    let line = |line: &str| if line.trim().is_empty() { line.to_owned() } else { "  ".repeat(depth) + line };
    text.split_inclusive('\n').map(line).collect()
}
