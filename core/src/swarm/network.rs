//! What the swarm makes of its network's going and coming, and of sockets that die without a word (PROTOCOL.md §3, §10).

use super::endpoint::Phase;
use super::{Carrier, Place, Swarm};
use crate::limits;
use crate::rendezvous::{Circuit, FromRelay, Line, Member, ToRelay};
use crate::time::{Duration, Time};

/// The member that no room has: a relay answers a dial to it at once.
const NOBODY: Member = 0;

/// What shows that a relay is still there.
#[derive(Debug, Default)]
pub struct SignsOfLife {
    /// Whether the network went since it was last heard of: it may be out of reach although its socket is open.
    is_doubted: bool,
    question: Option<Question>,
    last_question: Circuit,
}

/// A dial to nobody that was not answered yet.
#[derive(Debug)]
struct Question {
    circuit: Circuit,
    /// How long it may take; for ever while there is no network.
    patience: Option<Patience>,
}

/// How long a sign of life may take. It has the time twice: the first time, the timer may be what is late.
#[derive(Debug)]
pub struct Patience {
    time: Duration,
    due: Time,
    is_overdue: bool,
}

impl Swarm {
    /// The network is gone, as far as its owner can tell. Sockets and links are kept, since many outlast a short gap; the state is
    /// [`State::Offline`](super::State) until a relay gives a sign of life.
    pub fn handle_offline(&mut self, now: Time) {
        self.is_network_gone = true;
        for index in 0..self.relays.len() {
            let is_joined = self.relays[index].endpoint.joined_socket().is_some();
            self.relays[index].signs.doubt(is_joined);
            self.ask(now, index);
        }
        for peer in &mut self.drive_peers {
            peer.patience = None;
        }
        self.update_state();
    }

    /// The network is back. As [`retry`](Swarm::retry); beyond that, a socket that still opens, or that was doubted and has no proved
    /// link to lose, is replaced at once, and one to a drive peer that says nothing is replaced soon.
    pub fn handle_online(&mut self, now: Time) {
        if std::mem::take(&mut self.is_network_gone) {
            self.listen_to_drive_peers(now);
        }
        for place in self.places() {
            let is_dispensable = match self.endpoint(place).phase {
                Phase::Opening(..) | Phase::Joining(..) => true,
                Phase::Joined(..) => self.is_doubted(place) && !self.has_proved_link(place),
                Phase::Waiting(_) | Phase::Resting => false,
            };
            if is_dispensable {
                self.reconnect(now, place);
            }
        }
        self.retry(now);
        self.update_state();
    }

    /// The user or the network is back: tries every relay and drive peer at once that is waiting for its time, and asks every other relay
    /// for a sign of life.
    pub fn retry(&mut self, now: Time) {
        for place in self.places() {
            self.endpoint_mut(place).retry(now);
            if let Place::Relay(index) = place {
                self.ask(now, index);
            }
        }
        self.handle_timeout(now);
    }

    /// A link fell silent: its relay may be what is dead.
    pub(super) fn ask_about(&mut self, now: Time, carrier: Carrier) {
        if let Carrier::Circuit { relay, .. } = carrier {
            self.ask(now, relay);
        }
    }

    /// Replaces the sockets on which no sign of life came.
    pub(super) fn replace_mute_sockets(&mut self, now: Time) {
        for place in self.places() {
            let patience = match place {
                Place::Relay(index) => self.relays[index].signs.patience(),
                Place::DrivePeer(index) => self.drive_peers[index].patience.as_mut(),
            };
            if patience.is_some_and(|patience| patience.is_over(now)) {
                self.reconnect(now, place);
            }
        }
    }

    /// Awaits a sign of life from every drive peer that is here, and asks for one whom it can.
    fn listen_to_drive_peers(&mut self, now: Time) {
        for index in 0..self.drive_peers.len() {
            let peer = &mut self.drive_peers[index];
            let Some(id) = peer.link.filter(|_| peer.endpoint.joined_socket().is_some()) else {
                continue;
            };
            let answers = self.links.get_mut(&id).is_some_and(|attached| attached.link.ask(now));
            let time = if answers { limits::ANSWER_TIME } else { limits::KEEPALIVE_TIME };
            peer.patience = Some(Patience::new(now, time));
            self.queue_link(id);
        }
    }

    /// Whether it is joined, and nothing speaks against that it still is.
    pub(super) fn is_reached(&self, place: Place) -> bool {
        self.endpoint(place).joined_socket().is_some() && !self.is_doubted(place)
    }

    fn is_doubted(&self, place: Place) -> bool {
        match place {
            Place::Relay(index) => self.relays[index].signs.is_doubted,
            // Not all can be asked: when the network is back, it counts as here until its silence says otherwise.
            Place::DrivePeer(_) => self.is_network_gone,
        }
    }

    /// Asks a relay whose room is joined for a sign of life.
    fn ask(&mut self, now: Time, index: usize) {
        let Some(socket) = self.relays[index].endpoint.joined_socket() else {
            return;
        };
        let patience = (!self.is_network_gone).then(|| Patience::new(now, limits::ANSWER_TIME));
        if let Some(line) = self.relays[index].signs.ask(patience) {
            self.write(socket, &ToRelay::Dial(line));
        }
    }

    /// Gives up a socket that may be dead, and opens another one at once.
    fn reconnect(&mut self, now: Time, place: Place) {
        self.fail(now, place, None);
        self.endpoint_mut(place).retry(now);
    }

    fn has_proved_link(&self, place: Place) -> bool {
        self.links.values().any(|attached| attached.carrier.place() == Some(place) && attached.link.is_proved())
    }
}

impl SignsOfLife {
    /// Takes a frame for a sign of life, and tells whether it ended a doubt. Without a network only the answer is one: anything else
    /// may have been under way.
    pub fn hear(&mut self, frame: &FromRelay<'_>) -> bool {
        let is_sign = |question: &mut Question| match frame {
            FromRelay::HungUp(Line { member: NOBODY, circuit }, _) => *circuit == question.circuit,
            FromRelay::Refused { .. } => false,
            _ => question.patience.is_some(),
        };
        self.question.take_if(is_sign).is_some() && std::mem::take(&mut self.is_doubted)
    }

    /// When the answer is overdue.
    pub fn next_timeout(&self) -> Option<Time> {
        self.question.as_ref().and_then(|question| question.patience.as_ref()).map(Patience::next_timeout)
    }

    /// The network went: that the room is joined, and what was under way, shows nothing any more.
    fn doubt(&mut self, is_joined: bool) {
        self.is_doubted = is_joined;
        self.question = None;
    }

    /// The line to dial for a sign of life. None if one is awaited already.
    fn ask(&mut self, patience: Option<Patience>) -> Option<Line> {
        if let Some(question) = &mut self.question {
            question.patience = question.patience.take().or(patience);
            return None;
        }
        self.last_question += 1;
        self.question = Some(Question { circuit: self.last_question, patience });
        Some(Line { member: NOBODY, circuit: self.last_question })
    }

    /// For how long a sign of life is awaited.
    fn patience(&mut self) -> Option<&mut Patience> {
        self.question.as_mut().and_then(|question| question.patience.as_mut())
    }
}

impl Patience {
    fn new(now: Time, time: Duration) -> Self {
        Self { time, due: now + time, is_overdue: false }
    }

    /// When the sign of life is overdue.
    pub fn next_timeout(&self) -> Time {
        self.due
    }

    /// Whether it was overdue twice.
    fn is_over(&mut self, now: Time) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + self.time;
        std::mem::replace(&mut self.is_overdue, true)
    }
}
