use super::*;
use crate::provisioner::testing::{context, prepare, problems};
use crate::template::hcl::value::Value;

const TYPES: [&str; 6] = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

#[tokio::test]
async fn files_are_those_of_packer() {
    let dir = tempfile::tempdir().unwrap();
    let (context, _) = context(dir.path());
    let input = dir.path().join("a.txt");
    std::fs::write(&input, "hello\n").unwrap();
    let output =
        format!("{}/d/packer_{{{{.BuildName}}}}_{{{{.BuilderType}}}}_{{{{.ChecksumType}}}}", dir.path().display());
    let options = || vec![("checksum_types", Value::strings(TYPES.iter().copied())), ("output", output.clone().into())];
    let artifact = Artifact { files: vec![input.clone()], ..Artifact::default() };
    for _ in 0..2 {
        let done = prepare(&TYPE, options()).post_process(&context, &artifact).await.unwrap();
        assert!(done.keep_input && done.force_keep);
        let made = done.artifact.unwrap();
        let names: Vec<&str> = made.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        let checksums = TYPES.iter().map(|name| format!("packer_one_null_{name}"));
        assert_eq!(names, std::iter::once("a.txt".to_owned()).chain(checksums).collect::<Vec<_>>());
        let read = |name: &str| std::fs::read_to_string(dir.path().join("d").join(name)).unwrap();
        assert_eq!(read("packer_one_null_md5"), "b1946ac92492d2347c6235b4d2611184\ta.txt\n");
        assert_eq!(read("packer_one_null_sha1"), "f572d396fae9206628714fb2ce00f72e94f2258f\ta.txt\n");
        assert_eq!(
            read("packer_one_null_sha256"),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\ta.txt\n"
        );
        assert_eq!(read("packer_one_null_sha224"), "2d6d67d91d0badcdd06cbbba1fe11538a68a37ec9c2e26457ceff12b\ta.txt\n");
    }
    std::fs::write(&input, "other\n").unwrap();
    prepare(&TYPE, options()).post_process(&context, &artifact).await.unwrap();
    let lines = std::fs::read_to_string(dir.path().join("d/packer_one_null_md5")).unwrap();
    assert_eq!(lines.lines().count(), 2);
}

#[tokio::test]
async fn a_directory_has_no_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let (context, _) = context(dir.path());
    let artifact = Artifact { files: vec![dir.path().to_owned()], ..Artifact::default() };
    let error = prepare(&TYPE, vec![]).post_process(&context, &artifact).await.unwrap_err();
    assert!(error.to_string().ends_with("it is a directory"), "{error}");
}

#[test]
fn options_are_checked() {
    assert!(problems(&TYPE, vec![]).is_empty());
    assert_eq!(
        problems(&TYPE, vec![("checksum_types", Value::strings(["sha-256"]))]),
        ["wrong value for `checksum_types`: it is not one of those there are"]
    );
    assert_eq!(
        problems(&TYPE, vec![("output", "{{.Name}}".into())]),
        ["cannot render the template in `output`: there is no field `.Name` here"]
    );
}
