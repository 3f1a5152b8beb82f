//! What the programs of a tree run on.

use std::io::Read as _;
use std::path::Path;

use super::super::archive;
use super::document::Platform;
use crate::guest::layers::Layers;

/// Programs nearly every system has one of.
const PROGRAMS: [&str; 5] = ["bin/sh", "usr/bin/env", "sbin/init", "bin/bash", "bin/busybox"];

/// What the header of one of the tree's programs says; the machine Larder itself is for where there is none.
pub(super) fn of_tree(tree: &Layers) -> Platform {
    let read = |program: &&str| {
        let entry = tree.follow(Path::new(program)).ok()??;
        let mut header = [0; 64];
        archive::open(&entry.source).ok()?.read_exact(&mut header).ok()?;
        of_header(&header)
    };
    PROGRAMS.iter().find_map(read).unwrap_or_else(|| platform(of_rust(std::env::consts::ARCH), None))
}

fn platform(architecture: &str, variant: Option<&str>) -> Platform {
    Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: variant.map(str::to_owned) }
}

/// Go's names of the machines that ELF knows by number.
fn of_header(header: &[u8; 64]) -> Option<Platform> {
    if header[..4] != *b"\x7fELF" {
        return None;
    }
    let (wide, little) = (header[4] == 2, header[5] == 1);
    let pair = [header[18], header[19]];
    let machine = if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
    Some(match (machine, wide, little) {
        (62, true, _) => platform("amd64", None),
        (3, ..) => platform("386", None),
        (183, _, true) => platform("arm64", None),
        // Bit 10 of the flags: floating point in hardware (ARM IHI 0044, 5.2), which distributions build for ARMv7.
        (40, _, true) => platform("arm", Some(if header[0x25] & 4 != 0 { "v7" } else { "v5" })),
        (243, true, _) => platform("riscv64", None),
        (22, true, _) => platform("s390x", None),
        (21, _, true) => platform("ppc64le", None),
        (21, _, false) => platform("ppc64", None),
        (258, true, _) => platform("loong64", None),
        (8, true, true) => platform("mips64le", None),
        (8, false, true) => platform("mipsle", None),
        _ => return None,
    })
}

fn of_rust(architecture: &'static str) -> &'static str {
    match architecture {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_tell() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("usr/bin")).unwrap();
        std::os::unix::fs::symlink("usr/bin", directory.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/dash", directory.path().join("bin/sh")).unwrap();
        let tree = Layers::new([directory.path().to_owned()]);
        let mut header = [0_u8; 64];
        header[..6].copy_from_slice(b"\x7fELF\x01\x01");
        header[18] = 40;
        header[0x25] = 4;
        std::fs::write(directory.path().join("bin/dash"), header).unwrap();
        assert_eq!(of_tree(&tree), platform("arm", Some("v7")));
        header[4] = 2;
        header[18] = 183;
        std::fs::write(directory.path().join("bin/dash"), header).unwrap();
        assert_eq!(of_tree(&tree), platform("arm64", None));
        std::fs::write(directory.path().join("bin/dash"), "#!").unwrap();
        assert_eq!(of_tree(&tree), platform(of_rust(std::env::consts::ARCH), None));
    }
}
