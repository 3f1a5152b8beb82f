//! Reading a template for a command, and telling what is wrong with it.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::Env;
use super::args::TemplateArgs;
use super::components::{self, Purpose};
use super::console::Console;
use super::remote::Servers;
use super::settings::Settings;
use super::version::PACKER_VERSION;
use crate::data_source;
use crate::error::{Context as _, Error, Result, chain};
use crate::event::redact::Redactor;
use crate::plan::{self, Plan};
use crate::template::diagnostic::{Diagnostic, Diagnostics, Finding, Severity};
use crate::template::files::HostFiles;
use crate::template::remote::Remote;
use crate::template::secrets::Secrets;
use crate::template::source_map::SourceMap;
use crate::template::{Data, Depth, LoadOptions, Loaded, Template, load_with};

/// Largest template taken from standard input.
const MAX_STDIN: u64 = 64 << 20;

/// Data sources have their options checked: what they give is not known yet.
pub(super) const CHECKED: Data<'_> = Data::Checked(&data_source::Native);
/// Data sources are read.
pub(super) const READ: Data<'_> = Data::Read(&data_source::Native);

/// A template free of errors, and what is to be built of it.
pub(super) struct Ready {
    /// What is selected of it.
    pub plan: Plan,
    /// What must not be shown.
    pub secrets: Secrets,
    /// The texts diagnostics point into.
    pub sources: Arc<SourceMap>,
}

/// What `validate --json` prints. `docs/reference/diagnostics.md` describes the fields.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    template: String,
    pub valid: bool,
    syntax_only: bool,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<Finding>,
}

/// How a command reads its template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// The template and the values for it.
    pub args: &'a TemplateArgs,
    /// The environment.
    pub env: &'a Env,
    /// The working directory.
    pub cwd: &'a Path,
    /// Whether to warn of values for variables that are not declared.
    pub warn_on_undeclared: bool,
    /// By which settings servers are asked for functions that read secrets; without them nobody is.
    pub settings: Option<&'a Settings>,
}

impl Reading<'_> {
    fn load(&self, depth: Depth) -> Result<Loaded> {
        self.load_with(depth, CHECKED)
    }

    fn load_with(&self, depth: Depth, data: Data<'_>) -> Result<Loaded> {
        let options = LoadOptions { stdin: self.stdin()?, ..self.options(depth)? };
        Ok(load_with(&options, Arc::new(HostFiles), data))
    }

    /// What to load, but for a template on standard input.
    pub(super) fn options(&self, depth: Depth) -> Result<LoadOptions> {
        let vars = self.args.var.iter().map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::new(format!("-var {pair:?} is not of the form NAME=VALUE"))
                .hint("write it as -var 'name=value'")),
        });
        Ok(LoadOptions {
            path: self.args.template.clone(),
            vars: vars.collect::<Result<_>>()?,
            var_files: self.args.var_file.clone(),
            env: self.env.clone(),
            cwd: self.cwd.to_owned(),
            now: jiff::Timestamp::now(),
            packer_version: PACKER_VERSION.to_owned(),
            depth,
            stdin: None,
            warn_on_undeclared: self.warn_on_undeclared,
            remote: self.settings.map(|settings| Servers::new(settings, self.env) as Arc<dyn Remote>),
        })
    }

    /// The kinds of builders of what is selected; none if the template has errors, of which nothing is said.
    pub(super) fn builders(&self) -> Vec<String> {
        let plan = self.load(Depth::Whole).ok().and_then(|loaded| self.plan(loaded.template.as_ref()?).ok());
        plan.into_iter().flat_map(|plan| plan.builds).map(|build| build.source.builder_type).collect()
    }

    /// The template, if it is to be read from standard input.
    fn stdin(&self) -> Result<Option<Vec<u8>>> {
        if self.args.template != Path::new("-") {
            return Ok(None);
        }
        let content = read_stdin()?;
        give_back(&content).context(|| "cannot read the template from standard input".to_owned())?;
        Ok(Some(content))
    }

    /// All that is wrong with the template, for programs.
    pub(super) fn report(&self, syntax_only: bool, data: Data<'_>) -> Result<Report> {
        let mut loaded = self.load_with(if syntax_only { Depth::Syntax } else { Depth::Whole }, data)?;
        match loaded.template.as_ref().filter(|_| !syntax_only).map(|template| self.plan(template)) {
            Some(Ok(plan)) => loaded.diagnostics.extend(components::check_for(&plan, Purpose::Look)),
            Some(Err(error)) if !loaded.diagnostics.has_errors() => {
                let found = Diagnostic::error(chain(&error));
                let hint = error.hints().join("; ");
                loaded.diagnostics.push(if hint.is_empty() { found } else { found.hint(hint) });
            }
            _ => {}
        }
        let redactor = redactor(&loaded.secrets.values());
        let found = explained(&loaded).into_iter().map(|one| one.map_text(|text| redactor.text(text)));
        let shown: Diagnostics = found.collect();
        let errors = shown.errors().count();
        Ok(Report {
            version: 1,
            template: self.args.template.display().to_string(),
            valid: errors == 0,
            syntax_only,
            errors,
            warnings: shown.iter().filter(|one| one.severity == Severity::Warning).count(),
            diagnostics: shown.findings(&loaded.sources),
        })
    }

    /// Parses the template, and no more.
    pub(super) fn syntax(&self, console: &Console) -> Result<()> {
        let loaded = self.load(Depth::Syntax)?;
        self.tell(&loaded, console)
    }

    /// Reads the template as far as `depth`, and evaluates it. Of warnings only those who check a template hear.
    pub(super) fn template(&self, depth: Depth, console: &Console) -> Result<(Template, Loaded)> {
        let mut loaded = self.load(depth)?;
        loaded.diagnostics = loaded.diagnostics.errors().cloned().collect();
        self.tell(&loaded, console)?;
        let template = loaded.template.take().ok_or_else(|| Error::new("the template could not be evaluated"))?;
        Ok((template, loaded))
    }

    fn plan(&self, template: &Template) -> Result<Plan> {
        plan::plan(template, &self.args.only, &self.args.except)
    }

    /// Prints what was found, in the order of the template, as code frames on standard error; fails if there is an
    /// error among it.
    pub(super) fn tell(&self, loaded: &Loaded, console: &Console) -> Result<()> {
        let found = &loaded.diagnostics;
        if let (1, Some(only)) = (found.len(), found.errors().find(|error| error.span.is_none())) {
            return Err(placeless(only));
        }
        if !found.is_empty() {
            // Frames show lines of the template and of variable files, and there may be secrets in them.
            let redactor = redactor(&loaded.secrets.values());
            let frames = explained(loaded).render(&loaded.sources, console.width, console.colour_err);
            console.note(&format!("{}\n", redactor.text(frames)));
        }
        let template = match self.args.template.to_str() {
            Some("-") => "the template".into(),
            _ => self.args.template.display().to_string(),
        };
        match found.errors().count() {
            0 => Ok(()),
            1 => Err(Error::new(format!("{template} has an error"))),
            count => Err(Error::new(format!("{template} has {count} errors"))),
        }
    }

    /// Reads the template, selects builds, and checks the options of every component in them.
    pub(super) fn ready(&self, purpose: Purpose, data: Data<'_>, console: &Console) -> Result<Ready> {
        let mut loaded = self.load_with(Depth::Whole, data)?;
        let plan = loaded.template.as_ref().map(|template| self.plan(template));
        // Also of a template with errors, so that all are found at once.
        if let Some(Ok(plan)) = &plan {
            loaded.diagnostics.extend(components::check_for(plan, purpose));
        }
        self.tell(&loaded, console)?;
        let plan = plan.unwrap_or_else(|| Err(Error::new("the template could not be evaluated")))?;
        Ok(Ready { plan, secrets: loaded.secrets, sources: Arc::new(loaded.sources) })
    }
}

/// What takes secrets out of texts.
pub(super) fn redactor(secrets: &[String]) -> Redactor {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.register(secret);
    }
    redactor
}

/// What was found, in the order of the template, with the values that errors come from.
fn explained(loaded: &Loaded) -> Diagnostics {
    let mut found = loaded.diagnostics.in_order();
    if let Some(template) = &loaded.template {
        found.add_values(&loaded.sources, &template.scope.names);
    }
    found
}

/// A template on standard input.
pub(super) fn read_stdin() -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let input = io::stdin().lock().take(MAX_STDIN + 1).read_to_end(&mut content);
    if content.len() as u64 > MAX_STDIN {
        return Err(Error::new(format!("the template on standard input is longer than {} MiB", MAX_STDIN >> 20))
            .hint("is it the template? if so, give it as a file"));
    }
    input.context(|| "cannot read the template from standard input".to_owned())?;
    Ok(content)
}

/// Lets what has been read from standard input be read there once more: by this process, or by the one it starts to do
/// the work.
fn give_back(content: &[u8]) -> io::Result<()> {
    let memory = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(content)?;
    file.rewind()?;
    Ok(nix::unistd::dup2_stdin(&file)?)
}

/// A single error that is not about a place in the template, without a frame around it.
fn placeless(only: &Diagnostic) -> Error {
    let error = Error::new(match &only.detail {
        Some(detail) => format!("{}: {detail}", only.summary),
        None => only.summary.clone(),
    });
    match &only.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
