//! Which packages to install: a variant's own and the included ones, with all they depend on.
//!
//! As apt does without recommendations: of alternatives one that is already chosen, else the first that can be
//! installed. Versions, virtual packages, Conflicts and Breaks are honoured. Choices already made elsewhere are not
//! taken back to make room for a later one; that fails with the path that leads to the conflict.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::packages::{Index, Package, provided};
use super::spec::{Variant, check_name};
use super::version;
use crate::error::{Error, Result};

/// A package to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Name, without architecture.
    pub name: String,
    /// Version as the archive has it.
    pub version: String,
    /// Architecture: the native one or `all`.
    pub architecture: String,
    /// Path below the mirror's base URL.
    pub filename: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 digest of the file in hex.
    pub sha256: String,
    /// Whether it is there only because something depends on it (apt's `Auto-Installed`).
    pub automatic: bool,
    /// Whether it is configured first: it is essential, an essential package depends on it, or the variant is `apt`.
    pub first: bool,
}

/// What one item of a relationship field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relation<'a> {
    name: &'a str,
    architecture: Option<&'a str>,
    constraint: Option<(Operator, &'a str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

/// Why a package cannot be installed.
#[derive(Debug)]
struct Problem {
    /// From the package asked for to the one that fails.
    path: Vec<String>,
    why: String,
    /// Whether it fails only beside what has been chosen.
    conflict: bool,
}

struct Solver<'i, 'a> {
    index: &'i Index<'a>,
    architecture: &'i str,
    chosen: Vec<bool>,
    order: Vec<usize>,
    /// What the chosen conflict with or break, and whose it is.
    refused: Vec<(usize, Relation<'a>)>,
    /// Cannot be installed whatever else is chosen.
    hopeless: HashSet<usize>,
}

/// The packages of `variant` and `include`, sorted by name.
pub(super) fn solve(
    index: &Index<'_>,
    architecture: &str,
    variant: Variant,
    include: &[String],
) -> Result<Vec<Chosen>> {
    let mut solver = Solver {
        index,
        architecture,
        chosen: vec![false; index.packages.len()],
        order: Vec::new(),
        refused: Vec::new(),
        hopeless: HashSet::new(),
    };
    let all = |wanted: &dyn Fn(&Package<'_>) -> bool| -> Vec<usize> {
        index.packages.iter().enumerate().filter(|(_, package)| wanted(package)).map(|(place, _)| place).collect()
    };
    let mut first = all(&|package| package.essential);
    if first.is_empty() {
        return Err(Error::new("the archive marks no package as essential, so there is nothing to begin with")
            .hint("use the suite's main archive as `mirror`, not an archive of updates or additions"));
    }
    if variant == Variant::Apt {
        first.push(solver.find("apt")?);
    }
    solver.install_all(&first)?;
    let first_count = solver.order.len();
    let mut second = Vec::new();
    if variant == Variant::Minbase {
        second.push(solver.find("apt")?);
        second.extend(all(&|package| package.priority == "required"));
    }
    for name in include {
        second.push(solver.find(name)?);
    }
    solver.install_all(&second)?;
    let automatic: HashSet<usize> =
        solver.order[first_count..].iter().copied().filter(|p| !second.contains(p)).collect();
    let mut chosen = Vec::new();
    for (number, place) in solver.order.iter().enumerate() {
        let package = to_chosen(&index.packages[*place])?;
        chosen.push(Chosen { automatic: automatic.contains(place), first: number < first_count, ..package });
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(chosen)
}

/// The names end up in URLs and paths, so they must be what they claim to be.
fn to_chosen(package: &Package<'_>) -> Result<Chosen> {
    for (what, name) in [("a package", package.name), ("an architecture", package.architecture)] {
        check_name(what, name)?;
        if name.contains('/') {
            return Err(Error::new(format!("`{name}` is no name of {what}")));
        }
    }
    check_name("a package's file", package.filename)?;
    Ok(Chosen {
        name: package.name.to_owned(),
        version: package.version.to_owned(),
        architecture: package.architecture.to_owned(),
        filename: package.filename.to_owned(),
        size: package.size,
        sha256: package.sha256.to_owned(),
        automatic: false,
        first: false,
    })
}

impl<'a> Solver<'_, 'a> {
    /// A package the user or the variant names: a real one, or the only provider of a virtual one.
    fn find(&self, name: &str) -> Result<usize> {
        if let Some(place) = self.index.named(name) {
            return Ok(place);
        }
        match self.index.providers(name) {
            [] => {
                let error = Error::new(format!("the archive has no package `{name}`"));
                Err(match self.index.nearest(name) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("check its spelling, and whether `components` must name another component"),
                })
            }
            [(only, _)] => Ok(*only),
            several => {
                let names: Vec<&str> = several.iter().map(|(place, _)| self.index.packages[*place].name).collect();
                Err(Error::new(format!("`{name}` is a virtual package that several packages provide"))
                    .hint(format!("include one of {}", names.join(", "))))
            }
        }
    }

    /// Chooses all of `places` before what they depend on, so that one of them can be another's alternative.
    fn install_all(&mut self, places: &[usize]) -> Result<()> {
        let fresh: Vec<usize> = places.iter().copied().filter(|place| !self.chosen[*place]).collect();
        for place in &fresh {
            if !self.chosen[*place] {
                self.choose(*place).map_err(Problem::into_error)?;
            }
        }
        for place in &fresh {
            self.resolve(*place).map_err(Problem::into_error)?;
        }
        Ok(())
    }

    fn install(&mut self, place: usize) -> Result<(), Problem> {
        if self.chosen[place] {
            return Ok(());
        }
        let name = self.index.packages[place].name;
        if self.hopeless.contains(&place) {
            return Err(Problem::new(name, "it cannot be installed", false));
        }
        let (chosen, refused) = (self.order.len(), self.refused.len());
        self.choose(place)?;
        self.resolve(place).inspect_err(|problem| {
            for undone in self.order.drain(chosen..) {
                self.chosen[undone] = false;
            }
            self.refused.truncate(refused);
            if !problem.conflict {
                self.hopeless.insert(place);
            }
        })
    }

    /// Marks a package, unless it conflicts with one that is chosen.
    fn choose(&mut self, place: usize) -> Result<(), Problem> {
        let package = &self.index.packages[place];
        let own: Vec<Relation<'a>> =
            [package.conflicts, package.breaks].into_iter().flat_map(groups).flatten().collect();
        for relation in &own {
            if let Some(other) = self.chosen_matching(relation).find(|other| *other != place) {
                return Err(self.conflict(place, other, relation));
            }
        }
        for (other, relation) in &self.refused {
            if *other != place && self.matches(relation, place) {
                return Err(self.conflict(*other, place, relation));
            }
        }
        self.chosen[place] = true;
        self.order.push(place);
        self.refused.extend(own.into_iter().map(|relation| (place, relation)));
        Ok(())
    }

    fn conflict(&self, one: usize, other: usize, relation: &Relation<'_>) -> Problem {
        let (one, other) = (&self.index.packages[one], &self.index.packages[other]);
        let why = format!(
            "{} {} cannot stand beside {} {} (it conflicts with or breaks {relation})",
            one.name, one.version, other.name, other.version
        );
        Problem { path: Vec::new(), why, conflict: true }
    }

    /// Chooses what a chosen package depends on: what has no alternative first.
    fn resolve(&mut self, place: usize) -> Result<(), Problem> {
        let package = &self.index.packages[place];
        let mut wanted: Vec<Vec<Relation<'a>>> =
            [package.pre_depends, package.depends].into_iter().flat_map(groups).collect();
        wanted.sort_by_key(|group| group.len() > 1);
        for group in &wanted {
            self.satisfy(group).map_err(|problem| problem.seen_from(package.name))?;
        }
        Ok(())
    }

    fn satisfy(&mut self, group: &[Relation<'a>]) -> Result<(), Problem> {
        if group.iter().any(|relation| self.chosen_matching(relation).next().is_some()) {
            return Ok(());
        }
        let mut first_problem: Option<Problem> = None;
        let mut all_hopeless = true;
        for relation in group {
            for candidate in self.candidates(relation) {
                match self.install(candidate) {
                    Ok(()) => return Ok(()),
                    Err(problem) => {
                        all_hopeless &= !problem.conflict;
                        first_problem.get_or_insert(problem);
                    }
                }
            }
        }
        let mut problem = first_problem.unwrap_or_else(|| self.nothing_provides(group));
        problem.conflict = !all_hopeless;
        Err(problem)
    }

    fn nothing_provides(&self, group: &[Relation<'_>]) -> Problem {
        let shown = group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        let there = group.iter().find_map(|relation| self.index.named(relation.name)).map(|p| &self.index.packages[p]);
        let why = match there {
            Some(package) => format!("it needs {shown}, and the archive has {} {}", package.name, package.version),
            None => format!("it needs {shown}, which the archive does not have"),
        };
        Problem { path: Vec::new(), why, conflict: false }
    }

    /// Packages that could satisfy a relation: the one so named, then providers by priority and name.
    fn candidates(&self, relation: &Relation<'_>) -> Vec<usize> {
        let named = self.index.named(relation.name).filter(|place| self.matches(relation, *place));
        let mut providers: Vec<usize> = self.index.providers(relation.name).iter().map(|(place, _)| *place).collect();
        providers.retain(|place| Some(*place) != named && self.matches(relation, *place));
        providers.sort_by_key(|place| {
            let package = &self.index.packages[*place];
            (priority_rank(package.priority), package.name)
        });
        providers.dedup();
        named.into_iter().chain(providers).collect()
    }

    fn chosen_matching(&self, relation: &Relation<'a>) -> impl Iterator<Item = usize> {
        let named = self.index.named(relation.name);
        let providers = self.index.providers(relation.name).iter().map(|(place, _)| *place);
        named.into_iter().chain(providers).filter(|place| self.chosen[*place] && self.matches(relation, *place))
    }

    /// Whether a package is, or provides, what a relation names.
    fn matches(&self, relation: &Relation<'_>, place: usize) -> bool {
        let package = &self.index.packages[place];
        let fits_architecture = match relation.architecture {
            None | Some("native") => true,
            Some("any") => package.multi_arch == "allowed",
            Some(architecture) => architecture == self.architecture,
        };
        if package.name == relation.name {
            return fits_architecture && relation.accepts(package.version);
        }
        provided(package.provides).filter(|(name, _)| *name == relation.name).any(|(_, version)| match version {
            Some(version) => relation.accepts(version),
            None => relation.constraint.is_none(),
        })
    }
}

impl Relation<'_> {
    fn accepts(&self, version: &str) -> bool {
        let Some((operator, wanted)) = self.constraint else { return true };
        let ordering = version::compare(version, wanted);
        match operator {
            Operator::Earlier => ordering == Ordering::Less,
            Operator::EarlierOrEqual => ordering != Ordering::Greater,
            Operator::Equal => ordering == Ordering::Equal,
            Operator::LaterOrEqual => ordering != Ordering::Less,
            Operator::Later => ordering == Ordering::Greater,
        }
    }
}

impl std::fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if let Some(architecture) = self.architecture {
            write!(f, ":{architecture}")?;
        }
        let Some((operator, version)) = self.constraint else { return Ok(()) };
        let operator = match operator {
            Operator::Earlier => "<<",
            Operator::EarlierOrEqual => "<=",
            Operator::Equal => "=",
            Operator::LaterOrEqual => ">=",
            Operator::Later => ">>",
        };
        write!(f, " ({operator} {version})")
    }
}

impl Problem {
    fn new(name: &str, why: &str, conflict: bool) -> Self {
        Self { path: vec![name.to_owned()], why: why.to_owned(), conflict }
    }

    /// The same problem, met on the way from `name`.
    fn seen_from(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }

    fn into_error(self) -> Error {
        let last = self.path.last().cloned().unwrap_or_default();
        let way = if self.path.len() > 1 { format!(" ({})", self.path.join(" -> ")) } else { String::new() };
        let message = if last.is_empty() { self.why } else { format!("cannot install {last}{way}: {}", self.why) };
        Error::new(message).hint(
            "the archive may be in the middle of an update, or lack a component: check `components` and `include`",
        )
    }
}

/// The items of a relationship field, each with its alternatives.
fn groups(field: &str) -> impl Iterator<Item = Vec<Relation<'_>>> {
    let group = |group: &str| -> bool { !group.trim().is_empty() };
    field.split(',').filter(move |item| group(item)).map(|item| item.split('|').filter_map(relation).collect())
}

/// Reads `name[:architecture] [(operator version)]`.
fn relation(text: &str) -> Option<Relation<'_>> {
    let text = text.trim();
    let (head, constraint) = match text.split_once('(') {
        Some((head, rest)) => (head.trim(), Some(rest.split(')').next().unwrap_or(rest).trim())),
        None => (text.split_whitespace().next()?, None),
    };
    let (name, architecture) = head.split_once(':').map_or((head, None), |(name, arch)| (name, Some(arch.trim())));
    let constraint = match constraint {
        Some(text) => Some(operator(text)?),
        None => None,
    };
    Some(Relation { name: name.trim(), architecture, constraint })
}

fn operator(text: &str) -> Option<(Operator, &str)> {
    // `<` and `>` alone are old spellings of `<=` and `>=`.
    let known = [
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">>", Operator::Later),
        (">=", Operator::LaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    known.iter().find_map(|(sign, operator)| text.strip_prefix(sign).map(|version| (*operator, version.trim())))
}

fn priority_rank(priority: &str) -> u8 {
    match priority {
        "required" => 0,
        "important" => 1,
        "standard" => 2,
        "optional" => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests;
