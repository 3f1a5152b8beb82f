//! One DNS question and its answer (RFC 1035).

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::pool::{Addresses, NamePool};

/// Seconds an answer may be kept; it holds much longer, but a cache in the guest's image should not.
const TTL: u32 = 60;

/// The answer to a message, or `None` for what deserves none. Every name has an address; other types have no data;
/// NXDOMAIN is never said, because a name unknown here may exist behind the upstream proxy.
pub(crate) fn answer(request: &[u8], pool: &NamePool) -> Option<Vec<u8>> {
    let request = match Message::from_vec(request) {
        Ok(request) => request,
        Err(_) => return malformed(request),
    };
    let head = &request.metadata;
    if head.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(head.id, head.op_code);
    reply.metadata.recursion_desired = head.recursion_desired;
    reply.metadata.recursion_available = true;
    match (head.op_code, request.queries.as_slice()) {
        (OpCode::Query, [query]) => {
            reply.add_query(query.clone());
            reply.add_answers(records(query, pool));
        }
        (OpCode::Query, _) => reply.metadata.response_code = ResponseCode::FormErr,
        _ => reply.metadata.response_code = ResponseCode::NotImp,
    }
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        reply.set_edns(edns);
    }
    reply.to_vec().ok()
}

fn malformed(request: &[u8]) -> Option<Vec<u8>> {
    let id = u16::from_be_bytes([*request.first()?, *request.get(1)?]);
    // Never answer an answer: two resolvers could keep each other busy.
    if request.get(2)? & 0x80 != 0 {
        return None;
    }
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
}

fn records(query: &Query, pool: &NamePool) -> Vec<Record> {
    let name = query.name().to_ascii().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let known =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !known || query.query_class() != DNSClass::IN {
        return Vec::new();
    }
    // RFC 6761 section 6.3.
    let local = name == "localhost" || name.ends_with(".localhost");
    let addresses = || match local {
        true => Addresses { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST },
        false => pool.addresses(name),
    };
    let data = match query.query_type() {
        RecordType::A | RecordType::ANY => RData::A(A(addresses().v4)),
        RecordType::AAAA => RData::AAAA(AAAA(addresses().v6)),
        _ => return Vec::new(),
    };
    vec![Record::from_rdata(query.name().clone(), TTL, data)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::Name;

    fn ask(pool: &NamePool, name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let reply = Message::from_vec(&answer(&query.to_vec().unwrap(), pool).unwrap()).unwrap();
        assert_eq!(reply.metadata.id, query.metadata.id);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        reply
    }

    #[test]
    fn every_name_has_an_address_and_nothing_else() {
        let pool = NamePool::default();
        let a = ask(&pool, "No-Such.Example.ORG.", RecordType::A);
        let address = a.answers[0].data.ip_addr().unwrap();
        assert_eq!(pool.name(address).as_deref(), Some("no-such.example.org"));
        let aaaa = ask(&pool, "no-such.example.org.", RecordType::AAAA);
        assert_eq!(pool.name(aaaa.answers[0].data.ip_addr().unwrap()).as_deref(), Some("no-such.example.org"));
        for kind in [RecordType::HTTPS, RecordType::MX, RecordType::SRV, RecordType::PTR, RecordType::TXT] {
            assert!(ask(&pool, "no-such.example.org.", kind).answers.is_empty(), "{kind}");
        }
        assert!(ask(&pool, ".", RecordType::A).answers.is_empty());
        let local = ask(&pool, "localhost.", RecordType::A);
        assert_eq!(local.answers[0].data.ip_addr().unwrap().to_string(), "127.0.0.1");
    }

    #[test]
    fn garbage_is_no_conversation() {
        let pool = NamePool::default();
        assert_eq!(answer(b"", &pool), None);
        assert_eq!(answer(&[0, 1, 0x80, 0, 0xff], &pool), None);
        let reply = Message::from_vec(&answer(&[0, 7, 0, 0, 0xff], &pool).unwrap()).unwrap();
        assert_eq!((reply.metadata.id, reply.metadata.response_code), (7, ResponseCode::FormErr));
    }
}
