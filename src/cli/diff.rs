//! `larder diff`: what is different between two images.

use std::process::ExitCode;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::DiffArgs;
use super::console::Console;
use super::settings::parse_bytes;
use crate::builder::rootfs::archive::Limits;
use crate::builder::rootfs::compare::{Change, Comparison, Difference, Options, Side, What, compare};
use crate::error::{Context as _, Error, Exit, Result};
use crate::output::text::printable;

/// Compares two images. The code is diff's: 0 for the same, 1 for different; an error is 2.
pub(super) fn run(args: &DiffArgs, console: &Console) -> Result<ExitCode> {
    differ(args, console).map(|differ| ExitCode::from(u8::from(differ))).map_err(|error| match error.exit_code() {
        Exit::ClosedPipe => error,
        _ => error.exit(Exit::Trouble),
    })
}

fn differ(args: &DiffArgs, console: &Console) -> Result<bool> {
    let bytes = parse_bytes(&args.max_size).map_err(|error| Error::new(format!("--max-size: {error}")))?;
    let options = Options {
        limits: Limits { bytes, ..Limits::default() },
        times: !args.ignore_times,
        exclude: globs(&args.exclude)?,
        lines: args.lines,
    };
    let found = compare(&args.a, &args.b, &options, &CancellationToken::new())?;
    if args.json {
        console.json(&json!({
            "version": 1, "equal": found.equal(), "a": found.a, "b": found.b, "config": found.config,
            "differences": found.differences,
        }))?;
    } else {
        lines(&found, console)?;
    }
    let layers = found.other_layers();
    if found.equal() && !layers.is_empty() {
        let names: Vec<String> = layers.iter().map(usize::to_string).collect();
        console.note(&format!(
            "note: the images hold the same once their layers are applied, but not layer by layer: {}",
            names.join(", ")
        ));
    } else if found.equal() && args.a.is_file() && args.b.is_file() && !same_bytes(args)? {
        console.note(
            "note: the images hold the same, but the files are not the same byte for byte: their order, headers or \
             packing differ, or what was left out does",
        );
    }
    Ok(!found.equal())
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut globs = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
        globs.add(glob.context(|| format!("--exclude: {pattern:?} is not a pattern"))?);
    }
    globs.build().context(|| "--exclude: too many patterns".to_owned())
}

fn same_bytes(args: &DiffArgs) -> Result<bool> {
    use std::io::BufRead as _;
    let open = |path: &std::path::Path| {
        let file = std::fs::File::open(path).context(|| format!("cannot open {}", path.display()))?;
        Ok::<_, Error>(std::io::BufReader::with_capacity(1 << 20, file))
    };
    let (mut a, mut b) = (open(&args.a)?, open(&args.b)?);
    let cannot = || "cannot read the images again".to_owned();
    loop {
        let (left, right) = (a.fill_buf().context(cannot)?, b.fill_buf().context(cannot)?);
        let count = left.len().min(right.len());
        if count == 0 || left[..count] != right[..count] {
            return Ok(left.is_empty() && right.is_empty());
        }
        a.consume(count);
        b.consume(count);
    }
}

/// The differences for people.
fn lines(found: &Comparison, console: &Console) -> Result<()> {
    let print = |line: &str| console.line(&printable(line));
    if let Some(diff) = &found.config {
        print("changed   the image's configuration")?;
        diff.lines().try_for_each(|line| print(&format!("            {line}")))?;
    }
    let mut counts = [0_usize; 3];
    // What is below a directory that only one image has is counted, not listed.
    let mut differences = found.differences.iter().peekable();
    while let Some(difference) = differences.next() {
        counts[difference.what as usize] += 1;
        let mut below = 0;
        if difference.what != What::Changed && difference.kind == "directory" {
            let prefix = format!("{}/", difference.path);
            while differences.next_if(|next| next.what == difference.what && next.path.starts_with(&prefix)).is_some() {
                below += 1;
            }
            counts[difference.what as usize] += below;
        }
        print(&headline(difference, below, found))?;
        for change in &difference.changes {
            print(&format!("            {}", change_line(change)))?;
            let diff = change.diff.iter().flat_map(|diff| diff.lines());
            diff.map(|line| format!("              {line}")).try_for_each(|line| print(&line))?;
        }
    }
    if !found.equal() {
        let [removed, added, changed] = counts;
        print(&format!("{changed} changed, {removed} only in A, {added} only in B"))?;
        for (name, side) in [("A", &found.a), ("B", &found.b)] {
            print(&format!("{name} is {}: {}, {} names", side.path.display(), side.form, side.entries))?;
        }
    }
    Ok(())
}

fn headline(difference: &Difference, below: usize, found: &Comparison) -> String {
    let what = match difference.what {
        What::Removed => "only in A",
        What::Added => "only in B",
        What::Changed => "changed  ",
    };
    let path = if difference.path.is_empty() { "." } else { &difference.path };
    let facts = match (difference.what, difference.kind, below) {
        (What::Changed, ..) => String::new(),
        (_, "file", _) => format!(" ({}, {} bytes)", difference.kind, difference.size),
        (_, "directory", 1..) => format!(" (directory, with {below} names below it)"),
        (_, kind, _) => format!(" ({kind})"),
    };
    let of_a = layer("A", &found.a, difference.layer_a);
    let of_b = layer("B", &found.b, difference.layer_b);
    let layers: Vec<String> = of_a.into_iter().chain(of_b).collect();
    let layers = if layers.is_empty() { String::new() } else { format!(" [{}]", layers.join(", ")) };
    format!("{what} {path}{facts}{layers}")
}

/// Which layer of an image with layers, as people are told.
fn layer(name: &str, side: &Side, layer: Option<usize>) -> Option<String> {
    let layer = layer?;
    let made = side.layers.get(layer - 1)?;
    let made: String = made.chars().take(40).collect();
    Some(format!("{name}: layer {layer}, {made}"))
}

fn change_line(change: &Change) -> String {
    let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let note = change.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
    if change.a == change.b {
        format!("{}: {}{note}", change.of, shown(&change.a))
    } else {
        format!("{}: {} → {}{note}", change.of, shown(&change.a), shown(&change.b))
    }
}
