//! What became of direct connections.

use std::ops::AddAssign;

/// How often something became of direct connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// An offer came while one of the device's own was out, and was taken in place of that.
    pub glares: usize,
    /// The two agreed on that.
    pub glares_settled: usize,
    /// The end that had offered opened first.
    pub opened_by_offer: usize,
    /// The end that had answered did.
    pub opened_by_answer: usize,
    /// An end opened more than a second behind the other.
    pub late_openings: usize,
    /// A message came before its channel had opened.
    pub early_messages: usize,
    /// An end looked for another way (ICE restart).
    pub restarts: usize,
    /// Both found one.
    pub restarts_that_helped: usize,
    /// There was no way for a while, and both ends outlasted it.
    pub lapses_outlasted: usize,
    /// A device was told that there is no way.
    pub failures: usize,
    /// A channel from which bytes could leave became full.
    pub full: usize,
    /// A channel died, and in the same instant its device's sockets to relays.
    pub double_deaths: usize,
}

impl Tally {
    /// Whether everything happened.
    pub fn has_all(&self) -> bool {
        let mut all = *self;
        all.fields().iter().all(|count| **count > 0)
    }

    fn fields(&mut self) -> [&mut usize; 12] {
        [
            &mut self.glares,
            &mut self.glares_settled,
            &mut self.opened_by_offer,
            &mut self.opened_by_answer,
            &mut self.late_openings,
            &mut self.early_messages,
            &mut self.restarts,
            &mut self.restarts_that_helped,
            &mut self.lapses_outlasted,
            &mut self.failures,
            &mut self.full,
            &mut self.double_deaths,
        ]
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, mut other: Self) {
        for (sum, count) in self.fields().into_iter().zip(other.fields()) {
            *sum += *count;
        }
    }
}
