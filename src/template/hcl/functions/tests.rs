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
        (r#"upper(3)"#, r#""3""#),
        (r#"title("hello big world")"#, r#""Hello Big World""#),
        (r#"trim("?!hi!?", "!?")"#, r#""hi""#),
        (r#"trimprefix("abc", "a")"#, r#""bc""#),
        (r#"substr("hello", 1, 3)"#, r#""ell""#),
        (r#"substr("hello", -3, -1)"#, r#""llo""#),
        (r#"join(",", ["a", "b"])"#, r#""a,b""#),
        (r#"split(",", "a,b")"#, r#"["a","b"]"#),
        (r#"replace("a.b", ".", "-")"#, r#""a-b""#),
        (r#"replace("a1b2", "/[0-9]/", "x")"#, r#""axbx""#),
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
