//! What is sent to one client, by whom: any number of senders put frames into its queue, and whoever comes first writes them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use peersockets_core::credit::{Loan, Overdrawn};
use peersockets_core::rendezvous::FromRelay;
use peersockets_core::time::Time;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::lock::lock;
use crate::outlet::{Outlet, WriteHalf};
use crate::queue::{Overflow, Queue};

/// The [`Queue`] of one client, and its socket. Rooms put frames in and send them off; what the socket does not take at once, the client's
/// connection writes.
///
/// The outlet is locked before the state, never the reverse.
#[derive(Debug)]
pub struct Mailbox {
    state: Mutex<State>,
    outlet: Mutex<Outlet>,
    /// The connection has something to write.
    filled: Notify,
    /// Senders that waited may try again.
    drained: Notify,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    someone_waits: bool,
    closed: bool,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Posted {
    /// It is in the queue; [`Mailbox::send`] sends it off.
    Queued,
    /// The queue is full: wait for [`Mailbox::room`].
    Full,
    /// The client is gone.
    Closed,
}

/// The queue stayed full for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

/// Why no more can be written.
#[derive(Debug)]
pub enum Broken {
    /// The client left so much unread that not even a small frame fits.
    Overflow,
    /// The socket failed.
    Socket(io::Error),
}

impl Mailbox {
    /// An empty mailbox that holds `capacity` bytes, and `reserve` more of what can't wait, for the client behind `half`.
    pub fn new(capacity: usize, reserve: usize, half: WriteHalf) -> Self {
        let state = State { queue: Queue::new(capacity, reserve), someone_waits: false, closed: false };
        let outlet = Mutex::new(Outlet::new(half));
        Self { state: Mutex::new(state), outlet, filled: Notify::new(), drained: Notify::new() }
    }

    /// Puts a frame in, if there is room. A frame may go beyond the capacity, so that large ones don't starve.
    pub fn post(&self, frame: &FromRelay<'_>) -> Posted {
        let mut state = self.state();
        if state.is_over() {
            Posted::Closed
        } else if state.queue.is_full() {
            Posted::Full
        } else {
            state.queue.post(frame);
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
        state.queue.change(loan, spend)?;
        if state.is_over() {
            return Ok(Posted::Closed);
        }
        state.queue.post_within_reserve(frame);
        Ok(Posted::Queued)
    }

    /// The client has consumed so much: returns what is lent for it.
    pub fn lend(&self, now: Time, loan: &mut Loan, consumed: u64) -> usize {
        self.state().queue.change(loan, |loan, free| loan.consumed(now, consumed, free))
    }

    /// Credit is given back, by a sender or with its circuit.
    pub fn take_back(&self, loan: &mut Loan, amount: u64) {
        let mut state = self.state();
        state.queue.change(loan, |loan, _| loan.give_back(amount));
        self.wake_senders(state);
    }

    /// Puts a small frame in that can't wait. When the reserve is used up too, the client is closed as a slow reader.
    pub fn post_now(&self, frame: &FromRelay<'_>) {
        let mut state = self.state();
        if state.is_over() {
            return;
        }
        state.queue.post_within_reserve(frame);
        drop(state);
        self.filled.notify_one();
    }

    /// Puts a ping in.
    pub fn ping(&self) {
        self.state().queue.ping();
        self.filled.notify_one();
    }

    /// Answers a ping.
    pub fn pong(&self, payload: &[u8]) {
        self.state().queue.pong(payload);
        self.filled.notify_one();
    }

    /// Writes what waits, as far as the socket takes it at once. That saves waking the connection, which sees to the rest.
    pub fn send(&self) {
        let is_sent = match self.outlet.try_lock() {
            // The connection waits for the socket already.
            Ok(outlet) if outlet.is_blocked() => true,
            Ok(mut outlet) => {
                let mut nobody = Context::from_waker(Waker::noop());
                matches!(self.poll_outlet(&mut outlet, &mut nobody), Poll::Ready(Ok(())))
            }
            Err(_) => false,
        };
        if !is_sent {
            self.filled.notify_one();
        }
    }

    /// Writes all that is not sent at once, as it comes.
    pub async fn deliver(&self) -> Result<Infallible, Broken> {
        loop {
            poll_fn(|cx| self.poll_outlet(&mut lock(&self.outlet), cx)).await?;
            self.filled.notified().await;
        }
    }

    /// Whether [`Mailbox::post`] would find no room.
    pub fn is_full(&self) -> bool {
        self.state().queue.is_full()
    }

    /// Waits until [`Mailbox::post`] is worth a try, but not longer than until the queue has been full for `patience`.
    pub async fn room(&self, patience: Duration) -> Result<(), Stuck> {
        loop {
            let drained = self.drained.notified();
            let mut drained = std::pin::pin!(drained);
            drained.as_mut().enable();
            let deadline = {
                let mut state = self.state();
                let Some(full_since) = state.queue.full_since().filter(|_| !state.closed) else { return Ok(()) };
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

    /// Nothing is queued any more, nobody waits any more. What is left can only be written by [`Mailbox::finish`].
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.queue.pardon();
        drop(state);
        self.drained.notify_waiters();
    }

    /// Writes frames to a client that is sent away: `first`, then what is left, then `last`, and the end of the stream. What it has
    /// begun to get it gets whole, and nothing with a gap before it.
    pub async fn finish(&self, first: &[u8], last: &[u8]) -> Result<(), Broken> {
        self.close();
        lock(&self.outlet).put_first(first);
        self.state().queue.put_last(last);
        poll_fn(|cx| self.poll_outlet(&mut lock(&self.outlet), cx)).await?;
        poll_fn(|cx| lock(&self.outlet).poll_shutdown(cx)).await.map_err(Broken::Socket)
    }

    /// Bytes that wait for the client.
    pub fn pending(&self) -> usize {
        self.state().queue.pending()
    }

    /// Credit that was lent from the pool and is not used.
    pub fn lent(&self) -> usize {
        self.state().queue.lent()
    }

    /// Ready once all is on its way.
    fn poll_outlet(&self, outlet: &mut Outlet, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            match ready!(outlet.poll_write(cx)).map_err(Broken::Socket)? {
                0 => match self.take().map_err(|Overflow| Broken::Overflow)? {
                    batch if batch.is_empty() => return Poll::Ready(Ok(())),
                    batch => outlet.load(batch),
                },
                written => self.written(written),
            }
        }
    }

    /// Takes all frames there are.
    fn take(&self) -> Result<Vec<u8>, Overflow> {
        self.state().queue.take()
    }

    /// Bytes are on their way and no longer count. Wakes senders once half of what is not lent is free.
    fn written(&self, bytes: usize) {
        let mut state = self.state();
        state.queue.written(bytes);
        self.wake_senders(state);
    }

    fn wake_senders(&self, mut state: MutexGuard<'_, State>) {
        if state.someone_waits && state.queue.is_half_empty() {
            state.someone_waits = false;
            drop(state);
            self.drained.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Whether it takes no more frames.
    fn is_over(&self) -> bool {
        self.closed || self.queue.has_overflowed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use peersockets_core::rendezvous::Line;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex, sink};
    use tungstenite::protocol::frame::FrameHeader;

    use super::*;

    const LINE: Line = Line { member: 1, circuit: 1 };
    const RESERVE: usize = 1_000;
    const LONG: Duration = Duration::from_secs(3_600);

    fn mailbox(capacity: usize) -> Mailbox {
        Mailbox::new(capacity, RESERVE, Box::new(sink()))
    }

    /// A mailbox in front of a socket that takes so many bytes, and the client behind it.
    fn with_client(bytes: usize) -> (Arc<Mailbox>, DuplexStream) {
        let (half, client) = duplex(bytes);
        (Arc::new(Mailbox::new(1 << 20, RESERVE, Box::new(half))), client)
    }

    fn fill(mailbox: &Mailbox) {
        while mailbox.post(&FromRelay::Data(LINE, &[0; 10])) == Posted::Queued {}
    }

    /// The payloads of WebSocket frames.
    fn payloads(mut frames: &[u8]) -> Vec<Vec<u8>> {
        let mut payloads = Vec::new();
        while !frames.is_empty() {
            let mut cursor = io::Cursor::new(frames);
            let (_, length) = FrameHeader::parse(&mut cursor).expect("a header").expect("all of it");
            let (payload, rest) = frames[cursor.position() as usize..].split_at(length as usize);
            payloads.push(payload.to_vec());
            frames = rest;
        }
        payloads
    }

    #[tokio::test]
    async fn what_is_sent_off_is_written_at_once_if_the_socket_takes_it() {
        let (mailbox, mut client) = with_client(1_000);
        mailbox.post_now(&FromRelay::Left(7));
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"abc")), Posted::Queued);
        mailbox.send();
        let mut frames = [0; 12];
        assert!(client.read_exact(&mut frames).now_or_never().is_some(), "nobody delivers");
        assert_eq!(payloads(&frames), [vec![5, 7], vec![3, 1, 1, b'a', b'b', b'c']]);
        assert_eq!(mailbox.pending(), 0);
    }

    #[tokio::test]
    async fn the_connection_writes_what_the_socket_does_not_take_at_once() {
        let (mailbox, mut client) = with_client(3);
        for byte in 0..200 {
            assert_eq!(mailbox.post(&FromRelay::Data(LINE, &[byte; 10])), Posted::Queued);
            mailbox.send();
        }
        let mut bytes = vec![0; 200 * 15];
        tokio::select! {
            Err(broken) = mailbox.deliver() => panic!("{broken:?}"),
            read = client.read_exact(&mut bytes) => assert!(read.is_ok()),
        }
        let expected: Vec<Vec<u8>> = (0..200).map(|byte| [&[3, 1, 1][..], &[byte; 10]].concat()).collect();
        assert_eq!(payloads(&bytes), expected);
        assert_eq!(mailbox.pending(), 0);
    }

    #[tokio::test]
    async fn what_is_sent_off_while_another_writes_is_left_to_the_connection() {
        let (mailbox, mut client) = with_client(1_000);
        let mut delivering = std::pin::pin!(mailbox.deliver());
        assert!(delivering.as_mut().now_or_never().is_none());
        let outlet = lock(&mailbox.outlet);
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"abc")), Posted::Queued);
        mailbox.send();
        drop(outlet);
        assert!(delivering.as_mut().now_or_never().is_none());
        assert!(client.read_exact(&mut [0; 8]).now_or_never().is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_sends_at_the_same_time_loses_nothing_and_mixes_nothing_up() {
        const SENDERS: u8 = 4;
        const FRAMES: u16 = 5_000;
        let (mailbox, mut client) = with_client(512);
        let delivering = tokio::spawn({
            let mailbox = mailbox.clone();
            async move { mailbox.deliver().await.err() }
        });
        for sender in 0..SENDERS {
            let mailbox = mailbox.clone();
            tokio::spawn(async move {
                for number in 0..FRAMES {
                    let [high, low] = number.to_be_bytes();
                    while mailbox.post(&FromRelay::Data(LINE, &[sender, high, low])) == Posted::Full {
                        tokio::task::yield_now().await;
                    }
                    mailbox.send();
                }
            });
        }
        let mut bytes = vec![0; usize::from(SENDERS) * usize::from(FRAMES) * 8];
        let read = tokio::time::timeout(Duration::from_secs(60), client.read_exact(&mut bytes)).await;
        read.expect("all of it in time").expect("all of it");
        let mut next = [0; SENDERS as usize];
        for payload in payloads(&bytes) {
            let [3, 1, 1, sender, high, low] = payload[..] else { panic!("{payload:?}") };
            let expected = &mut next[usize::from(sender)];
            assert_eq!(u16::from_be_bytes([high, low]), *expected, "of sender {sender}");
            *expected += 1;
        }
        assert_eq!(next, [FRAMES; SENDERS as usize]);
        delivering.abort();
    }

    #[tokio::test]
    async fn taken_bytes_count_until_they_are_written() {
        let mailbox = mailbox(100);
        fill(&mailbox);
        let frames = mailbox.take().expect("frames");
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"x")), Posted::Full);
        assert_eq!(mailbox.room(LONG).now_or_never(), None, "there is no room yet");
        mailbox.written(frames.len());
        assert_eq!((mailbox.pending(), mailbox.room(LONG).await), (0, Ok(())));
    }

    #[tokio::test]
    async fn waiting_senders_go_on_when_half_is_written_or_the_client_is_gone() {
        let mailbox = mailbox(100);
        fill(&mailbox);
        let mut waiting = std::pin::pin!(mailbox.room(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        mailbox.written(20);
        assert!(waiting.as_mut().now_or_never().is_none(), "a little room wakes nobody");
        mailbox.written(50);
        assert_eq!(waiting.await, Ok(()));

        fill(&mailbox);
        let mut waiting = std::pin::pin!(mailbox.room(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        mailbox.close();
        assert_eq!(waiting.await, Ok(()));
        assert_eq!(mailbox.post(&FromRelay::Left(1)), Posted::Closed);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_queue_that_stays_full() {
        const SHORT: Duration = Duration::from_millis(5);
        let mailbox = mailbox(100);
        fill(&mailbox);
        assert_eq!(mailbox.room(SHORT).await, Err(Stuck));
        assert_eq!(mailbox.room(SHORT).now_or_never(), Some(Err(Stuck)), "the next sender waits for the rest only");
        mailbox.written(20);
        assert_eq!(mailbox.room(SHORT).await, Ok(()), "it takes a little");
    }

    #[tokio::test]
    async fn who_is_sent_away_gets_what_is_left_without_a_gap() {
        let first = [0x82, 1, b'f'];
        let last = [0x82, 1, b'l'];
        for room in [1, 3, 4, 5, 8, 1_000] {
            let ((mailbox, mut client), mut bytes) = (with_client(room), Vec::new());
            mailbox.post_now(&FromRelay::Left(1));
            mailbox.post_now(&FromRelay::Left(2));
            // As much as there is room for.
            mailbox.send();
            mailbox.post_now(&FromRelay::Left(3));
            let (finished, read) = tokio::join!(mailbox.finish(&first, &last), client.read_to_end(&mut bytes));
            assert!(finished.is_ok() && read.is_ok());
            let begun = room.div_ceil(4).min(2);
            let mut expected = vec![vec![5, 1], vec![5, 2], vec![5, 3], vec![b'l']];
            expected.insert(begun, vec![b'f']);
            assert_eq!(payloads(&bytes), expected, "with room for {room} bytes");
            assert_eq!(mailbox.post(&FromRelay::Left(1)), Posted::Closed);
        }
    }

    #[tokio::test]
    async fn waiting_senders_go_on_when_credit_is_given_back() {
        let mailbox = mailbox(100_000);
        let mut loans = [Loan::default(), Loan::default()];
        for loan in &mut loans {
            for _ in 0..20 {
                let _ = mailbox.post_paid(&FromRelay::Left(1), loan, |loan, _| loan.spend(|| Time::ORIGIN, 4_096));
                mailbox.lend(Time::ORIGIN, loan, 4_096);
            }
        }
        fill(&mailbox);
        let pending = mailbox.pending();
        let mut waiting = std::pin::pin!(mailbox.room(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        loans.iter_mut().for_each(|loan| mailbox.take_back(loan, u64::MAX));
        assert!(pending < 50_000 && mailbox.pending() == pending, "{pending} bytes wait as before");
        assert_eq!(waiting.now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn what_goes_wrong_while_another_sends_off_ends_the_connection() {
        let full = Arc::new(mailbox(100));
        let (gone, client) = with_client(1_000);
        drop(client);
        for (mailbox, frames) in [(full, 200), (gone, 1)] {
            let mut delivering = std::pin::pin!(mailbox.deliver());
            assert!(delivering.as_mut().now_or_never().is_none());
            for _ in 0..frames {
                let frame = FromRelay::Data(LINE, &[0; 10]);
                assert!(mailbox.post_paid(&frame, &mut Loan::default(), |_, _| Ok(())).is_ok());
            }
            mailbox.send();
            assert!(delivering.now_or_never().is_some_and(|end| end.is_err()), "{frames} frames");
        }
    }

    #[tokio::test]
    async fn nothing_comes_behind_a_frame_that_overflowed() {
        let (half, mut client) = duplex(40);
        let mailbox = Mailbox::new(100, RESERVE, Box::new(half));
        (0..272).for_each(|_| mailbox.post_now(&FromRelay::Left(1)));
        mailbox.send();
        while !mailbox.state().queue.has_overflowed() {
            mailbox.post_now(&FromRelay::Left(1));
        }
        // The client reads on. Before its connection comes to what overflowed there is room again.
        let mut delivering = std::pin::pin!(mailbox.deliver());
        while mailbox.is_full() {
            assert!(delivering.as_mut().now_or_never().is_none());
            assert!(client.read_exact(&mut [0; 40]).now_or_never().is_some_and(|read| read.is_ok()));
        }
        assert_eq!(mailbox.post(&FromRelay::Data(LINE, b"abc")), Posted::Closed);
    }

    #[tokio::test]
    async fn a_farewell_is_the_last_that_a_client_gets() {
        let (mailbox, mut client) = with_client(1_000);
        mailbox.post_now(&FromRelay::Left(7));
        mailbox.pong(b"it asked");
        let close = [0x88, 0];
        mailbox.finish(&[], &close).await.expect("there is room");
        let mut frames = Vec::new();
        client.read_to_end(&mut frames).await.expect("the end");
        assert_eq!(payloads(&frames), [vec![5, 7], vec![]]);
    }
}
