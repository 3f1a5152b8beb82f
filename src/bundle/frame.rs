//! zstd, as bundles use it: one frame, of a fixed level, with a check sum.

use std::io::{self, BufRead, Read, Write};

use super::fault::BundleError;

/// How hard to pack. Fixed, as all that decides about the bytes.
const LEVEL: i32 = 6;
/// Largest window that is unpacked: 128 MiB of memory, as the `zstd` program allows without being told otherwise.
const WINDOW_LOG: u32 = 27;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Packs what is written to it. One thread: with several the bytes would depend on more than the level.
pub fn pack<W: Write>(output: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(output, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(false)?;
    Ok(encoder)
}

/// Unpacks one frame.
pub struct Frame<R: BufRead> {
    decoder: zstd::Decoder<'static, io::Chain<io::Cursor<[u8; 4]>, R>>,
}

impl<R: BufRead> Frame<R> {
    /// Begins to unpack. What begins otherwise than with a frame of content is refused: a skippable one could be of any
    /// length.
    pub fn new(mut input: R, what: &str) -> Result<Self, BundleError> {
        let mut magic = [0; 4];
        input.read_exact(&mut magic).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BundleError::malformed(format!("{what} is empty")),
            _ => BundleError::read(what)(error),
        })?;
        if magic != MAGIC {
            return Err(BundleError::malformed(format!("{what} does not begin with a zstd frame")));
        }
        let chained = io::Cursor::new(magic).chain(input);
        let mut decoder = zstd::Decoder::with_buffer(chained).map_err(BundleError::read(what))?.single_frame();
        decoder.window_log_max(WINDOW_LOG).map_err(BundleError::read(what))?;
        Ok(Self { decoder })
    }

    /// Makes sure that nothing follows the frame, which has been read to its end.
    pub fn finish(mut self, what: &str) -> Result<R, BundleError> {
        let more = self.decoder.read(&mut [0]).map_err(BundleError::read(what))?;
        let (_, mut input) = self.decoder.finish().into_inner();
        if more != 0 || !input.fill_buf().map_err(BundleError::read(what))?.is_empty() {
            return Err(BundleError::malformed(format!("something follows the end of {what}")));
        }
        Ok(input)
    }
}

impl<R: BufRead> Read for Frame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer)
    }
}
