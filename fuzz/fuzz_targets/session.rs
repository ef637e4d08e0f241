//! Two devices of a remote that has the drive key and keeps sessions as it likes, on several links at once: it claims any incarnation and
//! any number, acknowledges what it likes, says goodbye and comes back, and signals what it likes so that its devices become directly
//! connected. Messages are given out in order and once, to who is here; what is sent to a device has one number in each session; nothing is
//! asked of a direct connection that is over, or that cannot be done.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use peersockets_core::channel::peersockets::{
    ACK, GOODBYE, Incarnation, MESSAGE, PING, PONG, PROTOCOL, RESUME, Standing, TOPIC, Terms, open_handshake,
    verify_open,
};
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::rtc::signal::{SIGNALS, Said, Signal};
use peersockets_core::rtc::{Candidate, Connectivity};
use peersockets_core::secure::{Role, Secure};
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, SocketFailure, SocketId, Swarm};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::{Encode, MAX_UINT, Reader};
use peersockets_fuzz::connection::Connection;
use peersockets_fuzz::peer::Peer;
use peersockets_fuzz::{device, drive, entropy, taken_apart};

const STEPS: usize = 64;
const LINKS: usize = 32;
const OWN_MEMBER: Member = 1;
/// One for two devices: one has to make way for the other.
const DIRECT_PEERS: usize = 1;
/// The remote's devices. The key of the first is less than ours, that of the second greater: of two offers at once ours counts, or theirs.
const DEVICES: [u8; 2] = [8, 2];
/// The length of some of our messages: a few of them are worth a direct connection.
const LONG: usize = 4_096;
/// Payloads of signals that are none.
const MALFORMED: [&[u8]; 4] = [&[], &[0xff], &[1, 0xfd], &[1, 2, 0xff, 0xfe]];

struct Meeting {
    now: Time,
    swarm: Swarm,
    topic: HandleId,
    watch: HandleId,
    socket: Option<SocketId>,
    /// All that there ever were.
    connections: Vec<Connection>,
    /// Messages to sockets that were not looked at yet.
    written: VecDeque<(SocketId, Vec<u8>)>,
    links: Vec<Remote>,
    /// What is known of each of the remote's devices.
    peers: [Peer; DEVICES.len()],
    /// The device that has proved the drive key last.
    last_proof: usize,
    sent: u32,
    sent_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Circuit(Line),
    Channel(SocketId),
}

/// The remote's end of a link.
struct Remote {
    device: usize,
    carrier: Carrier,
    role: Role,
    /// Whether its Open says that it takes signals.
    is_direct: bool,
    secure: Secure,
    /// What its Open says.
    standing: Standing,
    /// Which of the remote's ends that is: it grows whenever it takes another.
    incarnation: u32,
    /// Our end, as our Open says.
    ours: Option<Incarnation>,
    has_opened: bool,
    is_over: bool,
    /// The number of its next message.
    next: Option<u64>,
    /// The number of our next message.
    our_next: Option<u64>,
    /// The number of our last question.
    question: u64,
}

impl Meeting {
    fn new() -> Self {
        let now = Time::default();
        let relays = ["ws://relay/".to_owned()];
        let config = Config { relays: &relays, direct_peers: DIRECT_PEERS, ..Config::default() };
        let mut swarm = Swarm::new(now, [1; 32], drive(), config);
        let own_key = swarm.stats().device_key;
        assert_eq!(DEVICES.map(|number| device(number).public() < own_key), [true, false]);
        let (topic, watch) = (swarm.join("chat"), swarm.watch());
        let mut meeting = Self {
            now,
            swarm,
            topic,
            watch,
            socket: None,
            connections: Vec::new(),
            written: VecDeque::new(),
            links: Vec::new(),
            peers: Default::default(),
            last_proof: 0,
            sent: 0,
            sent_bytes: 0,
        };
        meeting.settle();
        meeting
    }

    /// The remote begins a link. `how` says which of its devices does, whether on the open data channel, and whether it takes no signals;
    /// `claims` which end of a session it takes itself for, and what it knows of ours.
    fn begin(&mut self, how: usize, claims: u8) {
        // No more than a device takes handshakes.
        self.pass(Duration::from_millis(60));
        let (device_index, number) = (how & 1, self.links.len());
        if number >= LINKS || how & 2 == 0 && self.socket.is_none() {
            return;
        }
        let (carrier, role, unread) = if how & 2 == 0 {
            let line = Line { member: OWN_MEMBER + 1 + number as Member, circuit: 1 };
            (Carrier::Circuit(line), Role::Initiator, Vec::new())
        } else {
            let read = |connection: &mut Connection| Some((connection.socket, connection.read()?));
            let Some((socket, unread)) = self.connections.last_mut().and_then(read) else {
                return;
            };
            // Who has written to a channel is who begins there.
            let role = if unread.is_empty() { Role::Initiator } else { Role::Responder };
            (Carrier::Channel(socket), role, unread)
        };
        let own = Incarnation { device: [1 + (claims & 1); 32], epoch: u64::from(claims >> 1 & 3) };
        let before: Vec<&Remote> = self.links.iter().filter(|link| link.device == device_index).collect();
        let ours = before.iter().rev().find_map(|link| link.ours);
        let other = match claims >> 3 & 3 {
            0 => None,
            1 => Some(Incarnation { device: [9; 32], epoch: 0 }),
            _ => ours,
        };
        let incarnation = before.last().map_or(0, |last| last.incarnation + u32::from(last.standing.own != own));
        self.links.push(Remote {
            device: device_index,
            carrier,
            role,
            is_direct: how & 4 == 0,
            secure: Secure::new(role, &device(DEVICES[device_index]), entropy(2 + number as u8)),
            standing: Standing { own, other, received: u64::from(claims >> 5) },
            incarnation,
            ours: None,
            has_opened: false,
            is_over: false,
            next: None,
            our_next: None,
            question: 0,
        });
        if let Carrier::Circuit(line) = carrier {
            self.relay_says(&FromRelay::Dialed(line));
        }
        self.read(number, &unread);
    }

    /// The remote says something on one of its links.
    fn say(&mut self, which: usize, kind: u64, fields: &[u64]) {
        let mut payload = Vec::new();
        fields.iter().for_each(|field| payload.put_uint(*field));
        self.say_payload(which, kind, &payload);
    }

    fn say_payload(&mut self, which: usize, kind: u64, payload: &[u8]) {
        let Some(index) = self.pick(which) else {
            return;
        };
        let mut frame = vec![1];
        frame.put_uint(kind);
        frame.extend_from_slice(payload);
        if self.links[index].secure.seal(frame) {
            self.write(index);
        }
    }

    /// The remote's next message on a link: it tells whose it is, and its number.
    fn say_message(&mut self, which: usize) {
        let Some(index) = self.pick(which) else {
            return;
        };
        let Remote { next, standing, .. } = &mut self.links[index];
        let number = next.unwrap_or_default();
        *next = next.map(|number| number.saturating_add(1));
        let Incarnation { device, epoch } = standing.own;
        self.say(which, MESSAGE, &[0, device[0].into(), epoch, number]);
    }

    /// The remote says a signal, of an attempt that is near those that there were, or of the last that can be counted.
    fn signal(&mut self, which: usize, argument: u8) {
        let number = argument >> 3;
        let said = match argument & 7 {
            0 | 1 => Said::Offer("offer".to_owned()),
            2 => Said::Answer("answer".to_owned()),
            3 => Said::NoPlace,
            4 => Said::Candidate(candidate()),
            5 => Said::Close,
            6 => Said::Offer("o".repeat(limits::DESCRIPTION + 1)),
            _ => {
                let kind = SIGNALS.start() + u64::from(number & 3);
                return self.say_payload(which, kind, MALFORMED[usize::from(number >> 2) % MALFORMED.len()]);
            }
        };
        let attempt = if number == 31 { MAX_UINT } else { number.into() };
        let (kind, payload) = Signal { attempt, said }.encode();
        self.say_payload(which, kind, &payload);
    }

    /// The browser tells what becomes of a direct connection: of the last one, or of one before.
    fn tell(&mut self, which: usize, argument: u8) {
        let (now, number) = (self.now, usize::from(argument >> 3));
        let Some(connection) = self.connections.iter_mut().rev().nth(which) else {
            return;
        };
        let socket = connection.socket;
        match argument & 7 {
            0 => {
                let length = if number == 31 { limits::DESCRIPTION + 1 } else { number };
                self.swarm.handle_description(now, socket, "d".repeat(length));
            }
            1 => self.swarm.handle_candidate(now, socket, candidate()),
            2 => {
                use Connectivity::{Connected, Disconnected, Failed};
                self.swarm.handle_connectivity(now, socket, [Connected, Disconnected, Failed][number % 3]);
            }
            3 => {
                connection.open();
                self.swarm.handle_socket_opened(now, socket);
            }
            4 => self.swarm.handle_socket_closed(now, socket),
            5 => self.swarm.handle_socket_failed(now, socket, SocketFailure::Unreachable),
            6 => {
                connection.is_stuck = number > 0;
                self.swarm.handle_socket_buffered(socket, number * LONG * 4);
            }
            _ => self.swarm.handle_socket_text(now, socket),
        }
        self.settle();
    }

    /// The remote answers our last question on a link.
    fn answer(&mut self, which: usize) {
        if let Some(index) = self.pick(which) {
            self.say(which, PONG, &[self.links[index].question]);
        }
    }

    fn resume(&mut self, which: usize, number: u64) {
        if let Some(index) = self.pick(which) {
            self.links[index].next = Some(number);
        }
        self.say(which, RESUME, &[number]);
        self.declare(which);
    }

    fn declare(&mut self, which: usize) {
        if let Some(index) = self.pick(which) {
            let mut frame = vec![1, TOPIC as u8, 0];
            frame.put_string("chat");
            if self.links[index].secure.seal(frame) {
                self.write(index);
            }
        }
    }

    fn hang_up(&mut self, which: usize) {
        if let Some(index) = self.pick(which) {
            match self.links[index].carrier {
                Carrier::Circuit(line) => {
                    self.links[index].is_over = true;
                    self.relay_says(&FromRelay::HungUp(line, HangupReason::Done));
                }
                Carrier::Channel(socket) => {
                    self.swarm.handle_socket_closed(self.now, socket);
                    self.settle();
                }
            }
        }
    }

    fn close_socket(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.end_circuits();
            self.swarm.handle_socket_closed(self.now, socket);
            self.settle();
        }
    }

    fn end_circuits(&mut self) {
        let circuits = self.links.iter_mut().filter(|link| matches!(link.carrier, Carrier::Circuit(_)));
        circuits.for_each(|link| link.is_over = true);
    }

    fn send(&mut self, which: usize, length: usize) {
        if let Some(peer) = self.peers[which % DEVICES.len()].id {
            self.sent += 1;
            self.sent_bytes += length;
            let mut message = self.sent.to_le_bytes().to_vec();
            message.resize(length, 0);
            self.swarm.send(self.topic, peer, message);
            self.settle();
        }
    }

    /// The device leaves for good: nothing of it is left.
    fn close(&mut self) {
        self.swarm.close(self.now);
        self.settle();
        assert!(self.socket.is_none() && self.connections.iter().all(|it| it.is_closed), "every socket is closed");
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.swarm.handle_timeout(self.now);
        self.settle();
    }

    /// A link that is not over.
    fn pick(&self, which: usize) -> Option<usize> {
        let living: Vec<usize> = (0..self.links.len()).filter(|index| !self.links[*index].is_over).collect();
        living.get(which % living.len().max(1)).copied()
    }

    fn write(&mut self, index: usize) {
        let Remote { carrier, secure, is_over, .. } = &mut self.links[index];
        let bytes = secure.take_output(limits::CIRCUIT_CHUNK);
        if bytes.is_empty() || *is_over {
            return;
        }
        match *carrier {
            Carrier::Circuit(line) => self.relay_says(&FromRelay::Data(line, &bytes)),
            Carrier::Channel(socket) => {
                assert!(
                    self.swarm.handle_socket_length(self.now, socket, bytes.len()),
                    "it is open, and this is short"
                );
                self.swarm.handle_socket_message(self.now, socket, &bytes);
                self.settle();
            }
        }
    }

    /// The remote reads what we wrote on a link, and answers.
    fn read(&mut self, index: usize, bytes: &[u8]) {
        self.links[index].secure.handle_bytes(bytes);
        while let Some(frame) =
            self.links[index].secure.poll_frame(limits::SEALED_FRAME).expect("we write what can be read")
        {
            for frame in taken_apart(frame) {
                self.hear(index, &frame);
            }
        }
        if self.links[index].open() {
            self.last_proof = self.links[index].device;
        }
        self.write(index);
    }

    fn relay_says(&mut self, frame: &FromRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        if let Some(socket) = self.socket {
            self.swarm.handle_socket_message(self.now, socket, &message);
            self.settle();
        }
    }

    /// Does all that the swarm wants, and then looks at what it wrote: what it told comes before.
    fn settle(&mut self) {
        let mut opened = None;
        loop {
            match self.swarm.poll_output() {
                Output::Open { socket, .. } => opened = Some(socket),
                Output::Write { socket, message } => self.take_message(socket, message),
                Output::Close { socket } => self.forget(socket),
                Output::Event(event) => self.check(event),
                Output::Host { .. } => panic!("there is no host"),
                Output::Connect { socket, .. } => {
                    self.connections.push(Connection::new(socket));
                    let open = self.connections.iter().filter(|connection| !connection.is_closed).count();
                    assert!(open <= DIRECT_PEERS, "{open} direct connections at once");
                }
                Output::Negotiate { socket, step } => self.connection(socket).expect("it was begun").take(&step),
                Output::Timeout(_) => break,
            }
        }
        if let Some(socket) = opened {
            self.socket = Some(socket);
            self.swarm.handle_socket_opened(self.now, socket);
            self.settle();
        }
        while let Some((socket, message)) = self.written.pop_front() {
            match self.connection(socket) {
                Some(_) => self.channel_carries(socket, &message),
                None => self.relay_hears(&message),
            }
        }
    }

    fn take_message(&mut self, socket: SocketId, message: Vec<u8>) {
        let (message, is_stuck) = match self.connection(socket) {
            Some(connection) => (connection.write(message), connection.is_stuck),
            None => {
                assert_eq!(self.socket, Some(socket), "it writes to a socket that is open");
                (Some(message), false)
            }
        };
        self.written.extend(message.map(|message| (socket, message)));
        if !is_stuck {
            self.swarm.handle_socket_buffered(socket, 0);
        }
    }

    fn forget(&mut self, socket: SocketId) {
        if let Some(connection) = self.connection(socket) {
            connection.close();
            let links = self.links.iter_mut().filter(|link| link.carrier == Carrier::Channel(socket));
            links.for_each(|link| link.is_over = true);
        } else {
            assert!(self.socket.is_none_or(|open| open == socket), "a socket is closed once");
            self.socket = None;
            self.end_circuits();
        }
    }

    fn connection(&mut self, socket: SocketId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.socket == socket)
    }

    /// The link that is carried so, if it is not over.
    fn carried(&self, carrier: Carrier) -> Option<usize> {
        self.links.iter().position(|link| link.carrier == carrier && !link.is_over)
    }

    fn channel_carries(&mut self, socket: SocketId, bytes: &[u8]) {
        if let Some(index) = self.carried(Carrier::Channel(socket)) {
            self.read(index, bytes);
        }
    }

    fn relay_hears(&mut self, message: &[u8]) {
        match ToRelay::decode(message).expect("a device writes well-formed frames") {
            ToRelay::Join { .. } => self.relay_says(&FromRelay::Welcome {
                member: OWN_MEMBER,
                lends: false,
                counts_direct: false,
                present: Vec::new(),
            }),
            ToRelay::Dial(line) => self.relay_says(&FromRelay::HungUp(line, HangupReason::Gone)),
            ToRelay::Hangup(line, _) => {
                let links = self.links.iter_mut().filter(|link| link.carrier == Carrier::Circuit(line));
                links.for_each(|link| link.is_over = true);
            }
            ToRelay::Data(line, bytes) => {
                if let Some(index) = self.carried(Carrier::Circuit(line)) {
                    self.read(index, bytes);
                }
            }
            other => panic!("this relay lends no credit: {other:?}"),
        }
    }

    /// The remote reads a frame of ours.
    fn hear(&mut self, index: usize, frame: &[u8]) {
        let link = &mut self.links[index];
        let peer = &mut self.peers[link.device];
        let mut reader = Reader::new(frame);
        let mut uint = || reader.uint().expect("a number");
        match (uint(), uint()) {
            (0, 1) => {
                let hash = *link.secure.handshake_hash().expect("it is complete");
                assert_eq!(reader.uint(), Ok(1));
                assert_eq!(reader.string(), Ok(PROTOCOL));
                assert_eq!(reader.buffer(), Ok(&drive().channel_id(&hash)[..]));
                let standing =
                    verify_open(reader.rest(), &drive(), link.role.other(), &hash).expect("our proof").standing;
                link.ours = standing.map(|standing| standing.own);
            }
            (0, _) => {}
            (1, RESUME) => link.our_next = Some(uint()),
            (1, MESSAGE) => {
                assert_eq!(uint(), 0);
                let sent = u32::from_le_bytes(*reader.rest().first_chunk().expect("what was sent"));
                let number = link.our_next.expect("a number came before it");
                link.our_next = Some(number + 1);
                peer.read(link.incarnation, link.ours.expect("it is open").epoch, number, sent);
            }
            (1, ACK) => assert!(uint() <= peer.most, "acknowledged and not given out"),
            (1, PING) => link.question = uint(),
            (1, kind) if SIGNALS.contains(&kind) => {
                assert!(link.is_direct, "a signal to who takes none");
                assert!(matches!(Signal::decode(kind, reader.rest()), Ok(Some(_))), "we say what can be read");
            }
            (1, _) => {}
            other => panic!("we wrote {other:?}"),
        }
    }

    fn check(&mut self, event: Event) {
        match event {
            Event::Join { watch, peer } => {
                assert_eq!(watch, self.watch);
                let known = self.peers.iter().position(|known| known.id == Some(peer));
                self.peers[known.unwrap_or(self.last_proof)].join(peer);
            }
            Event::Leave { watch, peer } => {
                assert_eq!(watch, self.watch);
                self.present(peer).leave();
            }
            Event::Message { topic, peer, message } => {
                assert_eq!(topic, self.topic);
                self.present(peer).hear(&message);
            }
            Event::Path { watch, peer, .. } => {
                assert_eq!(watch, self.watch);
                self.present(peer);
            }
            Event::Drain { .. } | Event::Error(_) | Event::State(_) => {}
        }
    }

    fn present(&mut self, id: PeerId) -> &mut Peer {
        let peer = self.peers.iter_mut().find(|peer| peer.id == Some(id) && peer.is_here);
        peer.expect("it is told of who is here only")
    }

    fn check_stats(&self) {
        let stats = self.swarm.stats();
        let kept: usize = stats.peers.iter().map(|peer| peer.queued_bytes).sum();
        assert!(kept <= self.sent_bytes, "{kept} bytes are kept of {}", self.sent_bytes);
        for peer in &stats.peers {
            let number =
                DEVICES.iter().position(|number| device(*number).public() == peer.key).expect("one of the two");
            assert_eq!(self.peers[number].id, Some(peer.peer), "one device key is one peer");
        }
    }
}

impl Remote {
    /// Proves the drive key, once it can. Returns whether it does now.
    fn open(&mut self) -> bool {
        if let (Some(hash), false) = (self.secure.handshake_hash(), self.has_opened) {
            let mut open = vec![0, 1, 1];
            open.put_string(PROTOCOL);
            open.put_buffer(&drive().channel_id(hash));
            let terms = Terms { standing: Some(self.standing), is_direct: self.is_direct };
            open.extend(open_handshake(&drive(), self.role, hash, &terms));
            self.has_opened = self.secure.seal(open);
            return true;
        }
        false
    }
}

fn candidate() -> Candidate {
    Candidate { candidate: "candidate".to_owned(), mid: None }
}

fuzz_target!(|input: &[u8]| {
    // A step is a byte that says what and on which link, and an argument.
    let mut meeting = Meeting::new();
    for step in input.chunks_exact(2).take(STEPS) {
        let (which, argument) = (usize::from(step[0] >> 4), step[1]);
        // Most numbers are near those that are right.
        let number = if argument == u8::MAX { u64::MAX } else { u64::from(argument) };
        match step[0] & 0xf {
            0 => meeting.begin(which, argument),
            1 => meeting.signal(which, argument),
            2 => meeting.resume(which, number),
            3 => (0..1 + argument % 8).for_each(|_| meeting.say_message(which)),
            4 => meeting.say(which, ACK, &[number]),
            5 => meeting.say(which, GOODBYE, &[number]),
            6 => meeting.say(which, GOODBYE, &[]),
            7 if argument == 0 => meeting.say(which, PING, &[]),
            7 => meeting.answer(which),
            8 => meeting.declare(which),
            9 => {
                let length = if argument < 128 { size_of::<u32>() } else { LONG };
                (0..1 + argument % 8).for_each(|_| meeting.send(which, length));
            }
            10 => meeting.hang_up(which),
            11 => meeting.close_socket(),
            12 => meeting.relay_says(&FromRelay::Left(OWN_MEMBER + 1 + Member::from(argument))),
            13 => meeting.pass(Duration::from_secs(argument.into())),
            14 => meeting.pass(Duration::from_millis(u64::from(argument) * 10)),
            _ => meeting.tell(which, argument),
        }
        meeting.check_stats();
    }
    meeting.close();
});
