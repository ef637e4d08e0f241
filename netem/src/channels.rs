//! Direct connections between devices: what browsers make of `RTCPeerConnection`, as far as a device notices.
//!
//! A description names the end that made it and has a number; an answer names the offer that it answers, too. Two ends become one
//! connection once one has answered an offer of the other, which has accepted just this answer, and one of them has a candidate of the
//! other's. A step that a browser would refuse panics: the core never takes it.

use std::collections::VecDeque;

use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::rtc::{Candidate, Connectivity, Step};
use peersockets_core::swarm::SocketId;
use peersockets_core::time::{Duration, Time};

use crate::world::{Delivery, World, seconds};

/// A device's end of a direct connection.
pub(crate) type End = (usize, SocketId);

/// Time after which an end that opens behind the other opens late.
const LATE: Duration = Duration::from_secs(1);
/// Time after which a browser that finds no way gives up.
const NO_WAY: Duration = Duration::from_secs(10);
/// Time that what was written has for leaving once its connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes that leave a buffer although nobody acknowledges them: SCTP sends so much again until someone does.
const UNDER_WAY: usize = 16 * 1024;

/// One end, as its browser has it.
#[derive(Default)]
pub(crate) struct Connection {
    /// Its offer that nobody has answered.
    offered: Option<u64>,
    /// The description that was taken last: whose it is, and its number.
    remote: Option<(End, u64)>,
    has_candidate: bool,
    /// Whether it took that in place of an offer of its own.
    gave_way: bool,
    agreement: Option<Agreement>,
    /// The offer that it looked for a way by last.
    tried: Option<u64>,
    /// The end that it is one connection with.
    pub(crate) other: Option<End>,
    /// When the channel opened.
    pub(crate) opened_at: Option<Time>,
    /// Whether it has a way to the other end.
    pub(crate) has_way: bool,
    /// How often that changed.
    pub(crate) changes: u32,
    /// Whether the device was told that there may be none.
    pub(crate) is_missed: bool,
    /// Until when it has none, if that is known.
    pub(crate) lapses_until: Option<Time>,
    /// Whether what is written to it stays in its buffer.
    pub(crate) is_stuck: bool,
    /// What was written to it and has not left, and its bytes.
    queue: VecDeque<Vec<u8>>,
    waiting: usize,
    /// Whether the first of those is about to leave.
    is_leaving: bool,
    /// Whether something was written to it although it was full.
    is_overfull: bool,
    /// What came before it was open, or while it had no way.
    held: Vec<Vec<u8>>,
}

/// That an offer was answered.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Agreement {
    offer: u64,
    with: End,
    /// Whether this end has answered, and the other accepted.
    has_answered: bool,
}

impl World {
    /// How many open channels a device has.
    pub fn open_channels(&self, device: usize) -> usize {
        self.connections_of(device).filter(|(_, connection)| connection.opened_at.is_some()).count()
    }

    /// How many peer connections a device has, open or not.
    pub fn peer_connections(&self, device: usize) -> usize {
        self.connections_of(device).count()
    }

    /// Has channels open late from now on, each end for itself: seconds behind the other, or after their device gave them up.
    pub fn open_late(&mut self, random: Random) {
        self.openings = Some(random);
    }

    /// Has them open in time again.
    pub fn open_in_time(&mut self) {
        self.openings = None;
    }

    /// A device's connections to two others, which have not come about, do now, each with the other's end.
    pub fn cross_channels(&mut self, device: usize) {
        let own = self.connections_of(device).map(|(end, connection)| (*end, connection.other));
        let own: Vec<(End, Option<End>)> = own.collect();
        let [(one, Some(other_of_one)), (two, Some(other_of_two))] = own[..] else {
            panic!("{device} has {} connections", own.len());
        };
        for (from, to) in [(one, other_of_two), (other_of_two, one), (two, other_of_one), (other_of_one, two)] {
            self.connection(from, |connection| connection.other = Some(to));
            self.find_way(from);
        }
        self.settle();
    }

    pub(crate) fn begin_connection(&mut self, device: usize, socket: SocketId) {
        let before = self.connections.insert((device, socket), Connection::default());
        assert!(before.is_none(), "a connection is begun once");
    }

    pub(crate) fn has_connection(&self, device: usize, socket: SocketId) -> bool {
        self.connections.contains_key(&(device, socket))
    }

    /// A device closes a connection, after what was written to it. Without a way the other end is not told.
    pub(crate) fn disconnect(&mut self, end: End) {
        let is_mute = self.is_cut_off(end);
        let Some(connection) = self.connections.remove(&end) else {
            return;
        };
        let Some(other) = connection.other else {
            return;
        };
        if is_mute || !connection.has_way || connection.opened_at.is_none() {
            return self.lose_way(other);
        }
        let (mut at, until) = (self.now, self.now + FAREWELL);
        let (device, socket) = other;
        for message in connection.queue.into_iter().take_while(|_| !connection.is_stuck) {
            at = at + self.channel_rate.map_or(Duration::ZERO, |rate| time_for(&message, rate));
            if at > until {
                break;
            }
            self.send_after(at, Delivery::ToDevice { device, socket, message });
        }
        self.send_after(at.min(until), Delivery::Closed { device, socket });
    }

    /// A browser takes a step.
    pub(crate) fn take_step(&mut self, device: usize, socket: SocketId, step: Step) {
        let (now, end) = (self.now, (device, socket));
        let number = self.last_description + 1;
        let Some(connection) = self.connections.get_mut(&end) else {
            return;
        };
        let described = match step {
            Step::Offer { restart } => {
                assert_eq!(connection.offered, None, "one offer at a time");
                assert_eq!(connection.remote.is_some(), restart, "it looks for another way if there was one");
                connection.offered = Some(number);
                self.tally.restarts += usize::from(restart);
                Some(format!("offer {device} {} {number}", socket.0))
            }
            Step::Answer(offer) => {
                let Named { end: with, number: offer, .. } = Named::read(&offer, "offer");
                // One of its own is given up: browsers leave a first one behind, and roll a later one back.
                let gave_way = connection.offered.take().is_some();
                self.tally.glares += usize::from(gave_way);
                connection.take_description(with, offer);
                connection.gave_way = gave_way;
                connection.agreement = Some(Agreement { offer, with, has_answered: true });
                Some(format!("answer {device} {} {number} {offer}", socket.0))
            }
            Step::Accept(answer) => {
                let Named { end: with, number: answer, answered } = Named::read(&answer, "answer");
                let offer = connection.offered.take().expect("an answer is taken for an offer");
                connection.take_description(with, answer);
                let agreement = Agreement { offer, with, has_answered: false };
                connection.agreement = (answered == Some(offer)).then_some(agreement);
                None
            }
            Step::Candidate(Candidate { candidate, .. }) => {
                let remote = connection.remote.expect("a candidate comes behind a description");
                let Named { end, number, .. } = Named::read(&candidate, "candidate");
                // One of another description is of no use, and does no harm.
                connection.has_candidate |= remote == (end, number);
                None
            }
        };
        if let Some(description) = described {
            self.last_description = number;
            let swarm = &mut self.devices[device].swarm;
            let candidate = format!("candidate {device} {} {number}", socket.0);
            // A candidate may be found before its description is told.
            swarm.handle_candidate(now, socket, Candidate { candidate: candidate.clone(), mid: Some("0".into()) });
            swarm.handle_description(now, socket, description);
            swarm.handle_candidate(now, socket, Candidate { candidate, mid: None });
        }
        self.join_ends(end);
    }

    /// A channel opens, unless its way was lost meanwhile.
    pub(crate) fn open_channel(&mut self, end: End) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&end).filter(|connection| connection.has_way) else {
            return;
        };
        if connection.opened_at.is_some() {
            return;
        }
        connection.opened_at = Some(now);
        let has_answered = connection.agreement.is_some_and(|agreement| agreement.has_answered);
        match connection.other.map(|other| self.connections.get(&other)) {
            Some(Some(Connection { opened_at: Some(at), .. })) => {
                self.tally.late_openings += usize::from(now.since(*at) > LATE);
            }
            Some(Some(_)) if has_answered => self.tally.opened_by_answer += 1,
            Some(Some(_)) => self.tally.opened_by_offer += 1,
            // Whoever it would go to is gone.
            Some(None) | None => self.lose_way(end),
        }
        let (device, socket) = end;
        let swarm = &mut self.devices[device].swarm;
        // No browser promises which comes first.
        if has_answered {
            swarm.handle_socket_opened(now, socket);
            swarm.handle_connectivity(now, socket, Connectivity::Connected);
        } else {
            swarm.handle_connectivity(now, socket, Connectivity::Connected);
            swarm.handle_socket_opened(now, socket);
        }
        self.release_held(end);
    }

    /// A device writes to a channel.
    pub(crate) fn write_channel(&mut self, end: End, message: Vec<u8>) {
        let has_room = !self.is_blocked(end);
        let Some(connection) = self.connections.get_mut(&end) else {
            return;
        };
        assert!(connection.opened_at.is_some(), "nothing is written to a channel before it opens");
        assert!(message.len() <= limits::CHANNEL_MESSAGE, "a message of {} bytes", message.len());
        let was_full = connection.buffered() >= limits::CHANNEL_HIGH_WATER;
        connection.is_overfull |= was_full;
        connection.waiting += message.len();
        connection.queue.push_back(message);
        let is_full = connection.buffered() >= limits::CHANNEL_HIGH_WATER;
        self.tally.full += usize::from(has_room && is_full && !was_full);
        self.move_on(end);
        self.tell_waiting(end);
    }

    /// Nothing was written to a device's channels while they were full, but last words: those it has closed by now.
    pub(crate) fn check_channels(&self, device: usize) {
        let is_overfull = self.connections_of(device).any(|(_, connection)| connection.is_overfull);
        assert!(!is_overfull, "{device} wrote more to a channel that was full");
    }

    /// What was written to a channel leaves it, as fast as it does.
    pub(crate) fn move_on(&mut self, end: End) {
        while !self.is_blocked(end)
            && let Some(connection) = self.connections.get_mut(&end)
            && let Some(message) = connection.queue.front()
        {
            let Some(rate) = self.channel_rate else {
                self.leave(end);
                continue;
            };
            let at = self.now + time_for(message, rate);
            if !std::mem::replace(&mut connection.is_leaving, true) {
                let (device, socket) = end;
                self.send_at(at, Delivery::Leave { device, socket });
            }
            return;
        }
    }

    /// The first of what waits in a slow channel has left it. The device hears of that where little is left.
    pub(crate) fn leave_slowly(&mut self, end: End) {
        let Some(connection) = self.connections.get_mut(&end) else {
            return;
        };
        connection.is_leaving = false;
        let before = connection.waiting;
        if self.is_blocked(end) {
            return;
        }
        self.leave(end);
        let is_little = |bytes: usize| bytes <= limits::CHANNEL_LOW_WATER;
        if is_little(self.connections[&end].waiting) && !is_little(before) {
            self.tell_waiting(end);
        }
        self.move_on(end);
    }

    /// What comes out of a channel of what comes to it now: it waits until that is open and has a way.
    pub(crate) fn hear_channel(&mut self, end: End, message: Vec<u8>) -> Option<Vec<u8>> {
        match self.connections.get_mut(&end) {
            Some(connection) if connection.opened_at.is_none() || !connection.has_way => {
                self.tally.early_messages += usize::from(connection.opened_at.is_none());
                connection.held.push(message);
                None
            }
            _ => Some(message),
        }
    }

    /// A device learns what waits in a channel.
    pub(crate) fn tell_waiting(&mut self, end: End) {
        if let Some(connection) = self.connections.get(&end) {
            let (device, socket) = end;
            self.devices[device].swarm.handle_socket_buffered(socket, connection.buffered());
        }
    }

    fn connections_of(&self, device: usize) -> impl Iterator<Item = (&End, &Connection)> {
        self.connections.range((device, SocketId(0))..=(device, SocketId(u32::MAX)))
    }

    pub(crate) fn channels_of(&self, device: usize) -> impl Iterator<Item = End> {
        self.connections_of(device).map(|(end, _)| *end)
    }

    /// An end has a way, for the first time or again: what waits for that goes on.
    pub(crate) fn find_way(&mut self, end: End) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&end).filter(|connection| !connection.has_way) else {
            return;
        };
        connection.has_way = true;
        connection.changes += 1;
        let is_news = std::mem::take(&mut connection.is_missed);
        let (device, socket) = end;
        if connection.opened_at.is_none() {
            return self.open_soon(end);
        }
        if is_news {
            self.devices[device].swarm.handle_connectivity(now, socket, Connectivity::Connected);
        }
        self.release_held(end);
        self.go_on(end);
        self.drain(device);
    }

    /// What waited in a channel leaves it, and its device learns what is left.
    pub(crate) fn go_on(&mut self, end: End) {
        self.move_on(end);
        self.tell_waiting(end);
    }

    pub(crate) fn connection(&mut self, end: End, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&end) {
            change(connection);
        }
    }

    /// Whether one of its two devices has no network.
    pub(crate) fn is_cut_off(&self, end: End) -> bool {
        let other = self.connections.get(&end).and_then(|connection| connection.other);
        [Some(end), other].into_iter().flatten().any(|(device, _)| self.devices[device].is_cut_off)
    }

    /// The end becomes one connection with another if both agree on that, and finds a way to it if their networks let them.
    fn join_ends(&mut self, end: End) {
        let Some((remote, offer)) = self.agreed(end) else {
            return;
        };
        let ends = [(end, remote), (remote, end)];
        let gave_way = ends.iter().any(|(end, _)| self.connections[end].gave_way);
        self.tally.glares_settled += usize::from(gave_way);
        let was_joined = ends.iter().all(|(end, other)| self.connections[end].other == Some(*other));
        for (end, other) in ends {
            self.connection(end, |connection| (connection.other, connection.tried) = (Some(other), Some(offer)));
        }
        let lapses = ends.iter().any(|(end, _)| self.connections[end].lapses_until.is_some());
        if self.direct_succeeds && !self.is_cut_off(end) && !lapses {
            let is_lost = ends.iter().any(|(end, _)| !self.connections[end].has_way);
            self.tally.restarts_that_helped += usize::from(was_joined && is_lost);
            ends.into_iter().for_each(|(end, _)| self.find_way(end));
        } else if !was_joined {
            ends.into_iter().for_each(|(end, _)| self.tell_way(end, NO_WAY, Connectivity::Failed));
        }
    }

    /// The end that another has an agreement with, and on which offer, if both can do with it and have not yet.
    fn agreed(&self, end: End) -> Option<(End, u64)> {
        let connection = self.connections.get(&end)?;
        let agreement = connection.agreement?;
        let remote = self.connections.get(&agreement.with)?;
        let back = Agreement { with: end, has_answered: !agreement.has_answered, ..agreement };
        let is_new = remote.agreement == Some(back) && connection.tried != Some(agreement.offer);
        let has_candidate = connection.has_candidate || remote.has_candidate;
        (is_new && has_candidate).then_some((agreement.with, agreement.offer))
    }

    fn open_soon(&mut self, (device, socket): End) {
        let delivery = Delivery::Open { device, socket };
        let Some(random) = &mut self.openings else {
            return self.send(delivery);
        };
        let most = match random.fraction() {
            die if die < 0.1 => seconds(20.0),
            die if die < 0.4 => seconds(5.0),
            _ => seconds(0.1),
        };
        let at = self.now + most.mul_f64(random.fraction());
        // Nothing else that comes waits for it.
        self.send_at(at, delivery);
    }

    fn leave(&mut self, end: End) {
        let Some(connection) = self.connections.get_mut(&end) else {
            return;
        };
        if let Some(message) = connection.queue.pop_front() {
            connection.waiting -= message.len();
            if let Some((device, socket)) = connection.other {
                self.send(Delivery::ToDevice { device, socket, message });
            }
        }
    }

    /// What came before comes out now, before what comes later.
    fn release_held(&mut self, end: End) {
        let mut held = Vec::new();
        self.connection(end, |connection| held = std::mem::take(&mut connection.held));
        let (device, socket) = end;
        for message in held {
            self.send_at(Time::default(), Delivery::ToDevice { device, socket, message });
        }
    }

    /// Whether nothing leaves a channel.
    fn is_blocked(&self, end: End) -> bool {
        let is_stuck = |connection: &Connection| connection.is_stuck || !connection.has_way;
        self.connections.get(&end).is_none_or(is_stuck) || self.devices[end.0].is_stuck || self.is_cut_off(end)
    }
}

/// How long a message takes to leave a channel of this rate.
fn time_for(message: &[u8], rate: f64) -> Duration {
    Duration::from_secs_f64(message.len() as f64 / rate)
}

impl Connection {
    /// What the browser says of its buffer.
    fn buffered(&self) -> usize {
        match self.has_way {
            true => self.waiting,
            false => self.waiting.saturating_sub(UNDER_WAY),
        }
    }

    fn take_description(&mut self, end: End, number: u64) {
        self.remote = Some((end, number));
        (self.has_candidate, self.gave_way) = (false, false);
    }
}

/// What a description or a candidate says: whose it is, the number of the description, and that of the offer that it answers.
struct Named {
    end: End,
    number: u64,
    answered: Option<u64>,
}

impl Named {
    fn read(text: &str, kind: &str) -> Self {
        let mut words = text.split(' ');
        assert_eq!(words.next(), Some(kind), "{text}");
        let mut number = || words.next().map(|word| word.parse::<u64>().expect("a number"));
        let [Some(device), Some(socket), Some(own), answered] = [(); 4].map(|()| number()) else {
            panic!("{text}");
        };
        Self { end: (device as usize, SocketId(socket as u32)), number: own, answered }
    }
}
