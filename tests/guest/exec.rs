use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder::guest::exec::{self, ExecSpec};
use larder::guest::gateway::{Gateway, GatewaySpec};

use crate::bed::{possible, program};

/// Runs a command line in a cage of its own; what it wants to say it writes to a file.
async fn caged(line: &str) -> i32 {
    let gateway = Gateway::create(GatewaySpec { program: program() }).await.unwrap();
    let argv = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    let env = BTreeMap::from([("http_proxy".to_owned(), gateway.proxy_url())]);
    exec::run(Some(&gateway), ExecSpec { program: program(), argv, env }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caged_command_has_the_hosts_files_and_the_gateways_network() {
    if !possible() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let said = here.path().join("said");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let status = caged(&format!(
        "exec > {}; cat /etc/resolv.conf; tail -n1 /etc/nsswitch.conf; echo $http_proxy; ls /sys/class/net; exit 7",
        said.display()
    ))
    .await;
    assert_eq!(status, 7);
    let said = fs::read_to_string(said).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["nameserver 192.0.2.1", "hosts: files dns", "http://192.0.2.1:3128"], "{said}");
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    assert!(!fs::read_to_string("/etc/resolv.conf").unwrap().contains("192.0.2.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_are_a_shells() {
    if !possible() {
        return;
    }
    assert_eq!(caged("kill -9 $$").await, 137);
    assert_eq!(caged("exec /no/such/program 2> /dev/null").await, 127);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caged_command_leaves_ends_with_it() {
    if !possible() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let pid = here.path().join("pid");
    assert_eq!(caged(&format!("setsid sleep 1000 & echo $! > {}", pid.display())).await, 0);
    let pid = fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}
