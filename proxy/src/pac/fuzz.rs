//! What PAC scripts answer.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;

use super::answer::{Directive, parse};
use super::engine::once;
use super::functions::Watch;
use super::names::Names;
use super::{Host, Limits, route};

/// Answers are read without fail; what is read of one is read again from how it is shown, and leads where it says.
pub fn pac_answers(data: &[u8]) {
    check(&String::from_utf8_lossy(data));
}

fn check(text: &str) {
    let answer = parse(text);
    assert!(!answer.directives.is_empty() || !answer.notes.is_empty());
    for directive in &answer.directives {
        let shown = directive.to_string();
        let again = parse(&shown);
        assert_eq!((again.directives.as_slice(), again.notes.len()), (std::slice::from_ref(directive), 0), "{shown}");
        let way = route(directive);
        match directive {
            Directive::Direct => assert!(way.is_direct()),
            Directive::Proxy { host, port, .. } => {
                assert!(*port != 0 && !host.is_empty() && !host.contains(['@', '/', ';', ' ']), "{shown}");
                assert!(way.hops.len() == 1 && way.hops[0].host == *host && way.hops[0].login.is_none());
            }
        }
    }
    for note in &answer.notes {
        assert!(!note.chars().any(char::is_control) && note.chars().count() < 200, "{note:?}");
    }
    let all: Vec<String> = answer.directives.iter().map(ToString::to_string).collect();
    if answer.notes.is_empty() {
        assert_eq!(parse(&all.join("; ")).directives, answer.directives);
    }
}

/// A machine without a network.
struct Nowhere;

impl Host for Nowhere {
    fn resolve(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        vec![[192, 0, 2, 1].into()]
    }

    fn now(&self) -> Zoned {
        Zoned::default()
    }
}

/// The bytes are the body of a script's function: within its limits it answers something, or fails as it should.
pub fn pac_scripts(data: &[u8]) {
    let Ok(body) = std::str::from_utf8(data) else { return };
    let limits = Limits {
        time: Duration::from_millis(200),
        memory: 16 << 20,
        stack: 256 << 10,
        dns: false,
        ..Limits::default()
    };
    let host: Arc<dyn Host> = Arc::new(Nowhere);
    let names = Names::new(host.clone());
    let watch = Rc::new(Watch::new(limits, names, host));
    let script = format!("function FindProxyForURL(url, host) {{ {body}\n }}");
    if let Ok(outcome) = once(script.into(), limits, watch, "http://example.org/", "example.org") {
        assert!(outcome.text.chars().count() <= limits.answer, "an answer of {}", outcome.text.len());
        check(&outcome.text);
    }
}
