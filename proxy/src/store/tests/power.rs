//! The power goes, at any moment: what was not synced is gone, whole or in part, in any order.
//!
//! A process works on a store under strace. What it wrote, synced, renamed and removed is replayed up to a random point;
//! there each file keeps what was synced, and of the rest any part, also a torn one, or zeros; each directory keeps the
//! changes that were synced, and some of those that came next. Nothing is assumed of the file system's own order, which
//! is stricter than any that a cache lies on. The store must then open, be sound, and have what was settled.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Component;
use std::process::Command;
use std::time::Instant;

use super::*;
use crate::inspect::verify;

const WORKS_IN: &str = "LARDER_TEST_WORKS_IN";
/// How much it does there.
const STEPS: &str = "LARDER_TEST_STEPS";
/// Made when the first entry has been settled: from here on it must be there.
const MARK: &str = "settled";
const SETTLED: u64 = 9999;
const TRACED: &str = "trace=open,openat,creat,close,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,\
    link,linkat,unlink,unlinkat,mkdir,mkdirat";

#[test]
#[ignore = "run by the_power_may_go_at_any_moment"]
fn works_for_a_while() {
    let path = PathBuf::from(std::env::var_os(WORKS_IN).unwrap());
    let store = Store::open(&path).unwrap();
    put(&store, SETTLED, b"settled");
    let url = crate::inspect::Target::parse("http://example.org/9999", false).unwrap();
    store.set_pinned(&url, true).unwrap();
    store.settle().unwrap();
    fs::create_dir(path.join(MARK)).unwrap();
    drop(store);
    let steps = count_of(STEPS, 16);
    for round in 0..3_u64 {
        let store = Store::open(&path).unwrap();
        store.recover().unwrap();
        std::thread::scope(|scope| {
            for worker in 0..2_u64 {
                let store = &store;
                scope.spawn(move || {
                    for step in 0..steps {
                        work(store, round * 100 + worker * 50 + step);
                    }
                });
            }
        });
        store.settle().unwrap();
    }
}

/// Something of everything: new bodies, the same body again, other bodies for a URL, removals of each kind.
fn work(store: &Store, number: u64) {
    let mut random = Random(number + 1);
    let size = usize::try_from(random.below(30_000)).unwrap();
    let body = vec![u8::try_from(random.below(200)).unwrap(); size];
    put(store, number % 23, &[&number.to_le_bytes()[..], &body].concat());
    put(store, 100 + number % 7, &[7; 9000]);
    put_part(store, 200 + number % 3, number % 5);
    match number % 5 {
        0 => {
            let limits = Limits { max_bytes: Some(120_000), ..Limits::default() };
            store.make_room(&limits, UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
        }
        1 => drop(store.invalidate(&draft(number % 23).key).unwrap()),
        2 => drop(store.forget_blob(&Digest::of(&[7; 9000])).unwrap()),
        3 => {
            let touch = |entry: &Entry| Touch {
                key: entry.draft.key,
                entry: Some(entry.id),
                at: UNIX_EPOCH + Duration::from_secs(number),
                outcome: crate::flow::Outcome::Hit,
                why: "".into(),
                uses: 1,
            };
            let found = store.list(&Filter::default()).unwrap();
            store.touch(&found.iter().map(touch).collect::<Vec<_>>()).unwrap();
        }
        _ => {}
    }
}

/// A part of an object that others touch and overlap, now and then of another state of it; or the whole.
fn put_part(store: &Store, number: u64, place: u64) {
    let mut draft = draft(number);
    let tag = if number == 202 && place == 3 { "\"2\"" } else { "\"1\"" };
    draft.headers.insert(http::header::ETAG, http::HeaderValue::from_static(tag));
    let whole = vec![9; 20_000];
    let from = usize::try_from(place).unwrap() * 4000;
    let body = if place == 4 { &whole[..] } else { &whole[from..from + 6000] };
    draft.part = (place < 4).then_some(Part { from: from as u64, total: 20_000 });
    let mut writer = store.writer().unwrap();
    writer.write(body).unwrap();
    store.commit(writer.seal().unwrap(), draft).unwrap();
}

#[test]
fn the_power_may_go_at_any_moment() {
    let (dir, cuts) = (TempDir::new().unwrap(), count_of("LARDER_TEST_CUTS", 30));
    let (path, trace) = (dir.path().join("cache"), dir.path().join("trace"));
    fs::create_dir(&path).unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-xx", "-s", "1000000", "-e", TRACED, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::power::works_for_a_while", "--ignored"])
        .env(WORKS_IN, &path)
        .output()
        .expect("tests/run installs strace");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
    let calls = calls(&fs::read_to_string(&trace).unwrap());
    let seed = count_of("LARDER_TEST_SEED", 1);
    let mut random = Random(seed);
    let mut points: Vec<u64> = (0..cuts).map(|_| random.below(calls.len() as u64)).collect();
    points.sort_unstable();
    let mut disk = Disk::new(&path);
    let mut done = 0;
    let (mut slowest, mut kept, mut gone) = (Duration::ZERO, 0, 0);
    for point in points {
        for call in &calls[done..usize::try_from(point).unwrap()] {
            disk.apply(call);
        }
        done = usize::try_from(point).unwrap();
        let after = TempDir::new().unwrap();
        disk.after_power_cut(after.path(), &mut random);
        let case = format!("seed {seed}, after {point} of {} calls", calls.len());
        let (took, entries) = comes_up_again(after.path(), &case);
        slowest = slowest.max(took);
        kept += entries;
        gone += u64::from(entries == 0);
    }
    println!(
        "{cuts} power cuts in {} calls: slowest start {slowest:?}, {kept} entries kept, {gone} empty",
        calls.len()
    );
    // On a machine that other tests keep busy, a time says little.
    let alone = std::env::var_os("LARDER_TEST_CUTS").is_some();
    let most = Duration::from_secs(if alone { 2 } else { 20 });
    assert!(slowest < most, "{slowest:?}");
    assert!(kept > cuts, "hardly anything survives: the model, or the syncing, is wrong");
}

/// One thread removes a name, another puts a file there before the first is back.
#[test]
fn a_name_is_removed_when_its_removal_begins() {
    // As strace writes them.
    let hex = |text: &str| {
        let digits = hex::encode(text);
        (0..digits.len()).step_by(2).map(|at| ["\\x", &digits[at..at + 2]].concat()).collect::<String>()
    };
    let (old, new) = (hex("/c/old"), hex("/c/new"));
    let trace = format!(
        "1 openat(AT_FDCWD, \"{old}\", O_RDWR|O_CREAT) = 3\n\
         1 openat(AT_FDCWD, \"{new}\", O_RDWR|O_CREAT) = 4\n\
         1 unlink(\"{old}\" <unfinished ...>\n\
         2 rename(\"{new}\", \"{old}\") = 0\n\
         1 <... unlink resumed>) = 0\n"
    );
    let mut disk = Disk::new(Path::new("/c"));
    for call in &calls(&trace) {
        disk.apply(call);
    }
    assert_eq!(disk.node(Path::new("/c/old")), Some(Node::File(1)));
    assert_eq!(disk.node(Path::new("/c/new")), None);
}

/// Killed at an early call of each kind, and at later ones: the store is sound, and what was settled is there.
#[test]
fn a_store_killed_at_any_kind_of_call_is_sound() {
    // Those before are of the loader, and of the test's program.
    let of_opening = ["openat", "mkdir,mkdirat", "flock", "ftruncate", "fsync"];
    let of_writing = ["pwrite64", "fdatasync", "link,linkat", "rename,renameat,renameat2", "unlink,unlinkat", "close"];
    let ats: &[u64] =
        if std::env::var_os("LARDER_TEST_CUTS").is_some() { &[1, 2, 3, 5, 8, 13, 21, 34, 55] } else { &[3, 21] };
    let mut killed = 0;
    for (kind, at) in of_opening.iter().chain(&of_writing).flat_map(|kind| ats.iter().map(move |at| (kind, at))) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("cache");
        fs::create_dir(&path).unwrap();
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={kind}"))
            .args(["-e", &format!("inject={kind}:signal=KILL:when={at}")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::power::works_for_a_while", "--ignored"])
            .envs([(WORKS_IN, path.as_os_str()), (STEPS, "3".as_ref())])
            .output()
            .expect("tests/run installs strace");
        // strace ends as what it traces does.
        let by_kill = output.status.signal() == Some(9);
        assert!(by_kill || output.status.success(), "{kind} {at}: {output:?}");
        killed += u64::from(by_kill);
        comes_up_again(&path, &format!("killed at {kind} {at}"));
    }
    println!("{killed} killed at a system call");
    assert!(killed >= 10, "{killed}: most were to be killed");
}

/// How long it took to open, and how many entries there are.
fn comes_up_again(path: &Path, case: &str) -> (Duration, u64) {
    let settled = path.join(MARK).exists();
    let begun = Instant::now();
    let (store, damage) = Store::open_mending(path).unwrap_or_else(|error| panic!("{case}: {error}"));
    let took = begun.elapsed();
    assert!(damage.is_none(), "{case}: {damage:?}");
    // Nothing that would be served is missing or not what it should be, even before anything was put in order.
    let report = store.verify(false).unwrap();
    assert!(report.is_sound(), "{case}: {report:?}");
    store.recover().unwrap();
    let (report, stats) = (store.verify(false).unwrap(), store.stats().unwrap());
    assert!(report.is_sound() && report.unreferenced.is_empty() && report.leftover.is_empty(), "{case}: {report:?}");
    assert_eq!((report.blobs, report.bytes), (stats.blobs, stats.bytes), "{case}");
    assert!(!settled || store.lookup(&draft(SETTLED).key).unwrap().len() == 1, "{case}: what was settled is gone");
    put(&store, 1, b"and it can be written");
    drop(store);
    assert!(verify(path, false).unwrap().is_sound(), "{case}");
    (took, stats.entries)
}

pub(super) fn count_of(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// Xorshift: a seed tells what happens.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.0 >> 29) ^ 0x1234_5678_9abc_def1;
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// A system call that succeeded.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: Vec<Argument>,
    result: i64,
}

#[derive(Debug)]
enum Argument {
    Bytes(Vec<u8>),
    Word(String),
}

impl Call {
    fn bytes(&self, index: usize) -> &[u8] {
        match &self.arguments[index] {
            Argument::Bytes(bytes) => bytes,
            Argument::Word(word) => panic!("{word} is no string: {self:?}"),
        }
    }

    fn word(&self, index: usize) -> &str {
        match self.arguments.get(index) {
            Some(Argument::Word(word)) => word,
            _ => "",
        }
    }

    fn number(&self, index: usize) -> i64 {
        self.word(index).parse().unwrap_or(-1)
    }

    /// The strings among the arguments: paths.
    fn paths(&self) -> Vec<PathBuf> {
        let bytes = self.arguments.iter().filter_map(|argument| match argument {
            Argument::Bytes(bytes) => Some(PathBuf::from(String::from_utf8_lossy(bytes).into_owned())),
            Argument::Word(_) => None,
        });
        bytes.collect()
    }
}

/// Reads strace's output. A call interrupted in it counts from where it ended; but a name that is removed is gone long
/// before the call is back, which still has to free what the file had: meanwhile another may have put a file there.
fn calls(trace: &str) -> Vec<Call> {
    let early = |call: &str| call.starts_with("close(") || call.starts_with("unlink");
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (process, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            // The same of a descriptor: its number may be given to another file before the call is back.
            if early(beginning) {
                calls.extend(call(&format!("{beginning}) = 0")));
            }
            begun.insert(process, beginning);
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let beginning = begun.remove(process).unwrap();
            let end = resumed.split_once(" resumed>").unwrap().1;
            if !early(beginning) {
                calls.extend(call(&format!("{beginning}{end}")));
            }
        } else {
            calls.extend(call(rest));
        }
    }
    calls
}

fn call(line: &str) -> Option<Call> {
    let (head, result) = line.rsplit_once(") = ").or_else(|| line.rsplit_once(" = "))?;
    let result = result.split(' ').next()?.parse().ok().filter(|&result: &i64| result >= 0)?;
    let (name, arguments) = head.trim_end().trim_end_matches(')').split_once('(')?;
    let arguments = arguments.split(", ").map(|argument| match argument.strip_prefix('"') {
        Some(text) => {
            let digits = text.trim_end_matches('"').replace("\\x", "");
            Argument::Bytes(hex::decode(&digits).unwrap_or_else(|_| panic!("{argument} is cut off")))
        }
        None => Argument::Word(argument.trim().to_owned()),
    });
    Some(Call { name: name.to_owned(), arguments: arguments.collect(), result })
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    File(usize),
    Dir(usize),
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Default)]
struct Folder {
    synced: BTreeMap<String, Node>,
    since: Vec<(String, Option<Node>)>,
    now: BTreeMap<String, Node>,
}

/// A directory, as programs see it and as far as it is on the disk.
struct Disk {
    root: PathBuf,
    files: Vec<Content>,
    folders: Vec<Folder>,
    /// What is open, and where in it the next write goes.
    open: HashMap<i64, (Node, usize)>,
}

impl Disk {
    fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: Vec::new(), folders: vec![Folder::default()], open: HashMap::new() }
    }

    /// The folder that a path lies in, and its name there; `None` where it lies elsewhere.
    fn place(&self, path: &Path) -> Option<(usize, String)> {
        let below = path.strip_prefix(&self.root).ok()?;
        let mut names: Vec<String> = below
            .components()
            .filter_map(|part| match part {
                Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
                _ => None,
            })
            .collect();
        let last = names.pop()?;
        let mut folder = 0;
        for name in names {
            let Some(Node::Dir(next)) = self.folders[folder].now.get(&name) else { return None };
            folder = *next;
        }
        Some((folder, last))
    }

    fn node(&self, path: &Path) -> Option<Node> {
        if path == self.root {
            return Some(Node::Dir(0));
        }
        let (folder, name) = self.place(path)?;
        self.folders[folder].now.get(&name).copied()
    }

    fn set(&mut self, path: &Path, node: Option<Node>) {
        let Some((folder, name)) = self.place(path) else { return };
        let folder = &mut self.folders[folder];
        match node {
            Some(node) => drop(folder.now.insert(name.clone(), node)),
            None => drop(folder.now.remove(&name)),
        }
        folder.since.push((name, node));
    }

    fn apply(&mut self, call: &Call) {
        match call.name.as_str() {
            "open" | "openat" | "creat" => self.opened(call),
            "close" => drop(self.open.remove(&call.number(0))),
            "write" | "pwrite64" => self.written(call),
            "ftruncate" => {
                if let Some((Node::File(file), _)) = self.open.get(&call.number(0)) {
                    let length = usize::try_from(call.number(1)).unwrap();
                    self.files[*file].since.push(Change::Truncate(length));
                }
            }
            "fsync" | "fdatasync" => match self.open.get(&call.number(0)) {
                Some((Node::File(file), _)) => self.files[*file].sync(),
                Some((Node::Dir(folder), _)) => {
                    let folder = &mut self.folders[*folder];
                    folder.synced.clone_from(&folder.now);
                    folder.since.clear();
                }
                None => {}
            },
            "mkdir" | "mkdirat" => {
                let path = &call.paths()[0];
                if self.place(path).is_some() {
                    self.folders.push(Folder::default());
                    self.set(path, Some(Node::Dir(self.folders.len() - 1)));
                }
            }
            "unlink" | "unlinkat" => self.set(&call.paths()[0], None),
            "link" | "linkat" => {
                let (from, to) = (&call.paths()[0], &call.paths()[1]);
                let node = self.node(from);
                self.set(to, node);
            }
            _ => {
                let (from, to) = (&call.paths()[0], &call.paths()[1]);
                let node = self.node(from);
                // Two names of one file stay as they are.
                if node != self.node(to) {
                    self.set(to, node);
                    self.set(from, None);
                }
            }
        }
    }

    fn opened(&mut self, call: &Call) {
        self.open.remove(&call.result);
        let path = &call.paths()[0];
        let flags = if call.name == "openat" { call.word(2) } else { call.word(1) };
        let mut node = self.node(path);
        if node.is_none() && flags.contains("O_CREAT") && self.place(path).is_some() {
            self.files.push(Content::default());
            node = Some(Node::File(self.files.len() - 1));
            self.set(path, node);
        }
        if let (Some(Node::File(file)), true) = (node, flags.contains("O_TRUNC")) {
            self.files[file].since.push(Change::Truncate(0));
        }
        if let Some(node) = node {
            self.open.insert(call.result, (node, 0));
        }
    }

    fn written(&mut self, call: &Call) {
        let Some((Node::File(file), position)) = self.open.get_mut(&call.number(0)) else { return };
        let bytes = &call.bytes(1)[..usize::try_from(call.result).unwrap()];
        let at = if call.name == "pwrite64" { usize::try_from(call.number(3)).unwrap() } else { *position };
        *position = at + bytes.len();
        self.files[*file].since.push(Change::Write(at, bytes.to_vec()));
    }

    /// Makes a directory as it may be found after the power was cut now.
    fn after_power_cut(&self, target: &Path, random: &mut Random) {
        self.fill(0, target, random);
    }

    fn fill(&self, folder: usize, target: &Path, random: &mut Random) {
        let Folder { synced, since, .. } = &self.folders[folder];
        let mut entries = synced.clone();
        let survived = usize::try_from(random.below(since.len() as u64 + 1)).unwrap();
        for (name, node) in &since[..survived] {
            match node {
                Some(node) => drop(entries.insert(name.clone(), *node)),
                None => drop(entries.remove(name)),
            }
        }
        for (name, node) in entries {
            let path = target.join(&name);
            match node {
                Node::Dir(folder) => {
                    fs::create_dir(&path).unwrap();
                    self.fill(folder, &path, random);
                }
                // Shared memory: nothing of it outlives the machine.
                Node::File(_) if name.ends_with("-shm") => {}
                Node::File(file) => fs::write(&path, self.files[file].after_power_cut(random)).unwrap(),
            }
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.since) {
            change.make(&mut self.synced);
        }
    }

    fn after_power_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let how = random.below(4);
        for change in &self.since {
            match (how, change) {
                (1, change) => change.make(&mut content),
                (2, change) if random.below(2) == 0 => change.make(&mut content),
                // The file has grown, and what it grew by was not written.
                (2, Change::Write(at, bytes)) if random.below(2) == 0 && content.len() < at + bytes.len() => {
                    content.resize(at + bytes.len(), 0);
                }
                (0 | 2, _) => {}
                (_, Change::Truncate(_)) => change.make(&mut content),
                // Sector by sector.
                (_, Change::Write(at, bytes)) => {
                    for (number, sector) in bytes.chunks(512).enumerate() {
                        if random.below(2) == 0 {
                            Change::Write(at + number * 512, sector.to_vec()).make(&mut content);
                        }
                    }
                }
            }
        }
        content
    }
}

impl Change {
    fn make(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => content.resize(*length, 0),
            Self::Write(at, bytes) => {
                if content.len() < at + bytes.len() {
                    content.resize(at + bytes.len(), 0);
                }
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}
