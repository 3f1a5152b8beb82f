//! Templates with the mistakes that people make: what Larder says of each, beside what Packer 1.6.6 says.
//!
//! `invalid/NAME/packer.txt` is the output of `packer validate`, ends of lines and repeated blank lines cleaned, recorded by
//! `tests/long/invalid`. `docs/reference/mistakes.md` shows both side by side.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Larder;

const FEWEST: usize = 20;

/// The folders, in order, and the name of the template in each.
fn templates() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/template/invalid");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let name = |folder: &Path| {
        let name = if folder.join("template.json").exists() { "template.json" } else { "template.pkr.hcl" };
        name.to_owned()
    };
    folders.into_iter().map(|folder| (folder.clone(), name(&folder))).collect()
}

/// Exit code and output of `larder validate`, as `packer.txt` has them.
fn said(folder: &Path, template: &str) -> String {
    let larder = Larder::new();
    let mut command = larder.command(["validate", template]);
    let output = command.current_dir(folder).env("COLUMNS", "100").output().unwrap();
    assert_eq!(output.stdout, b"", "{}", folder.display());
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("exit code {}\n{}\n", output.status.code().unwrap(), lines.join("\n"))
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let templates = templates();
    assert!(templates.len() >= FEWEST);
    for (folder, template) in &templates {
        let text = said(folder, template);
        assert!(text.starts_with("exit code 1\n"), "{folder:?}: {text}");
        insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("larder", text);
        });
        let theirs = fs::read_to_string(folder.join("packer.txt")).unwrap();
        assert!(theirs.starts_with("exit code "), "{folder:?}");
    }
}

/// No place lies outside its file, and none is that of another error.
#[test]
fn places_are_in_the_template() {
    let larder = Larder::new();
    for (folder, template) in templates() {
        let mut command = larder.command(["validate", "--json", &template]);
        let output = command.current_dir(&folder).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = fs::read_to_string(folder.join(&template)).unwrap();
        let mut places = Vec::new();
        for found in report["diagnostics"].as_array().unwrap() {
            let bytes: (usize, usize) = serde_json::from_value(found["bytes"].clone()).unwrap();
            assert!(bytes.0 <= bytes.1 && bytes.1 <= text.len(), "{folder:?}: {found}");
            assert_eq!(found["file"], *template, "{folder:?}");
            places.push((bytes, found["message"].clone()));
        }
        let all = places.len();
        places.dedup();
        assert_eq!(places.len(), all, "{folder:?}");
    }
}

/// The page that shows both side by side: `UPDATE_DOCS=1` writes it anew.
#[test]
fn the_page_of_mistakes_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/mistakes.md");
    let mut text = fs::read_to_string(&page).unwrap();
    let start = text.find("<!-- mistakes -->\n").unwrap() + "<!-- mistakes -->\n".len();
    let mut made = String::new();
    for (folder, template) in templates() {
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let snapshot = read("larder.snap");
        let ours = snapshot.splitn(3, "---\n").nth(2).unwrap();
        let title = folder.file_name().unwrap().to_str().unwrap().split_once('-').unwrap().1.replace('-', " ");
        let language = if template == "template.json" { "json" } else { "hcl" };
        made += &format!(
            "\n## {title}\n\n```{language}\n{}```\n\nLarder:\n\n```text\n{}\n```\n\nPacker 1.6.6:\n\n```text\n{}\n```\n",
            read(&template),
            ours.trim_end(),
            read("packer.txt").trim_end(),
        );
    }
    text.truncate(start);
    text += &made;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &text).unwrap();
    }
    let now = fs::read_to_string(&page).unwrap();
    assert!(now == text, "{page:?} is stale: run UPDATE_DOCS=1 cargo test --test template mistakes");
}
