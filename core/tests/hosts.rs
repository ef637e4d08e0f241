//! Devices in a process that holds the drive, whose secret streams and muxes the process runs itself: PROTOCOL.md §12, in virtual
//! time.

mod devices;

use devices::at;
use peersockets_core::channel::peersockets::{TOPIC, open_handshake};
use peersockets_core::code::Code;
use peersockets_core::conversation::{Established, Heard};
use peersockets_core::limits;
use peersockets_core::link::Host;
use peersockets_core::secure::Role;
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Event, HandleId, LinkId, Output, PeerId, State};
use peersockets_netem::{World, drive, seconds};

const FIRST: PeerId = PeerId(1);
const HASH: [u8; 64] = [3; 64];
const CIRCUIT: LinkId = LinkId(1);

/// A device in a process with the drive, and a page, that have met on a relay.
fn met() -> (World, [HandleId; 2], [HandleId; 2]) {
    met_in(World::new(1))
}

fn met_in(mut world: World) -> (World, [HandleId; 2], [HandleId; 2]) {
    let devices = [world.add_host(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for device in devices {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
    (world, watches, topics)
}

fn numbered(count: u32) -> Vec<(PeerId, Vec<u8>)> {
    (0..count).map(|number| (FIRST, number.to_le_bytes().to_vec())).collect()
}

#[test]
fn a_native_device_replicates_on_a_circuit_only_after_the_proof() {
    // With a page, which has no part of the drive, whichever of the two came first.
    for is_host_first in [false, true] {
        let mut world = World::new(1);
        let (host, page) = match is_host_first {
            true => (world.add_host(&[0]), world.add(&[0])),
            false => {
                let page = world.add(&[0]);
                (world.add_host(&[0]), page)
            }
        };
        let watch = world.devices[page].swarm.watch();
        assert_eq!(world.presence(page, watch), [1]);
        let log: Vec<_> =
            world.log(host, CIRCUIT).into_iter().filter(|what| !["read", "message"].contains(what)).collect();
        let start = if is_host_first { "start as responder" } else { "start as initiator" };
        assert_eq!(log, [start, "open", "heard open", "replicate"]);
    }

    // With another that has the drive: both, and neither is told before its own proof.
    let mut world = World::new(1);
    let hosts = [world.add_host(&[0]), world.add_host(&[0])];
    for host in hosts {
        let log: Vec<_> =
            world.log(host, CIRCUIT).into_iter().filter(|what| !["read", "message"].contains(what)).collect();
        assert_eq!(log[1..], ["open", "heard open", "replicate", "replicates"]);
    }

    // A stranger in the drive's room never sees a discovery key.
    let mut world = World::new(1);
    let host = world.add_host(&[0]);
    let stranger = world.add_to(drive(2), &[0]);
    let watch = world.devices[stranger].swarm.watch();
    world.advance(seconds(30.0));
    let log = world.log(host, CIRCUIT);
    assert!(log.contains(&"end") && !log.contains(&"replicate"), "{log:?}");
    assert!(world.presence(stranger, watch).is_empty());
}

#[test]
fn messages_of_all_sizes_go_both_ways_between_a_native_device_and_a_page() {
    let (mut world, _, topics) = met();
    let sizes = [0, 1, 16_355, 16_356, 65_536, 1 << 20, limits::MESSAGE];
    let messages: Vec<Vec<u8>> =
        sizes.iter().map(|size| (0..*size).map(|index| (index % 253) as u8).collect()).collect();
    for (from, to) in [(0, 1), (1, 0)] {
        for message in &messages {
            world.devices[from].swarm.send(topics[from], FIRST, message.clone());
        }
        let arrived: Vec<Vec<u8>> = world.messages(to, topics[to]).into_iter().map(|(_, message)| message).collect();
        assert!(arrived == messages, "from {from} to {to}");
    }
    assert_eq!(world.devices[0].swarm.stats().peers[0].route, Route::Relay);
}

#[test]
fn native_devices_replicate_beside_their_messages() {
    let mut world = World::new(1);
    let hosts = [world.add_host(&[0]), world.add_host(&[0])];
    let topics = hosts.map(|host| world.devices[host].swarm.join("chat"));
    world.settle();
    for number in 0..50u32 {
        for (host, other) in [(0, 1), (1, 0)] {
            world.replicate(host, CIRCUIT, &[7; 100_000]);
            world.devices[host].swarm.send(topics[host], FIRST, number.to_le_bytes().to_vec());
            world.settle();
            let arrived = world.messages(other, topics[other]);
            assert_eq!(arrived, [(FIRST, number.to_le_bytes().to_vec())]);
        }
    }
}

#[test]
fn a_plain_peer_on_a_stream_of_the_host_is_reached_by_extensions() {
    let mut world = World::new(0);
    let host = world.add_host(&[]);
    let (watch, topic) = (world.devices[host].swarm.watch(), world.devices[host].swarm.join("chat"));
    let link = world.connect(host, drive(1));
    assert_eq!(world.presence(host, watch), [1]);
    let log = world.log(host, link);
    assert_eq!(log, ["open", "replicates"], "the stream is the host's: it replicates there already");
    let stats = world.devices[host].swarm.stats();
    assert_eq!((stats.peers[0].route, &stats.peers[0].url), (Route::Direct, &None));
    assert_eq!(stats.state, State::Ready);

    let sizes = [0, 1, 65_536, 1 << 20, limits::MESSAGE, 0, 7];
    let messages: Vec<Vec<u8>> = sizes.iter().map(|size| vec![7; *size]).collect();
    for message in &messages {
        world.devices[host].swarm.send(topic, FIRST, message.clone());
    }
    let heard: Vec<_> = std::mem::take(&mut world.connected(host, link).heard);
    let expected: Vec<_> = messages.iter().map(|message| ("chat".to_string(), message.clone())).collect();
    assert!(heard == expected);
    for message in &messages {
        world.connected(host, link).extend("chat", message);
        world.connected(host, link).extend("unwanted", message);
    }
    world.flush(host, link);
    let arrived: Vec<Vec<u8>> = world.messages(host, topic).into_iter().map(|(_, message)| message).collect();
    assert!(arrived == messages);

    // Nobody says goodbye on it: its end is the leave.
    world.end_stream(host, link);
    assert_eq!(world.presence(host, watch), [-1]);
    assert_eq!(world.state(host), State::Offline);
    assert!(world.reports(host).is_empty());
    world.devices[host].swarm.send(topic, FIRST, b"?".to_vec());
    assert!(world.events(host).is_empty());
}

#[test]
fn a_stream_whose_peer_does_not_have_the_drive_is_none_of_ours() {
    let mut world = World::new(0);
    let host = world.add_host(&[]);
    let watch = world.devices[host].swarm.watch();
    let link = world.connect(host, drive(2));
    world.advance(seconds(11.0));
    assert_eq!(world.log(host, link), ["open", "end"]);
    assert!(world.presence(host, watch).is_empty());
    assert!(world.reports(host).is_empty());
}

#[test]
fn a_device_of_a_host_is_reached_however_many_streams_it_has() {
    let mut world = World::new(0);
    let host = world.add_host(&[]);
    let (watch, topic) = (world.devices[host].swarm.watch(), world.devices[host].swarm.join("chat"));
    let plain = world.connect(host, drive(1));
    world.connect(host, drive(2));
    // The same process again: one peer still, on the link that was proved first.
    let again = world.connect(host, drive(1));
    assert_eq!(world.presence(host, watch), [1]);
    world.devices[host].swarm.send(topic, FIRST, b"hello".to_vec());
    assert_eq!([plain, again].map(|link| world.connected(host, link).heard.len()), [1, 0]);
    world.end_stream(host, plain);
    assert_eq!(world.presence(host, watch), [-1, 1]);
    world.devices[host].swarm.send(topic, FIRST, b"hello".to_vec());
    assert_eq!(world.connected(host, again).heard.len(), 1);
}

#[test]
fn a_mux_that_takes_nothing_holds_messages_back_and_what_is_too_much_comes_back() {
    let (mut world, _, topics) = met();
    world.set_full(0, true);
    for number in 0..1_000u32 {
        world.devices[0].swarm.send(topics[0], FIRST, number.to_le_bytes().to_vec());
    }
    assert!(world.messages(1, topics[1]).is_empty());
    let now = world.devices[0].swarm.stats().peers[0].queued_bytes;
    assert_eq!(now, 4_000);
    for _ in 0..16 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    }
    let returned = world.reports(0);
    assert_eq!(returned.len(), 1);
    assert_eq!((returned[0].code, returned[0].message.as_ref().map(Vec::len)), (Code::QueueFull, Some(1 << 20)));

    // Answers and signs of life go all the same.
    world.advance(seconds(60.0));
    assert!(world.events(0).is_empty() && world.events(1).is_empty());

    world.set_full(0, false);
    let arrived = world.messages(1, topics[1]);
    assert_eq!(arrived.len(), 1_015);
    assert_eq!(arrived[..1_000], numbered(1_000));
}

#[test]
fn a_host_waits_with_writing_to_a_circuit_until_there_is_room() {
    let mut world = World::new(1);
    world.relays[0].pool = 2 * limits::CREDIT_WINDOW;
    let hosts = [world.add_host(&[0]), world.add_host(&[0])];
    let topics = hosts.map(|host| world.devices[host].swarm.join("chat"));
    world.settle();
    world.devices[0].is_stuck = true;
    for _ in 0..80 {
        world.replicate(0, CIRCUIT, &[7; 100_000]);
    }
    world.devices[0].swarm.send(topics[0], FIRST, b"behind it".to_vec());
    world.settle();
    // 8 MB: a socket's buffer of 1 MiB, as much in the swarm, and the rest waits where it is.
    assert!(world.held(0, CIRCUIT) > 5_500_000, "{} bytes", world.held(0, CIRCUIT));
    assert!(!world.log(0, CIRCUIT).contains(&"drained"));
    assert!(world.messages(1, topics[1]).is_empty());

    world.devices[0].is_stuck = false;
    let socket = world.socket(0, 0);
    world.devices[0].swarm.handle_socket_buffered(socket, 0);
    assert_eq!(world.messages(1, topics[1]), [(FIRST, b"behind it".to_vec())]);
    assert_eq!(world.held(0, CIRCUIT), 0);
    let drains = world.log(0, CIRCUIT).iter().filter(|what| **what == "drained").count();
    assert!((1..=10).contains(&drains), "{drains} times for 8 MB");
}

#[test]
fn without_a_session_a_stream_that_breaks_on_a_circuit_is_a_leave_and_the_circuit_is_dialled_again() {
    // Whichever of the two dials.
    for is_host_first in [true, false] {
        let mut world = World::without_sessions(1);
        let (host, page) = match is_host_first {
            true => (world.add_host(&[0]), world.add(&[0])),
            false => {
                let page = world.add(&[0]);
                (world.add_host(&[0]), page)
            }
        };
        let watches = [host, page].map(|device| world.devices[device].swarm.watch());
        let topics = [host, page].map(|device| world.devices[device].swarm.join("chat"));
        world.settle();
        world.relays[0].tamper = Some(|bytes| {
            bytes[3] ^= 1;
            true
        });
        world.devices[page].swarm.send(topics[1], FIRST, b"damaged".to_vec());
        world.settle();
        world.relays[0].tamper = None;
        assert_eq!(world.presence(host, watches[0]), [1, -1]);
        assert_eq!(world.presence(page, watches[1]), [1, -1]);
        assert_eq!(world.streams(host), 0);
        world.advance(seconds(2.0));
        assert_eq!(world.presence(host, watches[0]), [1]);
        assert_eq!(world.presence(page, watches[1]), [1]);
        world.devices[page].swarm.send(topics[1], FIRST, b"whole".to_vec());
        assert_eq!(world.messages(host, topics[0]), [(FIRST, b"whole".to_vec())]);
    }
}

#[test]
fn a_circuit_that_ends_ends_the_host_s_stream() {
    let (mut world, watches, topics) = met();
    world.cut(1, 0);
    assert_eq!(world.log(0, CIRCUIT).last(), Some(&"end"));
    assert_eq!(world.streams(0), 0);
    for device in [0, 1] {
        world.devices[device].swarm.send(topics[device], FIRST, b"meanwhile".to_vec());
    }
    world.advance(seconds(1.9));
    assert!(world.presence(0, watches[0]).is_empty(), "and the next one has a stream of its own");
    assert_eq!(world.streams(0), 1);
}

#[test]
fn a_quiet_native_device_stays_and_a_swallowed_one_is_given_up() {
    let (mut world, watches, _) = met();
    world.advance(seconds(3_600.0));
    assert!(world.presence(0, watches[0]).is_empty());
    assert!(world.presence(1, watches[1]).is_empty());
    world.relays[0].tamper = Some(|_| false);
    world.advance(seconds(10.5));
    assert_eq!(world.presence(0, watches[0]), [-1]);
    assert_eq!(world.presence(1, watches[1]), [-1]);
    assert_eq!(world.streams(0), 0);
}

#[test]
fn a_plain_peer_of_a_host_may_be_silent() {
    let mut world = World::new(0);
    let host = world.add_host(&[]);
    let watch = world.devices[host].swarm.watch();
    world.connect(host, drive(1));
    world.advance(seconds(3_600.0));
    assert_eq!(world.presence(host, watch), [1], "its end is for the host's stream to tell");
}

#[test]
fn a_host_that_goes_has_its_last_words_said_before_its_streams_end() {
    let mut world = World::new(0);
    world.add_drive_peer();
    let host = world.add_host(&[]);
    world.drive_peers[0].host = Some(host);
    let page = world.add_with(&[], &[0]);
    let (watch, listening) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
    let topic = world.devices[host].swarm.join("chat");
    assert_eq!(world.presence(page, watch), [1]);
    let plain = world.connect(host, drive(1));
    // Also what its muxes do not take.
    world.set_full(host, true);
    for peer in [1, 2] {
        for number in 0..8 {
            world.devices[host].swarm.send(topic, PeerId(peer), vec![number; 16_000]);
        }
    }
    world.devices[host].swarm.close(world.now);
    let seen: Vec<String> = world
        .events(page)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message { topic, message, .. } if topic == listening => Some(message[0].to_string()),
            Event::Leave { .. } => Some("leave".into()),
            _ => None,
        })
        .collect();
    assert_eq!(seen, ["0", "1", "2", "3", "leave"]);
    let log: Vec<_> = world.log(host, plain);
    assert_eq!(log[log.len() - 5..], ["extension", "extension", "extension", "extension", "end"]);
    assert_eq!(world.streams(host), 0);
}

#[test]
fn the_last_words_of_a_host_go_through_a_circuit_while_its_stream_can_still_seal_them() {
    let (mut world, watches, topics) = met();
    world.set_full(0, true);
    for number in 0..8 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![number; 16_000]);
    }
    let now = world.now;
    world.devices[0].swarm.say_last_words(now);
    world.settle();
    let seen: Vec<String> = world
        .events(1)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message { topic, message, .. } if topic == topics[1] => Some(message[0].to_string()),
            Event::Leave { watch, .. } if watch == watches[1] => Some("leave".into()),
            _ => None,
        })
        .collect();
    assert_eq!(seen, ["0", "1", "2", "3", "leave"]);
    assert_eq!(world.devices[0].swarm.state(), State::Closed);

    // Until it is gone it is still in the room, and meets nobody.
    let newcomer = world.add(&[0]);
    let watch = world.devices[newcomer].swarm.watch();
    world.advance(seconds(60.0));
    assert_eq!(world.presence(newcomer, watch), [1], "the other page");
    world.devices[0].swarm.close(world.now);
    world.settle();
    assert_eq!(world.streams(0), 0);
}

#[test]
fn a_host_that_closes_while_it_meets_a_page_is_met_at_most_once_and_left() {
    for is_host_first in [false, true] {
        let mut outcomes = Vec::new();
        for steps in 0.. {
            let mut world = World::new(2);
            let hosts_and_pages = if is_host_first { [true, false] } else { [false, true] };
            let devices =
                hosts_and_pages.map(|is_host| if is_host { world.add_host(&[0, 1]) } else { world.add(&[0, 1]) });
            let (host, page) = if is_host_first { (devices[0], devices[1]) } else { (devices[1], devices[0]) };
            let watch = world.devices[page].swarm.watch();
            let is_too_early = world.settle_partly(steps);
            let now = world.now;
            world.devices[host].swarm.say_last_words(now);
            world.advance(seconds(5.0));
            world.devices[host].swarm.close(world.now);
            outcomes.push(world.presence(page, watch));
            if !is_too_early {
                break;
            }
        }
        outcomes.dedup();
        assert_eq!(outcomes, [vec![], vec![1, -1]]);
    }
}

#[test]
fn a_closed_device_takes_no_stream() {
    let mut world = World::new(0);
    let host = world.add_host(&[]);
    world.devices[host].swarm.close(world.now);
    world.settle();
    let link = world.connect(host, drive(1));
    assert_eq!(world.log(host, link), ["end"]);
    assert_eq!(world.streams(host), 0);
    assert!(world.devices[host].swarm.stats().peers.is_empty());
}

#[test]
fn what_a_host_says_of_a_link_that_is_not_its_own_is_ignored() {
    let mut world = World::new(1);
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    assert_eq!(world.presence(0, watches[0]), [1]);
    let now = world.now;
    for link in [CIRCUIT, LinkId(0), LinkId(99)] {
        let swarm = &mut world.devices[0].swarm;
        swarm.handle_stream_opened(
            now,
            link,
            Established { remote: [2; 32], role: Role::Initiator, handshake_hash: HASH },
        );
        swarm.handle_stream_heard(now, link, Heard::Closed);
        swarm.handle_stream_heard(now, link, Heard::Message(TOPIC, &[0, 1, b'a']));
        swarm.handle_stream_heard(now, link, Heard::Extension("chat".into(), b"?"));
        assert!(!swarm.handle_stream_written(link, b"?"));
        swarm.handle_stream_drained(link, false);
        swarm.handle_stream_alive(now, link);
    }
    assert!(world.events(0).is_empty());
    world.devices[0].swarm.send(topics[0], FIRST, b"hello".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
}

#[test]
fn whatever_comes_on_a_stream_of_the_host_shows_that_its_remote_is_alive() {
    for hears in [true, false] {
        let mut world = World::new(0);
        let host = world.add_host(&[]);
        let swarm = &mut world.devices[host].swarm;
        let watch = swarm.watch();
        let link = swarm.handle_stream(at(0.0), Host::Here);
        let session = Established { remote: [9; 32], role: Role::Initiator, handshake_hash: HASH };
        swarm.handle_stream_opened(at(0.0), link, session);
        let proof = open_handshake(&drive(1), Role::Responder, &HASH, &Default::default());
        swarm.handle_stream_heard(at(0.0), link, Heard::Opened(&proof));
        // It is asked at 3 s. What comes at 9 s is no answer: that waits behind replication.
        swarm.handle_timeout(at(3.5));
        if hears {
            swarm.handle_stream_alive(at(9.0), link);
        }
        swarm.handle_timeout(at(11.0));
        let seen = if hears { vec![1] } else { vec![1, -1] };
        let presence = |event| match event {
            Event::Join { watch: handle, peer } if handle == watch => Some(i64::from(peer.0)),
            Event::Leave { watch: handle, peer } if handle == watch => Some(-i64::from(peer.0)),
            _ => None,
        };
        let swarm = &mut world.devices[host].swarm;
        let mut told = Vec::new();
        loop {
            match swarm.poll_output() {
                Output::Event(event) => told.extend(presence(event)),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        assert_eq!(told, seen);
    }
}
