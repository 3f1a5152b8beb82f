//! Packs streams of bytes, on several threads. What comes out depends on the bytes and the level, never on how many
//! threads there were: the size of what each of them packs is fixed.

mod blocks;
mod deflate;
mod watched;
mod xz;
pub mod zip;

use std::io::{self, Write};

use blocks::{Blocks, Form};
pub use watched::{Stoppable, Watched};

/// A way to pack bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952, one member.
    Gzip,
    /// Gzip in small members, which programs can seek in (SAM specification, 4.1).
    Bgzf,
    /// LZ4's frame format.
    Lz4,
    /// The .xz format, one stream of several blocks.
    Xz,
    /// Bzip2, one stream after another.
    Bzip2,
    /// RFC 8878, with a checksum.
    Zstd,
}

impl Codec {
    /// The level to use for what a user asked for, as near to it as there is; without it, the codec's own default.
    pub fn level(self, asked: Option<u32>) -> u32 {
        let (default, most) = match self {
            Self::Gzip | Self::Bgzf | Self::Xz => (6, 9),
            Self::Bzip2 => (9, 9),
            Self::Zstd => (3, 19),
            // Its encoder has but one.
            Self::Lz4 => (1, 1),
        };
        asked.map_or(default, |level| level.clamp(1, most))
    }
}

/// The threads there are to pack on.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes that packing may take: a quarter of the machine's.
fn memory() -> u64 {
    let memory = rustix::system::sysinfo();
    (memory.totalram as u64).saturating_mul(memory.mem_unit.into()) / 4
}

/// Threads that fit in that: each has a window, tables and a part of the input, which grow with the level.
fn zstd_threads(level: u32, threads: usize) -> u32 {
    let each = match level {
        ..=5 => 16,
        6..=12 => 64,
        _ => 160,
    };
    u32::try_from((memory() >> 20) / each).unwrap_or(u32::MAX).min(u32::try_from(threads).unwrap_or(u32::MAX))
}

/// Packs what is written to it. Nothing of use has been written before [`Packer::finish`].
pub struct Packer<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Plain(W),
    Blocks(Blocks<W>),
    Xz(xz::Encoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Packer<W> {
    /// Packs into `output` by `codec`, or not at all, on up to `threads` threads. The level is one of
    /// [`Codec::level`].
    pub fn new(output: W, codec: Option<Codec>, level: u32, threads: usize) -> io::Result<Self> {
        let blocks = |output, form| Inner::Blocks(Blocks::new(output, form, threads));
        Ok(Self(match codec {
            None => Inner::Plain(output),
            Some(Codec::Gzip) => blocks(output, Form::Gzip { level }),
            Some(Codec::Bgzf) => blocks(output, Form::Bgzf { level }),
            Some(Codec::Bzip2) => blocks(output, Form::Bzip2 { level }),
            Some(Codec::Lz4) => blocks(output, Form::Lz4),
            Some(Codec::Xz) => Inner::Xz(xz::encoder(output, level, threads)?),
            Some(Codec::Zstd) => {
                let mut encoder = zstd::Encoder::new(output, i32::try_from(level).unwrap_or(3))?;
                encoder.include_checksum(true)?;
                // One thread reads, so a second is of use on a single core too.
                encoder.multithread(zstd_threads(level, threads).max(2))?;
                Inner::Zstd(encoder)
            }
        }))
    }

    /// Packs what is left, writes the end of the format, and gives the output back, unflushed.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Plain(output) => Ok(output),
            Inner::Blocks(blocks) => Ok(blocks.finish()?.output),
            Inner::Xz(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(output) => output.write(bytes),
            Inner::Blocks(blocks) => blocks.write(bytes),
            Inner::Xz(encoder) => encoder.write(bytes),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Does nothing: a flush in the middle would change what comes out.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
