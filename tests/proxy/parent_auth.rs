//! Parents that ask who is asking: squid with its own helpers, and a Kerberos realm of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::larder::Larder;
use crate::repository::{Daemon, Repository, free_port};
use crate::server::Server;
use crate::upstream_proxy::{Squid, ready};

const DEB: &str = "debian/pool/main/t/tiny/tiny_1.0_all.deb";
const HELPERS: &str = "/usr/lib/squid";
/// Requests of each kind that go by one proxy.
const MANY: usize = 4;

/// The way to the repository that only squid knows.
struct Way {
    repository: Repository,
}

impl Way {
    fn new() -> Self {
        Self { repository: Repository::start() }
    }

    fn server(&self, proxy: &str, settings: &str, env: &[(&str, &str)]) -> Server {
        let larder = Larder::new();
        larder.write(".config/larder/config.toml", settings);
        let mirror = format!("secure.example.org=https://origin.example.org:{}/", self.repository.https_port());
        let ca = self.repository.ca().to_str().unwrap();
        let args = ["--upstream-proxy", proxy, "--ca-file", ca, "--mirror", &mirror];
        Server::with(larder, &args, |command| {
            command.envs(env.iter().copied());
        })
    }

    /// Things that are not stored, and go by whole requests.
    fn plain(&self, number: usize) -> String {
        format!("http://origin.example.org:{}/{DEB}?{number}", self.repository.http_port())
    }

    /// Things that are not stored, and go by the tunnel of a connection in TLS.
    fn secure(number: usize) -> String {
        format!("https://secure.example.org/{DEB}?{number}")
    }

    /// Asks for all, one after the other.
    fn ask(&self, server: &Server, many: usize) {
        for number in 0..many {
            for url in [self.plain(number), Self::secure(number)] {
                let answer = server.curl(&["-o", "/dev/null", &url]);
                assert_eq!((answer.exit, answer.status), (0, 200), "{url}: {answer:?} {:?}", server.flow());
                let _ = server.flow();
            }
        }
    }
}

fn questions(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains("TCP_DENIED/407")).count()
}

fn by(log: &[String], user: &str) -> usize {
    log.iter().filter(|line| !line.contains("TCP_DENIED/407") && line.contains(&format!(" {user} "))).count()
}

/// Fails unless this many plain requests and a tunnel went by the user, with this many questions.
fn expect(squid: &Squid, user: &str, asked: usize) {
    let log = squid.log(MANY + 1 + asked);
    assert_eq!((questions(&log), by(&log, user)), (asked, MANY + 1), "{log:?}");
}

#[test]
fn digest_costs_one_question() {
    if !ready() {
        return;
    }
    let squid = Squid::asking(&[], |root| {
        let hash = Command::new("sh").args(["-c", "printf jane:larder:s3cret | md5sum"]).output().unwrap();
        let hash = String::from_utf8(hash.stdout).unwrap();
        fs::write(root.join("users"), format!("jane:larder:{}\n", &hash[..32])).unwrap();
        format!(
            "auth_param digest program {HELPERS}/digest_file_auth -c {root}/users
             auth_param digest realm larder
             auth_param basic program {HELPERS}/basic_fake_auth",
            root = root.display()
        )
    });
    let way = Way::new();
    let settings = format!(
        "[[proxy_login]]\nproxy = \"127.0.0.1:{}\"\nuser = \"jane\"\npassword_command = \"echo s3cret\"\n",
        squid.port
    );
    let server = way.server(&squid.url("").replace('@', ""), &settings, &[]);
    way.ask(&server, MANY);
    drop(server);
    // The nonce's count goes by Digest only: Basic was offered too, and would have let anybody in.
    expect(&squid, "jane", 1);
}

#[test]
fn a_wrong_digest_password_is_sent_once_and_named() {
    if !ready() {
        return;
    }
    let squid = Squid::asking(&[], |root| {
        fs::write(root.join("users"), "jane:larder:00000000000000000000000000000000\n").unwrap();
        format!(
            "auth_param digest program {HELPERS}/digest_file_auth -c {}/users
             auth_param digest realm larder",
            root.display()
        )
    });
    let way = Way::new();
    let login = "user = \"jane\"\npassword_env = \"THE_PASSWORD\"\nschemes = [\"digest\"]\n";
    let settings = format!("[[proxy_login]]\nproxy = \"127.0.0.1:{}\"\n{login}", squid.port);
    let server = way.server(&squid.url("").replace('@', ""), &settings, &[("THE_PASSWORD", "wr0ng")]);
    for number in 0..3 {
        let answer = server.curl(&[&way.plain(number)]);
        assert_eq!(answer.status, 502, "{answer:?}");
        for part in ["the user name or password in the proxy_login of ", "config.toml:1:1 is wrong", "offers Digest"] {
            assert!(answer.body.contains(part), "{part}: {answer:?}");
        }
        assert!(!answer.body.contains("wr0ng"), "{answer:?}");
        let _ = server.flow();
    }
    drop(server);
    let log = squid.log(4);
    assert_eq!(log.iter().filter(|line| line.contains(" jane ")).count(), 1, "sent once: {log:?}");
}

#[test]
fn ntlm_by_squid_s_helper() {
    if !ready() {
        return;
    }
    let squid = Squid::asking(&[], |_| format!("auth_param ntlm program {HELPERS}/ntlm_fake_auth"));
    let way = Way::new();
    let server = way.server(&squid.url("CORP%5Cjane:s3cret@"), "", &[]);
    way.ask(&server, MANY);
    drop(server);
    // One question, and a handshake (which squid logs as another) for each of two connections: the one of all plain
    // requests, and the tunnel. squid doubles the backslash.
    expect(&squid, r"CORP\\jane", 3);
}

/// A Kerberos realm with its server on a port of its own, and nothing of the system's.
struct Realm {
    directory: tempfile::TempDir,
    _kdc: Daemon,
}

const REALM: &str = "TEST.EXAMPLE.ORG";

impl Realm {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("larder-krb5-").tempdir().unwrap();
        let root = directory.path();
        // squid gives up root.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        let (port, shown) = (free_port(), root.display());
        let client = format!(
            "[libdefaults]
             default_realm = {REALM}
             dns_lookup_kdc = false
             dns_lookup_realm = false
             dns_canonicalize_hostname = false
             rdns = false
             udp_preference_limit = 1
             [realms]
             {REALM} = {{
               kdc = 127.0.0.1:{port}
             }}
             "
        );
        let server = format!(
            "[kdcdefaults]
             kdc_listen = 127.0.0.1:{port}
             kdc_tcp_listen = 127.0.0.1:{port}
             [realms]
             {REALM} = {{
               database_name = {shown}/principal
               key_stash_file = {shown}/stash
               acl_file = {shown}/acl
             }}
             [logging]
             kdc = FILE:{shown}/kdc.log
             "
        );
        let unindent = |text: &str| text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
        fs::write(root.join("krb5.conf"), unindent(&client)).unwrap();
        fs::write(root.join("kdc.conf"), unindent(&server)).unwrap();
        let run = |program: &str, args: &[&str]| {
            let done = in_realm(root, program).args(args).output().unwrap();
            assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"]);
        run("kadmin.local", &["-q", "addprinc -pw s3cret jane"]);
        run("kadmin.local", &["-q", "addprinc -randkey HTTP/localhost"]);
        run("kadmin.local", &["-q", &format!("ktadd -k {shown}/keytab HTTP/localhost")]);
        fs::set_permissions(root.join("keytab"), fs::Permissions::from_mode(0o644)).unwrap();
        let kdc = Daemon::start(in_realm(root, "krb5kdc").arg("-n"), port);
        Self { _kdc: kdc, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gets the user a ticket, as `kinit` does at the beginning of a day.
    fn ticket(&self) {
        use std::io::Write as _;
        let mut command = in_realm(self.directory.path(), "kinit");
        command.arg("-c").arg(self.path("cache")).arg("jane").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// What a user of the realm has in the environment.
    fn env(&self) -> [(String, String); 2] {
        [
            ("KRB5_CONFIG".to_owned(), self.path("krb5.conf").display().to_string()),
            ("KRB5CCNAME".to_owned(), format!("FILE:{}", self.path("cache").display())),
        ]
    }

    /// A squid that takes its tickets, and offers more by other lines.
    fn squid(&self, more: &str) -> Squid {
        let config = self.path("krb5.conf");
        Squid::asking(&[("KRB5_CONFIG", &config)], |_| {
            format!(
                "auth_param negotiate program {HELPERS}/negotiate_kerberos_auth -r -s HTTP/localhost@{REALM} -k {} -t none
                 auth_param negotiate children 5
                 {more}",
                self.path("keytab").display()
            )
        })
    }
}

fn in_realm(root: &Path, program: &str) -> Command {
    let sbin = format!("/usr/sbin/{program}");
    let mut command = Command::new(if Path::new(&sbin).exists() { &sbin } else { program });
    command.env("KRB5_CONFIG", root.join("krb5.conf")).env("KRB5_KDC_PROFILE", root.join("kdc.conf"));
    command
}

fn pairs(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn a_ticket_that_comes_later_is_used() {
    if !ready() {
        return;
    }
    let (realm, way) = (Realm::start(), Way::new());
    let squid = realm.squid("");
    let env = realm.env();
    let server = way.server(&format!("http://localhost:{}", squid.port), "", &pairs(&env));
    let answer = server.curl(&[&way.plain(100)]);
    assert_eq!(answer.status, 502, "{answer:?}");
    for part in ["offers Negotiate", "there is no Kerberos ticket", "run `kinit`"] {
        assert!(answer.body.contains(part), "{part}: {answer:?}");
    }
    let _ = server.flow();
    realm.ticket();
    way.ask(&server, MANY);
    drop(server);
    // One question before there was a ticket, and one since.
    expect(&squid, "jane", 2);
}

#[test]
fn without_a_ticket_the_next_scheme_is_taken() {
    if !ready() {
        return;
    }
    let (realm, way) = (Realm::start(), Way::new());
    let squid = realm.squid(&format!("auth_param basic program {HELPERS}/basic_fake_auth"));
    let env = realm.env();
    let server = way.server(&format!("http://joe:s3cret@localhost:{}", squid.port), "", &pairs(&env));
    way.ask(&server, MANY);
    drop(server);
    expect(&squid, "joe", 1);
}

#[test]
fn a_proxy_by_another_name_needs_its_service_named() {
    if !ready() {
        return;
    }
    let (realm, way) = (Realm::start(), Way::new());
    realm.ticket();
    let squid = realm.squid("");
    let env = realm.env();
    let url = format!("http://127.0.0.1:{}", squid.port);
    let server = way.server(&url, "", &pairs(&env));
    let answer = server.curl(&[&way.plain(100)]);
    for part in ["knows no service HTTP/127.0.0.1", "`service` of its [[proxy_login]]"] {
        assert!(answer.body.contains(part), "{part}: {answer:?}");
    }
    drop(server);
    let settings = format!("[[proxy_login]]\nproxy = \"127.0.0.1\"\nservice = \"HTTP/localhost@{REALM}\"\n");
    let server = way.server(&url, &settings, &pairs(&env));
    way.ask(&server, MANY);
    drop(server);
    expect(&squid, "jane", 2);
}
