//! A remote that has the drive key and keeps a session as it likes, on several links at once: it claims any incarnation and any number,
//! acknowledges what it likes, says goodbye and comes back. Messages are given out in order and once, to who is here; what is sent
//! to it has one number in each session.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use peersockets_core::channel::peersockets::{
    ACK, GOODBYE, Incarnation, MESSAGE, PING, PROTOCOL, RESUME, Standing, TOPIC, open_handshake, verify_open,
};
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::secure::{Role, Secure};
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, SocketId, Swarm};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::{Encode, Reader};
use peersockets_fuzz::{device, drive, entropy};

const STEPS: usize = 64;
const LINKS: usize = 32;
const OWN_MEMBER: Member = 1;

struct Meeting {
    now: Time,
    swarm: Swarm,
    topic: HandleId,
    watch: HandleId,
    socket: Option<SocketId>,
    links: Vec<Remote>,
    peer: Option<PeerId>,
    is_here: bool,
    /// The remote's end that was heard last, and the number of its next message.
    heard: Option<(Incarnation, u64)>,
    has_left_since: bool,
    /// The highest number that was given out.
    most: u64,
    sent: u32,
    /// What was sent to the remote, by the ends of the session and number.
    numbered: BTreeMap<(u32, u64, u64), u32>,
}

/// The remote's end of a link.
struct Remote {
    line: Line,
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
}

impl Meeting {
    fn new() -> Self {
        let now = Time::default();
        let relays = ["ws://relay/".to_owned()];
        let mut swarm = Swarm::new(now, [1; 32], drive(), Config { relays: &relays, ..Config::default() });
        let (topic, watch) = (swarm.join("chat"), swarm.watch());
        let mut meeting = Self {
            now,
            swarm,
            topic,
            watch,
            socket: None,
            links: Vec::new(),
            peer: None,
            is_here: false,
            heard: None,
            has_left_since: false,
            most: 0,
            sent: 0,
            numbered: BTreeMap::new(),
        };
        meeting.settle();
        meeting
    }

    /// The remote dials. `claims` says which end of a session it takes itself for, and what it knows of ours.
    fn dial(&mut self, claims: u8) {
        // No more than a device takes handshakes.
        self.pass(Duration::from_millis(60));
        let number = self.links.len();
        if number >= LINKS || self.socket.is_none() {
            return;
        }
        let own = Incarnation { device: [1 + (claims & 1); 32], epoch: u64::from(claims >> 1 & 3) };
        let ours = self.links.iter().rev().find_map(|link| link.ours);
        let other = match claims >> 3 & 3 {
            0 => None,
            1 => Some(Incarnation { device: [9; 32], epoch: 0 }),
            _ => ours,
        };
        let last = self.links.last();
        let incarnation = last.map_or(0, |last| last.incarnation + u32::from(last.standing.own != own));
        let line = Line { member: OWN_MEMBER + 1 + number as Member, circuit: 1 };
        self.links.push(Remote {
            line,
            secure: Secure::new(Role::Initiator, &device(2), entropy(2 + number as u8)),
            standing: Standing { own, other, received: u64::from(claims >> 5) },
            incarnation,
            ours: None,
            has_opened: false,
            is_over: false,
            next: None,
            our_next: None,
        });
        self.relay_says(&FromRelay::Dialed(line));
        self.write(number);
    }

    /// The remote says something on one of its links.
    fn say(&mut self, which: usize, kind: u64, fields: &[u64]) {
        let Some(index) = self.pick(which) else {
            return;
        };
        let mut frame = vec![1];
        frame.put_uint(kind);
        fields.iter().for_each(|field| frame.put_uint(*field));
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
            self.links[index].is_over = true;
            let line = self.links[index].line;
            self.relay_says(&FromRelay::HungUp(line, HangupReason::Done));
        }
    }

    fn close_socket(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.links.iter_mut().for_each(|link| link.is_over = true);
            self.swarm.handle_socket_closed(self.now, socket);
            self.settle();
        }
    }

    fn send(&mut self) {
        if let Some(peer) = self.peer {
            self.sent += 1;
            self.swarm.send(self.topic, peer, self.sent.to_le_bytes().to_vec());
            self.settle();
        }
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
        let Remote { line, secure, is_over, .. } = &mut self.links[index];
        let bytes = secure.take_output(limits::CIRCUIT_CHUNK);
        if !bytes.is_empty() && !*is_over {
            let line = *line;
            self.relay_says(&FromRelay::Data(line, &bytes));
        }
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
        let (mut written, mut opened) = (Vec::new(), None);
        loop {
            match self.swarm.poll_output() {
                Output::Open { socket, .. } => opened = Some(socket),
                Output::Write { message, .. } => written.push(message),
                Output::Close { socket } => {
                    assert!(self.socket.is_none_or(|open| open == socket), "a socket is closed once");
                    self.socket = None;
                    self.links.iter_mut().for_each(|link| link.is_over = true);
                }
                Output::Event(event) => self.check(event),
                Output::Host { .. } => panic!("there is no host"),
                Output::Connect { .. } | Output::Negotiate { .. } => panic!("it connects to nobody directly"),
                Output::Timeout(_) => break,
            }
        }
        if let Some(socket) = opened {
            self.socket = Some(socket);
            self.swarm.handle_socket_opened(self.now, socket);
            self.settle();
        }
        for message in written {
            self.relay_hears(&message);
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
                self.links.iter_mut().filter(|link| link.line == line).for_each(|link| link.is_over = true);
            }
            ToRelay::Data(line, bytes) => {
                if let Some(index) = self.links.iter().position(|link| link.line == line && !link.is_over) {
                    self.links[index].secure.handle_bytes(bytes);
                    while let Some(frame) =
                        self.links[index].secure.poll_frame(limits::SEALED_FRAME).expect("we write what can be read")
                    {
                        self.hear(index, &frame);
                    }
                    self.links[index].open();
                    self.write(index);
                }
            }
            other => panic!("this relay lends no credit: {other:?}"),
        }
    }

    /// The remote reads a frame of ours.
    fn hear(&mut self, index: usize, frame: &[u8]) {
        let link = &mut self.links[index];
        let mut reader = Reader::new(frame);
        let mut uint = || reader.uint().expect("a number");
        match (uint(), uint()) {
            (0, 1) => {
                let hash = *link.secure.handshake_hash().expect("it is complete");
                assert_eq!(reader.uint(), Ok(1));
                assert_eq!(reader.string(), Ok(PROTOCOL));
                assert_eq!(reader.buffer(), Ok(&drive().channel_id(&hash)[..]));
                let standing =
                    verify_open(reader.rest(), &drive(), Role::Responder, &hash).expect("our proof").standing;
                link.ours = standing.map(|standing| standing.own);
            }
            (0, _) => {}
            (1, RESUME) => link.our_next = Some(uint()),
            (1, MESSAGE) => {
                assert_eq!(uint(), 0);
                let sent = u32::from_le_bytes(reader.rest().try_into().expect("what was sent"));
                let number = link.our_next.expect("a number came before it");
                link.our_next = Some(number + 1);
                let (theirs, ours) = (link.incarnation, link.ours.expect("it is open"));
                let session = |number| (theirs, ours.epoch, number);
                let before = *self.numbered.entry(session(number)).or_insert(sent);
                assert_eq!(before, sent, "another message has the number {number}");
                let last = self.numbered.range(session(0)..session(number)).next_back();
                assert!(last.is_none_or(|(_, last)| *last < sent), "{sent} comes behind a later one");
            }
            (1, ACK) => assert!(uint() <= self.most, "acknowledged and not given out"),
            (1, _) => {}
            other => panic!("we wrote {other:?}"),
        }
    }

    fn check(&mut self, event: Event) {
        match event {
            Event::Join { watch, peer } => {
                assert!(watch == self.watch && !self.is_here && self.peer.is_none_or(|known| known == peer));
                (self.is_here, self.peer) = (true, Some(peer));
            }
            Event::Leave { watch, peer } => {
                assert!(watch == self.watch && self.is_here && self.peer == Some(peer));
                (self.is_here, self.has_left_since) = (false, true);
            }
            Event::Message { topic, peer, message } => {
                assert!(topic == self.topic && self.is_here && self.peer == Some(peer));
                let mut reader = Reader::new(&message);
                let mut uint = || reader.uint().expect("a number");
                let (of, number) = (Incarnation { device: [uint() as u8; 32], epoch: uint() }, uint());
                let goes_on = self.heard == Some((of, number));
                let begins = number == 1 && (self.heard.is_none() || self.has_left_since);
                assert!(goes_on || begins, "{number} of {of:?} behind {:?}", self.heard);
                self.heard = Some((of, number + 1));
                self.has_left_since = false;
                self.most = self.most.max(number);
            }
            Event::Path { watch, peer, .. } => {
                assert!(watch == self.watch && self.is_here && self.peer == Some(peer));
            }
            Event::Drain { .. } | Event::Error(_) | Event::State(_) => {}
        }
    }
}

impl Remote {
    /// Proves the drive key, once it can.
    fn open(&mut self) {
        if let (Some(hash), false) = (self.secure.handshake_hash(), self.has_opened) {
            let mut open = vec![0, 1, 1];
            open.put_string(PROTOCOL);
            open.put_buffer(&drive().channel_id(hash));
            open.extend(open_handshake(&drive(), Role::Initiator, hash, &self.standing.into()));
            self.has_opened = self.secure.seal(open);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    // A step is a byte that says what and on which link, and an argument.
    let mut meeting = Meeting::new();
    for step in input.chunks_exact(2).take(STEPS) {
        let (which, argument) = (usize::from(step[0] >> 4), step[1]);
        // Most numbers are near those that are right.
        let number = if argument == u8::MAX { u64::MAX } else { u64::from(argument) };
        match step[0] & 0xf {
            0 | 1 => meeting.dial(argument),
            2 => meeting.resume(which, number),
            3 => (0..1 + argument % 8).for_each(|_| meeting.say_message(which)),
            4 => meeting.say(which, ACK, &[number]),
            5 => meeting.say(which, GOODBYE, &[number]),
            6 => meeting.say(which, GOODBYE, &[]),
            7 => meeting.say(which, PING, &[]),
            8 => meeting.declare(which),
            9 => (0..1 + argument % 8).for_each(|_| meeting.send()),
            10 => meeting.hang_up(which),
            11 => meeting.close_socket(),
            12 => meeting.relay_says(&FromRelay::Left(OWN_MEMBER + 1 + Member::from(argument))),
            13 => meeting.pass(Duration::from_secs(argument.into())),
            _ => meeting.pass(Duration::from_millis(u64::from(argument) * 10)),
        }
        let stats = meeting.swarm.stats();
        let kept: usize = stats.peers.iter().map(|peer| peer.queued_bytes).sum();
        assert!(kept <= meeting.sent as usize * 4, "{kept} bytes are kept of {} messages", meeting.sent);
        assert!(stats.peers.len() <= 1, "one device key is one peer");
    }
});
