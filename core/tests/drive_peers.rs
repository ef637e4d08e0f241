//! What an application sees of drive peers that its page has the URLs of: PROTOCOL.md §12, in virtual time.

use std::collections::BTreeSet;

use peersockets_core::code::Code;
use peersockets_core::limits;
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Event, HandleId, PeerId, SocketFailure, State};
use peersockets_netem::{DrivePeer, World, drive, seconds};

const FIRST: PeerId = PeerId(1);

/// A page and a plain process that have met, and have nothing to tell of it any more.
fn met() -> (World, HandleId, HandleId) {
    let mut world = World::new(0);
    world.add_drive_peer();
    let page = world.add_with(&[], &[0]);
    let (watch, topic) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
    assert_eq!(world.presence(page, watch), [1]);
    (world, watch, topic)
}

fn states(world: &mut World, device: usize) -> Vec<State> {
    let state = |event| match event {
        Event::State(state) => Some(state),
        _ => None,
    };
    world.events(device).into_iter().filter_map(state).collect()
}

fn codes(world: &mut World, device: usize) -> Vec<Code> {
    world.reports(device).into_iter().map(|report| report.code).collect()
}

/// The pauses between the attempts at a drive peer.
fn pauses(drive_peer: &DrivePeer) -> Vec<f64> {
    drive_peer.attempts.windows(2).map(|pair| (pair[1].1 - pair[0].1).as_secs_f64()).collect()
}

#[test]
fn a_drive_peer_is_reached_by_extensions() {
    let (mut world, watch, topic) = met();
    world.devices[0].swarm.send(topic, FIRST, b"hello".to_vec());
    assert_eq!(world.heard(0, 0), [("chat".into(), b"hello".to_vec())]);
    world.extend(0, 0, "chat", b"hello yourself");
    world.extend(0, 0, "another topic", b"nobody listens");
    assert_eq!(world.messages(0, topic), [(FIRST, b"hello yourself".to_vec())]);

    let stats = world.devices[0].swarm.stats();
    let peer = &stats.peers[0];
    assert_eq!((peer.route, peer.url.as_deref()), (Route::Direct, Some("ws://peer0/")));
    assert_eq!(peer.key, DrivePeer::key().public());
    assert_eq!((stats.drive_peers[0].phase, stats.drive_peers[0].url.as_str()), ("joined", "ws://peer0/"));

    world.stop_drive_peer(0);
    assert_eq!(world.presence(0, watch), [-1]);
    assert!(codes(&mut world, 0).is_empty(), "that it went is no problem of the application's");
}

#[test]
fn messages_of_all_sizes_reach_a_drive_peer_and_come_from_it_in_order() {
    let (mut world, _, topic) = met();
    let sizes = [0, 1, 65_536, 1 << 20, limits::MESSAGE, 0, 7];
    let messages: Vec<Vec<u8>> =
        sizes.iter().map(|size| (0..*size).map(|index| (index % 253) as u8).collect()).collect();
    for message in &messages {
        world.devices[0].swarm.send(topic, FIRST, message.clone());
    }
    let heard: Vec<Vec<u8>> = world.heard(0, 0).into_iter().map(|(_, message)| message).collect();
    assert!(heard == messages);
    for message in &messages {
        world.extend(0, 0, "chat", message);
    }
    let arrived: Vec<Vec<u8>> = world.messages(0, topic).into_iter().map(|(_, message)| message).collect();
    assert!(arrived == messages);
    let traffic = world.devices[0].swarm.stats().peers[0].traffic;
    assert_eq!((traffic.messages_in, traffic.messages_out, traffic.bytes_in), (7, 7, traffic.bytes_out));
}

#[test]
fn a_message_from_a_drive_peer_that_is_longer_than_any_may_be_is_reported_for_what_it_is() {
    let (mut world, _, topic) = met();
    world.extend(0, 0, "chat", &vec![7; limits::MESSAGE + 1]);
    world.extend(0, 0, "chat", b"short");
    let events = world.events(0);
    let [Event::Error(report), Event::Message { .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((report.code, report.peer, report.handle), (Code::MessageLost, Some(FIRST), Some(topic)));
    assert_eq!(report.text, "a message of 8388608 bytes was dropped: it is longer than 8388607");
}

#[test]
fn a_drive_peer_that_sends_text_is_given_up() {
    let (mut world, watch, _) = met();
    let (now, socket) = (world.now, world.socket_to_drive_peer(0, 0));
    world.devices[0].swarm.handle_socket_text(now, socket);
    assert_eq!(world.presence(0, watch), [-1]);
    assert_eq!(world.sockets_to(0), 0, "its socket is closed");
    world.advance(seconds(2.0));
    assert_eq!(world.presence(0, watch), [1], "and it is tried again");

    let socket = world.socket_to_drive_peer(0, 0);
    let now = world.now;
    world.devices[0].swarm.handle_socket_text(now, socket);
    let reports = world.reports(0);
    assert!(reports.is_empty(), "it was told before: {reports:?}");
}

#[test]
fn a_text_message_is_reported_with_the_url() {
    let (mut world, ..) = met();
    let (now, socket) = (world.now, world.socket_to_drive_peer(0, 0));
    world.devices[0].swarm.handle_socket_text(now, socket);
    let reports = world.reports(0);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("not-a-peer", Some("ws://peer0/")));
    assert!(reports[0].text.contains("sent a text message"), "{}", reports[0].text);
}

#[test]
fn a_drive_peer_without_the_drive_is_reported_and_tried_again() {
    let mut world = World::new(0);
    world.add_drive_peer();
    world.drive_peers[0].drive = drive(2);
    let page = world.add_with(&[], &[0]);
    let watch = world.devices[page].swarm.watch();
    world.advance(seconds(300.0));
    assert_eq!(world.sockets_to(0), 0, "no socket is kept that leads nowhere");
    let reports = world.reports(page);
    assert_eq!(reports.len(), 1, "it is said once: {reports:?}");
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("no-drive", Some("ws://peer0/")));
    assert_eq!(world.state(page), State::Offline);
    for (index, pause) in pauses(&world.drive_peers[0]).iter().enumerate() {
        let expected = (0.5 * f64::from(1 << index.min(10) as u32)).min(30.0);
        assert!((expected * 0.5..=expected * 1.5).contains(pause), "pause {index} is {pause} s");
    }

    world.drive_peers[0].drive = drive(1);
    world.advance(seconds(46.0));
    assert_eq!(world.presence(page, watch), [1]);
    assert_eq!(world.state(page), State::Ready);
}

#[test]
fn a_page_with_drive_peers_alone_says_whether_one_is_here() {
    let mut world = World::new(0);
    for _ in 0..2 {
        world.add_drive_peer();
    }
    world.drive_peers[0].is_up = false;
    world.drive_peers[1].is_mute = true;
    let page = world.add_with(&[], &[0, 1]);
    assert_eq!(states(&mut world, page), [State::Connecting], "one has not been tried to the end");
    world.advance(seconds(10.1));
    assert_eq!(states(&mut world, page), [State::Offline]);

    world.drive_peers[0].is_up = true;
    world.advance(seconds(20.0));
    assert_eq!(states(&mut world, page), [State::Ready]);
    world.stop_drive_peer(0);
    assert_eq!(states(&mut world, page), [State::Offline]);
    world.devices[page].swarm.close(world.now);
    assert_eq!(states(&mut world, page), [State::Closed]);
}

#[test]
fn a_socket_to_a_drive_peer_is_not_yet_a_drive_peer() {
    let mut world = World::new(0);
    world.add_drive_peer();
    world.drive_peers[0].is_mute = true;
    let page = world.add_with(&[], &[0]);
    world.advance(seconds(9.9));
    assert_eq!(states(&mut world, page), [State::Connecting]);
    assert!(codes(&mut world, page).is_empty());
    world.advance(seconds(0.2));
    let reports = world.reports(page);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("no-peer", Some("ws://peer0/")));
    assert_eq!(world.state(page), State::Offline);
}

#[test]
fn a_drive_peer_that_is_down_is_reported_once_and_tried_ever_later_and_at_once_on_request() {
    let mut world = World::new(0);
    world.add_drive_peer();
    world.drive_peers[0].is_up = false;
    let page = world.add_with(&[], &[0]);
    world.advance(seconds(300.0));
    assert_eq!(codes(&mut world, page), [Code::NoPeer]);
    let pauses = pauses(&world.drive_peers[0]);
    assert!((10..25).contains(&pauses.len()), "{pauses:?}");
    for (index, pause) in pauses.iter().enumerate() {
        let expected = (0.5 * f64::from(1 << index.min(10) as u32)).min(30.0);
        assert!((expected * 0.5..=expected * 1.5).contains(pause), "pause {index} is {pause} s");
    }

    world.drive_peers[0].is_up = true;
    let now = world.now;
    world.devices[page].swarm.retry(now);
    world.settle();
    assert_eq!(world.state(page), State::Ready);
}

#[test]
fn a_drive_peer_that_closes_before_it_shows_the_drive_is_reported_as_none() {
    let mut world = World::new(0);
    world.add_drive_peer();
    world.drive_peers[0].is_mute = true;
    let page = world.add_with(&[], &[0]);
    world.settle();
    world.stop_drive_peer(0);
    assert_eq!(codes(&mut world, page), [Code::NotAPeer]);
}

#[test]
fn what_is_no_drive_peer_is_reported_and_leaves_the_others_alone() {
    let mut world = World::new(1);
    for _ in 0..2 {
        world.add_drive_peer();
    }
    world.drive_peers[1].is_mute = true;
    let page = world.add_with(&[0], &[0, 1]);
    let other = world.add(&[0]);
    let watch = world.devices[page].swarm.watch();
    assert_eq!(world.presence(page, watch), [1, 2]);
    // A web server, for instance, that answers with something of its own.
    let (now, socket) = (world.now, world.socket_to_drive_peer(page, 1));
    world.devices[page].swarm.handle_socket_message(now, socket, b"HTTP/1.1 400 Bad Request");
    let reports = world.reports(page);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("not-a-peer", Some("ws://peer1/")));
    assert!(world.presence(page, watch).is_empty());
    assert_eq!((world.state(page), world.state(other)), (State::Ready, State::Ready));
}

#[test]
fn a_drive_peer_that_breaks_the_protocol_ends_no_more_than_its_own_link() {
    let skipped_id = [&[0, 1, 0xfe, 0, 0, 0, 1][..], &[15], b"hypercore/alpha", &[0]].concat();
    let of_a_byte = vec![7];
    let reject = vec![0, 2, 9];
    let name_beyond = vec![1, 9, 0xfe, 0, 0, 1, 0];
    for frame in [skipped_id, of_a_byte, reject, name_beyond] {
        let mut world = World::new(1);
        let peers = [world.add_drive_peer(), world.add_drive_peer()];
        let page = world.add_with(&[0], &peers);
        world.add(&[0]);
        let (watch, topic) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
        let mut met = world.presence(page, watch);
        met.sort_unstable();
        assert_eq!(met, [1, 2], "the processes share a key: they are one peer");
        world.say(1, page, &frame);
        assert!(world.sockets_to(1) == 0 && world.sockets_to(0) == 1, "{frame:?}");
        let events = world.events(page);
        let [Event::Error(report)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((report.code, report.url.as_deref()), (Code::PeerMisbehaved, Some("ws://peer1/")), "{frame:?}");
        world.extend(0, page, "chat", b"still here");
        assert_eq!(world.messages(page, topic).len(), 1);
        world.advance(seconds(2.0));
        assert_eq!(world.sockets_to(1), 1, "and it is tried again");
    }
}

#[test]
fn a_drive_peer_that_cannot_be_used_is_tried_once() {
    for (failure, code) in
        [(SocketFailure::MixedContent, Code::MixedContent), (SocketFailure::BadUrl, Code::BadPeerUrl)]
    {
        let mut world = World::new(0);
        world.add_drive_peer();
        world.drive_peers[0].is_up = false;
        world.drive_peers[0].failure = failure;
        let page = world.add_with(&[], &[0]);
        world.advance(seconds(60.0));
        let now = world.now;
        world.devices[page].swarm.retry(now);
        world.devices[page].swarm.resume(now);
        world.advance(seconds(60.0));
        assert_eq!(world.drive_peers[0].attempts.len(), 1);
        assert_eq!(codes(&mut world, page), [code]);
    }
}

#[test]
fn a_relay_that_is_named_as_a_drive_peer_is_called_a_relay() {
    let mut world = World::new(0);
    world.add_drive_peer();
    world.drive_peers[0].is_up = false;
    world.drive_peers[0].failure = SocketFailure::OnlyHttpOfRelay;
    let page = world.add_with(&[], &[0]);
    let reports: Vec<_> = world.reports(page).into_iter().map(|report| (report.code, report.text)).collect();
    assert_eq!(reports, [(Code::NotAPeer, "ws://peer0/ is a relay, not a drive peer".to_string())]);
}

#[test]
fn drive_peers_that_cannot_be_used_are_reported() {
    let mut world = World::new(0);
    let peers: Vec<usize> = (0..=limits::DRIVE_PEERS).map(|_| world.add_drive_peer()).collect();
    let twice: Vec<usize> = [&[0][..], &peers].concat();
    let page = world.add_with(&[], &twice);
    let reports = world.reports(page);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("bad-peer-url", Some("ws://peer8/")));
    assert_eq!(world.devices[page].swarm.stats().drive_peers.len(), limits::DRIVE_PEERS);

    world.drive_peers.push(DrivePeer::named("https://peer/"));
    let other = world.add_with(&[], &[limits::DRIVE_PEERS + 1]);
    let reports = world.reports(other);
    assert_eq!((reports[0].code.name(), reports[0].url.as_deref()), ("bad-peer-url", Some("https://peer/")));
    assert_eq!(world.state(other), State::Offline);
}

#[test]
fn eight_drive_peers_are_connected_at_once() {
    let mut world = World::new(0);
    let peers: Vec<usize> = (0..limits::DRIVE_PEERS).map(|_| world.add_drive_peer()).collect();
    let page = world.add_with(&[], &peers);
    world.settle();
    assert!(world.devices[page].swarm.stats().drive_peers.iter().all(|peer| peer.phase == "joined"));
}

#[test]
fn a_process_that_is_restarted_is_the_same_peer_again() {
    let (mut world, watch, topic) = met();
    world.stop_drive_peer(0);
    world.drive_peers[0].is_up = true;
    world.advance(seconds(2.0));
    assert_eq!(world.presence(0, watch), [-1, 1]);
    world.devices[0].swarm.send(topic, FIRST, b"again".to_vec());
    assert_eq!(world.heard(0, 0), [("chat".into(), b"again".to_vec())], "and its name is said again");
    world.extend(0, 0, "chat", b"again");
    assert_eq!(world.messages(0, topic).len(), 1);
}

#[test]
fn a_process_with_two_urls_is_one_peer() {
    let mut world = World::new(0);
    for _ in 0..2 {
        world.add_drive_peer();
    }
    let page = world.add_with(&[], &[0, 1]);
    let (watch, topic) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
    assert_eq!(world.presence(page, watch), [1]);
    world.devices[page].swarm.send(topic, FIRST, b"once".to_vec());
    let heard = [world.heard(0, page), world.heard(1, page)].concat();
    assert_eq!(heard.len(), 1);
    let used = world.devices[page].swarm.stats().peers[0].url.clone();
    let used = usize::from(used.as_deref() == Some("ws://peer1/"));
    // The other one is not missed; this one is.
    world.stop_drive_peer(1 - used);
    assert!(world.presence(page, watch).is_empty());
    world.drive_peers[1 - used].is_up = true;
    world.advance(seconds(2.0));
    world.stop_drive_peer(used);
    assert_eq!(world.presence(page, watch), [-1, 1]);
}

#[test]
fn what_is_sent_before_anyone_is_here_reaches_the_drive_peer() {
    let mut world = World::new(0);
    world.add_drive_peer();
    let page = world.add_with(&[], &[0]);
    let topic = world.devices[page].swarm.join("chat");
    for number in 0..10 {
        world.devices[page].swarm.send(topic, FIRST, vec![number]);
    }
    let expected: Vec<_> = (0..10).map(|number| ("chat".to_string(), vec![number])).collect();
    assert_eq!(world.heard(0, page), expected);
}

#[test]
fn a_full_socket_to_a_drive_peer_holds_data_back_until_it_drains() {
    let (mut world, _, topic) = met();
    world.devices[0].is_stuck = true;
    for _ in 0..17 {
        world.devices[0].swarm.send(topic, FIRST, vec![7; 1 << 20]);
    }
    let returned = world.reports(0);
    assert_eq!(returned.len(), 1, "the queue holds 16 MiB");
    assert_eq!((returned[0].code, returned[0].message.as_ref().map(Vec::len)), (Code::QueueFull, Some(1 << 20)));
    let arrived = world.heard(0, 0).len();
    assert!(arrived <= 1, "{arrived} MiB went into a buffer of {} bytes", limits::SOCKET_HIGH_WATER);

    world.devices[0].is_stuck = false;
    let socket = world.socket_to_drive_peer(0, 0);
    world.devices[0].swarm.handle_socket_buffered(socket, 0);
    assert_eq!(arrived + world.heard(0, 0).len(), 16);
}

#[test]
fn a_page_that_goes_says_its_last_words_to_a_drive_peer_and_comes_back() {
    let (mut world, watch, topic) = met();
    world.devices[0].swarm.send(topic, FIRST, b"so long".to_vec());
    let before = world.drive_peers[0].heard.len();
    world.devices[0].swarm.goodbye(world.now);
    assert_eq!(world.presence(0, watch), [-1]);
    assert_eq!(world.sockets_to(0), 0);
    assert_eq!(world.drive_peers[0].heard[before..], [("chat".into(), b"so long".to_vec())]);
    assert_eq!(world.state(0), State::Offline);
    world.advance(seconds(600.0));
    assert_eq!(world.drive_peers[0].attempts.len(), 1, "nothing is tried meanwhile");

    let now = world.now;
    world.devices[0].swarm.resume(now);
    assert_eq!(world.presence(0, watch), [1]);
    assert_eq!(world.state(0), State::Ready);
}

#[test]
fn a_quiet_drive_peer_stays() {
    let (mut world, watch, topic) = met();
    world.advance(seconds(3_600.0));
    assert!(world.presence(0, watch).is_empty());
    world.extend(0, 0, "chat", b"after an hour");
    assert_eq!(world.messages(0, topic).len(), 1);
}

/// A page and a device in a process that holds the drive, which it reaches over a relay and over a socket.
fn met_twice() -> (World, [HandleId; 2], [HandleId; 2]) {
    met_twice_in(World::new(1))
}

fn met_twice_in(mut world: World) -> (World, [HandleId; 2], [HandleId; 2]) {
    world.add_drive_peer();
    let host = world.add_host(&[0]);
    world.drive_peers[0].host = Some(host);
    world.settle();
    let page = world.add_with(&[0], &[0]);
    assert_eq!([host, page], [0, 1]);
    let watches = [host, page].map(|device| world.devices[device].swarm.watch());
    let topics = [host, page].map(|device| world.devices[device].swarm.join("chat"));
    for device in [host, page] {
        assert_eq!(world.presence(device, watches[device]), [1], "one peer, however it is reached");
        assert_eq!(world.devices[device].swarm.stats().relays[0].circuits, 1);
    }
    assert_eq!(world.devices[page].swarm.stats().drive_peers[0].phase, "joined");
    (world, watches, topics)
}

#[test]
fn a_peer_on_a_relay_and_on_a_socket_is_one_and_gets_every_message_once() {
    let (mut world, watches, topics) = met_twice();
    for number in 0..100u8 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![number]);
        world.devices[1].swarm.send(topics[1], FIRST, vec![number]);
    }
    let expected: Vec<_> = (0..100u8).map(|number| (FIRST, vec![number])).collect();
    for device in [0, 1] {
        let events = world.events(device);
        let messages: Vec<_> = events.iter().filter_map(|event| message(event, topics[device])).collect();
        assert_eq!(messages, expected);
        assert!(!events.iter().any(|event| matches!(event, Event::Join { .. } | Event::Leave { .. })));
    }
    assert!(world.presence(0, watches[0]).is_empty());
}

fn message(event: &Event, handle: HandleId) -> Option<(PeerId, Vec<u8>)> {
    match event {
        Event::Message { topic, peer, message } if *topic == handle => Some((*peer, message.to_vec())),
        _ => None,
    }
}

#[test]
fn losing_one_of_two_ways_to_a_peer_is_seen_only_if_it_was_used_and_there_is_no_session() {
    for (is_relay_lost, has_session) in [(false, false), (true, false), (false, true), (true, true)] {
        let made = if has_session { World::new(1) } else { World::without_sessions(1) };
        let (mut world, watches, topics) = met_twice_in(made);
        world.devices[1].swarm.send(topics[1], FIRST, b"one way".to_vec());
        world.settle();
        let is_direct = world.devices[1].swarm.stats().peers[0].route == Route::Direct;
        world.messages(0, topics[0]);
        match is_relay_lost {
            true => world.stop_relay(0),
            false => world.stop_drive_peer(0),
        }
        let seen = world.presence(1, watches[1]);
        assert_eq!(
            seen,
            if has_session || is_relay_lost == is_direct { vec![] } else { vec![-1, 1] },
            "{is_relay_lost}"
        );
        world.devices[1].swarm.send(topics[1], FIRST, b"the other way".to_vec());
        assert_eq!(world.messages(0, topics[0]), [(FIRST, b"the other way".to_vec())]);
    }
}

#[test]
fn a_goodbye_on_a_socket_ends_the_circuit_too() {
    let (mut world, watches, _) = met_twice();
    world.relays[0].is_discreet = true;
    world.devices[1].swarm.goodbye(world.now);
    assert_eq!(world.presence(0, watches[0]), [-1]);
    assert_eq!(world.devices[0].swarm.stats().relays[0].circuits, 0);
    assert_eq!(world.streams(0), 0, "and no stream is left of either");
}

#[test]
fn a_device_behind_a_socket_is_reached_on_its_own_channel() {
    let mut world = World::new(0);
    world.add_drive_peer();
    let host = world.add_host(&[]);
    world.drive_peers[0].host = Some(host);
    let page = world.add_with(&[], &[0]);
    let watches = [host, page].map(|device| world.devices[device].swarm.watch());
    let topics = [host, page].map(|device| world.devices[device].swarm.join("chat"));
    for device in [host, page] {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
    // More than one part, and it arrives whole: parts are of that channel only.
    world.devices[page].swarm.send(topics[page], FIRST, vec![7; 100_000]);
    assert_eq!(world.messages(host, topics[host]), [(FIRST, vec![7; 100_000])]);
    world.devices[host].swarm.send(topics[host], FIRST, vec![8; 100_000]);
    assert_eq!(world.messages(page, topics[page]), [(FIRST, vec![8; 100_000])]);
    assert_eq!(world.state(host), State::Ready, "a host that somebody reached is not offline");

    // The process says goodbye: leave at once, and nobody is told of a problem.
    world.devices[host].swarm.close(world.now);
    assert_eq!(world.presence(page, watches[page]), [-1]);
    assert!(codes(&mut world, page).is_empty());
}

#[test]
fn every_join_of_a_drive_peer_has_one_leave() {
    for seed in 0..30u64 {
        let mut world = World::new(1);
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        // Drive peer 0 is a plain process, 1 is a device of ours that is on the relay too.
        for _ in 0..2 {
            world.add_drive_peer();
        }
        let host = world.add_host(&[0]);
        world.drive_peers[1].host = Some(host);
        let devices = [host, world.add_with(&[0], &[0, 1]), world.add_with(&[], &[0, 1]), world.add_with(&[0], &[1])];
        let watches = devices.map(|device| world.devices[device].swarm.watch());
        let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
        let mut here = vec![BTreeSet::new(); devices.len()];
        for _ in 0..40 {
            let device = next(4) as usize;
            let now = world.now;
            match next(7) {
                0 => world.cut(device, 0),
                1 => world.devices[device].swarm.goodbye(world.now),
                2 => world.devices[device].swarm.resume(now),
                3 | 4 => world.devices[device].swarm.send(topics[device], PeerId(1 + next(4) as u32), vec![1]),
                5 => {
                    let peer = next(2) as usize;
                    world.stop_drive_peer(peer);
                    world.drive_peers[peer].is_up = true;
                }
                _ => world.advance(seconds(next(5) as f64)),
            }
            follow(seed, &mut world, &watches, &mut here);
        }
        for device in devices {
            let now = world.now;
            world.devices[device].swarm.resume(now);
        }
        world.advance(seconds(120.0));
        follow(seed, &mut world, &watches, &mut here);
        let met: Vec<usize> = here.iter().map(BTreeSet::len).collect();
        // Each page but the last meets the plain process, and everyone the host; pages meet on the relay.
        assert_eq!(met, [3, 3, 2, 2], "seed {seed}");
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
