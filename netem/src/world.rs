//! Several swarms and their relays in virtual time: nothing waits, everything happens when it is told to.
//!
//! The relays here follow PROTOCOL.md §3 on honest input, unless a test has them lie or meddle; the real one has its own tests, and
//! `tests/e2e` runs both together.

use std::collections::{BTreeMap, BTreeSet};

use peersockets_core::drive::DriveKey;
use peersockets_core::random::Random;
use peersockets_core::rtc::{Connectivity, Step};
use peersockets_core::swarm::{Config, Event, HandleId, LinkId, Output, PeerId, Report, SocketId, State, Swarm};
use peersockets_core::time::{Duration, Time};

use crate::channels::{Connection, End};
use crate::drive_peer::DrivePeer;
use crate::host::Host;
use crate::network::Bandwidth;
use crate::relay::Relay;
use crate::tally::Tally;
use crate::weather::Weather;

pub struct World {
    pub now: Time,
    pub relays: Vec<Relay>,
    pub drive_peers: Vec<DrivePeer>,
    pub devices: Vec<Device>,
    /// How long what is under way takes.
    pub weather: Weather,
    pub(crate) in_flight: BTreeMap<(Time, u64), Delivery>,
    pub(crate) last_delivery: u64,
    pub(crate) last_stream: u32,
    /// See [`Config`].
    pub session_time: Option<Duration>,
    /// See [`Config`].
    pub direct_peers: usize,
    /// Whether the networks let devices connect directly.
    pub direct_succeeds: bool,
    /// How many bytes a second leave each channel of a direct connection, if that is not everything at once.
    pub channel_rate: Option<f64>,
    /// What became of direct connections.
    pub tally: Tally,
    pub(crate) connections: BTreeMap<End, Connection>,
    /// The number of the last description that a browser made.
    pub(crate) last_description: u64,
    /// What makes channels open late.
    pub(crate) openings: Option<Random>,
}

/// What a socket is opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Relay(usize),
    DrivePeer(usize),
}

pub struct Device {
    pub swarm: Swarm,
    pub events: Vec<Event>,
    /// What the application does on hearing an event.
    pub on_event: fn(&mut Swarm, &Event),
    /// Whether its network takes nothing: what it writes stays in its sockets' buffers, which only fill.
    pub is_stuck: bool,
    /// Whether it has no network: what it and servers send each other waits, and no socket opens.
    pub(crate) is_cut_off: bool,
    /// When it wants to be called again, as it said last.
    timeout: Option<Time>,
    pub(crate) held: Vec<Delivery>,
    /// What its uplink takes, if that is not everything at once.
    pub(crate) uplink: Option<Bandwidth>,
    /// The same of its downlink.
    pub(crate) downlink: Option<Bandwidth>,
    /// Sockets that carry nothing any more without being closed, as after a change of networks.
    pub(crate) dead: BTreeSet<SocketId>,
    pub(crate) sockets: BTreeMap<SocketId, Server>,
    /// What it opened and did not close, by server: it must close each, also one that is over already.
    pub(crate) unclosed: BTreeMap<Server, SocketId>,
    pub(crate) host: Option<Host>,
}

pub(crate) enum Delivery {
    ToServer {
        device: usize,
        socket: SocketId,
        message: Vec<u8>,
    },
    ToDevice {
        device: usize,
        socket: SocketId,
        message: Vec<u8>,
    },
    /// A host's stream has something to do.
    Go {
        device: usize,
        link: LinkId,
    },
    /// A device's browser takes a step towards a direct connection.
    Step {
        device: usize,
        socket: SocketId,
        step: Step,
    },
    /// A channel opens.
    Open {
        device: usize,
        socket: SocketId,
    },
    /// A browser finds out about its way to the other end.
    Connectivity {
        device: usize,
        socket: SocketId,
        connectivity: Connectivity,
        /// How often that had changed.
        changes: u32,
    },
    /// The first message that waits in a slow channel leaves it.
    Leave {
        device: usize,
        socket: SocketId,
    },
    /// Two ends of a direct connection have a way again.
    EndLapse {
        ends: [End; 2],
    },
    /// A device closed a socket.
    Close {
        device: usize,
        socket: SocketId,
    },
    /// A server closed a socket.
    Closed {
        device: usize,
        socket: SocketId,
    },
}

pub fn drive(number: u8) -> DriveKey {
    DriveKey::from_bytes([number; 32])
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl World {
    pub fn new(relays: usize) -> Self {
        Self {
            now: Time::default(),
            relays: (0..relays).map(|index| Relay::named(&format!("ws://relay{index}/relay"))).collect(),
            drive_peers: Vec::new(),
            devices: Vec::new(),
            weather: Weather::default(),
            in_flight: BTreeMap::new(),
            last_delivery: 0,
            last_stream: 0,
            session_time: None,
            direct_peers: 0,
            direct_succeeds: true,
            channel_rate: None,
            tally: Tally::default(),
            connections: BTreeMap::new(),
            last_description: 0,
            openings: None,
        }
    }

    /// One whose devices keep no sessions, as those of the first build.
    pub fn without_sessions(relays: usize) -> Self {
        Self { session_time: Some(Duration::ZERO), ..Self::new(relays) }
    }

    /// A new device of drive 1 on these relays.
    pub fn add(&mut self, relays: &[usize]) -> usize {
        self.add_to(drive(1), relays)
    }

    pub fn add_to(&mut self, drive: DriveKey, relays: &[usize]) -> usize {
        let urls = self.urls(relays, &[]);
        self.add_in(drive, Config { relays: &urls.0, ..Config::default() })
    }

    /// A new device of drive 1 on these relays, that has the URLs of these drive peers.
    pub fn add_with(&mut self, relays: &[usize], drive_peers: &[usize]) -> usize {
        let urls = self.urls(relays, drive_peers);
        self.add_in(drive(1), Config { relays: &urls.0, drive_peers: &urls.1, ..Config::default() })
    }

    /// Two new devices that have met on these relays: their watchers, and their topics `chat`.
    pub fn add_pair(&mut self, relays: &[usize]) -> ([HandleId; 2], [HandleId; 2]) {
        let devices = [self.add(relays), self.add(relays)];
        let watches = devices.map(|device| self.devices[device].swarm.watch());
        let topics = devices.map(|device| self.devices[device].swarm.join("chat"));
        self.settle();
        for (device, watch) in devices.into_iter().zip(watches) {
            assert_eq!(self.presence(device, watch), [1]);
        }
        (watches, topics)
    }

    pub(crate) fn urls(&self, relays: &[usize], drive_peers: &[usize]) -> (Vec<String>, Vec<String>) {
        let relays = relays.iter().map(|relay| self.relays[*relay].url.clone());
        let drive_peers = drive_peers.iter().map(|peer| self.drive_peers[*peer].url.clone());
        (relays.collect(), drive_peers.collect())
    }

    pub(crate) fn add_in(&mut self, drive: DriveKey, config: Config<'_>) -> usize {
        let mut seed = [0x5e; 32];
        seed[..2].copy_from_slice(&(self.devices.len() as u16).to_le_bytes());
        seed[1] ^= 0x5e;
        self.devices.push(Device {
            swarm: Swarm::new(
                self.now,
                seed,
                drive,
                Config { session_time: self.session_time, direct_peers: self.direct_peers, ..config },
            ),
            events: Vec::new(),
            on_event: |_, _| {},
            is_stuck: false,
            is_cut_off: false,
            timeout: None,
            held: Vec::new(),
            uplink: None,
            downlink: None,
            dead: BTreeSet::new(),
            sockets: BTreeMap::new(),
            unclosed: BTreeMap::new(),
            host: None,
        });
        self.devices.len() - 1
    }

    /// Lets everything happen that needs no time.
    pub fn settle(&mut self) {
        self.settle_partly(usize::MAX);
    }

    /// Lets the first of it happen, so many steps. Returns whether that was not all.
    pub fn settle_partly(&mut self, steps: usize) -> bool {
        for device in 0..self.devices.len() {
            self.drain(device);
        }
        self.deliver(steps)
    }

    fn deliver(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            let Some(entry) = self.in_flight.first_entry().filter(|entry| entry.key().0 <= self.now) else {
                return false;
            };
            let delivery = entry.remove();
            let Some(delivery) = self.pass(delivery) else {
                continue;
            };
            match delivery {
                Delivery::ToServer { device, socket, message } => {
                    self.server_message(device, socket, &message);
                    self.tell_buffered(device);
                    self.drain(device);
                }
                Delivery::ToDevice { device, socket, message } => {
                    let Some(message) = self.hear_channel((device, socket), message) else {
                        continue;
                    };
                    self.devices[device].swarm.handle_socket_message(self.now, socket, &message);
                    self.drain(device);
                }
                Delivery::Go { device, link } => {
                    self.go(device, link);
                    self.drain(device);
                }
                Delivery::Step { device, socket, step } => {
                    self.take_step(device, socket, step);
                    self.drain(device);
                }
                Delivery::Open { device, socket } => {
                    self.open_channel((device, socket));
                    self.drain(device);
                }
                Delivery::Connectivity { device, socket, connectivity, changes } => {
                    self.tell_connectivity(device, socket, connectivity, changes);
                    self.drain(device);
                }
                Delivery::Leave { device, socket } => {
                    self.leave_slowly((device, socket));
                    self.drain(device);
                }
                Delivery::EndLapse { ends } => self.end_lapse(ends),
                Delivery::Close { device, socket } => self.close_socket(device, socket),
                Delivery::Closed { device, socket } => {
                    self.close_socket(device, socket);
                    self.devices[device].swarm.handle_socket_closed(self.now, socket);
                    self.drain(device);
                }
            }
        }
        true
    }

    /// Lets time pass, with everything that becomes due in it.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        loop {
            let timers = self.devices.iter().filter_map(|device| device.timeout).min();
            let due = timers.into_iter().chain(self.in_flight.keys().next().map(|(at, _)| *at)).min();
            match due.filter(|at| *at <= end) {
                None => break,
                Some(at) => self.now = self.now.max(at),
            }
            for device in 0..self.devices.len() {
                self.tell_buffered(device);
                let Device { uplink, timeout, .. } = &self.devices[device];
                // What is told of buffers may be news too.
                if uplink.is_some() || timeout.is_some_and(|at| at <= self.now) {
                    for end in self.channels_of(device).collect::<Vec<_>>() {
                        self.tell_waiting(end);
                    }
                    self.devices[device].swarm.handle_timeout(self.now);
                    self.drain(device);
                }
            }
            self.deliver(usize::MAX);
        }
        self.now = end;
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

    /// Sends something on its way.
    pub(crate) fn send(&mut self, delivery: Delivery) {
        self.send_after(self.now, delivery);
    }

    /// Sends something on its way later.
    pub(crate) fn send_after(&mut self, at: Time, delivery: Delivery) {
        let mut at = self.weather.arrival(at, &delivery);
        if let Delivery::ToDevice { device, message, .. } = &delivery
            && let Some(downlink) = &mut self.devices[*device].downlink
        {
            at = downlink.take(at, message.len());
        }
        self.send_at(at, delivery);
    }

    pub(crate) fn send_at(&mut self, at: Time, delivery: Delivery) {
        self.last_delivery += 1;
        self.in_flight.insert((at, self.last_delivery), delivery);
    }

    pub(crate) fn drain(&mut self, index: usize) -> Option<Time> {
        loop {
            match self.devices[index].swarm.poll_output() {
                Output::Open { socket, url, subprotocol } => self.open_socket(index, socket, &url, subprotocol),
                Output::Write { socket, message } if self.has_connection(index, socket) => {
                    self.write_channel((index, socket), message);
                }
                Output::Write { socket, message } => {
                    if let Some(uplink) = &mut self.devices[index].uplink {
                        let at = uplink.take(self.now, message.len());
                        self.send_at(at, Delivery::ToServer { device: index, socket, message });
                        self.tell_buffered(index);
                        continue;
                    }
                    self.send(Delivery::ToServer { device: index, socket, message });
                    if !self.devices[index].is_stuck {
                        self.devices[index].swarm.handle_socket_buffered(socket, 0);
                    }
                }
                Output::Close { socket } if self.has_connection(index, socket) => self.disconnect((index, socket)),
                Output::Close { socket } => {
                    let unclosed = &mut self.devices[index].unclosed;
                    let count = unclosed.len();
                    unclosed.retain(|_, open| *open != socket);
                    assert_eq!(unclosed.len() + 1, count, "a socket is closed once");
                    self.send(Delivery::Close { device: index, socket });
                }
                Output::Connect { socket, .. } => self.begin_connection(index, socket),
                Output::Negotiate { socket, step } => self.send(Delivery::Step { device: index, socket, step }),
                Output::Host { link, action } => self.act(index, link, action),
                Output::Event(event) => {
                    let Device { swarm, events, on_event, .. } = &mut self.devices[index];
                    on_event(swarm, &event);
                    events.push(event);
                }
                Output::Timeout(at) => {
                    self.check_channels(index);
                    self.devices[index].timeout = at;
                    return at;
                }
            }
        }
    }

    fn open_socket(&mut self, device: usize, socket: SocketId, url: &str, subprotocol: Option<&str>) {
        let relay = self.relays.iter().position(|relay| relay.url == url).map(Server::Relay);
        let drive_peer = || self.drive_peers.iter().position(|peer| peer.url == url).map(Server::DrivePeer);
        let server = relay.or_else(drive_peer).expect("the URL of a relay or a drive peer");
        let older = self.devices[device].unclosed.insert(server, socket);
        assert_eq!(older, None, "a socket is closed before the next one to that server is opened");
        let (attempts, is_up, failure) = match server {
            Server::Relay(index) => {
                assert_eq!(subprotocol, Some("peersockets.relay.v1"));
                let relay = &mut self.relays[index];
                (&mut relay.attempts, relay.is_up, relay.failure)
            }
            Server::DrivePeer(index) => {
                assert_eq!(subprotocol, None);
                let peer = &mut self.drive_peers[index];
                (&mut peer.attempts, peer.is_up, peer.failure)
            }
        };
        attempts.push((device, self.now));
        if !is_up || self.devices[device].is_cut_off {
            return self.devices[device].swarm.handle_socket_failed(self.now, socket, failure);
        }
        self.devices[device].sockets.insert(socket, server);
        if let Server::DrivePeer(index) = server {
            self.reach_drive_peer(index, device, socket);
        }
        self.devices[device].swarm.handle_socket_opened(self.now, socket);
    }

    pub(crate) fn server_message(&mut self, device: usize, socket: SocketId, message: &[u8]) {
        match self.devices[device].sockets.get(&socket) {
            Some(Server::Relay(relay)) => self.relay_message(*relay, device, socket, message),
            Some(Server::DrivePeer(peer)) => self.drive_peer_message(*peer, device, socket, message),
            None => {}
        }
    }

    /// A server learns that a device closed a socket.
    pub(crate) fn close_socket(&mut self, device: usize, socket: SocketId) {
        let server = self.devices[device].sockets.remove(&socket);
        match server.filter(|_| self.devices[device].carries(socket)) {
            Some(Server::Relay(relay)) => self.leave_relay(relay, device, socket),
            Some(Server::DrivePeer(peer)) => self.leave_drive_peer(peer, device, socket),
            None => {}
        }
    }

    /// Every device learns that a server is gone.
    pub(crate) fn close_sockets_of(&mut self, server: Server) {
        for device in 0..self.devices.len() {
            // With one that it closed still on its way there may be two.
            while let Some(socket) = self.socket_to(device, server) {
                self.close_socket(device, socket);
                self.devices[device].swarm.handle_socket_closed(self.now, socket);
            }
        }
        self.settle();
    }

    pub(crate) fn socket_to(&self, device: usize, server: Server) -> Option<SocketId> {
        self.devices[device].sockets.iter().find(|(_, to)| **to == server).map(|(socket, _)| *socket)
    }

    /// A number for the keys of a stream, of which each has its own.
    pub(crate) fn next_stream(&mut self) -> u32 {
        self.last_stream += 1;
        self.last_stream
    }
}
