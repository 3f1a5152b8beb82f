use crate::template::body::DecodeEnv;
use crate::template::load::Depth;
use crate::template::load::tests::{Case, case};

const TEMPLATE: &str = r#"{
  "//": "in JSON",
  "packer": {"required_version": ">= 1.7", "required_plugins": {"x": {"source": "github.com/a/b", "version": ">= 1"}}},
  "variable": {
    "name": {"type": "string", "default": "world", "//": "whom"},
    "list": {"type": "list(string)", "default": ["a", "b"],
             "validation": {"condition": "${length(var.list) > 0}", "error_message": "A list."}}
  },
  "locals": {"hello": "hello ${var.name}", "upper": "${upper(\"a\\\"b\")} $${x}", "map": {"k-${var.name}": "${var.list}"}},
  "source": {"null": {"web": {"text": "${local.hello}\n\"{{ build_name }}\"", "count": 3}}},
  "build": {
    "name": "site",
    "sources": ["source.null.web"],
    "source": {"source.null.web": {"name": "again"}},
    "provisioner": [
      {"shell": {"inline": ["echo ${source.name}"], "only": ["null.web"]}},
      {"file": [{"source": "a"}, {"source": "b"}]}
    ],
    "post-processors": [{"post-processor": [{"checksum": {}}, {"manifest": {}}]}],
    "post-processor": {"compress": {}}
  }
}"#;

fn json(text: &str) -> Case {
    let mut case = case("").file("t.pkr.json", text);
    case.options.path = "t.pkr.json".into();
    case
}

#[test]
fn a_template_means_what_it_means_in_hcl() {
    let template = json(TEMPLATE).template();
    let text = |name: &str| crate::template::hcl::convert::to_json(&template.locals[name]).unwrap().to_string();
    assert_eq!(text("hello"), "\"hello world\"");
    assert_eq!(text("upper"), "\"A\\\"B ${x}\"");
    assert_eq!(text("map"), "{\"k-world\":[\"a\",\"b\"]}");
    assert_eq!(template.required_plugins[0].source, "github.com/a/b");
    let build = &template.builds[0];
    let ids: Vec<String> = build.sources.iter().map(crate::template::source::BuildSource::id).collect();
    assert_eq!(ids, ["site.null.web", "site.null.again"]);
    let kinds: Vec<&str> = build.provisioners.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!(kinds, ["shell", "file", "file"]);
    assert_eq!(build.provisioners[0].only, ["null.web"]);
    let mut chains: Vec<Vec<&str>> =
        build.post_processors.iter().map(|chain| chain.iter().map(|block| block.kind.as_str()).collect()).collect();
    chains.sort();
    assert_eq!(chains, [vec!["checksum", "manifest"], vec!["compress"]]);
    let (body, diagnostics) = build.sources[0].body.evaluate(&DecodeEnv::default());
    assert!(diagnostics.is_empty());
    assert_eq!(body.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["text", "count"]);
}

#[test]
fn places_are_those_in_the_json() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        (
            "{\n \"sorce\": {}\n}",
            "2:2: error: unknown option or block `sorce`: a template has none of this name (did you mean `source`?)",
        ),
        ("{\"locals\": {\"a\": \"x\\n${nope.b}\"}}", "1:18: error: there is no `nope` here"),
        (
            "{\"locals\": {\"a\": \"${\", \"b\": \"${local.c}\"}}",
            "1:21: error: a value is needed here: found the end of the text",
        ),
        ("{\"source\": {\"null\": {\"a\": 1}}}", "1:27: error: `source` must be an object: found a number"),
        (
            "{\"source\": {\"null\": {}}, \"build\": {\"sources\": [\"null.b\"]}}",
            "1:48: error: there is no source `null.b`",
        ),
        (
            "{\"build\": {\"provisioner\": [{\"shell\": {\"pause_before\": 5}}]}}",
            "1:55: error: wrong value for `pause_before`",
        ),
        ("{\"variable\": {\"a\": {\"type\": \"sting\"}}}", "1:30: error: `sting` is not a type"),
        ("{\"variable\": {\"a\": {}}}", "1:15: error: the variable `a` has no value"),
        ("{\"locals\": {\"a b\": 1}}", "1:13: error: this cannot be the name of an option or block"),
        ("{\"locals\": {\"a\": 1, \"a\": 2}}", "1:21: error: `a` is given twice"),
        ("{\"locals\": 1,}", "1:13: error: there is a comma after the last value"),
    ] {
        let errors = json(text).errors();
        if !errors[0].starts_with(&format!("t.pkr.json:{expected}")) {
            wrong.push((text, errors));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn frames_show_the_json() {
    let loaded = json("{\n  \"locals\": {\n    \"a\": \"${upper(1, 2)}\"\n  }\n}").load();
    insta::assert_snapshot!(loaded.diagnostics.render(&loaded.sources, 100, false), @r#"
    error: `upper` failed
     --> t.pkr.json:3:22
      |
    3 |     "a": "${upper(1, 2)}"
      |                      ^ it takes only 1 argument
    "#);
}

#[test]
fn a_block_may_be_given_several_times() {
    let text = r#"{"build": {"provisioner": {"shell": {}, "shell": {}}, "provisioner": {"file": {}}}, "build": {}}"#;
    let template = json(text).template();
    let kinds: Vec<&str> = template.builds[0].provisioners.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!((kinds, template.builds.len()), (vec!["shell", "shell", "file"], 2));
}

#[test]
fn dynamic_blocks_and_data_sources_are_those_of_hcl() {
    let text = r#"{
      "data": {"null": {"a": {"input": "x"}}},
      "locals": {"kinds": ["shell", "file"], "later": "${data.null.a.output}"},
      "source": {"null": {"web": {"dynamic": {"part": {"for_each": ["a", "b"], "content": {"n": "${part.value}"}}}}}},
      "build": {
        "dynamic": {
          "provisioner": {"for_each": "${local.kinds}", "labels": ["${provisioner.value}"], "content": {"n": "${provisioner.key}"}},
          "post-processors": {"for_each": [1], "content": {"post-processor": {"manifest": {}}}}
        }
      }
    }"#;
    let template = json(text).template();
    let kinds: Vec<&str> = template.builds[0].provisioners.iter().map(|block| block.kind.as_str()).collect();
    assert_eq!(kinds, ["shell", "file"]);
    let (body, found) = template.sources[0].body.evaluate(&DecodeEnv::default());
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(body.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["part", "part"]);
}

#[test]
fn both_forms_of_hcl2_make_one_template_of_a_directory() {
    let mut case = case("locals { a = \"${local.b}!\" }").file("u.pkr.json", "{\"locals\": {\"b\": \"there\"}}");
    case = case
        .file("x.auto.pkrvars.json", "{\"v\": [1]}")
        .file("v.pkr.json", "{\"variable\": {\"v\": {\"type\": \"list(number)\"}}}");
    case.options.path = "/w".into();
    let template = case.template();
    assert_eq!(template.locals["a"].scalar_text().unwrap(), "there!");
    assert_eq!(template.variables["v"].value.elements().unwrap().len(), 1);
}

#[test]
fn values_of_variable_files_have_their_places() {
    let mut case = json("{\"variable\": {\"v\": {\"type\": \"number\"}}}").file("v.json", "{\n  \"v\": \"x\"\n}");
    case.options.var_files = vec!["v.json".into()];
    assert!(case.errors()[0].starts_with("v.json:2:3: error: the value given to `v` does not fit its type"));
}

proptest::proptest! {
    /// Whatever a string holds, it spoils nothing after it, and without an expression it stays what it is.
    #[test]
    fn strings_do_not_run_over(text in "(\\$|%|\\{|\\}|\"|\\\\|a|ä|\n|\u{1}|if|for| |\\(|\\)){0,12}") {
        let template = serde_json::json!({"locals": {"a": text, "b": "${1 + 1}"}}).to_string();
        let mut case = json(&template);
        case.options.depth = Depth::Syntax;
        let syntax = case.errors();
        if syntax.is_empty() && !text.contains("${") && !text.contains("%{") {
            let template = json(&template).template();
            proptest::prop_assert_eq!(template.locals["a"].scalar_text().unwrap(), text);
            proptest::prop_assert_eq!(template.locals["b"].scalar_text().unwrap(), "2");
        } else if !syntax.is_empty() {
            // Whatever is wrong is wrong in that string.
            let end = template[..template.rfind(",\"b\":").unwrap()].chars().count();
            let column = |error: &String| error.split(':').nth(2).and_then(|column| column.parse::<usize>().ok());
            proptest::prop_assert!(syntax.iter().all(|error| column(error).is_some_and(|at| at <= end)), "{:?}", syntax);
        }
    }
}
