//! The writing half of a client's socket, and the frames that it is taking.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::websocket::end_of_frame;

/// What frames are written to.
pub type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// Where frames leave the relay. It holds no memory when nothing is under way.
pub struct Outlet {
    half: WriteHalf,
    /// Whole frames.
    batch: Vec<u8>,
    /// As many bytes of them are written.
    written: usize,
    is_blocked: bool,
}

impl Outlet {
    /// An outlet to `half`.
    pub fn new(half: WriteHalf) -> Self {
        Self { half, batch: Vec::new(), written: 0, is_blocked: false }
    }

    /// Whether the socket took no more at the last try.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// The next frames to write, after those before are written.
    pub fn load(&mut self, batch: Vec<u8>) {
        self.batch = batch;
        self.written = 0;
    }

    /// Puts frames in before those that are not begun yet.
    pub fn put_first(&mut self, frames: &[u8]) {
        let at = end_of_frame(&self.batch, self.written);
        self.batch.splice(at..at, frames.iter().copied());
    }

    /// Writes on. Ready with how many bytes the socket took, 0 when all are on their way.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = self.poll(cx);
        self.is_blocked = written.is_pending();
        written
    }

    /// Tells the client that nothing more comes.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.half).poll_shutdown(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let rest = &self.batch[self.written..];
        if rest.is_empty() {
            self.load(Vec::new());
            ready!(Pin::new(&mut self.half).poll_flush(cx))?;
            return Poll::Ready(Ok(0));
        }
        let written = ready!(Pin::new(&mut self.half).poll_write(cx, rest))?;
        self.written += written;
        Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) })
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { half: _, batch, written, is_blocked } = self;
        f.debug_struct("Outlet")
            .field("left", &(batch.len() - written))
            .field("is_blocked", is_blocked)
            .finish_non_exhaustive()
    }
}
