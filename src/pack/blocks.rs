//! Formats whose parts can be packed apart from each other: blocks of a fixed size, each packed by one of several
//! threads, written in order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flate2::Crc;

use super::deflate;

/// What the packed blocks are put together as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A raw stream of RFC 1951.
    Deflate {
        level: u32,
    },
    /// The same as a member of RFC 1952.
    Gzip {
        level: u32,
    },
    Bgzf {
        level: u32,
    },
    Bzip2 {
        level: u32,
    },
    Lz4,
}

/// LZ4's frame format: version 1, blocks independent, a checksum of each; blocks of up to 4 MiB; the header's checksum.
const LZ4_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0b0111_0000, 0b0111_0000, 0x72];

/// Marks a block that is not packed.
const LZ4_PLAIN: u32 = 1 << 31;

impl Form {
    /// How many bytes are packed at a time.
    fn block(self) -> usize {
        match self {
            Self::Deflate { .. } | Self::Gzip { .. } => 1 << 20,
            Self::Bgzf { .. } => 16 * deflate::BGZF_BLOCK,
            // What the format calls a block. A stream of one each is what pbzip2 writes.
            Self::Bzip2 { level } => level as usize * 100_000,
            Self::Lz4 => 4 << 20,
        }
    }

    fn header(self) -> &'static [u8] {
        match self {
            Self::Gzip { .. } => &deflate::GZIP_HEADER,
            Self::Lz4 => &LZ4_HEADER,
            Self::Deflate { .. } | Self::Bgzf { .. } | Self::Bzip2 { .. } => &[],
        }
    }

    fn pack(self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Deflate { level } | Self::Gzip { level } => deflate::part(block, level),
            Self::Bgzf { level } => deflate::bgzf(block, level),
            Self::Bzip2 { level } => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
                encoder.write_all(block)?;
                encoder.finish()
            }
            Self::Lz4 => Ok(lz4(block)),
        }
    }

    /// What follows the last block.
    fn trailer(self, crc: &Crc, empty: bool) -> io::Result<Vec<u8>> {
        Ok(match self {
            Self::Deflate { .. } => deflate::LAST_PART.to_vec(),
            Self::Gzip { .. } => {
                // Both modulo 2^32, as RFC 1952 has it.
                [deflate::LAST_PART.as_slice(), &crc.sum().to_le_bytes(), &crc.amount().to_le_bytes()].concat()
            }
            Self::Bgzf { .. } => deflate::BGZF_END.to_vec(),
            Self::Bzip2 { .. } if empty => self.pack(&[])?,
            Self::Bzip2 { .. } => Vec::new(),
            Self::Lz4 => vec![0; 4],
        })
    }
}

/// A block with its length before it and its checksum after it.
fn lz4(block: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("blocks are of 4 MiB at most");
    let packed = lz4_flex::block::compress(block);
    let (head, data) = if packed.len() < block.len() {
        (length(&packed), packed.as_slice())
    } else {
        (length(block) | LZ4_PLAIN, block)
    };
    let checksum = twox_hash::XxHash32::oneshot(0, data);
    [head.to_le_bytes().as_slice(), data, &checksum.to_le_bytes()].concat()
}

struct Packed {
    bytes: Vec<u8>,
    crc: Crc,
}

fn pack(form: Form, block: &[u8]) -> io::Result<Packed> {
    let mut crc = Crc::new();
    crc.update(block);
    Ok(Packed { bytes: form.pack(block)?, crc })
}

struct Job {
    block: Vec<u8>,
    done: SyncSender<io::Result<Packed>>,
}

/// What was packed, when all of it is.
pub(super) struct Finished<W> {
    pub(super) output: W,
    /// CRC-32 of the bytes before they were packed.
    pub(super) crc: u32,
    /// How many those were.
    pub(super) read: u64,
    /// How many were written.
    pub(super) written: u64,
}

/// Packs what is written to it.
pub(super) struct Blocks<W> {
    /// Taken at the end.
    output: Option<W>,
    form: Form,
    block: Vec<u8>,
    pool: Pool,
    pending: VecDeque<Receiver<io::Result<Packed>>>,
    crc: Crc,
    read: u64,
    written: u64,
}

impl<W: Write> Blocks<W> {
    pub(super) fn new(output: W, form: Form, threads: usize) -> Self {
        Self {
            output: Some(output),
            form,
            block: Vec::new(),
            pool: Pool { form, size: threads.max(1), jobs: None, threads: Vec::new() },
            pending: VecDeque::new(),
            crc: Crc::new(),
            read: 0,
            written: 0,
        }
    }

    /// Packs what is left and writes the end.
    pub(super) fn finish(mut self) -> io::Result<Finished<W>> {
        if !self.block.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.collect()?;
        }
        if self.written == 0 {
            self.put(self.form.header())?;
        }
        let trailer = self.form.trailer(&self.crc, self.read == 0)?;
        self.put(&trailer)?;
        let output = self.output.take().ok_or_else(gone)?;
        Ok(Finished { output, crc: self.crc.sum(), read: self.read, written: self.written })
    }

    fn submit(&mut self) -> io::Result<()> {
        let block = std::mem::take(&mut self.block);
        self.read += block.len() as u64;
        let (done, result) = sync_channel(1);
        self.pool.send(Job { block, done })?;
        self.pending.push_back(result);
        if self.pending.len() > 2 * self.pool.size { self.collect() } else { Ok(()) }
    }

    fn collect(&mut self) -> io::Result<()> {
        let Some(result) = self.pending.pop_front() else { return Ok(()) };
        let packed = result.recv().map_err(|_| gone())??;
        if self.written == 0 {
            self.put(self.form.header())?;
        }
        self.crc.combine(&packed.crc);
        self.put(&packed.bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.as_mut().ok_or_else(gone)?.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.form.block();
        if self.block.capacity() == 0 {
            self.block.reserve_exact(size);
        }
        let count = bytes.len().min(size - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == size {
            self.submit()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The threads. They start with the first job, and are waited for.
struct Pool {
    form: Form,
    size: usize,
    /// `None` before the first job, and once no more is to come.
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    fn send(&mut self, job: Job) -> io::Result<()> {
        if self.jobs.is_none() {
            let (jobs, queue) = sync_channel::<Job>(self.size);
            let queue = Arc::new(Mutex::new(queue));
            for _ in 0..self.size {
                let (queue, form) = (Arc::clone(&queue), self.form);
                let work = move || {
                    loop {
                        let job = queue.lock().expect("no thread panics holding it").recv();
                        let Ok(job) = job else { return };
                        // A receiver that is gone means that the writer failed.
                        let _ = job.done.send(pack(form, &job.block));
                    }
                };
                self.threads.push(std::thread::Builder::new().name("pack".to_owned()).spawn(work)?);
            }
            self.jobs = Some(jobs);
        }
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has dropped its job, which failed the writer.
            let _ = thread.join();
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("a compressing thread has ended early")
}
