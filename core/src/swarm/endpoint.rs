//! One URL that is kept connected: when it is tried, and what is known to be wrong with it (PROTOCOL.md §10).

use super::buffer::Buffer;
use super::output::SocketId;
use crate::code::Code;
use crate::limits;
use crate::quote::without_token;
use crate::random::Random;
use crate::time::{Duration, Time};

/// A relay's or a drive peer's URL.
#[derive(Debug)]
pub struct Endpoint {
    /// The URL to open.
    pub target: String,
    /// The URL as it is shown: without a token.
    pub url: String,
    /// How far we are with it.
    pub phase: Phase,
    /// What the application knows to be wrong with it; said once until it was joined again for a while.
    pub reported: Option<Code>,
    /// Whether its first attempt is over, for better or worse.
    pub has_been_tried: bool,
    /// Whether trying again cannot help.
    pub is_hopeless: bool,
    /// What is known of its socket's buffer.
    pub buffer: Buffer,
    failures: u32,
}

/// How far we are with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not before this moment.
    Waiting(Time),
    /// A socket is being opened, until this moment.
    Opening(SocketId, Time),
    /// The relay's welcome or the drive peer's proof is awaited, until this moment.
    Joining(SocketId, Time),
    /// We are in the relay's room, or the drive peer is a peer, since this moment.
    Joined(SocketId, Time),
    /// It is not tried any more: it never can be, or the application went away.
    Resting,
}

impl Phase {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting(_) => "waiting",
            Self::Opening(..) | Self::Joining(..) => "connecting",
            Self::Joined(..) => "joined",
            Self::Resting => "resting",
        }
    }
}

impl Endpoint {
    /// An endpoint that is tried at once.
    pub fn new(url: String, now: Time) -> Self {
        Self {
            url: without_token(&url),
            target: url,
            phase: Phase::Waiting(now),
            reported: None,
            has_been_tried: false,
            is_hopeless: false,
            buffer: Buffer::default(),
            failures: 0,
        }
    }

    /// The socket in use, at whatever stage.
    pub fn socket(&self) -> Option<SocketId> {
        match self.phase {
            Phase::Opening(socket, _) | Phase::Joining(socket, _) | Phase::Joined(socket, _) => Some(socket),
            Phase::Waiting(_) | Phase::Resting => None,
        }
    }

    /// The socket, once it is joined.
    pub fn joined_socket(&self) -> Option<SocketId> {
        match self.phase {
            Phase::Joined(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// The socket, if it is open and takes what is written.
    pub fn writable_socket(&self) -> Option<SocketId> {
        self.open_socket().filter(|_| self.buffer.waiting < limits::SOCKET_HIGH_WATER)
    }

    /// The socket, if it is open, however full.
    pub fn open_socket(&self) -> Option<SocketId> {
        match self.phase {
            Phase::Joining(socket, _) | Phase::Joined(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// Begins an attempt.
    pub fn open(&mut self, socket: SocketId, now: Time) {
        self.phase = Phase::Opening(socket, now + limits::WELCOME_TIME);
        self.buffer = Buffer::default();
    }

    /// The welcome or the proof came.
    pub fn join(&mut self, socket: SocketId, now: Time) {
        self.phase = Phase::Joined(socket, now);
        self.has_been_tried = true;
    }

    /// The attempt or the socket is over: the next one waits longer each time, though not long if peers were
    /// reached through it, and a hopeless one for ever.
    pub fn fail(&mut self, now: Time, was_in_use: bool, random: &mut Random) {
        if self.is_hopeless {
            self.rest();
            return;
        }
        if matches!(self.phase, Phase::Joined(_, since) if now.since(since) >= limits::RELAY_IS_SOUND_AFTER) {
            self.failures = 0;
            self.reported = None;
        } else if was_in_use {
            self.failures = self.failures.min(1);
        }
        let pause = backoff(limits::RETRY_FIRST, limits::RETRY_MAX, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.has_been_tried = true;
        self.phase = Phase::Waiting(now + pause);
    }

    /// Gives it up until it is resumed.
    pub fn rest(&mut self) {
        self.has_been_tried = true;
        self.phase = Phase::Resting;
    }

    /// Tries it again after a rest, if that can help.
    pub fn resume(&mut self, now: Time) {
        if self.phase == Phase::Resting && !self.is_hopeless {
            self.phase = Phase::Waiting(now);
        }
    }

    /// Tries it at once, if it waits.
    pub fn retry(&mut self, now: Time) {
        if matches!(self.phase, Phase::Waiting(_)) {
            self.failures = 0;
            self.phase = Phase::Waiting(now);
        }
    }

    /// Tries it at this moment, if it waits for a later one, and then as often as at first.
    pub fn hasten(&mut self, at: Time) {
        if let Phase::Waiting(later) = self.phase {
            self.failures = 0;
            self.phase = Phase::Waiting(later.min(at));
        }
    }

    /// Tries it at this moment, if it waits: that it can't be reached before is no failure.
    pub fn wait_until(&mut self, at: Time) {
        if let Phase::Waiting(_) = self.phase {
            self.failures = 0;
            self.phase = Phase::Waiting(at);
        }
    }

    /// When something is to be done.
    pub fn next_timeout(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting(at) | Phase::Opening(_, at) | Phase::Joining(_, at) => Some(at),
            Phase::Joined(..) | Phase::Resting => None,
        }
    }
}

/// `first` doubled `failures` times, at most `longest`, ± 50 %: so that not all come back at once.
pub fn backoff(first: Duration, longest: Duration, failures: u32, random: &mut Random) -> Duration {
    let doubled = first.saturating_mul(1 << failures.min(16)).min(longest);
    doubled.mul_f64(0.5 + random.fraction())
}
