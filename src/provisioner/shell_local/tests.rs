use super::*;
use crate::provisioner::testing::{context, prepare, problems};
use crate::template::hcl::value::Value;

async fn run(options: Vec<(&str, Value)>) -> (Result<()>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut context, heard) = context(dir.path());
    context.host_env.insert("http_proxy".into(), "http://127.0.0.1:9".into());
    let result = prepare(&TYPE, options).provision(&context, None).await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "scripts are removed");
    let lines = heard.lines();
    let first = |line: &String| line.replace(&format!("{}/", dir.path().display()), "");
    (result, lines.iter().map(first).filter(|line| !line.starts_with("say: Running local")).collect())
}

#[tokio::test]
async fn scripts_run_on_the_host() {
    let inline = Value::strings([
        "echo \"$A $PACKER_BUILD_NAME $PACKER_RUN_UUID $http_proxy\"",
        "printf '1%%\\r2%%\\n'",
        "echo err >&2",
        "head -1 $0",
    ]);
    let (result, mut heard) = run(vec![("inline", inline), ("environment_vars", Value::strings(["A=it's"]))]).await;
    result.unwrap();
    heard.sort();
    assert_eq!(heard, ["err: err", "out: #!/bin/sh -e", "out: 2%", "out: it's one run-1 http://127.0.0.1:9"]);
    let (result, heard) = run(vec![("command", "echo hi; exit 4".into())]).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "Script exited with non-zero exit status: 4. Allowed exit codes are: [0]"
    );
    assert_eq!(heard, ["out: hi"]);
    let words = Value::strings(["sh", "-c", "echo {{.Command}} | cat; kill -9 $$"]);
    let options = vec![
        ("command", "xyz".into()),
        ("execute_command", words),
        ("valid_exit_codes", Value::tuple(vec![137_i64.into()])),
    ];
    assert_eq!(run(options).await.1, ["out: xyz"]);
    let options = vec![("inline", Value::strings(["echo no"])), ("only_on", Value::strings(["windows"]))];
    assert_eq!(run(options).await.1, ["say: Skipping shell-local due to runtime OS"]);
}

#[tokio::test]
async fn a_cancelled_script_ends_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let (context, heard) = context(dir.path());
    let pids = dir.path().join("pids");
    let command = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", pids.display());
    let shell = prepare(&TYPE, vec![("command", command.into())]);
    let cancel = context.cancel.clone();
    let watch = async {
        while !pids.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(shell.provision(&context, None), watch);
    assert!(result.unwrap_err().to_string().starts_with("cancelled"), "{:?}", heard.lines());
    let pid = std::fs::read_to_string(&pids).unwrap();
    // Killed, it is there until it has been scheduled to die, and then until whoever adopted it has noticed.
    let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !(stat().is_empty() || stat().contains(") Z ") || stat().contains(") X ")) {
        assert!(std::time::Instant::now() < deadline, "{}", stat());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_left_running_does_not_hold_the_build() {
    let (result, heard) = run(vec![("command", "echo done; sleep 30 & exit 0".into())]).await;
    result.unwrap();
    assert_eq!(heard[0], "out: done");
    assert!(heard[1].starts_with("warn: the script left a program running"), "{heard:?}");
}

#[tokio::test]
async fn much_output_is_relayed_whole() {
    let (result, heard) = run(vec![("command", "seq 1 200000".into())]).await;
    result.unwrap();
    assert_eq!((heard.len(), heard.last().unwrap().as_str()), (200_000, "out: 200000"));
}

#[test]
fn options_are_checked() {
    let inline = || ("inline", Value::strings(["true"]));
    for (options, expected) in [
        (vec![], "there is nothing to run: none of `inline`, `command`, `script`, `scripts` is set"),
        (vec![inline(), ("command", "x".into())], "`command` cannot be used together with `inline`"),
        (vec![inline(), ("only_on", Value::strings(["linux", "bogus"]))], "unknown system `bogus`"),
        (vec![inline(), ("execute_command", Value::tuple(vec![]))], "`execute_command` names no program"),
    ] {
        assert_eq!(problems(&TYPE, options), [expected]);
    }
}
