//! `larder hcl2_upgrade`: a legacy template in HCL2, as newer versions of Packer write it.
//!
//! Each block is written by itself, with the Go templates in its strings as they were, and then run as one Go template
//! whose functions give HCL2 expressions. Where that fails the block stays as it was written, below a comment that says
//! why.

use std::collections::BTreeMap;

use super::legacy::outline::{self, Component, Declared, Outline};
use super::parse::{self, Kind, Member, Node};
use super::tree::{Object, Tree};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::duration;
use crate::template::go::{self, Options, Program};
use crate::template::source_map::SourceMap;
use calls::Calls;
use text::{backquoted, indented, spaced};
use write::Body;

mod calls;
mod plugins;
#[cfg(test)]
mod tests;
mod text;
mod write;

/// What became of a template.
#[derive(Clone, Debug)]
pub struct Upgraded {
    /// The template in HCL2; `None` if there is none to be had.
    pub text: Option<String>,
    /// How many blocks a person must see to, as the comment above each says.
    pub left: usize,
    /// What was found.
    pub diagnostics: Diagnostics,
    /// The text that was read.
    pub sources: SourceMap,
}

/// How a template is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As Packer 1.6.6 does, which loses `pause_before`, `override` and the `error-cleanup-provisioner`, and leaves names
    /// of builders as they were, which no source has.
    Packer16,
    /// With all of that, and with what came later: plugins that are asked for, locals for variables whose values functions
    /// make, variables that are used and not declared, and fields of Go templates as they are.
    Whole,
}

/// Most bytes that a block may become.
const MAX_BLOCK: usize = 16 << 20;
/// What Packer calls the templates it runs for this.
const NAME: &str = "hcl2_upgrade";

/// Comments for those who are new to HCL2.
mod annotation {
    pub(super) const FILE: &str = "\
# Made from a template in JSON by 'larder hcl2_upgrade'. Look it through before
# it is used. Its blocks may be moved to other files of the same folder whose
# names end in '.pkr.hcl'; a folder is one template.
#
# Strings may still hold Go templates, such as {{ .Vars }}, which components
# fill in later; what is between ${ and } is HCL2, and is evaluated before.

";
    pub(super) const VARIABLES: &str = "\
# Variables of a template in JSON are strings; here they may get other types.
";
    pub(super) const LOCALS: &str = "\
# Values that functions make: a variable's default can only be plain.
";
    pub(super) const TIMESTAMP: &str = "\
# The time of the build, as {{ timestamp }} was.
";
    pub(super) const SOURCES: &str = "\
# What was a builder is a source; builds name the sources they take.
";
    pub(super) const BUILD: &str = "\
# A build runs its provisioners and post-processors on each of its sources.
";
}

/// Writes a legacy template, which diagnostics call `name`, in HCL2.
pub fn upgrade(name: &str, text: &str, dialect: Dialect, with_annotations: bool) -> Upgraded {
    let mut sources = SourceMap::default();
    let file = sources.add(name, text);
    let mut diagnostics = Diagnostics::default();
    let mut upgraded = None;
    if let Some(root) = parse::parse(file, text, &mut diagnostics) {
        let outline = outline::read(&root, &mut diagnostics);
        if !diagnostics.has_errors() {
            let mut writer = Writer {
                out: String::new(),
                left: 0,
                dialect,
                with_annotations,
                renamed: BTreeMap::new(),
                calls: Calls::new(dialect, &outline),
            };
            match writer.template(&outline) {
                Ok(()) => upgraded = Some(writer),
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
        }
    }
    let left = upgraded.as_ref().map_or(0, |writer| writer.left);
    Upgraded { text: upgraded.map(|writer| writer.out), left, diagnostics, sources }
}

type Written<T> = Result<T, Box<Diagnostic>>;

struct Writer {
    out: String,
    left: usize,
    dialect: Dialect,
    with_annotations: bool,
    /// What sources are called, type and name, by the names their builders had.
    renamed: BTreeMap<String, (String, String)>,
    calls: Calls,
}

impl Writer {
    fn template(&mut self, outline: &Outline) -> Written<()> {
        // What stands first depends on what those use that come after.
        let names = self.sources(&outline.builders)?;
        let sources = std::mem::take(&mut self.out);
        self.annotate(annotation::BUILD);
        self.build(outline, &names)?;
        let build = std::mem::take(&mut self.out);
        let (made, plain): (Vec<&Declared>, Vec<&Declared>) =
            outline.variables.iter().partition(|variable| self.calls.locals.contains(&variable.name));
        self.locals(&made);
        let locals = std::mem::take(&mut self.out);

        self.annotate(annotation::FILE);
        self.packer(outline);
        self.variables(&plain);
        if self.dialect == Dialect::Packer16 || self.calls.uses_timestamp() {
            self.annotate(annotation::TIMESTAMP);
            let name = &self.calls.timestamp;
            self.out.push_str(&format!("locals {{ {name} = regex_replace(timestamp(), \"[- TZ:]\", \"\") }}\n"));
        }
        if self.with_annotations {
            self.out.push('\n');
        }
        self.out.push_str(&locals);
        if self.dialect == Dialect::Packer16 || !names.is_empty() {
            // A blank line stands before each source.
            self.annotate(annotation::SOURCES.trim_end());
            self.out.push_str(&sources);
            self.out.push('\n');
        }
        if self.dialect == Dialect::Packer16 || builds(outline) {
            self.out.push_str(&build);
        }
        if self.dialect == Dialect::Whole {
            self.out = spaced(&self.out);
        }
        Ok(())
    }

    /// The block that says what is needed to build the template.
    fn packer(&mut self, outline: &Outline) {
        let plugins = plugins::required(outline).filter(|_| self.dialect == Dialect::Whole);
        if outline.min_version.is_none() && plugins.is_none() {
            return;
        }
        let mut body = Body::default();
        if let Some((version, _)) = &outline.min_version {
            body.attribute("required_version", &Tree::String(format!(">= {version}")));
        }
        if let Some(plugins) = plugins {
            body.block("required_plugins", &[], plugins);
        }
        let block = Body::of_block("packer", &[], body);
        self.out.push_str(&format!("{}\n", block.text()));
    }

    fn annotate(&mut self, text: &str) {
        if self.with_annotations {
            self.out.push_str(text);
        }
    }

    fn variables(&mut self, declared: &[&Declared]) {
        let mut variables: BTreeMap<String, Body> = BTreeMap::new();
        for variable in declared {
            let mut body = Body::default();
            body.raw("type", "string");
            if let Some(default) = &variable.default {
                body.attribute("default", &self.string(default));
            }
            if variable.sensitive {
                body.attribute("sensitive", &Tree::Bool(true));
            }
            variables.insert(variable.name.clone(), body);
        }
        for name in self.calls.undeclared() {
            let mut body = Body::default();
            body.raw("type", "string");
            variables.insert(name, body);
        }
        for (name, key) in self.calls.env() {
            let mut body = Body::default();
            body.raw("type", "string");
            body.raw("default", &format!("env({})", go::quoted(&key)));
            variables.insert(name, body);
        }
        if !variables.is_empty() {
            self.annotate(annotation::VARIABLES);
        }
        for (name, body) in variables {
            let block = Body::of_block("variable", &[&name], body).text();
            self.add(&format!("{block}\n"), 0);
        }
    }

    /// Variables whose values are made by functions: those that are secret by themselves, the others together.
    fn locals(&mut self, made: &[&Declared]) {
        if made.is_empty() {
            return;
        }
        self.annotate(annotation::LOCALS);
        self.calls.in_local.set(true);
        let mut made = made.to_vec();
        made.sort_by(|left, right| left.name.cmp(&right.name));
        let value = |variable: &Declared| self.string(variable.default.as_deref().unwrap_or_default());
        let mut together = Body::default();
        let mut alone = Vec::new();
        for variable in &made {
            if variable.sensitive {
                let mut body = Body::default();
                body.attribute("sensitive", &Tree::Bool(true));
                body.attribute("expression", &value(variable));
                alone.push(Body::of_block("local", &[&variable.name], body).text());
            } else {
                together.attribute(&variable.name, &value(variable));
            }
        }
        if alone.len() < made.len() {
            alone.push(Body::of_block("locals", &[], together).text());
        }
        for block in alone {
            self.add(&format!("\n{block}"), 0);
        }
        self.calls.in_local.set(false);
    }

    /// A string, in the form in which its Go templates can be run within a block.
    fn string(&self, text: &str) -> Tree {
        Tree::String(if self.dialect == Dialect::Whole { backquoted(text) } else { text.to_owned() })
    }

    /// The options of a component, but for those that are named.
    fn options(&self, component: &Component, without: &[&str]) -> Written<Object> {
        let mut options = Object::new();
        for member in &component.members {
            if !without.iter().any(|name| member.name.eq_ignore_ascii_case(name)) {
                options.insert(member.name.clone(), self.value(Tree::of(&member.value)?));
            }
        }
        Ok(options)
    }

    /// Options that are blocks though they hold plain values.
    fn blocks(&self) -> &'static [&'static str] {
        match self.dialect {
            Dialect::Whole => &["linux_options", "network_interface", "shared_image_gallery"],
            Dialect::Packer16 => &[],
        }
    }

    fn value(&self, tree: Tree) -> Tree {
        match tree {
            Tree::String(text) => self.string(&text),
            Tree::Array(elements) => Tree::Array(elements.into_iter().map(|element| self.value(element)).collect()),
            Tree::Object(members) => {
                Tree::Object(members.into_iter().map(|(name, value)| (name, self.value(value))).collect())
            }
            plain => plain,
        }
    }

    /// Writes sources, and gives their names.
    fn sources(&mut self, builders: &[Component]) -> Written<Vec<String>> {
        let named = |builder: &Component| -> String {
            let name = builder.get("name").and_then(|member| member.value.scalar());
            name.filter(|name| !name.is_empty()).unwrap_or_else(|| builder.kind.clone())
        };
        let mut builders: Vec<(String, &Component)> =
            builders.iter().map(|builder| (named(builder), builder)).collect();
        builders.sort_by_key(|(name, builder)| format!("{}{name}", builder.kind));
        let mut names = Vec::new();
        for (index, (name, builder)) in builders.into_iter().enumerate() {
            let was = name;
            let name = match was == builder.kind {
                true => format!("autogenerated_{}", index + 1),
                // A blank cannot be in a name.
                false if self.dialect == Dialect::Whole => was.trim().replace(' ', "_"),
                false => was.clone(),
            };
            self.renamed.insert(was, (builder.kind.clone(), name.clone()));
            let mut body = Body::default();
            body.options(&self.options(builder, &["type", "name"])?, self.blocks());
            let block = Body::of_block("source", &[&builder.kind, &name], body).text();
            self.add(&format!("\n{block}"), 0);
            names.push(format!("source.{}.{name}", builder.kind));
        }
        Ok(names)
    }

    fn build(&mut self, outline: &Outline, sources: &[String]) -> Written<()> {
        let mut body = Body::default();
        if !outline.description.is_empty() {
            body.attribute("description", &Tree::String(outline.description.clone()));
            body.blank();
        }
        body.attribute("sources", &Tree::Array(sources.iter().cloned().map(Tree::String).collect()));
        body.blank();
        self.out.push_str("build {\n");
        self.out.push_str(&indented(&body.text(), 1));
        for provisioner in &outline.provisioners {
            let block = self.provisioner("provisioner", provisioner)?;
            self.add(&block.text(), 1);
        }
        if let Some(cleanup) = outline.error_cleanup.as_ref().filter(|_| self.dialect == Dialect::Whole) {
            let block = self.provisioner("error-cleanup-provisioner", cleanup)?;
            self.add(&block.text(), 1);
        }
        for chain in &outline.post_processors {
            let mut blocks = Body::default();
            for one in chain {
                blocks.block("post-processor", &[&one.kind], self.post_processor(one)?);
            }
            match chain.len() {
                0 => continue,
                1 => {}
                _ => blocks = Body::of_block("post-processors", &[], blocks),
            }
            self.add(&blocks.text(), 1);
        }
        self.out.push_str("}\n");
        Ok(())
    }

    fn provisioner(&self, block: &str, component: &Component) -> Written<Body> {
        const COMMON: [&str; 7] = ["type", "only", "except", "override", "pause_before", "max_retries", "timeout"];
        let whole = self.dialect == Dialect::Whole;
        let mut options = self.options(component, &COMMON)?;
        for option in ["except", "only"] {
            options.extend(self.names(component, option).map(|names| (option.to_owned(), names)));
        }
        if let Some(retries) = text(component, "max_retries") {
            options.insert("max_retries".to_owned(), Tree::String(retries));
        }
        for option in ["pause_before", "timeout"].into_iter().skip(usize::from(!whole)) {
            if let Some(given) = component.get(option).and_then(duration_text) {
                options.insert(option.to_owned(), Tree::String(given));
            }
        }
        let mut body = Body::default();
        body.options(&options, self.blocks());
        if let Some(member) = component.get("override").filter(|_| whole)
            && let Tree::Object(overrides) = Tree::of(&member.value)?
        {
            // They go by the second of a source's names.
            let rename = |(name, value)| (self.renamed.get(&name).map_or(name, |(_, name)| name.clone()), value);
            body.attribute("override", &Tree::Object(overrides.into_iter().map(rename).collect()));
        }
        Ok(Body::of_block(block, &[&component.kind], body))
    }

    fn post_processor(&self, component: &Component) -> Written<Body> {
        const COMMON: [&str; 5] = ["type", "name", "only", "except", "keep_input_artifact"];
        let mut body = Body::default();
        if let Some(keep) = component.get("keep_input_artifact").filter(|member| member.value.kind != Kind::Null) {
            body.attribute("keep_input_artifact", &Tree::of(&keep.value)?);
        }
        let mut options = self.options(component, &COMMON)?;
        for option in ["except", "only"] {
            options.extend(self.names(component, option).map(|names| (option.to_owned(), names)));
        }
        if let Some(name) = text(component, "name").filter(|name| *name != component.kind) {
            options.insert("name".to_owned(), Tree::String(name));
        }
        body.options(&options, self.blocks());
        Ok(body)
    }

    /// Names of builders, if there are any, as those of their sources.
    fn names(&self, component: &Component, option: &str) -> Option<Tree> {
        let given = component.get(option).map(|member| &member.value)?;
        let names: Vec<String> = match &given.kind {
            Kind::Array(names) => names.iter().filter_map(Node::scalar).collect(),
            _ => vec![given.scalar()?],
        };
        let renamed = |name: String| match self.renamed.get(&name) {
            Some((kind, name)) if self.dialect == Dialect::Whole => format!("{kind}.{name}"),
            _ => name,
        };
        let names: Vec<Tree> = names.into_iter().map(renamed).map(Tree::String).collect();
        Some(names).filter(|names| !names.is_empty()).map(Tree::Array)
    }

    /// Adds a block with its Go templates run.
    fn add(&mut self, block: &str, depth: usize) {
        let keeps_fields = (self.dialect == Dialect::Whole).then_some(("{{ ", " }}"));
        let options = Options { limit: MAX_BLOCK, keeps_fields };
        let rendered = Program::parse(NAME, block, &|name| self.calls.has(name))
            .and_then(|program| program.render(&calls::data(), &self.calls, options));
        let text = match (rendered, self.calls.take_by_hand()) {
            (Ok(rendered), None) => rendered.text,
            (Ok(rendered), Some(comment)) => {
                self.left += 1;
                format!("\n{comment}\n{}", rendered.text.trim_start_matches('\n'))
            }
            (Err(error), _) => {
                self.left += 1;
                let reason = calls::reason(&error);
                format!("\n{reason}\n{block}")
            }
        };
        self.out.push_str(&indented(&text, depth));
    }
}

/// Whether there is something to build.
fn builds(outline: &Outline) -> bool {
    !(outline.builders.is_empty()
        && outline.provisioners.is_empty()
        && outline.post_processors.is_empty()
        && outline.error_cleanup.is_none())
}

/// The text of an option that is there and not empty.
fn text(component: &Component, option: &str) -> Option<String> {
    component.get(option).and_then(|member| member.value.scalar()).filter(|text| !text.is_empty())
}

/// A duration as Go writes it; one that is a template stays as it is.
fn duration_text(member: &Member) -> Option<String> {
    let text = member.value.scalar().filter(|text| !text.is_empty())?;
    let Some(duration) = duration::parse(&text) else { return Some(text) };
    let seconds = duration.as_secs();
    if duration.is_zero() {
        return None;
    }
    if duration.subsec_nanos() != 0 {
        return Some(text);
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    })
}
