use super::*;
use crate::provisioner::testing::{DirectoryGuest, context, prepare, problems};
use crate::template::hcl::value::Value;

#[tokio::test]
async fn files_go_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (context, heard) = context(dir.path());
    let guest = DirectoryGuest::new(&dir.path().join("guest"));
    std::fs::create_dir_all(dir.path().join("guest/etc")).unwrap();
    std::fs::create_dir_all(dir.path().join("tree")).unwrap();
    let host = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(host("run.sh"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(host("run.sh"), std::fs::Permissions::from_mode(0o750)).unwrap();
    for (options, expected) in [
        (vec![("source", host("run.sh").into()), ("destination", "/guest/a".into())], "upload /guest/a 750".to_owned()),
        (
            vec![("sources", Value::strings([host("run.sh")])), ("destination", "/guest/etc/".into())],
            "upload /guest/etc/run.sh 750".to_owned(),
        ),
        (
            vec![("content", "text".into()), ("destination", "/guest/etc/motd".into())],
            "upload /guest/etc/motd 644".to_owned(),
        ),
        (
            vec![("source", host("tree").into()), ("destination", "/guest/etc".into())],
            format!("upload_dir {} /guest/etc", host("tree")),
        ),
        (
            vec![("source", (host("tree") + "/").into()), ("destination", "/guest/etc".into())],
            format!("upload_dir {}/ /guest/etc", host("tree")),
        ),
        (
            vec![
                ("source", "/guest/etc/motd".into()),
                ("destination", host("new/dir/").into()),
                ("direction", "download".into()),
            ],
            "download /guest/etc/motd".to_owned(),
        ),
        (
            vec![
                ("source", "/guest/etc/motd".into()),
                ("destination", (host("new2/name")).into()),
                ("direction", "download".into()),
            ],
            "download /guest/etc/motd".to_owned(),
        ),
        (
            vec![
                ("source", "/guest/etc/".into()),
                ("destination", (host("all/etc")).into()),
                ("direction", "download".into()),
            ],
            "download_dir /guest/etc/ etc".to_owned(),
        ),
    ] {
        let file = prepare(&TYPE, options);
        file.provision(&context, Some(&guest)).await.unwrap();
        assert_eq!(guest.log().last(), Some(&expected));
    }
    assert_eq!(std::fs::read_to_string(host("guest/etc/motd")).unwrap(), "text");
    assert_eq!(std::fs::read_to_string(host("new/dir/motd")).unwrap(), "text");
    assert_eq!(std::fs::read_to_string(host("new2/name")).unwrap(), "text");
    assert_eq!(heard.lines()[0], format!("say: Uploading {} => /guest/a", host("run.sh")));
}

#[test]
fn options_are_checked() {
    let to = || ("destination", "/x".into());
    for (options, expected) in [
        (vec![to()], "there is nothing to copy: none of `source`, `sources`, `content` is set"),
        (vec![("content", "x".into())], "`destination` is required, but not set: the test needs it"),
        (
            vec![to(), ("source", "/nonexistent".into())],
            "cannot read `/nonexistent`: No such file or directory (os error 2)",
        ),
        (
            vec![to(), ("content", "x".into()), ("direction", "sideways".into())],
            "wrong value for `direction`: it is not one of those there are",
        ),
        (vec![to(), ("content", "x".into()), ("direction", "download".into())], "`content` can only be uploaded"),
        (
            vec![("destination", "/etc/".into()), ("content", "x".into())],
            "`destination` is a directory, but `content` has no name",
        ),
        (
            vec![to(), ("content", "x".into()), ("source", "/".into())],
            "`content` cannot be used together with `source`",
        ),
    ] {
        assert_eq!(problems(&TYPE, options), [expected]);
    }
    assert!(problems(&TYPE, vec![to(), ("source", "/nonexistent".into()), ("generated", true.into())]).is_empty());
}
