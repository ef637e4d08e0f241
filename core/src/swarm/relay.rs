//! One relay as a device uses it: trying, joining, and the circuits through it (PROTOCOL.md §3, §10).

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

use super::LinkId;
use super::output::SocketId;
use crate::code::Code;
use crate::limits;
use crate::rendezvous::{Circuit, Line, Member};
use crate::table::Table;
use crate::time::{Duration, Time};

/// One relay of the list.
#[derive(Debug)]
pub struct Relay {
    /// Its URL.
    pub url: String,
    /// How far we are with it.
    pub phase: Phase,
    /// What the application knows to be wrong with it; said once until it was reached again for a while.
    pub reported: Option<Code>,
    /// Whether its first attempt is over, for better or worse.
    pub has_been_tried: bool,
    /// Whether trying again cannot help.
    pub is_hopeless: bool,
    /// Bytes written to its socket that have not left it.
    pub buffered: usize,
    circuits: Table<Member, (Circuit, LinkId)>,
    redials: Table<Member, Redial>,
    last_circuit: Circuit,
    failures: u32,
}

/// How far we are with a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not before this moment.
    Waiting(Time),
    /// A socket is being opened, until this moment.
    Opening(SocketId, Time),
    /// The welcome is awaited, until this moment.
    Joining(SocketId, Time),
    /// We are in the room, since this moment.
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

#[derive(Debug)]
struct Redial {
    at: Option<Time>,
    attempts: u32,
}

impl Relay {
    /// A relay that is tried at once.
    pub fn new(url: String, now: Time) -> Self {
        Self {
            url,
            phase: Phase::Waiting(now),
            reported: None,
            has_been_tried: false,
            is_hopeless: false,
            buffered: 0,
            circuits: Table::default(),
            redials: Table::default(),
            last_circuit: 0,
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

    /// The socket, once the room is joined.
    pub fn joined_socket(&self) -> Option<SocketId> {
        match self.phase {
            Phase::Joined(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// Whether data may be written.
    pub fn is_writable(&self) -> bool {
        self.joined_socket().is_some() && self.buffered < limits::SOCKET_HIGH_WATER
    }

    /// Begins an attempt.
    pub fn open(&mut self, socket: SocketId, now: Time) {
        self.phase = Phase::Opening(socket, now + limits::WELCOME_TIME);
        self.buffered = 0;
        self.last_circuit = 0;
    }

    /// The welcome came.
    pub fn join(&mut self, socket: SocketId, now: Time) {
        self.phase = Phase::Joined(socket, now);
        self.has_been_tried = true;
    }

    /// The attempt or the socket is over: waits longer each time, and gives the links that went through it.
    pub fn fail(&mut self, now: Time, random: &mut ChaCha20Rng) -> Vec<LinkId> {
        if matches!(self.phase, Phase::Joined(_, since) if now.since(since) >= limits::RELAY_IS_SOUND_AFTER) {
            self.failures = 0;
            self.reported = None;
        }
        let pause = backoff(limits::RETRY_FIRST, limits::RETRY_MAX, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.has_been_tried = true;
        self.phase = Phase::Waiting(now + pause);
        self.take_links()
    }

    /// Gives it up until it is retried, and gives the links that went through it.
    pub fn rest(&mut self) -> Vec<LinkId> {
        self.has_been_tried = true;
        self.phase = Phase::Resting;
        self.take_links()
    }

    /// Gives it up, if it has a socket: the socket to close and the links that went through it.
    pub fn rest_with_socket(&mut self) -> Option<(SocketId, Vec<LinkId>)> {
        let socket = self.socket();
        let links = self.rest();
        Some((socket?, links))
    }

    /// Tries it at once, if it waits.
    pub fn retry(&mut self, now: Time) {
        if matches!(self.phase, Phase::Waiting(_)) {
            self.failures = 0;
            self.phase = Phase::Waiting(now);
        }
    }

    /// The next line to dial a member on.
    pub fn next_line(&mut self, member: Member) -> Line {
        self.last_circuit += 1;
        Line { member, circuit: self.last_circuit }
    }

    /// Records a circuit, and gives the link on the older one to the same member, which it ends.
    pub fn attach(&mut self, line: Line, link: LinkId) -> Option<LinkId> {
        self.circuits.insert(line.member, (line.circuit, link)).map(|(_, older)| older)
    }

    /// Forgets a circuit, if this link is still the one to that member.
    pub fn detach(&mut self, line: Line, link: LinkId) {
        if self.circuit_to(line.member) == Some(link) {
            self.circuits.remove(&line.member);
        }
    }

    /// The link on a line.
    pub fn link(&self, line: Line) -> Option<LinkId> {
        self.circuits.get(&line.member).filter(|(circuit, _)| *circuit == line.circuit).map(|(_, link)| *link)
    }

    /// The link to a member, on whatever circuit.
    pub fn circuit_to(&self, member: Member) -> Option<LinkId> {
        self.circuits.get(&member).map(|(_, link)| *link)
    }

    /// How many circuits there are.
    pub fn circuits(&self) -> usize {
        self.circuits.len()
    }

    /// A member is gone: its link, if there is one.
    pub fn leave(&mut self, member: Member) -> Option<LinkId> {
        self.redials.remove(&member);
        self.circuits.remove(&member).map(|(_, link)| link)
    }

    /// Dials a member again, later each time.
    pub fn redial_later(&mut self, member: Member, now: Time, random: &mut ChaCha20Rng) {
        let redial = self.redials.get_or_insert_with(member, || Redial { at: None, attempts: 0 });
        redial.at = Some(now + backoff(limits::RETRY_FIRST, limits::RETRY_MAX, redial.attempts, random));
        redial.attempts = redial.attempts.saturating_add(1);
    }

    /// A member proved the drive key: the next redial, if one is needed, comes soon.
    pub fn forget_redials(&mut self, member: Member) {
        self.redials.remove(&member);
    }

    /// The members whose time has come to be dialled again.
    pub fn due_redials(&mut self, now: Time) -> Vec<Member> {
        let due: Vec<Member> = self
            .redials
            .iter()
            .filter(|(_, redial)| redial.at.is_some_and(|at| at <= now))
            .map(|(member, _)| *member)
            .collect();
        for member in &due {
            if let Some(redial) = self.redials.get_mut(member) {
                redial.at = None;
            }
        }
        due
    }

    /// When something is to be done.
    pub fn next_timeout(&self) -> Option<Time> {
        let phase = match self.phase {
            Phase::Waiting(at) | Phase::Opening(_, at) | Phase::Joining(_, at) => Some(at),
            Phase::Joined(..) | Phase::Resting => None,
        };
        let redial = self.redials.values().filter_map(|redial| redial.at).min();
        phase.into_iter().chain(redial).min()
    }

    fn take_links(&mut self) -> Vec<LinkId> {
        self.redials.clear();
        std::mem::take(&mut self.circuits).into_values().map(|(_, link)| link).collect()
    }
}

/// `first` doubled `failures` times, at most `longest`, ± 50 %: so that not all come back at once.
fn backoff(first: Duration, longest: Duration, failures: u32, random: &mut ChaCha20Rng) -> Duration {
    let doubled = first.saturating_mul(1 << failures.min(16)).min(longest);
    doubled.mul_f64(0.5 + f64::from(random.next_u32()) / f64::from(u32::MAX))
}
