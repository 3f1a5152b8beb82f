//! Apache Traffic Server as a forward proxy.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::peer::{Peer, write_lines};
use crate::process::{Start, free_port};

pub(crate) async fn start(folder: &Path) -> Result<Peer> {
    let port = free_port()?;
    let place = folder.display();
    for name in ["run", "log", "cache", "etc"] {
        fs::create_dir(folder.join(name))?;
    }
    let packaged = fs::read_dir("/etc/trafficserver");
    for file in packaged.map_err(|error| format!("no /etc/trafficserver (package trafficserver): {error}"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), folder.join("etc").join(file.file_name()))?;
        }
    }
    let lines = format!(
        "prefix: /usr
         exec_prefix: /usr
         bindir: /usr/bin
         sbindir: /usr/sbin
         includedir: /usr/include
         libdir: /usr/lib/trafficserver
         libexecdir: /usr/lib/trafficserver/modules
         sysconfdir: {place}/etc
         localstatedir: {place}
         runtimedir: {place}/run
         logdir: {place}/log
         datadir: {place}/cache
         cachedir: {place}/cache"
    );
    let lines: Vec<String> = lines.lines().map(|line| line.trim().to_owned()).collect();
    write_lines(&folder.join("runroot.yaml"), &lines)?;
    write_lines(&folder.join("etc/storage.config"), &[format!("{place}/cache 8G")])?;
    let settings = [
        ("http.server_ports STRING", format!("{port}:ip-in=127.0.0.1")),
        ("reverse_proxy.enabled INT", "0".to_owned()),
        ("url_remap.remap_required INT", "0".to_owned()),
        ("admin.user_id STRING", "#-1".to_owned()),
        ("log.logging_enabled INT", "0".to_owned()),
        ("cache.ram_cache.size INT", "268435456".to_owned()),
        ("cache.max_doc_size INT", "0".to_owned()),
        ("http.keep_alive_no_activity_timeout_in INT", "600".to_owned()),
    ];
    let records: Vec<String> =
        settings.iter().map(|(name, value)| format!("CONFIG proxy.config.{name} {value}")).collect();
    write_lines(&folder.join("etc/records.config"), &records)?;
    let command = vec!["traffic_server".to_owned(), format!("--run-root={place}/runroot.yaml")];
    let mut running = Start { name: "trafficserver", command, user: None, env: Vec::new(), folder }.run()?;
    // It listens before its cache is there.
    let log = folder.join("log/diags.log");
    running.until(async || fs::read_to_string(&log).is_ok_and(|text| text.contains("is fully initialized"))).await?;
    running.listens(port).await?;
    Ok(Peer::proxy("trafficserver", running, port, false))
}
