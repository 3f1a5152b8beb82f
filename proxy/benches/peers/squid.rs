//! squid, with ssl-bump.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::origin::Origin;
use crate::peer::{Peer, write_lines};
use crate::process::{Start, free_port};

const CERTGEN: &str = "/usr/lib/squid/security_file_certgen";

pub(crate) async fn start(folder: &Path, origin: &Origin) -> Result<Peer> {
    let port = free_port()?;
    let place = folder.display();
    std::fs::write(folder.join("ca.pem"), origin.authority.certificate() + &origin.authority.key())?;
    let lines = format!(
        "http_port 127.0.0.1:{port} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB \
         tls-cert={place}/ca.pem
         sslcrtd_program {CERTGEN} -s {place}/certificates -M 16MB
         ssl_bump bump all
         tls_outgoing_options cafile={ca}
         http_access allow localhost
         cache_dir aufs {place}/cache 16384 16 256
         cache_mem 256 MB
         maximum_object_size 16 GB
         maximum_object_size_in_memory 1 MB
         pid_filename none
         access_log none
         pinger_enable off
         coredump_dir {place}
         cache_log {place}/cache.log
         shutdown_lifetime 0 seconds
         max_filedescriptors 16384",
        ca = origin.ca_file.display()
    );
    let lines: Vec<String> = lines.lines().map(|line| line.trim().to_owned()).collect();
    write_lines(&folder.join("squid.conf"), &lines)?;
    // It refuses to be root.
    run(&["chown", "-R", "proxy:", &place.to_string()])?;
    let as_proxy = ["setpriv", "--reuid=proxy", "--regid=proxy", "--clear-groups"];
    let certificates = format!("{place}/certificates");
    run(&[&as_proxy[..], &[CERTGEN, "-c", "-s", &certificates, "-M", "16MB"]].concat())?;
    // Squids of one name share files in /dev/shm; letters and digits only.
    let name = format!("bench{port}");
    let config = format!("{place}/squid.conf");
    let squid = ["squid", "-n", &name, "-N", "-f", &config];
    run(&[&as_proxy[..], &squid, &["-z"]].concat())?;
    let command = squid.map(str::to_owned).to_vec();
    let mut running = Start { name: "squid", command, user: Some("proxy"), env: Vec::new(), folder }.run()?;
    running.listens(port).await?;
    Ok(Peer::proxy("squid", running, port, true))
}

fn run(command: &[&str]) -> Result<()> {
    let done = Command::new(command[0]).args(&command[1..]).output();
    let done = done.map_err(|error| format!("{} does not start: {error}", command[0]))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{} failed (squid is of the package squid-openssl): {said}", command.join(" ")).into())
}
