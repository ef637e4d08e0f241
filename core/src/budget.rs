//! Memory that several holders share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits;

/// Memory that all conversations of a device share.
#[derive(Clone, Debug)]
pub struct Memory {
    /// For messages of which parts have come.
    pub incomplete: Budget,
    /// For messages that wait to be sent, or to be acknowledged.
    pub queues: Budget,
}

/// So many bytes, which its clones share.
#[derive(Clone, Debug)]
pub struct Budget {
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { incomplete: Budget::new(limits::REASSEMBLY), queues: Budget::new(limits::SEND_QUEUES) }
    }
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: Arc::default(), limit }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether so many more fit.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.limit
    }

    /// Whether so many more would fit if others were given back.
    pub fn would_have_room(&self, bytes: usize, given_back: usize) -> bool {
        self.used().saturating_sub(given_back).saturating_add(bytes) <= self.limit
    }

    /// Takes so many, if they fit.
    pub fn take(&self, bytes: usize) -> bool {
        let fits = self.has_room(bytes);
        if fits {
            self.used.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Gives so many back, which were taken.
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
