//! Puts proposed mirrors into a settings file, keeping everything that is there: other settings, comments, the order.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::host::Proposal;
use crate::cli::settings::mirrors::{MirrorSetting, Secret};
use crate::error::{Context as _, Error, Result};

/// What has been written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Names that have been added.
    pub(super) added: Vec<String>,
    /// Names that were there, and are as they were.
    pub(super) kept: Vec<String>,
}

type Names<'a> = [(String, Vec<&'a Proposal>)];

/// The text of a settings file that has these and nothing else.
pub(super) fn new_text(names: &Names<'_>) -> Result<String> {
    let mut document = DocumentMut::new();
    add_to(&mut document, names)?;
    Ok(document.to_string())
}

/// A proposal whose public name is not known, as comments.
pub(super) fn comment(proposal: &Proposal) -> String {
    let mut text = comments(std::iter::once(proposal));
    if let Some(option) = proposal.asks_for() {
        text.push_str(&format!("#   nothing says which public name this stands in for: add {option}\n"));
    }
    text.push_str("# [[mirrors.\"PUBLIC-NAME\"]]\n");
    for line in long_table(&proposal.mirror).to_string().lines() {
        text.push_str(&format!("# {line}\n"));
    }
    text
}

/// Adds what is missing to the file, which is replaced as a whole or not at all.
pub(super) fn add(path: &Path, names: &Names<'_>) -> Result<Done> {
    let what = || format!("cannot add mirrors to {}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(what),
    };
    let mut document: DocumentMut = text.parse().context(what)?;
    let done = add_to(&mut document, names).context(what)?;
    if done.added.is_empty() {
        return Ok(done);
    }
    // A link, as those who keep their settings in a repository have, goes on being one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).context(what)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).context(what)?;
    if let Ok(before) = fs::metadata(&target) {
        file.as_file().set_permissions(before.permissions()).context(what)?;
    }
    file.write_all(document.to_string().as_bytes()).and_then(|()| file.as_file().sync_all()).context(what)?;
    file.persist(&target).context(what)?;
    // Without it, a power cut could bring the old file back, and no more.
    let _ = fs::File::open(directory).and_then(|directory| directory.sync_all());
    Ok(done)
}

fn add_to(document: &mut DocumentMut, names: &Names<'_>) -> Result<Done> {
    let mut done = Done::default();
    if names.is_empty() {
        return Ok(done);
    }
    let item = document.entry("mirrors").or_insert_with(|| {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        Item::Table(table)
    });
    if let Item::Value(Value::InlineTable(_)) = item {
        // Comments have no place in an inline table.
        let inline = std::mem::take(item);
        *item = inline.into_table().map_or_else(|item| item, Item::Table);
    }
    let table = item
        .as_table_mut()
        .ok_or_else(|| Error::new("`mirrors` is no table there").hint("correct the file by hand first"))?;
    // Short ones first: in TOML they cannot come after tables.
    let (short, long): (Vec<_>, Vec<_>) = names.iter().partition(|(_, mirrors)| is_short(mirrors));
    for (name, mirrors) in short.into_iter().chain(long) {
        if table.contains_key(name) {
            done.kept.push(name.clone());
            continue;
        }
        if is_short(mirrors) {
            table.insert(name, short_value(mirrors));
            if let Some(mut key) = table.key_mut(name) {
                key.leaf_decor_mut().set_prefix(comments(mirrors.iter().copied()));
            }
        } else {
            let mut list = ArrayOfTables::new();
            for proposal in mirrors {
                let mut one = long_table(&proposal.mirror);
                one.decor_mut().set_prefix(format!("\n{}", comments(std::iter::once(*proposal))));
                list.push(one);
            }
            table.insert(name, Item::ArrayOfTables(list));
        }
        done.added.push(name.clone());
    }
    Ok(done)
}

fn is_short(mirrors: &[&Proposal]) -> bool {
    mirrors.iter().all(|proposal| proposal.mirror == MirrorSetting::at(proposal.mirror.url.clone()))
}

fn short_value(mirrors: &[&Proposal]) -> Item {
    match mirrors {
        [only] => value(only.mirror.url.as_str()),
        several => value(several.iter().map(|proposal| proposal.mirror.url.as_str()).collect::<Array>()),
    }
}

fn long_table(mirror: &MirrorSetting) -> Table {
    let mut table = Table::new();
    let path = |path: &Path| path.to_string_lossy().into_owned();
    table.insert("url", value(mirror.url.as_str()));
    if let Some(user) = &mirror.user {
        table.insert("user", value(user.as_str()));
    }
    for (name, secret) in [("password", &mirror.password), ("token", &mirror.token)] {
        match secret {
            Some(Secret::Env(variable)) => drop(table.insert(&format!("{name}_env"), value(variable.as_str()))),
            Some(Secret::File(file)) => drop(table.insert(&format!("{name}_file"), value(path(file)))),
            None => {}
        }
    }
    if let Some(file) = &mirror.netrc_file {
        table.insert("netrc_file", value(path(file)));
    }
    match mirror.ca_files.as_slice() {
        [] => {}
        [only] => drop(table.insert("ca_file", value(path(only)))),
        several => drop(table.insert("ca_file", value(several.iter().map(|file| path(file)).collect::<Array>()))),
    }
    table
}

/// Where each came from, and what is to be done, as comments.
fn comments<'a>(proposals: impl Iterator<Item = &'a Proposal>) -> String {
    let mut text = String::new();
    for proposal in proposals {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        let place = format!("# {}: {}\n", proposal.tool, line(&proposal.source));
        if !text.ends_with(&place) {
            text.push_str(&place);
        }
        for note in &proposal.notes {
            text.push_str(&format!("#   {}\n", line(note)));
        }
    }
    text
}
