//! Work on templates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BuildRequest;
use super::worker::Outside;
use crate::catalogue::Around;
use crate::catalogue::builtin::Unpacked;
use crate::catalogue::discover::{self, Card, Preview};
use crate::catalogue::evaluate::{Evaluated, Request, evaluate};
use crate::catalogue::outline::BuildOutline;
use crate::catalogue::wizard::{Placement, Proposal, placement, propose};
use crate::catalogue::write::{self, Change, Existing};
use crate::error::{Context as _, Error, Result, chain};
use crate::history::run_store::RunStore;
use crate::tui::state::templates::picker::Entry;
use crate::tui::state::templates::text::{TextLine, difference};
use crate::tui::theme::Role;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Look for templates.
    List,
    /// Look closely at one.
    Preview(Card),
    /// Fetch its text.
    Source(Card),
    /// Compare it with the copy in the working directory.
    Diff(Card),
    /// Evaluate a form.
    Evaluate {
        /// Its number.
        number: u64,
        /// The form.
        request: Request,
    },
    /// Evaluate a form, and see what would be written.
    Review {
        /// Its number.
        number: u64,
        /// The template.
        card: Card,
        /// Where it is to be.
        placement: Placement,
        /// The form.
        request: Request,
    },
    /// Write what was proposed.
    Write {
        /// It.
        proposal: Proposal,
        /// Whether files that are there are replaced.
        existing: Existing,
        /// Whether it is built then.
        build: bool,
    },
    /// Build a template with the values it has.
    Build(Card),
    /// List a directory, given absolute or relative to the working directory.
    Files(PathBuf),
    /// Fetch the text of a file for a field.
    Content(PathBuf),
    /// Put the text of a field into a file, to be edited.
    ToEdit {
        /// The field.
        field: String,
        /// Its text.
        text: String,
    },
    /// Fetch what was edited, and remove the file.
    Edited {
        /// The field.
        field: String,
        /// The file.
        path: PathBuf,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The templates there are.
    List(Vec<Card>),
    /// What was seen of the template at this path.
    Preview(PathBuf, Preview),
    /// A text to read.
    Text(Vec<TextLine>),
    /// A form was evaluated.
    Evaluated {
        /// Its number.
        number: u64,
        /// What came of it.
        evaluated: Evaluated,
    },
    /// A form was evaluated for the review.
    Review {
        /// Its number.
        number: u64,
        /// What came of it.
        evaluated: Evaluated,
        /// What would be written, or why nothing can be.
        proposal: Result<Proposal, String>,
    },
    /// Files were written.
    Written {
        /// How many.
        files: usize,
        /// The template.
        template: PathBuf,
        /// What is to be built.
        build: Option<ToBuild>,
    },
    /// A build can start.
    Ready(ToBuild),
    /// A template cannot be built as it is; its form tells why.
    Unready(Card),
    /// A directory was listed.
    Files {
        /// It.
        directory: PathBuf,
        /// The working directory.
        root: PathBuf,
        /// What is in it.
        entries: Vec<Entry>,
    },
    /// The text for the field that is being filled in.
    Content(String),
    /// A file to be edited for a field.
    ToEdit {
        /// The field.
        field: String,
        /// The file.
        path: PathBuf,
    },
    /// What was edited for a field.
    Edited {
        /// The field.
        field: String,
        /// The text.
        text: String,
    },
    /// Something could not be done.
    Failed(String),
}

/// A build, and what it would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToBuild {
    /// The build.
    pub request: BuildRequest,
    /// Output of it that is there already.
    pub exists: Vec<String>,
}

/// Largest file whose text is put into a field.
const MAX_CONTENT: u64 = 64 << 10;

/// Most entries of a directory that are listed.
const MAX_ENTRIES: usize = 5000;

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {
    unpacked: Option<Unpacked>,
}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    #[expect(clippy::unnecessary_wraps, reason = "the work of some areas has no answer")]
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        let done = match outside.around.as_deref() {
            Some(around) => self.done(op, around, &outside.places.state),
            None => Err(Error::new("templates cannot be read here")),
        };
        Some(done.unwrap_or_else(|error| {
            let said = [chain(&error)].into_iter().chain(error.hints().iter().cloned());
            Done::Failed(said.collect::<Vec<_>>().join("; "))
        }))
    }

    pub(in crate::tui) fn done(&mut self, op: Op, around: &Around, state: &Path) -> Result<Done> {
        Ok(match op {
            Op::List => {
                let unpacked = match self.unpacked.take() {
                    Some(unpacked) => unpacked,
                    None => Unpacked::lasting(&state.join("built-in"))?,
                };
                let cards = discover::discover(around, &unpacked);
                self.unpacked = Some(unpacked);
                Done::List(cards)
            }
            Op::Preview(card) => {
                let mut preview = discover::preview(around, &card);
                expect(&mut preview.builds, around, state, &place(&card, &placement(&card)));
                Done::Preview(card.path, preview)
            }
            Op::Source(card) => Done::Text(source(around, &card)),
            Op::Diff(card) => Done::Text(compare(around, &card)?),
            Op::Evaluate { number, request } => Done::Evaluated { number, evaluated: evaluate(around, &request) },
            Op::Review { number, card, placement, request } => {
                let mut evaluated = evaluate(around, &request);
                expect(&mut evaluated.builds, around, state, &place(&card, &placement));
                let proposal = propose(around, &card, &placement, &request.typed, &evaluated);
                Done::Review { number, evaluated, proposal: proposal.map_err(|error| chain(&error)) }
            }
            Op::Write { proposal, existing, build } => {
                let files = proposal.write(around, existing)?.len();
                let build = build.then(|| to_build(around, &proposal));
                Done::Written { files, template: proposal.template, build }
            }
            Op::Build(card) => build(around, card)?,
            Op::Files(directory) => {
                // Without a trailing slash, which joining nothing would give.
                let directory =
                    if directory.as_os_str().is_empty() { around.cwd.clone() } else { around.cwd.join(directory) };
                Done::Files { entries: list(&directory)?, root: around.cwd.clone(), directory }
            }
            Op::Content(path) => Done::Content(content(&path)?),
            Op::ToEdit { field, text } => Done::ToEdit { path: to_edit(&field, &text, state)?, field },
            Op::Edited { field, path } => {
                let text = content(&path)?;
                let _ = fs::remove_file(&path);
                Done::Edited { field, text }
            }
        })
    }
}

/// Where a template is built from.
fn place(card: &Card, placement: &Placement) -> PathBuf {
    match placement {
        Placement::InPlace => card.path.clone(),
        Placement::Copy(directory) => directory.clone(),
    }
}

/// Says how long builds will take, where history knows. It is for information: without a history nothing is said.
fn expect(builds: &mut [BuildOutline], around: &Around, state: &Path, template: &Path) {
    let Ok(Some(history)) = RunStore::open_to_read(state) else { return };
    let Ok(template) = around.cwd.join(template).canonicalize() else { return };
    for build in builds {
        let past = history.past(&template.display().to_string(), &build.id).ok();
        let outlook = past.and_then(|past| past.outlook(&[]));
        let taken = outlook.and_then(|outlook| Duration::try_from_secs_f64(outlook.remaining).ok());
        build.seconds = taken.and_then(|taken| u32::try_from(taken.as_secs()).ok());
    }
}

fn source(around: &Around, card: &Card) -> Vec<TextLine> {
    let mut lines = Vec::new();
    for (name, text) in discover::source(around, card) {
        lines.push((Role::Title, name.display().to_string()));
        lines.extend(text.lines().map(|line| (Role::Text, format!("  {line}"))));
        lines.push((Role::Text, String::new()));
    }
    lines
}

/// What is different in the copy in the working directory.
fn compare(around: &Around, card: &Card) -> Result<Vec<TextLine>> {
    let evaluated = evaluate(around, &Request { path: card.path.clone(), ..Request::default() });
    let copy = Placement::Copy(PathBuf::from(&card.name));
    if around.cwd.join(&card.name) == around.cwd.join(&card.path) {
        return Err(Error::new("this is the copy in this directory").hint("`v` shows its text"));
    }
    let proposal = propose(around, card, &copy, &BTreeMap::new(), &evaluated)?;
    if proposal.files.iter().all(|(_, change)| *change == Change::New) {
        return Err(Error::new(format!("there is no copy of it in ./{}", card.name)).hint("Enter makes one"));
    }
    let mut lines = Vec::new();
    for (file, change) in &proposal.files {
        let path = proposal.directory.join(&file.path).display().to_string();
        match change {
            Change::Same => lines.push((Role::Dim, format!("= {path}"))),
            Change::New => lines.push((Role::Warning, format!("! {path}  is not in the copy"))),
            Change::Blocked(why) => lines.push((Role::Bad, format!("x {path}  {why}"))),
            Change::Differs(_) => {
                lines.push((Role::Title, format!("! {path}  + in the copy, - in the template")));
                let old = fs::read(around.cwd.join(&path)).unwrap_or_default();
                let changes = write::diff(&String::from_utf8_lossy(&file.content), &String::from_utf8_lossy(&old));
                lines.extend(difference(&changes));
            }
        }
    }
    Ok(lines)
}

/// Builds a template as it is; what comes with Larder is copied first.
fn build(around: &Around, card: Card) -> Result<Done> {
    let evaluated = evaluate(around, &Request { path: card.path.clone(), ..Request::default() });
    if evaluated.errors() > 0 {
        return Ok(Done::Unready(card));
    }
    let proposal = propose(around, &card, &placement(&card), &BTreeMap::new(), &evaluated)?;
    proposal.write(around, Existing::Refuse)?;
    Ok(Done::Ready(to_build(around, &proposal)))
}

fn to_build(around: &Around, proposal: &Proposal) -> ToBuild {
    let request = BuildRequest {
        template: proposal.template.clone(),
        vars: proposal.vars.iter().cloned().collect(),
        var_files: proposal.var_files.clone(),
        ..BuildRequest::default()
    };
    let evaluated = evaluate(
        around,
        &Request {
            path: request.template.clone(),
            vars: proposal.vars.clone(),
            var_files: request.var_files.clone(),
            ..Request::default()
        },
    );
    let outputs = evaluated.builds.into_iter().filter_map(|build| build.output);
    ToBuild { request, exists: outputs.filter(|output| around.cwd.join(output).exists()).collect() }
}

fn list(directory: &Path) -> Result<Vec<Entry>> {
    let listed = fs::read_dir(directory).context(|| format!("cannot list {}", directory.display()))?;
    let entry = |entry: fs::DirEntry| Entry {
        is_directory: entry.path().is_dir(),
        name: entry.file_name().to_string_lossy().into_owned(),
    };
    let mut entries: Vec<Entry> = listed.filter_map(std::result::Result::ok).take(MAX_ENTRIES).map(entry).collect();
    entries.sort_by(|left, right| (!left.is_directory, &left.name).cmp(&(!right.is_directory, &right.name)));
    if directory.parent().is_some() {
        entries.insert(0, Entry { name: "..".to_owned(), is_directory: true });
    }
    Ok(entries)
}

/// The text of a file, without the newline at its end.
fn content(path: &Path) -> Result<String> {
    let what = || format!("cannot read {}", path.display());
    let metadata = path.metadata().context(what)?;
    if !metadata.is_file() || metadata.len() > MAX_CONTENT {
        return Err(Error::new(format!("{} is no text for a field", path.display()))
            .hint("Enter takes the path of a file instead of what is in it"));
    }
    let text = fs::read_to_string(path).context(what)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A file of the person's own, which nobody else can read.
fn to_edit(field: &str, text: &str, state: &Path) -> Result<PathBuf> {
    use std::io::Write as _;
    fs::create_dir_all(state).context(|| format!("cannot make {}", state.display()))?;
    let file = tempfile::Builder::new().prefix(&format!("{field}-")).suffix(".txt").tempfile_in(state);
    let mut file = file.context(|| format!("cannot write to {}", state.display()))?;
    writeln!(file, "{text}").context(|| format!("cannot write {}", file.path().display()))?;
    let (_, path) = file.keep().context(|| "cannot keep the file to edit".to_owned())?;
    Ok(path)
}
