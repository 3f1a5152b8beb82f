//! `larder cache`, and a cache that is damaged, full, too large or not to be had, with the real program.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers fail by panicking and say why they skip"
)]

mod adverse;
mod commands;
mod damage;
mod kills;
mod manage;
#[path = "../support/origin.rs"]
mod origin;
mod room;
#[path = "../support/larder.rs"]
mod support;
mod unusable;

use std::fmt::Write as _;

use origin::Origin;
use support::{Larder, Run};

const DEB: &str = "/debian/pool/main/h/hello/hello_1.0_all.deb";
const INDEX: &str = "/debian/dists/stable/InRelease";
const PLAIN: &str = "/notes/readme.txt";

/// What the tests fetch.
fn origin() -> Origin {
    Origin::serving(&[
        (DEB, "Cache-Control: max-age=6000\r\n", vec![b'd'; 200_000]),
        (INDEX, "ETag: \"1\"\r\n", b"index".to_vec()),
        (PLAIN, "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n", b"read me\n".to_vec()),
    ])
}

/// A build that fetches these paths in this order, each into a file named by its number.
fn fetch(larder: &Larder, origin: &Origin, paths: &[&str]) -> Run {
    fetch_with(larder, origin, paths, &[])
}

fn fetch_with(larder: &Larder, origin: &Origin, paths: &[&str], more: &[&str]) -> Run {
    let mut lines = String::new();
    for (number, path) in paths.iter().enumerate() {
        writeln!(lines, "      \"curl -sSf -o {number}.out http://example.org{path}\",").unwrap();
    }
    let template = format!(
        "source \"null\" \"fetch\" {{}}\nbuild {{\n  sources = [\"source.null.fetch\"]\n  \
         provisioner \"shell-local\" {{\n    inline = [\n{lines}    ]\n  }}\n}}\n"
    );
    larder.write("fetch.pkr.hcl", &template);
    let mirror = origin.mirror();
    let arguments = [&["build", "--ui=json", "--mirror", &mirror], more, &["fetch.pkr.hcl"]].concat();
    larder.run(arguments)
}

/// The outcomes of a run's flows, in order.
fn outcomes(run: &Run) -> Vec<String> {
    let flows = run.events().into_iter().filter(|event| event["type"] == "flow");
    flows.map(|event| event["flow"]["outcome"].as_str().unwrap().to_owned()).collect()
}
