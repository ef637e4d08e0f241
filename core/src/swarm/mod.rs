//! Who is here and what they say: one drive, its relays and drive peers, the devices met through them, and the handles of the
//! application.
//!
//! See [`Swarm`] for the contract.

mod bucket;
mod buffer;
mod carrier;
mod channels;
mod circuits;
mod devices;
mod direct;
mod drive_peers;
mod early;
mod endpoint;
mod handles;
mod hosting;
mod links;
mod mesh;
mod network;
mod output;
mod paths;
mod place;
mod pressure;
mod relay;
mod sessions;
mod sockets;
pub mod stats;
mod transport;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::budget::Memory;
use crate::channel::outbox::{Bound, QueueFull};
use crate::code::Code;
use crate::drive::DriveKey;
use crate::limits;
use crate::link::{Host, Link};
use crate::random::Random;
use crate::rendezvous::HangupReason;
use crate::secure::{DeviceKey, Entropy, Role};
use crate::table::Table;
use crate::time::{Duration, Time};

use bucket::Bucket;
use carrier::Carrier;
use devices::{Change, Devices};
use direct::Direct;
use drive_peers::DrivePeer;
use early::{EarlyMessage, EarlyMessages};
use endpoint::Endpoint;
use handles::Handles;
use mesh::Mesh;
use network::Patience;
use place::Place;
use relay::Relay;

pub use output::{Event, HandleId, Output, PeerId, Report, SocketFailure, SocketId, State};

/// A link of this swarm: from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// Where a swarm meets its peers, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config<'a> {
    /// `ws:` or `wss:` URLs of relays, [`limits::RELAYS`] at most.
    pub relays: &'a [String],
    /// `ws:` or `wss:` URLs of drive peers, [`limits::DRIVE_PEERS`] at most.
    pub drive_peers: &'a [String],
    /// Whether the host runs the secret stream and the mux of circuits, to replicate the drive on them (see [`Output::Host`]): 32
    /// secret bytes, of which both make the device key. Only with the feature `host`.
    pub host_seed: Option<[u8; 32]>,
    /// How long a session outlives the leave of its device, so that what was sent before arrives if it comes back;
    /// [`limits::SESSION_TIME`] unless said. Zero for no sessions at all: every broken link is a leave then.
    pub session_time: Option<Duration>,
    /// How many devices are connected to directly at most, by WebRTC; [`limits::DIRECT_PEERS`] is a good number. Zero for none: no device
    /// sees our addresses then. Nothing comes of it in a swarm that hosts, or keeps no sessions.
    pub direct_peers: usize,
}

/// The peers of one drive.
///
/// # Contract
///
/// The swarm does nothing by itself: it has no socket, no clock and no randomness of its own. Its owner
///
/// 1. tells it what happened, by `handle_*`, or what the application wants, by the other methods;
/// 2. then calls [`poll_output`](Swarm::poll_output) and does what it says until it says [`Output::Timeout`];
/// 3. calls [`handle_timeout`](Swarm::handle_timeout) at that moment, if nothing else happened before.
///
/// Several inputs may come before a drain. `now` must not run backwards. The seed must be 32 random bytes, used for one swarm
/// only: the device key, every link's keys and the jitter of retries come from it. Nothing in here panics on any input.
pub struct Swarm {
    drive: DriveKey,
    device: DeviceKey,
    random: Random,
    memory: Memory,
    relays: Vec<Relay>,
    drive_peers: Vec<DrivePeer>,
    host: Option<Host>,
    links: Table<LinkId, Attached>,
    devices: Devices,
    handles: Handles,
    early: EarlyMessages,
    /// Peers for whom much waits, until the application is told that it does not any more.
    pressed: Vec<PeerId>,
    /// The inbound handshakes that may begin.
    handshakes: Bucket,
    /// What there is between this device and those that take signals.
    directs: Table<PeerId, Direct>,
    mesh: Mesh,
    /// Peers whose links have changed since the application was told of paths.
    relinked: Vec<PeerId>,
    outputs: VecDeque<Pending>,
    /// Links that have something to write, in turn.
    ready: VecDeque<LinkId>,
    state: State,
    /// Links of sessions that were given up for want of memory: they end as soon as it is known what time it is.
    over: Vec<LinkId>,
    /// Whether the first relay has been joined and everyone who was there has been met: an unknown peer is nobody from now on.
    is_settled: bool,
    /// Whether the owner says that there is no network.
    is_network_gone: bool,
    last_socket: u32,
    last_link: u32,
}

/// A link and what carries it.
struct Attached {
    link: Link,
    carrier: Carrier,
    role: Role,
    peer: Option<PeerId>,
    /// Whether it is in `ready`.
    is_queued: bool,
}

/// What [`Swarm::poll_output`] comes to in its turn.
enum Pending {
    Output(Output),
    /// Who gets it is known only then: whoever closes and joins again on hearing one message gets the next.
    Message {
        topic: Arc<str>,
        peer: PeerId,
        message: Arc<Vec<u8>>,
    },
}

impl Swarm {
    /// A device of `drive` that will join its room on every relay of the list, and connect to every drive peer. Those that cannot be
    /// used are reported.
    pub fn new(now: Time, seed: [u8; 32], drive: DriveKey, config: Config<'_>) -> Self {
        let mut random = Random::from_seed(seed);
        let device = random.bytes();
        let name = random.bytes();
        let mut swarm = Self {
            drive,
            device: DeviceKey::from_seed(config.host_seed.unwrap_or(device)),
            random,
            memory: Memory::default(),
            relays: Vec::new(),
            drive_peers: Vec::new(),
            host: Host::of(config.host_seed),
            links: Table::default(),
            devices: Devices::new(name, config.session_time.unwrap_or(limits::SESSION_TIME)),
            handles: Handles::default(),
            early: EarlyMessages::default(),
            pressed: Vec::new(),
            handshakes: Bucket::new(now, limits::HANDSHAKES_PER_SECOND, limits::HANDSHAKES_PER_SECOND),
            directs: Table::default(),
            mesh: Mesh::new(config.direct_peers),
            relinked: Vec::new(),
            outputs: VecDeque::new(),
            ready: VecDeque::new(),
            over: Vec::new(),
            state: State::Connecting,
            is_settled: false,
            is_network_gone: false,
            last_socket: 0,
            last_link: 0,
        };
        swarm.output(Output::Event(Event::State(State::Connecting)));
        for url in config.relays {
            swarm.add_relay(now, url);
        }
        for url in config.drive_peers {
            swarm.add_drive_peer(now, url);
        }
        swarm.handle_timeout(now);
        swarm
    }

    /// Joins a topic. Its handle gets every message that arrives on it from now on.
    pub fn join(&mut self, topic: &str) -> HandleId {
        let (handle, joined) = self.handles.join(topic);
        self.report_if(joined.err());
        handle
    }

    /// Watches peers come and go, and how they are reached. Those that are here are told to it first, as joins, then the routes to them.
    pub fn watch(&mut self) -> HandleId {
        self.tell_paths();
        let (watch, watched) = self.handles.watch();
        let is_watching = watched.is_ok();
        self.report_if(watched.err());
        if is_watching {
            self.tell_all(watch);
        }
        watch
    }

    /// Ends a topic or a watcher: nothing more comes on it, not even what has happened already.
    pub fn close_handle(&mut self, handle: HandleId) {
        self.handles.close(handle);
    }

    /// Whether a topic or a watcher could be had, and is not closed.
    pub fn is_open(&self, handle: HandleId) -> bool {
        self.handles.is_open(handle)
    }

    /// Sends a message to a peer. Nothing happens if the handle is closed, or the peer is unknown or departed; until the first relay
    /// is joined, a message to an id that nobody has yet waits for whoever gets it. A message that cannot be sent comes back in an
    /// [`Event::Error`].
    pub fn send(&mut self, topic: HandleId, peer: PeerId, message: Vec<u8>) {
        let Some(name) = self.handles.topic(topic).cloned() else {
            return;
        };
        let problem = |code, text: String, message| unsent(topic, &name, peer, code, text, message);
        if message.len() > limits::MESSAGE {
            let text = format!("a message has {} bytes, more than {}", message.len(), limits::MESSAGE);
            self.report(problem(Code::MessageTooLarge, text, message));
            return;
        }
        if !self.devices.was_assigned(peer) {
            if self.keeps_early(peer)
                && let Err(early) = self.early.push(EarlyMessage { handle: topic, topic: name.clone(), peer, message })
            {
                self.report(problem(Code::QueueFull, too_early(), early.message));
            }
            return;
        }
        if let Err(QueueFull { message, bound }) = self.send_to(peer, &name, message) {
            self.report(problem(Code::QueueFull, bound.to_string(), message));
        }
    }

    /// Why [`send`](Swarm::send) would give a message of this length back with `queue-full`, if it would: so that whoever holds the
    /// message elsewhere need not bring it here. A topic may still be one too many.
    pub fn refusal(&self, peer: PeerId, length: usize) -> Option<String> {
        if !self.devices.was_assigned(peer) {
            return (self.keeps_early(peer) && !self.early.has_room(length)).then(too_early);
        }
        let bound = self.bound(peer, length)?;
        bound.filter(|bound| *bound != Bound::All).map(|bound| bound.to_string())
    }

    /// Says goodbye to every peer and closes the sockets. [`resume`](Swarm::resume) comes back as the same device.
    pub fn goodbye(&mut self, now: Time) {
        self.leave_channels();
        for links in self.links_by_device() {
            let mut finished = None;
            for link in links {
                finished = self.say_goodbye(now, link, finished);
            }
        }
        let awaited: Vec<PeerId> = self.devices.kept().map(|device| device.peer).collect();
        for peer in awaited {
            self.end_session(now, peer, HangupReason::Done);
        }
        self.forget_channels();
        for place in self.places() {
            self.take_links(place);
            if let Some(socket) = self.endpoint(place).socket() {
                self.output(Output::Close { socket });
            }
            self.endpoint_mut(place).rest();
        }
        self.ready.clear();
        self.update_state();
    }

    /// Connects again after a [`goodbye`](Swarm::goodbye).
    pub fn resume(&mut self, now: Time) {
        if self.state == State::Closed {
            return;
        }
        self.is_network_gone = false;
        for place in self.places() {
            self.endpoint_mut(place).resume(now);
        }
        self.handle_timeout(now);
    }

    /// Says goodbye for good. Every handle is closed; the state is [`State::Closed`].
    pub fn close(&mut self, now: Time) {
        self.goodbye(now);
        self.handles.close_all();
        self.early.clear();
        self.set_state(State::Closed);
    }

    /// Does what is due. To be called at the moment of [`Output::Timeout`]; earlier does no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        self.excuse_busy_sockets(now);
        self.handle_socket_timeouts(now);
        self.handle_link_timeouts(now);
        self.handle_channel_timeouts(now);
        self.handle_session_timeouts(now);
        self.settle();
    }

    /// The next thing to do. After [`Output::Timeout`] there is none until the next input.
    pub fn poll_output(&mut self) -> Output {
        let output = self.next_output();
        if let Output::Write { socket, message } = &output
            && let Some((buffer, _)) = self.buffer_mut(*socket)
        {
            buffer.write(message.len());
        }
        output
    }

    fn next_output(&mut self) -> Output {
        self.tell_paths();
        while let Some(pending) = self.outputs.pop_front() {
            match pending {
                Pending::Output(output) if self.is_for_a_closed_handle(&output) => {}
                Pending::Output(output) => return output,
                Pending::Message { topic, peer, message } => self.hand_out(&topic, peer, &message),
            }
        }
        if let Some(data) = self.next_data() {
            return data;
        }
        self.relieve();
        match self.outputs.pop_front() {
            Some(Pending::Output(output)) => output,
            _ => Output::Timeout(self.next_timeout()),
        }
    }

    /// Whether anyone can be reached.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether a message to an id that nobody has waits for whoever gets it.
    fn keeps_early(&self, peer: PeerId) -> bool {
        !self.is_settled && peer.0 > 0 && self.state != State::Closed
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(Pending::Output(output));
    }

    /// Puts a message for each handle that its topic has now before everything else that waits.
    fn hand_out(&mut self, topic: &str, peer: PeerId, message: &Arc<Vec<u8>>) {
        for handle in self.handles.of_topic(topic).iter().rev() {
            let event = Event::Message { topic: *handle, peer, message: message.clone() };
            self.outputs.push_front(Pending::Output(Output::Event(event)));
        }
    }

    fn tell(&mut self, peer: PeerId, change: Change) {
        let (leaves, joins) = match change {
            Change::None => (false, false),
            Change::Joined => (false, true),
            Change::Left => (true, false),
            Change::LeftAndJoined => (true, true),
        };
        if leaves {
            self.tell_leave(peer);
        }
        self.report_forgotten();
        if joins {
            self.tell_join(peer);
            for EarlyMessage { handle, topic, peer, message } in self.early.take(peer) {
                if let Err(QueueFull { message, bound }) = self.send_to(peer, &topic, message) {
                    self.report(unsent(handle, &topic, peer, Code::QueueFull, bound.to_string(), message));
                }
            }
            self.note_pressure(peer);
        }
    }

    fn add_relay(&mut self, now: Time, url: &str) {
        let place = Place::Relay(self.relays.len());
        if self.relays.iter().all(|relay| relay.endpoint.url != url)
            && let Some(endpoint) = self.add_endpoint(now, place, url, limits::RELAYS)
        {
            self.relays.push(Relay::new(endpoint));
        }
    }

    fn add_drive_peer(&mut self, now: Time, url: &str) {
        let place = Place::DrivePeer(self.drive_peers.len());
        if self.drive_peers.iter().all(|peer| peer.endpoint.url != url)
            && let Some(endpoint) = self.add_endpoint(now, place, url, limits::DRIVE_PEERS)
        {
            self.drive_peers.push(DrivePeer { endpoint, link: None, patience: None });
        }
    }

    fn update_state(&mut self) {
        if self.state == State::Closed {
            return;
        }
        let is_first = self.state == State::Connecting && self.endpoints().any(|endpoint| !endpoint.has_been_tried);
        match (self.reaches_anyone(), is_first) {
            (true, _) => self.set_state(State::Ready),
            (false, true) => {}
            (false, false) => self.set_state(State::Offline),
        }
    }

    /// Whether a room is joined, or a device is here without one: a drive peer, on a stream of the host's, or directly.
    fn reaches_anyone(&self) -> bool {
        let is_here = |attached: &Attached| match attached.carrier {
            Carrier::Circuit { .. } | Carrier::DrivePeer(_) => false,
            // Without a network it may not be there any more, as a relay may not.
            Carrier::Channel(_) => !self.is_network_gone && attached.link.is_proved(),
            Carrier::Host(_) => attached.link.is_proved(),
        };
        self.places().into_iter().any(|place| self.is_reached(place)) || self.links.values().any(is_here)
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.output(Output::Event(Event::State(state)));
        }
    }

    /// Whoever was in the first room has been met, or cannot be: what still waits for an unknown peer is for nobody.
    fn settle(&mut self) {
        if self.is_settled {
            return;
        }
        let all_tried = self.endpoints().all(|endpoint| endpoint.has_been_tried);
        // Who is being connected to directly has been met.
        let is_met = |attached: &Attached| {
            let is_channel = matches!(attached.carrier, Carrier::Channel(_));
            is_channel || attached.role == Role::Responder || attached.link.is_proved()
        };
        let all_met = self.links.values().all(is_met);
        if self.reaches_anyone() && all_tried && all_met {
            self.is_settled = true;
            self.early.clear();
        }
    }

    fn report(&mut self, report: Report) {
        self.output(Output::Event(Event::Error(report)));
    }

    fn report_if(&mut self, report: Option<Report>) {
        if let Some(report) = report {
            self.report(report);
        }
    }

    fn is_for_a_closed_handle(&self, output: &Output) -> bool {
        match output {
            Output::Event(
                Event::Join { watch: handle, .. }
                | Event::Leave { watch: handle, .. }
                | Event::Path { watch: handle, .. }
                | Event::Message { topic: handle, .. }
                | Event::Drain { topic: handle, .. },
            ) => !self.handles.is_open(*handle),
            _ => false,
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        let endpoints = self.endpoints().filter_map(Endpoint::next_timeout);
        let redials = self.relays.iter().filter_map(Relay::next_timeout);
        let silences = self.drive_peers.iter().filter_map(|peer| peer.patience.as_ref().map(Patience::next_timeout));
        let links = self.links.values().map(|attached| attached.link.next_timeout());
        endpoints
            .chain(redials)
            .chain(silences)
            .chain(links)
            .chain(self.next_session_timeout())
            .chain(self.next_channel_timeout())
            .min()
    }

    fn entropy(&mut self) -> Entropy {
        Entropy { ephemeral: self.random.bytes(), header: self.random.bytes() }
    }
}

fn unsent(handle: HandleId, topic: &Arc<str>, peer: PeerId, code: Code, text: String, message: Vec<u8>) -> Report {
    let topic = Some(topic.clone());
    Report { handle: Some(handle), topic, peer: Some(peer), message: Some(message), ..Report::new(code, text) }
}

fn too_early() -> String {
    format!("{} messages or {} bytes wait for the first relay already", limits::EARLY_MESSAGES, limits::EARLY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_has_entropy_of_its_own() {
        let swarm = |seed| Swarm::new(Time::default(), [seed; 32], DriveKey::from_bytes([1; 32]), Config::default());
        let (mut one, mut other) = (swarm(1), swarm(2));
        let entropies = [one.entropy(), one.entropy(), other.entropy(), other.entropy()];
        for (index, entropy) in entropies.iter().enumerate() {
            for later in &entropies[index + 1..] {
                assert_ne!(entropy.ephemeral, later.ephemeral);
                assert_ne!(entropy.header, later.header);
            }
        }
    }
}
