//! Questions to the gateway's resolver.

use std::cell::RefCell;

use hickory_proto::op::{Message, MessageType};

use crate::resolver::message::answer;
use crate::resolver::pool::NamePool;

thread_local! {
    static POOL: RefCell<NamePool> = RefCell::default();
}

/// A message: what is answered is an answer, to that question, with one record at most; an answer gets none.
pub fn questions(data: &[u8]) {
    let reply = POOL.with_borrow(|pool| answer(data, pool));
    let Some(reply) = reply else { return };
    assert!(data.len() >= 3 && data[2] & 0x80 == 0, "an answer was answered");
    let reply = Message::from_vec(&reply).expect("what is answered can be read");
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert_eq!(reply.metadata.id.to_be_bytes(), data[..2], "to another question");
    assert!(reply.answers.len() <= 1);
    for record in &reply.answers {
        let address = record.data.ip_addr().expect("an address");
        let asked = reply.queries[0].name().to_ascii().to_ascii_lowercase();
        let known = POOL.with_borrow(|pool| pool.name(address));
        let asked = asked.strip_suffix('.').unwrap_or(&asked);
        assert!(address.is_loopback() || known.as_deref() == Some(asked), "{asked} is {address}, which is {known:?}");
    }
}
