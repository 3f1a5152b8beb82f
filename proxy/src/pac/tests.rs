//! Scripts as they should be, and scripts that mean ill.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use jiff::Zoned;
use jiff::civil::datetime;
use jiff::tz::TimeZone;
use url::Url;

use super::names::Names;
use super::script::Script;
use super::{Directive, Failure, Host, Limits};

/// A machine on a Monday noon, whose names are of the test's own making; `slow` names answer when it is over.
#[derive(Default)]
struct Machine {
    asked: AtomicUsize,
    over: (Mutex<bool>, Condvar),
}

impl Host for Machine {
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if name.starts_with("slow") {
            let over = self.over.0.lock().unwrap();
            let _over = self.over.1.wait_while(over, |over| !*over).unwrap();
        }
        match name.split('.').next() {
            Some("intern" | "slow") => vec!["2001:db8::7".parse().unwrap(), "10.1.2.3".parse().unwrap()],
            Some("six") => vec!["2001:db8::6".parse().unwrap()],
            _ => Vec::new(),
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        vec!["2001:db8::9".parse().unwrap(), "192.0.2.9".parse().unwrap()]
    }

    fn now(&self) -> Zoned {
        datetime(2026, 11, 23, 12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap()
    }
}

impl Machine {
    fn end(&self) {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
    }
}

fn limits() -> Limits {
    Limits { time: Duration::from_secs(20), ..Limits::default() }
}

fn script_with(text: &str, limits: Limits) -> (Arc<Machine>, Script) {
    let machine = Arc::new(Machine::default());
    let names = Names::new(machine.clone());
    (machine.clone(), Script::new(text.to_owned(), "test.pac".to_owned(), limits, names, machine))
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn words(directives: &[Directive]) -> String {
    directives.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

async fn answer(text: &str, of: &str) -> Result<String, Failure> {
    script_with(text, limits()).1.ask(&url(of)).await.map(|found| words(&found))
}

async fn failure(text: &str, limits: Limits) -> Failure {
    script_with(text, limits).1.ask(&url("http://a.example.org/")).await.unwrap_err()
}

/// The value of an expression, as text.
async fn value(expression: &str) -> String {
    let text = format!(
        "function FindProxyForURL(url, host) {{ alert(url); var v = {expression};\n\
         return 'PROXY v' + String(v).replace(/[^A-Za-z0-9.]/g, '_') + 'v'; }}"
    );
    let answer = answer(&text, "http://www.example.org/p").await.unwrap();
    answer.strip_prefix("PROXY v").unwrap().strip_suffix("v:80").unwrap().to_owned()
}

#[tokio::test]
async fn the_functions_do_what_is_documented() {
    let table = [
        ("isPlainHostName('www')", "true"),
        ("isPlainHostName('www.example.org')", "false"),
        ("isPlainHostName('::1')", "false"),
        ("dnsDomainIs('www.example.org', '.example.org')", "true"),
        ("dnsDomainIs('www', '.example.org')", "false"),
        ("localHostOrDomainIs('www.example.org', 'www.example.org')", "true"),
        ("localHostOrDomainIs('www', 'www.example.org')", "true"),
        ("localHostOrDomainIs('www.example.net', 'www.example.org')", "false"),
        ("localHostOrDomainIs('home.example.org', 'www.example.org')", "false"),
        ("isResolvable('intern.example.org')", "true"),
        ("isResolvable('six.example.org')", "false"),
        ("isResolvable('nowhere.example.org')", "false"),
        ("isResolvableEx('six.example.org')", "true"),
        ("dnsResolve('intern.example.org')", "10.1.2.3"),
        ("dnsResolve('six.example.org')", "null"),
        ("dnsResolve('192.0.2.1')", "192.0.2.1"),
        ("dnsResolveEx('intern.example.org')", "2001_db8__7_10.1.2.3"),
        ("dnsResolveEx('nowhere.example.org') === ''", "true"),
        ("isInNet('intern.example.org', '10.0.0.0', '255.0.0.0')", "true"),
        ("isInNet('10.9.9.9', '10.0.0.0', '255.0.0.0')", "true"),
        ("isInNet('nowhere.example.org', '0.0.0.0', '0.0.0.0')", "false"),
        ("isInNetEx('2001:db8::1', '2001:db8::/32')", "true"),
        ("convert_addr('104.16.41.2')", "1745889538"),
        ("myIpAddress()", "192.0.2.9"),
        ("myIpAddressEx()", "2001_db8__9_192.0.2.9"),
        ("dnsDomainLevels('www')", "0"),
        ("dnsDomainLevels('www.example.org')", "2"),
        ("shExpMatch('http://home.example.org/people/ari/index.html', '*/ari/*')", "true"),
        ("shExpMatch('a.example.org', '*.(example.org|example.net)')", "true"),
        ("shExpMatch('a.example.com', '*.(example.org|example.net)')", "false"),
        ("shExpMatch('host7', 'host[0-9]')", "true"),
        ("weekdayRange('MON', 'FRI')", "true"),
        ("weekdayRange('SAT', 'SUN')", "false"),
        ("dateRange(1, 'JAN', 2026, 31, 'DEC', 2026)", "true"),
        ("timeRange(12, 'GMT')", "true"),
        ("timeRange('9', 17)", "true"),
        ("timeRange(13, 18)", "false"),
        ("sortIpAddressList('10.2.3.9;::1')", "__1_10.2.3.9"),
        ("sortIpAddressList('x')", "false"),
        ("getClientVersion()", "1.0"),
        ("alert()", "undefined"),
        ("dnsResolve()", "null"),
        ("isInNet(1, 2)", "false"),
        ("dnsResolve({ toString: function () { return 'intern.example.org'; } })", "10.1.2.3"),
        (
            "typeof require + typeof std + typeof os + typeof fetch + typeof XMLHttpRequest + typeof setTimeout",
            "undefinedundefinedundefinedundefinedundefinedundefined",
        ),
    ];
    for (expression, expected) in table {
        assert_eq!(value(expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn answers_of_all_makes() {
    let table = [
        (
            "function FindProxyForURL(u, h) { return 'PROXY a:1; HTTPS b:2; SOCKS5 c:3; DIRECT'; }",
            "PROXY a:1; HTTPS b:2; SOCKS5 c:3; DIRECT",
        ),
        ("function FindProxyForURL(u, h) { return ''; }", "DIRECT"),
        ("function FindProxyForURL(u, h) { return null; }", "DIRECT"),
        ("function FindProxyForURL(u, h) { }", "DIRECT"),
        ("function FindProxyForURL(u, h) { return 'QUIC a:1; PROXY b:2'; }", "PROXY b:2"),
        ("var FindProxyForURL = function (u, h) { return 'PROXY a:1'; };", "PROXY a:1"),
        ("const FindProxyForURL = (u, h) => 'PROXY a:1';", "PROXY a:1"),
        (
            "function FindProxyForURL(u, h) { return 'PROXY a:1'; } function FindProxyForURLEx(u, h) { return 'PROXY b:2'; }",
            "PROXY b:2",
        ),
        ("function FindProxyForURL(u, h) { x = 'PROXY undeclared:1'; return x; }", "PROXY undeclared:1"),
        (
            "function FindProxyForURL(u, h) { return 'PROXY ' + (u == 'http://a.example.org/p?q' && h == 'a.example.org') + ':1'; }",
            "PROXY true:1",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(answer(text, "http://a.example.org/p?q#f").await.unwrap(), expected, "{text}");
    }
    let secret = "function FindProxyForURL(u, h) { return 'PROXY ' + (u == 'https://a.example.org/') + ':1'; }";
    assert_eq!(answer(secret, "https://u:p@a.example.org/secret?token=1").await.unwrap(), "PROXY true:1");
}

#[tokio::test]
async fn faults_are_told_with_the_line() {
    let table = [
        ("function FindProxyForURL(u, h) { return 7; }", "a value of type number"),
        ("function FindProxyForURL(u, h) { return { a: 1 }; }", "a value of type object"),
        ("function FindProxyForURL(u, h) { return 'nonsense'; }", "nothing of its answer can be used: `nonsense`"),
        ("var x = 1;", "no function FindProxyForURL"),
        (
            "function FindProxyForURL(u, h) {\n  return undefinedName;\n}",
            "it failed: ReferenceError: undefinedName is not defined (line 2)",
        ),
        ("function FindProxyForURL(u, h) { throw 'a text'; }", "it threw `a text`"),
        ("function FindProxyForURL(u, h) { throw { a: 1 }; }", "it threw a value of type object"),
        ("var a = 1;\nfunction FindProxyForURL(u, h) { return 'DIRECT' ", "it cannot be loaded: SyntaxError"),
        ("this is no script", "it cannot be loaded: SyntaxError"),
        ("import x from 'y'; function FindProxyForURL(u, h) {}", "it cannot be loaded: SyntaxError"),
        ("a\0b", "zero byte"),
    ];
    for (text, expected) in table {
        let said = failure(text, limits()).await.to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[tokio::test]
async fn a_script_that_loops_is_stopped() {
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let find = |body: &str| format!("function FindProxyForURL(u, h) {{ {body} }}");
    let table = [
        find("for (;;) {}"),
        find("while (true) { try { while (true) {} } catch (e) {} finally { continue; } }"),
        "for (;;) {}".to_owned(),
        find("return /^(a+)+$/.test(new Array(60).join('a') + 'b') ? 'DIRECT' : 'DIRECT';"),
        find("return shExpMatch(new Array(60).join('a') + 'b', '(a+)+') ? 'DIRECT' : 'DIRECT';"),
        find("throw { get message() { for (;;) {} } };"),
        find(
            "var e = new Error('x'); Object.defineProperty(e, 'message', { get: function () { for (;;) {} } }); Object.defineProperty(e, 'stack', { get: function () { for (;;) {} } }); throw e;",
        ),
        find("return { toString: function () { for (;;) {} } } + '';"),
    ];
    for text in &table {
        let begun = Instant::now();
        let failure = failure(text, limits).await;
        // What the test is about is that it ends; the machine may be busy.
        assert!(begun.elapsed() < Duration::from_secs(20), "{text}: {:?}", begun.elapsed());
        let expected = matches!(failure, Failure::Time { .. } | Failure::Memory { .. } | Failure::Threw { .. });
        assert!(expected, "{text}: {failure}");
        if text.contains("for (;;) {} }") && !text.contains("throw") || text.contains("(a+)+") {
            assert_eq!(failure.to_string(), "it did not answer within 300 ms", "{text}");
        }
    }
}

#[tokio::test]
async fn a_script_that_allocates_without_end_is_stopped() {
    let limits = Limits { memory: 8 << 20, ..limits() };
    let table = [
        "function FindProxyForURL(u, h) { var a = []; for (;;) a.push(new Array(1000)); }",
        "function FindProxyForURL(u, h) { var s = 'x'; for (;;) { s += 'y' + s.length; } }",
        "function FindProxyForURL(u, h) { var m = new Map(); for (var i = 0; ; i++) m.set(i, {}); }",
        "function FindProxyForURL(u, h) { var o = null; for (;;) o = { o: o }; }",
        "function FindProxyForURL(u, h) { return new ArrayBuffer(1 << 30); }",
        "function FindProxyForURL(u, h) { var a = []; a[0] = a; for (;;) { var b = [a]; a.push(b); b.push(a); } }",
        "var all = []; for (;;) all.push(function () { return all; });",
        "function FindProxyForURL(u, h) { var a = []; try { for (;;) a.push(new Array(1000)); } catch (e) { for (;;) a.push([]); } }",
    ];
    for text in table {
        let failure = failure(text, limits).await;
        assert!(matches!(failure, Failure::Memory { .. }), "{text}: {failure}");
        assert_eq!(failure.to_string(), "it wanted more than the 8 MiB of memory it may have");
    }
    // What is refused to a script at once is an exception of the language, which it may live with.
    for text in [
        "function FindProxyForURL(u, h) { return 'x'.repeat(1 << 30); }",
        "function FindProxyForURL(u, h) { var s = 'x'; for (;;) s += s; }",
        "function FindProxyForURL(u, h) { return 'x'.padEnd(1 << 29); }",
        "function FindProxyForURL(u, h) { return String(2n ** 10000000n); }",
    ] {
        let failure = failure(text, limits).await;
        assert!(matches!(failure, Failure::Memory { .. } | Failure::Threw { .. }), "{text}: {failure}");
    }
}

#[tokio::test]
async fn deep_nesting_is_stopped() {
    let nested = |open: &str, close: &str| {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        format!("function FindProxyForURL(u, h) {{ var x = {text}; return 'DIRECT'; }}")
    };
    let table = [
        "function f() { return f(); } function FindProxyForURL(u, h) { return f(); }".to_owned(),
        "function FindProxyForURL(u, h) { return [1].map(function g() { return [1].map(g); }); }".to_owned(),
        "function FindProxyForURL(u, h) { var o = {}; o.toString = function () { return '' + o; }; return '' + o; }"
            .to_owned(),
        nested("(", ")"),
        nested("[", "]"),
        nested("{a:", "}"),
        nested("-(", ")"),
        nested("function(){return ", "}"),
        nested("x=>", ""),
        format!("{}{}", "{".repeat(100_000), "}".repeat(100_000)),
        format!("{}1", "if(1)".repeat(100_000)),
        "function FindProxyForURL(u, h) { return '' + eval('[' + '['.repeat(500000)); }".to_owned(),
        "function FindProxyForURL(u, h) { return '' + new RegExp('('.repeat(500000)); }".to_owned(),
        "function FindProxyForURL(u, h) { return '' + JSON.parse('['.repeat(500000)); }".to_owned(),
        "function FindProxyForURL(u, h) { var a = []; for (var i = 0; i < 500000; i++) a = [a]; return JSON.stringify(a); }".to_owned(),
        "function FindProxyForURL(u, h) { var a = []; for (var i = 0; i < 300000; i++) a = [a]; return String(a); }".to_owned(),
        "function FindProxyForURL(u, h) { var a = []; for (var i = 0; i < 300000; i++) a = [a]; return a.flat(Infinity) + 1; }".to_owned(),
    ];
    for text in &table {
        let failure = failure(text, limits()).await;
        let start = &text[..text.len().min(120)];
        let expected = matches!(failure, Failure::Stack { .. } | Failure::Loading { .. } | Failure::Threw { .. });
        assert!(expected, "{start}: {failure}");
        if start.contains("f()") {
            assert!(failure.to_string().starts_with("its calls or brackets are nested too deep"), "{start}: {failure}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let text = "function FindProxyForURL(u, h) { return 'PROXY a:1;'.repeat(1000000); }";
    let failure = failure(text, limits()).await.to_string();
    assert_eq!(failure, "it answered with 10000000 characters, where 16384 are the most that are read");
}

#[tokio::test]
async fn a_script_that_changes_built_in_objects_harms_itself_only() {
    let tricks = "
        String.prototype.toString = function () { throw 1; };
        String = Number = Array = RegExp = Object = Reflect = undefined;
        Function.prototype.call = Function.prototype.apply = null;
        RegExp_prototype = (/x/).constructor.prototype; RegExp_prototype.test = function () { return true; };
        ({}).constructor.prototype.kind = 'PROXY polluted:1';
        ([]).constructor.prototype[0] = 'polluted';
        ({}).__proto__.then = function () {};
        globalThis.native = globalThis.larder = 1;
        isInNet = null;
        function FindProxyForURL(u, h) { return 'PROXY ' + shExpMatch(h, 'nothing(x|y)') + timeRange(12) + ':1'; }";
    assert_eq!(answer(tricks, "http://a.example.org/").await.unwrap(), "PROXY falsetrue:1");
    let frozen = "Object.freeze(globalThis); Object.preventExtensions(Object.prototype); function FindProxyForURL(u, h) { return 'DIRECT'; }";
    let found = answer(frozen, "http://a.example.org/").await;
    assert!(matches!(found.as_deref(), Ok("DIRECT") | Err(Failure::Loading { .. })), "{found:?}");
    // One script's world is not another's.
    assert_eq!(
        answer("function FindProxyForURL(u, h) { return typeof String + typeof kind; }", "http://a/")
            .await
            .unwrap_err()
            .to_string(),
        "nothing of its answer can be used: `functionundefined`: not a kind of proxy that is known"
    );
}

#[tokio::test]
async fn slow_names_are_bounded() {
    let limits = Limits { name_time: Duration::from_millis(100), ..limits() };
    let text = "function FindProxyForURL(u, h) {
        var found = dnsResolve('slow.example.org') || dnsResolve('slow.example.org');
        return found ? 'PROXY found:1' : 'PROXY without:1; DIRECT'; }";
    let (machine, script) = script_with(text, limits);
    assert_eq!(words(&script.ask(&url("http://a.example.org/")).await.unwrap()), "PROXY without:1; DIRECT");
    assert_eq!(machine.asked.load(Ordering::SeqCst), 1);
    machine.end();

    // Each of them within its limit, and all of them beyond the script's.
    let limits = Limits { time: Duration::from_millis(500), name_time: Duration::from_millis(200), ..limits };
    let text = "function FindProxyForURL(u, h) { for (var i = 0; ; i++) dnsResolve('slow' + i + '.example.org'); }";
    let (machine, script) = script_with(text, limits);
    let begun = Instant::now();
    let said = script.ask(&url("http://a.example.org/")).await.unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(
        said.starts_with("it did not answer within 500 ms: ") && said.contains("slow0.example.org, slow1.example.org"),
        "{said}"
    );
    machine.end();
}

#[tokio::test]
async fn a_script_asks_for_a_bounded_number_of_names() {
    let text = "function FindProxyForURL(u, h) { for (var i = 0; i < 1000; i++) isResolvable('n' + i + '.example.org'); return 'DIRECT'; }";
    let (machine, script) = script_with(text, limits());
    script.ask(&url("http://a.example.org/")).await.unwrap();
    assert_eq!(machine.asked.load(Ordering::SeqCst), limits().names);
    let (machine, script) = script_with(text, Limits { dns: false, ..limits() });
    script.ask(&url("http://a.example.org/")).await.unwrap();
    assert_eq!(machine.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn answers_are_kept_by_what_the_script_looks_at() {
    let count = "var n = 0; function FindProxyForURL(url, host) { n += 1; return 'PROXY p' + n + ':1'; }";
    let ask = async |script: &Script, of: &str| words(&script.ask(&url(of)).await.unwrap());
    let (_, script) = script_with(count, limits());
    assert_eq!(ask(&script, "http://a.example.org/1").await, "PROXY p1:1");
    assert_eq!(ask(&script, "http://a.example.org/2").await, "PROXY p1:1", "it never looks at the URL");
    assert_eq!(ask(&script, "http://b.example.org/1").await, "PROXY p2:1");
    let (_, script) = script_with(&format!("{count} var last = url => url;"), limits());
    assert_eq!(ask(&script, "http://a.example.org/1").await, "PROXY p1:1");
    assert_eq!(ask(&script, "http://a.example.org/2").await, "PROXY p2:1");
    assert_eq!(ask(&script, "http://a.example.org/1").await, "PROXY p1:1");
    assert_eq!(ask(&script, "https://a.example.org/1").await, "PROXY p3:1");
    assert_eq!(ask(&script, "https://a.example.org/2").await, "PROXY p3:1", "of https it sees the host only");
}

#[tokio::test]
async fn a_script_that_keeps_everything_begins_anew() {
    let text = "var all = []; function FindProxyForURL(url, host) { all.push(new Array(20001).join(host)); return 'PROXY p' + all.length + ':1'; }";
    let (_, script) = script_with(text, Limits { memory: 8 << 20, ..limits() });
    let mut restarted = false;
    for number in 0..60 {
        let found = script.ask(&url(&format!("http://a{number}.example.org/"))).await.unwrap();
        restarted |= number > 0 && words(&found) == "PROXY p1:1";
    }
    assert!(restarted, "it had 16 MiB to keep, and 8 to keep it in");
}

#[tokio::test]
async fn a_failure_leaves_the_next_question_unharmed() {
    let text = "function FindProxyForURL(url, host) { if (host == 'bad') for (;;) {} if (host == 'worse') throw new Error(url); return 'PROXY ' + host + ':1'; }";
    let (_, script) = script_with(text, Limits { time: Duration::from_millis(500), ..limits() });
    assert!(matches!(script.ask(&url("http://bad/")).await, Err(Failure::Time { .. })));
    assert!(matches!(script.ask(&url("http://worse/")).await, Err(Failure::Threw { .. })));
    assert_eq!(words(&script.ask(&url("http://good/")).await.unwrap()), "PROXY good:1");
    let begun = Instant::now();
    assert!(script.ask(&url("http://bad/")).await.is_err());
    assert!(begun.elapsed() < Duration::from_millis(400), "a failure is kept for a moment");
}

#[tokio::test]
async fn one_slow_question_does_not_hold_up_the_others() {
    let text = "function FindProxyForURL(u, host) { return isResolvable(host) ? 'PROXY yes:1' : 'PROXY no:1'; }";
    let (machine, script) = script_with(text, Limits { name_time: Duration::from_secs(15), ..limits() });
    let script = Arc::new(script);
    let slow = tokio::spawn({
        let script = script.clone();
        async move { words(&script.ask(&url("http://slow.example.org/")).await.unwrap()) }
    });
    assert_eq!(words(&script.ask(&url("http://intern.example.org/")).await.unwrap()), "PROXY yes:1");
    assert!(!slow.is_finished());
    machine.end();
    assert_eq!(slow.await.unwrap(), "PROXY yes:1");
}

#[tokio::test]
async fn arrays_longer_than_memory_are_refused_at_once() {
    let table = [
        "[].indexOf.call({ length: Math.pow(2, 53) - 1 }, 1)",
        "[].reverse.call({ length: Math.pow(2, 53) - 1 })",
        "[].fill.call({ length: Math.pow(2, 53) - 1 }, 1)",
        "[].sort.call({ length: Math.pow(2, 53) - 1 })",
        "new Array(4294967295).includes(1)",
        "new Array(4294967295).join('')",
        "'' + new Array(4294967295)",
        "new Array(4294967295).map(function () {})",
        "new Function(new Array(4294967295))",
    ];
    for expression in table {
        let text = format!("function FindProxyForURL(u, h) {{ return String({expression}); }}");
        let said = failure(&text, limits()).await.to_string();
        assert!(said.contains("RangeError: an array of more than 1000000 entries"), "{expression}: {said}");
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_stopped_is_given_up() {
    // One call of the language's own that takes years, and looks at no clock.
    let text = "function FindProxyForURL(u, host) { if (host == 'good') return 'DIRECT';
        var s = 'x'.repeat(1 << 23); return 'PROXY p' + s.indexOf(s.slice(1 << 22) + 'y'); }";
    let (_, script) = script_with(text, Limits { time: Duration::from_millis(100), ..limits() });
    assert_eq!(words(&script.ask(&url("http://good/")).await.unwrap()), "DIRECT");
    assert_eq!(script.ask(&url("http://bad/")).await.unwrap_err(), Failure::Stuck);
    let begun = Instant::now();
    assert_eq!(script.ask(&url("http://other/")).await.unwrap_err(), Failure::Stuck);
    assert!(begun.elapsed() < Duration::from_secs(2), "one thread is lost, and no other");
}

#[tokio::test]
async fn whoever_goes_away_leaves_no_more_threads_than_there_may_be() {
    let text = "function FindProxyForURL(url, host) { return dnsResolve('slow.' + host) ? 'PROXY a:1' : 'DIRECT'; }";
    let limits = Limits { name_time: Duration::from_secs(20), ..limits() };
    let (machine, script) = script_with(text, limits);
    let script = Arc::new(script);
    let all = script.free_places();
    for number in 0..all {
        let asking = script.clone();
        let task = tokio::spawn(async move { asking.ask(&url(&format!("http://h{number}/"))).await });
        while machine.asked.load(Ordering::SeqCst) <= number {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        // Its thread still waits for the name.
        assert_eq!(script.free_places(), all - number - 1);
    }
    machine.end();
    while script.free_places() < all {
        tokio::task::yield_now().await;
    }
    assert_eq!(words(&script.ask(&url("http://h9/")).await.unwrap()), "PROXY a:1");
    assert_eq!(script.free_places(), all);
}
