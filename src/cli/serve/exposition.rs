//! Prometheus's text format, version 0.0.4.

use std::fmt::Write as _;

use super::catalogue::{METRICS, Metric};

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics being written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Begins a metric: what it is stands once before its samples.
    pub(super) fn metric(&mut self, name: &str) -> Family<'_> {
        let metric = METRICS.iter().find(|metric| metric.name == name).expect("every metric is in the catalogue");
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", metric.kind.as_str());
        Family { text: &mut self.text, metric }
    }

    /// A metric of one sample.
    pub(super) fn value(&mut self, name: &str, value: impl Into<f64>) {
        self.metric(name).sample(&[], value);
    }

    /// A count that is a sample of its own.
    pub(super) fn count(&mut self, name: &str, value: u64) {
        self.metric(name).count(&[], value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A metric whose samples are being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    metric: &'static Metric,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, values: &[&str], value: impl Into<f64>) -> &mut Self {
        let labels = labels(self.metric.labels, values);
        let _ = writeln!(self.text, "{}{labels} {}", self.metric.name, value.into());
        self
    }

    /// Exact where a float would round.
    pub(super) fn count(&mut self, values: &[&str], value: u64) -> &mut Self {
        let labels = labels(self.metric.labels, values);
        let _ = writeln!(self.text, "{}{labels} {value}", self.metric.name);
        self
    }

    /// `counts` are those of each bucket by itself, and of what is beyond the last.
    pub(super) fn histogram(&mut self, values: &[&str], bounds: &[f64], counts: &[u64], sum: f64) -> &mut Self {
        let name = self.metric.name;
        let names: Vec<&str> = self.metric.labels.iter().copied().chain(["le"]).collect();
        let mut total = 0;
        for (index, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds.get(index).map_or_else(|| "+Inf".to_owned(), f64::to_string);
            let values: Vec<&str> = values.iter().copied().chain([bound.as_str()]).collect();
            let _ = writeln!(self.text, "{name}_bucket{} {total}", labels(&names, &values));
        }
        let labels = labels(self.metric.labels, values);
        let _ = writeln!(self.text, "{name}_sum{labels} {sum}\n{name}_count{labels} {total}");
        self
    }
}

fn labels(names: &[&str], values: &[&str]) -> String {
    debug_assert_eq!(names.len(), values.len(), "a value for each label");
    if names.is_empty() {
        return String::new();
    }
    let one = |(name, value): (&&str, &&str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    format!("{{{}}}", names.iter().zip(values).map(one).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_prometheus_reads_it() {
        let mut page = Page::default();
        page.metric("larder_mirror_up").sample(&["a\"b\\c\nd", "http://x/"], 1.0);
        page.metric("larder_first_byte_seconds").histogram(&["HIT"], &[0.5, 1.0], &[2, 0, 1], 4.25);
        page.count("larder_sent_bytes_total", u64::MAX);
        let text = page.finish();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"larder_mirror_up{name="a\"b\\c\nd",mirror="http://x/"} 1"#,
                r#"larder_first_byte_seconds_bucket{outcome="HIT",le="0.5"} 2"#,
                r#"larder_first_byte_seconds_bucket{outcome="HIT",le="1"} 2"#,
                r#"larder_first_byte_seconds_bucket{outcome="HIT",le="+Inf"} 3"#,
                r#"larder_first_byte_seconds_sum{outcome="HIT"} 4.25"#,
                r#"larder_first_byte_seconds_count{outcome="HIT"} 3"#,
                "larder_sent_bytes_total 18446744073709551615",
            ]
        );
        assert!(text.contains("# TYPE larder_first_byte_seconds histogram\n"), "{text}");
    }
}
