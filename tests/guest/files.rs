use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use larder::engine::component::{Communicator as _, Content};

use crate::bed::{Bed, possible, run};

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_go_both_ways() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let here = tempfile::tempdir().unwrap();

    let big = vec![7; 3_000_000];
    guest.upload(Content::Bytes(&big), "/tmp/big", 0o750).await.unwrap();
    assert_eq!(run(&guest, "stat -c '%s %a %u' /tmp/big").await.1, "3000000 750 0\n");
    guest.download("/tmp/big", &here.path().join("new/big")).await.unwrap();
    assert_eq!(fs::read(here.path().join("new/big")).unwrap(), big);

    let tree = here.path().join("tree");
    fs::create_dir_all(tree.join("inner")).unwrap();
    fs::write(tree.join("inner/script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("inner/script"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("inner/script", tree.join("link")).unwrap();
    let source = tree.to_str().unwrap();
    guest.upload_dir(source, "/tmp/up").await.unwrap();
    guest.upload_dir(&format!("{source}/"), "/tmp/contents").await.unwrap();
    let (_, output) = run(&guest, "stat -c '%a %u' /tmp/up/tree/inner/script; readlink /tmp/contents/link").await;
    assert_eq!(output, "755 0\ninner/script\n");

    guest.download_dir("/tmp/up/", &here.path().join("down")).await.unwrap();
    assert_eq!(fs::read(here.path().join("down/tree/inner/script")).unwrap(), b"#!/bin/sh\n");
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_laid_in_the_guest_do_not_lead_to_the_host() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let here = tempfile::tempdir().unwrap();
    let secret = here.path().join("secret");
    fs::write(&secret, "of the host").unwrap();

    let laid = format!("ln -s {} /tmp/link; ln -s ../../../../../../..{} /tmp/up", secret.display(), secret.display());
    run(&guest, &laid).await;
    for link in ["/tmp/link", "/tmp/up"] {
        guest.download(link, &here.path().join("got")).await.unwrap_err();
        // The directory of the link's target is missing in the guest, and that is where it is looked for.
        guest.upload(Content::Bytes(b"overwritten"), link, 0o644).await.unwrap_err();
    }
    guest.upload(Content::Bytes(b"x"), "/proc/sys/kernel/core_pattern", 0o644).await.unwrap_err();
    assert_eq!(fs::read(&secret).unwrap(), b"of the host");
    assert!(!here.path().join("got").exists());
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_named() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let here = tempfile::tempdir().unwrap();
    let error = guest.download("/no/such", &here.path().join("got")).await.unwrap_err();
    let text = larder::error::chain(&error);
    assert!(text.contains("cannot read /no/such in the guest: No such file"), "{text}");
    guest.shutdown().await.unwrap();
}
