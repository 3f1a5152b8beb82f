//! apt-cacher-ng, which stores what is named like a package.

use std::path::Path;

use crate::Result;
use crate::peer::{Peer, write_lines};
use crate::process::{Start, free_port};

pub(crate) async fn start(folder: &Path) -> Result<Peer> {
    let port = free_port()?;
    let place = folder.display();
    for name in ["cache", "log", "etc"] {
        std::fs::create_dir(folder.join(name))?;
    }
    let settings = format!(
        "CacheDir: {place}/cache
         LogDir: {place}/log
         SupportDir: /usr/lib/apt-cacher-ng
         SocketPath: {place}/socket
         Port: {port}
         BindAddress: 127.0.0.1
         AllowUserPorts: 0
         VerboseLog: 0
         ForeGround: 1
         ReportPage: report.html"
    );
    let lines: Vec<String> = settings.lines().map(|line| line.trim().to_owned()).collect();
    write_lines(&folder.join("etc/acng.conf"), &lines)?;
    let command = vec!["/usr/sbin/apt-cacher-ng".to_owned(), "-c".to_owned(), format!("{place}/etc")];
    let mut running = Start { name: "apt-cacher-ng", command, user: None, env: Vec::new(), folder }.run()?;
    running.listens(port).await?;
    Ok(Peer::proxy("apt-cacher-ng", running, port, false))
}
