//! What a script may call, in Rust: told only texts, and telling only texts, numbers and yes or no.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rquickjs::{Ctx, Function, Object};

use super::names::{Host, Lookup, Names};
use super::range::{self, Arg};
use super::{Limits, address, plain};

/// Most messages of one evaluation that are kept.
const MOST_ALERTS: usize = 20;

/// What one evaluation may still do, and what it has done.
pub(super) struct Watch {
    limits: Limits,
    names: Names,
    host: Arc<dyn Host>,
    until: Cell<Instant>,
    stopped: Cell<bool>,
    asked: RefCell<Vec<String>>,
    waited: Cell<Duration>,
    late: RefCell<Vec<String>>,
    alerts: RefCell<Vec<String>>,
}

impl Watch {
    pub(super) fn new(limits: Limits, names: Names, host: Arc<dyn Host>) -> Self {
        Self {
            limits,
            names,
            host,
            until: Cell::new(Instant::now()),
            stopped: Cell::new(false),
            asked: RefCell::default(),
            waited: Cell::default(),
            late: RefCell::default(),
            alerts: RefCell::default(),
        }
    }

    /// Begins an evaluation.
    pub(super) fn begin(&self) {
        self.until.set(Instant::now() + self.limits.time);
        self.stopped.set(false);
        self.waited.set(Duration::ZERO);
        self.asked.borrow_mut().clear();
        self.late.borrow_mut().clear();
        self.alerts.borrow_mut().clear();
    }

    /// Whether the script is to be stopped; asked by the engine while it runs.
    pub(super) fn is_over(&self) -> bool {
        let over = Instant::now() >= self.until.get();
        self.stopped.set(self.stopped.get() || over);
        over
    }

    /// Whether it was.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Time spent waiting for names.
    pub(super) fn waited(&self) -> Duration {
        self.waited.get()
    }

    /// Names that had no answer in time.
    pub(super) fn late(&self) -> Vec<String> {
        self.late.borrow().clone()
    }

    /// What the script said by `alert`.
    pub(super) fn alerts(&self) -> Vec<String> {
        self.alerts.take()
    }

    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        if let Some(address) = address::any(name) {
            return vec![address];
        }
        if !self.limits.dns {
            return Vec::new();
        }
        let shown = plain(name, 80);
        {
            let mut asked = self.asked.borrow_mut();
            if !asked.contains(&shown) {
                if asked.len() >= self.limits.names {
                    return Vec::new();
                }
                asked.push(shown.clone());
            }
        }
        if self.late.borrow().contains(&shown) {
            // Asked once more in the same evaluation, it would take as long again.
            return Vec::new();
        }
        let begun = Instant::now();
        let found = self.names.lookup(name, self.until.get().min(begun + self.limits.name_time));
        self.waited.set(self.waited.get() + begun.elapsed());
        match found {
            Lookup::Answer(addresses) => addresses,
            Lookup::Late => {
                self.late.borrow_mut().push(shown);
                Vec::new()
            }
        }
    }

    fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        self.addresses(name).into_iter().find_map(v4)
    }

    fn is_in_net(&self, host: &str, pattern: &str, mask: &str) -> bool {
        let address = address::ipv4(host).or_else(|| self.resolve(host));
        address.is_some_and(|address| address::in_mask(address, pattern, mask))
    }

    fn my_address(&self) -> String {
        let own = self.host.addresses().into_iter().find_map(v4);
        own.unwrap_or(Ipv4Addr::LOCALHOST).to_string()
    }

    fn alert(&self, message: &str) {
        let mut alerts = self.alerts.borrow_mut();
        if alerts.len() < MOST_ALERTS {
            alerts.push(plain(message, 300));
        }
    }
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The object that the prelude takes its functions from.
pub(super) fn native<'js>(ctx: &Ctx<'js>, watch: &Rc<Watch>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    pure(ctx, &object)?;
    // A macro of four lines spares a copy of the watch for each function by hand.
    macro_rules! watched {
        ($name:literal, |$watch:ident $(, $arg:ident: $kind:ty)*| $body:expr) => {{
            let $watch = watch.clone();
            object.set($name, Function::new(ctx.clone(), move |$($arg: $kind),*| $body)?)?;
        }};
    }
    watched!("resolve", |watch, name: String| watch.resolve(&name).map(|found| found.to_string()).unwrap_or_default());
    watched!("resolveAll", |watch, name: String| address::joined(&watch.addresses(&name)));
    watched!("isInNet", |watch, host: String, pattern: String, mask: String| watch.is_in_net(&host, &pattern, &mask));
    watched!("myAddress", |watch| watch.my_address());
    watched!("myAddresses", |watch| address::joined(&watch.host.addresses()));
    watched!("alert", |watch, message: String| watch.alert(&message));
    watched!("weekdayRange", |watch, args: Vec<String>| range::weekday(&numbered(args), &watch.host.now()));
    watched!("dateRange", |watch, args: Vec<String>| range::date(&numbered(args), &watch.host.now()));
    watched!("timeRange", |watch, args: Vec<String>| range::time(&numbered(args), &watch.host.now()));
    Ok(object)
}

/// Those that need nothing but their arguments.
fn pure<'js>(ctx: &Ctx<'js>, object: &Object<'js>) -> rquickjs::Result<()> {
    let plain_name = |host: String| !host.contains('.') && address::any(&host).is_none();
    object.set("isPlainHostName", Function::new(ctx.clone(), plain_name)?)?;
    // The text's end, without a look at where a label begins: that is what browsers do, and what scripts are written for.
    object.set("dnsDomainIs", Function::new(ctx.clone(), |host: String, domain: String| host.ends_with(&domain))?)?;
    let local = |host: String, full: String| {
        host == full || full.strip_prefix(host.as_str()).is_some_and(|rest| rest.starts_with('.'))
    };
    object.set("localHostOrDomainIs", Function::new(ctx.clone(), local)?)?;
    let levels = |host: String| i32::try_from(host.matches('.').count()).unwrap_or(i32::MAX);
    object.set("domainLevels", Function::new(ctx.clone(), levels)?)?;
    object.set("convertAddress", Function::new(ctx.clone(), |text: String| address::number(&text))?)?;
    let in_prefix = |text: String, prefix: String| address::in_prefix(&text, &prefix);
    object.set("isInNetEx", Function::new(ctx.clone(), in_prefix)?)?;
    let sorted = |list: String| address::sorted(&list).unwrap_or_default();
    object.set("sortAddresses", Function::new(ctx.clone(), sorted)?)?;
    object.set("glob", Function::new(ctx.clone(), |text: String, pattern: String| glob(&text, &pattern))?)?;
    object.set("globAsPattern", Function::new(ctx.clone(), |pattern: String| as_pattern(&pattern))?)?;
    Ok(())
}

fn numbered(args: Vec<String>) -> Vec<Arg> {
    args.into_iter().map(|text| Arg { number: text.trim().parse().ok(), text }).collect()
}

/// Matches a pattern of letters, `*` and `?`, in time bounded by the product of the lengths: 1 and 0 for yes and no;
/// 2 where the pattern has more in it, which a regular expression must tell.
fn glob(text: &str, pattern: &str) -> i32 {
    if pattern.contains(['[', ']', '(', ')', '{', '}', '|', '^', '$', '\\', '+']) {
        return 2;
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut next) = (0, 0);
    // Where to go on after a `*` that took too little.
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some('*') => {
                back = Some((next + 1, at));
                next += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[at] => {
                at += 1;
                next += 1;
            }
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    (next, at) = (star, taken + 1);
                }
                None => return 0,
            },
        }
    }
    i32::from(pattern[next..].iter().all(|letter| *letter == '*'))
}

/// The regular expression that browsers make of a shell expression: only these three characters are changed.
fn as_pattern(pattern: &str) -> String {
    format!("^{}$", pattern.replace('.', "\\.").replace('*', ".*").replace('?', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_expressions() {
        let table = [
            ("http://home.example.org/people/ari/index.html", "*/ari/*", 1),
            ("http://home.example.org/people/montulli/index.html", "*/ari/*", 0),
            ("abc", "abc", 1),
            ("abc", "ABC", 0),
            ("abc", "a?c", 1),
            ("ac", "a?c", 0),
            ("a.example.org", "*.example.org", 1),
            ("example.org", "*.example.org", 0),
            ("axexample.org", "a.example.org", 0),
            ("", "", 1),
            ("", "*", 1),
            ("", "?", 0),
            ("abc", "", 0),
            ("aaab", "*a*a*b", 1),
            ("abcabc", "*abc", 1),
            ("abcabd", "*abc", 0),
            ("abc", "(abc|d)", 2),
            ("abc", "[a-c]bc", 2),
        ];
        for (text, pattern, expected) in table {
            assert_eq!(glob(text, pattern), expected, "{text} by {pattern}");
        }
        assert_eq!(as_pattern("*.(a|b).org"), "^.*\\.(a|b)\\.org$");
    }

    #[test]
    fn a_pattern_of_many_stars_takes_little_time() {
        let begun = Instant::now();
        assert_eq!(glob(&"a".repeat(2000), &format!("{}b", "*a".repeat(500))), 0);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
