//! What two devices with a session make of links that break: nothing is lost, repeated or reordered (PROTOCOL.md §14).

use peersockets_core::channel::outbox::Frame;
use peersockets_core::channel::peersockets::{
    ACK, GOODBYE, Incarnation, MESSAGE, RESUME, Standing, TOPIC, open_handshake, verify_open,
};
use peersockets_core::conversation::{Established, Heard};
use peersockets_core::limits;
use peersockets_core::link::{Host, HostAction};
use peersockets_core::random::Random;
use peersockets_core::rendezvous::HangupReason;
use peersockets_core::secure::Role;
use peersockets_core::swarm::{Config, Event, HandleId, LinkId, Output, PeerId, State, Swarm};
use peersockets_core::time::{Duration, Time};
use peersockets_netem::{Weather, World, drive, seconds};

const FIRST: PeerId = PeerId(1);

/// Two devices that have met on these relays, each with a watcher and the topic `chat`.
fn met_on(relays: &[usize]) -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(relays.len());
    let (watches, topics) = world.add_pair(relays);
    (world, watches, topics)
}

fn send(world: &mut World, device: usize, topic: HandleId, numbers: std::ops::Range<u32>) {
    for number in numbers {
        world.devices[device].swarm.send(topic, FIRST, number.to_le_bytes().to_vec());
    }
}

/// The numbers that a topic handle got.
fn numbers(world: &mut World, device: usize, topic: HandleId) -> Vec<u32> {
    numbers_in(&world.events(device), topic)
}

fn numbers_in(events: &[Event], handle: HandleId) -> Vec<u32> {
    let number = |event: &Event| match event {
        Event::Message { topic, message, .. } if *topic == handle => {
            Some(u32::from_le_bytes(message[..].try_into().unwrap()))
        }
        _ => None,
    };
    events.iter().filter_map(number).collect()
}

/// The numbers that a topic handle got, and the joins (+) and leaves (-) that a watcher saw meanwhile.
fn seen(world: &mut World, device: usize, watch: HandleId, topic: HandleId) -> (Vec<u32>, Vec<i64>) {
    let events = world.events(device);
    (numbers_in(&events, topic), presence_in(&events, watch))
}

fn presence_in(events: &[Event], watcher: HandleId) -> Vec<i64> {
    let presence = |event: &Event| match event {
        Event::Join { watch, peer } if *watch == watcher => Some(i64::from(peer.0)),
        Event::Leave { watch, peer } if *watch == watcher => Some(-i64::from(peer.0)),
        _ => None,
    };
    events.iter().filter_map(presence).collect()
}

fn all(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

#[test]
fn what_was_in_flight_on_a_link_that_broke_comes_on_the_next_one() {
    for cut_device in [0, 1] {
        let (mut world, watches, topics) = met_on(&[0]);
        // Some of it on its way, some not yet sent, both ways.
        for device in [0, 1] {
            send(&mut world, device, topics[device], 0..500);
        }
        world.settle_partly(3);
        world.cut(cut_device, 0);
        for device in [0, 1] {
            send(&mut world, device, topics[device], 500..600);
        }
        world.advance(limits::GRACE_AFTER_CLOSE - Duration::from_millis(1));
        for device in [0, 1] {
            assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..600), vec![]));
        }
    }
}

#[test]
fn a_relay_that_restarts_within_the_grace_is_not_noticed() {
    let (mut world, watches, topics) = met_on(&[0]);
    for round in 0..2 {
        for device in [0, 1] {
            send(&mut world, device, topics[device], round * 100..round * 100 + 100);
        }
        world.settle_partly(2);
        world.stop_relay(0);
        world.advance(seconds(1.0));
        world.relays[0].is_up = true;
        world.advance(seconds(3.9));
    }
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..200), vec![]));
    }
}

#[test]
fn who_loses_every_link_leaves_after_five_seconds_and_after_two_if_its_socket_closed() {
    let (mut world, watches, _) = met_on(&[0]);
    world.stop_relay(0);
    world.advance(limits::GRACE - Duration::from_millis(1));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(Duration::from_millis(2));
    assert_eq!(world.presence(0, watches[0]), [-1]);

    let (mut world, watches, _) = met_on(&[0]);
    world.relays[0].is_up = false;
    world.cut(1, 0);
    world.advance(limits::GRACE_AFTER_CLOSE - Duration::from_millis(1));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(Duration::from_millis(2));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn who_falls_silent_leaves_after_five_seconds_and_joins_when_it_is_heard_again() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.go_offline(1);
    send(&mut world, 0, topics[0], 0..10);
    world.advance(seconds(4.9));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(seconds(0.2));
    assert_eq!(world.presence(0, watches[0]), [-1]);
    send(&mut world, 0, topics[0], 10..20);
    world.advance(seconds(2.0));
    world.go_online(1);
    assert_eq!(world.presence(0, watches[0]), [1]);
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..10), "what was sent to it after it left went to nobody");
    assert_eq!(world.relays[0].attempts.len(), 2, "its socket and its link lived on");
}

#[test]
fn who_comes_back_within_two_minutes_gets_what_was_sent_before_it_left() {
    for is_dialler in [false, true] {
        let away = usize::from(is_dialler);
        let here = 1 - away;
        let (mut world, watches, topics) = met_on(&[0]);
        world.go_offline(away);
        world.kill_sockets(away);
        send(&mut world, here, topics[here], 0..300);
        send(&mut world, away, topics[away], 0..300);
        world.advance(seconds(100.0));
        assert_eq!(world.presence(here, watches[here]), [-1]);
        world.go_online(away);
        world.advance(seconds(1.0));
        for device in [0, 1] {
            let told = if device == here { vec![1] } else { vec![-1, 1] };
            assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..300), told), "{device}");
        }
    }
}

#[test]
fn who_comes_back_later_is_met_as_if_for_the_first_time() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.go_offline(1);
    world.kill_sockets(1);
    send(&mut world, 0, topics[0], 0..10);
    world.advance(limits::GRACE + limits::SESSION_TIME + seconds(10.0));
    world.go_online(1);
    world.advance(seconds(5.0));
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    send(&mut world, 0, topics[0], 100..110);
    world.settle();
    assert_eq!(numbers(&mut world, 1, topics[1]), all(100..110));
}

#[test]
fn a_long_message_that_was_cut_off_comes_whole() {
    let (mut world, _, topics) = met_on(&[0]);
    let long: Vec<u8> = (0..limits::MESSAGE).map(|index| (index % 253) as u8).collect();
    world.devices[0].swarm.send(topics[0], FIRST, b"before".to_vec());
    world.devices[0].swarm.send(topics[0], FIRST, long.clone());
    world.devices[0].swarm.send(topics[0], FIRST, b"behind".to_vec());
    for _ in 0..3 {
        world.settle_partly(40);
        world.cut(0, 0);
        world.advance(seconds(0.7));
    }
    world.advance(seconds(5.0));
    let arrived: Vec<Vec<u8>> = world.messages(1, topics[1]).into_iter().map(|(_, bytes)| bytes).collect();
    assert!(arrived == [b"before".to_vec(), long, b"behind".to_vec()], "{} messages", arrived.len());
}

#[test]
fn a_damaged_circuit_is_replaced_and_nobody_sees_it() {
    let (mut world, watches, topics) = met_on(&[0]);
    for round in 0..5 {
        world.relays[0].tamper = Some(|bytes| {
            bytes[0] ^= 1;
            true
        });
        send(&mut world, 0, topics[0], round * 10..round * 10 + 10);
        world.settle();
        world.relays[0].tamper = None;
        world.advance(seconds(1.9));
    }
    assert!(world.presence(0, watches[0]).is_empty());
    let events = world.events(1);
    assert_eq!(numbers_in(&events, topics[1]), all(0..50));
    let is_error = |event: &Event| matches!(event, Event::Error(_));
    assert!(!events.iter().any(is_error), "nothing was lost: there is nothing to report");
}

#[test]
fn the_last_piece_that_a_relay_swallowed_is_missed_at_the_next_ping() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.relays[0].tamper = Some(|_| false);
    send(&mut world, 0, topics[0], 0..3);
    world.settle();
    world.relays[0].tamper = None;
    world.advance(seconds(5.0));
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..3));
    assert!(world.presence(0, watches[0]).is_empty());
}

#[test]
fn messages_move_to_the_other_relay_when_one_goes() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    for device in [0, 1] {
        send(&mut world, device, topics[device], 0..300);
    }
    world.settle_partly(5);
    world.stop_relay(0);
    for device in [0, 1] {
        send(&mut world, device, topics[device], 300..400);
    }
    world.settle();
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..400), vec![]));
    }
}

#[test]
fn a_link_that_falls_silent_is_not_waited_for_where_there_is_another() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    world.relays[0].tamper = Some(|_| false);
    for device in [0, 1] {
        send(&mut world, device, topics[device], 0..50);
    }
    world.advance(limits::PING_AFTER + limits::MISSED_AFTER + Duration::from_millis(1));
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..50), vec![]));
    }
}

#[test]
fn a_relay_that_moves_to_another_url_of_the_list_is_found_within_the_grace() {
    let mut world = World::new(2);
    world.relays[1].is_up = false;
    let (watches, topics) = world.add_pair(&[0, 1]);
    // So long that the other URL is tried every 30 s only.
    world.advance(seconds(300.0));
    for device in [0, 1] {
        world.reports(device);
    }
    for device in [0, 1] {
        send(&mut world, device, topics[device], 0..100);
    }
    world.settle_partly(3);
    world.stop_relay(0);
    // The first attempt comes too early.
    world.advance(seconds(1.0));
    world.relays[1].is_up = true;
    world.advance(seconds(3.9));
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..100), vec![]));
    }
}

#[test]
fn a_relay_that_claims_a_leave_is_proved_wrong_within_the_grace() {
    for liar_to in [0, 1] {
        let (mut world, watches, topics) = met_on(&[0]);
        send(&mut world, 1 - liar_to, topics[1 - liar_to], 0..10);
        world.settle();
        numbers(&mut world, liar_to, topics[liar_to]);
        world.claim_left(liar_to, 0);
        send(&mut world, 1 - liar_to, topics[1 - liar_to], 10..20);
        send(&mut world, liar_to, topics[liar_to], 0..10);
        // The dialler finds out at once; the other end has to wait until the dialler misses it.
        world.advance(seconds(15.0));
        for device in [0, 1] {
            let expected = if device == liar_to { all(10..20) } else { all(0..10) };
            let (arrived, told) = seen(&mut world, device, watches[device], topics[device]);
            assert_eq!(arrived, expected, "{device} of {liar_to}");
            assert!(told.is_empty() || told == [-1, 1], "{told:?}");
        }
    }
}

#[test]
fn a_leave_that_is_claimed_twice_is_proved_wrong_too() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_left(1, 0);
    world.claim_left(1, 0);
    send(&mut world, 1, topics[1], 0..10);
    world.advance(limits::RETRY_FIRST * 2);
    assert_eq!(seen(&mut world, 0, watches[0], topics[0]), (all(0..10), vec![]));
}

#[test]
fn a_circuit_that_a_relay_claims_to_be_over_is_dialled_again_whatever_reason_it_gives() {
    use HangupReason::{Busy, Done, Gone, Timeout, Violation};
    for liar_to in [0, 1] {
        for reason in [Done, Busy, Violation, Gone, Timeout] {
            let (mut world, watches, topics) = met_on(&[0]);
            world.claim_hangups(liar_to, 0, reason);
            for device in [0, 1] {
                send(&mut world, device, topics[device], 0..10);
            }
            // Who was told nothing misses the other within ten seconds and hangs up.
            world.advance(limits::PING_AFTER + limits::PONG_WITHIN + limits::RETRY_FIRST * 2);
            for device in [0, 1] {
                let (arrived, told) = seen(&mut world, device, watches[device], topics[device]);
                assert_eq!(arrived, all(0..10), "{reason:?} to {liar_to}");
                assert!(told.is_empty() || told == [-1, 1], "{told:?}");
            }
        }
    }
}

#[test]
fn a_device_that_is_claimed_gone_is_dialled_again_though_it_was_told_that_we_left() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_left(0, 0);
    world.claim_hangups(1, 0, HangupReason::Gone);
    for device in [0, 1] {
        send(&mut world, device, topics[device], 0..10);
    }
    world.advance(limits::RETRY_FIRST * 2);
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..10), vec![]));
    }
}

#[test]
fn a_leave_that_is_claimed_of_a_device_before_it_is_met_is_proved_wrong_too() {
    let mut world = World::new(1);
    world.relays[0].tamper = Some(|_| false);
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    world.settle();
    world.claim_left(1, 0);
    world.relays[0].tamper = None;
    world.advance(limits::RETRY_FIRST * 2);
    for device in devices {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
}

#[test]
fn a_circuit_that_only_its_relay_knows_of_ends_the_true_one_for_a_moment() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_dials(0, 0);
    for device in [0, 1] {
        send(&mut world, device, topics[device], 0..10);
    }
    world.advance(limits::RETRY_FIRST * 2);
    for device in [0, 1] {
        assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..10), vec![]));
    }
}

#[test]
fn a_goodbye_that_overtakes_the_last_words_waits_for_them() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    // The relay that messages go through lags, and the goodbye comes through the other.
    world.relays[0].is_lagging = true;
    send(&mut world, 1, topics[1], 0..10);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    assert!(world.presence(0, watches[0]).is_empty());
    world.release(0);
    assert_eq!(seen(&mut world, 0, watches[0], topics[0]), (all(0..10), vec![-1]));
}

#[test]
fn a_goodbye_whose_last_words_never_come_is_a_leave_after_two_seconds() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    world.relays[0].is_lagging = true;
    send(&mut world, 1, topics[1], 0..10);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    world.advance(limits::GRACE_AFTER_CLOSE + Duration::from_millis(1));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn devices_with_and_without_sessions_understand_each_other() {
    let mut world = World::new(1);
    let old = {
        world.session_time = Some(Duration::ZERO);
        let device = world.add(&[0]);
        world.session_time = None;
        device
    };
    let new = world.add(&[0]);
    let watches = [old, new].map(|device| world.devices[device].swarm.watch());
    let topics = [old, new].map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for device in [old, new] {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
    for device in [old, new] {
        send(&mut world, device, topics[device], 0..10);
    }
    world.settle();
    world.cut(new, 0);
    world.advance(seconds(2.0));
    for device in [old, new] {
        let told = seen(&mut world, device, watches[device], topics[device]);
        assert_eq!(told, (all(0..10), vec![-1, 1]), "what may be lost is visible");
    }
    assert_eq!(world.state(new), State::Ready);
}

#[test]
fn a_device_that_went_and_comes_back_begins_a_new_session() {
    let (mut world, watches, topics) = met_on(&[0]);
    send(&mut world, 0, topics[0], 0..10);
    world.settle();
    numbers(&mut world, 1, topics[1]);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    world.devices[1].swarm.resume(now);
    world.advance(seconds(1.0));
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    send(&mut world, 0, topics[0], 10..20);
    send(&mut world, 1, topics[1], 0..5);
    assert_eq!(numbers(&mut world, 1, topics[1]), all(10..20));
    assert_eq!(numbers(&mut world, 0, topics[0]), all(0..5));
}

#[test]
fn what_arrived_is_not_kept() {
    let (mut world, _, topics) = met_on(&[0]);
    for round in 0..40 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![0; 1 << 20]);
        world.settle();
        assert!(world.devices[0].swarm.stats().peers[0].queued_bytes <= 1 << 20, "round {round}");
        world.messages(1, topics[1]);
    }
    world.advance(limits::ACK_AFTER);
    assert_eq!(world.devices[0].swarm.stats().peers[0].queued_bytes, 0);
    assert!(world.reports(0).is_empty());
}

#[test]
fn what_waits_for_who_is_missed_makes_room_for_who_is_here_and_is_reported() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let topic = world.devices[sender].swarm.join("chat");
    let crowd = limits::SEND_QUEUES / limits::SEND_QUEUE;
    let missed: Vec<usize> = (0..=crowd).map(|_| world.add(&[0])).collect();
    world.settle();
    for (index, device) in missed.iter().enumerate() {
        world.go_offline(*device);
        world.kill_sockets(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; (1 << 20) - 1]);
        }
        world.advance(seconds(13.0));
        let codes: Vec<_> = world.reports(sender).into_iter().map(|report| (report.code.name(), report.peer)).collect();
        if index < crowd {
            assert!(codes.is_empty(), "{codes:?}");
        } else {
            assert_eq!(codes, [("session-dropped", Some(FIRST))], "the one that left first");
        }
    }
}

#[test]
fn what_waits_for_who_is_missed_makes_room_though_its_link_is_still_open() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let (watch, topic) = (world.devices[sender].swarm.watch(), world.devices[sender].swarm.join("chat"));
    let crowd = limits::SEND_QUEUES / limits::SEND_QUEUE;
    let others: Vec<usize> = (0..=crowd).map(|_| world.add(&[0])).collect();
    let topics: Vec<HandleId> = others.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
    world.settle();
    for (index, device) in others[..crowd].iter().enumerate() {
        world.go_offline(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; 1 << 20]);
        }
    }
    world.advance(seconds(5.5));
    assert_eq!(world.presence(sender, watch).iter().filter(|peer| **peer < 0).count(), crowd, "they are missed");
    let here = PeerId(crowd as u32 + 1);
    world.devices[sender].swarm.send(topic, here, b"small".to_vec());
    let codes: Vec<_> = world.reports(sender).into_iter().map(|report| (report.code.name(), report.peer)).collect();
    assert_eq!(codes, [("session-dropped", Some(FIRST))], "the one that left first");
    assert_eq!(world.messages(others[crowd], topics[crowd]), [(FIRST, b"small".to_vec())]);
    // Each is back, on the old link or a new one. Who was given up is met anew.
    for device in &others[..crowd] {
        world.go_online(*device);
    }
    world.advance(seconds(20.0));
    let arrived: Vec<usize> = (0..crowd).map(|index| world.messages(others[index], topics[index]).len()).collect();
    assert_eq!(arrived, [0, 16, 16, 16]);
    assert_eq!(world.presence(sender, watch), [2, 3, 4, 1]);
    world.devices[sender].swarm.send(topic, FIRST, b"anew".to_vec());
    let arrived: Vec<Vec<u8>> = world.messages(others[0], topics[0]).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(arrived, [b"anew".to_vec()]);
}

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
        let handshake = open_handshake(&drive(1), Role::Responder, &HASH, Some(&standing));
        self.swarm.handle_stream_heard(self.now, self.link, Heard::Opened(&handshake));
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
                        self.ours = opened.expect("an Open of ours");
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
    assert_eq!(remote.said.iter().map(|frame| frame.kind).collect::<Vec<_>>(), [RESUME, TOPIC, MESSAGE]);
    remote.say(ACK, &[1]);
    assert!(!remote.has_ended);
    assert_eq!(remote.swarm.stats().peers[0].queued_bytes, 0);
    remote.say(ACK, &[0]);
    assert!(!remote.has_ended, "an older one says nothing new");
    remote.say(ACK, &[2]);
    assert!(remote.has_ended);
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
    assert_eq!(said, [(RESUME, &b"\x02"[..]), (TOPIC, b"\0\x04chat"), (MESSAGE, b"\0two")]);
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
fn a_link_without_a_session_is_refused_as_long_as_there_is_one_with() {
    let mut remote = Remote::new();
    let newest = remote.link;
    remote.dial();
    let handshake = open_handshake(&drive(1), Role::Responder, &HASH, None);
    remote.swarm.handle_stream_heard(remote.now, remote.link, Heard::Opened(&handshake));
    remote.drain();
    assert!(remote.has_ended);
    remote.link = newest;
    remote.send(1, &[b"one"]);
    assert_eq!(remote.arrived(), [b"one".to_vec()]);
    assert_eq!(remote.presence(), [1]);
}

#[test]
fn bytes_that_never_become_a_frame_are_no_sign_of_life() {
    let (mut world, watches, topics) = met_on(&[0]);
    // A frame whose length is damaged: whatever follows is taken for its bytes, and none of it is ever opened.
    world.relays[0].tamper = Some(|bytes| {
        bytes[2] = 1;
        true
    });
    send(&mut world, 0, topics[0], 0..1);
    world.settle();
    world.relays[0].tamper = None;
    world.advance(limits::FRAME_TIME + seconds(3.0));
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..1));
    assert!(world.presence(0, watches[0]).len() % 2 == 0, "it is there");
}

#[test]
fn a_native_device_takes_bytes_that_never_become_a_frame_for_no_sign_of_life_either() {
    // A frame of 8 MiB.
    let mut world = World::new(1);
    let (page, host) = (world.add(&[0]), world.add_host(&[0]));
    let watch = world.devices[page].swarm.watch();
    let topics = [page, host].map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    world.relays[0].tamper = Some(|bytes| {
        bytes[2] = 0x80;
        true
    });
    send(&mut world, page, topics[page], 0..1);
    world.settle();
    world.relays[0].tamper = None;
    send(&mut world, page, topics[page], 1..10);
    // Its own questions are answered all the time, and it hears that.
    world.advance(limits::FRAME_TIME + seconds(3.0));
    assert_eq!(numbers(&mut world, host, topics[host]), all(0..10));
    world.presence(page, watch);
    world.advance(seconds(60.0));
    assert!(world.presence(page, watch).is_empty(), "it stays");
}

#[test]
fn who_talks_and_answers_nothing_is_given_up() {
    // A native device waits for a frame of 8 MiB, and what it is sent again and again seems to be part of it.
    let mut world = World::new(1);
    let (page, host) = (world.add(&[0]), world.add_host(&[0]));
    let topics = [page, host].map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    world.relays[0].tamper = Some(|bytes| {
        bytes[2] = 0x80;
        true
    });
    send(&mut world, page, topics[page], 0..1);
    world.settle();
    world.relays[0].tamper = None;
    for number in 1..20 {
        send(&mut world, page, topics[page], number..number + 1);
        world.devices[page].swarm.send(topics[page], FIRST, vec![7; 20_000]);
        world.advance(seconds(5.0));
    }
    let arrived = world.messages(host, topics[host]).len();
    assert_eq!(arrived, 39, "all of them, at last");
}

#[test]
fn a_long_frame_of_replication_may_take_its_time_on_a_circuit() {
    let mut world = World::new(1);
    let hosts = [world.add_host(&[0]), world.add_host(&[0])];
    let watch = world.devices[hosts[0]].swarm.watch();
    world.settle();
    assert_eq!(world.presence(hosts[0], watch), [1]);
    let links = (0..10).map(LinkId).find(|link| world.log(hosts[1], *link).contains(&"replicates"));
    // A slow uplink.
    world.slow_down(hosts[1], 10_000.0);
    let dials = world.relays[0].dials;
    world.replicate(hosts[1], links.expect("it replicates"), &vec![7; 800_000]);
    world.advance(seconds(100.0));
    assert!(world.relays[0].dials == dials, "the circuit lives on");
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
    let handshake = open_handshake(&drive(1), Role::Responder, &HASH, Some(&standing));
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
fn acknowledgements_do_not_cut_off_the_last_words_of_a_host() {
    let mut world = World::new(1);
    let (host, page) = (world.add_host(&[0]), world.add(&[0]));
    let (watch, heard) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
    let topic = world.devices[host].swarm.join("chat");
    world.settle();
    assert_eq!(world.presence(page, watch), [1]);
    world.weather = Weather::new(Duration::from_millis(50), Duration::ZERO, Random::from_seed([1; 32]));
    world.devices[host].is_stuck = true;
    for number in 0..30_u32 {
        let mut message = vec![0; 60_000];
        message[..4].copy_from_slice(&number.to_le_bytes());
        world.devices[host].swarm.send(topic, FIRST, message);
    }
    world.advance(Duration::from_millis(150));
    world.devices[host].swarm.say_last_words(world.now);
    world.advance(Duration::from_millis(100));
    assert_eq!(world.reports(host), []);
    world.devices[host].is_stuck = false;
    let socket = world.socket(host, 0);
    world.devices[host].swarm.handle_socket_buffered(socket, 0);
    world.advance(seconds(20.0));
    let events = world.events(page);
    let arrived =
        events.iter().filter(|event| matches!(event, Event::Message { topic, .. } if *topic == heard)).count();
    assert!(arrived > 15, "{arrived} arrived");
    assert_eq!(presence_in(&events, watch), [-1]);
}

#[test]
fn a_message_to_who_left_costs_nobody_what_is_kept_for_him() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let topic = world.devices[sender].swarm.join("chat");
    let others: Vec<usize> = (0..5).map(|_| world.add(&[0])).collect();
    world.settle();
    world.devices[others[4]].swarm.close(world.now);
    world.settle();
    for (index, device) in others[..4].iter().enumerate() {
        world.go_offline(*device);
        world.kill_sockets(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; (1 << 20) - 1]);
        }
        world.advance(seconds(13.0));
    }
    world.events(sender);
    world.devices[sender].swarm.send(topic, PeerId(5), vec![0; 1 << 20]);
    assert_eq!(world.reports(sender), []);
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

/// Lets the first device send and time pass; returns what its watcher saw of the others, and how many messages they got.
fn upload(world: &mut World, watch: HandleId, time: Duration) -> (Vec<i64>, usize) {
    world.advance(time);
    let presence = world.presence(0, watch);
    let others = 1..world.devices.len();
    let is_message = |event: &Event| matches!(event, Event::Message { .. });
    (presence, others.map(|device| world.events(device).iter().filter(|event| is_message(event)).count()).sum())
}

#[test]
fn a_long_message_arrives_over_a_slow_uplink_and_nobody_leaves_meanwhile() {
    for (rate, length) in [(125_000, 300_000), (125_000, 1_500_000), (125_000, 4_000_000), (500_000, 8_000_000)] {
        let (mut world, watches, topics) = met_on(&[0]);
        world.slow_down(0, f64::from(rate));
        world.devices[0].swarm.send(topics[0], FIRST, vec![1; length as usize]);
        let ideal = f64::from(length) / f64::from(rate);
        let seen = upload(&mut world, watches[0], seconds(ideal * 1.2 + 1.0));
        assert_eq!(seen, (vec![], 1), "{length} bytes at {rate} a second");
    }
}

#[test]
fn nobody_leaves_while_much_for_all_others_goes_out_before_their_turn() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let (watch, topic) = (world.devices[sender].swarm.watch(), world.devices[sender].swarm.join("chat"));
    for _ in 0..8 {
        let device = world.add(&[0]);
        world.devices[device].swarm.join("chat");
    }
    world.settle();
    world.events(sender);
    world.slow_down(sender, 125_000.0);
    for _ in 0..12 {
        for peer in 1..=8 {
            world.devices[sender].swarm.send(topic, PeerId(peer), vec![1; 65_536]);
        }
    }
    assert_eq!(upload(&mut world, watch, seconds(70.0)), (vec![], 96));
}

#[test]
fn who_is_silent_leaves_though_much_waits_in_a_socket_that_does_not_move() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.slow_down(0, 0.001);
    world.devices[0].swarm.send(topics[0], FIRST, vec![1; 4_000_000]);
    // It asks us once, after 3 s; our answer waits with the rest.
    world.advance(seconds(8.1));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}
