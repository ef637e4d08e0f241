//! A socket that counts its bytes, so that a slow client can be told from a stuck one and a fast one be held back.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::limits::LEAST_TAKEN;
use crate::read_limit::ReadLimit;

/// Bytes that went through one socket.
#[derive(Debug)]
pub struct Traffic {
    since: Instant,
    /// Whether bytes are waited for, and since when, in milliseconds after `since`.
    is_listening: AtomicBool,
    listens_from: AtomicU64,
    /// Bytes to charge the client for, beyond those it sent.
    surcharge: AtomicUsize,
    written: AtomicU64,
    /// The last write found no room: bytes wait for the client.
    is_blocked: AtomicBool,
    blocked: Notify,
    /// What the members of its room may send, once it has one.
    room: OnceLock<Arc<Budget>>,
}

impl Traffic {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            is_listening: AtomicBool::default(),
            listens_from: AtomicU64::default(),
            surcharge: AtomicUsize::default(),
            written: AtomicU64::default(),
            is_blocked: AtomicBool::default(),
            blocked: Notify::default(),
            room: OnceLock::default(),
        }
    }

    /// The time that bytes have been waited for. None passes while they are not read, because the client was too fast or its last ones are
    /// not passed on yet.
    pub fn silence(&self) -> Duration {
        match self.is_listening.load(Relaxed) {
            true => self.age().saturating_sub(Duration::from_millis(self.listens_from.load(Relaxed))),
            false => Duration::ZERO,
        }
    }

    /// Charges the client for work that its bytes don't show.
    pub fn surcharge(&self, bytes: usize) {
        self.surcharge.fetch_add(bytes, Relaxed);
    }

    /// From now on it is read no faster than its room may be.
    pub fn share(&self, room: Arc<Budget>) {
        let _ = self.room.set(room);
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

    fn listen(&self, is_listening: bool) {
        if is_listening && !self.is_listening.load(Relaxed) {
            self.listens_from.store(self.age().as_millis() as u64, Relaxed);
        }
        self.is_listening.store(is_listening, Relaxed);
    }

    fn age(&self) -> Duration {
        self.since.elapsed()
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
        Self { inner, traffic: Arc::new(Traffic::new()), limit: None }
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

impl Counted<TcpStream> {
    /// To be read by one task and written by any.
    pub fn split(self) -> (Counted<OwnedReadHalf>, Counted<OwnedWriteHalf>) {
        let Self { inner, traffic, limit } = self;
        let (read, write) = inner.into_split();
        (Counted { inner: read, traffic: traffic.clone(), limit }, Counted { inner: write, traffic, limit: None })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inner, traffic, limit } = &mut *self;
        if let Some(limit) = limit {
            limit.surcharge(traffic.surcharge.swap(0, Relaxed));
            // Since it was read last, nothing is listened for.
            ready!(limit.poll_ready(cx));
        }
        let before = buffer.filled().len();
        let read = Pin::new(inner).poll_read(cx, buffer);
        traffic.listen(read.is_pending());
        ready!(read)?;
        let bytes = buffer.filled().len() - before;
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
    use prometheus_client::metrics::counter::Counter;
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

    #[tokio::test(start_paused = true)]
    async fn silence_is_the_time_since_the_last_bytes() {
        let (mut socket, mut client) = socket();
        let traffic = socket.traffic();
        for _ in 0..3 {
            tokio::time::advance(TIME).await;
            assert!(timeout(2 * TIME, socket.read_u8()).await.is_err());
            assert_eq!(traffic.silence(), 2 * TIME);
            client.write_all(&[7]).await.expect("it is open");
            assert!(socket.read_u8().await.is_ok());
            assert_eq!(traffic.silence(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_held_back_is_not_silent() {
        let (mut socket, mut client) = socket();
        socket.limit_reads(ReadLimit::new(1, 1, Counter::default(), None));
        let traffic = socket.traffic();
        // After the first five bytes it is not read for four seconds.
        client.write_all(&[7; 6]).await.expect("it is open");
        assert!(timeout(TIME, socket.read_exact(&mut [0; 5])).await.is_ok());
        assert!(timeout(Duration::from_secs(3), socket.read_u8()).await.is_err());
        assert_eq!(traffic.silence(), Duration::ZERO);
        assert!(timeout(Duration::from_secs(3), socket.read_u8()).await.is_ok());
        assert!(timeout(2 * TIME, client.read_u8()).await.is_err(), "nothing comes back");
        assert_eq!(traffic.silence(), Duration::ZERO, "nobody has tried to read more");
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
