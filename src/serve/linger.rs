//! Connections that end in good order: a client that takes nothing of its answers, or does not end the head of its request, is given up; and
//! where one ends with an error before the request was read, what is still on its way is read and forgotten, so that the client gets the answer.
//! A socket that is closed with unread data is reset, and the client may lose what it had received (RFC 9112, 9.6).
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// It is over when nothing has come for so long, and after so long in all.
const SILENCE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);
/// A client that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// From the first byte of a request's head to its last.
const HEAD: Duration = Duration::from_secs(10);
/// What is read at once.
const PIECE: usize = 8 << 10;

/// How far a connection's request is.
#[derive(Debug, Default)]
pub struct Progress(AtomicU8);

impl Progress {
    /// Its head is awaited.
    const HEAD: u8 = 0;
    /// It is there, and its body may come.
    const ASKED: u8 = 1;
    /// It is answered.
    const ANSWERED: u8 = 2;
    /// The same, and it is the last one: its body may not have been read.
    const LAST: u8 = 3;

    /// The head was read.
    pub fn asked(&self) {
        self.0.store(Self::ASKED, Ordering::Relaxed);
    }

    /// An answer begins, the last one or not.
    pub fn answers(&self, is_last: bool) {
        self.0.store(if is_last { Self::LAST } else { Self::ANSWERED }, Ordering::Relaxed);
    }

    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::Relaxed) == state
    }
}

/// A connection that may linger at its end.
#[derive(Debug)]
pub struct Lingering {
    stream: TcpStream,
    progress: Arc<Progress>,
    /// Until when a head that has begun has to be there.
    head: Option<Pin<Box<Sleep>>>,
    /// Once this side has said that it is done: until when it waits, and since when.
    waiting: Option<(Pin<Box<Sleep>>, Instant)>,
    /// Until when it may take nothing.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    /// Lingers where the last answer came before the end of its request.
    pub fn new(stream: TcpStream, progress: Arc<Progress>) -> Self {
        Self { stream, progress, head: None, waiting: None, stuck: None }
    }

    /// What came of writing; an error where nothing was taken for too long.
    fn taken(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stuck = None;
            // While an answer leaves, the next head has time.
            self.head = None;
            if self.progress.is(Progress::ANSWERED) {
                self.progress.0.store(Progress::HEAD, Ordering::Relaxed);
            }
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.progress.is(Progress::HEAD) {
            self.head = None;
            return read;
        }
        if read.is_ready() {
            if buf.filled().len() > before {
                self.head.get_or_insert_with(|| Box::pin(sleep(HEAD)));
            }
            return read;
        }
        match &mut self.head {
            None => Poll::Pending,
            Some(head) => {
                ready!(head.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of the request does not end")))
            }
        }
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.taken(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.taken(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waiting.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.progress.is(Progress::LAST) {
                return Poll::Ready(Ok(()));
            }
        }
        let (silence, begun) = this.waiting.get_or_insert_with(|| (Box::pin(sleep(SILENCE)), Instant::now()));
        let mut forgotten = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut forgotten);
            match Pin::new(&mut this.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() && begun.elapsed() < LONGEST => {
                    silence.as_mut().reset(Instant::now() + SILENCE);
                }
                // The other side is done, too, or has taken too long.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    ready!(silence.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
