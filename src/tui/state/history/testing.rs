//! Runs for tests.

use larder_proxy::flow::Class;
use larder_proxy::stats::Sums;

use super::Kept;
use crate::event::Ending;
use crate::history::run::{Answered, Artifact, Build, Downloads, Run, Step};

fn downloads(requests: u64, misses: u64, upstream: u64) -> Downloads {
    let mut downloads = Downloads::default();
    let sums = Sums {
        requests,
        hits: requests - misses,
        misses,
        bytes_sent: 120_000_000,
        bytes_cache: 120_000_000 - upstream,
        bytes_upstream: upstream,
        ..Sums::default()
    };
    if requests > 0 {
        downloads.add(Class::Package, &sums);
    }
    downloads
}

fn step(index: usize, attempt: u32, name: &str, seconds: f64, ending: Ending, got: Downloads) -> Step {
    let started = "2026-08-31T10:00:00Z".parse().unwrap();
    Step {
        index,
        attempt,
        name: name.to_owned(),
        started,
        seconds: Some(seconds),
        ending: Some(ending),
        downloads: got,
    }
}

fn build(name: &str, seconds: f64, ending: Ending, steps: Vec<Step>) -> Build {
    Build {
        exit_code: None,
        marks: Vec::new(),
        name: name.to_owned(),
        builder_type: Some("rootfs".to_owned()),
        log: Some(format!("/state/logs/run/{name}.log").into()),
        started: Some("2026-08-31T10:00:00Z".parse().unwrap()),
        seconds: Some(seconds),
        ending: Some(ending),
        failure: (ending == Ending::Failed).then(|| "the script install.sh ended with exit status 100".to_owned()),
        steps,
        between: Downloads::default(),
        artifacts: Vec::new(),
        answers: Vec::new(),
    }
}

fn run(id: &str, started: &str, template: &str, ending: Option<Ending>, builds: Vec<Build>) -> Run {
    Run {
        id: id.to_owned(),
        uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
        started: started.parse().unwrap(),
        seconds: ending.map(|_| 130.0),
        template: template.to_owned(),
        template_digest: "d".repeat(64),
        net: "cache".to_owned(),
        version: "0.1.0".to_owned(),
        ending,
        cancelled: None,
        exit_code: Some(0),
        builds,
    }
}

/// A run in every condition.
pub(in crate::tui) fn runs() -> Vec<Kept> {
    let debian = |seconds: f64, misses, upstream| {
        let mut debian = build(
            "rootfs.debian",
            seconds + 50.4,
            Ending::Succeeded,
            vec![
                step(0, 1, "prepare", 0.4, Ending::Succeeded, downloads(0, 0, 0)),
                step(1, 1, "bootstrap", seconds, Ending::Succeeded, downloads(150, misses, upstream)),
                step(2, 1, "shell (install tools)", 20.0, Ending::Failed, Downloads::default()),
                step(2, 2, "shell (install tools)", 30.0, Ending::Succeeded, downloads(41, 0, 0)),
            ],
        );
        debian.artifacts = vec![Artifact {
            builder_id: "larder.rootfs".to_owned(),
            id: "image".to_owned(),
            description: "a tree".to_owned(),
            files: vec!["out/debian.tar.zst".into()],
        }];
        debian.answers = vec![Answered {
            time: "2026-08-31T10:01:00Z".parse().unwrap(),
            step: 2,
            question: "the script tools.sh ended with exit status 1".to_owned(),
            answer: "retry".to_owned(),
            by: "answered".to_owned(),
        }];
        debian
    };
    let ubuntu = build(
        "rootfs.ubuntu-24.04",
        20.0,
        Ending::Failed,
        vec![step(0, 1, "bootstrap", 19.0, Ending::Failed, downloads(12, 12, 9_000_000))],
    );
    let motd = Build {
        started: None,
        ending: None,
        seconds: None,
        log: None,
        ..build("file.motd", 0.0, Ending::Cancelled, vec![])
    };
    let both = "/home/me/images/both.pkr.hcl";
    let one = "/home/me/images/debian.pkr.hcl";
    let ended = |ending, run| Kept { run: Run { ending, ..run }, live: false };
    vec![
        Kept { run: run("20260901T100000-aaaaaa", "2026-09-01T10:00:00Z", one, None, vec![motd.clone()]), live: true },
        ended(
            Some(Ending::Failed),
            run(
                "20260831T100000-bbbbbb",
                "2026-08-31T10:00:00Z",
                both,
                Some(Ending::Failed),
                vec![debian(30.0, 0, 0), ubuntu, motd],
            ),
        ),
        ended(None, run("20260830T100000-cccccc", "2026-08-30T10:00:00Z", one, None, vec![debian(8.0, 0, 0)])),
        Kept {
            run: Run {
                cancelled: Some("interrupted".to_owned()),
                ..run("20260829T100000-dddddd", "2026-08-29T10:00:00Z", one, Some(Ending::Cancelled), vec![])
            },
            live: false,
        },
        ended(
            Some(Ending::Succeeded),
            run(
                "20260828T100000-eeeeee",
                "2026-08-28T10:00:00Z",
                both,
                Some(Ending::Succeeded),
                vec![debian(90.0, 150, 117_700_000)],
            ),
        ),
    ]
}
