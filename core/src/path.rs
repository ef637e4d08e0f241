//! One session between two devices, over whatever links there are between them (PROTOCOL.md §14): what has arrived of it, and what the
//! other end is told of that.
//!
//! A message's number says whether it came before. Links know the numbers, this knows the session, [`Outbox`] keeps what may have to be
//! sent again.

use crate::channel::outbox::Outbox;
use crate::channel::peersockets::Incarnation;
use crate::limits;
use crate::time::Time;

/// What a numbered message is to this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next one.
    Fresh,
    /// It came by another link before.
    Repeated,
    /// One before it never came: whoever numbers so breaks the protocol.
    Ahead,
}

/// One end of a session.
#[derive(Debug)]
pub struct Path {
    other: Incarnation,
    received: u64,
    /// What the messages count for that came and were not acknowledged.
    unacknowledged: usize,
    /// Bytes of messages that are not whole yet, which count already.
    parts: usize,
    acknowledge_at: Option<Time>,
    /// What is sent, as long as no link has it.
    pub outbox: Option<Outbox>,
}

impl Path {
    /// A session in which nothing has been sent, with this end of the other device.
    pub fn new(other: Incarnation) -> Self {
        Self { other, received: 0, unacknowledged: 0, parts: 0, acknowledge_at: None, outbox: None }
    }

    /// The other end.
    pub fn other(&self) -> Incarnation {
        self.other
    }

    /// How many messages of the other end have arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// A message of the other end came whole. What is not fresh is not to be given out.
    pub fn receive(&mut self, now: Time, number: u64, length: usize) -> Arrival {
        let arrival = match number.cmp(&(self.received + 1)) {
            std::cmp::Ordering::Less => Arrival::Repeated,
            std::cmp::Ordering::Equal => Arrival::Fresh,
            std::cmp::Ordering::Greater => return Arrival::Ahead,
        };
        if arrival == Arrival::Fresh {
            self.received = number;
        }
        let counted = length.min(self.parts);
        self.parts -= counted;
        self.unacknowledged += length - counted + limits::MESSAGE_WEIGHT;
        let is_much = self.unacknowledged >= limits::ACK_WEIGHT;
        let at = if is_much { now } else { now + limits::ACK_AFTER };
        self.acknowledge_at = Some(self.acknowledge_at.map_or(at, |earlier| earlier.min(at)));
        arrival
    }

    /// A part of a message came: so many bytes are there now of messages that are not whole yet.
    pub fn receive_part(&mut self, now: Time, arrived: usize) {
        self.unacknowledged += arrived.saturating_sub(self.parts);
        self.parts = arrived;
        if self.unacknowledged >= limits::ACK_WEIGHT {
            self.acknowledge_at = Some(now);
        }
    }

    /// When [`Path::take_acknowledgement`] has something to say.
    pub fn next_timeout(&self) -> Option<Time> {
        self.acknowledge_at
    }

    /// What the other end is to be told now of what has arrived.
    pub fn take_acknowledgement(&mut self, now: Time) -> Option<u64> {
        self.acknowledge_at.take_if(|at| *at <= now)?;
        self.unacknowledged = 0;
        Some(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path::new(Incarnation { device: [1; 32], epoch: 0 })
    }

    #[test]
    fn a_message_is_fresh_once_and_never_ahead_of_the_one_before_it() {
        let (mut path, now) = (path(), Time::default());
        assert_eq!(path.receive(now, 2, 0), Arrival::Ahead);
        assert_eq!(path.receive(now, 1, 0), Arrival::Fresh);
        assert_eq!(path.receive(now, 1, 0), Arrival::Repeated);
        assert_eq!(path.receive(now, 3, 0), Arrival::Ahead);
        assert_eq!(path.receive(now, 2, 0), Arrival::Fresh);
        assert_eq!(path.receive(now, 0, 0), Arrival::Repeated);
        assert_eq!(path.receive(now, u64::MAX, 0), Arrival::Ahead);
        assert_eq!(path.received(), 2);
    }

    #[test]
    fn much_is_acknowledged_at_once_and_little_soon() {
        let (mut path, now) = (path(), Time::default());
        assert_eq!(path.take_acknowledgement(now), None, "nothing came");
        path.receive(now, 1, 10);
        assert_eq!(path.take_acknowledgement(now), None);
        let soon = now + limits::ACK_AFTER;
        assert_eq!(path.next_timeout(), Some(soon));
        path.receive(soon, 2, 10);
        assert_eq!(path.take_acknowledgement(soon), Some(2), "the later one does not put it off");
        assert_eq!(path.next_timeout(), None);
        let empty_ones = (limits::ACK_WEIGHT / limits::MESSAGE_WEIGHT) as u64;
        for number in 3..=2 + empty_ones {
            assert_eq!(path.take_acknowledgement(soon), None);
            path.receive(soon, number, 0);
        }
        assert_eq!(path.take_acknowledgement(soon), Some(2 + empty_ones));
        path.receive_part(soon, limits::ACK_WEIGHT - 1);
        assert_eq!(path.take_acknowledgement(soon), None, "of a message that is not whole");
        path.receive_part(soon, limits::ACK_WEIGHT);
        assert_eq!(path.take_acknowledgement(soon), Some(2 + empty_ones));
        path.receive(soon, path.received() + 1, limits::ACK_WEIGHT + 10);
        assert_eq!(path.take_acknowledgement(soon), None, "its parts were told of");
        assert_eq!(path.take_acknowledgement(soon + limits::ACK_AFTER), Some(path.received()));
        path.receive(soon, path.received() + 1, limits::ACK_WEIGHT);
        assert_eq!(path.take_acknowledgement(soon), Some(path.received()));
    }
}
