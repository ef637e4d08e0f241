//! What waits for one client, and the credit that is lent from the same room: so many bytes, whoever they are of.

use peersockets_core::credit::Loan;
use peersockets_core::rendezvous::FromRelay;
use tokio::time::Instant;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::websocket::put_message;

/// Largest room that is made at once for the frames of the next batch.
const LARGEST_HINT: usize = 64 * 1024;

/// The frames that wait for one client, as the bytes that go to its socket.
///
/// It is also the pool that credit is lent from: what waits and what is lent comes to `capacity` bytes. Beyond them it takes one frame of
/// a client that keeps to no credit, the base of each circuit, and small frames, all together `reserve` bytes. Bytes count until they
/// are written to the socket. Frames lie in one buffer: a queue of small frames costs no more than one of large frames.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    reserve: usize,
    /// WebSocket frames.
    frames: Vec<u8>,
    /// What the client wants to hear in a pong. It may ask again before it is told: the last counts.
    pong: Option<Box<[u8]>>,
    /// Bytes in `frames`, and those that are being written.
    pending: usize,
    /// Length of the last batch, so that the next one needs one allocation.
    hint: usize,
    /// Credit that was lent and is not used, without the base of each circuit.
    lent: usize,
    /// When `pending` and `lent` reached the capacity, if they have not fallen below it since.
    full_since: Option<Instant>,
    has_overflowed: bool,
}

/// Even the reserve is used up: what was to come next is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Queue {
    /// An empty queue that holds `capacity` bytes, and `reserve` more of what can't wait.
    pub fn new(capacity: usize, reserve: usize) -> Self {
        Self {
            capacity,
            reserve,
            frames: Vec::new(),
            pong: None,
            pending: 0,
            hint: 0,
            lent: 0,
            full_since: None,
            has_overflowed: false,
        }
    }

    /// Puts a frame in, whatever waits already.
    pub fn post(&mut self, frame: &FromRelay<'_>) {
        self.append(OpCode::Data(Data::Binary), |out| frame.encode(out));
    }

    /// Puts a frame in, unless the reserve is used up too.
    pub fn post_within_reserve(&mut self, frame: &FromRelay<'_>) {
        if self.pending >= self.capacity.saturating_add(self.reserve) {
            self.has_overflowed = true;
        } else {
            self.post(frame);
        }
    }

    /// Puts a ping in.
    pub fn ping(&mut self) {
        self.append(OpCode::Control(Control::Ping), |_| {});
    }

    /// Answers a ping.
    pub fn pong(&mut self, payload: &[u8]) {
        self.pong = Some(payload.into());
    }

    /// Changes a loan from this pool, of which `change` is told what is free.
    pub fn change<T>(&mut self, loan: &mut Loan, change: impl FnOnce(&mut Loan, usize) -> T) -> T {
        let before = loan.borrowed();
        let result = change(loan, self.free());
        self.lent = (self.lent + loan.borrowed()).saturating_sub(before);
        self.look();
        result
    }

    /// Takes all frames there are.
    pub fn take(&mut self) -> Result<Vec<u8>, Overflow> {
        if self.has_overflowed {
            return Err(Overflow);
        }
        if let Some(payload) = self.pong.take() {
            self.append(OpCode::Control(Control::Pong), |out| out.extend_from_slice(&payload));
        }
        if !self.frames.is_empty() {
            self.hint = self.frames.len().min(LARGEST_HINT);
        }
        Ok(std::mem::take(&mut self.frames))
    }

    /// Bytes of those that were taken are on their way and no longer count.
    pub fn written(&mut self, bytes: usize) {
        self.pending = self.pending.saturating_sub(bytes);
        self.look();
    }

    /// What is left is for a client that is sent away: an overflow no longer matters, nor a ping.
    pub fn pardon(&mut self) {
        self.has_overflowed = false;
        self.pong = None;
    }

    /// Puts finished WebSocket frames behind all others.
    pub fn put_last(&mut self, frames: &[u8]) {
        self.frames.extend_from_slice(frames);
    }

    /// Whether nothing is free, but for the reserve.
    pub fn is_full(&self) -> bool {
        self.free() == 0
    }

    /// Since when it has been full.
    pub fn full_since(&self) -> Option<Instant> {
        self.full_since
    }

    /// Whether half of what is not lent is free.
    pub fn is_half_empty(&self) -> bool {
        self.pending <= self.capacity.saturating_sub(self.lent) / 2
    }

    /// Whether something was put in that did not fit.
    pub fn has_overflowed(&self) -> bool {
        self.has_overflowed
    }

    /// Bytes that wait for the client.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Credit that was lent and is not used.
    pub fn lent(&self) -> usize {
        self.lent
    }

    fn append(&mut self, opcode: OpCode, write: impl FnOnce(&mut Vec<u8>)) {
        if self.frames.capacity() == 0 {
            self.frames.reserve(self.hint);
        }
        let before = self.frames.len();
        put_message(&mut self.frames, opcode, write);
        self.pending += self.frames.len() - before;
        self.look();
    }

    fn free(&self) -> usize {
        self.capacity.saturating_sub(self.pending + self.lent)
    }

    /// Takes down since when it is full.
    fn look(&mut self) {
        match self.is_full() {
            true if self.full_since.is_none() => self.full_since = Some(Instant::now()),
            true => {}
            false => self.full_since = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use peersockets_core::credit::Overdrawn;
    use peersockets_core::rendezvous::Line;
    use peersockets_core::time::Time;

    use super::*;

    const NOW: Time = Time::ORIGIN;
    const DATA: FromRelay<'_> = FromRelay::Data(Line { member: 1, circuit: 1 }, &[0; 1_000]);
    const RESERVE: usize = 1_000;

    fn lend(queue: &mut Queue, loan: &mut Loan, consumed: u64) -> usize {
        queue.change(loan, |loan, free| loan.consumed(NOW, consumed, free))
    }

    #[test]
    fn of_many_pings_the_last_is_answered() {
        let mut queue = Queue::new(100, RESERVE);
        (0..1_000_u16).for_each(|number| queue.pong(&number.to_be_bytes()));
        assert_eq!(queue.take(), Ok(vec![0x8a, 2, 0x03, 0xe7]), "999");
    }

    #[test]
    fn what_is_lent_counts_as_what_waits_until_it_is_used_or_given_back() {
        const POOL: usize = 100_000;
        let mut queue = Queue::new(POOL, RESERVE);
        let mut loan = Loan::default();
        let spend = |queue: &mut Queue, loan: &mut Loan, cost| {
            queue.change(loan, |loan, _| loan.spend(|| NOW, cost))?;
            queue.post_within_reserve(&FromRelay::Left(1));
            Ok(())
        };
        assert_eq!(spend(&mut queue, &mut loan, 4_096), Ok(()));
        assert_eq!(lend(&mut queue, &mut loan, 4_096), 8_192);
        assert_eq!(queue.lent(), 8_192 - 4_096);
        assert_eq!(spend(&mut queue, &mut loan, 8_193), Err(Overdrawn));
        assert_eq!(spend(&mut queue, &mut loan, 2_000), Ok(()));
        assert_eq!(queue.lent(), 2_096);
        queue.change(&mut loan, |loan, _| loan.give_back(u64::MAX));
        assert_eq!(queue.lent(), 0);

        // One that keeps to no credit finds what is not lent.
        for _ in 0..20 {
            let _ = spend(&mut queue, &mut loan, 4_096);
            lend(&mut queue, &mut loan, 4_096);
        }
        let lent = queue.lent();
        assert!((POOL / 4..=POOL / 2).contains(&lent), "{lent}");
        while !queue.is_full() {
            queue.post(&DATA);
        }
        assert!(queue.pending() + lent < POOL + 1_100);
        queue.change(&mut loan, |loan, _| loan.give_back(u64::MAX));
        assert!(!queue.is_full());
    }

    #[test]
    fn whoever_reports_what_it_has_not_read_is_a_slow_reader() {
        let mut queue = Queue::new(10_000, RESERVE);
        let mut loan = Loan::default();
        for _ in 0..100 {
            let spent = queue.change(&mut loan, |loan, _| loan.spend(|| NOW, 1_032));
            if spent.is_ok() {
                queue.post_within_reserve(&DATA);
            }
            lend(&mut queue, &mut loan, 1_032);
        }
        assert!(queue.pending() < 10_000 + RESERVE + 1_100);
        assert_eq!(queue.take(), Err(Overflow));
    }

    #[test]
    fn small_frames_overflow_only_beyond_their_reserve() {
        let mut queue = Queue::new(100, RESERVE);
        let frames = (100 + RESERVE).div_ceil(4);
        (0..frames).for_each(|_| queue.post_within_reserve(&FromRelay::Left(1)));
        let full = queue.pending();
        assert!(queue.take().is_ok());
        queue.post_within_reserve(&FromRelay::Left(1));
        assert_eq!(queue.pending(), full);
        assert_eq!(queue.take(), Err(Overflow));
    }
}
