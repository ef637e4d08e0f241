//! A device whose secret streams and muxes are run outside of the swarm, as npm's libraries do it where the drive is: the host's part.

use std::collections::BTreeMap;

use peersockets_core::channel::hypercore::{self, EXTENSION, Extensions, Received};
use peersockets_core::channel::peersockets;
use peersockets_core::conversation::Heard;
use peersockets_core::drive::DriveKey;
use peersockets_core::link::{self, HostAction};
use peersockets_core::secure::{DeviceKey, Role};
use peersockets_core::swarm::{Config, LinkId, Output, SocketId};

use crate::stream::{Channel, Plain, Sign, Stream};
use crate::world::{Delivery, Device, World, drive};

/// A host's streams, by the links that the swarm knows them as.
pub struct Host {
    seed: [u8; 32],
    key: DeviceKey,
    drive: DriveKey,
    streams: BTreeMap<LinkId, HostStream>,
    /// Names of what it was told to do and of what it told, in order.
    log: Vec<(LinkId, &'static str)>,
    /// Whether its muxes take no message for now.
    is_full: bool,
}

struct HostStream {
    stream: Stream,
    carrier: Carrier,
    extensions: Extensions,
    /// Whether the swarm has been told of the session and has not opened its channel yet.
    awaits_open: bool,
    /// What it wrote and may not write to its circuit for now.
    held: Vec<u8>,
    is_waiting: bool,
}

enum Carrier {
    Circuit,
    /// A page's WebSocket.
    Socket {
        device: usize,
        socket: SocketId,
    },
    /// A connection to a plain process, of Hyperswarm for instance.
    Plain(Box<Plain>),
}

impl World {
    /// A device of drive 1 on these relays, in a process that holds the drive.
    pub fn add_host(&mut self, relays: &[usize]) -> usize {
        self.start_host([0xa0 + self.devices.len() as u8; 32], relays)
    }

    /// Ends a device's process without a word, as a crash does: its sockets close, and what it still had to say is lost.
    pub fn crash(&mut self, device: usize) {
        let sockets: Vec<SocketId> = self.devices[device].sockets.keys().copied().collect();
        for socket in sockets {
            self.close_socket(device, socket);
        }
        let Device { swarm, events, held, unclosed, host, .. } = &mut self.devices[device];
        swarm.close(self.now);
        while !matches!(swarm.poll_output(), Output::Timeout(_)) {}
        events.clear();
        held.clear();
        unclosed.clear();
        if let Some(host) = host {
            host.streams.clear();
        }
        self.settle();
    }

    /// Starts a host's process again after a crash, on these relays: another device with the same key.
    pub fn start_again(&mut self, host: usize, relays: &[usize]) -> usize {
        let seed = self.host(host).seed;
        self.start_host(seed, relays)
    }

    fn start_host(&mut self, seed: [u8; 32], relays: &[usize]) -> usize {
        let urls = self.urls(relays, &[]);
        let config = Config { relays: &urls.0, drive_peers: &urls.1, host_seed: Some(seed), ..Config::default() };
        let index = self.add_in(drive(1), config);
        self.devices[index].host = Some(Host {
            seed,
            key: DeviceKey::from_seed(seed),
            drive: drive(1),
            streams: BTreeMap::new(),
            log: Vec::new(),
            is_full: false,
        });
        index
    }

    /// Connects a host to a plain process that has this drive open.
    pub fn connect(&mut self, host: usize, drive: DriveKey) -> LinkId {
        let (number, key) = (self.next_stream(), DeviceKey::from_seed([0xf1; 32]));
        let plain = Plain::new(Role::Responder, &key, number, drive);
        let link = self.add_stream(host, Role::Initiator, Carrier::Plain(Box::new(plain)));
        self.settle();
        link
    }

    /// The plain process that a host's stream leads to.
    pub fn connected(&mut self, host: usize, link: LinkId) -> &mut Plain {
        self.settle();
        match &mut self.host(host).streams.get_mut(&link).expect("it is there").carrier {
            Carrier::Plain(plain) => plain,
            _ => panic!("it leads elsewhere"),
        }
    }

    /// Lets what a host's plain remote wrote arrive.
    pub fn flush(&mut self, host: usize, link: LinkId) {
        self.send(Delivery::Go { device: host, link });
        self.settle();
    }

    /// A host's stream is over.
    pub fn end_stream(&mut self, host: usize, link: LinkId) {
        self.host(host).streams.remove(&link);
        self.devices[host].swarm.handle_stream_ended(self.now, link);
        self.send(Delivery::Go { device: host, link });
    }

    /// How many streams a host has.
    pub fn streams(&mut self, host: usize) -> usize {
        self.host(host).streams.len()
    }

    /// Whether a host's mux takes messages.
    pub fn set_full(&mut self, host: usize, is_full: bool) {
        self.host(host).is_full = is_full;
        let links: Vec<LinkId> = self.host(host).streams.keys().copied().collect();
        for link in links {
            self.devices[host].swarm.handle_stream_drained(link, !is_full);
        }
        self.settle();
    }

    /// Has a host's stream write bytes of its replication.
    pub fn replicate(&mut self, host: usize, link: LinkId, bytes: &[u8]) {
        let stream = &mut self.host(host).streams.get_mut(&link).expect("it is there").stream;
        stream.send(Channel::Drive, 3, bytes);
        self.flush(host, link);
    }

    /// Bytes that a host's stream wrote and was told to hold back.
    pub fn held(&mut self, host: usize, link: LinkId) -> usize {
        self.host(host).streams.get(&link).map_or(0, |stream| stream.held.len())
    }

    /// What a host was told to do with a stream, and what it told of it.
    pub fn log(&mut self, host: usize, link: LinkId) -> Vec<&'static str> {
        self.settle();
        let of_link = |(of, what): &(LinkId, &'static str)| (*of == link).then_some(*what);
        self.host(host).log.iter().filter_map(of_link).collect()
    }

    fn host(&mut self, device: usize) -> &mut Host {
        self.devices[device].host.as_mut().expect("it is a host")
    }

    pub(crate) fn host_socket(&mut self, host: usize, device: usize, socket: SocketId) -> LinkId {
        self.add_stream(host, Role::Responder, Carrier::Socket { device, socket })
    }

    pub(crate) fn host_bytes(&mut self, host: usize, link: LinkId, bytes: &[u8]) {
        if let Some(stream) = self.host(host).streams.get_mut(&link) {
            stream.stream.read(bytes);
            self.send(Delivery::Go { device: host, link });
        }
    }

    pub(crate) fn act(&mut self, device: usize, link: LinkId, action: HostAction) {
        self.host(device).log.push((link, name(&action)));
        if action == HostAction::End {
            // What was written before goes before.
            self.carry(device, link);
            let stream = self.host(device).streams.remove(&link);
            if let Some(Carrier::Socket { device, socket }) = stream.map(|stream| stream.carrier) {
                self.send(Delivery::Closed { device, socket });
            }
            return;
        }
        if let HostAction::Start(role) = action {
            let number = self.next_stream();
            let host = self.host(device);
            let stream = HostStream::new(Stream::new(role, &host.key, number), Carrier::Circuit);
            assert!(host.streams.insert(link, stream).is_none(), "a stream is started once");
            return self.send(Delivery::Go { device, link });
        }
        let host = self.host(device);
        // What was decided before the swarm heard that a stream is over is too late.
        let Some(stream) = host.streams.get_mut(&link) else {
            return;
        };
        match action {
            HostAction::Start(_) | HostAction::End => {}
            HostAction::Read(bytes) => stream.stream.read(&bytes),
            HostAction::Drained => {
                stream.is_waiting = false;
                self.devices[device].swarm.handle_stream_drained(link, true);
            }
            HostAction::Open { id, handshake } => {
                stream.awaits_open = false;
                stream.stream.open(Channel::Peersockets, peersockets::PROTOCOL, &id, &handshake);
            }
            HostAction::Message(frame) => {
                stream.stream.send(Channel::Peersockets, frame.kind, &frame.payload);
            }
            HostAction::Extension(topic, message) => {
                let payload = stream.extensions.write(&topic, &message);
                stream.stream.send(Channel::Drive, EXTENSION, &payload);
            }
            HostAction::Replicate => stream.stream.replicate(&host.drive),
        }
        if self.host(device).is_full {
            self.devices[device].swarm.handle_stream_drained(link, false);
        }
        self.send(Delivery::Go { device, link });
    }

    /// Lets a host's stream write, and hear one thing: what the swarm does about that comes before the next.
    pub(crate) fn go(&mut self, host: usize, link: LinkId) {
        self.carry(host, link);
        let now = self.now;
        let Device { swarm, host: Some(Host { drive, streams, log, .. }), .. } = &mut self.devices[host] else {
            return;
        };
        let Some(stream) = streams.get_mut(&link).filter(|stream| !stream.awaits_open) else {
            return;
        };
        let Some(sign) = stream.stream.next_sign() else {
            if stream.stream.is_broken {
                return self.end_stream(host, link);
            }
            return self.carry(host, link);
        };
        let HostStream { stream, carrier, extensions, awaits_open, .. } = stream;
        match sign {
            Sign::Session(session) => {
                *awaits_open = true;
                if !matches!(carrier, Carrier::Circuit) {
                    stream.replicate(drive);
                }
                swarm.handle_stream_opened(now, link, session);
            }
            Sign::Opened(Channel::Peersockets, handshake) => {
                log.push((link, "heard open"));
                swarm.handle_stream_heard(now, link, Heard::Opened(&handshake));
            }
            Sign::Closed(Channel::Peersockets) => swarm.handle_stream_heard(now, link, Heard::Closed),
            Sign::Message(Channel::Peersockets, kind, payload) => {
                swarm.handle_stream_heard(now, link, Heard::Message(kind, &payload));
            }
            Sign::Opened(Channel::Drive, handshake) => {
                let (role, hash) = (stream.role().other(), stream.hash());
                hypercore::verify_open(&handshake, drive, role, &hash).expect("an honest remote");
                log.push((link, "replicates"));
                swarm.handle_stream_heard(now, link, Heard::DriveOpened);
            }
            Sign::Closed(Channel::Drive) => swarm.handle_stream_heard(now, link, Heard::DriveClosed),
            Sign::Message(Channel::Drive, kind, payload) => {
                if let Ok(Some(Received::Message { topic, bytes })) = extensions.read(kind, &payload) {
                    swarm.handle_stream_heard(now, link, Heard::Extension(topic, bytes));
                }
            }
            Sign::Opened(Channel::Blobs, _) | Sign::Closed(Channel::Blobs) | Sign::Message(Channel::Blobs, ..) => {}
        }
        self.carry(host, link);
        self.send(Delivery::Go { device: host, link });
    }

    fn add_stream(&mut self, host: usize, role: Role, carrier: Carrier) -> LinkId {
        let number = self.next_stream();
        let link = self.devices[host].swarm.handle_stream(self.now, link::Host::Here);
        let of_host = self.host(host);
        let stream = Stream::new(role, &of_host.key, number);
        of_host.streams.insert(link, HostStream::new(stream, carrier));
        self.send(Delivery::Go { device: host, link });
        link
    }

    /// Takes what a stream wrote to where it leads.
    fn carry(&mut self, host: usize, link: LinkId) {
        loop {
            let Some(stream) = self.host(host).streams.get_mut(&link) else {
                return;
            };
            let mut written = std::mem::take(&mut stream.held);
            written.extend(stream.stream.written());
            match &mut stream.carrier {
                Carrier::Plain(plain) => {
                    plain.read(&written);
                    let answer = plain.written();
                    stream.stream.read(&answer);
                    if answer.is_empty() {
                        return;
                    }
                }
                _ if written.is_empty() => return,
                Carrier::Circuit if stream.is_waiting => {
                    stream.held = written;
                    return;
                }
                Carrier::Circuit => {
                    let (first, rest) = written.split_at(written.len().min(100_000));
                    stream.held = rest.to_vec();
                    let swarm = &mut self.devices[host].swarm;
                    let is_waiting = swarm.handle_stream_written(link, first);
                    if is_waiting {
                        swarm.handle_stream_drained(link, false);
                    }
                    if let Some(stream) = self.host(host).streams.get_mut(&link) {
                        stream.is_waiting = is_waiting;
                    }
                }
                Carrier::Socket { device, socket } => {
                    let delivery = Delivery::ToDevice { device: *device, socket: *socket, message: written };
                    self.send(delivery);
                }
            }
        }
    }
}

impl HostStream {
    fn new(stream: Stream, carrier: Carrier) -> Self {
        Self {
            stream,
            carrier,
            extensions: Extensions::default(),
            awaits_open: false,
            held: Vec::new(),
            is_waiting: false,
        }
    }
}

fn name(action: &HostAction) -> &'static str {
    match action {
        HostAction::Start(Role::Initiator) => "start as initiator",
        HostAction::Start(Role::Responder) => "start as responder",
        HostAction::Read(_) => "read",
        HostAction::Drained => "drained",
        HostAction::Open { .. } => "open",
        HostAction::Message(_) => "message",
        HostAction::Extension(..) => "extension",
        HostAction::Replicate => "replicate",
        HostAction::End => "end",
    }
}
