//! From one machine to another, with the real program.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder_proxy::store::{Arrival, ArrivalParts, Digest, Provenance, Store, Taking};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed::{Answered, entry, fetched, noise, ok, record, usual};
use crate::origin::{Origin, head};
use crate::support::{Larder, Run};

const DEB: &str = "/debian/pool/main/h/hello/hello_1.0_all.deb";
const INDEX: &str = "/debian/dists/stable/InRelease";
const PLAIN: &str = "/notes/readme.txt";
const ABSENT: &str = "/debian/dists/stable/main/absent.deb";
const MOVED: &str = "/moved/readme.txt";
const PATHS: [&str; 5] = [DEB, INDEX, PLAIN, ABSENT, MOVED];

fn origin() -> Origin {
    Origin::start(|path, stream| {
        match path {
        DEB => {
            let body = noise(2_000_000, 11);
            head(stream, "Cache-Control: max-age=6000\r\nContent-Type: application/x-deb\r\n", body.len())?;
            stream.write_all(&body)
        }
        INDEX => {
            head(stream, "ETag: \"1\"\r\nX-Serial: 17\r\n", 5)?;
            stream.write_all(b"index")
        }
        PLAIN => {
            head(stream, "Cache-Control: max-age=600\r\nContent-Type: text/plain\r\nSet-Cookie: id=secret-cookie\r\n", 8)?;
            stream.write_all(b"read me\n")
        }
        MOVED => stream.write_all(
            format!("HTTP/1.1 302 Found\r\nLocation: http://example.org{PLAIN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        ),
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabsent"),
    }
    })
}

/// A template that fetches all of it: heads and bodies into files by number.
fn template(larder: &Larder, more: &str) {
    let mut lines = String::new();
    for (number, path) in PATHS.iter().enumerate() {
        lines += &format!("      \"curl -sS -D {number}.head -o {number}.body http://example.org{path}\",\n");
    }
    let text = format!(
        "variable \"password\" {{\n  type = string\n  sensitive = true\n  default = null\n}}\nvariable \"flavour\" {{\n  type = string\n  \
         default = \"plain\"\n}}\nsource \"null\" \"fetch\" {{}}\nbuild {{\n  sources = [\"source.null.fetch\"]\n  \
         provisioner \"shell-local\" {{\n    inline = [\n{lines}    ]\n  }}\n{more}}}\n"
    );
    larder.write("fetch.pkr.hcl", &text);
}

/// Status line, fields and body.
type Got = (String, Vec<String>, Vec<u8>);

/// What a client got: status lines, fields but for those of this one answer, and bodies.
fn got(larder: &Larder) -> Vec<Got> {
    let mut all = Vec::new();
    for number in 0..PATHS.len() {
        let text = fs::read_to_string(larder.dir().join(format!("{number}.head"))).unwrap();
        let mut lines = text.lines().map(str::to_owned).filter(|line| !line.is_empty());
        let status = lines.next().unwrap();
        let changing =
            ["age:", "date:", "via:", "cache-status:", "proxy-status:", "connection:", "set-cookie:", "accept-ranges:"];
        let stays = |line: &String| !changing.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
        let mut fields: Vec<String> = lines.filter(stays).map(|line| line.to_ascii_lowercase()).collect();
        fields.sort();
        all.push((status, fields, fs::read(larder.dir().join(format!("{number}.body"))).unwrap()));
    }
    all
}

/// Runs `larder` in a network namespace of its own, where there is only a loopback.
fn without_network(larder: &Larder, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command.args(["-n", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_larder")]);
    Run::of(command.args(arguments).output().unwrap())
}

/// A machine that built, and what its clients got.
fn built() -> (Larder, Vec<Got>) {
    let (larder, origin) = (Larder::new(), origin());
    template(&larder, "");
    let mirror = origin.mirror();
    let arguments =
        ["build", "--ui=quiet", "-var", "password=hunter2-of-the-test", "--mirror", &mirror, "fetch.pkr.hcl"];
    let _ = larder.run(arguments).expect(0);
    let answers = got(&larder);
    assert!(answers[3].0.contains("404") && answers[4].0.contains("302"), "{answers:?}");
    (larder, answers)
}

fn export(larder: &Larder, name: &str) -> serde_json::Value {
    let run = larder.run(["bundle", "export", "fetch.pkr.hcl", "-o", name, "--json"]).expect(0);
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn a_build_is_the_same_where_there_is_no_network() {
    let (from, answers) = built();
    let exported = export(&from, "b.tar.zst");
    assert_eq!(exported["complete"], true, "{exported}");
    // The run by its id, and the form for media: the same bundle but for the template.
    let _ = from.run(["bundle", "export", "last", "-o", "parts.tar", "--max-part-size", "512k"]).expect(0);
    let to = Larder::new();
    template(&to, "");
    let offline = ["build", "--ui=quiet", "--net", "offline", "fetch.pkr.hcl"];
    let _ = without_network(&to, &offline).expect(0);
    assert!(got(&to).iter().all(|(status, _, _)| status.contains("403")), "nothing is there yet");
    for bundle in ["b.tar.zst", "parts.tar"] {
        let to = Larder::new();
        template(&to, "");
        let path = from.dir().join(bundle).display().to_string();
        let verified = without_network(&to, &["bundle", "verify", &path]).expect(0);
        assert!(verified.stdout.ends_with(": sound\n"), "{}", verified.stdout);
        assert!(!to.cache().exists(), "to verify stores nothing");
        let imported = without_network(&to, &["bundle", "import", &path]).expect(0);
        assert!(imported.stdout.starts_with("Imported 5 answers"), "{}", imported.stdout);
        let _ = without_network(&to, &offline).expect(0);
        assert_eq!(got(&to), answers);
        let _ = to.run(["cache", "verify"]).expect(0);
    }
}

#[test]
fn a_bundle_tells_what_it_holds_and_holds_no_secret() {
    let (from, _) = built();
    export(&from, "b.tar");
    let run = from.run(["bundle", "inspect", "--json", "b.tar"]).expect(0);
    let shown: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(shown["answers"], 5);
    assert_eq!(shown["hosts"]["example.org"]["answers"], 5);
    assert_eq!(shown["kinds"]["negative"]["answers"], 1);
    assert_eq!(shown["kinds"]["redirect"]["answers"], 1);
    assert_eq!(shown["template"]["variables"], serde_json::json!({ "flavour": "plain" }));
    assert!(shown["template"]["files"]["fetch.pkr.hcl"].as_str().unwrap().contains("source \"null\""));
    let text = from.run(["bundle", "inspect", "b.tar"]).expect(0).stdout;
    for words in ["5 answers", "egress", "fetch.pkr.hcl", "flavour = \"plain\"", "example.org", "complete   yes"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let bytes = fs::read(from.dir().join("b.tar")).unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let packs = crate::raw::entries(&bytes).into_iter().filter(|entry| entry.content.starts_with(&magic));
    let inner: Vec<u8> = packs.flat_map(|entry| zstd::decode_all(&entry.content[..]).unwrap()).collect();
    for secret in ["hunter2-of-the-test", "secret-cookie", "PRIVATE KEY"] {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!holds(&bytes) && !holds(&inner), "{secret}");
    }
    // A template that says its own secret is not carried.
    template(&from, "  # hunter2-of-the-test\n");
    let arguments = ["bundle", "export", "-var", "password=hunter2-of-the-test", "fetch.pkr.hcl", "-o", "other.tar"];
    let run = from.run(arguments).expect(1);
    assert!(run.stderr.contains("has changed since the run"), "{}", run.stderr);
    assert!(run.stderr.contains("fetch.pkr.hcl holds the value of a sensitive variable"), "{}", run.stderr);
    assert!(!from.dir().join("other.tar").exists());
}

#[test]
fn what_is_missing_is_listed_before_anything_is_written() {
    let (from, _) = built();
    let _ = from.run(["cache", "rm", &format!("http://example.org{DEB}")]).expect(0);
    let run = from.run(["bundle", "export", "last", "-o", "b.tar"]).expect(1);
    assert!(run.stderr.contains(&format!("GET http://example.org{DEB}: the cache has it no more")), "{}", run.stderr);
    assert!(run.stderr.contains("--allow-incomplete"), "{}", run.stderr);
    assert!(!from.dir().join("b.tar").exists());
    let _ = from.run(["bundle", "export", "last", "-o", "b.tar", "--allow-incomplete"]).expect(0);
    let to = Larder::new();
    let run = to.run(["bundle", "import", &from.dir().join("b.tar").display().to_string()]).expect(0);
    assert!(run.stderr.contains("does not hold everything"), "{}", run.stderr);
    let run = from.run(["bundle", "export", "no-such-run", "-o", "c.tar"]).expect(1);
    assert!(run.stderr.contains("there is no run no-such-run"), "{}", run.stderr);
    let run = from.run(["bundle", "export", "last", "-o", "c.zip"]).expect(1);
    assert!(run.stderr.contains("NAME.tar.zst"), "{}", run.stderr);
}

/// A server, and where it listens.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(larder: &Larder, bundle: &str) -> Self {
        let mut command = larder.command(["bundle", "serve", bundle, "--listen", "127.0.0.1:0", "--quiet"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it says where it listens").unwrap();
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Status and body.
    fn get(&self, path: &str) -> (String, Vec<u8>) {
        let url = format!("http://example.org{path}");
        let arguments = ["-sS", "-x", &self.address, "-w", "%{stderr}%{http_code}", &url];
        let output =
            Command::new("curl").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).output();
        let output = output.unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.stdout)
    }

    fn end(mut self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_bundle_is_served_without_being_taken_in() {
    let from = Larder::new();
    keep(&from, &usual());
    for name in ["b.tar.zst", "b.tar", "b"] {
        let _ = from.run(["bundle", "export", "a-run", "-o", name]).expect(0);
        let to = Larder::new();
        let serving = Serving::start(&to, &from.dir().join(name).display().to_string());
        for answered in usual() {
            let path = answered.url.trim_start_matches("http://example.org");
            let (status, body) = serving.get(path);
            assert_eq!(status, answered.status.to_string(), "{path}");
            assert!(body == answered.body, "{path}");
        }
        assert_eq!(serving.get("/something-else").0, "403");
        serving.end();
        assert!(!to.cache().exists(), "the cache is not touched");
        assert_eq!(fs::read_dir(to.state().join("scratch")).unwrap().count(), 0, "{name}");
    }
}

/// Puts answers into the cache of a machine, and a record of them, of the run `a-run`.
pub(crate) fn keep(larder: &Larder, answers: &[Answered]) {
    let store = Store::open(larder.cache()).unwrap();
    let mut staging = store.stage().unwrap();
    let mut arrivals = Vec::new();
    for answered in answers {
        let digest = Digest::of(&answered.body);
        staging.begin(&digest).unwrap();
        staging.write(&answered.body).unwrap();
        staging.keep(digest, answered.body.len() as u64);
        arrivals.push(arrival(answered, digest, answered.body.len() as u64));
    }
    staging.commit(&arrivals, Taking { pinned: false, replace: true }).unwrap();
    let mut made = record(answers.iter().map(entry).collect());
    "a-run".clone_into(&mut made.run);
    made.write(&larder.state()).unwrap();
}

fn arrival(answered: &Answered, digest: Digest, size: u64) -> Arrival {
    let headers = answered.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Arrival::new(ArrivalParts {
        url: answered.url.clone(),
        status: answered.status,
        headers: headers.collect(),
        vary: Vec::new(),
        fetched: fetched(),
        class: larder_proxy::flow::Class::Other,
        aside: answered.status != 200,
        digest,
        size,
        provenance: Provenance::default(),
    })
    .unwrap()
}

#[test]
fn memory_does_not_grow_with_a_body() {
    const PIECE: usize = 1 << 20;
    let from = Larder::new();
    let store = Store::open(from.cache()).unwrap();
    let mut staging = store.stage().unwrap();
    // Not known before all of it is made; the name of the file being written does not matter.
    let mut piece = noise(PIECE, 13);
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    let body = |work: &mut dyn FnMut(&[u8]), piece: &mut Vec<u8>| {
        for number in 0..1024_u64 {
            // Bytes that differ from piece to piece, so that nothing packs.
            for (at, byte) in number.to_le_bytes().iter().cycle().take(piece.len()).enumerate().step_by(3) {
                piece[at] = piece[at].wrapping_add(*byte).wrapping_mul(167);
            }
            work(piece);
        }
    };
    body(&mut |bytes| sha2::Digest::update(&mut hasher, bytes), &mut piece);
    let digest = Digest(sha2::Digest::finalize(hasher).into());
    staging.begin(&digest).unwrap();
    let mut piece = noise(PIECE, 13);
    body(&mut |bytes| staging.write(bytes).unwrap(), &mut piece);
    let size = (PIECE as u64) * 1024;
    staging.keep(digest, size);
    let large = ok("/large.img", Vec::new());
    staging.commit(&[arrival(&large, digest, size)], Taking { pinned: false, replace: true }).unwrap();
    drop(store);
    let mut one = entry(&large);
    (one.digest, one.size) = (Some(larder::history::record::Sha256(digest)), Some(size));
    let mut made = record(vec![one]);
    "a-run".clone_into(&mut made.run);
    made.write(&from.state()).unwrap();
    let exporting = most_memory(&from, &["bundle", "export", "a-run", "-o", "b.tar.zst"]);
    let to = Larder::new();
    let importing = most_memory(&to, &["bundle", "import", &from.dir().join("b.tar.zst").display().to_string()]);
    let verified = Store::open(to.cache()).unwrap();
    assert_eq!(verified.stats().unwrap().bytes, size);
    assert!(exporting < 150_000 && importing < 150_000, "{exporting} kB, {importing} kB");
}

/// Runs `larder`, and returns the most memory it had, in kilobytes.
fn most_memory(larder: &Larder, arguments: &[&str]) -> u64 {
    let script = "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let mut command = Command::new("python3");
    larder.settle(&mut command);
    command.args(["-c", script, env!("CARGO_BIN_EXE_larder")]).args(arguments);
    Run::of(command.output().unwrap()).expect(0).stdout.trim().parse().unwrap()
}

/// Runs a command with a file system of its own of this size at `full`.
fn on_small_disk(larder: &Larder, size: &str, script: &str) -> Run {
    fs::create_dir_all(larder.dir().join("full")).unwrap();
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    let text = format!("mount -t tmpfs -o size={size} tmpfs full && {script}");
    Run::of(command.args(["-m", "sh", "-c", &text, env!("CARGO_BIN_EXE_larder")]).output().unwrap())
}

#[test]
fn a_full_disk_leaves_nothing() {
    let from = Larder::new();
    keep(&from, &usual());
    for name in ["b.tar.zst", "b.tar", "b"] {
        let script = format!("\"$0\" bundle export a-run -o full/{name}; echo $?; ls -A full");
        let run = on_small_disk(&from, "1m", &script).expect(0);
        assert_eq!(run.stdout, "1\n", "{}", run.stderr);
        assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    }
    let _ = from.run(["bundle", "export", "a-run", "-o", "b.tar.zst"]).expect(0);
    // Room for the index and half of the bodies: what is left is told before, or found on the way.
    let script = "export LARDER_CACHE_DIR=$PWD/full/cache; \"$0\" bundle import b.tar.zst; echo $?; \
                  find full/cache/v1/tmp full/cache/v1/content-v2 -type f; \"$0\" cache ls";
    let run = on_small_disk(&from, "1600k", script).expect(0);
    assert_eq!(run.stdout.lines().next(), Some("1"), "{} {}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("sha256") && !run.stdout.contains("example.org"), "{}", run.stdout);
}

#[test]
fn a_bundle_that_is_wrong_ends_with_its_own_exit_code() {
    let from = Larder::new();
    keep(&from, &usual());
    let _ = from.run(["bundle", "export", "a-run", "-o", "b.tar"]).expect(0);
    let path = from.dir().join("b.tar");
    let mut bytes = Vec::new();
    fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
    let at = bytes.len() - 100_000;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for verb in ["verify", "import"] {
        let run = from.run(["bundle", verb, "b.tar"]).expect(5);
        assert!(run.stderr.contains("is not what its name says"), "{}", run.stderr);
    }
    fs::write(&path, &bytes[..5000]).unwrap();
    let run = from.run(["bundle", "verify", "b.tar"]).expect(5);
    assert!(run.stderr.contains("ends in the middle"), "{}", run.stderr);
    let run = from.run(["bundle", "verify", "no-such-file"]).expect(1);
    assert!(run.stderr.contains("no-such-file"), "{}", run.stderr);
    let run = from.run(["bundle", "verify", "--max-size", "1k", &Path::new("b.tar").display().to_string()]).expect(5);
    assert!(run.stderr.contains("--max-size"), "{}", run.stderr);
}
