//! Plain tables: the first column to the left, numbers to the right.

/// Lines of a table, each at most as wide as its columns need.
pub(crate) fn lay_out(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A number with about three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// What must hold, and whether it does.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) bound: f64,
    pub(crate) at_least: bool,
}

impl Goal {
    pub(crate) fn met(&self) -> bool {
        if self.at_least { self.measured >= self.bound } else { self.measured <= self.bound }
    }

    pub(crate) fn row(&self) -> Vec<String> {
        let bound = format!("{} {}", if self.at_least { "at least" } else { "at most" }, figure(self.bound));
        let outcome = if self.met() { "met" } else { "NOT MET" };
        vec![self.what.clone(), figure(self.measured), bound, outcome.to_owned()]
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let kind = if self.at_least { "at_least" } else { "at_most" };
        serde_json::json!({"what": self.what, "measured": self.measured, kind: self.bound, "met": self.met()})
    }
}
