use super::*;

fn context() -> InterpolateContext {
    InterpolateContext {
        build_name: Some("web".into()),
        build_type: Some("rootfs".into()),
        template_dir: "/t".into(),
        cwd: "/c".into(),
        packer_version: "1.16.0".into(),
        now: Timestamp::from_second(1_700_000_000).expect("in range"),
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
        ("{{", "an action is not closed by }}, at character 0"),
        ("ä{{ .Path", "an action is not closed by }}, at character 1"),
        ("{{ end }}", "`end` without an `if`, `range` or `with`, at character 0"),
        ("{{ if .Path }}", "`if` without an `end`, at character 0"),
        ("{{ nope }}", "there is no function `nope`"),
        ("{{ .Nope }}", "there is no field `.Nope` here"),
        ("{{ env `HOME` }}", "env: may only be used in the default of a variable"),
        ("{{ build `ID` }}", "`build `ID`` is known only when the build runs"),
        ("{{ split `a` `.` 4 }}", "split: the index is out of range"),
        ("{{ printf \"%999999999d\" 1 }}", "printf: the width is too large"),
        ("{{ printf }}", "printf: too few arguments"),
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
    assert_eq!(render(&deep, &context()), Err(InterpolateError::TooLarge));
    let ifs = "{{ if true }}".repeat(10_000);
    assert_eq!(render(&ifs, &context()), Err(InterpolateError::TooLarge));
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
        nest("{{ range 99999 }}", 6),
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
