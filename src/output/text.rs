//! Pieces of text the renderers share.

/// The line as it may be shown in a terminal: without escape sequences and control characters, which a guest
/// could use to write elsewhere than on its own line.
pub fn printable(line: &str) -> String {
    let stripped = anstream::adapter::strip_str(line).to_string();
    if stripped.contains(|c: char| c.is_control() && c != '\t') {
        stripped.chars().filter(|c| !c.is_control() || *c == '\t').collect()
    } else {
        stripped
    }
}

/// How the beginning of a step is told.
pub fn step_begins(name: &str, attempt: u32) -> String {
    if attempt > 1 { format!("[{name}] attempt {attempt}") } else { format!("[{name}]") }
}

/// A number of bytes for people, in decimal units: `0 B`, `812 B`, `1.5 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Rows as columns of the width of their widest cell, two spaces apart; the columns named in `right` are
/// aligned to the right.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if right.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_speak_to_the_terminal() {
        assert_eq!(printable("a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x1b[6n\u{9b}31md\te\r"), "abc31md\te");
    }

    #[test]
    fn bytes_read_well() {
        for (count, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (182_000_000, "182.0 MB"), (999_960_000, "1.0 GB")]
        {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["bcd".to_owned(), "5".to_owned()]];
        assert_eq!(table(&rows, &[1]), ["a    10", "bcd   5"]);
    }
}
