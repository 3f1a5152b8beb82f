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

/// A figure, and what it must be, if anything.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) bound: Option<Bound>,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// At least this, if it can be had.
    Aim(f64),
}

impl Goal {
    pub(crate) fn row(&self) -> Vec<String> {
        let mut row = vec![self.what.clone(), figure(self.measured)];
        let (bound, met) = match self.bound {
            None => return row,
            Some(Bound::AtLeast(bound)) => (format!("at least {}", figure(bound)), self.measured >= bound),
            Some(Bound::AtMost(bound)) => (format!("at most {}", figure(bound)), self.measured <= bound),
            Some(Bound::Aim(aim)) => {
                let reached = if self.measured >= aim { "reached" } else { "not reached" };
                row.extend([format!("aim {}", figure(aim)), reached.to_owned()]);
                return row;
            }
        };
        row.extend([bound, if met { "met" } else { "NOT MET" }.to_owned()]);
        row
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let (what, measured) = (&self.what, self.measured);
        match self.bound {
            None => serde_json::json!({"what": what, "measured": measured}),
            Some(Bound::AtLeast(bound)) => {
                serde_json::json!({"what": what, "measured": measured, "at_least": bound, "met": measured >= bound})
            }
            Some(Bound::AtMost(bound)) => {
                serde_json::json!({"what": what, "measured": measured, "at_most": bound, "met": measured <= bound})
            }
            Some(Bound::Aim(aim)) => serde_json::json!({"what": what, "measured": measured, "aim": aim}),
        }
    }
}
