//! `larder fmt`: templates in canonical form.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use similar::TextDiff;
use tempfile::NamedTempFile;

use super::args::FmtArgs;
use super::console::Console;
use crate::error::{Context as _, Error, Exit, Result};
use crate::template::diagnostic::Diagnostics;
use crate::template::hcl::format::format;
use crate::template::hcl::syntax::parser::parse;
use crate::template::hcl::syntax::scanner::MAX_TEXT;
use crate::template::source_map::SourceMap;

/// What Packer's templates and variable files in HCL are called.
const SUFFIXES: [&str; 2] = [".pkr.hcl", ".pkrvars.hcl"];

/// How long to look for the smallest difference.
const DIFF_TIME: Duration = Duration::from_secs(5);

/// Puts templates in canonical form. What cannot be read as one is told, and the others are seen to all the same.
pub(super) fn run(args: &FmtArgs, console: &Console) -> Result<ExitCode> {
    let mut files = Vec::new();
    for template in &args.templates {
        collect(template, args.recursive, &mut files)?;
    }
    let (mut changed, mut failed) = (false, Vec::new());
    for file in &files {
        match one(file, args, console) {
            Ok(differs) => changed |= differs,
            Err(error) if error.exit_code() == Exit::ClosedPipe => return Err(error),
            Err(error) => failed.push(error),
        }
    }
    if let Some(last) = failed.pop() {
        for error in &failed {
            console.error(error);
        }
        return Err(last);
    }
    Ok(ExitCode::from(if args.check && changed { Exit::Unformatted as u8 } else { 0 }))
}

/// The files that an argument stands for.
fn collect(path: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    if path == Path::new("-") {
        files.push(path.to_owned());
        return Ok(());
    }
    let metadata = fs::metadata(path).context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_dir() {
        return collect_directory(path, recursive, files);
    }
    if !SUFFIXES.iter().any(|suffix| has_suffix(path, suffix)) {
        let error = Error::new(format!("{} is no template in HCL by its name", path.display()));
        let json = path.extension().is_some_and(|extension| extension == "json");
        let hint = if json {
            "JSON has no canonical form"
        } else {
            "names of templates end in .pkr.hcl, those of variable files in .pkrvars.hcl"
        };
        return Err(error.hint(hint));
    }
    files.push(path.to_owned());
    Ok(())
}

/// Templates first, then variable files, then what is in directories below, each by name.
fn collect_directory(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("cannot read the directory {}", directory.display());
    let mut entries = fs::read_dir(directory).context(cannot)?.collect::<io::Result<Vec<_>>>().context(cannot)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for suffix in SUFFIXES {
        let named = entries.iter().map(fs::DirEntry::path).filter(|path| has_suffix(path, suffix));
        files.extend(named.filter(|path| !path.is_dir()));
    }
    // Links to directories are not followed: they may lead back.
    let below = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    for entry in entries.iter().filter(below).filter(|_| recursive) {
        collect_directory(&entry.path(), recursive, files)?;
    }
    Ok(())
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
}

/// Formats a file; says whether it was not in canonical form.
fn one(path: &Path, args: &FmtArgs, console: &Console) -> Result<bool> {
    let stdin = path == Path::new("-");
    let name = if stdin { "standard input".to_owned() } else { path.display().to_string() };
    let before = read(path, &name)?;
    check(&name, &before, console)?;
    let after =
        format(&before).ok_or_else(|| Error::new(format!("{name} would take too much room in canonical form")))?;
    let differs = before != after;
    if differs && !stdin {
        console.line(&name)?;
    }
    if stdin && args.write && !args.check {
        console.text(&after)?;
    }
    if differs && args.diff {
        console.text(&diff(&before, &after, &path.display().to_string()))?;
    }
    if differs && !stdin && args.write && !args.check {
        replace(path, &after).context(|| format!("cannot write {name}"))?;
    }
    Ok(differs)
}

fn read(path: &Path, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let limit = MAX_TEXT as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.context(|| format!("cannot read {name}"))?;
    if bytes.len() > MAX_TEXT {
        return Err(Error::new(format!("{name} is longer than {} MiB", MAX_TEXT >> 20)));
    }
    String::from_utf8(bytes).context(|| format!("{name} is no text in UTF-8"))
}

/// Shows what is wrong with the syntax of a text, if anything is.
fn check(name: &str, text: &str, console: &Console) -> Result<()> {
    let mut sources = SourceMap::default();
    let file = sources.add(name, text);
    let mut diagnostics = Diagnostics::default();
    parse(file, text, &mut diagnostics);
    if !diagnostics.has_errors() {
        return Ok(());
    }
    console.note(&format!("{}\n", diagnostics.render(&sources, console.width, console.colour_err)));
    Err(Error::new(match diagnostics.errors().count() {
        1 => format!("{name} has an error"),
        count => format!("{name} has {count} errors"),
    }))
}

/// The difference in the form of `diff -u`.
fn diff(before: &str, after: &str, name: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    diff.unified_diff().header(&format!("old/{name}"), &format!("new/{name}")).to_string()
}

/// Puts a text in a file's place in one step. What the file is a link to is replaced, not the link.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let before = fs::metadata(&path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    keep_owner(file.as_file(), &before)?;
    file.as_file().set_permissions(before.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    // Without it, a power cut could bring the old file back, and no more.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Gives the new file to whom the old one belonged, where that is another user or group.
fn keep_owner(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}
