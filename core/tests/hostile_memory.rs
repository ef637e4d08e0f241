//! A device that knows the drive key and begins more long messages than there is memory for: it loses its own (PROTOCOL.md §8).

use peersockets_core::channel::peersockets::{
    FIRST, Incarnation, NEXT, PROTOCOL, RESUME, Standing, TOPIC, Terms, open_handshake,
};
use peersockets_core::code::Code;
use peersockets_core::drive::DriveKey;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, Line, Member, ToRelay};
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::swarm::{Config, Event, Output, PeerId, SocketId, Swarm};
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::Encode;

/// As much of a message as one frame has.
const PART: usize = 400_000;

/// A device under test, whose relays we are, and all others.
struct Victim {
    swarm: Swarm,
    relays: Vec<SocketId>,
    remotes: Vec<Remote>,
    events: Vec<Event>,
}

/// One link of another device.
struct Remote {
    relay: SocketId,
    line: Line,
    secure: Secure,
}

fn drive() -> DriveKey {
    DriveKey::from_bytes([0x5d; 32])
}

impl Victim {
    /// One that has joined the topic `chat`, and two relays on which nobody is.
    fn new() -> Self {
        let relays = ["ws://relay0/".to_owned(), "ws://relay1/".to_owned()];
        let config = Config { relays: &relays, ..Config::default() };
        let mut swarm = Swarm::new(Time::default(), [1; 32], drive(), config);
        swarm.join("chat");
        let mut victim = Self { swarm, relays: Vec::new(), remotes: Vec::new(), events: Vec::new() };
        victim.drain();
        for relay in victim.relays.clone() {
            victim.swarm.handle_socket_opened(Time::default(), relay);
            let welcome = FromRelay::Welcome { member: 1, lends: false, counts_direct: false, present: vec![] };
            victim.relay_says(relay, &welcome);
        }
        victim
    }

    /// A device has proved the drive key through a relay. Returns its link.
    fn meet(&mut self, relay: usize, member: Member, device: u8) -> usize {
        let (relay, line) = (self.relays[relay], Line { member, circuit: 1 });
        let entropy = Entropy { ephemeral: [member as u8; 32], header: [2; 24] };
        let secure = Secure::new(Role::Initiator, &DeviceKey::from_seed([device; 32]), entropy);
        self.remotes.push(Remote { relay, line, secure });
        let remote = self.remotes.len() - 1;
        self.relay_says(relay, &FromRelay::Dialed(line));
        self.write(remote);
        let hash = *self.remotes[remote].secure.handshake_hash().expect("the handshake is complete");
        let own = Incarnation { device: [device; 32], epoch: 0 };
        let standing = Some(Standing { own, other: None, received: 0 });
        let mut open = vec![0, 1, 1];
        open.put_string(PROTOCOL);
        open.put_buffer(&drive().channel_id(&hash));
        open.extend(open_handshake(&drive(), Role::Initiator, &hash, &Terms { standing, is_direct: false }));
        self.say_frame(remote, open);
        self.say(remote, RESUME, &[1], &[]);
        remote
    }

    /// So many of the longest messages come on a link, all at once, but for what is left out at their ends.
    fn begin(&mut self, remote: usize, count: u8, left_out: usize) {
        for slot in 0..count {
            self.say(remote, TOPIC, &[slot, 4], b"chat");
            let mut first = vec![slot];
            first.put_uint(limits::MESSAGE as u64);
            self.say(remote, FIRST, &first, &[]);
        }
        let mut rest = limits::MESSAGE - left_out;
        while rest > 0 {
            let part = vec![7; rest.min(PART)];
            rest -= part.len();
            (0..count).for_each(|slot| self.say(remote, NEXT, &[slot], &part));
        }
    }

    fn say(&mut self, remote: usize, kind: u64, fields: &[u8], bytes: &[u8]) {
        let mut frame = vec![1];
        frame.put_uint(kind);
        frame.extend_from_slice(fields);
        frame.extend_from_slice(bytes);
        self.say_frame(remote, frame);
    }

    fn say_frame(&mut self, remote: usize, frame: Vec<u8>) {
        assert!(self.remotes[remote].secure.seal(frame));
        self.write(remote);
    }

    fn write(&mut self, remote: usize) {
        loop {
            let Remote { relay, line, secure } = &mut self.remotes[remote];
            let (relay, line, chunk) = (*relay, *line, secure.take_output(limits::CIRCUIT_CHUNK));
            if chunk.is_empty() {
                return;
            }
            self.relay_says(relay, &FromRelay::Data(line, &chunk));
        }
    }

    fn relay_says(&mut self, relay: SocketId, frame: &FromRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        self.swarm.handle_socket_message(Time::default(), relay, &message);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.swarm.poll_output() {
                Output::Open { socket, .. } => self.relays.push(socket),
                Output::Write { socket, message } => {
                    self.swarm.handle_socket_buffered(socket, 0);
                    if let Ok(ToRelay::Data(line, bytes)) = ToRelay::decode(&message) {
                        let mut remotes = self.remotes.iter_mut();
                        let remote = remotes.find(|remote| (remote.relay, remote.line) == (socket, line));
                        remote.expect("it is somebody's").secure.handle_bytes(bytes);
                    }
                    for remote in &mut self.remotes {
                        while let Ok(Some(_)) = remote.secure.poll_frame(limits::FRAME) {}
                    }
                }
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// How many messages of a peer came, and how many were lost.
    fn arrived(&self, of: PeerId) -> (usize, usize) {
        let count = |is: &dyn Fn(&Event) -> bool| self.events.iter().filter(|event| is(event)).count();
        let came = |event: &Event| matches!(event, Event::Message { peer, .. } if *peer == of);
        let lost = |event: &Event| matches!(event, Event::Error(report) if report.code == Code::MessageLost && report.peer == Some(of));
        (count(&came), count(&lost))
    }
}

#[test]
fn one_device_with_many_long_messages_leaves_room_for_those_of_others() {
    let mut victim = Victim::new();
    // All that it may, on two links, and nothing of it is ever whole.
    for relay in 0..2 {
        let link = victim.meet(relay, 8, 2);
        victim.begin(link, 8, 1);
    }
    let other = victim.meet(0, 9, 3);
    // As many as one of ours may have under way.
    let longest = limits::SEND_QUEUE / limits::MESSAGE;
    victim.begin(other, longest as u8, 0);
    assert_eq!(victim.swarm.stats().peers.len(), 2);
    assert_eq!((longest, [victim.arrived(PeerId(1)), victim.arrived(PeerId(2))]), (2, [(0, 0), (2, 0)]));
}

#[test]
fn who_is_alone_has_room_for_more_than_a_device_of_ours_has_under_way() {
    let mut victim = Victim::new();
    // On a link that died, which nobody knows, and again on the next.
    let longest = limits::SEND_QUEUE / limits::MESSAGE;
    for relay in 0..2 {
        let link = victim.meet(relay, 8, 2);
        victim.begin(link, longest as u8, 1 - relay);
    }
    assert_eq!((longest, victim.arrived(PeerId(1))), (2, (2, 0)));
}
