//! `larder bundle export`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::progress::Progress;
use super::{interruptible, open, size};
use crate::bundle::document::TemplateDocument;
use crate::bundle::export::{self, Exported, Telling};
use crate::bundle::gather::{self, Lacking, Plan, Wanted};
use crate::bundle::output::{self, Output, Shape};
use crate::cli::Env;
use crate::cli::args::{BundleExportArgs, TemplateArgs};
use crate::cli::console::Console;
use crate::cli::settings::Settings;
use crate::cli::template::Reading;
use crate::engine::clamp::{self, Clamp};
use crate::error::{Context as _, Error, Result};
use crate::event::Ending;
use crate::event::redact::Redactor;
use crate::history::record::Record;
use crate::history::recorder::digest;
use crate::history::run_store::RunStore;
use crate::output::text::{bytes, printable};
use crate::template::Depth;
use crate::template::hcl::convert::to_json;

/// Runs of a template that are looked at for one that succeeded.
const RUNS: usize = 100;
/// Entries that are listed one by one.
const SHOWN: usize = 20;

pub(super) async fn run(args: &BundleExportArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    // What is wrong with the name is better told first.
    Shape::of(&args.output)?;
    let part = args.max_part_size.as_deref().map(|text| size(text, "--max-part-size")).transpose()?;
    let mtime = Clamp::parse(env.get(clamp::VARIABLE).map(String::as_str))?.seconds().unwrap_or(0).into();
    let (wanted, secrets) = wanted(args, settings, env, console)?;
    let store = open(&settings.cache_dir.value)?;
    let plan = gather::plan(&store, wanted)?;
    tell(&plan, args, console)?;
    keeps_secrets(&plan, &secrets)?;
    let (path, force) = (args.output.clone(), args.force);
    let work = move |cancel: &std::sync::atomic::AtomicBool| {
        let progress = Progress::new("Packed");
        let telling = Telling { cancel, progress: &|done, total| progress.show(done, Some(total)) };
        let output = Output::create(&path, part, mtime, force)?;
        export::write(&store, &plan, output, &path, mtime, &telling).map(|exported| (exported, plan))
    };
    let (exported, plan) = interruptible(work).await?;
    report(&exported, &plan, args, console)
}

/// The records meant, the template, and what must not be in the bundle.
fn wanted(args: &BundleExportArgs, settings: &Settings, env: &Env, console: &Console) -> Result<(Wanted, Vec<String>)> {
    let state = &settings.state_dir.value;
    let include_private = args.include_private;
    if let [only] = args.what.as_slice()
        && Path::new(only).exists()
    {
        let (record, template, secrets) = of_template(Path::new(only), args, state, env, console)?;
        return Ok((Wanted { records: vec![record], template: Some(template), include_private }, secrets));
    }
    if !args.var.is_empty() || !args.var_file.is_empty() {
        return Err(Error::new("variables belong to a template, and runs are named")
            .hint("give the template in place of the runs, or leave the variables out"));
    }
    let runs = RunStore::open_to_read(state)?;
    let mut records = Vec::new();
    for id in &args.what {
        let known = runs.as_ref().map(|runs| runs.run(id)).transpose();
        // `larder exec` has a record, and is no run of the history.
        let found = match known {
            Ok(run) => Record::read(state, run.as_ref().map_or(id, |run| &run.id))?,
            Err(error) => match Record::read(state, id) {
                Ok(Some(record)) => Some(record),
                _ => return Err(error),
            },
        };
        records.push(found.ok_or_else(|| no_record(&format!("run {id}")))?);
    }
    Ok((Wanted { records, template: None, include_private }, Vec::new()))
}

fn no_record(what: &str) -> Error {
    Error::new(format!("there is no record of what {what} fetched"))
        .hint("it is there once a run has ended; `larder history` lists the runs, `larder build TEMPLATE` makes one")
}

fn of_template(
    path: &Path,
    args: &BundleExportArgs,
    state: &Path,
    env: &Env,
    console: &Console,
) -> Result<(Record, TemplateDocument, Vec<String>)> {
    let template_args = TemplateArgs {
        template: path.to_owned(),
        var: args.var.clone(),
        var_file: args.var_file.clone(),
        only: Vec::new(),
        except: Vec::new(),
        use_sequential_evaluation: false,
        ignore_prerelease_plugins: false,
    };
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &template_args, env, cwd: &cwd, warn_on_undeclared: false, settings: None };
    let (template, loaded) = reading.template(Depth::Declared, console)?;
    let absolute = path.canonicalize().context(|| format!("cannot find {}", path.display()))?;
    let absolute = absolute.display().to_string();
    let runs = match RunStore::open_to_read(state)? {
        Some(runs) => runs.runs(Some(&absolute), RUNS)?,
        None => Vec::new(),
    };
    let mut ended = runs.iter().filter(|run| run.template == absolute && run.ending == Some(Ending::Succeeded));
    let found = ended.find_map(|run| Record::read(state, &run.id).transpose().map(|record| (run, record)));
    let Some((run, record)) = found else {
        return Err(no_record(&format!("a build of {}", path.display()))
            .hint("a build of it that succeeds leaves one: larder build TEMPLATE"));
    };
    if run.template_digest != digest(loaded.sources.files_read()) {
        console.warning(&format!(
            "{} or a file of variables has changed since the run {}, whose downloads go into the bundle",
            path.display(),
            run.id
        ));
    }
    let mut document = TemplateDocument::default();
    for (name, text) in loaded.sources.files_read() {
        let name = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Files of variables hold what may be secret, and the values follow.
        if !name.contains(".pkrvars.") && !args.var_file.iter().any(|file| file.ends_with(&name)) {
            document.files.insert(name, text.to_owned());
        }
    }
    let open = template.variables.iter().filter(|(_, variable)| !variable.sensitive && !variable.value.is_sensitive());
    let values = open.filter_map(|(name, variable)| Some((name.clone(), to_json(&variable.value).ok()?)));
    document.variables = values.collect::<BTreeMap<_, _>>();
    Ok((record?, document, loaded.secrets.values()))
}

/// Fails where a secret of the template would be in the bundle.
fn keeps_secrets(plan: &Plan, secrets: &[String]) -> Result<()> {
    let redactor = Redactor::default();
    for secret in secrets {
        redactor.register(secret);
    }
    let holds = |text: &str| redactor.text(text.to_owned()) != text;
    for (name, text) in plan.template().into_iter().flat_map(|template| &template.files) {
        if holds(text) {
            return Err(Error::new(format!(
                "{name} holds the value of a sensitive variable, and would go into the bundle"
            ))
            .hint("give the value by -var, a file of variables or the environment, not in the template"));
        }
    }
    for (name, value) in plan.template().into_iter().flat_map(|template| &template.variables) {
        if holds(&value.to_string()) {
            return Err(Error::new(format!("the variable {name} holds the value of a sensitive one"))
                .hint("declare it as sensitive, too"));
        }
    }
    let entry = plan.record.entries.iter().find(|entry| {
        holds(&entry.url)
            || entry.headers.values().any(|value| holds(value))
            || entry.location.iter().any(|to| holds(to))
    });
    let answer =
        plan.answers.iter().find(|answer| holds(&answer.url) || answer.headers.iter().any(|(_, value)| holds(value)));
    if let Some(url) = entry.map(|entry| &entry.url).or(answer.map(|answer| &answer.url)) {
        let shown = printable(&redactor.text(url.clone()));
        return Err(Error::new(format!("the URL or head of {shown} holds the value of a sensitive variable"))
            .hint("send it in another way than in a URL, and build again"));
    }
    Ok(())
}

/// Says what will not be in the bundle; fails where that was not allowed.
fn tell(plan: &Plan, args: &BundleExportArgs, console: &Console) -> Result<()> {
    let list = |entries: &[Lacking]| {
        for lacking in entries.iter().take(SHOWN) {
            console.note(&format!("  {} {}: {}", lacking.method, printable(&lacking.url), lacking.why));
        }
        if entries.len() > SHOWN {
            console.note(&format!("  and {} more", entries.len() - SHOWN));
        }
    };
    if !plan.private.is_empty() {
        console.warning(&format!(
            "{} left out, since fetched with credentials; --include-private puts them in:",
            answers(plan.private.len())
        ));
        list(&plan.private);
    }
    if plan.private_taken > 0 {
        console.warning(&format!(
            "{} in the bundle were fetched with credentials; whoever has it has them",
            answers(plan.private_taken)
        ));
    }
    let of_run: Vec<_> = plan.record.incomplete.iter().filter(|lack| lack.url.is_none() || !plan.lacks(lack)).collect();
    if !of_run.is_empty() && plan.missing.is_empty() {
        for lack in of_run.iter().take(SHOWN) {
            let url = lack.url.as_deref().map(|url| format!("{url}: ")).unwrap_or_default();
            console.warning(&format!(
                "a run offline cannot repeat all of it: {}",
                printable(&format!("{url}{}", lack.why))
            ));
        }
    }
    if plan.missing.is_empty() {
        return Ok(());
    }
    console.note(&format!("{} cannot be put into the bundle:", answers(plan.missing.len())));
    list(&plan.missing);
    if args.allow_incomplete {
        return Ok(());
    }
    Err(Error::new("the cache has not everything that was fetched, and nothing was written")
        .hint("build once more, which fetches it again; --allow-incomplete writes a bundle of what there is"))
}

fn answers(count: usize) -> String {
    if count == 1 { "1 answer".to_owned() } else { format!("{count} answers") }
}

fn report(exported: &Exported, plan: &Plan, args: &BundleExportArgs, console: &Console) -> Result<()> {
    let written = &exported.written;
    let sum: u64 = plan.bodies.values().sum();
    let signed = output::signed(&args.output, args.max_part_size.is_some())?;
    if args.json.json {
        let lists = |lacking: &[Lacking]| -> Vec<_> {
            lacking.iter().map(|one| json!({ "method": one.method, "url": one.url, "why": one.why })).collect()
        };
        return console.json(&json!({
            "file": args.output, "files": written.files, "size": written.size,
            "digest": written.digest.as_ref().map(|digest| format!("sha256:{digest}")),
            "manifest": format!("sha256:{}", exported.manifest), "answers": plan.record.entries.len(),
            "bodies": plan.bodies.len(), "bytes": sum, "complete": plan.record.complete,
            "sign": signed, "private": lists(&plan.private), "missing": lists(&plan.missing),
        }));
    }
    console.line(&format!(
        "{}: {} with {} bodies of {}, {} in {}",
        args.output.display(),
        answers(plan.record.entries.len()),
        plan.bodies.len(),
        bytes(sum),
        bytes(written.size),
        if written.files == 1 { "one file".to_owned() } else { format!("{} files", written.files) },
    ))?;
    if let Some(digest) = &written.digest {
        let of = if args.max_part_size.is_some() { "parts together" } else { "file" };
        console.line(&format!("{of:<10} sha256:{digest}"))?;
    }
    console.line(&format!("bundle     sha256:{}", exported.manifest))?;
    console.note(&format!("To sign it: minisign -Sm {}", signed.display()));
    Ok(())
}
