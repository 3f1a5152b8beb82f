use super::*;
use crate::provisioner::testing::{self, DirectoryGuest, context, prepare, problems};
use crate::template::hcl::value::{Type, Value};

fn guest_options(mut options: Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)> {
    options.push(("remote_folder", "/guest/".into()));
    options.push(("remote_file", "s.sh".into()));
    options
}

async fn run(guest: &DirectoryGuest, options: Vec<(&'static str, Value)>) -> (Result<()>, Vec<String>) {
    let (context, heard) = context(&guest.root);
    let result = prepare(&TYPE, guest_options(options)).provision(&context, Some(guest)).await;
    (result, heard.lines())
}

fn guest() -> (tempfile::TempDir, DirectoryGuest) {
    let dir = tempfile::tempdir().unwrap();
    let guest = DirectoryGuest::new(dir.path());
    (dir, guest)
}

#[tokio::test]
async fn inline_commands_run_as_one_script() {
    let (dir, guest) = guest();
    let commands =
        Value::strings(["echo \"$A|$PACKER_BUILD_NAME|$PACKER_BUILDER_TYPE|$PACKER_RUN_UUID\"", "echo oops >&2"]);
    let variables = Value::strings(["A=it's \"quoted\" $HOME"]);
    let (result, heard) = run(&guest, vec![("inline", commands), ("environment_vars", variables)]).await;
    result.unwrap();
    assert_eq!(
        heard,
        ["say: Provisioning with shell script: inline", "out: it's \"quoted\" $HOME|one|null|run-1", "err: oops"]
    );
    assert_eq!(
        guest.log(),
        [
            "upload /guest/s.sh 755",
            "run chmod +x /guest/s.sh; A='it'\"'\"'s \"quoted\" $HOME' PACKER_BUILDER_TYPE='null' \
             PACKER_BUILD_NAME='one' PACKER_RUN_UUID='run-1'  /guest/s.sh",
            "run rm -f /guest/s.sh",
        ]
    );
    assert!(!dir.path().join("s.sh").exists());
}

#[tokio::test]
async fn variables_can_go_by_file() {
    let (_dir, guest) = guest();
    let options = vec![
        ("inline", Value::strings(["echo $B"])),
        ("env", Value::object(BTreeMap::from([("B".to_owned(), "b'b".into())]))),
        ("use_env_var_file", true.into()),
    ];
    let (result, heard) = run(&guest, options).await;
    result.unwrap();
    assert_eq!(heard[1], "out: b'b");
    let log = guest.log();
    assert!(log[0].starts_with("upload /guest/varfile_") && log[0].ends_with(" 600"), "{log:?}");
    assert!(log[2].contains(". /guest/varfile_") && log[2].contains("&& /guest/s.sh"), "{log:?}");
    assert!(log[3].starts_with("run rm -f /guest/s.sh /guest/varfile_"), "{log:?}");
}

#[tokio::test]
async fn scripts_are_uploaded_with_unix_lines() {
    let (dir, guest) = guest();
    let script = dir.path().join("dos.sh");
    std::fs::write(&script, "#!/bin/sh\r\nprintf 'a\\rb\\n'\r\n").unwrap();
    let path = script.to_str().unwrap().to_owned();
    let options =
        vec![("script", path.clone().into()), ("execute_command", "sh {{.Path}}".into()), ("skip_clean", true.into())];
    let (result, heard) = run(&guest, options).await;
    result.unwrap();
    assert_eq!(heard, [format!("say: Provisioning with shell script: {path}"), "out: b".to_owned()]);
    assert_eq!(std::fs::read_to_string(dir.path().join("s.sh")).unwrap(), "#!/bin/sh\nprintf 'a\\rb\\n'\n");
    let options = vec![("script", path.into()), ("binary", true.into()), ("skip_clean", true.into())];
    let _ = run(&guest, options).await;
    assert!(std::fs::read_to_string(dir.path().join("s.sh")).unwrap().contains('\r'));
}

#[tokio::test]
async fn exit_statuses_are_judged() {
    let (_dir, guest) = guest();
    let exit3 = || ("inline", Value::strings(["exit 3"]));
    let (result, _) = run(&guest, vec![exit3()]).await;
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "Script exited with non-zero exit status: 3. Allowed exit codes are: [0]");
    assert!(guest.log().contains(&"run rm -f /guest/s.sh".to_owned()), "a failed script is removed too");
    let codes = Value::tuple(vec![0_i64.into(), 3_i64.into()]);
    run(&guest, vec![exit3(), ("valid_exit_codes", codes)]).await.0.unwrap();
    // `-e` of the default first line.
    let (result, _) = run(&guest, vec![("inline", Value::strings(["false", "true"]))]).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn a_lost_connection_must_be_expected() {
    let (_dir, mut guest) = guest();
    guest.disconnect = true;
    let inline = || ("inline", Value::strings(["true"]));
    let error = run(&guest, vec![inline()]).await.0.unwrap_err();
    assert!(error.hints()[0].contains("expect_disconnect"), "{error:?}");
    run(&guest, vec![inline(), ("expect_disconnect", true.into())]).await.0.unwrap();
    let codes = Value::tuple(vec![i64::from(EXIT_DISCONNECTED).into()]);
    run(&guest, vec![inline(), ("valid_exit_codes", codes)]).await.0.unwrap();
}

#[tokio::test]
async fn starting_is_tried_again() {
    let (_dir, mut guest) = guest();
    let inline = || ("inline", Value::strings(["true"]));
    *guest.failures.lock().unwrap() = 2;
    let (result, heard) = run(&guest, vec![inline()]).await;
    result.unwrap();
    assert_eq!(
        heard[1],
        "warn: cannot upload the script to /guest/s.sh: no route to guest; trying again for up to 5m0s"
    );
    *guest.failures.lock().unwrap() = usize::MAX;
    run(&guest, vec![inline(), ("start_retry_timeout", "30ms".into())]).await.0.unwrap_err();
    guest.connection = "rootfs";
    *guest.failures.lock().unwrap() = 10;
    run(&guest, vec![inline()]).await.0.unwrap_err();
    assert_eq!(*guest.failures.lock().unwrap(), 9, "a local guest is not waited for");
}

#[tokio::test]
async fn without_a_machine_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (context, _) = context(dir.path());
    let shell = prepare(&TYPE, vec![("inline", Value::strings(["true"]))]);
    let error = shell.provision(&context, None).await.unwrap_err();
    assert!(error.to_string().contains("needs a machine"));
}

#[test]
fn options_are_checked() {
    let inline = || ("inline", Value::strings(["true"]));
    for (options, expected) in [
        (vec![], "there is nothing to run: none of `inline`, `script`, `scripts` is set"),
        (vec![inline(), ("script", "/dev/null".into())], "`script` cannot be used together with `inline`"),
        (
            vec![("script", "/nonexistent".into())],
            "cannot read the script `/nonexistent`: No such file or directory (os error 2)",
        ),
        (vec![("scripts", Value::strings(["/tmp"]))], "cannot read the script `/tmp`: it is a directory"),
        (
            vec![inline(), ("environment_vars", Value::strings(["secret"]))],
            "an environment variable is not of the form NAME=VALUE: `secret` has no `=`",
        ),
        (
            vec![inline(), ("env_var_format", "%d".into())],
            "cannot use `env_var_format`: `%d` is not understood: %s stands first for the name, then for the value; \
             %[1]s and %[2]s name them",
        ),
        (vec![inline(), ("inlin", "x".into())], "unknown option `inlin`: the test has no option of this name"),
        (vec![inline(), ("remote_path", "/a".into()), ("remote_file", "b".into())], "`remote_file` has no effect"),
    ] {
        assert_eq!(problems(&TYPE, options), [expected]);
    }
    let found = problems(&TYPE, vec![inline(), ("execute_command", "sh {{.Path".into())]);
    assert!(found[0].starts_with("cannot render the template in `execute_command`"), "{found:?}");
}

#[test]
fn values_not_known_yet_are_not_judged() {
    for option in ["inline", "script"] {
        let body = testing::body(vec![(option, Value::unknown(Type::String))]);
        let prepared = testing::decoding(|context| (TYPE.prepare)(&body, context));
        assert!(prepared.diagnostics.is_empty(), "{:?}", prepared.diagnostics);
        assert!(prepared.component.is_none());
    }
}

#[test]
fn scripts_get_a_first_line() {
    let commands = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    for (lines, shebang, expected) in [
        (&["a", "b"] as &[&str], None, "#!/bin/sh -e\na\nb\n"),
        (&["a"], Some("/bin/bash"), "#!/bin/bash\na\n"),
        (&["#!/usr/bin/perl", "a"], None, "#!/usr/bin/perl\na\n"),
        (&["#!/usr/bin/perl"], Some("/bin/sh"), "#!/bin/sh\n#!/usr/bin/perl\n"),
        (&["a"], Some(""), "a\n"),
    ] {
        assert_eq!(inline(&commands(lines), shebang), expected);
    }
}

#[test]
fn unknown_kinds_have_hints() {
    let error = |kind| match crate::provisioner::REGISTRY.find(kind) {
        Ok(_) => panic!("found {kind}"),
        Err(diagnostic) => format!("{} ({})", diagnostic.summary, diagnostic.hint.unwrap()),
    };
    assert!(crate::provisioner::REGISTRY.find("shell").is_ok());
    assert_eq!(error("shel"), "unknown provisioner `shel` (did you mean `shell`?)");
    assert!(error("goss").starts_with("Larder does not have the provisioner `goss` yet"));
    assert!(crate::provisioner::REGISTRY.find("ansible").is_ok_and(|found| !found.runs));
    assert!(error("zzz").starts_with("unknown provisioner `zzz` (Larder has: shell, "));
}
