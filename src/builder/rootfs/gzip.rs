//! Gzip on several threads: blocks of fixed size become members of their own, written in order. RFC 1952 (2.2) makes
//! members one after the other one file, and the result does not depend on the number of threads.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use flate2::Compression;
use flate2::write::GzEncoder;

const BLOCK: usize = 1 << 20;

struct Job {
    block: Vec<u8>,
    done: SyncSender<io::Result<Vec<u8>>>,
}

/// Packs what is written to it.
pub(super) struct ParallelGzip<W> {
    output: W,
    block: Vec<u8>,
    /// `None` once no more work is to come.
    jobs: Option<SyncSender<Job>>,
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    threads: usize,
}

impl<W: Write> ParallelGzip<W> {
    pub(super) fn new<'scope>(scope: &'scope Scope<'scope, '_>, output: W, threads: usize) -> Self {
        let (jobs, queue) = sync_channel::<Job>(threads);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            scope.spawn(move || {
                loop {
                    let job = queue.lock().expect("no thread panics holding it").recv();
                    let Ok(job) = job else { return };
                    // A receiver that is gone means that the writer failed.
                    let _ = job.done.send(pack(&job.block));
                }
            });
        }
        Self { output, block: Vec::with_capacity(BLOCK), jobs: Some(jobs), pending: VecDeque::new(), threads }
    }

    /// Packs what is left and gives the output back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.submit()?;
        self.jobs = None;
        while !self.pending.is_empty() {
            self.collect()?;
        }
        Ok(self.output)
    }

    fn submit(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (done, result) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { block, done }).map_err(|_| gone())?;
        self.pending.push_back(result);
        if self.pending.len() > 2 * self.threads { self.collect() } else { Ok(()) }
    }

    fn collect(&mut self) -> io::Result<()> {
        let Some(result) = self.pending.pop_front() else { return Ok(()) };
        let packed = result.recv().map_err(|_| gone())??;
        self.output.write_all(&packed)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pack(block: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(block.len() / 2), Compression::new(6));
    encoder.write_all(block)?;
    encoder.finish()
}

fn gone() -> io::Error {
    io::Error::other("a compressing thread has ended early")
}
