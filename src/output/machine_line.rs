//! One line of Packer's `-machine-readable` output: `time,target,category,data…`.

use jiff::Timestamp;

/// The line, without its end. `target` is the build it is about, or empty. In it and in `data` a comma becomes
/// `%!(PACKER_COMMA)`, a carriage return `\r` and a line feed `\n`, as programs that read Packer's output expect.
pub fn machine_line(now: Timestamp, target: &str, category: &str, data: &[&str]) -> String {
    let mut line = format!("{},{},{category},", now.as_second(), escape(target));
    let escaped: Vec<String> = data.iter().map(|value| escape(value)).collect();
    line.push_str(&escaped.join(","));
    line
}

fn escape(value: &str) -> String {
    value.replace(',', "%!(PACKER_COMMA)").replace('\r', "\\r").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_escaped_as_packer_does() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for (target, category, data, expected) in [
            ("", "template-builder", &["a", "null"] as &[&str], "1700000000,,template-builder,a,null"),
            ("web", "artifact", &["0", "end"], "1700000000,web,artifact,0,end"),
            ("", "ui", &["say", "a, b\r\nc"], "1700000000,,ui,say,a%!(PACKER_COMMA) b\\r\\nc"),
            ("a,b\n", "ui", &["say"], "1700000000,a%!(PACKER_COMMA)b\\n,ui,say"),
            ("", "version-commit", &[""], "1700000000,,version-commit,"),
            ("", "nothing", &[], "1700000000,,nothing,"),
        ] {
            assert_eq!(machine_line(now, target, category, data), expected);
        }
    }
}
