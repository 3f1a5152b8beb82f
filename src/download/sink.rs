//! Where a body's bytes go: hashed and written on a thread that may block.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::checksum::Algorithm;

/// Chunks that may wait for the disk: with the usual 16-64 KiB a chunk, about a megabyte.
const QUEUE: usize = 16;

enum Message {
    Chunk(Bytes),
    /// The body starts over: what was written is void.
    Restart,
}

/// The digests of what was written.
pub(super) struct Digests {
    pub(super) sha256: [u8; 32],
    /// In the algorithm asked for; equals `sha256` where that is the one.
    pub(super) asked: Option<Vec<u8>>,
    pub(super) file: File,
}

/// Writes and hashes a body in order. Dropped before `finish`, it leaves the file as far as it got.
pub(super) struct Sink {
    sender: mpsc::Sender<Message>,
    task: JoinHandle<io::Result<Digests>>,
}

impl Sink {
    pub(super) fn new(file: File, asked: Option<Algorithm>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let task = tokio::task::spawn_blocking(move || write_all(file, asked, receiver));
        Self { sender, task }
    }

    /// Takes a chunk; `false` when writing has failed, which `finish` then tells.
    pub(super) async fn chunk(&self, bytes: Bytes) -> bool {
        self.sender.send(Message::Chunk(bytes)).await.is_ok()
    }

    pub(super) async fn restart(&self) -> bool {
        self.sender.send(Message::Restart).await.is_ok()
    }

    pub(super) async fn finish(self) -> io::Result<Digests> {
        drop(self.sender);
        self.task.await.map_err(io::Error::other)?
    }
}

fn write_all(mut file: File, asked: Option<Algorithm>, mut receiver: mpsc::Receiver<Message>) -> io::Result<Digests> {
    let asked = asked.filter(|algorithm| *algorithm != Algorithm::Sha256);
    let mut sha256 = Sha256::new();
    let mut other = asked.map(Algorithm::hasher);
    while let Some(message) = receiver.blocking_recv() {
        match message {
            Message::Chunk(bytes) => {
                file.write_all(&bytes)?;
                sha256.update(&bytes);
                if let Some(other) = &mut other {
                    other.update(&bytes);
                }
            }
            Message::Restart => {
                file.set_len(0)?;
                file.rewind()?;
                sha256 = Sha256::new();
                other = asked.map(Algorithm::hasher);
            }
        }
    }
    file.flush()?;
    Ok(Digests { sha256: sha256.finalize().into(), asked: other.map(|hasher| hasher.finalize().into_vec()), file })
}
