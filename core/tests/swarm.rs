//! What an application sees of its peers: PROTOCOL.md §9 and §10, in virtual time.

use std::collections::BTreeSet;

use peersockets_core::code::Code;
use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, Line};
use peersockets_core::swarm::{Event, HandleId, PeerId, State};
use peersockets_netem::{World, drive, seconds};

const FIRST: PeerId = PeerId(1);

/// Two devices that have met on one relay, each with a watcher and the topic `chat`.
fn pair() -> (World, [HandleId; 2], [HandleId; 2]) {
    pair_in(World::new(1))
}

fn pair_in(mut world: World) -> (World, [HandleId; 2], [HandleId; 2]) {
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for device in devices {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
    (world, watches, topics)
}

#[test]
fn three_devices_see_each_other_once() {
    let mut world = World::new(1);
    let devices = [world.add(&[0]), world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    world.advance(seconds(60.0));
    for device in devices {
        assert_eq!(world.presence(device, watches[device]), [1, 2]);
        assert_eq!(world.state(device), State::Ready);
    }
}

#[test]
fn devices_with_overlapping_relay_lists_meet_once_each() {
    let mut world = World::new(2);
    let devices = [world.add(&[0, 1]), world.add(&[0]), world.add(&[1])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    world.advance(seconds(60.0));
    assert_eq!(world.presence(0, watches[0]), [1, 2]);
    assert_eq!(world.presence(1, watches[1]), [1]);
    assert_eq!(world.presence(2, watches[2]), [1]);
}

#[test]
fn two_devices_that_share_two_relays_are_one_peer_to_each_other() {
    let mut world = World::new(2);
    let devices = [world.add(&[0, 1]), world.add(&[0, 1])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    world.devices[0].swarm.send(topics[0], FIRST, b"once".to_vec());
    world.settle();
    let events = world.events(1);
    let joins =
        events.iter().filter(|event| matches!(event, Event::Join { watch, .. } if *watch == watches[1])).count();
    let messages = events.iter().filter(|event| matches!(event, Event::Message { .. })).count();
    assert_eq!((joins, messages), (1, 1));
}

#[test]
fn messages_of_all_sizes_arrive_intact_and_in_order() {
    let (mut world, _, topics) = pair();
    let sizes = [0, 1, 65_536, 1 << 20, limits::MESSAGE];
    let messages: Vec<Vec<u8>> =
        sizes.iter().map(|size| (0..*size).map(|index| (index % 253) as u8).collect()).collect();
    for message in &messages {
        world.devices[0].swarm.send(topics[0], FIRST, message.clone());
    }
    let arrived: Vec<Vec<u8>> = world.messages(1, topics[1]).into_iter().map(|(_, message)| message).collect();
    assert!(arrived == messages);
}

#[test]
fn ten_thousand_messages_arrive_complete_and_in_order() {
    let (mut world, _, topics) = pair();
    for number in 0..10_000u32 {
        world.devices[0].swarm.send(topics[0], FIRST, number.to_le_bytes().to_vec());
    }
    let expected: Vec<_> = (0..10_000u32).map(|number| (FIRST, number.to_le_bytes().to_vec())).collect();
    assert_eq!(world.messages(1, topics[1]), expected);
}

#[test]
fn a_message_carries_the_id_that_join_and_leave_carry() {
    let mut world = World::new(1);
    let devices = [world.add(&[0]), world.add(&[0]), world.add(&[0])];
    let watch = world.devices[0].swarm.watch();
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    // Device 2 sends to everyone it knows; it is the second that device 0 met.
    for peer in [1, 2] {
        world.devices[2].swarm.send(topics[2], PeerId(peer), b"me".to_vec());
    }
    world.settle();
    world.devices[2].swarm.goodbye(world.now);
    let events = world.events(0);
    assert!(events.contains(&Event::Join { watch, peer: PeerId(2) }));
    assert!(events.iter().any(|event| matches!(event, Event::Message { peer: PeerId(2), .. })));
    assert!(events.contains(&Event::Leave { watch, peer: PeerId(2) }));
}

#[test]
fn every_watcher_is_told_of_the_peers_that_are_here() {
    let (mut world, _, _) = pair();
    let late = world.devices[0].swarm.watch();
    assert_eq!(world.presence(0, late), [1]);
}

#[test]
fn each_handle_of_a_topic_gets_each_message_until_it_is_closed() {
    let (mut world, _, topics) = pair();
    let second = world.devices[1].swarm.join("chat");
    world.devices[0].swarm.send(topics[0], FIRST, b"both".to_vec());
    let events = world.events(1);
    for handle in [topics[1], second] {
        let got =
            events.iter().filter(|event| matches!(event, Event::Message { topic, .. } if *topic == handle)).count();
        assert_eq!(got, 1);
    }
    world.devices[1].swarm.close_handle(topics[1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"one".to_vec());
    assert_eq!(world.messages(1, second), [(FIRST, b"one".to_vec())]);
}

#[test]
fn nothing_comes_on_a_closed_handle_not_even_what_has_happened_already() {
    let (mut world, _, topics) = pair();
    let watch = world.devices[1].swarm.watch();
    world.devices[1].swarm.close_handle(watch);
    world.devices[1].swarm.close_handle(topics[1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"late".to_vec());
    assert!(world.events(1).is_empty());
    world.devices[1].swarm.send(topics[1], FIRST, b"closed".to_vec());
    assert!(world.messages(0, topics[0]).is_empty());
}

#[test]
fn a_handle_that_is_joined_on_hearing_a_message_gets_the_next_one() {
    let (mut world, _, topics) = pair();
    world.devices[1].on_event = |swarm, event| {
        if let Event::Message { topic, .. } = event {
            swarm.close_handle(*topic);
            swarm.join("chat");
        }
    };
    for message in ["one", "two", "three"] {
        world.devices[0].swarm.send(topics[0], FIRST, message.into());
    }
    let got: Vec<Vec<u8>> = world.events(1).into_iter().filter_map(message).collect();
    assert_eq!(got, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}

fn message(event: Event) -> Option<Vec<u8>> {
    match event {
        Event::Message { message, .. } => Some(message.to_vec()),
        _ => None,
    }
}

#[test]
fn a_message_on_a_topic_joined_too_late_is_not_replayed() {
    let (mut world, _, topics) = pair();
    let other = world.devices[0].swarm.join("other");
    world.devices[0].swarm.send(other, FIRST, b"nobody listens".to_vec());
    world.settle();
    let late = world.devices[1].swarm.join("other");
    assert!(world.messages(1, late).is_empty());
    world.devices[0].swarm.send(topics[0], FIRST, b"still fine".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
}

#[test]
fn an_unknown_peer_id_is_a_silent_no_op() {
    let (mut world, _, topics) = pair();
    for peer in [0, 2, 99, u32::MAX] {
        world.devices[0].swarm.send(topics[0], PeerId(peer), b"?".to_vec());
    }
    assert!(world.events(0).is_empty());
    world.devices[0].swarm.send(topics[0], FIRST, b"!".to_vec());
    assert_eq!(world.messages(1, topics[1]), [(FIRST, b"!".to_vec())]);
}

#[test]
fn a_departed_peer_id_is_a_silent_no_op() {
    let (mut world, watches, topics) = pair();
    world.devices[1].swarm.goodbye(world.now);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"?".to_vec());
    assert!(world.events(0).is_empty());
}

#[test]
fn a_goodbye_gives_leave_at_once() {
    let (mut world, watches, _) = pair();
    let before = world.now;
    world.relays[0].is_discreet = true;
    world.devices[1].swarm.goodbye(world.now);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    assert_eq!(world.now, before);
}

#[test]
fn a_device_that_returns_keeps_its_peer_id() {
    let (mut world, watches, topics) = pair();
    world.devices[1].swarm.goodbye(world.now);
    world.settle();
    let now = world.now;
    world.devices[1].swarm.resume(now);
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"again".to_vec());
    assert_eq!(world.messages(1, topics[1]), [(FIRST, b"again".to_vec())]);
}

#[test]
fn without_a_session_a_lost_connection_is_a_leave_and_its_return_a_join() {
    let (mut world, watches, topics) = pair_in(World::without_sessions(1));
    world.cut(1, 0);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    world.advance(seconds(2.0));
    assert_eq!(world.presence(0, watches[0]), [1]);
    assert_eq!(world.presence(1, watches[1]), [-1, 1]);
    world.devices[1].swarm.send(topics[1], FIRST, b"back".to_vec());
    assert_eq!(world.messages(0, topics[0]), [(FIRST, b"back".to_vec())]);
}

#[test]
fn losing_a_used_link_is_visible_as_leave_then_join() {
    let mut world = World::without_sessions(2);
    let devices = [world.add(&[0, 1]), world.add(&[0, 1])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    world.devices[0].swarm.send(topics[0], FIRST, b"over the first relay".to_vec());
    world.settle();
    for device in devices {
        world.events(device);
    }
    world.stop_relay(0);
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    assert_eq!(world.presence(1, watches[1]), [-1, 1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"over the second".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
}

#[test]
fn losing_a_spare_link_is_not_seen() {
    let mut world = World::new(2);
    let devices = [world.add(&[0, 1]), world.add(&[0, 1])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    world.devices[0].swarm.send(topics[0], FIRST, b"first relay".to_vec());
    world.devices[1].swarm.send(topics[1], FIRST, b"first relay".to_vec());
    world.settle();
    for device in devices {
        world.events(device);
    }
    world.stop_relay(1);
    for device in devices {
        assert!(world.presence(device, watches[device]).is_empty());
    }
}

#[test]
fn a_stranger_with_the_rendezvous_id_never_joins_learns_no_topic_and_gets_no_message() {
    let mut world = World::new(1);
    let member = world.add(&[0]);
    let stranger = world.add_to(drive(2), &[0]);
    let watches = [member, stranger].map(|device| world.devices[device].swarm.watch());
    let topics = [member, stranger].map(|device| world.devices[device].swarm.join("chat"));
    world.devices[member].swarm.send(topics[0], FIRST, b"secret".to_vec());
    world.advance(seconds(120.0));
    for device in [member, stranger] {
        assert!(world.presence(device, watches[device]).is_empty());
        assert!(world.messages(device, topics[device]).is_empty());
        let circuits: usize = world.devices[device].swarm.stats().relays.iter().map(|relay| relay.circuits).sum();
        assert_eq!(circuits, 0, "the circuit is given up");
    }
}

#[test]
fn sends_before_the_relay_is_joined_are_delivered() {
    let mut world = World::new(1);
    let listener = world.add(&[0]);
    let listening = world.devices[listener].swarm.join("chat");
    world.settle();

    let early = world.add(&[0]);
    let topic = world.devices[early].swarm.join("chat");
    for number in 0..10 {
        world.devices[early].swarm.send(topic, FIRST, vec![number]);
    }
    // What was sent before its handle closed is sent.
    world.devices[early].swarm.close_handle(topic);
    let expected: Vec<_> = (0..10).map(|number| (FIRST, vec![number])).collect();
    assert_eq!(world.messages(listener, listening), expected);
}

#[test]
fn early_sends_are_bounded_and_what_does_not_fit_comes_back() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let device = world.add(&[0]);
    let topic = world.devices[device].swarm.join("chat");
    for number in 0..=limits::EARLY_MESSAGES {
        world.devices[device].swarm.send(topic, FIRST, vec![number as u8]);
    }
    let returned: Vec<_> = world.reports(device).into_iter().filter(|report| report.code == Code::QueueFull).collect();
    assert_eq!(returned.len(), 1);
    assert_eq!(returned[0].message, Some(vec![limits::EARLY_MESSAGES as u8]));
    assert_eq!((returned[0].peer, returned[0].handle), (Some(FIRST), Some(topic)));
}

#[test]
fn early_bytes_are_bounded_too() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let device = world.add(&[0]);
    let topic = world.devices[device].swarm.join("chat");
    world.devices[device].swarm.send(topic, FIRST, vec![7; limits::EARLY_BYTES]);
    assert_eq!(world.devices[device].swarm.refusal(PeerId(2), 0), None);
    assert!(world.devices[device].swarm.refusal(PeerId(2), 1).is_some());
    world.devices[device].swarm.send(topic, PeerId(2), vec![8]);
    let returned: Vec<_> = world.reports(device).into_iter().filter(|report| report.code == Code::QueueFull).collect();
    assert_eq!(returned.len(), 1);
    assert_eq!((returned[0].peer, &returned[0].message), (Some(PeerId(2)), &Some(vec![8])));
}

#[test]
fn a_refusal_is_known_before_the_message_is_given() {
    let (mut world, _, topics) = pair();
    let swarm = &mut world.devices[0].swarm;
    swarm.send(topics[0], FIRST, vec![0; limits::MESSAGE]);
    assert_eq!(swarm.refusal(FIRST, limits::MESSAGE), None);
    swarm.send(topics[0], FIRST, vec![0; limits::MESSAGE]);
    assert_eq!(swarm.refusal(FIRST, 2), None);
    assert_eq!(swarm.refusal(FIRST, 3).as_deref(), Some("16777216 bytes wait for this peer already"));
    assert_eq!(swarm.refusal(PeerId(9), limits::MESSAGE), None, "nothing is sent to nobody");
}

#[test]
fn early_sends_to_nobody_are_dropped_once_everyone_was_met() {
    let mut world = World::new(1);
    let alone = world.add(&[0]);
    let topic = world.devices[alone].swarm.join("chat");
    world.devices[alone].swarm.send(topic, FIRST, b"anyone?".to_vec());
    world.settle();
    let late = world.add(&[0]);
    let listening = world.devices[late].swarm.join("chat");
    world.settle();
    assert!(world.messages(late, listening).is_empty());
    assert!(world.reports(alone).is_empty());
}

#[test]
fn a_message_too_large_comes_back_and_the_link_lives() {
    let (mut world, _, topics) = pair();
    let message = vec![7; limits::MESSAGE + 1];
    world.devices[0].swarm.send(topics[0], FIRST, message.clone());
    let reports = world.reports(0);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].code.name(), reports[0].peer), ("message-too-large", Some(FIRST)));
    assert!(reports[0].message == Some(message));
    world.devices[0].swarm.send(topics[0], FIRST, b"fine".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
}

#[test]
fn a_full_send_queue_gives_the_message_back_and_the_rest_arrives() {
    let (mut world, _, topics) = pair();
    for _ in 0..17 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![0; 1 << 20]);
    }
    let returned: Vec<_> = world.reports(0);
    assert_eq!(returned.len(), 1);
    assert_eq!((returned[0].code.name(), returned[0].message.as_ref().map(Vec::len)), ("queue-full", Some(1 << 20)));
    assert_eq!(world.messages(1, topics[1]).len(), 16);
}

#[test]
fn a_full_socket_holds_data_back_until_it_drains() {
    let (mut world, _, topics) = pair();
    world.devices[0].is_stuck = true;
    for _ in 0..8 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    }
    world.settle();
    let arrived = world.devices[1].swarm.stats().peers[0].traffic.messages_in;
    assert!(arrived <= 1, "{arrived} MiB went into a buffer of {} bytes", limits::SOCKET_HIGH_WATER);

    world.devices[0].is_stuck = false;
    let socket = world.socket(0, 0);
    let swarm = &mut world.devices[0].swarm;
    let takes_messages_again =
        [limits::SOCKET_HIGH_WATER, 0, 0].map(|bytes| swarm.handle_socket_buffered(socket, bytes));
    assert_eq!(takes_messages_again, [false, true, false]);
    assert_eq!(world.messages(1, topics[1]).len(), 8);
}

#[test]
fn last_words_arrive_before_the_goodbye() {
    let (mut world, watches, topics) = pair();
    world.devices[0].swarm.send(topics[0], FIRST, b"so long".to_vec());
    world.devices[0].swarm.close(world.now);
    let events = world.events(1);
    let message = events.iter().position(|event| matches!(event, Event::Message { topic, .. } if *topic == topics[1]));
    let leave = events.iter().position(|event| matches!(event, Event::Leave { watch, .. } if *watch == watches[1]));
    assert!(message.is_some() && message < leave, "{events:?}");
}

#[test]
fn a_goodbye_waits_for_64_kib_and_no_more() {
    let (mut world, _, topics) = pair();
    for number in 0..8 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![number; 16_000]);
    }
    world.devices[0].swarm.goodbye(world.now);
    let arrived: Vec<u8> = world.messages(1, topics[1]).iter().map(|(_, message)| message[0]).collect();
    assert_eq!(arrived, [0, 1, 2, 3]);
}

#[test]
fn a_dial_that_is_told_twice_is_one_circuit() {
    let (mut world, _, _) = pair();
    let now = world.now;
    let socket = world.socket(0, 0);
    let mut message = Vec::new();
    FromRelay::Dialed(Line { member: 9, circuit: 1 }).encode(&mut message);
    for _ in 0..3 {
        world.devices[0].swarm.handle_socket_message(now, socket, &message);
    }
    assert_eq!(world.devices[0].swarm.stats().relays[0].circuits, 2);
}

#[test]
fn a_watcher_beyond_the_limit_is_told_so() {
    let (mut world, _, _) = pair();
    let watches: Vec<HandleId> = (0..limits::HANDLES).map(|_| world.devices[0].swarm.watch()).collect();
    let reports = world.reports(0);
    assert_eq!(reports[0].code, Code::TooManyHandles);
    // The pair holds a watcher and a topic already.
    assert_eq!(reports[0].handle, Some(watches[limits::HANDLES - 2]));
}

#[test]
fn topics_and_handles_beyond_the_limits_are_reported_and_inert() {
    let (mut world, _, _) = pair();
    for number in 1..limits::TOPICS {
        world.devices[0].swarm.join(&format!("topic {number}"));
    }
    assert!(world.reports(0).is_empty());
    let beyond = world.devices[0].swarm.join("one more");
    let long = world.devices[0].swarm.join(&"é".repeat(128));
    let codes: Vec<_> = world.reports(0).into_iter().map(|report| report.code.name()).collect();
    assert_eq!(codes, ["too-many-topics", "topic-too-long"]);
    for handle in [beyond, long] {
        world.devices[0].swarm.send(handle, FIRST, b"nothing".to_vec());
        world.devices[0].swarm.close_handle(handle);
    }
    world.devices[0].swarm.join("");
    assert_eq!(world.reports(0).len(), 1, "the limit holds for the empty name too");
    assert!(world.events(1).is_empty());
}

#[test]
fn more_dials_than_handshakes_per_second_are_met_later() {
    let mut world = World::new(1);
    let first = world.add(&[0]);
    let watch = world.devices[first].swarm.watch();
    world.settle();
    let crowd = limits::HANDSHAKES_PER_SECOND as usize + 10;
    for _ in 0..crowd {
        world.add(&[0]);
    }
    world.settle();
    let at_once = world.presence(first, watch).len();
    assert_eq!(at_once, limits::HANDSHAKES_PER_SECOND as usize);
    // Who is told that it is too busy comes back sooner than who waits for an answer in vain.
    world.advance(seconds(8.0));
    let mut met = world.presence(first, watch);
    met.sort_unstable();
    assert_eq!(at_once + met.len(), crowd, "everyone is met in the end, and nobody twice");
}

#[test]
fn without_a_session_a_damaged_circuit_is_a_leave_and_dialled_again() {
    let (mut world, watches, topics) = pair_in(World::without_sessions(1));
    world.relays[0].tamper = Some(|bytes| {
        bytes[3] ^= 1;
        true
    });
    world.devices[0].swarm.send(topics[0], FIRST, b"damaged".to_vec());
    world.settle();
    world.relays[0].tamper = None;
    let codes: Vec<_> = world.reports(1).into_iter().map(|report| report.code.name()).collect();
    assert_eq!(codes, ["peer-misbehaved"]);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    world.advance(seconds(2.0));
    assert_eq!(world.presence(0, watches[0]), [1]);
    world.devices[0].swarm.send(topics[0], FIRST, b"whole".to_vec());
    assert_eq!(world.messages(1, topics[1]), [(FIRST, b"whole".to_vec())]);
}

#[test]
fn a_circuit_that_swallows_everything_is_given_up_and_peers_leave() {
    let (mut world, watches, _) = pair();
    world.relays[0].tamper = Some(|_| false);
    world.advance(seconds(10.5));
    assert_eq!(world.presence(0, watches[0]), [-1]);
    assert_eq!(world.presence(1, watches[1]), [-1]);
}

#[test]
fn quiet_peers_stay() {
    let (mut world, watches, _) = pair();
    world.advance(seconds(3_600.0));
    assert!(world.presence(0, watches[0]).is_empty());
    assert!(world.presence(1, watches[1]).is_empty());
}

#[test]
fn closing_says_goodbye_for_good() {
    let (mut world, watches, topics) = pair();
    world.devices[1].swarm.close(world.now);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    assert_eq!(world.state(1), State::Closed);
    let now = world.now;
    world.devices[1].swarm.resume(now);
    world.devices[1].swarm.retry(now);
    world.devices[1].swarm.send(topics[1], FIRST, b"?".to_vec());
    world.advance(seconds(60.0));
    assert!(world.events(0).is_empty());
    assert_eq!(world.state(1), State::Closed);
}

#[test]
fn every_join_has_one_leave() {
    for seed in 0..50u64 {
        let mut world = World::new(2);
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let devices: Vec<usize> =
            // All are on relay 0, some on both.
            (0..5).map(|index| world.add(&[0, 1][..1 + index % 2])).collect();
        let watches: Vec<HandleId> = devices.iter().map(|device| world.devices[*device].swarm.watch()).collect();
        let topics: Vec<HandleId> = devices.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
        let mut here = vec![BTreeSet::new(); devices.len()];
        for _ in 0..60 {
            let device = next(5) as usize;
            let now = world.now;
            match next(6) {
                0 => world.cut(device, next(2) as usize),
                1 => world.devices[device].swarm.goodbye(world.now),
                2 => world.devices[device].swarm.resume(now),
                3 => world.devices[device].swarm.send(topics[device], PeerId(1 + next(4) as u32), vec![1]),
                4 => {
                    let relay = next(2) as usize;
                    world.stop_relay(relay);
                    world.relays[relay].is_up = true;
                }
                _ => world.advance(seconds(next(5) as f64)),
            }
            follow(seed, &mut world, &watches, &mut here);
        }
        for device in &devices {
            let now = world.now;
            world.devices[*device].swarm.resume(now);
        }
        world.advance(seconds(120.0));
        follow(seed, &mut world, &watches, &mut here);
        let others = devices.len() - 1;
        assert!(
            here.iter().all(|here| here.len() == others),
            "seed {seed}: not everyone met everyone in the end: {here:?}"
        );
    }
}

/// Brings up to date who is here for each device: nobody comes who is here, and nobody goes who is not.
fn follow(seed: u64, world: &mut World, watches: &[HandleId], here: &mut [BTreeSet<i64>]) {
    for (device, here) in here.iter_mut().enumerate() {
        for change in world.presence(device, watches[device]) {
            let is_sound = if change > 0 { here.insert(change) } else { here.remove(&-change) };
            assert!(is_sound, "seed {seed}: device {device} was told {change} twice in a row");
        }
    }
}
