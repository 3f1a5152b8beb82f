//! A shell that somebody sits at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder::communicator::rootfs::RootfsCommunicator;
use larder::engine::component::Communicator as _;
use larder::engine::shell::{ShellSpec, WindowSize};
use larder::error::Result;
use larder::output::terminal::filter::Filter;

use crate::bed::{Bed, possible, run};

const LIMIT: Duration = Duration::from_secs(20);

/// Somebody at a shell.
struct Sitting {
    terminal: OwnedFd,
    seen: Arc<Mutex<String>>,
    end: tokio::task::JoinHandle<Result<i32>>,
    /// Where the next text is looked for.
    place: usize,
}

impl Sitting {
    async fn at(guest: &RootfsCommunicator) -> Self {
        let size = WindowSize { rows: 33, columns: 101 };
        let env = BTreeMap::from([("PS1".to_owned(), "ready# ".to_owned())]);
        let shell = guest.shell(ShellSpec { term: "xterm".to_owned(), size, env }).await.unwrap();
        let seen: Arc<Mutex<String>> = Arc::default();
        let mut reader = File::from(shell.terminal.try_clone().unwrap());
        let writes = seen.clone();
        std::thread::spawn(move || {
            let (mut buffer, mut filter) = (vec![0; 4096], Filter::default());
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let text = filter.pass(&buffer[..length]);
                writes.lock().unwrap().push_str(&String::from_utf8_lossy(&text));
            }
        });
        Self { terminal: shell.terminal, seen, end: tokio::spawn(shell.end), place: 0 }
    }

    fn keys(&self, keys: &str) {
        File::from(self.terminal.try_clone().unwrap()).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a text after the last one waited for.
    async fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let seen = self.seen.lock().unwrap().clone();
            if let Some(at) = seen[self.place..].find(text) {
                self.place += at + text.len();
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} after {:?}", &seen[self.place..]);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Result<i32> {
        tokio::time::timeout(LIMIT, self.end).await.expect("the shell ends").unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_a_terminal_of_the_guest_of_the_right_size() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let mut shell = Sitting::at(&guest).await;
    shell.expect("# ").await;
    shell.keys("tty; stty size; echo $TERM $SHELL $HOME $PWD [$HISTFILE] $0\r");
    shell.expect("\n/dev/pts/0\r\n33 101\r\nxterm /bin/bash /root /root [] -bash\r\n").await;
    // Nothing of it is a file of the image.
    shell.keys("id -u; exit 7\r");
    shell.expect("\n0\r\n").await;
    assert_eq!(shell.end().await.unwrap(), 7);
    assert_eq!(run(&guest, "ls -A /root").await, (0, String::new()));
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_reach_the_job_in_front_and_a_new_size_is_seen() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let mut shell = Sitting::at(&guest).await;
    shell.expect("# ").await;
    shell.keys("echo be''fore; sleep 1000; echo after $?\r");
    shell.expect("before").await;
    // The sleep runs once it has the terminal's keys; before that they are the shell's own, which then runs none.
    while !run(&guest, "cat /proc/[0-9]*/comm").await.1.contains("sleep") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shell.keys("\x03");
    shell.expect("^C").await;
    shell.keys("echo survi''ved\r");
    shell.expect("\nsurvived").await;
    // Ctrl-Z and back.
    shell.keys("sleep 1001\r");
    while !run(&guest, "cat /proc/[0-9]*/cmdline").await.1.contains("1001") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shell.keys("\x1a");
    shell.expect("Stopped").await;
    shell.keys("kill %1; wait; echo go''ne\r");
    shell.expect("\ngone").await;
    let size = rustix::termios::Winsize { ws_row: 50, ws_col: 132, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&shell.terminal, size).unwrap();
    shell.keys("stty size; exit\r");
    shell.expect("\n50 132").await;
    assert_eq!(shell.end().await.unwrap(), 0);
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_the_guest_and_with_whoever_sat_at_it() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    // Whoever sat at it has gone.
    let mut left = Sitting::at(&guest).await;
    left.expect("# ").await;
    left.end.abort();
    drop(left);
    let deadline = Instant::now() + LIMIT;
    while run(&guest, "cat /proc/[0-9]*/comm").await.1.contains("bash") {
        assert!(Instant::now() < deadline, "the shell still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The guest ends while a shell is open.
    let mut open = Sitting::at(&guest).await;
    open.expect("# ").await;
    let shutdown = guest.shutdown().await.unwrap();
    assert!(shutdown.leftovers.iter().any(|left| left.name == "bash"), "{shutdown:?}");
    // It was ended on the way, or not heard of any more.
    assert!(open.end().await.map_or(true, |status| status >= 128));
    let spec = ShellSpec { term: "xterm".to_owned(), size: WindowSize { rows: 1, columns: 1 }, env: BTreeMap::new() };
    let error = guest.shell(spec).await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_cannot_put_something_else_in_place_of_its_terminals() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let (_, output) = run(&guest, "rm /dev/ptmx; ln -s /etc/passwd /dev/ptmx; rm /dev/pts/ptmx; ls /dev/pts").await;
    assert!(output.ends_with("ptmx\n"), "{output}");
    let mut shell = Sitting::at(&guest).await;
    shell.expect("# ").await;
    shell.keys("tty; exit\r");
    shell.expect("\n/dev/pts/0").await;
    assert_eq!(shell.end().await.unwrap(), 0);
    guest.shutdown().await.unwrap();
}
