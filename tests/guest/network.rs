use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::bed::{Bed, possible, run};

/// A Python program that tries a connection and says what came of it.
const TRY: &str = r#"
import socket, sys, time
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(5)
begun = time.monotonic()
try:
    s.connect((host, port))
    if kind == "udp":
        s.send(b"x")
        s.recv(10)
    else:
        s.send(b"ping")
        print(s.recv(100).decode())
except OSError as error:
    print(type(error).__name__, "slow" if time.monotonic() - begun > 0.5 else "at once")
"#;

/// Accepts one connection, and answers with the address it was meant for.
fn answer(listener: TcpListener) -> std::thread::JoinHandle<()> {
    listener.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).unwrap();
        let answer = format!("meant for {}", stream.local_addr().unwrap());
        stream.write_all(answer.as_bytes()).unwrap();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn listened_ports_are_answered_for_every_address() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    guest_script(&guest).await;
    let cases = [
        (&bed.listeners.http, "203.0.113.9", 80, "[::ffff:203.0.113.9]:80"),
        (&bed.listeners.https, "198.51.100.7", 443, "[::ffff:198.51.100.7]:443"),
        (&bed.listeners.http, "2001:db8:ffff::9", 80, "[2001:db8:ffff::9]:80"),
        (&bed.listeners.dns_tcp, "192.0.2.1", 53, "[::ffff:192.0.2.1]:53"),
        (&bed.listeners.proxy, "192.0.2.1", 3128, "[::ffff:192.0.2.1]:3128"),
    ];
    for (listener, address, port, meant) in cases {
        let thread = answer(listener.try_clone().unwrap());
        let (_, output) = run(&guest, &format!("python3 /tmp/try tcp {address} {port}")).await;
        assert_eq!(output.trim(), format!("meant for {meant}"));
        thread.join().unwrap();
    }
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_port_is_refused_at_once() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    // Something that listens on every address of the host must not be reached either.
    let host = TcpListener::bind("0.0.0.0:0").unwrap();
    let host_port = host.local_addr().unwrap().port();
    let guest = bed.communicator().await;
    guest_script(&guest).await;
    for kind in ["tcp", "udp"] {
        for address in ["203.0.113.9", "192.0.2.1", "127.0.0.1", "169.254.169.254", "2001:db8:ffff::9", "::1"] {
            for port in [22, 8080, host_port] {
                let (_, output) = run(&guest, &format!("python3 /tmp/try {kind} {address} {port}")).await;
                assert_eq!(output.trim(), "ConnectionRefusedError at once", "{kind} {address} {port}");
            }
        }
    }
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_asked_of_the_gateway() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let socket = bed.listeners.dns_udp.try_clone().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let thread = std::thread::spawn(move || {
        let mut query = [0; 512];
        let (length, _) = socket.recv_from(&mut query).unwrap();
        String::from_utf8_lossy(&query[..length]).into_owned()
    });
    run(&guest, "python3 -c 'import socket; socket.gethostbyname(\"name.test\")' & sleep 0.5").await;
    assert!(thread.join().unwrap().contains("name\u{4}test"));
    guest.shutdown().await.unwrap();
}

async fn guest_script(guest: &larder::communicator::rootfs::RootfsCommunicator) {
    use larder::engine::component::{Communicator as _, Content};
    guest.upload(Content::Bytes(TRY.as_bytes()), "/tmp/try", 0o644).await.unwrap();
}

/// Whether the kernel can keep processes from abstract sockets: Linux 6.12, with Landlock switched on.
fn can_fence() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap(), parts.next().unwrap());
    let landlock =
        std::fs::read_to_string("/proc/kallsyms").is_ok_and(|text| text.contains("hook_unix_stream_connect"));
    version >= (6, 12) && landlock
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_hosts_network_a_guest_gets_no_low_port_and_no_abstract_socket() {
    use std::os::linux::net::SocketAddrExt as _;

    if !possible() {
        return;
    }
    let name = format!("larder-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bed = Bed::new().await;
    let guest = bed.in_host_network().await;
    // It is the host's network.
    let port = tcp.local_addr().unwrap().port();
    let line = format!("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'");
    assert_eq!(run(&guest, &line).await, (0, String::new()));
    let (status, said) = run(&guest, "python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 81))'").await;
    assert!(status != 0 && said.contains("PermissionError"), "{said}");
    let line = format!("python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0{name}\")'");
    let (status, said) = run(&guest, &line).await;
    if can_fence() {
        assert!(status != 0 && said.contains("PermissionError"), "{said}");
    } else {
        eprintln!("skipped: this kernel has no fence around abstract sockets");
    }
    // Sockets of its own it reaches.
    let line = "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"\\0own\"); s.listen(); \
                socket.socket(socket.AF_UNIX).connect(\"\\0own\")'";
    assert_eq!(run(&guest, line).await, (0, String::new()));
}
