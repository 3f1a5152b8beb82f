//! Which builds a run consists of, and of what components: plain data, made from a template and a selection.

pub mod fetch;
mod select;

use crate::error::{Error, Result};
use crate::template::build::Build;
use crate::template::post_processor::PostProcessorBlock;
use crate::template::provisioner::ProvisionerBlock;
use crate::template::source::BuildSource;
use crate::template::{Language, Template};
use select::Patterns;

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The builds, in the order they start.
    pub builds: Vec<BuildPlan>,
}

/// One build.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// Id of the build, `[build.]type.name`: unique within a plan, shown, and matched by `-only` and `-except`.
    pub id: String,
    /// The builder and its options.
    pub source: BuildSource,
    /// Provisioners that apply, in order.
    pub provisioners: Vec<ProvisionerBlock>,
    /// The error-cleanup-provisioner, if it applies.
    pub error_cleanup: Option<ProvisionerBlock>,
    /// Chains of post-processors that apply; none of them is empty.
    pub post_processors: Vec<Vec<PostProcessorBlock>>,
}

/// Makes the plan: builds selected by `-only` and `-except` (globs on their ids for HCL2, exact names for a legacy
/// template, as Packer has it). `-except` also takes post-processors by name, with the rest of their chain.
pub fn plan(template: &Template, only: &[String], except: &[String]) -> Result<Plan> {
    let only_patterns = Patterns::new("-only", only, template.language)?;
    let except_patterns = Patterns::new("-except", except, template.language)?;
    let selected = |id: &str| (only.is_empty() || only_patterns.matches(id)) && !except_patterns.matches(id);
    let mut planned = Vec::new();
    let mut all = Vec::new();
    for build in &template.builds {
        for source in &build.sources {
            let id = source.id();
            all.push(id.clone());
            if selected(&id) {
                planned.push(build_plan(build, source, id, &except_patterns));
            }
        }
    }
    if planned.is_empty() {
        return Err(nothing_to_build(&all, only, except, template.language));
    }
    disambiguate(&mut planned);
    Ok(Plan { builds: planned })
}

fn build_plan(build: &Build, source: &BuildSource, id: String, except: &Patterns) -> BuildPlan {
    let applies = |only: &[String], except: &[String]| select::applies(only, except, source);
    let chain = |chain: &Vec<PostProcessorBlock>| -> Vec<PostProcessorBlock> {
        chain
            .iter()
            .take_while(|block| !except.matches(block.name.as_deref().unwrap_or(&block.kind)))
            .filter(|block| applies(&block.only, &block.except))
            .cloned()
            .collect()
    };
    BuildPlan {
        id,
        source: source.clone(),
        provisioners: build.provisioners.iter().filter(|block| applies(&block.only, &block.except)).cloned().collect(),
        error_cleanup: build.error_cleanup.clone().filter(|block| applies(&block.only, &block.except)),
        post_processors: build.post_processors.iter().map(chain).filter(|chain| !chain.is_empty()).collect(),
    }
}

/// Two builds of one id (the same source in two unnamed `build` blocks) get a number, so that their events and logs
/// stay apart.
fn disambiguate(builds: &mut [BuildPlan]) {
    for index in 1..builds.len() {
        let (before, rest) = builds.split_at_mut(index);
        let own = &mut rest[0].id;
        let same = before.iter().filter(|build| *build.id == **own).count();
        if same > 0 {
            *own = format!("{own}#{}", same + 1);
        }
    }
}

fn nothing_to_build(all: &[String], only: &[String], except: &[String], language: Language) -> Error {
    if all.is_empty() && language == Language::LegacyJson {
        return Error::new("no builds to run: the template has no builders")
            .hint("add \"builders\": [{ \"type\": \"…\" }]");
    }
    if all.is_empty() {
        return Error::new("no builds to run: the template has no `build` block with a source")
            .hint("add `build { sources = [\"source.TYPE.NAME\"] }`");
    }
    let mut asked = Vec::new();
    if !only.is_empty() {
        asked.push(format!("-only={}", only.join(",")));
    }
    if !except.is_empty() {
        asked.push(format!("-except={}", except.join(",")));
    }
    Error::new(format!("no builds to run: none is selected by {}", asked.join(" ")))
        .hint(format!("the template has: {}", all.join(", ")))
}
