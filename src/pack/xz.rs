//! The .xz format: one stream, whose blocks liblzma packs on several threads.

use std::io::{self, Write};

use liblzma::stream::{Check, MtStreamBuilder};

pub(super) type Encoder<W> = liblzma::write::XzEncoder<W>;

/// Sizes of the dictionaries of the levels 0 to 9, in MiB (xz(1)).
const DICTIONARIES: [u64; 10] = [1, 1, 2, 4, 4, 8, 8, 16, 32, 64];

/// An encoder on up to `threads` threads, fewer if they would need more than a quarter of the memory.
pub(super) fn encoder<W: Write>(output: W, level: u32, threads: usize) -> io::Result<Encoder<W>> {
    let memory = super::memory();
    let mut builder = MtStreamBuilder::new();
    builder.preset(level).check(Check::Crc64).block_size((3 * DICTIONARIES[level.min(9) as usize]) << 20);
    let mut threads = u32::try_from(threads).unwrap_or(u32::MAX).clamp(1, 256);
    while threads > 1 && builder.threads(threads).memusage() > memory {
        threads -= 1;
    }
    let stream = builder.threads(threads).encoder().map_err(io::Error::other)?;
    Ok(Encoder::new_stream(output, stream))
}
