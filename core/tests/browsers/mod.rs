//! Two devices whose relays, browsers and clock are in the hands of a test: it sees which way everything goes, and says when it leaves a
//! channel's buffer and when it arrives.

#![allow(dead_code)]

use std::collections::VecDeque;

use peersockets_core::drive::DriveKey;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::rtc::{Candidate, Connectivity, IceServer, Step};
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, SocketFailure, SocketId, Swarm};
use peersockets_core::time::{Duration, Time};

/// Whoever was met first.
pub const OTHER: PeerId = PeerId(1);

/// The way that bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Relay(usize),
    Channel,
}

pub struct Pair {
    pub now: Time,
    pub sides: [Side; 2],
    pub relays: Vec<Relay>,
    /// Whether channels open.
    pub opens: bool,
    queue: VecDeque<Delivery>,
}

pub struct Side {
    pub swarm: Swarm,
    pub watch: HandleId,
    pub topic: HandleId,
    pub events: Vec<Event>,
    /// What it wrote, and which way.
    pub written: Vec<(Way, usize)>,
    /// The peer connections that it began: when, and with which servers.
    pub begun: Vec<(Time, Vec<IceServer>)>,
    /// When it began to look for another way.
    pub restarts: Vec<Time>,
    /// Its peer connection, if it has one.
    pub connection: Option<SocketId>,
    /// Whether what it writes to the channel stays in the buffer, until [`Pair::let_go`].
    pub is_held: bool,
    /// Whether what left the buffer is on its way for ever, or until [`Pair::arrive`].
    pub is_far: bool,
    /// Whether it said to a relay that the two are connected directly, which the one who dialled says on the proof.
    pub has_proof: bool,
    /// How long its browser's descriptions are.
    pub description: usize,
    is_open: bool,
    buffer: VecDeque<Vec<u8>>,
    under_way: VecDeque<Vec<u8>>,
    timeout: Option<Time>,
}

#[derive(Default)]
pub struct Relay {
    pub is_down: bool,
    pub ice_servers: Vec<IceServer>,
    /// The number and socket that each side has there.
    members: [Option<(Member, SocketId)>; 2],
    last_member: Member,
}

enum Delivery {
    Opened(usize, SocketId),
    Failed(usize, SocketId),
    Message(usize, SocketId, Vec<u8>),
    Closed(usize, SocketId),
    Step(usize, SocketId, Step),
}

impl Pair {
    /// Two devices that have met on so many relays, and are not connected directly yet.
    pub fn met(relays: usize) -> Self {
        Self::with(relays, limits::DIRECT_PEERS)
    }

    /// The same, that connect directly to so many others at most.
    pub fn with(relays: usize, direct_peers: usize) -> Self {
        let urls: Vec<String> = (0..relays).map(|index| format!("ws://relay{index}/")).collect();
        let sides = [1, 2].map(|seed| {
            let config = Config { relays: &urls, direct_peers, ..Config::default() };
            let mut swarm = Swarm::new(Time::default(), [seed; 32], DriveKey::from_bytes([0x5d; 32]), config);
            let (watch, topic) = (swarm.watch(), swarm.join("chat"));
            Side {
                swarm,
                watch,
                topic,
                events: Vec::new(),
                written: Vec::new(),
                begun: Vec::new(),
                restarts: Vec::new(),
                connection: None,
                is_held: false,
                is_far: false,
                has_proof: false,
                description: 700,
                is_open: false,
                buffer: VecDeque::new(),
                under_way: VecDeque::new(),
                timeout: None,
            }
        });
        let relays = (0..relays).map(|_| Relay::default()).collect();
        let mut pair = Self { now: Time::default(), sides, relays, opens: true, queue: VecDeque::new() };
        pair.settle();
        assert_eq!(pair.routes(), [Some(Route::Relay); 2]);
        pair
    }

    /// Two devices that are directly connected beside a relay.
    pub fn direct() -> Self {
        let mut pair = Self::met(1);
        pair.advance(limits::DIRECT_SOON);
        assert_eq!(pair.routes(), [Some(Route::Direct); 2]);
        pair
    }

    /// The side that begins, and whose offer is kept if both do.
    pub fn impolite(&self) -> usize {
        let [one, other] = [0, 1].map(|side: usize| self.sides[side].swarm.stats().device_key);
        usize::from(other > one)
    }

    /// How each reaches the other, if it is there.
    pub fn routes(&self) -> [Option<Route>; 2] {
        [0, 1].map(|side: usize| self.sides[side].swarm.stats().peers.first().map(|peer| peer.route))
    }

    pub fn send(&mut self, side: usize, message: Vec<u8>) {
        let Side { swarm, topic, .. } = &mut self.sides[side];
        swarm.send(*topic, OTHER, message);
    }

    /// Takes the messages that a side got.
    pub fn messages(&mut self, side: usize) -> Vec<Vec<u8>> {
        let message = |event: &mut Event| matches!(event, Event::Message { .. });
        let messages = self.sides[side].events.extract_if(.., message);
        let bytes = |event| match event {
            Event::Message { message, .. } => message.to_vec(),
            _ => unreachable!("they are messages"),
        };
        messages.map(bytes).collect()
    }

    /// Takes what a side's watcher was told.
    pub fn story(&mut self, side: usize) -> Vec<&'static str> {
        let watcher = self.sides[side].watch;
        let told = |event| match event {
            Event::Join { watch, .. } if watch == watcher => Some("join"),
            Event::Leave { watch, .. } if watch == watcher => Some("leave"),
            Event::Path { watch, route, .. } if watch == watcher => Some(route.name()),
            _ => None,
        };
        self.sides[side].events.drain(..).filter_map(told).collect()
    }

    /// Bytes that a side has written this way since they were counted last.
    pub fn take_written(&mut self, side: usize, way: Way) -> usize {
        self.sides[side].written.extract_if(.., |(by, _)| *by == way).map(|(_, bytes)| bytes).sum()
    }

    /// Bytes in the buffer of a side's channel.
    pub fn waiting(&self, side: usize) -> usize {
        self.sides[side].buffer.iter().map(Vec::len).sum()
    }

    /// So many bytes, or a message more, leave the buffer of a side's channel. Returns whether its owner is told to go on writing.
    pub fn let_go(&mut self, side: usize, bytes: usize) -> bool {
        let mut gone = 0;
        while gone < bytes
            && let Some(message) = self.sides[side].buffer.pop_front()
        {
            gone += message.len();
            self.leave(side, message);
        }
        self.tell_buffered(side)
    }

    /// The next message that is under way from a side's channel arrives, if there is one.
    pub fn arrive_next(&mut self, side: usize) -> bool {
        let next = self.sides[side].under_way.pop_front();
        let remote = self.sides[1 - side].connection.filter(|_| self.sides[1 - side].is_open);
        let Some((message, remote)) = next.zip(remote) else {
            return false;
        };
        self.queue.push_back(Delivery::Message(1 - side, remote, message));
        self.settle();
        true
    }

    /// What is under way from a side's channel arrives.
    pub fn arrive(&mut self, side: usize) {
        self.sides[side].is_far = false;
        for message in std::mem::take(&mut self.sides[side].under_way) {
            self.leave(side, message);
        }
        self.settle();
    }

    /// A side's browser says how its way to the other is.
    pub fn tell_connectivity(&mut self, side: usize, connectivity: Connectivity) {
        let (now, Side { swarm, connection, .. }) = (self.now, &mut self.sides[side]);
        swarm.handle_connectivity(now, connection.expect("it has a connection"), connectivity);
        self.settle();
    }

    /// The channel closes, which both sides are told.
    pub fn close_channel(&mut self) {
        for side in 0..2 {
            self.sides[side].is_open = false;
            self.queue.extend(self.sides[side].connection.map(|socket| Delivery::Closed(side, socket)));
        }
        self.settle();
    }

    /// A relay is gone.
    pub fn stop_relay(&mut self, relay: usize) {
        self.relays[relay].is_down = true;
        for (side, member) in std::mem::take(&mut self.relays[relay].members).into_iter().enumerate() {
            self.queue.extend(member.map(|(_, socket)| Delivery::Closed(side, socket)));
        }
        self.settle();
    }

    /// A relay names these servers from now on.
    pub fn announce(&mut self, relay: usize, servers: Vec<IceServer>) {
        self.relays[relay].ice_servers = servers.clone();
        for side in 0..2 {
            self.tell(relay, side, &FromRelay::IceServers(servers.clone()));
        }
        self.settle();
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        loop {
            (0..2).for_each(|side| self.drain(side));
            let Some(delivery) = self.queue.pop_front() else {
                return;
            };
            self.deliver(delivery);
        }
    }

    /// Lets time pass, with everything that becomes due in it.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(at) = self.sides.iter().filter_map(|side| side.timeout).min().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for side in &mut self.sides {
                if side.timeout.is_some_and(|at| at <= self.now) {
                    side.swarm.handle_timeout(self.now);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::Opened(side, socket) => self.sides[side].swarm.handle_socket_opened(now, socket),
            Delivery::Failed(side, socket) => {
                self.sides[side].swarm.handle_socket_failed(now, socket, SocketFailure::Unreachable);
            }
            Delivery::Message(side, socket, message) => {
                self.sides[side].swarm.handle_socket_message(now, socket, &message);
            }
            Delivery::Closed(side, socket) => self.sides[side].swarm.handle_socket_closed(now, socket),
            Delivery::Step(side, socket, step) => self.take_step(side, socket, step),
        }
    }

    fn take_step(&mut self, side: usize, socket: SocketId, step: Step) {
        if self.sides[side].connection != Some(socket) {
            return;
        }
        let (now, opens, Side { swarm, description, restarts, .. }) = (self.now, self.opens, &mut self.sides[side]);
        if step == (Step::Offer { restart: true }) {
            restarts.push(now);
        }
        match step {
            Step::Offer { .. } | Step::Answer(_) => {
                swarm.handle_description(now, socket, "d".repeat(*description));
                let candidate = Candidate { candidate: "candidate".into(), mid: Some("0".into()) };
                swarm.handle_candidate(now, socket, candidate);
            }
            Step::Accept(_) if opens && !self.sides[side].is_open => {
                for side in 0..2 {
                    self.sides[side].is_open = true;
                    self.queue.extend(self.sides[side].connection.map(|socket| Delivery::Opened(side, socket)));
                }
            }
            Step::Accept(_) | Step::Candidate(_) => {}
        }
    }

    fn drain(&mut self, side: usize) {
        loop {
            match self.sides[side].swarm.poll_output() {
                Output::Open { socket, url, .. } => {
                    let relay = self.relay_at(&url);
                    let relay = &mut self.relays[relay];
                    self.queue.push_back(if relay.is_down {
                        Delivery::Failed(side, socket)
                    } else {
                        relay.last_member += 1;
                        relay.members[side] = Some((relay.last_member, socket));
                        Delivery::Opened(side, socket)
                    });
                }
                Output::Write { socket, message } if self.sides[side].connection == Some(socket) => {
                    assert!(self.sides[side].is_open, "nothing is written to a channel before it opens");
                    assert!(message.len() <= limits::CHANNEL_MESSAGE, "a message of {} bytes", message.len());
                    self.sides[side].written.push((Way::Channel, message.len()));
                    match self.sides[side].is_held {
                        true => self.sides[side].buffer.push_back(message),
                        false => self.leave(side, message),
                    }
                    self.tell_buffered(side);
                }
                Output::Write { socket, message } => {
                    self.sides[side].swarm.handle_socket_buffered(socket, 0);
                    self.relay_message(side, socket, &message);
                }
                Output::Close { socket } if self.sides[side].connection == Some(socket) => {
                    let Side { connection, is_open, buffer, under_way, .. } = &mut self.sides[side];
                    *connection = None;
                    buffer.clear();
                    under_way.clear();
                    if std::mem::take(is_open) {
                        let remote = self.sides[1 - side].connection.filter(|_| self.sides[1 - side].is_open);
                        self.queue.extend(remote.map(|socket| Delivery::Closed(1 - side, socket)));
                    }
                }
                Output::Close { socket } => self.leave_relay(side, socket),
                Output::Connect { socket, ice_servers } => {
                    assert_eq!(self.sides[side].connection.replace(socket), None, "one at a time");
                    self.sides[side].begun.push((self.now, ice_servers));
                }
                Output::Negotiate { socket, step } => self.queue.push_back(Delivery::Step(side, socket, step)),
                Output::Event(event) => self.sides[side].events.push(event),
                Output::Host { .. } => unreachable!("nobody hosts"),
                Output::Timeout(at) => {
                    self.sides[side].timeout = at;
                    return;
                }
            }
        }
    }

    fn leave(&mut self, side: usize, message: Vec<u8>) {
        if self.sides[side].is_far {
            self.sides[side].under_way.push_back(message);
        } else if let Some(remote) = self.sides[1 - side].connection.filter(|_| self.sides[1 - side].is_open) {
            self.queue.push_back(Delivery::Message(1 - side, remote, message));
        }
    }

    fn tell_buffered(&mut self, side: usize) -> bool {
        let (waiting, Side { swarm, connection, .. }) = (self.waiting(side), &mut self.sides[side]);
        connection.is_some_and(|socket| swarm.handle_socket_buffered(socket, waiting))
    }

    fn relay_message(&mut self, side: usize, socket: SocketId, message: &[u8]) {
        let Some(relay) = self.relay_of(side, socket) else {
            return;
        };
        let member = |of: usize| self.relays[relay].members[of].map(|(member, _)| member);
        let (Some(own), other) = (member(side), member(1 - side)) else {
            return;
        };
        match ToRelay::decode(message).expect("a device writes well-formed frames") {
            ToRelay::Join { .. } => {
                let present = other.into_iter().collect();
                self.tell(relay, side, &FromRelay::Welcome { member: own, lends: false, counts_direct: true, present });
                let servers = self.relays[relay].ice_servers.clone();
                if !servers.is_empty() {
                    self.tell(relay, side, &FromRelay::IceServers(servers));
                }
            }
            ToRelay::Dial(line) | ToRelay::Data(line, _) if other != Some(line.member) => {
                self.tell(relay, side, &FromRelay::HungUp(line, HangupReason::Gone));
            }
            ToRelay::Dial(line) => self.tell(relay, 1 - side, &FromRelay::Dialed(Line { member: own, ..line })),
            ToRelay::Data(line, bytes) => {
                self.sides[side].written.push((Way::Relay(relay), bytes.len()));
                self.tell(relay, 1 - side, &FromRelay::Data(Line { member: own, ..line }, bytes));
            }
            ToRelay::Hangup(line, reason) => {
                self.tell(relay, 1 - side, &FromRelay::HungUp(Line { member: own, ..line }, reason));
            }
            ToRelay::Direct(_, is_direct) => self.sides[side].has_proof = is_direct,
            _ => {}
        }
    }

    fn leave_relay(&mut self, side: usize, socket: SocketId) {
        if let Some(relay) = self.relay_of(side, socket)
            && let Some((member, _)) = self.relays[relay].members[side].take()
        {
            self.tell(relay, 1 - side, &FromRelay::Left(member));
        }
    }

    fn tell(&mut self, relay: usize, side: usize, frame: &FromRelay<'_>) {
        if let Some((_, socket)) = self.relays[relay].members[side] {
            let mut message = Vec::new();
            frame.encode(&mut message);
            self.queue.push_back(Delivery::Message(side, socket, message));
        }
    }

    fn relay_at(&self, url: &str) -> usize {
        (0..self.relays.len()).find(|index| url == format!("ws://relay{index}/")).expect("the URL of a relay")
    }

    fn relay_of(&self, side: usize, socket: SocketId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.members[side].is_some_and(|(_, of)| of == socket))
    }
}
