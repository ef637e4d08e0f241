//! A direct connection between this device and another: what is known of it, and when it is tried (PROTOCOL.md §15).

use super::LinkId;
use super::bucket::Bucket;
use super::buffer::Buffer;
use super::endpoint::backoff;
use super::output::{PeerId, SocketId};
use crate::limits;
use crate::random::Random;
use crate::rtc::negotiation::Negotiation;
use crate::time::Time;

/// What there is between this device and another that takes signals.
#[derive(Debug)]
pub struct Direct {
    /// The device.
    pub peer: PeerId,
    /// How the two agree.
    pub negotiation: Negotiation,
    /// The peer connection, if there is one.
    pub connection: Option<Connection>,
    /// When this side begins one.
    pub begin_at: Option<Time>,
    /// How often the remote may make us begin one.
    pub invitations: Bucket,
    /// What went to and fro of late.
    pub recent: Recent,
    failures: u32,
    /// When the remote had no place for a connection, if it was so the last time.
    refused_at: Option<Time>,
}

/// A peer connection, and the data channel on it.
#[derive(Debug)]
pub struct Connection {
    /// What its owner calls it.
    pub socket: SocketId,
    /// What is known of the channel's buffer.
    pub buffer: Buffer,
    /// The link on the channel, once that is open.
    pub link: Option<LinkId>,
    /// When the peer connection began.
    pub begun_at: Time,
    /// Since when the device has proved the drive key on it.
    pub proved_at: Option<Time>,
    /// Whether there is a way to the device, as far as the browser knows.
    pub has_way: bool,
    /// When this side looks for another way, having lost the one it had.
    pub restart_at: Option<Time>,
    /// When the buffer was looked at last.
    looked_at: Time,
    /// Since when nothing has left it, and what had left it by then.
    stalled: Option<(Time, u64)>,
}

/// Bytes and messages exchanged with a device, of which the older count less.
#[derive(Debug)]
pub struct Recent {
    counted: u64,
    weight: u64,
}

impl Direct {
    /// Nothing was tried. What was exchanged before, when the device was here last, is no reason to.
    pub fn new(now: Time, peer: PeerId, is_polite: bool, exchanged: u64) -> Self {
        Self {
            peer,
            negotiation: Negotiation::new(is_polite),
            connection: None,
            begin_at: None,
            invitations: Bucket::new(now, 1, limits::INVITATIONS),
            recent: Recent { counted: exchanged, weight: 0 },
            failures: 0,
            refused_at: None,
        }
    }

    /// Begins soon, unless the remote does or there is a connection. The polite side leaves it to the other for a while.
    pub fn begin_soon(&mut self, now: Time) {
        if self.connection.is_none() && self.begin_at.is_none() {
            self.begin_at = Some(if self.negotiation.is_polite() { now + limits::DIRECT_AFTER } else { now });
        }
    }

    /// Whether the remote had no place, and it is too soon to give up another connection in the hope that it has one now.
    pub fn is_refused(&self, now: Time) -> bool {
        self.refused_at.is_some_and(|at| now < at + limits::DIRECT_RETRY_MAX)
    }

    /// The connection is over: it is tried again later each time, though not much later if it was of use. One that the remote did not
    /// want, which has others, is tried again after a while.
    pub fn fail(&mut self, now: Time, connection: &Connection, random: &mut Random) {
        self.begin_at = None;
        self.refused_at = self.negotiation.was_refused().then_some(now);
        if self.refused_at.is_some() {
            return self.begin_soon(now + limits::DIRECT_REFUSED.mul_f64(0.5 + random.fraction()));
        }
        match connection.proved_at {
            Some(at) if now.since(at) >= limits::DIRECT_IS_SOUND_AFTER => self.failures = 0,
            Some(_) => self.failures = self.failures.min(1),
            None => {}
        }
        let pause = backoff(limits::DIRECT_RETRY, limits::DIRECT_RETRY_MAX, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.begin_soon(now + pause);
    }
}

impl Connection {
    /// One that has just begun.
    pub fn new(now: Time, socket: SocketId) -> Self {
        Self {
            socket,
            buffer: Buffer::default(),
            link: None,
            begun_at: now,
            proved_at: None,
            has_way: true,
            restart_at: None,
            looked_at: now,
            stalled: None,
        }
    }

    /// Whether it did not come about in time, or takes nothing any more.
    pub fn is_dead(&mut self, now: Time) -> bool {
        let gone = self.buffer.gone();
        self.looked_at = now;
        self.stalled = match self.stalled {
            _ if self.buffer.waiting == 0 => None,
            Some((since, before)) if before == gone => Some((since, gone)),
            _ => Some((now, gone)),
        };
        let is_late = self.proved_at.is_none() && self.begun_at + limits::DIRECT_TIME <= now;
        is_late || self.stalled.is_some_and(|(since, _)| since + limits::STALL <= now)
    }

    /// When something is to be done.
    pub fn next_timeout(&self) -> Option<Time> {
        let proof = self.proved_at.is_none().then(|| self.begun_at + limits::DIRECT_TIME);
        let look = (self.buffer.waiting > 0).then(|| self.looked_at + limits::STALL / 2);
        proof.into_iter().chain(look).chain(self.restart_at).min()
    }
}

impl Recent {
    /// Counts what was exchanged since it was counted last, in all so much.
    pub fn count(&mut self, exchanged: u64) {
        self.weight = self.weight / 2 + exchanged.saturating_sub(self.counted);
        self.counted = exchanged;
    }

    /// What it comes to.
    pub fn weight(&self) -> u64 {
        self.weight
    }
}
