//! What users of other proxies complain of, where no other test shows that it does not happen here
//! (`docs/reference/complaints.md`).

use crate::clients::{apt, private};
use crate::larder::Larder;
use crate::repository::Repository;
use crate::server::{Server, answer_once};

/// "Hash Sum mismatch": an index of one state of the repository, and a list of another.
#[test]
fn apt_sees_one_state_of_a_repository_that_changes() {
    let repository = Repository::start();
    let server = private(&repository);
    let source = "deb [trusted=yes] http://deb.example.org/debian stable main\n";
    let at = |name: &str| server.larder.dir().join(name);
    let _ = server.run(&mut apt(&at("first"), source, &["update"])).expect(0);
    for (round, version) in ["1.1", "1.12"].into_iter().enumerate() {
        repository.publish(version);
        // One that knows the last state, and one that knows none.
        for client in ["first", &format!("new-{round}")] {
            let _ = server.run(&mut apt(&at(client), source, &["update"])).expect(0);
            let _ = server.run(&mut apt(&at(client), source, &["download", "tiny"])).expect(0);
            std::fs::remove_file(at(&format!("tiny_{version}_all.deb"))).unwrap();
        }
    }
}

/// Bodies are passed on and stored as they come, not gathered.
#[test]
fn a_large_body_takes_no_memory() {
    const SIZE: usize = 256 << 20;
    let (url, origin) = answer_once(SIZE);
    let server = Server::with(Larder::new(), &[], |command| {
        command.env("NO_PROXY", "*");
    });
    let before = server.memory_peak();
    for _ in 0..2 {
        let answer = server.curl(&["-o", "/dev/null", &url]);
        assert_eq!((answer.exit, answer.status), (0, 200), "{answer:?}");
    }
    origin.join().unwrap();
    let part = server.curl(&["-r", "100000000-199999999", "-o", "/dev/null", &url]);
    assert_eq!((part.exit, part.status), (0, 206), "{part:?}");
    let grown = server.memory_peak() - before;
    assert!(grown < 64, "it took {grown} MB for a body of {} MB", SIZE >> 20);
}
