//! Text and commands, broken to a width.

/// Breaks text between words. Words longer than the width stay whole.
pub(super) fn text(text: &str, width: usize) -> Vec<String> {
    lines(text.split_whitespace().map(str::to_owned), width)
}

/// As [`text`], but a command stays one that can be pasted: broken outside of quotes, with a backslash.
pub(super) fn remedy(remedy: &str, width: usize) -> Vec<String> {
    if !is_command(remedy) {
        return text(remedy, width);
    }
    // The backslash takes two columns.
    let mut lines = lines(words(remedy).into_iter(), width.saturating_sub(2));
    let last = lines.len().saturating_sub(1);
    for line in &mut lines[..last] {
        line.push_str(" \\");
    }
    lines
}

/// Whether a remedy is a command: it begins with the name of a program.
fn is_command(remedy: &str) -> bool {
    let first = remedy.split(' ').next().unwrap_or_default();
    ["sudo", "docker", "podman", "ulimit", "printf", "larder", "mkdir"].contains(&first)
}

/// Splits at spaces outside of quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        if c == ' ' && quote.is_none() {
            words.push(String::new());
            continue;
        }
        if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && matches!(c, '\'' | '"') {
            quote = Some(c);
        }
        words.last_mut().expect("there is one from the start").push(c);
    }
    words
}

fn lines(words: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last_mut().expect("there is one from the start");
        if line.is_empty() {
            *line = word;
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(text("one two three", 7), ["one two", "three"]);
        assert_eq!(text("unbreakable", 3), ["unbreakable"]);
        assert_eq!(text("", 3), [""]);
    }

    #[test]
    fn commands_break_outside_of_quotes_and_can_be_pasted() {
        assert_eq!(remedy("sudo a 'b c d e' f", 14), ["sudo a \\", "'b c d e' f"]);
        assert_eq!(remedy("use a newer kernel", 10), ["use a", "newer", "kernel"]);
        let long = "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann";
        let joined = remedy(long, 40).join("\n").replace("\\\n", "");
        assert_eq!(joined, long);
    }
}
