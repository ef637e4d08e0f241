//! A remote made by hand that keeps a session, or says that it does, and what becomes of its claims (PROTOCOL.md §14).

mod pair;

use pair::*;
use peersockets_core::channel::outbox::Frame;
use peersockets_core::channel::peersockets::{
    ACK, GOODBYE, Incarnation, MESSAGE, PING, RESUME, Standing, TOPIC, open_handshake, verify_open,
};
use peersockets_core::conversation::{Established, Heard};
use peersockets_core::limits;
use peersockets_core::link::{Host, HostAction};
use peersockets_core::secure::Role;
use peersockets_core::swarm::{Config, Event, HandleId, LinkId, Output, PeerId, Swarm};
use peersockets_core::time::{Duration, Time};
use peersockets_netem::drive;

/// A device of ours, and a remote made by hand that keeps a session with it.
struct Remote {
    swarm: Swarm,
    link: LinkId,
    watch: HandleId,
    topic: HandleId,
    now: Time,
    /// What our device did, since this was looked at.
    said: Vec<Frame>,
    events: Vec<Event>,
    has_ended: bool,
    ours: Option<Standing>,
}

const HASH: [u8; 64] = [3; 64];

impl Remote {
    fn new() -> Self {
        let now = Time::default();
        let config = Config { host_seed: Some([1; 32]), ..Config::default() };
        let mut swarm = Swarm::new(now, [7; 32], drive(1), config);
        let (watch, topic) = (swarm.watch(), swarm.join("chat"));
        let link = LinkId(0);
        let mut remote =
            Self { swarm, link, watch, topic, now, said: Vec::new(), events: Vec::new(), has_ended: false, ours: None };
        remote.connect(0, None, 0);
        remote
    }

    /// Opens a link, at this epoch of the remote, that says how much of ours has arrived.
    fn connect(&mut self, epoch: u64, other: Option<Incarnation>, received: u64) {
        self.dial();
        self.open(Incarnation { device: [9; 32], epoch }, other, received);
    }

    /// Begins a link, on which our device says its Open.
    fn dial(&mut self) {
        self.link = self.swarm.handle_stream(self.now, Host::Here);
        self.has_ended = false;
        let established = Established { remote: [2; 32], role: Role::Initiator, handshake_hash: HASH };
        self.swarm.handle_stream_opened(self.now, self.link, established);
        self.drain();
    }

    /// Says the remote's Open.
    fn open(&mut self, own: Incarnation, other: Option<Incarnation>, received: u64) {
        let standing = Standing { own, other, received };
        let handshake = open_handshake(&drive(1), Role::Responder, &HASH, &standing.into());
        self.swarm.handle_stream_heard(self.now, self.link, Heard::Opened(&handshake));
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.swarm.handle_timeout(self.now);
        self.drain();
    }

    fn say(&mut self, kind: u64, payload: &[u8]) {
        self.swarm.handle_stream_heard(self.now, self.link, Heard::Message(kind, payload));
        self.drain();
    }

    /// Numbered so, messages on the topic `chat`.
    fn send(&mut self, first: u8, messages: &[&[u8]]) {
        self.say(RESUME, &[first]);
        self.say(TOPIC, b"\0\x04chat");
        for message in messages {
            self.say(MESSAGE, &[b"\0", *message].concat());
        }
    }

    fn drain(&mut self) {
        loop {
            match self.swarm.poll_output() {
                Output::Host { link, action } if link == self.link => match action {
                    HostAction::Message(frame) => self.said.push(frame),
                    HostAction::End => self.has_ended = true,
                    HostAction::Open { handshake, .. } => {
                        let opened = verify_open(&handshake, &drive(1), Role::Initiator, &HASH);
                        self.ours = opened.expect("an Open of ours").standing;
                    }
                    _ => {}
                },
                Output::Event(event) => self.events.push(event),
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let arrived = self.events.iter().filter_map(|event| match event {
            Event::Message { topic, message, .. } if *topic == self.topic => Some(message.to_vec()),
            _ => None,
        });
        arrived.collect()
    }

    fn presence(&self) -> Vec<i64> {
        presence_in(&self.events, self.watch)
    }
}

#[test]
fn a_message_that_leaves_a_number_out_ends_its_link() {
    let mut remote = Remote::new();
    remote.send(1, &[b"one", b"two"]);
    remote.send(2, &[b"two", b"three"]);
    assert!(!remote.has_ended);
    remote.send(5, &[b"five"]);
    assert!(remote.has_ended);
    assert_eq!(remote.arrived(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);

    let mut unnumbered = Remote::new();
    unnumbered.say(TOPIC, b"\0\x04chat");
    unnumbered.say(MESSAGE, b"\0?");
    assert!(unnumbered.has_ended && unnumbered.arrived().is_empty());
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_ends_its_link() {
    let mut remote = Remote::new();
    remote.swarm.send(remote.topic, FIRST, b"one".to_vec());
    remote.drain();
    assert_eq!(remote.said.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [PING, RESUME, TOPIC, MESSAGE]);
    remote.say(ACK, &[1]);
    assert!(!remote.has_ended);
    assert_eq!(remote.swarm.stats().peers[0].queued_bytes, 0);
    remote.say(ACK, &[0]);
    assert!(!remote.has_ended, "an older one says nothing new");
    remote.say(ACK, &[2]);
    assert!(remote.has_ended);
}

#[test]
fn what_comes_again_is_acknowledged_again() {
    let mut remote = Remote::new();
    for _ in 0..2 {
        let link = remote.link;
        remote.said.clear();
        remote.send(1, &[b"one"]);
        remote.pass(limits::ACK_AFTER);
        let acknowledged: Vec<&Frame> = remote.said.iter().filter(|frame| frame.kind == ACK).collect();
        assert!(matches!(acknowledged[..], [frame] if frame.payload == [1]), "on {link:?}");
        // The acknowledgement never came.
        remote.swarm.handle_stream_ended(remote.now, link);
        remote.connect(0, remote.ours.map(|ours| ours.own), 0);
    }
    assert_eq!(remote.arrived(), [b"one".to_vec()]);
}

#[test]
fn an_open_tells_what_has_arrived_and_only_that_is_left_out() {
    let mut remote = Remote::new();
    for message in [b"one", b"two"] {
        remote.swarm.send(remote.topic, FIRST, message.to_vec());
    }
    remote.send(1, &[b"theirs"]);
    let ours = remote.ours.unwrap().own;
    remote.said.clear();
    remote.connect(0, Some(ours), 1);
    assert_eq!(
        remote.ours,
        Some(Standing { own: ours, other: Some(Incarnation { device: [9; 32], epoch: 0 }), received: 1 })
    );
    remote.swarm.handle_stream_ended(remote.now, LinkId(1));
    remote.drain();
    let said: Vec<(u64, &[u8])> = remote.said.iter().map(|frame| (frame.kind, &frame.payload[..])).collect();
    assert_eq!(said, [(PING, &b"\x01"[..]), (RESUME, b"\x02"), (TOPIC, b"\0\x04chat"), (MESSAGE, b"\0two")]);
    assert_eq!(remote.presence(), [1]);
}

#[test]
fn an_open_for_another_end_of_ours_acknowledges_nothing() {
    let mut remote = Remote::new();
    remote.swarm.send(remote.topic, FIRST, b"one".to_vec());
    remote.drain();
    remote.said.clear();
    remote.connect(0, Some(Incarnation { device: [8; 32], epoch: 0 }), 1);
    remote.swarm.handle_stream_ended(remote.now, LinkId(1));
    remote.drain();
    assert_eq!(remote.said.last().map(|frame| frame.kind), Some(MESSAGE), "it comes again");
}

#[test]
fn a_remote_that_claims_more_than_was_sent_is_met_anew() {
    let mut remote = Remote::new();
    let ours = remote.ours.unwrap().own;
    remote.connect(0, Some(ours), 7);
    assert!(remote.has_ended);
    assert_eq!(remote.presence(), [1, -1]);
    remote.connect(0, Some(ours), 7);
    let anew = remote.ours.unwrap().own;
    assert!(anew.device == ours.device && anew.epoch > ours.epoch, "what it claims is of another end");
    assert!(!remote.has_ended);
    assert_eq!(remote.presence(), [1, -1, 1]);
}

#[test]
fn a_link_of_an_earlier_epoch_ends_and_the_session_goes_on() {
    let mut remote = Remote::new();
    let ours = remote.ours.unwrap().own;
    remote.connect(5, None, 0);
    assert_eq!(remote.presence(), [1, -1, 1], "it began anew");
    remote.send(1, &[b"one"]);
    let newest = remote.link;
    remote.connect(4, Some(ours), 0);
    assert!(remote.has_ended, "it is an old one");
    remote.link = newest;
    remote.has_ended = false;
    remote.send(2, &[b"two"]);
    assert!(!remote.has_ended);
    assert_eq!(remote.arrived(), [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(remote.presence(), [1, -1, 1]);
}

#[test]
fn a_link_on_which_we_named_a_session_that_has_ended_since_is_none_of_the_next() {
    let mut remote = Remote::new();
    let (ours, first) = (remote.ours.unwrap().own, remote.link);
    remote.dial();
    let second = std::mem::replace(&mut remote.link, first);
    remote.say(GOODBYE, &[0]);
    assert_eq!(remote.presence(), [1, -1]);
    remote.link = second;
    remote.has_ended = false;
    remote.open(Incarnation { device: [9; 32], epoch: 1 }, Some(ours), 0);
    assert!(remote.has_ended, "the remote would take it for the session that is over");
    assert_eq!(remote.presence(), [1, -1]);
    remote.connect(1, None, 0);
    assert!(!remote.has_ended && remote.ours.unwrap().own.epoch > ours.epoch);
    assert_eq!(remote.presence(), [1, -1, 1]);
}

#[test]
fn a_goodbye_that_is_said_again_and_again_is_put_off_by_nothing() {
    let mut remote = Remote::new();
    for _ in 0..4 {
        remote.say(GOODBYE, &[200]);
        assert_eq!(remote.presence(), [1]);
        remote.pass(limits::GRACE_AFTER_CLOSE / 4);
    }
    assert_eq!(remote.presence(), [1, -1]);
}

#[test]
fn a_link_without_a_session_is_refused_as_long_as_there_is_one_with() {
    let mut remote = Remote::new();
    let newest = remote.link;
    remote.dial();
    let handshake = open_handshake(&drive(1), Role::Responder, &HASH, &Default::default());
    remote.swarm.handle_stream_heard(remote.now, remote.link, Heard::Opened(&handshake));
    remote.drain();
    assert!(remote.has_ended);
    remote.link = newest;
    remote.send(1, &[b"one"]);
    assert_eq!(remote.arrived(), [b"one".to_vec()]);
    assert_eq!(remote.presence(), [1]);
}

#[test]
fn a_remote_that_was_reached_by_extensions_keeps_a_session_once_it_opens_the_channel() {
    let mut remote = Remote::new();
    let link = remote.swarm.handle_stream(remote.now, Host::Here);
    remote.link = link;
    let established = Established { remote: [4; 32], role: Role::Initiator, handshake_hash: HASH };
    remote.swarm.handle_stream_opened(remote.now, link, established);
    for heard in [Heard::DriveOpened, Heard::Closed] {
        remote.swarm.handle_stream_heard(remote.now, link, heard);
    }
    remote.drain();
    assert_eq!(remote.presence(), [1, 2]);
    let own = Incarnation { device: [9; 32], epoch: 0 };
    let standing = Standing { own, other: None, received: 0 };
    let handshake = open_handshake(&drive(1), Role::Responder, &HASH, &standing.into());
    remote.swarm.handle_stream_heard(remote.now, link, Heard::Opened(&handshake));
    remote.send(1, &[b"one"]);
    remote.send(1, &[b"one", b"two"]);
    remote.swarm.send(remote.topic, PeerId(2), b"ours".to_vec());
    remote.drain();
    assert_eq!(remote.arrived(), [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(remote.said.last().map(|frame| &frame.payload[..]), Some(&b"\0ours"[..]));
    assert_eq!(remote.swarm.stats().peers[1].queued_bytes, 4, "until it is acknowledged");
    assert_eq!(remote.presence(), [1, 2]);
}

#[test]
fn a_channel_that_is_opened_after_all_goes_on_with_no_session_that_was_given_up() {
    let mut remote = Remote::new();
    let ours = remote.ours.unwrap().own;
    remote.send(1, &[b"one"]);
    // The same device comes back on a stream on which it has no channel at first: the session with it is given up.
    remote.swarm.handle_stream_ended(remote.now, remote.link);
    remote.dial();
    for heard in [Heard::DriveOpened, Heard::Closed] {
        remote.swarm.handle_stream_heard(remote.now, remote.link, heard);
    }
    remote.drain();
    assert_eq!(remote.presence(), [1, -1, 1]);
    // It opens the channel, and would go on.
    remote.open(Incarnation { device: [9; 32], epoch: 0 }, Some(ours), 0);
    assert!(remote.has_ended);
    assert_eq!(remote.presence(), [1, -1, 1, -1]);
    remote.connect(0, Some(ours), 0);
    assert!(remote.ours.unwrap().own.epoch > ours.epoch, "it learns that we begin anew");
    remote.send(1, &[b"two"]);
    assert!(!remote.has_ended);
    assert_eq!(remote.arrived(), [b"one".to_vec(), b"two".to_vec()]);
    assert!(!remote.events.iter().any(|event| matches!(event, Event::Error(_))));
}

#[test]
fn a_device_that_goes_on_with_a_session_which_was_given_up_learns_it_and_begins_anew() {
    let mut remote = Remote::new();
    let ours = remote.ours.unwrap().own;
    remote.send(1, &[b"one"]);
    // Another process with the same device key comes, while the first one lives.
    remote.dial();
    remote.open(Incarnation { device: [8; 32], epoch: 0 }, None, 0);
    assert_eq!(remote.presence(), [1, -1, 1]);
    // The first one still knows a session with us.
    remote.connect(0, Some(ours), 0);
    assert!(remote.has_ended, "it does not go on");
    assert_eq!(remote.presence(), [1, -1, 1, -1]);
    remote.connect(0, Some(ours), 0);
    assert_eq!(remote.ours.unwrap().own.epoch, ours.epoch + 1, "it is told of another end");
    remote.send(1, &[b"two"]);
    assert!(!remote.has_ended);
    assert_eq!(remote.presence(), [1, -1, 1, -1, 1]);
    assert!(!remote.events.iter().any(|event| matches!(event, Event::Error(_))));
}

#[test]
fn a_device_that_is_started_again_and_knows_us_from_a_link_that_broke_early_goes_on_with_that_session() {
    let mut remote = Remote::new();
    let ours = remote.ours.unwrap().own;
    for restart in 1..=20 {
        // Our Open reaches it, and it begins a session; its own Open does not reach us.
        remote.dial();
        remote.swarm.handle_stream_ended(remote.now, remote.link);
        remote.drain();
        remote.said.clear();
        let presence = remote.presence().len();
        remote.dial();
        let ours = remote.ours.unwrap().own;
        remote.open(Incarnation { device: [50 + restart; 32], epoch: 0 }, Some(ours), 0);
        if remote.has_ended {
            // After so many we do not know for sure. It begins anew once more, and is known.
            assert!(restart > 8, "{restart}");
            remote.dial();
            remote.open(Incarnation { device: [50 + restart; 32], epoch: 0 }, Some(ours), 0);
        }
        remote.send(1, &[&[restart]]);
        assert!(!remote.has_ended);
        assert_eq!(remote.presence()[presence..], [-1, 1]);
    }
    assert!(remote.ours.unwrap().own.epoch > ours.epoch);
    let arrived: Vec<Vec<u8>> = (1..=20).map(|restart| vec![restart]).collect();
    assert_eq!(remote.arrived(), arrived);
}
