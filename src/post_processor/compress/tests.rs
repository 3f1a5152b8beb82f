use std::process::Command;

use super::*;
use crate::provisioner::testing;
use crate::template::hcl::value::Value;

fn sh(directory: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn compress(directory: &Path, output: &str, format: &str, files: &[&str]) -> Result<PostProcessed> {
    let (context, _) = testing::context(directory);
    let output = directory.join(output).display().to_string();
    let options = vec![
        ("output", Value::string(output)),
        ("format", Value::string(format)),
        ("compression_level", Value::string("1")),
    ];
    let input = Artifact { files: files.iter().map(|file| directory.join(file)).collect(), ..Artifact::default() };
    testing::prepare(&TYPE, options).post_process(&context, &input).await
}

/// Two files and a directory.
fn sample() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = "provisions\n".repeat(200_000);
    fs::write(directory.path().join("one.img"), text).unwrap();
    fs::write(directory.path().join("two"), "2").unwrap();
    sh(directory.path(), "mkdir -p tree/deep; echo x >tree/deep/file; ln -s deep/file tree/link; : >tree/empty");
    sh(directory.path(), "chmod 750 tree/deep; chmod 4711 tree/deep/file; touch -d @1500000000 two tree/deep/file");
    directory
}

#[tokio::test]
async fn archives_of_every_format_hold_files_and_directories() {
    let sample = sample();
    let directory = sample.path();
    for (name, list) in [
        ("a.tar", "cat a.tar"),
        ("a.tar.gz", "gzip -dc a.tar.gz"),
        ("a.tgz", "gzip -dc a.tgz"),
        ("a.tar.bgzf", "gzip -dc a.tar.bgzf"),
        ("a.tar.lz4", "lz4 -dc a.tar.lz4"),
        ("a.tar.xz", "xz -dc a.tar.xz"),
        ("a.tar.bz2", "bzip2 -dc a.tar.bz2"),
        ("a.tar.zst", "zstd -dcq a.tar.zst"),
        ("a.other", "gzip -dc a.other"),
    ] {
        let done = compress(directory, name, "", &["one.img", "two", "tree"]).await.unwrap();
        assert_eq!((done.keep_input, done.force_keep), (false, false));
        let artifact = done.artifact.unwrap();
        assert_eq!(artifact.files, [directory.join(name)]);
        assert_eq!(artifact.builder_id, "packer.post-processor.compress");
        let listed = sh(
            directory,
            &format!(
                "rm -rf out; mkdir out; {list} | tar -xp -C out; cmp out/one.img one.img; cd out
                 stat -c '%n %a %Y' two tree/deep/file; readlink tree/link; find . | wc -l"
            ),
        );
        assert_eq!(listed, "two 644 1500000000\ntree/deep/file 4711 1500000000\ndeep/file\n8\n", "{name}");
    }
}

#[tokio::test]
async fn one_file_is_packed_by_itself() {
    let sample = sample();
    for (format, command) in [
        ("gz", "gzip -dc"),
        ("bgzf", "gzip -dc"),
        ("lz4", "lz4 -dc"),
        ("xz", "xz -dc"),
        ("bz2", "bzip2 -dc"),
        ("zst", "zstd -dcq"),
    ] {
        compress(sample.path(), &format!("one.{format}"), "", &["one.img"]).await.unwrap();
        sh(
            sample.path(),
            &format!("{command} <one.{format} | cmp - one.img; test $(stat -c %s one.{format}) -lt 200000"),
        );
    }
    let error = compress(sample.path(), "x.gz", "", &["one.img", "two"]).await.unwrap_err();
    assert!(
        error.to_string().starts_with("Can only have 1 input file when not using tar/zip. Found 2 files"),
        "{error}"
    );
    let error = compress(sample.path(), "x.xz", "", &["tree"]).await.unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
    assert!(!sample.path().join("x.gz").exists() && !sample.path().join("x.xz").exists());
}

#[tokio::test]
async fn zip_archives_are_what_unzip_and_python_take() {
    let sample = sample();
    let directory = sample.path();
    compress(directory, "a.zip", "", &["one.img", "two", "tree"]).await.unwrap();
    let inside = relative(directory);
    sh(directory, "unzip -tq a.zip && python3 -m zipfile -t a.zip");
    sh(directory, "TZ=UTC unzip -Kq a.zip -d out");
    let listed = sh(
        &directory.join("out").join(inside),
        &format!(
            "cmp one.img {}; stat -c '%n %a %Y' two tree/deep/file; readlink tree/link; find . | wc -l",
            directory.join("one.img").display()
        ),
    );
    assert_eq!(listed, "two 644 1500000000\ntree/deep/file 4711 1500000000\ndeep/file\n8\n");
}

#[tokio::test]
async fn a_file_is_never_packed_into_itself_and_what_fails_leaves_nothing() {
    let sample = sample();
    for (output, input) in
        [("one.img", "one.img"), ("tree/empty", "tree"), ("tree/new.zip", "tree"), ("tree/a/b", "tree")]
    {
        let error = compress(sample.path(), output, "tar", &[input]).await.unwrap_err();
        assert!(error.to_string().contains("into itself"), "{error}");
    }
    sh(sample.path(), "mkfifo tree/pipe");
    let error = compress(sample.path(), "a.zip", "", &["tree"]).await.unwrap_err();
    assert!(crate::error::chain(&error).contains("tree/pipe"), "{}", crate::error::chain(&error));
    let error = compress(sample.path(), "a.zip", "", &[]).await.unwrap_err();
    assert!(error.to_string().contains("nothing to compress"));
    assert_eq!(sh(sample.path(), "ls -A"), "one.img\ntree\ntwo\n");
}

#[test]
fn files_of_one_name_keep_their_paths() {
    let files = ["/a/x.img", "b/x.img", "b/y"].map(PathBuf::from);
    let names: Vec<_> = names(&files).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a/x.img", "b/x.img", "y"].map(PathBuf::from));
}

#[test]
fn the_form_goes_by_name_and_format_as_in_packer() {
    let form = |output, format| {
        let form = Form::of(output, format);
        (form.archive, form.codec)
    };
    let tar = Some(Archive::Tar);
    assert_eq!(form("packer_{{.BuildName}}_{{.BuilderType}}", ""), (tar, Some(Codec::Gzip)));
    assert_eq!(form("x.box", ""), (tar, Some(Codec::Gzip)));
    assert_eq!(form("a.b/x.zip", ""), (Some(Archive::Zip), None));
    assert_eq!(form("x.tar", "gz"), (tar, Some(Codec::Gzip)));
    assert_eq!(form("x.img", "tar.zst"), (tar, Some(Codec::Zstd)));
    assert_eq!(form("x.img.lz4", ""), (None, Some(Codec::Lz4)));
    assert!(FORMATS.iter().all(|format| Form::of_words(format).is_some()));
}

#[test]
fn options_that_are_wrong() {
    let problems = |name, value: &str| testing::problems(&TYPE, vec![(name, Value::string(value))]);
    assert_eq!(problems("format", "tar.gzip"), ["unknown format `tar.gzip`"]);
    assert_eq!(problems("compression_level", "-2"), ["a level is not negative"]);
    assert!(problems("output", "{{.Nope}}")[0].starts_with("cannot render"));
    assert!(problems("compression_level", "12").is_empty());
}
