//! `larder plan`: what would be built, in what order, and what would be fetched for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use larder_proxy::flow::Flow;
use larder_proxy::identity::Client;
use serde::Serialize;

use super::args::PlanArgs;
use super::components::Purpose;
use super::console::Console;
use super::holdings::Holdings;
use super::session::Session;
use super::settings::{Net, Settings};
use super::template::{CHECKED, Reading, Ready};
use super::{Env, components, missing, proxy_config};
use crate::builder::StepNames;
use crate::error::{Context as _, Exit, Result};
use crate::output::text::{bytes, printable, table};
use crate::plan::BuildPlan;
use crate::plan::fetch::{Fetch, Held, Item, Sums, look_up};

/// A plan as it is shown, and its JSON.
#[derive(Serialize)]
struct Shown {
    /// Where answers may come from.
    net: &'static str,
    builds: Vec<BuildShown>,
    /// What an earlier run of the template fetched besides; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Recorded>,
    /// Sums over all of it by what the cache has: `fresh`, `stale`, `missing`.
    sums: BTreeMap<&'static str, Sums>,
}

#[derive(Serialize)]
struct BuildShown {
    name: String,
    builder_type: String,
    /// What is done, in order: the builder's steps and the provisioners.
    steps: Vec<StepShown>,
    provisioners: Vec<String>,
    /// What runs in the machine after a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_cleanup_provisioner: Option<String>,
    post_processors: Vec<Vec<String>>,
    fetches: Vec<Item>,
    /// What cannot be told beforehand, and why.
    unknown: Vec<String>,
}

#[derive(Serialize)]
struct StepShown {
    name: String,
    /// Whose it is: `builder`, `provisioner`.
    by: &'static str,
}

#[derive(Serialize)]
struct Recorded {
    /// Id of the run.
    run: String,
    /// Whether its record is complete.
    complete: bool,
    /// Whether the template and its variables are as they were.
    same_template: bool,
    fetches: Vec<Item>,
}

/// Prints the plan. Exit code 4 where the run is to be offline and something is missing.
pub(super) async fn run(args: &PlanArgs, settings: &Settings, env: &Env, console: &Console) -> Result<Exit> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: false, settings: Some(settings) };
    let ready = reading.ready(Purpose::Run, CHECKED, console)?;
    let rules = proxy_config::rules(settings)?;
    // Indexes are read from the cache, and nothing else is asked.
    let mut offline = settings.clone();
    offline.net.value = Net::Offline;
    let what = format!("plan {}", args.template.template.display());
    let session = Session::open(&offline, env, &what, Arc::new(|_: Flow| {})).await?;
    let holdings = Holdings::new(session.proxy.cache().store(), rules);
    let shown = shown(args, settings, &ready, &session, &holdings).await;
    session.drain().await;
    session.finish()?;
    let shown = shown?;
    if args.json.json {
        console.json(&shown)?;
    } else {
        print(&shown, args.all, console)?;
    }
    let missing = shown.sums.get(Held::Missing.as_str()).is_some_and(|sums| sums.count > 0);
    Ok(if missing && settings.net.value == Net::Offline { Exit::OfflineMiss } else { Exit::Success })
}

async fn shown(
    args: &PlanArgs,
    settings: &Settings,
    ready: &Ready,
    session: &Session,
    holdings: &Holdings,
) -> Result<Shown> {
    let mut builds = Vec::new();
    for build in &ready.plan.builds {
        let downloader = session.downloader(&Client::host(&build.id));
        let mut builder = components::builder(build, &ready.sources)?;
        let outlook = builder.outlook(&downloader).await?;
        builds.push(BuildShown {
            name: build.id.clone(),
            builder_type: build.source.builder_type.clone(),
            steps: steps(build, builder.steps()),
            provisioners: provisioners(build),
            error_cleanup_provisioner: build.error_cleanup.as_ref().map(|one| named(&one.kind, one.name.as_deref())),
            post_processors: post_processors(build),
            fetches: look_up(outlook.fetches, holdings)?,
            unknown: outlook.unknown,
        });
    }
    let recorded = recorded(args, settings, ready, &builds, holdings)?;
    let mut seen = BTreeSet::new();
    let items = builds.iter().flat_map(|build| &build.fetches);
    let items = items.chain(recorded.iter().flat_map(|recorded| &recorded.fetches));
    let items: Vec<&Item> = items.filter(|item| seen.insert(item.fetch.url.as_str())).collect();
    let of = |held: Held| (held.as_str(), Sums::of(items.iter().copied().filter(|item| item.cache == held)));
    let sums = [Held::Fresh, Held::Stale, Held::Missing].map(of).into();
    Ok(Shown { net: settings.net.value.as_str(), builds, recorded, sums })
}

fn steps(build: &BuildPlan, builder: StepNames) -> Vec<StepShown> {
    let of = |by| move |name| StepShown { name, by };
    let before = builder.before.into_iter().map(of("builder"));
    let after = builder.after.into_iter().map(of("builder"));
    before.chain(provisioners(build).into_iter().map(of("provisioner"))).chain(after).collect()
}

fn provisioners(build: &BuildPlan) -> Vec<String> {
    build.provisioners.iter().map(|block| named(&block.kind, block.name.as_deref())).collect()
}

fn post_processors(build: &BuildPlan) -> Vec<Vec<String>> {
    let chain = |chain: &Vec<crate::template::post_processor::PostProcessorBlock>| {
        chain.iter().map(|block| named(&block.kind, block.name.as_deref())).collect()
    };
    build.post_processors.iter().map(chain).collect()
}

fn named(kind: &str, name: Option<&str>) -> String {
    name.filter(|name| *name != kind).map_or_else(|| kind.to_owned(), |name| format!("{kind} ({name})"))
}

/// What the last run fetched that has a record, beside what is known without it.
fn recorded(
    args: &PlanArgs,
    settings: &Settings,
    ready: &Ready,
    builds: &[BuildShown],
    holdings: &Holdings,
) -> Result<Option<Recorded>> {
    let template = super::history::recording(settings, &args.template.template, ready);
    let Some(record) = missing::last_record(&settings.state_dir.value, &template.template, None) else {
        return Ok(None);
    };
    let known: BTreeSet<&str> =
        builds.iter().flat_map(|build| &build.fetches).map(|one| one.fetch.url.as_str()).collect();
    let ours = |names: &BTreeSet<String>| builds.iter().any(|build| names.contains(&build.name));
    let others = record.entries.iter().filter(|entry| ours(&entry.builds) && !known.contains(entry.url.as_str()));
    let mut fetches: Vec<Fetch> =
        others.map(|entry| Fetch { what: entry.class.as_str(), url: entry.url.clone(), size: entry.size }).collect();
    fetches.dedup_by(|a, b| a.url == b.url);
    let digest = record.template_digest.map(|digest| digest.0.to_string());
    Ok(Some(Recorded {
        run: record.run.clone(),
        complete: record.complete,
        same_template: digest.as_deref() == Some(template.template_digest.as_str()),
        fetches: look_up(fetches, holdings)?,
    }))
}

fn print(shown: &Shown, all: bool, console: &Console) -> Result<()> {
    for build in &shown.builds {
        console.line(&format!("{} ({})", build.name, build.builder_type))?;
        let steps: Vec<&str> = build.steps.iter().map(|step| step.name.as_str()).collect();
        let steps = (!steps.is_empty()).then(|| format!("  steps: {}", steps.join(" > ")));
        let cleanup = build.error_cleanup_provisioner.iter().map(|name| format!("  after a failure: {name}"));
        let chains = build.post_processors.iter().map(|chain| format!("  post-processors: {}", chain.join(" > ")));
        for line in steps.into_iter().chain(cleanup).chain(chains) {
            console.line(&printable(&line))?;
        }
        items(&build.fetches, all, console)?;
        for unknown in &build.unknown {
            console.line(&printable(&format!("  not known beforehand: {unknown}")))?;
        }
        console.line("")?;
    }
    match &shown.recorded {
        Some(recorded) => {
            let partly = if recorded.complete { "" } else { ", whose record is not complete," };
            let changed = if recorded.same_template { "" } else { " (the template has changed since)" };
            console.line(&format!("What the run {}{partly} fetched besides{changed}", recorded.run))?;
            items(&recorded.fetches, all, console)?;
        }
        None => {
            console.line("What provisioners fetch is not known before a first run: it is then in the run's record.")?;
        }
    }
    console.line("")?;
    let mut rows = vec![["", "files", "bytes"].map(str::to_owned).to_vec()];
    for held in [Held::Fresh, Held::Stale, Held::Missing] {
        let sums = shown.sums.get(held.as_str()).copied().unwrap_or_default();
        let unsized_ones =
            if sums.unsized_count > 0 { format!(" and {} of unknown size", sums.unsized_count) } else { String::new() };
        rows.push(vec![
            held.as_str().to_owned(),
            sums.count.to_string(),
            format!("{}{unsized_ones}", bytes(sums.bytes)),
        ]);
    }
    table(&rows, &[1]).iter().try_for_each(|line| console.line(line))
}

/// Everything that is missing, and of what is there all but packages; with `all`, these as well.
fn items(items: &[Item], all: bool, console: &Console) -> Result<()> {
    let listed = |item: &&Item| all || item.cache == Held::Missing || !matches!(item.fetch.what, "package" | "other");
    let mut rows = Vec::new();
    for item in items.iter().filter(listed) {
        let size = item.fetch.size.map_or_else(|| "-".to_owned(), bytes);
        rows.push(vec![
            format!("  {}", item.cache.as_str()),
            item.fetch.what.to_owned(),
            size,
            printable(&item.fetch.url),
        ]);
    }
    table(&rows, &[2]).iter().try_for_each(|line| console.line(line))?;
    let rest = Sums::of(items.iter().filter(|item| !listed(item)));
    if rest.count > 0 {
        console.line(&format!("  and {} in the cache, {} (--all lists them)", rest.count, bytes(rest.bytes)))?;
    }
    Ok(())
}

/// The command that builds a template again.
pub(super) fn build_again(template: &Path) -> String {
    format!("larder build {}", missing::quoted(&template.to_string_lossy()))
}
