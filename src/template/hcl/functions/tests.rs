use std::path::Path;

use jiff::Timestamp;

use super::{Allowed, Found, FunctionEnv, Value, Work};
use crate::template::files::HostFiles;
use crate::template::hcl::convert::to_json;
use crate::template::hcl::eval::tests::eval;

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        let value = eval(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(to_json(&value).map(|json| json.to_string()).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn strings() {
    check(&[
        (r"upper(3)", r#""3""#),
        (r#"title("hello big world")"#, r#""Hello Big World""#),
        (r#"trim("?!hi!?", "!?")"#, r#""hi""#),
        (r#"trimprefix("abc", "a")"#, r#""bc""#),
        (r#"substr("hello", 1, 3)"#, r#""ell""#),
        (r#"substr("hello", -3, -1)"#, r#""llo""#),
        (r#"join(",", ["a", "b"])"#, r#""a,b""#),
        (r#"split(",", "a,b")"#, r#"["a","b"]"#),
        (r#"replace("a.b", ".", "-")"#, r#""a-b""#),
        (r#"replace("a1b2", "/[0-9]/", "x")"#, r#""a1b2""#),
        (r#"regex("([a-z]+)([0-9]+)", "abc12")"#, r#"["abc","12"]"#),
        (r#"regex("(?P<word>[a-z]+)", "abc12")"#, r#"{"word":"abc"}"#),
        (r#"regexall("[a-z]", "a1b")"#, r#"["a","b"]"#),
        (r#"format("%s-%03d %5.1f|%-4s|%q %v", "a", 7, 2.25, "x", "q", [1])"#, r#""a-007   2.2|x   |\"q\" [1]""#),
        (r#"formatlist("%s!", ["a", "b"])"#, r#"["a!","b!"]"#),
        (r#"indent(2, "a\nb")"#, r#""a\n  b""#),
        (r#"length("äb")"#, "2"),
        (r#"strrev("abc")"#, r#""cba""#),
        (r#"startswith("abc", "ab") && endswith("abc", "bc") && strcontains("abc", "b")"#, "true"),
    ]);
}

#[test]
fn collections() {
    check(&[
        ("concat([1], [2, 3])", "[1,2,3]"),
        ("merge({a = 1}, {b = 2, a = 3})", r#"{"a":3,"b":2}"#),
        ("lookup({a = 1}, \"b\", 2)", "2"),
        ("element([1, 2, 3], 4)", "2"),
        ("flatten([[1, [2]], 3])", "[1,2,3]"),
        ("distinct([1, 1, 2])", "[1,2]"),
        ("compact([\"a\", \"\", \"b\"])", r#"["a","b"]"#),
        ("contains([\"a\"], \"a\")", "true"),
        ("coalesce(null, \"\", \"x\")", r#""x""#),
        ("keys({b = 1, a = 2})", r#"["a","b"]"#),
        ("values({b = 1, a = 2})", "[2,1]"),
        ("zipmap([\"a\"], [1])", r#"{"a":1}"#),
        ("chunklist([1, 2, 3], 2)", "[[1,2],[3]]"),
        ("slice([1, 2, 3], 1, 3)", "[2,3]"),
        ("sort([\"b\", \"a\"])", r#"["a","b"]"#),
        ("reverse([1, 2])", "[2,1]"),
        ("range(3)", "[0,1,2]"),
        ("range(3, 1)", "[3,2]"),
        ("setunion([\"b\"], [\"a\"])", r#"["a","b"]"#),
        ("setintersection([\"b\", \"a\"], [\"a\"])", r#"["a"]"#),
        ("setproduct([\"a\"], [1, 2])", r#"[["a",1],["a",2]]"#),
        ("sum([1, 2.5])", "3.5"),
        ("index([\"a\", \"b\"], \"b\")", "1"),
        ("alltrue([true, \"true\"]) && !anytrue([false])", "true"),
    ]);
}

#[test]
fn numbers_encodings_networks_and_times() {
    check(&[
        ("[abs(-1), ceil(1.2), floor(-1.2), signum(-5), pow(2, 10), parseint(\"ff\", 16)]", "[1,2,-2,-1,1024,255]"),
        ("pow(4, 0.5)", "2"),
        ("[max(1, 3), min(1, 3)]", "[3,1]"),
        ("base64decode(base64encode(\"ä\"))", r#""ä""#),
        ("textdecodebase64(textencodebase64(\"ä\", \"UTF-16LE\"), \"UTF-16LE\")", r#""ä""#),
        ("jsonencode({b = [1, null], a = \"<\"})", r#""{\"a\":\"\\u003c\",\"b\":[1,null]}""#),
        ("jsondecode(\"{\\\"a\\\": [1]}\")", r#"{"a":[1]}"#),
        ("csvdecode(\"a,b\\n1,\\\"x,y\\\"\\n\")", r#"[{"a":"1","b":"x,y"}]"#),
        ("urlencode(\"a b/c\")", r#""a+b%2Fc""#),
        ("md5(\"hello\")", r#""5d41402abc4b2a76b9719d911017c592""#),
        ("sha1(\"hello\")", r#""aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d""#),
        ("uuidv5(\"dns\", \"example.org\")", r#""aad03681-8b63-5304-89e0-8ca8f49461b5""#),
        ("cidrhost(\"10.0.0.0/24\", 5)", r#""10.0.0.5""#),
        ("cidrhost(\"10.0.0.0/24\", -1)", r#""10.0.0.255""#),
        ("cidrnetmask(\"10.0.0.0/20\")", r#""255.255.240.0""#),
        ("cidrsubnet(\"10.0.0.0/16\", 8, 3)", r#""10.0.3.0/24""#),
        ("cidrsubnets(\"10.0.0.0/16\", 4, 8)", r#"["10.0.0.0/20","10.0.16.0/24"]"#),
        ("timestamp()", r#""2023-11-14T22:13:20Z""#),
        ("formatdate(\"YYYY-MM-DD'T'hh:mm EEE\", timestamp())", r#""2023-11-14T22:13 Tue""#),
        ("timeadd(timestamp(), \"-1h\")", r#""2023-11-14T21:13:20Z""#),
        ("legacy_isotime(\"2006\")", r#""2023""#),
        ("[basename(\"/a/b\"), dirname(\"/a/b\"), abspath(\"../x\")]", r#"["b","/a","/x"]"#),
    ]);
}

#[test]
fn what_is_not_known_yet_has_the_type_of_the_result() {
    for (text, expected) in [
        ("upper(var.later)", "string"),
        ("length(var.later)", "number"),
        ("split(\",\", var.later)", "list(string)"),
        ("fileset(\".\", var.later)", "set(string)"),
        ("concat([1], split(\",\", var.later))", "any"),
        ("concat(var.list, split(\",\", var.later))", "list(string)"),
        ("keys({a = var.later})", "tuple([string])"),
        ("merge({a = 1}, {b = var.later})", "object({a = number, b = string})"),
        ("reverse(split(\",\", var.later))", "list(string)"),
        ("element(split(\",\", var.later), 0)", "string"),
        ("element([1, var.later], 0)", "number"),
        ("split(\",\", var.later)[0]", "string"),
        ("split(\",\", var.later)[*]", "list(string)"),
        ("coalesce(var.later, \"x\")", "string"),
        ("setunion([var.later], [\"a\"])", "set(string)"),
        ("zipmap([\"a\"], [var.later])", "object({a = string})"),
        ("regex(\"(a)(b)\", var.later)", "tuple([string, string])"),
        ("regexall(\"(?P<x>a)\", var.later)", "list(object({x = string}))"),
        ("try(var.later, 1)", "any"),
        ("jsondecode(var.later)", "any"),
        ("convert(var.later, number)", "number"),
        ("var.flag ? var.later : var.later", "string"),
    ] {
        let text = text.replace("var.flag", "(var.later == \"\")");
        assert_eq!(eval(&text).expect(&text).ty().to_string(), expected, "{text}");
    }
    assert_eq!(eval("length([var.later, 1])").expect("known").as_i64(), Some(2));
    assert_eq!(eval("lookup({a = 1, b = var.later}, \"a\", 0)").expect("known").as_i64(), Some(1));
    // Types are checked before values are known.
    for text in [
        "upper(split(\",\", var.later))",
        "split(\",\", var.later).x",
        "var.later + [1]",
        "merge(split(\",\", var.later))",
    ] {
        assert!(eval(text).is_err(), "{text}");
    }
}

#[test]
fn functions_that_hand_on_parts_keep_the_marks_of_each() {
    for text in [
        "merge({a = 1}, {b = var.secret})[\"a\"]",
        "concat([1], [var.secret])[0]",
        "length([var.secret])",
        "keys({a = var.secret})[0]",
        "lookup({a = 1, b = var.secret}, \"a\", 0)",
        "element([1, var.secret], 0)",
        "reverse([1, var.secret])[1]",
        "slice([1, var.secret], 0, 1)[0]",
        "zipmap([\"a\", \"b\"], [1, var.secret])[\"a\"]",
        "flatten([[1], [var.secret]])[0]",
        "coalesce(1, 2)",
    ] {
        assert!(!eval(text).expect(text).contains_sensitive(), "{text}");
    }
    for text in [
        "merge({a = 1}, {b = var.secret})[\"b\"]",
        "flatten([[1], [var.secret]])[1]",
        "sort([var.secret, \"a\"])",
        "setunion([var.secret], [\"a\"])",
        "format(\"%s\", var.secret)",
        "lookup({a = 1}, var.secret, 0)",
        "sum([1, length(var.secret)])",
        "yamlencode({a = var.secret})",
        "convert([var.secret], set(string))",
        "regex_replace(var.secret, \"x\", \"y\")",
        "var.secret == \"\" && false",
        "convert({a = var.secret}, map(string))",
    ] {
        assert!(eval(text).expect(text).contains_sensitive(), "{text}");
    }
}

#[test]
fn errors_point_at_the_argument() {
    for (text, at) in [
        ("upper([])", "[]"),
        ("substr(\"a\", 1.5, 1)", "1.5"),
        ("max(1, \"x\")", "\"x\""),
        ("format(\"%d\", \"x\")", "\"x\""),
        ("regex_replace(\"a\", \"(\", \"b\")", "\"(\""),
        ("cidrhost(\"10.0.0.0/8\", 99999999)", "99999999"),
        ("chunklist([1], -1)", "-1"),
        ("convert(\"x\", number)", "\"x\""),
    ] {
        let error = eval(text).expect_err(text);
        let span = error.span.expect("a place");
        let range = span.start..span.end;
        assert_eq!(text[range].trim(), at, "{text}: {error:?}");
    }
}

#[test]
fn functions_of_others_are_told_from_those_that_are_there() {
    for (text, hint) in [
        ("tostring(1)", "convert(x, string)"),
        ("env(\"A\")", "default of a variable"),
        ("uper(\"a\")", "did you mean `upper`?"),
    ] {
        let error = eval(text).expect_err(text);
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{error:?}");
    }
}

/// What `openssl pkeyutl -encrypt` made of a text, in PKCS #1 v1.5.
const ENCRYPTED: &str = "lfDnyy7QRMKRtuefOf7+rh+WdPzPX0iW+8BtAwvVuFw3vPDyNMycMaDWAtHEJRfR1BtumILJfAl/62Hr9VHpSRiSRKZF0IONtacK8IpO4WRtwDKVqvdf0FOF0fJBCwjg3KWmLlKYd8m6GjFeXngjtHNJcu/keKq2Rs5ZEJ6RyTE=";

#[test]
fn what_was_encrypted_for_a_key_is_decrypted() {
    let key = |name: &str| format!("file(\"{}/tests/template/files/{name}\")", env!("CARGO_MANIFEST_DIR"));
    for name in ["rsa-pkcs1.pem", "rsa-pkcs8.pem"] {
        let value = eval(&format!("rsadecrypt(\"{ENCRYPTED}\", {})", key(name))).expect(name);
        assert_eq!(value.as_str(), Some("grüße"));
        assert!(value.is_sensitive());
    }
    let locked = "\"-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\n\"";
    for (ciphertext, key, reason) in [
        ("*", key("rsa-pkcs1.pem"), "`ciphertext`: it must be in base64"),
        ("aGk=", key("rsa-pkcs1.pem"), "the text was not encrypted for this key"),
        ("aGk=", "\"x\"".to_owned(), "`privatekey`: it is no private key in PEM form"),
        ("aGk=", locked.to_owned(), "`privatekey`: the key has a password"),
        ("aGk=", "\"-----BEGIN EC PRIVATE KEY-----\"".to_owned(), "an RSA private key is needed"),
        ("aGk=", "\"-----BEGIN RSA PRIVATE KEY-----\"".to_owned(), "the RSA private key cannot be read"),
    ] {
        let error = eval(&format!("rsadecrypt(\"{ciphertext}\", {key})")).expect_err(reason);
        assert!(error.detail.as_deref().unwrap_or_default().contains(reason), "{error:?}");
    }
}

#[test]
fn secrets_of_servers_are_not_known_where_nobody_is_asked() {
    for call in
        ["vault(\"a\", \"b\")", "consul_key(\"a\")", "aws_secretsmanager(\"a\", null)", "aws_secretsmanager_raw(\"a\")"]
    {
        let value = eval(call).expect(call);
        assert!(value.is_unknown() && value.is_sensitive(), "{call}: {value:?}");
    }
}

#[test]
fn hostile_arguments_end_in_an_error() {
    let nested = "[".repeat(100_000);
    let alias = |n: i32| format!("a{n}: &a{n} [{}]\\n", vec![format!("*a{}", n - 1); 9].join(","));
    let aliases = (1..40).map(alias).collect::<Vec<_>>().concat();
    for text in [
        "format(\"%999999999d\", 1)".to_owned(),
        "format(\"%.999999999f\", 1)".to_owned(),
        "bcrypt(\"a\", 31)".to_owned(),
        "regex(\"(a{1000}){1000}\", \"a\")".to_owned(),
        "chunklist(range(1000), 99999999999999999999)".to_owned(),
        format!("jsondecode(\"{nested}\")"),
        format!("yamldecode(\"{nested}\")"),
        format!("yamldecode(\"{}\")", "- ".repeat(100_000)),
        format!("yamldecode(\"a0: &a0 x\\n{aliases}\")"),
        "setproduct(range(1000), range(1000), range(1000))".to_owned(),
        "join(indent(9999999, \"\\n\"), range(1000))".to_owned(),
    ] {
        assert!(eval(&text).is_err(), "{}", &text[..60.min(text.len())]);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_decoded_or_refused(
        text in "(a|b|-|\\?|:|\\||>|&x|\\*x|!!str|<<|#|,|\\[|\\]|\\{|\\}|\"|'|1|true|~|\\t|\\r| |  |\n|\n  |---|é|\\\\){0,24}",
    ) {
        let literal = serde_json::Value::String(text.clone()).to_string().replace("${", "$${").replace("%{", "%%{");
        for name in ["yamldecode", "jsondecode", "csvdecode"] {
            let _ = eval(&format!("{name}({literal})"));
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_again(
        text in "[ -~é\n\t\u{85}\u{a0}\u{2028}😀]{0,40}",
        more in "[a-z:#&*!|>'\"%@`\\-? \n]{0,12}",
    ) {
        let value = Value::object(
            [(text.clone(), Value::tuple(vec![more.clone().into(), text.clone().into(), Value::null()])), (more, text.into())].into(),
        );
        for (encode, decode) in [("jsonencode", "jsondecode"), ("yamlencode", "yamldecode")] {
            let call = |name: &str, value: Value| match super::find(name, Allowed::All) {
                Found::Function(function) => {
                    let env = FunctionEnv { files: &HostFiles, cwd: Path::new("/"), now: Timestamp::UNIX_EPOCH, allowed: Allowed::All, answers: None };
                    function.call(vec![value], &env, &Work::default()).expect(name)
                }
                _ => panic!("{name}"),
            };
            let again = call(decode, call(encode, value.clone()));
            proptest::prop_assert_eq!(again.equals(&value), Some(true), "{:?}", again);
        }
    }

    #[test]
    fn any_pattern_is_translated_or_refused(
        pattern in "(a|b|[0-9]|\\\\[dwsbBQEpPxzA1-9C.{}\\[\\]\\-]|\\[|\\]|\\^|-|&&|--|~~|\\(|\\)|\\(\\?|:|\\||\\*|\\+|\\?|\\{|\\}|,|2|[[:alpha:]]|é){0,16}",
        format in "(%|[0-9]|\\[|\\]|\\.|-|\\+|#| |[a-zA-Z]|é){0,12}",
    ) {
        let quote = |text: &str| serde_json::Value::String(text.to_owned()).to_string().replace("%{", "%%{");
        let _ = eval(&format!("regex_replace(\"ab-é12\", {}, \"$1\")", quote(&pattern)));
        let _ = eval(&format!("format({}, 1.5, \"é\", [1])", quote(&format)));
    }
}
