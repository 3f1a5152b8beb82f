//! Deflate in parts that need nothing of each other, and the formats around it.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// RFC 1952, 2.3: deflate, no name, no time, an unknown system.
pub(super) const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The end of a stream made of parts: a last block that is empty.
pub(super) const LAST_PART: [u8; 2] = [3, 0];

/// How much one member of BGZF holds, so that it fits in 64 KiB also when it does not pack.
pub(super) const BGZF_BLOCK: usize = 65_280;

/// What the parts of a stream that is not packed add at most.
const BGZF_STORED: usize = 64;

/// The header of a member, with the field that tells its size.
const BGZF_HEADER: usize = 18;

/// An empty member ends a file.
pub(super) const BGZF_END: [u8; 28] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0, 0x1b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Packs a part of a raw stream, up to the border of a byte; [`LAST_PART`] is to follow the last one.
pub(super) fn part(block: &[u8], level: u32) -> io::Result<Vec<u8>> {
    deflate(block, level, FlushCompress::Sync)
}

/// Packs into members of BGZF.
pub(super) fn bgzf(block: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut members = Vec::with_capacity(block.len() / 2);
    for content in block.chunks(BGZF_BLOCK) {
        let mut packed = deflate(content, level, FlushCompress::Finish)?;
        if packed.len() > BGZF_BLOCK + BGZF_STORED {
            // At low levels, what does not pack grows; as it is, it does not.
            packed = deflate(content, 0, FlushCompress::Finish)?;
        }
        let size = u16::try_from(BGZF_HEADER + packed.len() + 8 - 1)
            .map_err(|_| io::Error::other("a block of BGZF does not fit"))?;
        let mut crc = Crc::new();
        crc.update(content);
        members.extend_from_slice(&BGZF_END[..16]);
        members.extend_from_slice(&size.to_le_bytes());
        members.extend_from_slice(&packed);
        members.extend_from_slice(&crc.sum().to_le_bytes());
        members.extend_from_slice(&crc.amount().to_le_bytes());
    }
    Ok(members)
}

fn deflate(block: &[u8], level: u32, flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut compress = Compress::new(Compression::new(level), false);
    let mut packed = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let used = usize::try_from(compress.total_in()).expect("a block is in memory");
        let status = compress.compress_vec(&block[used..], &mut packed, flush).map_err(io::Error::other)?;
        let room = packed.len() < packed.capacity();
        // Room that is left over means that there was no more to write.
        if status == Status::StreamEnd || (room && flush != FlushCompress::Finish) {
            return Ok(packed);
        }
        packed.reserve(block.len() / 4 + 64);
    }
}
