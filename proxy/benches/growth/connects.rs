//! A thousand CONNECTs at once, with the limits as they are by default: of ten clients, and of one.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::arguments::Arguments;
use crate::bench::progress;
use crate::load::Clients;
use crate::origin::Origin;
use crate::subject::Subject;
use crate::table::{Bound, Goal};
use crate::wire::{Target, connect};
use crate::{Result, client_tls};

const CONNECTS: usize = 1000;
/// What one client may have by default.
const PER_CLIENT: f64 = 512.0;
const FILE: &str = "/1k_1.0_all.deb";

/// What became of one CONNECT.
enum Fate {
    /// Its tunnel is open, and has brought an answer.
    Served(#[expect(dead_code, reason = "held, so that all are open at once")] Box<TlsStream<TcpStream>>),
    /// 503, with the time to wait.
    Refused,
    Other(String),
}

pub(crate) async fn measure(folder: &Path, origin: &Origin, arguments: &Arguments) -> Result<Vec<Goal>> {
    let subject = Subject::start(&folder.join("connects"), origin, &[]).await?;
    let time = Duration::from_secs(arguments.seconds);
    let mut clients = Clients::connect(&subject.target(origin, FILE), 16).await?;
    clients.ask_for(time / 4).await?;
    let mut goals = Vec::new();
    for (who, addresses, most) in [("10 clients", 10, CONNECTS as f64), ("1 client", 1, PER_CLIENT)] {
        let alone = clients.ask_for(time).await?;
        let (storm, fates) = tokio::join!(clients.ask_for(time), all(&subject, origin, addresses));
        let fates = fates?;
        let beside = clients.ask_for(time).await?;
        let memory = subject.usage()?.resident as f64 / 1e6;
        let count = |which: fn(&Fate) -> bool| fates.iter().filter(|fate| which(fate)).count() as f64;
        let (served, refused) =
            (count(|fate| matches!(fate, Fate::Served(_))), count(|fate| matches!(fate, Fate::Refused)));
        if let Some(what) = fates.iter().find_map(|fate| if let Fate::Other(what) = fate { Some(what) } else { None }) {
            progress(&format!("a CONNECT was neither served nor refused: {what}"));
        }
        let ms = storm?.latency.quantile(0.99).as_secs_f64() * 1e3;
        let rate = beside.per_second() / alone.per_second();
        let mut goal = |what: &str, measured: f64, bound: Option<Bound>| {
            goals.push(Goal { what: format!("1000 CONNECTs of {who}: {what}"), measured, bound });
        };
        goal("served", served, Some(Bound::AtLeast(most)));
        goal("refused by a 503 with Retry-After", refused, Some(Bound::AtLeast(CONNECTS as f64 - most)));
        goal("neither", CONNECTS as f64 - served - refused, Some(Bound::AtMost(0.0)));
        goal("99 % of a build's requests meanwhile within ms", ms, None);
        goal("rate of a build beside them, of what it is without", rate, Some(Bound::AtLeast(0.9)));
        goal("memory, MB", memory, None);
    }
    Ok(goals)
}

async fn all(subject: &Subject, origin: &Origin, addresses: usize) -> Result<Vec<Fate>> {
    let mut running = JoinSet::new();
    let tls = client_tls::config(false)?;
    for number in 0..CONNECTS {
        // Others each time: connections that have just ended may still count.
        let source = Ipv4Addr::new(127, 0, u8::try_from(1 + addresses)?, u8::try_from(1 + number % addresses)?);
        let target = subject.tunnel(origin, FILE, tls.clone(), source);
        running.spawn(async move { one(&target).await.unwrap_or_else(|error| Fate::Other(error.to_string())) });
    }
    Ok(running.join_all().await)
}

async fn one(target: &Target) -> io::Result<Fate> {
    let mut tcp = connect(target).await?;
    let authority = target.tunnel.as_deref().unwrap_or_default();
    // Who is refused may be so before all is sent: what counts is what comes back.
    let _ = tcp.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await;
    let head = read_head(&mut tcp).await?;
    if head.starts_with("HTTP/1.1 503 ") && head.to_ascii_lowercase().contains("\r\nretry-after: ") {
        return Ok(Fate::Refused);
    }
    let Some(config) = target.tls.clone().filter(|_| head.starts_with("HTTP/1.1 200 ")) else {
        return Ok(Fate::Other(head));
    };
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut tls = TlsConnector::from(config).connect(name, tcp).await?;
    tls.write_all(&target.request).await?;
    let head = read_head(&mut tls).await?;
    Ok(if head.starts_with("HTTP/1.1 200 ") { Fate::Served(Box::new(tls)) } else { Fate::Other(head) })
}

async fn read_head(io: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<String> {
    let mut read = Vec::new();
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        if io.read_buf(&mut read).await? == 0 {
            return Err(io::Error::other(format!("it ended after {} bytes", read.len())));
        }
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}
