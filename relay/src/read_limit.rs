//! How fast one client is read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::time::{Sleep, sleep};

use crate::bucket::Bucket;

/// An allowance of bytes, and the pauses that a client takes once it has used it up.
///
/// It counts what comes from the network: a flood of empty WebSocket frames, which never becomes a message, costs the
/// client its headers.
#[derive(Debug)]
pub struct ReadLimit {
    allowance: Bucket,
    pause: Option<Pin<Box<Sleep>>>,
    pauses: Counter,
}

impl ReadLimit {
    /// A limit of `burst` bytes, then `per_second`. Counts its pauses in `pauses`.
    pub fn new(burst: usize, per_second: usize, pauses: Counter) -> Self {
        Self { allowance: Bucket::new(burst, per_second, Instant::now()), pause: None, pauses }
    }

    /// Ready when the client may be read.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let wait = self.allowance.wait(Instant::now());
            if wait.is_zero() {
                return Poll::Ready(());
            }
            self.pauses.inc();
            self.pause = Some(Box::pin(sleep(wait + Duration::from_millis(1))));
        }
    }

    /// Takes bytes from the allowance, whether it has them or not.
    pub fn charge(&mut self, bytes: usize) {
        self.allowance.overdraw(bytes);
    }
}
