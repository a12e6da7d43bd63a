//! From a worker thread to a connection: what is written on one side leaves on the other, and no more of it is held than a few pieces.
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use std::io::{self, Write};
use std::mem;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout_at};

/// Bytes of a piece, and pieces that wait.
const PIECE: usize = 32 << 10;
const WAITING: usize = 4;
/// A reader that takes no piece for so long is given up, and one that is that far behind [`SLOWEST`]: it holds a worker.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes a second.
const SLOWEST: u64 = 256 << 10;

/// The side that is written to, by a thread that may wait.
pub struct Writer {
    to: Sender<io::Result<Bytes>>,
    piece: BytesMut,
    runtime: Handle,
    begun: Instant,
    /// Bytes that were sent.
    sent: u64,
    ends: Ends,
}

/// Says when all has to be out; none: there is time.
type Ends = Box<dyn Fn() -> Option<Instant> + Send>;

/// Both sides.
pub fn pipe(runtime: Handle, ends: Ends) -> (Writer, Body) {
    let (to, from) = channel(WAITING);
    let next = |mut from: Receiver<_>| async { from.recv().await.map(|piece| (piece, from)) };
    let body = Body::from_stream(stream::unfold(from, next));
    (Writer { to, piece: BytesMut::new(), runtime, begun: Instant::now(), sent: 0, ends }, body)
}

impl Writer {
    fn send(&mut self, piece: io::Result<Bytes>) -> io::Result<()> {
        let behind = self.begun + PATIENCE + Duration::from_millis(self.sent * 1000 / SLOWEST);
        let deadline = behind.min(Instant::now() + PATIENCE);
        let deadline = (self.ends)().map_or(deadline, |end| deadline.min(end));
        self.sent += piece.as_ref().map_or(0, Bytes::len) as u64;
        // Timers are the other thread's.
        let sent = self.runtime.block_on(async { timeout_at(deadline, self.to.send(piece)).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads any more")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the reader is too slow")),
        }
    }

    /// Ends it so that the reader sees that something is missing.
    pub fn abort(mut self, why: &str) {
        let _ = self.send(Err(io::Error::other(why.to_owned()))); // a reader that has gone needs no telling
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        if self.piece.capacity() == 0 {
            self.piece.reserve(PIECE);
        }
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = mem::take(&mut self.piece).freeze();
        self.send(Ok(piece))
    }
}
