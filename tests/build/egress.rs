use std::fmt::Write as _;
use std::net::{TcpListener, UdpSocket};

use serde_json::Value;

use crate::image::{script, template};
use crate::origin;
use crate::schema::assert_valid_events;
use crate::support::{Larder, is_root};

const CURL: &str = r#"#!/bin/sh
set -eu
for url in http://public.example.org/plain https://public.example.org/tls; do
  said=$(env -i /usr/bin/curl -sS --fail --max-time 60 "$url")
  [ "$said" = "origin /${url##*/}" ] || { echo "$url said $said"; exit 1; }
done
"#;

const PYTHON: &str = r#"#!/usr/bin/env -S -i /usr/bin/python3
import socket, ssl

def ask(path, name):
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    with socket.create_connection(("public.example.org", 443), timeout=60) as plain:
        with context.wrap_socket(plain, server_hostname=name) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: public.example.org\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while part := stream.recv(4096):
                answer += part
    assert answer.endswith(b"origin " + path.encode()), answer

ask("/python", "public.example.org")
# Without a server name in its greeting, it is known by the address its name was given.
ask("/nameless", None)
"#;

const REFUSED: &str = r#"#!/usr/bin/python3
import errno, socket

PORTS = [1, 22, 25, 123, 853, 5432, 8080, 8443, 65535, @TCP@, @UDP@]
ADDRESSES = ["203.0.113.9", "192.0.2.1", "127.0.0.1", "169.254.169.254", "10.0.0.1", "@HOST@", "public.example.org",
             "2001:db8:ffff::9", "::1", "fd00::1"]

def attempt(kind, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.settimeout(60)
        try:
            s.connect((host, port))
            if kind == socket.SOCK_DGRAM:
                s.send(b"x")
                s.recv(1)
        except ConnectionRefusedError:
            return
        except OSError as error:
            raise SystemExit(f"{kind.name} {host} {port}: {error!r}")
        raise SystemExit(f"{kind.name} {host} {port} was answered")

tried = 0
for kind in [socket.SOCK_STREAM, socket.SOCK_DGRAM]:
    for host in ADDRESSES:
        for port in PORTS + ([80, 443, 3128] if kind == socket.SOCK_DGRAM else [53 + 1]):
            attempt(kind, host, port)
            tried += 1
print("refused", tried)

for name, call in [("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
                   ("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
                   ("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))]:
    try:
        call()
    except OSError:
        continue
    raise SystemExit(f"a {name} socket can be had")
"#;

/// An address of the host itself that is not the loopback, where it has one. Nothing is sent.
fn own_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    match socket.connect("203.0.113.1:9").and_then(|()| socket.local_addr()) {
        Ok(address) => address.ip().to_string(),
        Err(_) => "127.0.0.2".to_owned(),
    }
}

#[track_caller]
fn assert_listed(events: &[Value], url: &str, step: &str) {
    let flow = events.iter().find(|event| event["type"] == "flow" && event["flow"]["url"] == url);
    let flow = flow.unwrap_or_else(|| panic!("{url} is not listed: {events:#?}"));
    assert_eq!(flow["build"], "rootfs.t", "{flow:#?}");
    assert_eq!(flow["step"], step, "{flow:#?}");
    assert_eq!(flow["flow"]["status"], 200, "{flow:#?}");
}

#[test]
fn programs_that_know_of_no_proxy_are_answered_by_it_and_listed() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mirror = format!("public.example.org=http://{}/", origin::serve());
    larder.write("curl.sh", CURL);
    larder.write("tls.py", PYTHON);
    larder.write("t.pkr.hcl", &template(&(script("curl", "curl.sh") + &script("python", "tls.py"))));
    let run = larder.run(["build", "--ui=json", "--mirror", &mirror, "t.pkr.hcl"]).expect(0);
    assert_valid_events(&run);
    let events = run.events();
    let scan = events.iter().find(|event| event["type"] == "scan").unwrap();
    assert!(scan["entries"].as_u64() > Some(0) && scan["traces"].as_array().unwrap().is_empty(), "{scan}");
    for (url, step) in [
        ("http://public.example.org/plain", "shell (curl)"),
        ("https://public.example.org/tls", "shell (curl)"),
        ("https://public.example.org/python", "shell (python)"),
        ("https://public.example.org/nameless", "shell (python)"),
    ] {
        assert_listed(&events, url, step);
    }
}

#[test]
fn every_other_port_of_every_address_is_refused() {
    if !is_root() {
        return;
    }
    // What listens on every address of the host is not reached either.
    let (tcp, udp) = (TcpListener::bind("[::]:0").unwrap(), UdpSocket::bind("[::]:0").unwrap());
    let larder = Larder::new();
    let text = REFUSED
        .replace("@TCP@", &tcp.local_addr().unwrap().port().to_string())
        .replace("@UDP@", &udp.local_addr().unwrap().port().to_string())
        .replace("@HOST@", &own_address());
    larder.write("refused.py", &text);
    larder.write("t.pkr.hcl", &template(&script("refused", "refused.py")));
    let run = larder.run(["build", "--ui=json", "t.pkr.hcl"]).expect(0);
    assert!(run.events().iter().any(|event| event["line"].as_str().is_some_and(|line| line.starts_with("refused "))));
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    tcp.accept().unwrap_err();
    udp.recv(&mut [0]).unwrap_err();
}

#[test]
fn a_guest_reaches_no_service_of_the_host_by_way_of_the_proxy() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let port = origin::serve().port();
    let mut lines = String::from("#!/bin/sh\nset -u\n");
    for host in ["127.0.0.1", "[::1]", "localhost", &own_address(), "169.254.169.254"] {
        let asked = "curl -sS --max-time 60 -o /dev/null -w '%{http_code}' -x http://192.0.2.1:3128";
        writeln!(lines, "code=$({asked} http://{host}:{port}/) || true").unwrap();
        writeln!(lines, "[ \"$code\" = 403 ] || {{ echo '{host}' said \"$code\"; exit 1; }}").unwrap();
    }
    larder.write("host.sh", &lines);
    larder.write("t.pkr.hcl", &template(&script("host", "host.sh")));
    let _ = larder.run(["build", "--ui=plain", "t.pkr.hcl"]).expect(0);
}
