//! Several swarms and their relays in virtual time: nothing waits, everything happens when it is told to.
//!
//! The relays here follow PROTOCOL.md §3 on honest input and do nothing else; the real one has its own tests, and
//! `tests/e2e` runs both together.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peersockets_core::drive::DriveKey;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, Report, SocketFailure, SocketId, State, Swarm};
use peersockets_core::time::{Duration, Time};

pub struct World {
    pub now: Time,
    pub relays: Vec<Relay>,
    pub devices: Vec<Device>,
    in_flight: VecDeque<Delivery>,
}

pub struct Relay {
    pub url: String,
    pub is_up: bool,
    /// Takes sockets and says nothing.
    pub is_mute: bool,
    /// Welcomes and then refuses.
    pub is_moody: bool,
    /// Tells nobody that a member left.
    pub is_discreet: bool,
    /// Holds back what it has for devices, until [`World::release`].
    pub is_lagging: bool,
    /// What becomes of attempts while it is down.
    pub failure: SocketFailure,
    /// Sockets that were opened to it, by whom and when.
    pub attempts: Vec<(usize, Time)>,
    /// Circuits that were dialled on it.
    pub dials: usize,
    held: Vec<Delivery>,
    members: BTreeMap<Member, (usize, SocketId)>,
    last_member: Member,
    /// Changes or swallows what is forwarded.
    pub tamper: Option<fn(&mut Vec<u8>) -> bool>,
}

pub struct Device {
    pub swarm: Swarm,
    pub events: Vec<Event>,
    /// What the application does on hearing an event.
    pub on_event: fn(&mut Swarm, &Event),
    /// Whether its network takes nothing: what it writes stays in its sockets' buffers, which only fill.
    pub is_stuck: bool,
    /// Whether it has no network: what it and relays send each other waits, and no socket opens.
    is_cut_off: bool,
    held: Vec<Delivery>,
    /// Sockets that carry nothing any more without being closed, as after a change of networks.
    dead: BTreeSet<SocketId>,
    sockets: BTreeMap<SocketId, usize>,
    /// What it opened and did not close, by relay: it must close each, also one that is over already.
    unclosed: BTreeMap<usize, SocketId>,
}

enum Delivery {
    ToRelay { device: usize, socket: SocketId, message: Vec<u8> },
    ToDevice { device: usize, socket: SocketId, message: Vec<u8> },
}

pub fn drive(number: u8) -> DriveKey {
    DriveKey::from_bytes([number; 32])
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Relay {
    pub fn named(url: &str) -> Self {
        Self {
            url: url.into(),
            is_up: true,
            is_mute: false,
            is_moody: false,
            is_discreet: false,
            is_lagging: false,
            failure: SocketFailure::Unreachable,
            attempts: Vec::new(),
            dials: 0,
            held: Vec::new(),
            members: BTreeMap::new(),
            last_member: 0,
            tamper: None,
        }
    }
}

impl World {
    pub fn new(relays: usize) -> Self {
        Self {
            now: Time::default(),
            relays: (0..relays).map(|index| Relay::named(&format!("ws://relay{index}/relay"))).collect(),
            devices: Vec::new(),
            in_flight: VecDeque::new(),
        }
    }

    /// A new device of drive 1 on these relays.
    pub fn add(&mut self, relays: &[usize]) -> usize {
        self.add_to(drive(1), relays)
    }

    pub fn add_to(&mut self, drive: DriveKey, relays: &[usize]) -> usize {
        let urls: Vec<String> = relays.iter().map(|relay| self.relays[*relay].url.clone()).collect();
        let mut seed = [0x5e; 32];
        seed[0] = self.devices.len() as u8;
        let config = Config { relays: &urls, ..Config::default() };
        let swarm = Swarm::new(self.now, seed, drive, config);
        self.devices.push(Device {
            swarm,
            events: Vec::new(),
            on_event: |_, _| {},
            is_stuck: false,
            is_cut_off: false,
            held: Vec::new(),
            dead: BTreeSet::new(),
            sockets: BTreeMap::new(),
            unclosed: BTreeMap::new(),
        });
        self.devices.len() - 1
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        for device in 0..self.devices.len() {
            self.drain(device);
        }
        while let Some(delivery) = self.in_flight.pop_front() {
            let (device, socket) = delivery.way();
            if self.devices[device].dead.contains(&socket) {
                continue;
            }
            if self.devices[device].is_cut_off {
                self.devices[device].held.push(delivery);
                continue;
            }
            match delivery {
                Delivery::ToRelay { device, socket, message } => self.relay_message(device, socket, &message),
                Delivery::ToDevice { device, socket, message } => {
                    self.devices[device].swarm.handle_socket_message(self.now, socket, &message);
                    self.drain(device);
                }
            }
        }
    }

    /// Lets time pass, with everything that becomes due in it.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let due = (0..self.devices.len()).filter_map(|device| self.drain(device)).min();
            match due.filter(|at| *at <= end) {
                None => break,
                Some(at) => self.now = self.now.max(at),
            }
            for device in &mut self.devices {
                device.swarm.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    /// Cuts a relay off: its sockets close, and it answers nobody until it is up again.
    pub fn stop_relay(&mut self, relay: usize) {
        self.relays[relay].is_up = false;
        self.relays[relay].members.clear();
        for index in 0..self.devices.len() {
            let closed: Vec<SocketId> =
                self.devices[index].sockets.iter().filter(|(_, on)| **on == relay).map(|(socket, _)| *socket).collect();
            for socket in closed {
                self.devices[index].sockets.remove(&socket);
                self.devices[index].swarm.handle_socket_closed(self.now, socket);
            }
        }
        self.settle();
    }

    /// Cuts one device off from one relay, as a lost connection does: both ends are told.
    pub fn cut(&mut self, device: usize, relay: usize) {
        let found = self.devices[device].sockets.iter().find(|(_, on)| **on == relay).map(|(socket, _)| *socket);
        if let Some(socket) = found {
            self.close_socket(device, socket);
            self.devices[device].swarm.handle_socket_closed(self.now, socket);
        }
        self.settle();
    }

    /// Takes a device's network away, and tells it so.
    pub fn go_offline(&mut self, device: usize) {
        self.devices[device].is_cut_off = true;
        self.devices[device].swarm.handle_offline(self.now);
        self.settle();
    }

    /// Gives a device its network back, and tells it so. What waited arrives.
    pub fn go_online(&mut self, device: usize) {
        self.devices[device].is_cut_off = false;
        self.devices[device].swarm.handle_online(self.now);
        let held = std::mem::take(&mut self.devices[device].held);
        self.in_flight.extend(held);
        self.settle();
    }

    /// Lets a device's sockets die without a word to either end.
    pub fn kill_sockets(&mut self, device: usize) {
        let Device { dead, sockets, .. } = &mut self.devices[device];
        dead.extend(sockets.keys().copied());
    }

    /// Lets a relay that lagged hand over what it held back.
    pub fn release(&mut self, relay: usize) {
        self.relays[relay].is_lagging = false;
        self.in_flight.extend(std::mem::take(&mut self.relays[relay].held));
        self.settle();
    }

    /// The socket of a device to a relay.
    pub fn socket(&self, device: usize, relay: usize) -> SocketId {
        *self.devices[device].sockets.iter().find(|(_, on)| **on == relay).expect("it has a socket there").0
    }

    /// Takes the events of a device.
    pub fn events(&mut self, device: usize) -> Vec<Event> {
        self.settle();
        std::mem::take(&mut self.devices[device].events)
    }

    /// Takes the joins (+) and leaves (-) that a watcher saw.
    pub fn presence(&mut self, device: usize, watcher: HandleId) -> Vec<i64> {
        let presence = |event| match event {
            Event::Join { watch, peer } if watch == watcher => Some(i64::from(peer.0)),
            Event::Leave { watch, peer } if watch == watcher => Some(-i64::from(peer.0)),
            _ => None,
        };
        self.events(device).into_iter().filter_map(presence).collect()
    }

    /// Takes the messages that a topic handle got.
    pub fn messages(&mut self, device: usize, handle: HandleId) -> Vec<(PeerId, Vec<u8>)> {
        let message = |event| match event {
            Event::Message { topic, peer, message } if topic == handle => Some((peer, message.to_vec())),
            _ => None,
        };
        self.events(device).into_iter().filter_map(message).collect()
    }

    /// Takes the problems that a device reported.
    pub fn reports(&mut self, device: usize) -> Vec<Report> {
        let report = |event| match event {
            Event::Error(report) => Some(report),
            _ => None,
        };
        self.events(device).into_iter().filter_map(report).collect()
    }

    pub fn state(&self, device: usize) -> State {
        self.devices[device].swarm.state()
    }

    fn drain(&mut self, index: usize) -> Option<Time> {
        loop {
            match self.devices[index].swarm.poll_output() {
                Output::Open { socket, url, .. } => self.open_socket(index, socket, &url),
                Output::Write { socket, message } => {
                    self.in_flight.push_back(Delivery::ToRelay { device: index, socket, message });
                    if !self.devices[index].is_stuck {
                        self.devices[index].swarm.handle_socket_buffered(socket, 0);
                    }
                }
                Output::Close { socket } => {
                    let unclosed = &mut self.devices[index].unclosed;
                    let count = unclosed.len();
                    unclosed.retain(|_, open| *open != socket);
                    assert_eq!(unclosed.len() + 1, count, "a socket is closed once");
                    // What was written before it arrives before it.
                    while let Some(position) =
                        self.in_flight.iter().position(|delivery| delivery.is_from(index, socket))
                    {
                        if let Some(Delivery::ToRelay { message, .. }) = self.in_flight.remove(position)
                            && self.devices[index].carries(socket)
                        {
                            self.relay_message(index, socket, &message);
                        }
                    }
                    self.close_socket(index, socket);
                }
                Output::Host { .. } => panic!("no device here is a host"),
                Output::Event(event) => {
                    let Device { swarm, events, on_event, .. } = &mut self.devices[index];
                    on_event(swarm, &event);
                    events.push(event);
                }
                Output::Timeout(at) => return at,
            }
        }
    }

    fn open_socket(&mut self, device: usize, socket: SocketId, url: &str) {
        let relay = self.relays.iter().position(|relay| relay.url == url).expect("the URL of a relay");
        self.relays[relay].attempts.push((device, self.now));
        let older = self.devices[device].unclosed.insert(relay, socket);
        assert_eq!(older, None, "a socket is closed before the next one to that relay is opened");
        if self.relays[relay].is_up && !self.devices[device].is_cut_off {
            self.devices[device].sockets.insert(socket, relay);
            self.devices[device].swarm.handle_socket_opened(self.now, socket);
        } else {
            let failure = self.relays[relay].failure;
            self.devices[device].swarm.handle_socket_failed(self.now, socket, failure);
        }
    }

    fn close_socket(&mut self, device: usize, socket: SocketId) {
        let Some(relay) = self.devices[device].sockets.remove(&socket) else {
            return;
        };
        if !self.devices[device].carries(socket) {
            return;
        }
        let members = &mut self.relays[relay].members;
        let member = members.iter().find(|(_, at)| **at == (device, socket)).map(|(member, _)| *member);
        if let Some(member) = member {
            members.remove(&member);
            let others: Vec<Member> = members.keys().copied().collect();
            if self.relays[relay].is_discreet {
                return;
            }
            for other in others {
                self.tell(relay, other, &FromRelay::Left(member));
            }
        }
    }

    fn relay_message(&mut self, device: usize, socket: SocketId, message: &[u8]) {
        let Some(relay) = self.devices[device].sockets.get(&socket).copied() else {
            return;
        };
        let frame = ToRelay::decode(message).expect("a device writes well-formed frames");
        let sender =
            self.relays[relay].members.iter().find(|(_, at)| **at == (device, socket)).map(|(member, _)| *member);
        match (frame, sender) {
            (ToRelay::Join { .. }, None) if self.relays[relay].is_mute => {}
            (ToRelay::Join { .. }, None) => {
                // One room a relay, whatever its name: so a stranger who learned a rendezvous id is in it too.
                self.relays[relay].last_member += 1;
                let member = self.relays[relay].last_member;
                let present = self.relays[relay].members.keys().copied().collect();
                self.relays[relay].members.insert(member, (device, socket));
                self.tell(relay, member, &FromRelay::Welcome { member, present });
                if self.relays[relay].is_moody {
                    self.tell(relay, member, &FromRelay::Refused { code: "too-fast", text: "not now" });
                }
            }
            (ToRelay::Dial(line), Some(sender)) => {
                assert!(line.member < sender, "only the newcomer dials");
                self.relays[relay].dials += 1;
                let back = Line { member: sender, ..line };
                if self.relays[relay].members.contains_key(&line.member) {
                    self.tell(relay, line.member, &FromRelay::Dialed(back));
                } else {
                    self.tell(relay, sender, &FromRelay::HungUp(line, HangupReason::Gone));
                }
            }
            (ToRelay::Data(line, bytes), Some(sender)) => {
                assert!((1..=limits::CIRCUIT_CHUNK).contains(&bytes.len()), "a chunk of {} bytes", bytes.len());
                let mut bytes = bytes.to_vec();
                if self.relays[relay].tamper.is_none_or(|tamper| tamper(&mut bytes)) {
                    self.tell(relay, line.member, &FromRelay::Data(Line { member: sender, ..line }, &bytes));
                }
            }
            (ToRelay::Hangup(line, reason), Some(sender)) => {
                self.tell(relay, line.member, &FromRelay::HungUp(Line { member: sender, ..line }, reason));
            }
            (frame, sender) => panic!("{frame:?} from {sender:?} is out of turn"),
        }
    }

    fn tell(&mut self, relay: usize, member: Member, frame: &FromRelay<'_>) {
        if let Some((device, socket)) = self.relays[relay].members.get(&member).copied() {
            let mut message = Vec::new();
            frame.encode(&mut message);
            let delivery = Delivery::ToDevice { device, socket, message };
            if self.relays[relay].is_lagging {
                self.relays[relay].held.push(delivery);
            } else {
                self.in_flight.push_back(delivery);
            }
        }
    }
}

impl Device {
    fn carries(&self, socket: SocketId) -> bool {
        !self.is_cut_off && !self.dead.contains(&socket)
    }
}

impl Delivery {
    /// Whose it is, and over which socket it goes.
    fn way(&self) -> (usize, SocketId) {
        let (Delivery::ToRelay { device, socket, .. } | Delivery::ToDevice { device, socket, .. }) = self;
        (*device, *socket)
    }

    fn is_from(&self, from: usize, over: SocketId) -> bool {
        matches!(self, Delivery::ToRelay { device, socket, .. } if *device == from && *socket == over)
    }
}
