use std::io;

use super::*;
use crate::template::body::{ConfigBody, DecodeEnv};
use crate::template::files::HostFiles;
use crate::template::go::engine::BuildValues;
use crate::template::source;

mod dynamic;
mod json;
mod values;

crate::config! {
    /// A component for tests.
    struct Any {
        /// Text.
        text: String,
        /// More text.
        more: Vec<String>,
        /// How often.
        count: Option<i64>,
    }
}

#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl FileLoader for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.0.keys().filter(|file| file.parent() == Some(path)).cloned().collect())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.parent() == Some(path))
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

pub(crate) struct Case {
    pub(crate) options: LoadOptions,
    files: Memory,
}

pub(crate) fn case(text: &str) -> Case {
    let options = LoadOptions {
        path: "t.pkr.hcl".into(),
        vars: Vec::new(),
        var_files: Vec::new(),
        env: BTreeMap::new(),
        cwd: "/w".into(),
        now: Timestamp::UNIX_EPOCH,
        packer_version: "1.16.0".into(),
        depth: Depth::Whole,
        stdin: None,
        warn_on_undeclared: false,
        remote: None,
    };
    Case { options, files: Memory::default() }.file("t.pkr.hcl", text)
}

impl Case {
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.0.insert(Path::new("/w").join(name), text.into());
        self
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.options.vars.push((name.into(), value.into()));
        self
    }

    pub(crate) fn load(self) -> Loaded {
        self.load_with(Data::Unknown)
    }

    pub(crate) fn load_with(self, data: Data<'_>) -> Loaded {
        load_with(&self.options, Arc::new(self.files), data)
    }

    #[track_caller]
    pub(crate) fn template(self) -> Template {
        self.template_with(Data::Unknown)
    }

    #[track_caller]
    pub(crate) fn template_with(self, data: Data<'_>) -> Template {
        let loaded = self.load_with(data);
        let rendered = loaded.diagnostics.render(&loaded.sources, 100, false);
        loaded.template.unwrap_or_else(|| panic!("{rendered}"))
    }

    pub(crate) fn errors(self) -> Vec<String> {
        let loaded = self.load();
        loaded.diagnostics.iter().map(|diagnostic| diagnostic.one_line(&loaded.sources)).collect()
    }
}

fn local(template: &Template, name: &str) -> String {
    super::super::hcl::convert::to_json(&template.locals[name]).map(|json| json.to_string()).unwrap_or_default()
}

const BUILD: &str = r#"
variable "greeting" { default = "hello" }
source "null" "web" { text = "a" }
build {
  name = "site"
  source "source.null.web" {
    name = "front"
    count = 3
  }
  sources = ["null.web"]
  provisioner "shell" {
    only          = ["null.front"]
    pause_before  = "5s"
    max_retries   = "2"
    override      = { web = { count = 7 } }
    text          = "${var.greeting} ${build.Host} {{ build `ID` }}"
    more          = [source.name, build.name]
  }
  post-processors {
    post-processor "compress" { keep_input_artifact = true }
    post-processor "manifest" {}
  }
  post-processor "checksum" {}
}
"#;

#[test]
fn a_template_becomes_the_model() {
    let template = case(BUILD).template();
    let build = &template.builds[0];
    let ids: Vec<String> = build.sources.iter().map(source::BuildSource::id).collect();
    // As in Packer, those of `sources` come first.
    assert_eq!(ids, ["site.null.web", "site.null.front"]);
    assert_eq!(build.sources[1].name, "web");
    let provisioner = &build.provisioners[0];
    assert_eq!((provisioner.kind.as_str(), provisioner.max_retries), ("shell", 2));
    assert_eq!(provisioner.pause_before, std::time::Duration::from_secs(5));
    let chains: Vec<Vec<&str>> =
        build.post_processors.iter().map(|chain| chain.iter().map(|block| block.kind.as_str()).collect()).collect();
    assert_eq!(chains, [vec!["compress", "manifest"], vec!["checksum"]]);
    let (decoded, diagnostics) = build.sources[1].body.decode::<Any>(&DecodeEnv::default());
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!((decoded.config.text.as_str(), decoded.config.count), ("a", Some(3)));
}

#[test]
fn build_values_are_unknown_while_validating_and_known_when_running() {
    let template = case(BUILD).template();
    let provisioner = &template.builds[0].provisioners[0];
    let mut env = DecodeEnv {
        source_name: Some("web".into()),
        builder_type: Some("null".into()),
        build_name: Some("site".into()),
        ..DecodeEnv::default()
    };
    let (decoded, diagnostics) = provisioner.body.decode::<Any>(&env);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert!(decoded.is_unknown("text") && !decoded.is_unknown("more"));
    assert_eq!(decoded.config.more, ["web", "site"]);

    let known = [("Host", "10.0.0.1"), ("ID", "i-1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    env.build = BuildValues::Known(known.into());
    env.overrides = provisioner.overrides.get("web").cloned();
    let (decoded, diagnostics) = provisioner.body.decode::<Any>(&env);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(decoded.config.text, "hello 10.0.0.1 i-1");
    assert_eq!(decoded.config.count, Some(7));
}

#[test]
fn bodies_can_move_between_tasks() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<ConfigBody>();
    check::<Template>();
}

#[test]
fn later_values_of_variables_win() {
    let text = "variable \"a\" { default = \"default\" }\nlocals { a = var.a }";
    let with_env = |mut case: Case| {
        case.options.env.insert("PKR_VAR_a".into(), "env".into());
        case
    };
    assert_eq!(local(&case(text).template(), "a"), "\"default\"");
    assert_eq!(local(&with_env(case(text)).template(), "a"), "\"env\"");
    let directory = |case: Case| {
        let mut case = with_env(case).file("x.auto.pkrvars.hcl", "a = \"auto\"").file("f.pkrvars.hcl", "a = \"file\"");
        case.options.path = ".".into();
        case.options.cwd = "/w".into();
        case.options.path = "/w".into();
        case
    };
    assert_eq!(local(&directory(case(text)).template(), "a"), "\"auto\"");
    let with_file = |case: Case| {
        let mut case = directory(case);
        case.options.var_files.push("f.pkrvars.hcl".into());
        case
    };
    assert_eq!(local(&with_file(case(text)).template(), "a"), "\"file\"");
    assert_eq!(local(&with_file(case(text)).var("a", "cli").template(), "a"), "\"cli\"");
    let single = with_env(case(text)).file("x.auto.pkrvars.hcl", "a = \"auto\"");
    assert_eq!(local(&single.template(), "a"), "\"env\"", "a single file loads no automatic variables");
}

#[test]
fn values_are_read_as_the_type_asks() {
    let text = "variable \"l\" { type = list(number) }\nvariable \"b\" { type = bool }\n\
                variable \"s\" { type = string }\nlocals { all = [var.l, var.b, var.s] }";
    let template = case(text).var("l", "[1, \"2\"]").var("b", "true").var("s", "[x").template();
    assert_eq!(local(&template, "all"), "[[1,2],true,\"[x\"]");
    let errors = case(text).var("l", "[\"x\"]").var("b", "maybe").var("s", "").errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().all(|error| error.starts_with("-var ")), "{errors:?}");
}

#[test]
fn locals_are_evaluated_in_order_of_use_and_circles_are_reported() {
    let template = case("locals {\n a = local.b + 1\n b = local.c * 2\n c = 3\n}").template();
    assert_eq!(local(&template, "a"), "7");
    let errors = case("locals {\n a = local.b\n b = local.c\n c = local.b\n d = 1\n}").errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("local.b -> local.c -> local.b"), "{errors:?}");
}

#[test]
fn every_error_is_reported_with_its_place() {
    let text = "variable \"a\" {}\nvariable \"b\" {\n  defualt = 1\n}\nlocals {\n  x = vra.a\n  y = 1 / 0\n}\n\
                build {\n  sources = [\"source.null.web\"]\n  provisoner \"shell\" {}\n}\n";
    let errors = case(text).errors();
    let places: Vec<&str> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(
        places,
        [
            "t.pkr.hcl:3:3:",
            "t.pkr.hcl:1:1:",
            "t.pkr.hcl:4:1:",
            "t.pkr.hcl:6:7:",
            "t.pkr.hcl:7:11:",
            "t.pkr.hcl:10:14:",
            "t.pkr.hcl:11:3:"
        ]
        .map(|place| if place == "t.pkr.hcl:4:1:" { "t.pkr.hcl:2:1:" } else { place }),
        "{errors:#?}"
    );
}

#[test]
fn sensitive_values_are_collected_and_stay_marked() {
    let text = "variable \"p\" {\n default = \"hunter2\"\n sensitive = true\n}\nlocals { q = \"x${var.p}\" }\n\
                local \"r\" {\n expression = \"other\"\n sensitive = true\n}\nlocals { s = local.q }";
    let loaded = case(text).load();
    assert_eq!(loaded.secrets.values(), ["xhunter2", "hunter2", "other"]);
    let template = loaded.template.expect("no errors");
    assert!(template.locals["s"].is_sensitive());
}

#[test]
fn validation_and_undeclared_variables_are_reported() {
    let text = "variable \"n\" {\n type = number\n default = 1\n validation {\n condition = var.n > 3\n \
                error_message = \"Too small.\"\n }\n}";
    let errors = case(text).var("m", "1").errors();
    assert!(errors.iter().any(|error| error.contains("Too small.")), "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("-var sets `m`, which is not declared")), "{errors:?}");
    assert!(case(text).var("n", "4").load().template.is_some());
}

#[test]
fn other_kinds_of_templates_are_refused_clearly() {
    let named = |path: &str, text: &str| {
        let mut case = case("").file(path, text);
        case.options.path = path.into();
        case.errors()
    };
    assert_eq!(
        named("a.hcl", "source \"null\" \"a\" {}"),
        [
            "a.hcl:1:1: error: a value is expected here: a template of this name is JSON, and begins with `{` (a template in HCL2 must be in a file named *.pkr.hcl)"
        ]
    );
    assert!(case("packer { required_version = \">= 9\" }").errors()[0].contains(">= 9"));
    let mut missing = case("");
    missing.options.path = "b.json".into();
    assert_eq!(missing.errors(), ["error: there is no template b.json (name a file or a directory that exists)"]);
}

#[test]
fn dynamic_blocks_are_expanded() {
    let text = "source \"null\" \"x\" {\n dynamic \"part\" {\n for_each = [\"a\", \"b\"]\n content { name = part.value }\n }\n}";
    let template = case(text).template();
    let (body, diagnostics) = template.sources[0].body.evaluate(&DecodeEnv::default());
    assert!(diagnostics.is_empty());
    assert_eq!(body.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["part", "part"]);
}

#[test]
fn options_set_twice_are_reported_at_both_places() {
    let text = "source \"null\" \"x\" { text = \"a\" }\nbuild {\n source \"null.x\" { text = \"b\" }\n}";
    let loaded = case(text).load();
    insta::assert_snapshot!(loaded.diagnostics.render(&loaded.sources, 100, false), @r#"
    error: `text` is set twice
     --> t.pkr.hcl:3:20
      |
    1 | source "null" "x" { text = "a" }
      |                     ---- first set here
    2 | build {
    3 |  source "null.x" { text = "b" }
      |                    ^^^^ a source in a build may only add options to the source it uses
      |
      = help: remove one of them
    "#);
}

/// Every template of the corpus, if there is one, must load or fail with diagnostics; none may panic.
#[test]
fn the_corpus_is_parsed() {
    let root = std::env::var_os("LARDER_CORPUS").map_or_else(|| PathBuf::from("../shared/corpus"), PathBuf::from);
    if !root.is_dir() {
        println!("skipped: there is no corpus in {}", root.display());
        return;
    }
    let (mut directories, mut parsed, mut failed, mut loaded) = (vec![root], 0, Vec::new(), 0);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if ends(&path, ".pkr.hcl") {
                let mut options = case("").options;
                options.cwd = path.parent().expect("in a directory").to_owned();
                options.path = path.file_name().expect("a file").into();
                options.depth = Depth::Syntax;
                let result = load(&options, Arc::new(HostFiles));
                let text = result.diagnostics.render(&result.sources, 80, true);
                if result.diagnostics.has_errors() {
                    failed.push((path.clone(), text));
                } else {
                    parsed += 1;
                }
                options.depth = Depth::Whole;
                let full = load(&options, Arc::new(HostFiles));
                let _ = full.diagnostics.render(&full.sources, 80, true);
                loaded += usize::from(full.template.is_some());
            }
        }
    }
    println!("{parsed} parsed, {} failed to parse, {loaded} evaluated without errors", failed.len());
    let fixture = |path: &Path| path.to_string_lossy().contains("hashicorp");
    let unexpected: Vec<_> = failed.iter().filter(|(path, _)| !fixture(path)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
