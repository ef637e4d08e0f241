//! A device that knows the drive key and says what it likes about direct connections: it costs its own link at most, and no memory
//! beyond the limits (PROTOCOL.md §15).

use peersockets_core::channel::peersockets::{
    Incarnation, PING, PONG, PROTOCOL, Standing, TOPIC, Terms, open_handshake,
};
use peersockets_core::code::Code;
use peersockets_core::drive::DriveKey;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, Line, ToRelay};
use peersockets_core::rtc::signal::{Said, Signal};
use peersockets_core::rtc::{Candidate, Step};
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::swarm::{Config, Event, Output, SocketId, State, Swarm};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::Encode;

const LINE: Line = Line { member: 9, circuit: 1 };

/// A device under test, in a room with nobody but the hostile one, whose relay we are.
struct Victim {
    now: Time,
    swarm: Swarm,
    socket: SocketId,
    remote: Secure,
    /// Whether what is written to the relay stays in the socket's buffer.
    is_unread: bool,
    /// Whether the hostile device gives signs of life.
    answers: bool,
    connections: Vec<SocketId>,
    /// When it began one.
    begun: Vec<Time>,
    steps: Vec<Step>,
    /// The most connections that there were at once.
    most: usize,
    signals: Vec<Signal>,
    written: usize,
    events: Vec<Event>,
    has_hung_up: bool,
}

fn drive() -> DriveKey {
    DriveKey::from_bytes([0x5d; 32])
}

impl Victim {
    /// The hostile device has proved the drive key.
    fn met() -> Self {
        let now = Time::default();
        let relays = ["ws://relay/".to_owned()];
        let config = Config { relays: &relays, direct_peers: limits::DIRECT_PEERS, ..Config::default() };
        let mut swarm = Swarm::new(now, [1; 32], drive(), config);
        swarm.watch();
        let entropy = Entropy { ephemeral: [2; 32], header: [2; 24] };
        let remote = Secure::new(Role::Initiator, &DeviceKey::from_seed([2; 32]), entropy);
        let mut victim = Self {
            now,
            swarm,
            socket: SocketId(1),
            remote,
            is_unread: false,
            answers: false,
            connections: Vec::new(),
            begun: Vec::new(),
            steps: Vec::new(),
            most: 0,
            signals: Vec::new(),
            written: 0,
            events: Vec::new(),
            has_hung_up: false,
        };
        victim.drain();
        victim.swarm.handle_socket_opened(now, victim.socket);
        victim.drain();
        victim.relay_says(&FromRelay::Welcome { member: 1, lends: false, counts_direct: false, present: vec![] });
        victim.relay_says(&FromRelay::Dialed(LINE));
        victim.write();
        let hash = *victim.remote.handshake_hash().expect("the handshake is complete");
        let own = Incarnation { device: [7; 32], epoch: 0 };
        let standing = Some(Standing { own, other: None, received: 0 });
        let mut open = vec![0, 1, 1];
        open.put_string(PROTOCOL);
        open.put_buffer(&drive().channel_id(&hash));
        open.extend(open_handshake(&drive(), Role::Initiator, &hash, &Terms { standing, is_direct: true }));
        victim.say_frame(open);
        assert_eq!(victim.swarm.stats().peers.len(), 1);
        victim
    }

    fn say(&mut self, kind: u64, payload: &[u8]) {
        let mut frame = vec![1];
        frame.put_uint(kind);
        frame.extend_from_slice(payload);
        self.say_frame(frame);
    }

    fn signal(&mut self, attempt: u64, said: Said) {
        let (kind, payload) = Signal { attempt, said }.encode();
        self.say(kind, &payload);
    }

    fn say_frame(&mut self, frame: Vec<u8>) {
        assert!(self.remote.seal(frame));
        self.write();
    }

    fn write(&mut self) {
        loop {
            let chunk = self.remote.take_output(limits::CIRCUIT_CHUNK);
            if chunk.is_empty() {
                return;
            }
            self.relay_says(&FromRelay::Data(LINE, &chunk));
        }
    }

    fn relay_says(&mut self, frame: &FromRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        self.swarm.handle_socket_message(self.now, self.socket, &message);
        self.drain();
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.swarm.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        let mut answers = false;
        loop {
            match self.swarm.poll_output() {
                Output::Open { socket, .. } => self.socket = socket,
                Output::Write { socket, message } if socket == self.socket => {
                    self.written += message.len();
                    if !self.is_unread {
                        self.swarm.handle_socket_buffered(socket, 0);
                        answers |= self.hear(&message);
                    }
                }
                Output::Connect { socket, .. } => {
                    self.connections.push(socket);
                    self.begun.push(self.now);
                    self.most = self.most.max(self.connections.len());
                }
                Output::Negotiate { step, .. } => self.steps.push(step),
                Output::Close { socket } => self.connections.retain(|open| *open != socket),
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        if answers {
            self.write();
        }
    }

    /// Whether what the victim wrote makes the handshake go on.
    fn hear(&mut self, message: &[u8]) -> bool {
        match ToRelay::decode(message) {
            Ok(ToRelay::Data(_, bytes)) => {
                self.remote.handle_bytes(bytes);
                while let Ok(Some(frame)) = self.remote.poll_frame(limits::FRAME) {
                    match &frame[..] {
                        [1, kind @ 32..=47, payload @ ..] => {
                            self.signals.extend(Signal::decode(u64::from(*kind), payload).expect("a sound signal"));
                        }
                        [1, kind, number @ ..] if u64::from(*kind) == PING && self.answers => {
                            let pong = [&[1, PONG as u8], number].concat();
                            assert!(self.remote.seal(pong));
                        }
                        _ => {}
                    }
                }
                true
            }
            Ok(ToRelay::Hangup(..)) => {
                self.has_hung_up = true;
                false
            }
            _ => false,
        }
    }
}

#[test]
fn malformed_signals_end_their_link_only() {
    let payloads: [&[u8]; 5] = [&[], &[0xff], &[1, 0xfd], &[1, 5, b'o'], &[1, 2, 0xff, 0xfe]];
    for kind in 32..36 {
        for payload in payloads {
            let mut victim = Victim::met();
            victim.say(kind, payload);
            // A CLOSE needs nothing but its number; any reason may follow.
            assert_eq!(
                victim.has_hung_up,
                kind != 35 || payload.is_empty() || payload[0] == 0xff,
                "{kind} {payload:?}"
            );
            assert_eq!(victim.swarm.state(), State::Ready);
            assert!(victim.most <= 1);
        }
    }
}

#[test]
fn signals_of_a_newer_device_end_nothing() {
    let mut victim = Victim::met();
    (36..48).for_each(|kind| victim.say(kind, &[0xff; 20]));
    assert!(!victim.has_hung_up);
}

#[test]
fn a_device_that_offers_ever_again_is_refused() {
    for closes in [true, false] {
        let mut victim = Victim::met();
        for attempt in 1..=10_000 {
            victim.signal(attempt, Said::Offer("offer".into()));
            if closes {
                victim.signal(attempt, Said::Close);
            }
            if attempt % 1_000 == 0 {
                victim.pass(Duration::from_secs(1));
            }
        }
        assert!(!victim.has_hung_up);
        assert_eq!(victim.most, 1);
        let answered = victim.steps.iter().filter(|step| matches!(step, Step::Answer(_))).count();
        let allowed = limits::INVITATIONS as usize + 10;
        assert!((limits::INVITATIONS as usize..=allowed).contains(&answered), "{answered} began");
        let refused = victim.signals.iter().filter(|signal| signal.said == Said::NoPlace).count();
        assert!(refused > 9_900, "{refused} were told so");
    }
}

#[test]
fn a_flood_of_candidates_reaches_no_peer_connection() {
    let mut victim = Victim::met();
    victim.signal(1, Said::Offer("offer".into()));
    for number in 0..100_000 {
        let candidate = Candidate { candidate: format!("candidate {number}"), mid: None };
        victim.signal(1, Said::Candidate(candidate));
    }
    assert!(!victim.has_hung_up);
    let taken = victim.steps.iter().filter(|step| matches!(step, Step::Candidate(_))).count();
    assert_eq!(taken, limits::CANDIDATES);
}

#[test]
fn answers_for_a_device_that_reads_nothing_are_bounded() {
    let mut victim = Victim::met();
    victim.is_unread = true;
    // As much waits in its relay's socket as may.
    victim.swarm.handle_socket_buffered(victim.socket, limits::SOCKET_HIGH_WATER);
    let before = victim.written;
    // Each answer is 20 bytes at least. The end is a refusal of our circuit, which may still go.
    let most = limits::LINK_OUTPUT as u64 / 20;
    let rounds = (0..=most).find(|round| {
        victim.signal(2 * most - round, Said::Offer("offer".into()));
        victim.say(PING, &[]);
        victim.written > before
    });
    assert!(rounds.is_some(), "it ends once that much waits");
    assert!(victim.written - before < 100, "{} bytes: nothing of the flood goes", victim.written - before);
    assert_eq!(victim.swarm.state(), State::Ready);
}

#[test]
fn what_is_sent_to_a_device_that_lives_and_acknowledges_nothing_is_bounded_and_said() {
    let mut victim = Victim::met();
    victim.answers = true;
    let topic = victim.swarm.join("chat");
    let peer = victim.swarm.stats().peers[0].peer;
    let pieces = 2 * limits::SEND_QUEUE / limits::CHANNEL_MESSAGE;
    for _ in 0..pieces {
        victim.swarm.send(topic, peer, vec![7; limits::CHANNEL_MESSAGE]);
        victim.pass(Duration::from_millis(20));
        assert!(victim.swarm.buffered(peer) <= limits::SEND_QUEUE + pieces * limits::MESSAGE_WEIGHT);
    }
    let is_full = |event: &&Event| matches!(event, Event::Error(report) if report.code == Code::QueueFull);
    let refused = victim.events.iter().filter(is_full).count();
    assert!((pieces / 2..pieces).contains(&refused), "{refused} of {pieces} came back");
    assert!(!victim.has_hung_up, "it lives");
}

#[test]
fn a_thousand_topics_of_a_hostile_device_cost_its_slots_only() {
    let mut victim = Victim::met();
    for number in 0..1_000u32 {
        let mut payload = vec![(number % limits::SLOTS as u32) as u8];
        payload.put_string(&format!("topic {number}"));
        victim.say(TOPIC, &payload);
    }
    assert!(!victim.has_hung_up);
    let mut beyond = Vec::new();
    beyond.put_uint(limits::SLOTS as u64);
    beyond.put_string("one too many");
    victim.say(TOPIC, &beyond);
    assert!(victim.has_hung_up);
}

/// How long after each of these many attempts of the victim's, which are answered so, the next one begins.
fn pauses(count: usize, answer: impl Fn(&mut Victim, u64)) -> Vec<Duration> {
    let mut victim = Victim::met();
    victim.answers = true;
    while victim.begun.len() <= count {
        assert!(!victim.has_hung_up);
        let before = victim.begun.len();
        victim.pass(Duration::from_millis(100));
        if victim.begun.len() > before {
            let (now, socket) = (victim.now, *victim.connections.last().expect("it has begun one"));
            victim.swarm.handle_description(now, socket, "offer".into());
            victim.drain();
            let attempt = victim.signals.last().expect("it has offered").attempt;
            answer(&mut victim, attempt);
            assert_eq!(victim.connections, []);
        }
    }
    victim.begun.windows(2).map(|times| times[1].since(times[0])).collect()
}

#[test]
fn a_device_without_a_place_is_offered_one_again_after_30_s_and_one_whose_connection_broke_sooner() {
    let left_to_the_other = limits::DIRECT_AFTER + Duration::from_millis(100);
    let refused = pauses(40, |victim, attempt| victim.signal(attempt, Said::NoPlace));
    let (least, most) = (*refused.iter().min().unwrap(), *refused.iter().max().unwrap());
    assert!(least >= limits::DIRECT_REFUSED / 2, "{least:?}");
    assert!(most <= limits::DIRECT_REFUSED * 3 / 2 + left_to_the_other, "{most:?}");
    assert!(most > least * 3 / 2, "not all at once: {least:?} to {most:?}");

    // Whether it was answered or what was said is lost.
    for is_answered in [true, false] {
        let broken = pauses(1, |victim, attempt| {
            if is_answered {
                victim.signal(attempt, Said::Answer("answer".into()));
            }
            victim.signal(attempt, Said::Close);
        });
        assert!(broken[0] <= limits::DIRECT_RETRY * 3 / 2 + left_to_the_other, "{broken:?}");
    }
}
