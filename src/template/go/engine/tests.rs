use super::*;

use FunctionSet::{Amazon, Common, Core, Google};

fn context() -> InterpolateContext {
    InterpolateContext {
        build_name: Some("web".into()),
        build_type: Some("rootfs".into()),
        template_dir: "/t".into(),
        cwd: "/c".into(),
        packer_version: "1.16.0".into(),
        now: Timestamp::from_second(1_700_000_000).expect("in range"),
        functions: Common,
        data: BTreeMap::from([
            ("Path".into(), "/tmp/x.sh".into()),
            ("Vars".into(), "A='1' ".into()),
            ("Empty".into(), String::new()),
        ]),
        ..InterpolateContext::default()
    }
}

#[test]
fn templates_render_as_go_does() {
    for (text, expected) in [
        ("plain } text", "plain } text"),
        ("chmod +x {{.Path}}; {{.Vars}} {{.Path}}", "chmod +x /tmp/x.sh; A='1'  /tmp/x.sh"),
        ("{{build_name}}-{{ build_type }}", "web-rootfs"),
        ("{{timestamp}}", "1700000000"),
        ("{{isotime}}", "2023-11-14T22:13:20Z"),
        ("{{isotime \"20060102-150405\"}}", "20231114-221320"),
        ("{{isotime `Jan _2 2006 3:04PM`}}", "Nov 14 2023 10:13PM"),
        ("{{strftime \"%Y.%m\"}}", "2023.11"),
        ("{{ upper `a` }}{{ lower \"B\" }}", "Ab"),
        ("{{ `a b` | clean_resource_name }}", "a-b"),
        ("{{ replace_all \"-\" \"_\" \"a-b-c\" }}", "a_b_c"),
        ("{{ replace \"-\" \"_\" 1 \"a-b-c\" }}", "a_b-c"),
        ("{{ split \"a.b.c\" \".\" 1 }}", "b"),
        ("{{ printf \"%s-%03d|%-4s|\" .Path 7 \"x\" }}", "/tmp/x.sh-007|x   |"),
        ("{{ printf \"%05d|%+d|%+04d|%.2s|%-5d|\" -42 7 7 \"äöü\" 3 }}", "-0042|+7|+007|äö|3    |"),
        ("{{ if .Empty }}yes{{ else }}no{{ end }}", "no"),
        ("{{ if .Empty }}a{{ else if eq build_name \"web\" }}b{{ else }}c{{ end }}", "b"),
        ("a  {{- /* comment */ -}}  b", "ab"),
        ("a {{- \"x\" -}} b", "axb"),
        ("{{`{{ .Name }}`}}", "{{ .Name }}"),
        ("{{ with .Path }}<{{ . }}>{{ end }}", "</tmp/x.sh>"),
        ("{{ (upper `x`) | printf \"%s%s\" `y` }}", "yX"),
        ("{{ template_dir }}{{ pwd }} {{ packer_version }}", "/t/c 1.16.0"),
    ] {
        assert_eq!(render(text, &context()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_cannot_be_rendered_says_why() {
    for (text, expected) in [
        ("{{", "unclosed action, at character 2"),
        ("ä{{ .Path", "unclosed action, at character 9"),
        ("{{ end }}", "unexpected {{end}}, at character 7"),
        ("{{ if .Path }}", "unexpected EOF, at character 14"),
        ("{{ nope }}", "there is no function `nope`"),
        ("{{ .Nope }}", "there is no field `.Nope` here"),
        ("{{ env `HOME` }}", "env: env vars are not allowed here"),
        ("{{ build `ID` }}", "`build `ID`` is known only when the build runs"),
        (
            "{{ split `a` `.` 4 }}",
            "split: the substring 4 was unavailable using the separator value, ., only 1 values were found",
        ),
        ("{{ printf \"%999999999d\" 1 }}", "printf: the width is too large"),
        ("{{ printf }}", "printf: wrong number of args for printf: want at least 1 got 0"),
        ("{{ upper 1 }}", "1: expected string; found 1"),
        ("{{ $x }}", "undefined variable \"$x\", at character 6"),
    ] {
        let error = render(text, &context()).expect_err(text);
        assert_eq!(error.to_string(), expected);
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn build_values_are_used_once_known() {
    let known = BuildValues::Known(BTreeMap::from([("ID".to_owned(), "i-1".to_owned())]));
    let context = InterpolateContext { build: known, ..context() };
    assert_eq!(render("{{ build `ID` }}", &context).as_deref(), Ok("i-1"));
}

#[test]
fn deep_nesting_is_an_error() {
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    let is_too_large = |text: &str| {
        let error = render(text, &context()).expect_err("it is too deep");
        assert_eq!(error.to_string(), "the template is too large");
    };
    is_too_large(&deep);
    let ifs = "{{ if true }}".repeat(10_000);
    is_too_large(&ifs);
    is_too_large("{{ define `t` }}{{ template `t` . }}{{ end }}{{ template `t` . }}");
}

proptest::proptest! {
    #[test]
    fn any_text_renders_or_fails(text in "(\\{\\{|\\}\\}|-| |\\.|[a-z]{1,3}|`|\"|\\(|\\)|\\||if|end|else|printf|\\n|ä|1){0,24}") {
        let _ = render(&text, &context());
    }
}

#[test]
fn a_few_words_do_not_ask_for_all_memory_or_time() {
    let nest = |open: &str, depth: usize| format!("{}x{}", open.repeat(depth), "{{ end }}".repeat(depth));
    let dots = ". ".repeat(40);
    for text in [
        format!("{{{{ define `t` }}}}{}{{{{ end }}}}{{{{ template `t` . }}}}", "{{ template `t` . }}".repeat(100)),
        format!("{{{{ $x := print `larder` . }}}}{}", "{{ $x = print $x $x }}".repeat(60)),
        format!("{{{{ with `larder` }}}}{}{{{{ end }}}}", nest(&format!("{{{{ with print {dots} }}}}"), 20)),
        format!("{{{{ with `larder` }}}}{}{{{{ end }}}}", nest(&format!("{{{{ with println {dots} }}}}"), 20)),
        format!(
            "{{{{ with `larder` }}}}{}{{{{ end }}}}",
            nest(&format!("{{{{ with printf `{}` {dots} }}}}", "%9999s".repeat(40)), 20)
        ),
        "{{ if 1 }}".repeat(100_000),
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
    ] {
        let start: String = text.chars().take(80).collect();
        assert!(render(&text, &context()).is_err(), "{start}");
    }
}

/// As in Packer, where a component that knows no fields is concerned; one that does knows what is missing.
#[test]
fn fields_without_values_are_noted() {
    let context = InterpolateContext { data: BTreeMap::new(), ..context() };
    let rendered = render_noting("{{ .Foo }} {{ if .Bar.Baz }}{{ end }}{{ upper `x` }}", &context).expect("it renders");
    assert_eq!(rendered.text, "<no value> X");
    assert_eq!(rendered.missing.into_iter().collect::<Vec<_>>(), [".Bar.Baz", ".Foo"]);
}

#[test]
fn values_of_variables_keep_fields() {
    let context = InterpolateContext { env: Some(BTreeMap::new()), ..context() };
    assert_eq!(render("{{ .Name }}{{ upper `a` }}", &context).as_deref(), Ok("{{.Name}}A"));
}

#[test]
fn a_name_is_cleaned_for_the_platform() {
    for (functions, expected) in [(Common, "A-b_c-"), (Amazon, "A b_c/"), (Google, "a-b-c-")] {
        let context = InterpolateContext { functions, ..context() };
        assert_eq!(render("{{ clean_resource_name `A b_c/` }}", &context).as_deref(), Ok(expected), "{functions:?}");
    }
    let error = render("{{ clean_resource_name `a` }}", &InterpolateContext { functions: Core, ..context() });
    let error = error.expect_err("there is none");
    assert_eq!(error.hint(), "components for other platforms have this function; this one does not");
    assert_eq!(FunctionSet::of_builder("amazon-ebs"), Amazon);
    assert_eq!(FunctionSet::of_builder("rootfs"), Common);
}

#[test]
fn user_variables_are_found_wherever_they_are_used() {
    let text = "{{ user `a` }}{{ `b` | user }}{{ if eq (user `c`) `x` }}{{ upper (user \"d\") }}{{ end }}{{ .user }}";
    assert_eq!(user_references(text).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!(user_references("{{ user `a` ").is_empty());
}
