//! `dynamic` blocks.

use super::{Any, case};
use crate::template::body::DecodeEnv;
use crate::template::build::Build;
use crate::template::config::{Content, EvaluatedBody};

fn shape(body: &EvaluatedBody) -> String {
    let entry = |entry: &crate::template::config::Entry| match &entry.item.content {
        Content::Value(value) => format!("{}={}", entry.name, value.scalar_text().unwrap_or_else(|| "?".to_owned())),
        Content::Block(inner) => format!("{}{{{}}}", entry.name, shape(inner)),
        Content::Blocks(_) => entry.name.clone(),
    };
    body.entries.iter().map(entry).collect::<Vec<_>>().join(" ")
}

/// What the body of a source evaluates to.
#[track_caller]
fn source(body: &str) -> String {
    let template = case(&format!("source \"null\" \"x\" {{\n{body}\n}}")).template();
    let (body, found) = template.sources[0].body.evaluate(&DecodeEnv::default());
    assert!(found.is_empty(), "{found:?}");
    shape(&body)
}

/// What is wrong with the body of a source.
fn wrong(body: &str) -> Vec<String> {
    let loaded = case(&format!("source \"null\" \"x\" {{\n{body}\n}}")).load();
    let template = loaded.template.expect("it is found when the body is evaluated");
    let (_, found) = template.sources[0].body.evaluate(&DecodeEnv::default());
    found.iter().map(|one| one.summary.clone()).collect()
}

#[test]
fn there_is_a_block_for_each_element() {
    for (body, expected) in [
        (
            "a = 1\ndynamic \"part\" {\nfor_each = [\"a\", \"b\"]\ncontent {\nn = part.value\nk = part.key\n}\n}\nz = 2",
            "a=1 part{n=a k=0} part{n=b k=1} z=2",
        ),
        (
            "dynamic \"part\" {\nfor_each = {y = 1, x = 2}\niterator = it\ncontent {\nn = \"${it.key}${it.value}\"\n}\n}",
            "part{n=x2} part{n=y1}",
        ),
        (
            "dynamic \"part\" {\nfor_each = convert([\"b\", \"a\"], set(string))\ncontent {\nn = part.key\n}\n}",
            "part{n=a} part{n=b}",
        ),
        ("dynamic \"part\" {\nfor_each = []\ncontent {}\n}", ""),
        (
            "dynamic \"a\" {\nfor_each = [1, 2]\ncontent {\ndynamic \"b\" {\nfor_each = [a.value * 10]\ncontent {\nn = a.value + b.value\n}\n}\n}\n}",
            "a{b{n=11}} a{b{n=22}}",
        ),
        (
            "dynamic \"a\" {\nfor_each = [1]\ncontent {\ndynamic \"a\" {\nfor_each = [a.value + 1]\ncontent {\nn = a.value\n}\n}\n}\n}",
            "a{a{n=2}}",
        ),
        // Not known yet: there is one, of which nothing is known.
        (
            "dynamic \"part\" {\nfor_each = jsondecode(build.Later)\ncontent {\nn = part.value\nm = 1\n}\n}",
            "part{n=? m=1}",
        ),
    ] {
        assert_eq!(source(body), expected, "{body}");
    }
}

#[test]
fn what_is_wrong_with_them_is_told() {
    for (body, expected) in [
        ("dynamic \"p\" {\nfor_each = null\ncontent {}\n}", vec!["`for_each` must not be null"]),
        ("dynamic \"p\" {\nfor_each = 5\ncontent {}\n}", vec!["a number cannot be gone over by `for`"]),
        ("dynamic \"p\" {\ncontent {}\n}", vec!["a dynamic block needs `for_each` and a `content` block"]),
        ("dynamic \"p\" {\nfor_each = [1]\n}", vec!["a dynamic block needs `for_each` and a `content` block"]),
        ("dynamic \"p\" {\nfor_each = [1]\niterator = \"x\"\ncontent {}\n}", vec!["an iterator is a plain name"]),
        ("dynamic \"p\" {\nfor_each = [1]\nlabels = [\"x\"]\ncontent {}\n}", vec!["`p` takes no labels here"]),
        (
            "dynamic \"p\" {\nfor_each = [1]\nforeach = 2\ncontent {}\n}",
            vec!["a dynamic block has no option `foreach`"],
        ),
        (
            "dynamic \"p\" {\nfor_each = [1]\ncontent {}\ncontent {}\n}",
            vec!["a dynamic block holds one `content` block and no other"],
        ),
        (
            "dynamic \"p\" {\nfor_each = [nope, nada]\ncontent {}\n}",
            vec!["there is no `nope` here", "there is no `nada` here"],
        ),
        ("p \"x\" {}", vec!["`p` takes no label here"]),
    ] {
        assert_eq!(wrong(body), expected, "{body}");
    }
}

const BUILD: &str = r#"
variable "steps" { default = { b = "two", a = "one" } }
source "null" "x" {}
source "null" "y" {}
build {
  dynamic "source" {
    for_each = ["x", "y"]
    labels   = ["null.${source.value}"]
    content { name = "${source.value}1" }
  }
  dynamic "provisioner" {
    for_each = var.steps
    iterator = step
    labels   = ["shell"]
    content {
      only     = ["null.${step.key == "a" ? "x" : "y"}1"]
      override = { x1 = { text = step.value } }
      text     = "${step.value} on ${source.name}"
      dynamic "nested" {
        for_each = [step.value]
        content { value = "${step.key}${nested.value}" }
      }
    }
  }
  dynamic "post-processors" {
    for_each = [["a", "b"], ["c"]]
    content {
      dynamic "post-processor" {
        for_each = post-processors.value
        iterator = one
        labels   = [one.value]
        content { name = "${post-processors.key}${one.value}" }
      }
    }
  }
}
"#;

fn build(text: &str) -> Build {
    case(text).template().builds.remove(0)
}

#[test]
fn a_build_takes_them_and_its_bodies_know_their_elements() {
    let build = build(BUILD);
    let ids: Vec<String> = build.sources.iter().map(crate::template::source::BuildSource::id).collect();
    assert_eq!(ids, ["null.x1", "null.y1"]);
    let of: Vec<(&str, &[String])> = build.provisioners.iter().map(|one| (one.kind.as_str(), &*one.only)).collect();
    assert_eq!(of, [("shell", &["null.x1".to_owned()][..]), ("shell", &["null.y1".to_owned()][..])]);
    assert_eq!(build.provisioners[1].overrides["x1"].options["text"].as_str(), Some("two"));
    let env = DecodeEnv { source_name: Some("y1".into()), ..DecodeEnv::default() };
    let (body, found) = build.provisioners[1].body.evaluate(&env);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(shape(&body), "text=two on y1 nested{value=btwo}");
    let chains: Vec<Vec<String>> = build
        .post_processors
        .iter()
        .map(|chain| chain.iter().map(|one| format!("{}:{}", one.kind, one.name.clone().unwrap_or_default())).collect())
        .collect();
    assert_eq!(chains, [vec!["a:0a", "b:0b"], vec!["c:1c"]]);
}

#[test]
fn labels_of_a_build_must_be_there_and_known() {
    for (labels, expected) in [
        ("", "a dynamic `provisioner` block needs `labels`"),
        ("labels = []", "the block needs 1 labels"),
        ("labels = [\"a\", \"b\"]", "the block needs 1 labels"),
        ("labels = [build.Later]", "the block needs 1 labels"),
        ("labels = [[]]", "the block needs 1 labels"),
        ("labels = [null]", "the block needs 1 labels"),
        ("labels = [nope]", "there is no `nope` here"),
    ] {
        let text = format!("build {{\ndynamic \"provisioner\" {{\nfor_each = [1]\n{labels}\ncontent {{}}\n}}\n}}");
        let errors = case(&text).errors();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{labels}: {errors:?}");
    }
    let unknown = case("build {\ndynamic \"provisoner\" {\nfor_each = [1]\ncontent {}\n}\n}").errors();
    assert!(unknown.len() == 1 && unknown[0].contains("did you mean `provisioner`?"), "{unknown:?}");
}

#[test]
fn names_of_a_source_are_told_apart() {
    let text = "source \"null\" \"web\" {\n text = \"{{ build_name }} ${source.name}\"\n}\n\
                build {\n source \"null.web\" {\n name = \"front\"\n }\n}";
    let build = build(text);
    let source = &build.sources[0];
    let env = DecodeEnv {
        source_name: Some(source.local_name.clone()),
        declared_name: Some(source.name.clone()),
        ..DecodeEnv::default()
    };
    let (decoded, found) = source.body.decode::<Any>(&env);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(decoded.config.text, "web front");
}
