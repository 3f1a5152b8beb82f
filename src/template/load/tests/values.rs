//! Locals, data sources, and what variables may be made of.

use super::{case, local};
use crate::template::Data;
use crate::template::body::ConfigBody;
use crate::template::data::DataSources;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::hcl::value::{Type, Value};

/// Data sources that count what they are given.
#[derive(Debug)]
struct Echo;

impl DataSources for Echo {
    fn check(&self, kind: &str, _: &ConfigBody, _: &mut Diagnostics) -> Option<Type> {
        (kind == "null").then(|| Type::object([("output".to_owned(), Type::String)]))
    }

    fn read(&self, _: &str, body: &ConfigBody) -> Result<Value, Box<Diagnostic>> {
        let (given, _) = body.evaluate(&crate::template::DecodeEnv::default());
        match given.get("input").and_then(|(_, item)| Some(item.value()?.clone())) {
            Some(input) => Ok(Value::object([("output".to_owned(), input)].into())),
            None => Err(Box::new(Diagnostic::error("there is no input"))),
        }
    }
}

const DATA: &str = r#"
data "null" "first" { input = "a${local.b}" }
data "null" "second" { input = "${data.null.first.output}c" }
locals {
  b = "b"
  d = "${data.null.second.output}d"
}
"#;

#[test]
fn locals_and_data_sources_use_each_other() {
    let template = case(DATA).template_with(Data::Read(&Echo));
    assert_eq!(local(&template, "d"), "\"abcd\"");
    let template = case(DATA).template_with(Data::Checked(&Echo));
    assert_eq!(template.locals["d"], Value::unknown(Type::String));
    let wrong = format!("{DATA}locals {{\n  e = data.null.second.inptu\n}}");
    assert!(case(&wrong).errors().is_empty(), "nothing is known of what it gives");
    let loaded = case(&wrong).load_with(Data::Checked(&Echo));
    assert!(loaded.diagnostics.has_errors());
    let loaded = case("data \"null\" \"x\" {}").load_with(Data::Read(&Echo));
    let found: Vec<String> = loaded.diagnostics.iter().map(|one| one.one_line(&loaded.sources)).collect();
    assert_eq!(found, ["t.pkr.hcl:1:1: error: there is no input"]);
}

#[test]
fn every_circle_is_told_by_its_way() {
    let text = "data \"null\" \"gummy\" {\n input = data.null.bear.output\n}\n\
                data \"null\" \"bear\" {\n nested { input = [for x in [1] : local.through] }\n}\n\
                locals {\n through = data.null[\"gummy\"].output\n a = local.b\n b = local.c\n c = local.a\n \
                whole = keys(local)\n user = local.whole\n fine = local.a\n}";
    assert_eq!(
        case(text).errors(),
        [
            "t.pkr.hcl:9:2: error: locals use each other in a circle: local.a -> local.b -> local.c -> local.a (give one of them a value that does not depend on the others)",
            "t.pkr.hcl:8:2: error: locals and data sources use each other in a circle: local.through -> data.null.gummy -> data.null.bear -> local.through (give one of them a value that does not depend on the others)",
            "t.pkr.hcl:13:2: error: locals use each other in a circle: local.user -> local.whole -> local -> local.user (give one of them a value that does not depend on the others)",
        ]
    );
    assert_eq!(local(&case("locals {\n all = keys(local)\n a = 1\n b = 2\n}").template(), "all"), "[\"a\",\"b\"]");
    let own = case("locals {\n a = \"${local.a}\"\n x = [for local in [{a = 1}] : local.a]\n}").errors();
    assert!(own.len() == 1 && own[0].contains("local.a -> local.a"), "{own:?}");
}

#[test]
fn what_is_declared_wrongly_is_told_once() {
    for (text, expected) in [
        (
            "data \"null\" \"a\" {}\ndata \"null\" \"a\" {}",
            "2:1: error: the data source `data.null.a` is declared twice",
        ),
        ("data \"null\" {}", "1:1: error: a data source needs a type and a name"),
        ("locals {\n a = nope\n b = local.a\n c = \"${local.b}x\"\n}", "2:6: error: there is no `nope` here"),
        ("variable \"a\" { default = upper(\"x\") }", "1:26: error: there is no function `upper`"),
        ("variable \"a\" { default = local.x }", "1:26: error: there is no `local` here"),
        ("variable \"a\" {\n type = list\n default = []\n}", "2:9: error: `list` needs the type of its elements"),
        (
            "variable \"a\" {\n type = object({ b = optional(number, \"x\") })\n default = {}\n}",
            "2:39: error: the default of an attribute is not of its type",
        ),
        (
            "variable \"a\" {\n default = 1\n validation {\n condition = local.x > var.a\n error_message = \"No.\"\n }\n}",
            "4:14: error: a validation cannot use `local.x`",
        ),
        (
            "variable \"a\" {\n default = 1\n validation {\n condition = true\n error_message = \"No.\"\n }\n}",
            "4:14: error: the condition does not depend on its variable",
        ),
        ("locals {\n a = {b.c = 1}\n}", "2:7: error: it is not clear what this key is"),
        ("locals {\n a = [for x in [{a = 1}, {b = 2}, {b = 3}] : x.a]\n}", "2:48: error: `x` has no attribute `a`"),
    ] {
        let errors = case(text).errors();
        let expected = format!("t.pkr.hcl:{expected}");
        assert!(errors.len() == 1 && errors[0].starts_with(&expected), "{text}\n{errors:#?}");
    }
}

#[test]
fn values_given_from_outside_are_literal() {
    let text = "variable \"a\" { type = list(string) }";
    for value in ["[upper(\"x\")]", "[var.a]", "[\"a\"", "nope"] {
        let errors = case(text).var("a", value).errors();
        assert!(errors.len() == 1 && errors[0].starts_with("-var a:1:"), "{value}: {errors:?}");
    }
    let mut case = case(text).file("v.pkrvars.hcl", "a = [upper(\"x\"), path.root]");
    case.options.var_files.push("v.pkrvars.hcl".into());
    let errors = case.errors();
    assert!(errors.len() == 2 && errors.iter().all(|error| error.starts_with("v.pkrvars.hcl:1:")), "{errors:?}");
}

#[test]
fn attributes_of_an_object_type_have_defaults() {
    let text = "variable \"a\" {\n type = list(object({ b = optional(string, \"c\"), d = optional(number) }))\n \
                default = [{}, { b = \"x\", d = \"2\" }]\n}\nlocals { a = var.a }";
    assert_eq!(local(&case(text).template(), "a"), "[{\"b\":\"c\",\"d\":null},{\"b\":\"x\",\"d\":2}]");
}

#[test]
fn the_registry_is_left_out_with_a_note() {
    let text = "hcp_packer_registry { bucket_name = \"x\" }";
    let loaded = case(text).load();
    assert!(!loaded.diagnostics.has_errors() && loaded.template.is_some());
    let found: Vec<String> = loaded.diagnostics.iter().map(|one| one.one_line(&loaded.sources)).collect();
    assert!(found.len() == 1 && found[0].contains("note: `hcp_packer_registry` is left out"), "{found:?}");
    let twice = case(&format!("{text}\nbuild {{\n  {text}\n}}")).errors();
    assert!(twice.iter().any(|error| error.contains("there are two `hcp_packer_registry` blocks")), "{twice:?}");
}

#[test]
fn very_many_errors_and_names_take_no_time() {
    const COUNT: usize = 3000;
    let mut text = String::from("locals {\n");
    for index in 0..COUNT {
        text += &format!("  name_{index:05} = local.nome_{index:05}\n");
    }
    text += "}\n";
    for index in 0..COUNT {
        text += &format!("source \"null\" \"name_{index:05}\" {{}}\ndata \"null\" \"name_{index:05}\" {{}}\n");
    }
    text += "build {\n  sources = [";
    for index in 0..COUNT {
        text += &format!("\"null.nome_{index:05}\", ");
    }
    text += "]\n}\n";
    let loaded = case(&text).load();
    assert_eq!(loaded.diagnostics.len(), 1000);
    let hinted = |hint: &str| {
        loaded.diagnostics.iter().filter(|one| one.hint.as_deref().unwrap_or_default().contains(hint)).count()
    };
    assert!(hinted("did you mean") > 0 && hinted("define it") > 0);
}
