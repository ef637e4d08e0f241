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

/// What one holder has of a budget that it shares with others. Its clones are the same holder.
#[derive(Clone, Debug)]
pub struct Share {
    own: Arc<AtomicUsize>,
    of: Budget,
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

impl Share {
    /// Nothing of a budget, as yet.
    pub fn new(of: Budget) -> Self {
        Self { own: Arc::default(), of }
    }

    /// Takes so many, if as much as the holder has then is left for others. So who comes first never has it all, and the more there are,
    /// the less each has.
    pub fn take(&self, bytes: usize) -> bool {
        let own = self.own.load(Ordering::Relaxed).saturating_add(bytes);
        let left = self.of.limit.saturating_sub(self.of.used().saturating_add(bytes));
        let fits = own <= left && self.of.take(bytes);
        if fits {
            self.own.store(own, Ordering::Relaxed);
        }
        fits
    }

    /// Gives so many back, which were taken.
    pub fn give_back(&self, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.of.give_back(bytes);
    }

    /// Has another holder of the same budget have so many of these.
    pub fn hand_over(&self, bytes: usize, to: &Self) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        to.own.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all that a holder may have, and returns how much it has then.
    fn fill(share: &Share) -> usize {
        while share.take(1) {}
        share.own.load(Ordering::Relaxed)
    }

    #[test]
    fn whoever_comes_first_leaves_something_to_all_others() {
        let budget = Budget::new(9_000);
        let shares = [(); 4].map(|()| Share::new(budget.clone()));
        assert_eq!(shares.each_ref().map(fill), [4_500, 2_250, 1_125, 562]);
        shares[0].give_back(4_500);
        assert_eq!(fill(&shares[3]), 2_812, "what is given back is everybody's");
        shares[1].hand_over(2_000, &shares[2]);
        assert_eq!((fill(&shares[1]), budget.used()), (1_531, 7_468));
    }

    #[test]
    fn the_largest_message_fits_on_four_topics_and_two_more_beside_them() {
        let budget = Budget::new(limits::REASSEMBLY);
        let (one, other) = (Share::new(budget.clone()), Share::new(budget));
        assert!((0..4).all(|_| one.take(limits::MESSAGE)) && !one.take(limits::MESSAGE));
        assert!((0..2).all(|_| other.take(limits::MESSAGE)));
    }
}
