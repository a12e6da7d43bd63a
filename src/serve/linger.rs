//! Connections that end in good order: a client that takes nothing of its answers is given up; and where one ends with an error before the request
//! was read, what is still on its way is read and forgotten, so that the client gets the answer. A socket that is closed with unread data is
//! reset, and the client may lose what it had received (RFC 9112, 9.6).
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
/// What is read at once.
const PIECE: usize = 8 << 10;

/// A connection that may linger at its end.
#[derive(Debug)]
pub struct Lingering {
    stream: TcpStream,
    lingers: Arc<AtomicBool>,
    /// Once this side has said that it is done: until when it waits, and since when.
    waiting: Option<(Pin<Box<Sleep>>, Instant)>,
    /// Until when it may take nothing.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Lingering {
    /// Lingers if the flag is set when it ends.
    pub fn new(stream: TcpStream, lingers: Arc<AtomicBool>) -> Self {
        Self { stream, lingers, waiting: None, stuck: None }
    }

    /// What came of writing; an error where nothing was taken for too long.
    fn taken(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
            if !this.lingers.load(Ordering::Relaxed) {
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
