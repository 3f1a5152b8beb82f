use std::process::Command;

use super::*;

fn sh(directory: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A base and a tree after it.
fn stages(directory: &Path) -> [Stage; 3] {
    sh(
        directory,
        "mkdir -p base/etc; echo a >base/etc/a; echo b >base/etc/b; find base -exec touch -d @1000 {} +
         cp -a base one; rm one/etc/a; echo c >one/etc/c; cp -a one two",
    );
    ["base", "one", "two"].map(|name| Stage { tree: Layers::new([directory.join(name)]), made_by: name.to_owned() })
}

fn write_to(directory: &Path, name: &str, config: &OciConfig) -> Result<String> {
    let stages = stages(directory);
    let container = Container { config, stages: &stages, now: jiff::Timestamp::UNIX_EPOCH, clamp: Clamp::at(2000) };
    let archive = name == "x.oci.tar";
    write(&container, &directory.join(name), archive, false, &CancellationToken::new(), &mut |_| {})
}

#[test]
fn digests_are_those_of_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    for compression in ["gzip", "zstd", "none"] {
        let config = OciConfig { compression: compression.to_owned(), ..OciConfig::default() };
        let _ = write_to(directory.path(), compression, &config).unwrap();
        let checked = sh(
            &directory.path().join(compression).join("blobs/sha256"),
            "sha256sum * | while read sum name; do test $sum = $name; done
             for blob in *; do
               start=$(od -An -tx1 -N2 $blob)
               case $start in *7b*) continue ;; *1f*8b*) how='gzip -dc' ;; *28*b5*) how='zstd -dcq' ;; *) how=cat ;; esac
               sum=$($how <$blob | sha256sum | cut -c1-64); grep -q \"sha256:$sum\" $(grep -l diff_ids *)
             done; ls | wc -l",
        );
        // Two layers, a configuration, a manifest: the second provisioner changed nothing.
        assert_eq!(checked, "4\n", "{compression}");
        sh(directory.path(), "rm -r base one two");
    }
}

#[test]
fn the_same_trees_give_the_same_image() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let config = OciConfig { tag: "app:1".to_owned(), ..OciConfig::default() };
    let digests = [&one, &other].map(|directory| write_to(directory.path(), "x.oci.tar", &config).unwrap());
    assert_eq!(digests[0], digests[1]);
    let [one, other] = [&one, &other].map(|directory| fs::read(directory.path().join("x.oci.tar")).unwrap());
    assert!(one == other);
}

#[test]
fn an_archive_is_for_docker_too() {
    let directory = tempfile::tempdir().unwrap();
    let config = OciConfig { tag: "app:1".to_owned(), ..OciConfig::default() };
    write_to(directory.path(), "x.oci.tar", &config).unwrap();
    let listed = sh(directory.path(), "tar -tf x.oci.tar | grep -v 'blobs/sha256/.'; tar -xOf x.oci.tar manifest.json");
    assert!(listed.starts_with("blobs/\nblobs/sha256/\nindex.json\nmanifest.json\noci-layout\n[{\"Config\":\"blobs/"));
    assert!(listed.contains("\"RepoTags\":[\"app:1\"]"), "{listed}");
    assert_eq!(sh(directory.path(), "ls -A"), "base\none\ntwo\nx.oci.tar\n");
}

#[test]
fn squashed_it_is_one_layer() {
    let directory = tempfile::tempdir().unwrap();
    let config = OciConfig { squash: true, compression: "none".to_owned(), ..OciConfig::default() };
    write_to(directory.path(), "x.oci", &config).unwrap();
    let names = sh(&directory.path().join("x.oci/blobs/sha256"), "for f in *; do tar -tf $f 2>/dev/null || :; done");
    assert_eq!(names, "./\netc/\netc/b\netc/c\n");
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    sh(directory.path(), "mkdir -p w/etc; echo x >w/etc/.wh.x");
    let stages = [Stage { tree: Layers::new([directory.path().join("w")]), made_by: "base".to_owned() }];
    let config = OciConfig::default();
    let container =
        Container { config: &config, stages: &stages, now: jiff::Timestamp::UNIX_EPOCH, clamp: Clamp::default() };
    for name in ["x.oci", "x.oci.tar"] {
        let target = directory.path().join(name);
        let archive = name == "x.oci.tar";
        let error = write(&container, &target, archive, false, &CancellationToken::new(), &mut |_| {}).unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.contains("/etc/.wh.x cannot be in a container image"), "{text}");
    }
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(write(&container, &directory.path().join("y.oci"), false, false, &cancel, &mut |_| {}).is_err());
    assert_eq!(sh(directory.path(), "ls -A"), "w\n");
}
