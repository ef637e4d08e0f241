//! A socket that counts its bytes, so that a slow client can be told from a stuck one and a fast one be held back.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::budget::Budget;
use crate::limits::LEAST_TAKEN;
use crate::read_limit::ReadLimit;

/// Bytes that went through one socket.
#[derive(Debug, Default)]
pub struct Traffic {
    read: AtomicU64,
    /// Bytes to charge the client for, beyond those it sent.
    surcharge: AtomicUsize,
    written: AtomicU64,
    /// The last write found no room: bytes wait for the client.
    is_blocked: AtomicBool,
    blocked: Notify,
    /// The client is not read, for it was too fast.
    is_held_back: AtomicBool,
    /// What the members of its room may send, once it has one.
    room: OnceLock<Arc<Budget>>,
}

impl Traffic {
    /// Bytes that the client has sent.
    pub fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Charges the client for work that its bytes don't show.
    pub fn surcharge(&self, bytes: usize) {
        self.surcharge.fetch_add(bytes, Relaxed);
    }

    /// From now on it is read no faster than its room may be.
    pub fn share(&self, room: Arc<Budget>) {
        let _ = self.room.set(room);
    }

    /// Whether it is by our will that nothing comes from the client.
    pub fn is_held_back(&self) -> bool {
        self.is_held_back.load(Relaxed)
    }

    /// Returns once bytes have waited for `time` and the client took less than [`LEAST_TAKEN`] meanwhile.
    pub async fn write_stall(&self, time: Duration) {
        loop {
            while self.is_blocked.load(Relaxed) {
                let before = self.written.load(Relaxed);
                tokio::time::sleep(time).await;
                if self.is_blocked.load(Relaxed) && self.written.load(Relaxed) - before < LEAST_TAKEN {
                    return;
                }
            }
            self.blocked.notified().await;
        }
    }

    fn record(&self, written: Option<usize>) {
        let was_blocked = self.is_blocked.swap(written.is_none(), Relaxed);
        match written {
            Some(bytes) => {
                self.written.fetch_add(bytes as u64, Relaxed);
            }
            None if !was_blocked => self.blocked.notify_one(),
            None => {}
        }
    }
}

/// `S`, counted.
#[derive(Debug)]
pub struct Counted<S> {
    inner: S,
    traffic: Arc<Traffic>,
    limit: Option<ReadLimit>,
}

impl<S> Counted<S> {
    /// Counts the bytes of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, traffic: Arc::default(), limit: None }
    }

    /// The counts.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// From now on it is read no faster than `limit` allows.
    pub fn limit_reads(&mut self, limit: ReadLimit) {
        self.limit = Some(limit);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, traffic, limit } = &mut *self;
        if let Some(limit) = limit {
            limit.surcharge(traffic.surcharge.swap(0, Relaxed));
            let is_ready = limit.poll_ready(cx);
            traffic.is_held_back.store(is_ready.is_pending(), Relaxed);
            ready!(is_ready);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(inner).poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        traffic.read.fetch_add(bytes as u64, Relaxed);
        if let Some(limit) = limit {
            limit.charge(bytes, traffic.room.get().map(Arc::as_ref));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = Pin::new(&mut self.inner).poll_write(cx, bytes)? else {
            self.traffic.record(None);
            return Poll::Pending;
        };
        self.traffic.record(Some(written));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const TIME: Duration = Duration::from_millis(5);
    const ROOM: usize = 1_000;

    /// A socket in which a thousand bytes find room, and its other end.
    fn socket() -> (Counted<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(ROOM);
        (Counted::new(ours), theirs)
    }

    #[tokio::test]
    async fn a_socket_for_which_nothing_waits_does_not_stall() {
        let (mut socket, mut client) = socket();
        let traffic = socket.traffic();
        let mut taken = vec![0; 2 * ROOM];
        let (sent, read) = tokio::join!(socket.write_all(&[7; 2 * ROOM]), client.read_exact(&mut taken));
        assert!(sent.is_ok() && read.is_ok(), "it was blocked, and is not any more");
        assert!(timeout(10 * TIME, traffic.write_stall(TIME)).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_now_and_then_stalls() {
        let (mut socket, mut client) = socket();
        let traffic = socket.traffic();
        let much = vec![7; 1 << 20];
        let trickle = async {
            while client.read_u8().await.is_ok() {
                tokio::time::sleep(TIME / 5).await;
            }
        };
        tokio::select! {
            _ = socket.write_all(&much) => panic!("the client took it all"),
            () = trickle => panic!("the socket was closed"),
            () = traffic.write_stall(TIME) => {}
        }
    }
}
