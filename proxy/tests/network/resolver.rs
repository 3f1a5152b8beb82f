use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use larder_proxy::identity::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::support::Bed;

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query.to_vec().unwrap()
}

/// The address the resolver at `server` gives.
pub(crate) async fn lookup(server: SocketAddr, name: &str) -> IpAddr {
    // Connected: an answer from another address than the one asked would be dropped by the kernel.
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(&question(name, RecordType::A)).await.unwrap();
    let mut buffer = [0; 1500];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.expect("no answer").unwrap();
    Message::from_vec(&buffer[..length]).unwrap().answers[0].data.ip_addr().unwrap()
}

#[tokio::test]
async fn names_are_answered_from_the_address_that_was_asked() {
    let bed = Bed::new(|_| {}).await;
    let guest = Client::guest("g");
    for bind in ["[::]:0", "0.0.0.0:0"] {
        let udp = UdpSocket::bind(bind).unwrap();
        let port = udp.local_addr().unwrap().port();
        let _handle = bed.proxy.listen_dns(udp, None, &guest).unwrap();
        // 127.0.0.77 is not the address the kernel would choose to answer from.
        let first = lookup(SocketAddr::from(([127, 0, 0, 77], port)), "a.example.org.").await;
        assert_eq!(lookup(SocketAddr::from(([127, 0, 0, 1], port)), "A.example.org.").await, first, "{bind}");
        assert_ne!(lookup(SocketAddr::from(([127, 0, 0, 1], port)), "b.example.org.").await, first, "{bind}");
    }
}

#[tokio::test]
async fn tcp_is_answered_too_and_builds_do_not_share_names() {
    let bed = Bed::new(|_| {}).await;
    let listen = |client: &Client| {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        let handle = bed.proxy.listen_dns(UdpSocket::bind("127.0.0.1:0").unwrap(), Some(tcp), client).unwrap();
        (handle, addr)
    };
    let (one, tcp) = listen(&Client::guest("one"));
    let (two, _) = listen(&Client::guest("two"));
    let first = lookup(one.local_addr(), "a.example.org.").await;
    lookup(two.local_addr(), "other.example.org.").await;
    assert_ne!(lookup(two.local_addr(), "a.example.org.").await, first);

    let mut stream = tokio::net::TcpStream::connect(tcp).await.unwrap();
    for kind in [RecordType::A, RecordType::MX] {
        let question = question("a.example.org.", kind);
        stream.write_u16(u16::try_from(question.len()).unwrap()).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        let reply = Message::from_vec(&reply).unwrap();
        let found: Vec<_> = reply.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
        assert_eq!(found, if kind == RecordType::A { vec![first] } else { vec![] });
    }
}
