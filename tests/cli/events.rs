//! Events as programs read them.

use super::Larder;
use super::schema::assert_valid_events;

#[test]
fn every_event_is_as_promised() {
    let larder = super::demo();
    let run = larder.run(["build", "--ui=json", "demo.pkr.hcl"]).expect(0);
    assert_valid_events(&run);
    let events = run.events();
    let started = &events[0];
    assert_eq!((&started["schema"], &started["version"]), (&1.into(), &env!("CARGO_PKG_VERSION").into()));
    let line = events.iter().find(|event| event["type"] == "stdout" && event["line"] == "nothing by null").unwrap();
    assert_eq!(line["build"], "demo.null.nothing");
    assert_eq!((&line["step"], &line["step_index"]), (&"shell-local (greet)".into(), &0.into()));
    let manifest = std::fs::read_to_string(larder.dir().join("packer-manifest.json")).unwrap();
    assert!(manifest.contains(started["uuid"].as_str().unwrap()), "{manifest}");
}

#[test]
fn failures_are_as_promised() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "source \"null\" \"x\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.x\"]\n  provisioner \
         \"shell-local\" {\n    inline = [\"echo no >&2\", \"exit 3\"]\n  }\n}\n",
    );
    let run = larder.run(["build", "--ui=json", "t.pkr.hcl"]).expect(1);
    assert_valid_events(&run);
    let events = run.events();
    let finished = events.iter().find(|event| event["type"] == "build-finished").unwrap();
    assert_eq!(finished["ending"], "failed");
    assert!(finished["failure"]["message"].as_str().unwrap().contains("exit status: 3"), "{finished}");
    assert!(events.iter().any(|event| event["type"] == "stderr" && event["line"] == "no"));
}
