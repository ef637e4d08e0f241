//! What relays do, and what becomes of it: order over two of them, goodbyes, redials, and how often they are tried.

use std::collections::BTreeSet;

use peersockets_core::code::Code;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, ToRelay};
use peersockets_core::rtc::IceServer;
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, SocketFailure, SocketId, State, Swarm};
use peersockets_core::time::Time;
use peersockets_netem::{Relay, World, drive, seconds};

const FIRST: PeerId = PeerId(1);

/// Devices that have met on relays 0 and 1, and have nothing to tell of it any more.
fn met_on_both(count: usize) -> (World, Vec<HandleId>, Vec<HandleId>) {
    met_in(World::new(2), count)
}

fn met_in(mut world: World, count: usize) -> (World, Vec<HandleId>, Vec<HandleId>) {
    let devices: Vec<usize> = (0..count).map(|_| world.add(&[0, 1])).collect();
    let watches = devices.iter().map(|device| world.devices[*device].swarm.watch()).collect();
    let topics = devices.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
    world.settle();
    for device in devices {
        world.events(device);
    }
    (world, watches, topics)
}

#[test]
fn what_lags_on_one_relay_never_comes_behind_what_was_sent_after_it_on_another() {
    let (mut world, watches, topics) = met_in(World::without_sessions(2), 2);
    world.devices[0].swarm.send(topics[0], FIRST, b"first".to_vec());
    world.settle();
    world.relays[0].is_lagging = true;
    world.devices[0].swarm.send(topics[0], FIRST, b"lost on the way".to_vec());
    world.settle();
    world.cut(0, 0);
    world.devices[0].swarm.send(topics[0], FIRST, b"over the other".to_vec());
    world.settle();
    world.release(0);
    let seen: Vec<String> = world
        .events(1)
        .into_iter()
        .filter_map(|event| match event {
            Event::Join { watch, .. } if watch == watches[1] => Some("join".into()),
            Event::Leave { watch, .. } if watch == watches[1] => Some("leave".into()),
            Event::Message { message, .. } => Some(String::from_utf8(message.to_vec()).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(seen, ["first", "leave", "join", "over the other"]);
}

#[test]
fn a_goodbye_over_one_relay_ends_the_links_over_all() {
    let (mut world, watches, _) = met_on_both(2);
    world.relays[0].is_discreet = true;
    world.relays[1].is_lagging = true;
    world.devices[1].swarm.goodbye(world.now);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    let circuits: usize = world.devices[0].swarm.stats().relays.iter().map(|relay| relay.circuits).sum();
    assert_eq!(circuits, 0);
}

#[test]
fn a_device_that_comes_back_before_it_is_missed_is_reached_on_its_new_circuit() {
    let mut world = World::new(1);
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    assert_eq!(world.presence(0, watches[0]), [1]);
    world.relays[0].is_discreet = true;
    world.cut(1, 0);
    world.advance(seconds(2.0));
    assert!(world.presence(0, watches[0]).is_empty());
    assert_eq!(world.devices[0].swarm.stats().relays[0].circuits, 1);
    world.devices[0].swarm.send(topics[0], FIRST, b"there you are".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
}

#[test]
fn a_stranger_is_not_dialled_again() {
    let mut world = World::new(1);
    world.add(&[0]);
    world.add_to(drive(2), &[0]);
    world.advance(seconds(120.0));
    assert_eq!(world.relays[0].dials, 1);
}

#[test]
fn a_relay_that_cannot_be_used_is_tried_once() {
    for (failure, code) in [
        (SocketFailure::MixedContent, Code::MixedContent),
        (SocketFailure::BlockedByPolicy, Code::SocketBlockedByCsp),
        (SocketFailure::BadUrl, Code::BadRelayUrl),
    ] {
        let mut world = World::new(1);
        world.relays[0].is_up = false;
        world.relays[0].failure = failure;
        let device = world.add(&[0]);
        world.advance(seconds(60.0));
        let now = world.now;
        world.devices[device].swarm.retry(now);
        world.devices[device].swarm.resume(now);
        world.advance(seconds(60.0));
        assert_eq!(world.relays[0].attempts.len(), 1);
        let codes: Vec<_> = world.reports(device).into_iter().map(|report| report.code).collect();
        assert_eq!(codes, [code]);
    }
}

#[test]
fn why_a_relay_is_not_reached_is_said_as_far_as_it_is_known() {
    for (failure, code, text) in [
        (SocketFailure::Unreachable, Code::NoRelay, "no relay answers at ws://relay0/relay"),
        (SocketFailure::Stranger, Code::NotARelay, "what answers at ws://relay0/relay is not a relay"),
        (
            SocketFailure::OnlyHttpOfRelay,
            Code::NoWebSocket,
            "a relay answers at ws://relay0/relay, but no WebSocket to it opens",
        ),
    ] {
        let mut world = World::new(1);
        world.relays[0].is_up = false;
        world.relays[0].failure = failure;
        let device = world.add(&[0]);
        world.advance(seconds(60.0));
        assert!(world.relays[0].attempts.len() > 3, "it is tried again");
        let reports: Vec<_> = world.reports(device).into_iter().map(|report| (report.code, report.text)).collect();
        assert_eq!(reports, [(code, text.to_string())]);
    }
}

#[test]
fn that_nothing_answers_with_tls_is_said() {
    let now = Time::from_millis(0.0);
    let config = Config { relays: &["wss://relay/".into()], drive_peers: &["wss://peer/".into()], ..Config::default() };
    let mut swarm = Swarm::new(now, [7; 32], drive(1), config);
    swarm.handle_timeout(now);
    let mut texts = Vec::new();
    loop {
        match swarm.poll_output() {
            Output::Open { socket, .. } => swarm.handle_socket_failed(now, socket, SocketFailure::Unreachable),
            Output::Event(Event::Error(report)) => texts.push(report.text),
            Output::Timeout(_) => break,
            _ => {}
        }
    }
    assert_eq!(texts, ["no relay answers with TLS at wss://relay/", "no drive peer answers with TLS at wss://peer/"]);
}

#[test]
fn a_retry_that_was_asked_for_makes_the_next_pauses_short_again() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let device = world.add(&[0]);
    world.advance(seconds(300.0));
    let now = world.now;
    world.devices[device].swarm.retry(now);
    world.settle();
    let before = world.relays[0].attempts.len();
    world.advance(seconds(0.8));
    assert_eq!(world.relays[0].attempts.len(), before + 1);
}

#[test]
fn a_relay_that_welcomes_and_then_refuses_is_tried_ever_later_and_reported_once() {
    let mut world = World::new(1);
    world.relays[0].is_moody = true;
    let device = world.add(&[0]);
    world.advance(seconds(300.0));
    assert!(world.relays[0].attempts.len() < 25, "{} attempts in 300 s", world.relays[0].attempts.len());
    let codes: Vec<_> = world.reports(device).into_iter().map(|report| report.code).collect();
    assert_eq!(codes, [Code::TooFast]);
}

#[test]
fn a_malformed_relay_frame_ends_that_socket_only() {
    for bytes in
        [&[][..], &[0], &[1], &[2, 1], &[3, 1], &[0xff; 64], &[1, 1, 0, 0xfe, 0xff, 0xff, 0xff, 0xff], &[1, 9, 0, 0]]
    {
        let mut world = World::new(2);
        let devices = [world.add(&[0, 1]), world.add(&[1])];
        let watch = world.devices[0].swarm.watch();
        world.settle();
        world.events(0);
        let (socket, now) = (world.socket(0, 0), world.now);
        world.devices[0].swarm.handle_socket_message(now, socket, bytes);
        let reports = world.reports(0);
        assert_eq!(reports.len(), 1, "{bytes:?}");
        assert_eq!(reports[0].code.name(), "not-a-relay");
        assert_eq!(world.state(0), State::Ready);
        assert!(world.presence(0, watch).is_empty(), "the other relay's peer stays");
        world.advance(seconds(2.0));
        assert_eq!(world.devices[devices[0]].swarm.stats().relays[0].phase, "joined", "and it is tried again");
    }
}

#[test]
fn retries_back_off_with_jitter_and_at_once_on_request() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let devices = [world.add(&[0]), world.add(&[0])];
    world.advance(seconds(300.0));
    let mut pauses = Vec::new();
    for device in devices {
        let times: Vec<_> =
            world.relays[0].attempts.iter().filter(|(who, _)| *who == device).map(|(_, at)| *at).collect();
        pauses.push(times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect::<Vec<_>>());
        let reports = world.reports(device);
        assert_eq!(reports.len(), 1, "an outage is reported once");
        assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("no-relay", Some("ws://relay0/relay")));
        assert_eq!(world.state(device), State::Offline);
    }
    for (index, pause) in pauses[0].iter().enumerate() {
        let expected = (0.5 * f64::from(1 << index.min(10) as u32)).min(30.0);
        assert!((expected * 0.5..=expected * 1.5).contains(pause), "pause {index} is {pause} s");
    }
    assert_ne!(pauses[0], pauses[1]);

    world.relays[0].is_up = true;
    let now = world.now;
    world.devices[0].swarm.retry(now);
    world.settle();
    assert_eq!(world.state(0), State::Ready);
}

#[test]
fn a_relay_that_never_answers_is_given_up_after_ten_seconds() {
    let mut world = World::new(1);
    world.relays[0].is_mute = true;
    let device = world.add(&[0]);
    world.advance(seconds(9.9));
    assert!(world.reports(device).is_empty());
    world.advance(seconds(0.2));
    assert_eq!(world.reports(device)[0].code.name(), "no-relay");
}

#[test]
fn relays_that_cannot_be_used_are_reported() {
    let mut world = World::new(4);
    let device = world.add(&[0, 1, 2, 3, 0]);
    world.relays.push(Relay::named("https://relay/"));
    let other = world.add(&[4]);
    assert_eq!(world.reports(device)[0].url.as_deref(), Some("ws://relay3/relay"));
    let reports = world.reports(other);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("bad-relay-url", Some("https://relay/")));
    assert_eq!(world.state(other), State::Offline);
}

#[test]
fn only_members_that_came_before_are_dialled_and_each_with_keys_of_its_own() {
    let now = Time::default();
    let relays = ["ws://relay/".to_string()];
    let mut swarm = Swarm::new(now, [7; 32], drive(1), Config { relays: &relays, ..Config::default() });
    let Output::Event(_) = swarm.poll_output() else { panic!("a state comes first") };
    swarm.handle_timeout(now);
    let Output::Open { socket, .. } = swarm.poll_output() else { panic!("a socket is opened at once") };
    swarm.handle_socket_opened(now, socket);
    let mut welcome = Vec::new();
    FromRelay::Welcome { member: 3, lends: false, counts_direct: false, present: vec![1, 2, 4, 9] }
        .encode(&mut welcome);
    swarm.handle_socket_message(now, socket, &welcome);

    let mut dialled = Vec::new();
    let mut keys = BTreeSet::new();
    loop {
        match swarm.poll_output() {
            Output::Write { message, .. } => match ToRelay::decode(&message).unwrap() {
                ToRelay::Dial(line) => dialled.push(line.member),
                ToRelay::Data(_, bytes) => assert!(keys.insert(bytes.to_vec()), "a key was used again"),
                _ => {}
            },
            Output::Timeout(_) => break,
            _ => {}
        }
    }
    assert_eq!(dialled, [1, 2]);
    assert_eq!(keys.len(), 2);
}

#[test]
fn servers_that_a_relay_announces_keep_nobody_from_meeting() {
    let server = |url: &str| IceServer { url: url.into(), username: String::new(), credential: String::new() };
    let mut world = World::new(2);
    world.relays[0].ice_servers = vec![server("stun:192.0.2.1")];
    world.relays[1].ice_servers = vec![server(&"x".repeat(255)); 8];
    let (mut world, _, topics) = met_in(world, 2);
    world.announce_ice_servers(0, vec![server("stun:192.0.2.2")]);
    world.announce_ice_servers(1, vec![]);
    world.devices[0].swarm.send(topics[0], FIRST, b"hello".to_vec());
    world.settle();
    assert_eq!(world.messages(1, topics[1]), [(FIRST, b"hello".to_vec())]);
    assert!((0..2).all(|device| world.reports(device).is_empty()));
}

#[test]
fn a_message_beyond_the_budget_of_all_peers_is_reported_with_its_topic_and_the_others_arrive() {
    const SENDERS: usize = 5;
    let mut world = World::new(1);
    let receiver = world.add(&[0]);
    let key = world.devices[receiver].swarm.stats().device_key;
    for topic in ["one", "two"] {
        world.devices[receiver].swarm.join(topic);
    }
    world.settle();
    let senders: Vec<usize> = (0..SENDERS).map(|_| world.add(&[0])).collect();
    world.advance(seconds(5.0));
    for sender in &senders {
        world.devices[*sender].is_stuck = true;
        for topic in ["one", "two"] {
            let topic = world.devices[*sender].swarm.join(topic);
            let peers = world.devices[*sender].swarm.stats().peers;
            let to = peers.iter().find(|peer| peer.key == key).expect("it has met the receiver").peer;
            world.devices[*sender].swarm.send(topic, to, vec![7; limits::MESSAGE]);
        }
    }
    // A MiB at a time, so that all messages are incomplete when the budget is used up.
    for _ in 0..20 {
        for sender in &senders {
            let socket = world.socket(*sender, 0);
            world.devices[*sender].swarm.handle_socket_buffered(socket, 0);
            world.settle();
        }
    }
    let events = world.events(receiver);
    let arrived = events.iter().filter(|event| matches!(event, Event::Message { .. })).count();
    let lost: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Error(report) => Some((report.code, report.topic.as_deref(), report.peer.is_some())),
            _ => None,
        })
        .collect();
    assert_eq!(arrived + lost.len(), 2 * SENDERS);
    // Five have five sixths of 64 MiB, since as much as each has is left for others: six messages and a half. What is dropped makes room.
    assert!(arrived >= 6 && !lost.is_empty(), "{arrived} arrived, {lost:?} were lost");
    for (code, topic, has_peer) in lost {
        assert!(code == Code::MessageLost && matches!(topic, Some("one" | "two")) && has_peer);
    }
}

#[test]
fn a_joined_relay_that_closes_the_connection_is_no_problem_of_the_application_s() {
    let (mut world, _, _) = met_on_both(2);
    for relay in 0..2 {
        world.stop_relay(relay);
        world.relays[relay].is_up = true;
    }
    world.advance(seconds(5.0));
    for device in 0..2 {
        assert!(world.devices[device].swarm.stats().relays.iter().all(|relay| relay.phase == "joined"));
        assert!(world.reports(device).is_empty());
    }
}

#[test]
fn a_message_that_is_too_long_ends_its_socket_before_its_bytes_are_looked_at() {
    let now = Time::default();
    let urls = ["ws://relay/relay".to_string(), "ws://peer/".to_string()];
    let config = Config { relays: &urls[..1], drive_peers: &urls[1..], ..Config::default() };
    let mut swarm = Swarm::new(now, [7; 32], drive(1), config);
    swarm.handle_timeout(now);
    let mut sockets = Vec::new();
    while sockets.len() < 2 {
        if let Output::Open { socket, .. } = swarm.poll_output() {
            sockets.push(socket);
        }
    }
    let longest = [(65_568, Code::NotARelay), (16_777_218, Code::NotAPeer)];
    for (socket, (length, code)) in sockets.into_iter().zip(longest) {
        swarm.handle_socket_opened(now, socket);
        assert!(swarm.handle_socket_length(now, socket, length));
        assert!(!swarm.handle_socket_length(now, socket, length + 1));
        assert!(!swarm.handle_socket_length(now, socket, 1), "it is closed");
        let (mut closed, mut codes) = (Vec::new(), Vec::new());
        loop {
            match swarm.poll_output() {
                Output::Close { socket } => closed.push(socket),
                Output::Event(Event::Error(report)) => codes.push(report.code),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        assert_eq!((closed, codes), (vec![socket], vec![code]));
    }
}

/// A device that this relay has welcomed, and its socket.
fn welcomed(member: u64, present: Vec<u64>) -> (Swarm, SocketId) {
    let now = Time::default();
    let urls = ["ws://relay/relay".to_string()];
    let mut swarm = Swarm::new(now, [7; 32], drive(1), Config { relays: &urls, ..Config::default() });
    let socket = loop {
        if let Output::Open { socket, .. } = swarm.poll_output() {
            break socket;
        }
    };
    swarm.handle_socket_opened(now, socket);
    hear(&mut swarm, now, socket, FromRelay::Welcome { member, lends: false, counts_direct: false, present });
    (swarm, socket)
}

/// Lets it hear a frame; returns what it writes then.
fn hear(swarm: &mut Swarm, now: Time, socket: SocketId, frame: FromRelay<'_>) -> Vec<Vec<u8>> {
    let mut message = Vec::new();
    frame.encode(&mut message);
    swarm.handle_socket_message(now, socket, &message);
    let mut written = Vec::new();
    loop {
        match swarm.poll_output() {
            Output::Write { message, .. } => written.push(message),
            Output::Timeout(_) => return written,
            _ => {}
        }
    }
}

fn hangup(line: Line, reason: HangupReason) -> Vec<u8> {
    let mut frame = Vec::new();
    ToRelay::Hangup(line, reason).encode(&mut frame);
    frame
}

#[test]
fn whoever_dials_a_device_that_has_a_circuit_to_a_whole_room_is_told_that_it_is_busy() {
    let room = limits::ROOM as u64;
    let (mut swarm, socket) = welcomed(room, (1..room).collect());
    assert_eq!(swarm.stats().relays[0].circuits, limits::ROOM - 1);
    for (member, circuit, is_busy) in [(room + 1, 1, false), (room + 2, 1, true), (room + 1, 2, false)] {
        let line = Line { member, circuit };
        let written = hear(&mut swarm, Time::default(), socket, FromRelay::Dialed(line));
        assert_eq!(written.contains(&hangup(line, HangupReason::Busy)), is_busy, "member {member}");
        assert_eq!(swarm.stats().relays[0].circuits, limits::ROOM);
    }
}

#[test]
fn a_dial_by_a_member_that_came_before_replaces_no_circuit() {
    let (mut swarm, socket) = welcomed(2, vec![1]);
    for member in [1, 2] {
        let line = Line { member, circuit: 1_000 };
        let written = hear(&mut swarm, Time::default(), socket, FromRelay::Dialed(line));
        assert_eq!(written, [hangup(line, HangupReason::Violation)], "and nothing is said on a circuit");
    }
    assert_eq!(swarm.stats().relays[0].circuits, 1);
    let later = Line { member: 3, circuit: 1 };
    assert_eq!(hear(&mut swarm, Time::default(), socket, FromRelay::Dialed(later)), [[0; 0]; 0]);
    assert_eq!(swarm.stats().relays[0].circuits, 2);
}
