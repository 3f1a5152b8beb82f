//! What an image is made of and written as.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::busybox::{host, root};
use crate::support::{Larder, Run, is_root};

/// A user's machine with the small root in `base`.
fn larder() -> Larder {
    let larder = Larder::new();
    root(&larder.dir().join("base"));
    larder
}

/// A template with these options of the source, and these provisioners.
fn template(options: &str, provisioners: &str) -> String {
    format!(
        "source \"rootfs\" \"x\" {{\n{options}\n}}\n\nbuild {{\n  sources = [\"source.rootfs.x\"]\n{provisioners}\n}}\n"
    )
}

#[test]
fn the_form_goes_by_suffix_or_option() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let names = [
        ("a", "out/tree", ""),
        ("b", "out/image.tar", ""),
        ("c", "out/image.tar.gz", ""),
        ("d", "out/image.tar.zst", ""),
        ("e", "out/no-suffix", "format = \"tar.gz\""),
    ];
    let sources: Vec<String> = names
        .iter()
        .map(|(name, output, format)| {
            format!("source \"rootfs\" \"{name}\" {{\n  base = \"base\"\n  output = \"{output}\"\n  {format}\n}}\n")
        })
        .collect();
    let list: Vec<String> = names.iter().map(|(name, ..)| format!("\"source.rootfs.{name}\"")).collect();
    let build = format!(
        "build {{\n  sources = [{}]\n  provisioner \"shell\" {{\n    inline = [\"echo made >/etc/made\"]\n  }}\n}}\n",
        list.join(", ")
    );
    larder.write("x.pkr.hcl", &(sources.concat() + &build));
    let _ = larder.run(["build", "x.pkr.hcl"]).expect(0);
    host(
        &larder.dir().join("out"),
        "test \"$(cat tree/etc/made)\" = made
         test -L tree/bin/sh && test -x tree/bin/busybox && test ! -e tree/run/larder
         test \"$(tar -xOf image.tar ./etc/made)\" = made
         gzip -t image.tar.gz && gzip -t <no-suffix && zstd -qt image.tar.zst
         test \"$(gzip -dc image.tar.gz | tar -xO ./etc/made)\" = made
         test \"$(gzip -dc <no-suffix | tar -xO ./etc/made)\" = made
         test \"$(zstd -dcq image.tar.zst | tar -xO ./etc/made)\" = made
         test \"$(ls -A | wc -l)\" = 5",
    );
}

#[test]
fn output_that_exists_is_replaced_only_by_force_and_only_at_the_end() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let image = larder.write("out/image.tar", "from before");
    let look = "  provisioner \"shell-local\" {\n    inline = [\"grep -q 'from before' out/image.tar\"]\n  }\n";
    larder.write("x.pkr.hcl", &template("base = \"base\"\noutput = \"out/image.tar\"", look));
    let run = larder.run(["build", "x.pkr.hcl"]).expect(1);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains("out/image.tar exists already") && all.contains("-force"), "{all}");
    assert!(!all.contains("[prepare]"), "nothing is to begin: {all}");
    assert_eq!(fs::read_to_string(&image).unwrap(), "from before");

    let failing = "  provisioner \"shell\" {\n    inline = [\"false\"]\n  }\n";
    larder.write("failing.pkr.hcl", &template("base = \"base\"\noutput = \"out/image.tar\"", failing));
    let _ = larder.run(["build", "--force", "failing.pkr.hcl"]).expect(1);
    assert_eq!(fs::read_to_string(&image).unwrap(), "from before");
    assert_eq!(fs::read_dir(image.parent().unwrap()).unwrap().count(), 1);

    // The shell-local provisioner fails unless the old image is still there.
    let _ = larder.run(["build", "--force", "x.pkr.hcl"]).expect(0);
    host(larder.dir(), "tar -tf out/image.tar ./bin/busybox");

    // A directory is not replaced by an archive, and is told of before anything begins.
    larder.write("other.pkr.hcl", &template("base = \"base\"\noutput = \"out\"\nformat = \"tar\"", ""));
    let run = larder.run(["build", "--force", "other.pkr.hcl"]).expect(1);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(all.contains("out is a directory") && !all.contains("[prepare]"), "{all}");
}

/// Answers every request with this body; returns where.
fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let _ = head.take_while(|line| !line.is_empty()).count();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://{address}/base.tar.xz")
}

fn digest(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

#[test]
fn the_base_may_be_an_archive_by_path_or_url() {
    if !is_root() {
        return;
    }
    let larder = larder();
    host(larder.dir(), "tar -cf base.tar -C base . && tar -cJf base.tar.xz -C base . && tar -czf base.tgz -C base .");
    let archive = larder.dir().join("base.tar.xz");
    let url = serve(fs::read(&archive).unwrap());
    let good = format!("sha256:{}", digest(&archive));
    let wrong = format!("sha256:{}", digest(&larder.dir().join("base.tar")));
    let write = |name: &str, base: &str, checksum: &str| {
        let checksum = if checksum.is_empty() { String::new() } else { format!("base_checksum = \"{checksum}\"\n") };
        let options = format!("base = \"{base}\"\n{checksum}output = \"{name}.tar\"");
        larder.write(&format!("{name}.pkr.hcl"), &template(&options, ""))
    };
    for (name, base, checksum) in [
        ("tar", "base.tar", ""),
        ("xz", "base.tar.xz", good.as_str()),
        ("tgz", "base.tgz", ""),
        ("url", url.as_str(), good.as_str()),
    ] {
        let path = write(name, base, checksum);
        let _ = larder.run(["build".as_ref(), path.as_os_str()]).expect(0);
        host(larder.dir(), &format!("tar -tf {name}.tar ./bin/busybox"));
    }
    for (name, base) in [("wrong-path", "base.tar.xz"), ("wrong-url", url.as_str())] {
        let path = write(name, base, &wrong);
        let run = larder.run(["build".as_ref(), path.as_os_str()]).expect(1);
        let digests = [&good, &wrong].map(|text| text.strip_prefix("sha256:").unwrap());
        for part in [base, "sha256", digests[0], digests[1], "hint: "] {
            assert!(run.stdout.contains(part), "{name}: {part}\n{}", run.stdout);
        }
        assert!(!larder.dir().join(format!("{name}.tar")).exists());
    }
    // A URL without a checksum is refused before anything begins.
    let path = write("none", &url, "");
    let run = larder.run(["build".as_ref(), path.as_os_str()]).expect(1);
    assert!(run.stderr.contains("needs a checksum"), "{}", run.stderr);
}

#[test]
fn directories_are_uploaded_and_downloaded_as_packer_does() {
    if !is_root() {
        return;
    }
    let larder = larder();
    larder.write("tree/one", "1");
    larder.write("tree/deep/two", "2");
    let file = |source: &str, destination: &str, direction: &str| {
        format!(
            "  provisioner \"file\" {{\n    source = \"{source}\"\n    destination = \"{destination}\"\n    \
             direction = \"{direction}\"\n  }}\n"
        )
    };
    let provisioners = [
        file("tree", "/opt/whole", "upload"),
        file("tree/", "/opt/inside", "upload"),
        file("tree/one", "/opt/file/", "upload"),
        file("/opt/inside/", "back", "download"),
        file("/opt/whole/tree/deep/two", "single/", "download"),
    ];
    let options = "base = \"base\"\noutput = \"image\"";
    larder.write(
        "x.pkr.hcl",
        &template(
            options,
            &("  provisioner \"shell\" {\n    inline = [\"mkdir -p /opt/whole /opt/inside /opt/file\"]\n  }\n"
                .to_owned()
                + &provisioners.concat()),
        ),
    );
    let _ = larder.run(["build", "x.pkr.hcl"]).expect(0);
    host(
        larder.dir(),
        "diff -r tree image/opt/whole/tree
         diff -r tree image/opt/inside
         diff tree/one image/opt/file/one
         diff -r tree back
         diff tree/deep/two single/two",
    );
}

/// What is in a tree: types, modes, owners, times, links, and the content of files.
const LOOK: &str = "{ find . -printf '%P %y %m %U:%G %Ts %l %n\\n' | sort; find . -type f | sort | xargs sha256sum; }";

#[test]
fn a_container_image_unpacks_to_the_tree_of_the_archive() {
    if !is_root() {
        return;
    }
    let larder = larder();
    host(
        larder.dir(),
        "mkdir -p base/opt/d base/opt/full; echo gone >base/opt/d/gone; echo a >base/opt/d/a; ln base/opt/d/a base/opt/b
         echo f >base/opt/f; echo 1 >base/opt/full/1; chmod 2755 base/opt/d; chown 7:8 base/opt/f",
    );
    let shell = |name: &str, lines: &str| {
        format!("  provisioner \"shell\" {{\n    name = \"{name}\"\n    inline = [\"{lines}\"]\n  }}\n")
    };
    let provisioners = [
        shell(
            "first",
            "rm /opt/d/gone /opt/f && mkdir /opt/f && echo in >/opt/f/in && echo x >/opt/x && ln /opt/x /opt/y",
        ),
        "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n  }\n".to_owned(),
        shell("second", "rm -r /opt/f /opt/full && echo back >/opt/f && mkdir /opt/full && echo 2 >/opt/full/2"),
    ]
    .concat();
    let oci = "oci {\n  tag = \"app:1.0\"\n  cmd = [\"/bin/sh\"]\n  env = { A = \"b\" }\n}\n";
    for (name, output, oci) in [("a", "a.oci", oci), ("b", "b.oci.tar", oci), ("c", "c.tar", "")] {
        let options = format!("base = \"base\"\noutput = \"{output}\"\n{oci}");
        larder.write(&format!("{name}.pkr.hcl"), &template(&options, &provisioners));
        let mut command = larder.command(["build", &format!("{name}.pkr.hcl")]);
        let _ = Run::of(command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap()).expect(0);
    }
    host(
        larder.dir(),
        &format!(
            "skopeo inspect oci:a.oci:app:1.0 >one; skopeo inspect oci-archive:b.oci.tar >other; cmp one other
             skopeo inspect --config oci:a.oci >config; grep -q 'larder: shell (first)' config; grep -q A=b config
             test \"$(grep -c empty_layer config)\" = 1; test \"$(grep -c '^ *\"sha256:' config)\" = 3
             skopeo copy -q oci:a.oci:app:1.0 oci:plain:x; umoci --log=error unpack --image plain:x bundle
             mkdir tree; tar --numeric-owner -xpf c.tar -C tree
             (cd tree; {LOOK}) >expected; (cd bundle/rootfs; {LOOK}) >found; cmp expected found
             grep -q 'opt/f f 644' found; grep -q 'opt/b f 644 0:0 .* 2' found"
        ),
    );
}

#[test]
fn options_of_images_are_checked_before_anything_begins() {
    let larder = larder();
    for (options, says) in [
        ("output = \"x.oci\"\noci {\n  exposed_ports = [\"http\"]\n}", "\"http\" is no port"),
        ("output = \"x.oci\"\noci {\n  cmd = [\"echo hello\"]\n}", "is one word"),
        ("output = \"x.oci\"\noci {\n  entry_point = [\"x\"]\n}", "did you mean `entrypoint`?"),
        ("output = \"x.tar\"\noci {}", "none is written"),
        ("output = \"x.ext4\"\nfilesystem {\n  size = \"big\"\n}", "\"big\" is no size"),
        ("output = \"x\"\nformat = \"iso\"", "unknown format"),
    ] {
        larder.write("x.pkr.hcl", &template(&format!("base = \"base\"\n{options}"), ""));
        let run = larder.run(["validate", "x.pkr.hcl"]).expect(1);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains(says) && all.contains("x.pkr.hcl:"), "{options}: {all}");
    }
}
