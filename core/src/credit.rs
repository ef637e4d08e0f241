//! Credit of circuits: how much a member may send to another before that has read more (PROTOCOL.md §3).
//!
//! A relay keeps a [`Loan`] for each direction of a circuit, and a device a [`Flow`] for each of its circuits.

use crate::limits::{
    CIRCUIT_CHUNK, CREDIT_BASE, CREDIT_IDLE, CREDIT_QUICK, CREDIT_SLOW, CREDIT_STEP, CREDIT_WINDOW, DATA_COST,
};
use crate::time::Time;

/// What so many bytes of DATA cost: none come for nothing, so that tiny frames cannot fill a queue.
pub const fn cost(bytes: usize) -> usize {
    bytes + DATA_COST
}

/// A relay's books of one direction of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// What the sender may still send.
    credit: usize,
    /// What it sent and the receiver has not reported as consumed.
    in_hand: usize,
    /// What the two may come to together. It grows by what is consumed soon.
    window: usize,
    probe: Option<Probe>,
}

/// What is on its way to the receiver at a moment: the time until all of it is consumed says how much waits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    sent: Time,
    length: usize,
    consumed: usize,
}

/// A frame cost more than there is credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdrawn;

impl Default for Loan {
    /// A new circuit's: both ends know of the base, so that nobody waits for it.
    fn default() -> Self {
        Self { credit: CREDIT_BASE, in_hand: 0, window: CREDIT_BASE, probe: None }
    }
}

impl Loan {
    /// The part of the credit that is taken from the receiver's pool.
    pub fn borrowed(&self) -> usize {
        self.credit.saturating_sub(CREDIT_BASE)
    }

    /// Whether the sender has to wait before it sends more.
    pub fn is_used_up(&self) -> bool {
        self.credit < CREDIT_STEP
    }

    /// The sender sent what costs so much. The clock is read only if it matters.
    pub fn spend(&mut self, now: impl FnOnce() -> Time, cost: usize) -> Result<(), Overdrawn> {
        self.credit = self.credit.checked_sub(cost).ok_or(Overdrawn)?;
        self.in_hand += cost;
        self.probe.get_or_insert_with(|| Probe { sent: now(), length: self.in_hand, consumed: 0 });
        Ok(())
    }

    /// The sender's last words may cost more than the credit, up to what is `free` in the receiver's pool.
    pub fn spend_beyond(&mut self, cost: usize, free: usize) -> Result<(), Overdrawn> {
        if cost > self.credit && cost > free.saturating_add(self.borrowed()) {
            return Err(Overdrawn);
        }
        self.credit = self.credit.saturating_sub(cost);
        self.in_hand += cost;
        Ok(())
    }

    /// The sender gives back what it does not need.
    pub fn give_back(&mut self, amount: u64) {
        let amount = usize::try_from(amount).unwrap_or(usize::MAX);
        self.credit = self.credit.saturating_sub(amount).max(self.credit.min(CREDIT_BASE));
        self.window = CREDIT_BASE;
    }

    /// The receiver has consumed so much, and `free` is in its pool: returns what is lent to the sender now.
    ///
    /// That is up to the window, and leaves as much free as this loan takes, so that one circuit gets half of the pool and each of n
    /// gets 1/(n+1). The base is lent whatever the pool holds: no circuit stalls for good. Little is not lent: it would be used
    /// little by little.
    pub fn consumed(&mut self, now: Time, amount: u64, free: usize) -> usize {
        let amount = usize::try_from(amount).unwrap_or(usize::MAX).min(self.in_hand);
        self.in_hand -= amount;
        self.fit_window(now, amount);
        let share = (free + self.borrowed()) / 2;
        let least = CREDIT_BASE.saturating_sub(self.in_hand);
        let target = self.window.saturating_sub(self.in_hand).min(share).max(least);
        let lent = target.saturating_sub(self.credit);
        if lent < CREDIT_STEP || lent < (target + self.in_hand) / 4 {
            return 0;
        }
        self.credit = target;
        lent
    }

    /// The window doubles at most each time that all of it is consumed within [`CREDIT_QUICK`], and shrinks to what the receiver reads in
    /// that time if it takes longer than [`CREDIT_SLOW`].
    fn fit_window(&mut self, now: Time, consumed: usize) {
        let Some(probe) = &mut self.probe else { return };
        probe.consumed += consumed;
        if probe.consumed < probe.length {
            return;
        }
        let time = now.since(probe.sent);
        if time <= CREDIT_QUICK {
            self.window = (self.window + probe.length).min(CREDIT_WINDOW);
        } else if time > CREDIT_SLOW {
            let read = self.window as f64 * CREDIT_QUICK.as_secs_f64() / time.as_secs_f64();
            self.window = (read as usize).max(CREDIT_BASE);
        }
        self.probe = None;
    }
}

/// One device's end of a circuit: what it may send, and what it has yet to report.
#[derive(Debug)]
pub struct Flow {
    credit: usize,
    unreported: usize,
    /// When credit that is not needed is given back.
    return_at: Option<Time>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { credit: CREDIT_BASE, unreported: 0, return_at: None }
    }
}

impl Flow {
    /// The longest chunk that may be sent now, in bytes; 0 while there is too little credit to be worth a frame.
    pub fn chunk(&self) -> usize {
        if self.credit < CREDIT_STEP { 0 } else { (self.credit - DATA_COST).min(CIRCUIT_CHUNK) }
    }

    /// A chunk of so many bytes is sent.
    pub fn spend(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(cost(bytes));
    }

    /// The relay lends more.
    pub fn lend(&mut self, now: Time, amount: u64) {
        self.credit = self.credit.saturating_add(usize::try_from(amount).unwrap_or(usize::MAX));
        self.return_at = Some(now + CREDIT_IDLE);
    }

    /// A chunk of so many bytes was read. Returns what is to be reported, once it is worth a frame.
    pub fn consume(&mut self, bytes: usize) -> Option<u64> {
        self.unreported += cost(bytes);
        (self.unreported >= CREDIT_STEP).then(|| std::mem::take(&mut self.unreported) as u64)
    }

    /// When [`Flow::give_back`] is to be called.
    pub fn next_timeout(&self) -> Option<Time> {
        self.return_at
    }

    /// Gives back what is above the base, if nothing waits to be sent. Returns how much that is.
    pub fn give_back(&mut self, now: Time, is_idle: bool) -> Option<u64> {
        self.return_at.take_if(|at| *at <= now)?;
        if !is_idle {
            self.return_at = Some(now + CREDIT_IDLE);
            return None;
        }
        let unused = self.credit.checked_sub(CREDIT_BASE).filter(|unused| *unused > 0)?;
        self.credit = CREDIT_BASE;
        Some(unused as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::time::Duration;

    const POOL: usize = 1024 * 1024;
    const NOW: Time = Time::ORIGIN;

    /// Sends all that a loan allows and has it consumed; returns what was lent for it.
    fn turn(loan: &mut Loan, pool: usize) -> usize {
        let credit = loan.credit;
        loan.spend(|| NOW, credit).unwrap();
        loan.consumed(NOW, credit as u64, pool)
    }

    #[test]
    fn credit_doubles_each_time_that_it_is_consumed_up_to_half_of_the_pool() {
        let mut loan = Loan::default();
        let lent: Vec<usize> = (0..9).map(|_| turn(&mut loan, POOL) / 1024).collect();
        assert_eq!(lent, [8, 16, 32, 64, 128, 256, 512, 512, 512]);
    }

    #[test]
    fn the_window_is_what_a_receiver_reads_in_half_a_second() {
        const STEP: Duration = Duration::from_millis(10);
        for rate in [20_000, 100_000, 500_000] {
            let (mut loan, mut now) = (Loan::default(), NOW);
            let mut longest = 0;
            for step in 0..3_000 {
                now = now + STEP;
                let credit = loan.credit;
                if credit > 0 {
                    loan.spend(|| now, credit).unwrap();
                }
                if step > 500 {
                    longest = longest.max(loan.in_hand);
                }
                loan.consumed(now, (rate / 100) as u64, POOL);
            }
            let time = longest as f64 / f64::from(rate);
            assert!((0.2..=CREDIT_SLOW.as_secs_f64()).contains(&time), "{time} s at {rate} bytes/s");
        }
    }

    #[test]
    fn a_receiver_that_becomes_slow_is_lent_less() {
        let mut loan = Loan::default();
        (0..9).for_each(|_| _ = turn(&mut loan, POOL));
        let before = loan.credit;
        loan.spend(|| NOW, before).unwrap();
        loan.consumed(NOW + Duration::from_secs(5), before as u64, POOL);
        assert_eq!(loan.credit, loan.window);
        assert!((CREDIT_WINDOW / 12..=CREDIT_WINDOW / 8).contains(&loan.window), "{}", loan.window);
    }

    #[test]
    fn n_busy_circuits_get_a_part_each_and_leave_as_much() {
        let mut loans = vec![Loan::default(); 3];
        for _ in 0..100 {
            for index in 0..loans.len() {
                let others = loans.iter().enumerate().filter(|(other, _)| *other != index);
                let free = POOL - others.map(|(_, loan)| loan.borrowed()).sum::<usize>();
                turn(&mut loans[index], free);
            }
        }
        for loan in &loans {
            assert!((POOL / 5..=POOL / 3).contains(&loan.credit), "{loans:?}");
        }
    }

    #[test]
    fn without_a_pool_the_base_is_lent_again_once_it_is_consumed() {
        let mut loan = Loan::default();
        for _ in 0..100 {
            assert_eq!(turn(&mut loan, 0), CREDIT_BASE);
        }
        loan.spend(|| NOW, CREDIT_BASE).unwrap();
        assert_eq!(loan.consumed(NOW, CREDIT_STEP as u64 - 1, 0), 0, "little is not worth a frame");
        assert_eq!(loan.spend(|| NOW, 1), Err(Overdrawn));
    }

    #[test]
    fn what_is_not_consumed_is_not_lent_again_and_what_was_never_sent_counts_for_nothing() {
        let mut loan = Loan::default();
        assert_eq!(loan.consumed(NOW, u64::MAX, POOL), 0);
        loan.spend(|| NOW, CREDIT_BASE).unwrap();
        assert_eq!(loan.consumed(NOW, u64::MAX, POOL), 2 * CREDIT_BASE);
        loan.spend(|| NOW, 2 * CREDIT_BASE).unwrap();
        assert_eq!(loan.consumed(NOW, 0, POOL), 0);
        assert_eq!(loan.spend(|| NOW, 1), Err(Overdrawn));
    }

    #[test]
    fn what_is_given_back_is_no_more_than_what_is_above_the_base() {
        let mut loan = Loan::default();
        loan.give_back(u64::MAX);
        assert_eq!(loan, Loan::default());
        for _ in 0..6 {
            turn(&mut loan, POOL);
        }
        assert!(loan.borrowed() > 0);
        loan.give_back(loan.borrowed() as u64);
        assert_eq!(loan, Loan::default());
        loan.spend(|| NOW, CREDIT_BASE).unwrap();
        loan.give_back(7);
        assert_eq!(loan.spend(|| NOW, 1), Err(Overdrawn));
    }

    #[test]
    fn last_words_go_beyond_the_credit_as_far_as_the_pool_goes() {
        let mut loan = Loan::default();
        assert_eq!(loan.spend_beyond(10_000, 9_999), Err(Overdrawn));
        assert_eq!(loan.spend_beyond(10_000, 10_000), Ok(()));
        assert_eq!(loan.spend_beyond(1, 0), Err(Overdrawn));
    }

    #[test]
    fn idle_credit_is_given_back_after_a_second_and_used_credit_is_not() {
        let mut flow = Flow::default();
        let second = |second: u32| Time::default() + CREDIT_IDLE * second;
        assert_eq!(flow.next_timeout(), None);
        flow.lend(second(0), 10_000);
        assert_eq!(flow.next_timeout(), Some(second(1)));
        assert_eq!(flow.give_back(second(1), false), None);
        assert_eq!(flow.give_back(second(2), true), Some(10_000));
        assert_eq!((flow.next_timeout(), flow.chunk()), (None, CREDIT_BASE - DATA_COST));
        flow.lend(second(3), u64::MAX);
        flow.lend(second(3), u64::MAX);
        assert_eq!(flow.chunk(), CIRCUIT_CHUNK, "a relay that lends without end is just believed");
    }

    /// Whatever the pool and the pieces, both ends' books agree, and whoever has something to send can send it once all that came before
    /// was consumed.
    #[test]
    fn no_circuit_stalls_for_good() {
        let mut random = Random::from_seed([7; 32]);
        let mut below = move |count: usize| u32::from_le_bytes(random.bytes()) as usize % count;
        for _ in 0..200 {
            let (mut loan, mut sender, mut receiver) = (Loan::default(), Flow::default(), Flow::default());
            let mut way = std::collections::VecDeque::new();
            for step in 0..500 {
                let now = Time::default() + CREDIT_IDLE * (step / 50);
                let (chunk, pool) = (sender.chunk(), below(3) * below(200_000));
                if chunk > 0 && below(3) > 0 {
                    let length = 1 + below(chunk);
                    sender.spend(length);
                    loan.spend(|| now, cost(length)).expect("it is within the credit");
                    way.push_back(length);
                } else if let Some(length) = way.pop_front()
                    && let Some(reported) = receiver.consume(length)
                {
                    let lent = loan.consumed(now, reported, pool);
                    sender.lend(now, lent as u64);
                } else if let Some(unused) = sender.give_back(now, below(2) == 0) {
                    loan.give_back(unused);
                }
                assert_eq!(loan.credit, sender.credit);
                assert!(!way.is_empty() || sender.chunk() > 0, "{loan:?} {sender:?} {receiver:?}");
            }
        }
    }
}
