//! Device nodes of a tree where none can be made, as in a user namespace: each is kept as an empty file that says what
//! it stands for. An export makes a device of it again.
//!
//! Guests see the file: `/dev` is one of their own, so these are nodes elsewhere, which root's guests cannot open
//! either (their roots are mounted `nodev`).

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, XattrFlags};
use rustix::io::Errno;

/// Name of the attribute. Its value is `c MAJOR:MINOR` or `b MAJOR:MINOR`.
pub const ATTRIBUTE: &str = "user.larder.device";

/// What a device node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whether it is a block device; otherwise a character device.
    pub block: bool,
    /// Major and minor number.
    pub number: (u32, u32),
}

impl Device {
    /// The device that a node of this type is; `None` if it is no device, or 0:0, which anyone can make.
    pub fn new(kind: FileType, device: rustix::fs::Dev) -> Option<Self> {
        let block = match kind {
            FileType::BlockDevice => true,
            FileType::CharacterDevice => false,
            _ => return None,
        };
        let number = (rustix::fs::major(device), rustix::fs::minor(device));
        Some(Self { block, number }).filter(|device| device.number != (0, 0))
    }

    /// Makes an empty file stand for the device.
    pub fn mark(self, file: impl AsFd) -> io::Result<()> {
        let value = format!("{} {}:{}", if self.block { 'b' } else { 'c' }, self.number.0, self.number.1);
        match rustix::fs::fsetxattr(file, ATTRIBUTE, value.as_bytes(), XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a device node cannot be made by this user, nor kept as a file: the file system of the state directory \
                 has no extended attributes (see --state-dir)",
            )),
            result => Ok(result?),
        }
    }

    /// What a file with these attributes stands for. To be asked only where devices cannot be made: elsewhere such an
    /// attribute is a guest's doing.
    pub fn of(attributes: &[(OsString, Vec<u8>)]) -> Option<Self> {
        let (_, value) = attributes.iter().find(|(name, _)| name == ATTRIBUTE)?;
        let (kind, number) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        let (major, minor) = number.split_once(':')?;
        let block = match kind {
            "b" => true,
            "c" => false,
            _ => return None,
        };
        // 0:0 would mean a removed name to whoever unpacks it as a layer.
        Some(Self { block, number: (major.parse().ok()?, minor.parse().ok()?) })
            .filter(|device| device.number != (0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_stands_for_is_read_back() {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        assert_eq!(Device::of(&super::super::xattr::list(file.path()).unwrap()), None);
        for block in [true, false] {
            let device = Device { block, number: (259, 70_000) };
            device.mark(file.as_file()).unwrap();
            assert_eq!(Device::of(&super::super::xattr::list(file.path()).unwrap()), Some(device));
        }
        let of = |value: &str| Device::of(&[(ATTRIBUTE.into(), value.as_bytes().to_vec())]);
        for wrong in ["", "c", "c 1", "x 1:3", "c 0:0", "c 1:-3"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
