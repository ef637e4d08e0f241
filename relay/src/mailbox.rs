//! The bounded queue of frames that wait for one client, and the credit that is lent from it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use peersockets_core::credit::{Loan, Overdrawn};
use peersockets_core::rendezvous::FromRelay;
use peersockets_core::time::Time;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Bytes before each frame in the queue: its length.
const PREFIX: usize = 4;
/// Largest room that is made at once for the frames of the next batch.
const LARGEST_HINT: usize = 64 * 1024;

/// The queue of one client. Rooms put frames in, the client's connection takes them out and writes them.
///
/// It is also the pool that credit is lent from: what waits and what is lent comes to `capacity` bytes. Beyond them it takes one frame of
/// a client that keeps to no credit, the base of each circuit, and small frames, all together `reserve` bytes. Bytes count until they
/// are written to the socket. Frames are copied into one buffer: a queue of small frames costs no more than one of large frames.
#[derive(Debug)]
pub struct Mailbox {
    capacity: usize,
    reserve: usize,
    state: Mutex<State>,
    /// The connection has something to take.
    filled: Notify,
    /// Senders that waited may try again.
    drained: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Frames, each behind its length.
    queue: Vec<u8>,
    /// Bytes in `queue`, and those that were taken but are not written yet.
    pending: usize,
    /// Length of the last batch, so that the next one needs one allocation.
    hint: usize,
    /// Credit that was lent and is not used, without the base of each circuit.
    lent: usize,
    /// When `pending` and `lent` reached the capacity, if they have not fallen below it since.
    full_since: Option<Instant>,
    someone_waits: bool,
    overflowed: bool,
    closed: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Posted {
    /// It is in the queue; [`Mailbox::wake`] sends it off.
    Queued,
    /// The queue is full: wait for [`Mailbox::room`].
    Full,
    /// The client is gone.
    Closed,
}

/// The queue stayed full for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

/// The client left so much unread that not even a small frame fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl Mailbox {
    /// An empty mailbox that holds `capacity` bytes, and `reserve` more of what can't wait.
    pub fn new(capacity: usize, reserve: usize) -> Self {
        Self { capacity, reserve, state: Mutex::default(), filled: Notify::new(), drained: Notify::new() }
    }

    /// Puts a frame in, if there is room. A frame may go beyond the capacity, so that large ones don't starve.
    pub fn post(&self, frame: &FromRelay<'_>) -> Posted {
        let mut state = self.state();
        if state.closed {
            Posted::Closed
        } else if state.is_full(self.capacity) {
            Posted::Full
        } else {
            state.append(frame, self.capacity);
            Posted::Queued
        }
    }

    /// Puts a frame in that `spend` pays for, which is told what is free. There is always room for it, unless the client reports as
    /// consumed what it has not read: then it is closed as a slow reader.
    pub fn post_paid(
        &self,
        frame: &FromRelay<'_>,
        loan: &mut Loan,
        spend: impl FnOnce(&mut Loan, usize) -> Result<(), Overdrawn>,
    ) -> Result<Posted, Overdrawn> {
        let mut state = self.state();
        let free = state.free(self.capacity);
        state.change(loan, self.capacity, |loan| spend(loan, free))?;
        if state.closed || state.overflowed {
            return Ok(Posted::Closed);
        }
        if state.pending >= self.capacity.saturating_add(self.reserve) {
            state.overflowed = true;
        } else {
            state.append(frame, self.capacity);
        }
        Ok(Posted::Queued)
    }

    /// The client has consumed so much: returns what is lent for it.
    pub fn lend(&self, now: Time, loan: &mut Loan, consumed: u64) -> usize {
        let mut state = self.state();
        let free = state.free(self.capacity);
        state.change(loan, self.capacity, |loan| loan.consumed(now, consumed, free))
    }

    /// Credit is given back, by a sender or with its circuit.
    pub fn take_back(&self, loan: &mut Loan, amount: u64) {
        let mut state = self.state();
        state.change(loan, self.capacity, |loan| loan.give_back(amount));
        self.wake_senders(state);
    }

    /// Puts a small frame in that can't wait. When the reserve is used up too, the client is closed as a slow reader.
    pub fn post_now(&self, frame: &FromRelay<'_>) {
        let mut state = self.state();
        if state.closed || state.overflowed {
            return;
        }
        if state.pending >= self.capacity.saturating_add(self.reserve) {
            state.overflowed = true;
        } else {
            state.append(frame, self.capacity);
        }
        drop(state);
        self.wake();
    }

    /// Tells the connection that there is something to take.
    pub fn wake(&self) {
        self.filled.notify_one();
    }

    /// Whether [`Mailbox::post`] would find no room.
    pub fn is_full(&self) -> bool {
        self.state().full_since.is_some()
    }

    /// Waits until [`Mailbox::post`] is worth a try, but not longer than until the queue has been full for `patience`.
    pub async fn room(&self, patience: Duration) -> Result<(), Stuck> {
        loop {
            let drained = self.drained.notified();
            let mut drained = std::pin::pin!(drained);
            drained.as_mut().enable();
            let deadline = {
                let mut state = self.state();
                let Some(full_since) = state.full_since else { return Ok(()) };
                state.someone_waits = true;
                full_since + patience
            };
            if deadline <= Instant::now() {
                return Err(Stuck);
            }
            // At the deadline there may be a little room, or there was some meanwhile.
            let _ = timeout_at(deadline, drained).await;
        }
    }

    /// Waits for frames and takes all there are. The connection calls [`Mailbox::written`] as they are written.
    pub async fn take(&self) -> Result<Frames, Overflow> {
        loop {
            {
                let mut state = self.state();
                if state.overflowed {
                    return Err(Overflow);
                }
                if !state.queue.is_empty() {
                    let taken = std::mem::take(&mut state.queue);
                    state.hint = taken.len().min(LARGEST_HINT);
                    return Ok(Frames(taken.into()));
                }
            }
            self.filled.notified().await;
        }
    }

    /// Bytes of [`Frames`] are on their way and no longer count. Wakes senders once half of what is not lent is free.
    pub fn written(&self, bytes: usize) {
        let mut state = self.state();
        state.pending = state.pending.saturating_sub(bytes);
        state.look(self.capacity);
        self.wake_senders(state);
    }

    /// Nothing is queued any more, nobody waits any more. Returns the frames that are left, unless some before them were
    /// taken and not written: no client gets frames with a gap between them.
    pub fn close(&self) -> Frames {
        let mut state = self.state();
        let State { queue, pending, .. } = std::mem::replace(&mut *state, State { closed: true, ..State::default() });
        drop(state);
        self.drained.notify_waiters();
        Frames(if queue.len() == pending { queue.into() } else { Bytes::new() })
    }

    /// Bytes that wait for the client.
    pub fn pending(&self) -> usize {
        self.state().pending
    }

    /// Credit that was lent from the pool and is not used.
    pub fn lent(&self) -> usize {
        self.state().lent
    }

    fn wake_senders(&self, mut state: MutexGuard<'_, State>) {
        if state.someone_waits && state.pending <= self.capacity.saturating_sub(state.lent) / 2 {
            state.someone_waits = false;
            drop(state);
            self.drained.notify_waiters();
        }
    }

    /// The state. No code panics while it holds the lock, and a poisoned one would be as good as any.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, frame: &FromRelay<'_>, capacity: usize) {
        if self.queue.capacity() == 0 {
            self.queue.reserve(self.hint);
        }
        let start = self.queue.len();
        self.queue.extend_from_slice(&[0; PREFIX]);
        frame.encode(&mut self.queue);
        let length = self.queue.len() - start - PREFIX;
        self.queue[start..start + PREFIX].copy_from_slice(&(length as u32).to_le_bytes());
        self.pending += PREFIX + length;
        self.look(capacity);
    }

    /// Changes a loan, and with it what is lent.
    fn change<T>(&mut self, loan: &mut Loan, capacity: usize, change: impl FnOnce(&mut Loan) -> T) -> T {
        let before = loan.borrowed();
        let result = change(loan);
        self.lent = (self.lent + loan.borrowed()).saturating_sub(before);
        self.look(capacity);
        result
    }

    fn free(&self, capacity: usize) -> usize {
        capacity.saturating_sub(self.pending + self.lent)
    }

    fn is_full(&self, capacity: usize) -> bool {
        self.free(capacity) == 0
    }

    /// Takes down since when it is full.
    fn look(&mut self, capacity: usize) {
        match self.is_full(capacity) {
            true if self.full_since.is_none() => self.full_since = Some(Instant::now()),
            true => {}
            false => self.full_since = None,
        }
    }
}

/// Frames taken from a mailbox, in order. They share one buffer.
#[derive(Debug, Default)]
pub struct Frames(Bytes);

impl Frames {
    /// Bytes by which `frame` counts in [`Mailbox::written`].
    pub fn cost(frame: &Bytes) -> usize {
        PREFIX + frame.len()
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let prefix = self.0.first_chunk::<PREFIX>()?;
        let end = PREFIX + u32::from_le_bytes(*prefix) as usize;
        let mut frame = self.0.split_to(end.min(self.0.len()));
        Some(frame.split_off(PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use peersockets_core::rendezvous::Line;

    use super::*;

    const NOW: Time = Time::ORIGIN;
    const LINE: Line = Line { member: 1, circuit: 1 };
    const RESERVE: usize = 1_000;
    const LONG: Duration = Duration::from_secs(3_600);

    fn decoded(frames: Frames) -> Vec<Vec<u8>> {
        frames.map(|frame| frame.to_vec()).collect()
    }

    #[tokio::test]
    async fn frames_come_out_whole_and_in_order() {
        let mailbox = Mailbox::new(4_096, RESERVE);
        mailbox.post_now(&FromRelay::Left(7));
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"abc")), Posted::Queued);
        let frames = mailbox.take().await.expect("frames");
        assert_eq!(decoded(frames), [vec![5, 7], vec![3, 1, 1, b'a', b'b', b'c']]);
    }

    #[tokio::test]
    async fn taken_bytes_count_until_they_are_written() {
        let mailbox = Mailbox::new(100, RESERVE);
        while mailbox.post(&FromRelay::Data(LINE, &[0; 10])) == Posted::Queued {}
        let mut frames = mailbox.take().await.expect("frames");
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"x")), Posted::Full);
        assert_eq!(mailbox.room(LONG).now_or_never(), None, "there is no room yet");

        frames.by_ref().for_each(|frame| mailbox.written(Frames::cost(&frame)));
        assert_eq!(mailbox.pending(), 0);
        assert_eq!(mailbox.room(LONG).await, Ok(()));
    }

    #[tokio::test]
    async fn waiting_senders_go_on_when_half_is_written_or_the_client_is_gone() {
        let mailbox = Mailbox::new(100, RESERVE);
        while mailbox.post(&FromRelay::Data(LINE, &[0; 10])) == Posted::Queued {}
        let mut waiting = std::pin::pin!(mailbox.room(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        mailbox.written(20);
        assert!(waiting.as_mut().now_or_never().is_none(), "a little room wakes nobody");
        mailbox.written(50);
        assert_eq!(waiting.await, Ok(()));

        while mailbox.post(&FromRelay::Data(LINE, &[0; 10])) == Posted::Queued {}
        let mut waiting = std::pin::pin!(mailbox.room(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(mailbox.close().count(), 0, "there would be a gap before them");
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(mailbox.post(&FromRelay::Left(1)), Posted::Closed);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_queue_that_stays_full() {
        const SHORT: Duration = Duration::from_millis(5);
        let mailbox = Mailbox::new(100, RESERVE);
        while mailbox.post(&FromRelay::Data(LINE, &[0; 10])) == Posted::Queued {}
        assert_eq!(mailbox.room(SHORT).await, Err(Stuck));
        assert_eq!(mailbox.room(SHORT).now_or_never(), Some(Err(Stuck)), "the next sender waits for the rest only");
        mailbox.written(20);
        assert_eq!(mailbox.room(SHORT).await, Ok(()), "it takes a little");
    }

    #[tokio::test]
    async fn what_is_left_at_the_end_can_still_be_written() {
        let mailbox = Mailbox::new(100, RESERVE);
        mailbox.post_now(&FromRelay::Left(1));
        mailbox.take().await.expect("frames").for_each(|frame| mailbox.written(Frames::cost(&frame)));
        mailbox.post_now(&FromRelay::Left(2));
        assert_eq!(decoded(mailbox.close()), [[5, 2]]);
        assert_eq!(decoded(mailbox.close()), [[0; 0]; 0]);
    }

    #[tokio::test]
    async fn what_is_lent_counts_as_what_waits_until_it_is_used_or_given_back() {
        const POOL: usize = 100_000;
        let mailbox = Mailbox::new(POOL, RESERVE);
        let mut loan = Loan::default();
        let spend =
            |loan: &mut Loan, cost| mailbox.post_paid(&FromRelay::Left(1), loan, |loan, _| loan.spend(NOW, cost));
        assert_eq!(spend(&mut loan, 4_096), Ok(Posted::Queued));
        assert_eq!(mailbox.lend(NOW, &mut loan, 4_096), 8_192);
        assert_eq!(mailbox.lent(), 8_192 - 4_096);
        assert_eq!(spend(&mut loan, 8_193), Err(Overdrawn));
        assert_eq!(spend(&mut loan, 2_000), Ok(Posted::Queued));
        assert_eq!(mailbox.lent(), 2_096);
        mailbox.take_back(&mut loan, u64::MAX);
        assert_eq!(mailbox.lent(), 0);

        // One that keeps to no credit finds what is not lent.
        (0..20).for_each(|_| {
            let _ = spend(&mut loan, 4_096);
            mailbox.lend(NOW, &mut loan, 4_096);
        });
        let lent = mailbox.lent();
        assert!((POOL / 4..=POOL / 2).contains(&lent), "{lent}");
        while mailbox.post(&FromRelay::Data(LINE, &[0; 1_000])) == Posted::Queued {}
        assert!(mailbox.pending() + lent < POOL + 1_100 && mailbox.is_full());
        mailbox.take_back(&mut loan, u64::MAX);
        assert!(!mailbox.is_full());
    }

    #[tokio::test]
    async fn whoever_reports_what_it_has_not_read_is_a_slow_reader() {
        let mailbox = Mailbox::new(10_000, RESERVE);
        let mut loan = Loan::default();
        for _ in 0..100 {
            let frame = FromRelay::Data(LINE, &[0; 1_000]);
            let _ = mailbox.post_paid(&frame, &mut loan, |loan, _| loan.spend(NOW, 1_032));
            mailbox.lend(NOW, &mut loan, 1_032);
        }
        assert!(mailbox.pending() < 10_000 + RESERVE + 1_100);
        assert_eq!(mailbox.take().await.err(), Some(Overflow));
    }

    #[tokio::test]
    async fn small_frames_overflow_only_beyond_their_reserve() {
        let mailbox = Mailbox::new(100, RESERVE);
        let frames = (100 + RESERVE).div_ceil(PREFIX + 2);
        (0..frames).for_each(|_| mailbox.post_now(&FromRelay::Left(1)));
        let full = mailbox.pending();
        assert!(mailbox.take().await.is_ok());
        mailbox.post_now(&FromRelay::Left(1));
        assert_eq!(mailbox.pending(), full);
        assert_eq!(mailbox.take().await.err(), Some(Overflow));
    }
}
