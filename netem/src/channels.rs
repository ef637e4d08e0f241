//! Direct connections between devices: what browsers make of `RTCPeerConnection`, as far as a device notices.
//!
//! A description names the connection that made it; two connections whose descriptions name each other become one, once one of them has a
//! candidate of the other. A step that a browser would refuse panics: the core never takes it.

use peersockets_core::rtc::{Candidate, Connectivity, Step};
use peersockets_core::swarm::SocketId;
use peersockets_core::time::Duration;

use crate::world::{Delivery, World, seconds};

/// A device's end of a direct connection.
type End = (usize, SocketId);

/// One end, as its browser has it.
#[derive(Default)]
pub(crate) struct Connection {
    has_offered: bool,
    /// The end whose description was taken last.
    remote: Option<End>,
    has_candidate: bool,
    /// Where what is written to it goes, if not to that end.
    crossed: Option<End>,
    /// Whether the channel has opened.
    is_open: bool,
    /// Whether what is written to it goes nowhere, without a word.
    is_dead: bool,
    /// Whether what is written to it stays in its buffer.
    is_stuck: bool,
    waiting: usize,
}

/// How a direct connection comes to grief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// Its channel closes, which both ends are told.
    Closed,
    /// One end is closed. The other is not told.
    HalfClosed,
    /// It carries nothing any more. Both ends find out after 5 s that it may be lost, and after 15 s that it is.
    Dead,
    /// What one end writes stays in its buffer.
    Stuck,
}

impl Accident {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Closed, Self::HalfClosed, Self::Dead, Self::Stuck];
}

impl World {
    /// How many open channels a device has.
    pub fn open_channels(&self, device: usize) -> usize {
        self.connections.iter().filter(|((of, _), connection)| *of == device && connection.is_open).count()
    }

    /// How many peer connections a device has, open or not.
    pub fn peer_connections(&self, device: usize) -> usize {
        self.connections.keys().filter(|(of, _)| *of == device).count()
    }

    /// Something happens to an open channel of a device, if it has any: the one of this index.
    pub fn break_channel(&mut self, device: usize, index: usize, accident: Accident) -> bool {
        let open = self.connections.iter().filter(|((of, _), connection)| *of == device && connection.is_open);
        let open: Vec<(End, Option<End>)> = open.map(|(end, connection)| (*end, connection.remote)).collect();
        let Some((end, Some(remote))) = open.get(index % open.len().max(1)).copied() else {
            return false;
        };
        match accident {
            Accident::Closed => {
                self.tell_closed(end);
                self.tell_closed(remote);
            }
            Accident::HalfClosed => self.tell_closed(end),
            Accident::Dead => self.kill_channel(end),
            Accident::Stuck => self.connection(end, |connection| connection.is_stuck = true),
        }
        self.settle();
        true
    }

    /// A device's connections to two others, which have not come about, do now, each with the other's end.
    pub fn cross_channels(&mut self, device: usize) {
        let own = self.connections.iter().filter(|((of, _), _)| *of == device);
        let own: Vec<(End, Option<End>)> = own.map(|(end, connection)| (*end, connection.remote)).collect();
        let [(one, Some(other_of_one)), (two, Some(other_of_two))] = own[..] else {
            panic!("{device} has {} connections", own.len());
        };
        for (from, to) in [(one, other_of_two), (other_of_two, one), (two, other_of_one), (other_of_one, two)] {
            self.connection(from, |connection| connection.crossed = Some(to));
            let (device, socket) = from;
            self.send(Delivery::Open { device, socket });
        }
        self.settle();
    }

    /// All direct connections of a device carry nothing any more.
    pub(crate) fn kill_channels(&mut self, device: usize) {
        let ends: Vec<End> = self.connections.keys().filter(|(of, _)| *of == device).copied().collect();
        ends.into_iter().for_each(|end| self.kill_channel(end));
    }

    pub(crate) fn begin_connection(&mut self, device: usize, socket: SocketId) {
        let before = self.connections.insert((device, socket), Connection::default());
        assert!(before.is_none(), "a connection is begun once");
    }

    pub(crate) fn has_connection(&self, device: usize, socket: SocketId) -> bool {
        self.connections.contains_key(&(device, socket))
    }

    pub(crate) fn disconnect(&mut self, device: usize, socket: SocketId) {
        let Some(connection) = self.connections.remove(&(device, socket)) else {
            return;
        };
        if let Some(remote) = connection.remote.filter(|_| connection.is_open && !connection.is_dead) {
            self.tell_closed(remote);
        }
    }

    /// A browser takes a step.
    pub(crate) fn take_step(&mut self, device: usize, socket: SocketId, step: Step) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&(device, socket)) else {
            return;
        };
        let description = match step {
            Step::Offer { .. } => {
                connection.has_offered = true;
                Some("offer")
            }
            Step::Answer(offer) => {
                connection.has_offered = false;
                connection.remote = Some(end_of(&offer, "offer"));
                Some("answer")
            }
            Step::Accept(answer) => {
                assert!(connection.has_offered, "an answer is taken for an offer");
                connection.has_offered = false;
                connection.remote = Some(end_of(&answer, "answer"));
                None
            }
            Step::Candidate(Candidate { candidate, .. }) => {
                assert!(connection.remote.is_some(), "a candidate comes behind a description");
                // One that is not of that end is of no use, and does no harm.
                connection.has_candidate |= connection.remote == Some(end_of(&candidate, "candidate"));
                None
            }
        };
        let swarm = &mut self.devices[device].swarm;
        if let Some(kind) = description {
            let candidate = format!("candidate {device} {}", socket.0);
            // A candidate may be found before its description is told.
            swarm.handle_candidate(now, socket, Candidate { candidate: candidate.clone(), mid: Some("0".into()) });
            swarm.handle_description(now, socket, format!("{kind} {device} {}", socket.0));
            swarm.handle_candidate(now, socket, Candidate { candidate, mid: None });
        }
        self.join_ends((device, socket));
    }

    pub(crate) fn open_channel(&mut self, device: usize, socket: SocketId) {
        if let Some(connection) = self.connections.get_mut(&(device, socket)) {
            connection.is_open = true;
            let now = self.now;
            self.devices[device].swarm.handle_connectivity(now, socket, Connectivity::Connected);
            self.devices[device].swarm.handle_socket_opened(now, socket);
        }
    }

    /// A device writes to a channel.
    pub(crate) fn write_channel(&mut self, device: usize, socket: SocketId, message: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&(device, socket)) else {
            return;
        };
        assert!(connection.is_open, "nothing is written to a channel before it opens");
        let is_stuck = connection.is_stuck || self.devices[device].is_stuck;
        if is_stuck || connection.is_dead {
            connection.waiting += message.len();
        } else if let Some((other, to)) = connection.crossed.or(connection.remote) {
            let delivery = Delivery::ToDevice { device: other, socket: to, message };
            match self.devices[device].is_cut_off {
                true => self.devices[device].held.push(delivery),
                false => self.send(delivery),
            }
        }
        self.tell_waiting(device, socket);
    }

    /// A browser says how its way to the other end is, unless that has changed meanwhile.
    pub(crate) fn tell_connectivity(&mut self, device: usize, socket: SocketId, connectivity: Connectivity) {
        let is_dead = |connection: &Connection| connection.is_dead || !connection.is_open;
        if self.connections.get(&(device, socket)).is_some_and(is_dead) {
            self.devices[device].swarm.handle_connectivity(self.now, socket, connectivity);
        }
    }

    /// Whether what comes to this end comes out of it.
    pub(crate) fn is_deaf(&self, device: usize, socket: SocketId) -> bool {
        self.connections.get(&(device, socket)).is_some_and(|connection| connection.is_dead || !connection.is_open)
    }

    pub(crate) fn tell_waiting(&mut self, device: usize, socket: SocketId) {
        if let Some(connection) = self.connections.get(&(device, socket)) {
            self.devices[device].swarm.handle_socket_buffered(socket, connection.waiting);
        }
    }

    /// Two ends whose descriptions name each other become one connection, if their networks let them.
    fn join_ends(&mut self, end: End) {
        let Some((remote, is_ready)) = self.ready(end) else {
            return;
        };
        let Some((back, is_remote_ready)) = self.ready(remote) else {
            return;
        };
        if back != end || !(is_ready || is_remote_ready) {
            return;
        }
        for end in [end, remote] {
            let Some(connection) = self.connections.get_mut(&end) else {
                continue;
            };
            let was_dead = std::mem::take(&mut connection.is_dead);
            let (device, socket) = end;
            if !connection.is_open && !self.devices[device].is_cut_off && self.direct_succeeds {
                self.send(Delivery::Open { device, socket });
            } else if was_dead {
                connection.waiting = 0;
                self.devices[device].swarm.handle_connectivity(self.now, socket, Connectivity::Connected);
                self.tell_waiting(device, socket);
                self.drain(device);
            }
        }
    }

    /// The other end that a settled end knows, and whether it has a candidate of it.
    fn ready(&self, end: End) -> Option<(End, bool)> {
        let connection = self.connections.get(&end).filter(|connection| !connection.has_offered)?;
        Some((connection.remote?, connection.has_candidate))
    }

    fn kill_channel(&mut self, end: End) {
        let Some(remote) = self.connections.get(&end).and_then(|connection| connection.remote) else {
            return;
        };
        for (device, socket) in [end, remote] {
            self.connection((device, socket), |connection| connection.is_dead = true);
            for (after, connectivity) in [(5.0, Connectivity::Disconnected), (15.0, Connectivity::Failed)] {
                self.send_later(seconds(after), Delivery::Connectivity { device, socket, connectivity });
            }
        }
    }

    fn tell_closed(&mut self, (device, socket): End) {
        self.send(Delivery::Closed { device, socket });
    }

    fn send_later(&mut self, after: Duration, delivery: Delivery) {
        self.send_at(self.now + after, delivery);
    }

    fn connection(&mut self, end: End, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&end) {
            change(connection);
        }
    }
}

/// The end that a description or a candidate names.
fn end_of(text: &str, kind: &str) -> End {
    let mut words = text.split(' ');
    assert_eq!(words.next(), Some(kind), "{text}");
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    (number() as usize, SocketId(number()))
}
