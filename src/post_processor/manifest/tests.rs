use std::sync::Arc;

use super::*;
use crate::provisioner::testing::{context, prepare};
use crate::template::hcl::value::Value;

/// Written by Packer 1.6.6.
const PACKERS: &str = r#"{
  "builds": [
    {
      "name": "one",
      "builder_type": "file",
      "files": [
        {
          "name": "a.txt",
          "size": 6
        }
      ],
      "artifact_id": "File",
      "packer_run_uuid": "596b0795-054c-7351-0921-7ab7c0cb6fa6",
      "custom_data": null
    },
    {
      "name": "null",
      "builder_type": "null",
      "build_time": 1795375018,
      "files": null,
      "artifact_id": "Null",
      "packer_run_uuid": "e1684b59-0aa4-afe7-eed0-713e8d8542e9",
      "custom_data": {
        "k": "\u003cv\u003e \u0026 w"
      }
    }
  ],
  "last_run_uuid": "e1684b59-0aa4-afe7-eed0-713e8d8542e9"
}"#;

#[test]
fn packers_own_file_is_written_back_as_it_was() {
    let manifest: ManifestFile = serde_json::from_str(PACKERS).unwrap();
    assert_eq!(to_json(&manifest).unwrap(), PACKERS);
    assert_eq!(serde_json::from_str::<ManifestFile>(r#"{"builds": null}"#).unwrap(), ManifestFile::default());
}

#[tokio::test]
async fn builds_are_added_across_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut context, _) = context(dir.path());
    let output = dir.path().join("sub/m.json");
    let image = dir.path().join("a.img");
    std::fs::write(&image, "hello\n").unwrap();
    let options = || {
        vec![
            ("output", output.to_str().unwrap().into()),
            ("strip_path", true.into()),
            ("strip_time", true.into()),
            ("custom_data", Value::object(BTreeMap::from([("k".to_owned(), "v".into())]))),
        ]
    };
    let artifact = Artifact { id: "File".into(), files: vec![image], ..Artifact::default() };
    let read = || serde_json::from_slice::<ManifestFile>(&std::fs::read(&output).unwrap()).unwrap();
    for (run, force, builds) in [("1", false, 1), ("1", true, 2), ("2", false, 3), ("3", true, 1), ("3", true, 2)] {
        context.run_uuid = run.into();
        context.force = force;
        let done = prepare(&TYPE, options()).post_process(&context, &artifact).await.unwrap();
        assert!(done.force_keep && done.artifact.as_ref() == Some(&artifact));
        let manifest = read();
        assert_eq!((manifest.builds.len(), manifest.last_run_uuid.as_str()), (builds, run));
    }
    let build = read().builds.remove(0);
    assert_eq!(build.files, Some(vec![BuiltFile { name: "a.img".into(), size: 6 }]));
    assert_eq!((build.build_time, build.artifact_id.as_str(), build.name.as_str()), (0, "File", "one"));
    assert_eq!(build.custom_data.unwrap()["k"], "v");
    let left: Vec<_> = std::fs::read_dir(output.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "neither the lock nor a temporary file is left");
}

#[tokio::test]
async fn a_build_that_is_not_as_its_template_says_is_marked_and_stays_so() {
    use crate::event::Mark;
    let dir = tempfile::tempdir().unwrap();
    let (mut context, _) = context(dir.path());
    let output = dir.path().join("m.json");
    let options = || vec![("output", output.to_str().unwrap().into())];
    context.marks = vec![
        Mark::Skipped { step_index: 1, step: "shell".into() },
        Mark::Edited { step_index: 2, step: "shell (b)".into(), script: "b.sh".into(), path: "/logs/b.sh".into() },
    ];
    for marks in [context.marks.clone(), Vec::new()] {
        context.marks = marks;
        let _ = prepare(&TYPE, options()).post_process(&context, &Artifact::default()).await.unwrap();
    }
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    let expected = serde_json::json!([
        { "kind": "skipped", "step_index": 1, "step": "shell" },
        { "kind": "edited", "step_index": 2, "step": "shell (b)", "script": "b.sh", "path": "/logs/b.sh" },
    ]);
    assert_eq!(manifest["builds"][0]["marks"], expected, "also once another build is added");
    assert_eq!(manifest["builds"][1].get("marks"), None);
}

#[test]
fn builds_that_end_together_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let output = Arc::new(dir.path().join("m.json"));
    // As a Larder that was killed leaves it.
    std::fs::write(dir.path().join("m.json.lock"), "").unwrap();
    let add = |index: usize| {
        let output = output.clone();
        let build = Build { name: index.to_string(), packer_run_uuid: "1".into(), ..Build::default() };
        std::thread::spawn(move || add(&output, build, true).unwrap())
    };
    (0..16).map(add).collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    let manifest: ManifestFile = serde_json::from_slice(&std::fs::read(&*output).unwrap()).unwrap();
    assert_eq!(manifest.builds.len(), 16);
    assert!(!dir.path().join("m.json.lock").exists());
}

#[test]
fn a_broken_file_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("m.json");
    std::fs::write(&output, "{").unwrap();
    let error = add(&output, Build::default(), false).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the manifest"), "{error}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "{");
}
