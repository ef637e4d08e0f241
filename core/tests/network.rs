//! What a device makes of its network's going and coming, and of sockets that die without a word.

use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, ToRelay};
use peersockets_core::swarm::{Config, Event, HandleId, Output, PeerId, SocketId, State, Swarm};
use peersockets_core::time::Time;
use peersockets_netem::{World, drive, seconds};

const FIRST: PeerId = PeerId(1);

/// Two devices that have met on relay 0: the second one dialled.
fn pair() -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(1);
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for device in devices {
        world.events(device);
    }
    (world, watches, topics)
}

/// What was told to a device of its state and peers, in order.
fn story(world: &mut World, device: usize) -> Vec<String> {
    let told = |event| match event {
        Event::Join { peer, .. } => Some(format!("join {}", peer.0)),
        Event::Leave { peer, .. } => Some(format!("leave {}", peer.0)),
        Event::State(state) => Some(state.name().to_string()),
        Event::Message { message, .. } => Some(String::from_utf8(message.to_vec()).unwrap()),
        Event::Error(report) => Some(report.code.name().to_string()),
        Event::Drain { .. } | Event::Path { .. } => None,
    };
    world.events(device).into_iter().filter_map(told).collect()
}

#[test]
fn a_short_gap_is_a_state_and_loses_nothing() {
    let (mut world, _, topics) = pair();
    world.go_offline(0);
    assert_eq!(story(&mut world, 0), ["offline"]);
    world.devices[0].swarm.send(topics[0], FIRST, b"from the gap".to_vec());
    world.devices[1].swarm.send(topics[1], FIRST, b"into the gap".to_vec());
    world.advance(seconds(4.0));
    world.go_online(0);
    let mut told = story(&mut world, 0);
    told.sort_unstable();
    assert_eq!(told, ["into the gap", "ready"]);
    assert_eq!(story(&mut world, 1), ["from the gap"]);
    world.advance(seconds(60.0));
    for device in 0..2 {
        assert!(story(&mut world, device).is_empty());
    }
    assert_eq!(world.relays[0].attempts.len(), 2, "the socket was kept");
}

#[test]
fn a_long_gap_is_a_leave_and_at_its_end_a_join_at_once() {
    for (away, is_dead) in [(0, false), (1, false), (0, true), (1, true)] {
        let (mut world, ..) = pair();
        world.go_offline(away);
        if is_dead {
            world.kill_sockets(away);
        }
        world.advance(seconds(20.0));
        assert_eq!(story(&mut world, away), ["offline", "leave 1"]);
        assert_eq!(story(&mut world, 1 - away), ["leave 1"]);
        world.go_online(away);
        assert_eq!(story(&mut world, away), ["ready", "join 1"]);
        assert_eq!(story(&mut world, 1 - away), ["join 1"]);
        world.advance(seconds(60.0));
        for device in 0..2 {
            assert!(story(&mut world, device).is_empty());
        }
    }
}

#[test]
fn a_socket_that_died_in_a_short_gap_is_replaced_in_three_seconds() {
    let (mut world, ..) = pair();
    world.go_offline(0);
    world.kill_sockets(0);
    world.advance(seconds(1.0));
    world.go_online(0);
    assert_eq!(world.state(0), State::Offline);
    world.advance(seconds(3.0));
    assert_eq!(story(&mut world, 0), ["offline", "ready"]);
    assert!(story(&mut world, 1).is_empty());
}

#[test]
fn whoever_comes_back_to_a_page_finds_out_about_a_dead_socket_in_three_seconds() {
    let (mut world, ..) = pair();
    world.kill_sockets(0);
    let now = world.now;
    world.devices[0].swarm.retry(now);
    world.advance(seconds(3.0));
    assert_eq!(story(&mut world, 0), ["offline", "ready"]);
    assert!(story(&mut world, 1).is_empty());
}

#[test]
fn a_relay_is_asked_when_a_link_falls_silent_since_its_socket_may_have_died() {
    let (mut world, ..) = pair();
    world.kill_sockets(0);
    world.advance(seconds(13.0));
    assert_eq!(story(&mut world, 0), ["leave 1", "offline", "ready", "join 1"]);

    let (mut world, ..) = pair();
    world.kill_sockets(1);
    world.advance(seconds(40.0));
    assert_eq!(story(&mut world, 0), ["leave 1", "join 1"]);
    assert_eq!(world.relays[0].attempts.iter().filter(|(device, _)| *device == 0).count(), 1, "it was not the relay");
}

#[test]
fn a_relay_that_is_asked_and_answers_is_not_left() {
    let (mut world, ..) = pair();
    for _ in 0..3 {
        let now = world.now;
        world.devices[0].swarm.retry(now);
        world.devices[0].swarm.handle_online(now);
        world.advance(seconds(20.0));
    }
    assert!(story(&mut world, 0).is_empty());
    assert_eq!(world.relays[0].attempts.len(), 2);
}

#[test]
fn a_network_that_was_never_gone_changes_nothing_for_who_is_alone() {
    let mut world = World::new(1);
    let device = world.add(&[0]);
    world.settle();
    story(&mut world, device);
    world.go_online(device);
    assert!(story(&mut world, device).is_empty());
    assert_eq!(world.relays[0].attempts.len(), 1, "the socket was kept");
}

#[test]
fn a_relay_that_can_be_reached_without_a_network_is_reached() {
    let (mut world, ..) = pair();
    let now = world.now;
    world.devices[0].swarm.handle_offline(now);
    assert_eq!(story(&mut world, 0), ["offline", "ready"]);
    world.devices[0].swarm.handle_online(now);
    assert!(story(&mut world, 0).is_empty());
    assert_eq!(world.relays[0].attempts.len(), 2, "the socket was kept");
}

#[test]
fn without_a_network_no_relay_is_blamed_until_it_is_back() {
    let mut world = World::new(1);
    let device = world.add(&[0]);
    world.settle();
    story(&mut world, device);
    world.go_offline(device);
    world.stop_relay(0);
    world.advance(seconds(60.0));
    assert_eq!(story(&mut world, device), ["offline"]);
    assert!(world.relays[0].attempts.len() > 3, "it was tried all the same");
    world.go_online(device);
    assert_eq!(story(&mut world, device), ["no-relay"]);
}

#[test]
fn a_relay_that_was_out_of_reach_before_the_network_went_is_reached_when_it_is_back() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let device = world.add(&[0]);
    world.settle();
    world.go_offline(device);
    world.relays[0].is_up = true;
    world.go_online(device);
    assert_eq!(story(&mut world, device), ["connecting", "no-relay", "offline", "ready"]);
}

#[test]
fn a_network_that_went_before_a_goodbye_is_forgotten_by_it() {
    let mut world = World::new(1);
    let device = world.add(&[0]);
    let now = world.now;
    world.settle();
    story(&mut world, device);
    world.devices[device].swarm.handle_offline(now);
    world.devices[device].swarm.goodbye(world.now);
    world.relays[0].is_up = false;
    world.devices[device].swarm.resume(now);
    assert_eq!(story(&mut world, device), ["offline", "no-relay"]);
}

#[test]
fn a_socket_that_still_opens_when_the_network_is_back_is_replaced() {
    let mut world = World::new(1);
    world.relays[0].is_mute = true;
    let device = world.add(&[0]);
    world.settle();
    world.relays[0].is_mute = false;
    world.go_online(device);
    assert_eq!(world.state(device), State::Ready);
    assert!(world.reports(device).is_empty());
}

#[test]
fn a_timer_that_runs_late_takes_no_relay_for_dead() {
    let (mut world, ..) = pair();
    world.relays[0].is_lagging = true;
    let now = world.now;
    world.devices[0].swarm.retry(now);
    world.settle();
    world.now = world.now + seconds(60.0);
    let now = world.now;
    world.devices[0].swarm.handle_timeout(now);
    world.release(0);
    world.advance(seconds(60.0));
    assert!(story(&mut world, 0).is_empty());
    assert_eq!(world.relays[0].attempts.len(), 2);
}

/// A device in a room of its own, its socket, and what it wrote meanwhile.
struct Hermit {
    swarm: Swarm,
    socket: SocketId,
}

impl Hermit {
    fn new() -> Self {
        let now = Time::default();
        let relays = ["ws://relay/".to_string()];
        let mut swarm = Swarm::new(now, [7; 32], drive(1), Config { relays: &relays, ..Config::default() });
        let socket = loop {
            match swarm.poll_output() {
                Output::Open { socket, .. } => break socket,
                Output::Timeout(_) => panic!("a socket is opened at once"),
                _ => {}
            }
        };
        swarm.handle_socket_opened(now, socket);
        let mut hermit = Self { swarm, socket };
        hermit.hear(FromRelay::Welcome { member: 3, lends: false, counts_direct: false, present: vec![] });
        hermit.dialled();
        hermit
    }

    fn hear(&mut self, frame: FromRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        self.swarm.handle_socket_message(Time::default(), self.socket, &message);
    }

    /// The lines that it dialled since it was asked last.
    fn dialled(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        loop {
            match self.swarm.poll_output() {
                Output::Write { message, .. } => {
                    if let Ok(ToRelay::Dial(line)) = ToRelay::decode(&message) {
                        lines.push(line);
                    }
                }
                Output::Timeout(_) => return lines,
                _ => {}
            }
        }
    }
}

#[test]
fn without_a_network_only_the_end_of_the_last_dial_to_nobody_is_a_sign_of_life() {
    let now = Time::default();
    let mut hermit = Hermit::new();
    hermit.swarm.retry(now);
    hermit.swarm.handle_offline(now);
    let lines = hermit.dialled();
    assert_eq!(lines, [Line { member: 0, circuit: 1 }, Line { member: 0, circuit: 2 }]);
    let ended = |line| FromRelay::HungUp(line, HangupReason::Gone);
    for under_way in [FromRelay::Left(2), FromRelay::Dialed(Line { member: 4, circuit: 1 }), ended(lines[0])] {
        hermit.hear(under_way);
        assert_eq!(hermit.swarm.state(), State::Offline);
    }
    hermit.hear(ended(lines[1]));
    assert_eq!(hermit.swarm.state(), State::Ready);
}

#[test]
fn with_a_network_anything_is_a_sign_of_life() {
    let mut hermit = Hermit::new();
    hermit.swarm.retry(Time::default());
    hermit.hear(FromRelay::Left(2));
    for at in [2_000.0, 4_000.0, 6_000.0] {
        hermit.swarm.handle_timeout(Time::from_millis(at));
    }
    assert_eq!(hermit.swarm.state(), State::Ready);
}

/// A page and a drive peer, a plain one or one with a device of ours, that have met and have nothing to tell of it any more.
fn with_drive_peer(is_plain: bool) -> (World, HandleId) {
    let mut world = World::new(0);
    let peer = world.add_drive_peer();
    let page = world.add_with(&[], &[peer]);
    if !is_plain {
        world.drive_peers[peer].host = Some(world.add_host(&[]));
    }
    world.devices[page].swarm.watch();
    let topic = world.devices[page].swarm.join("chat");
    assert_eq!(story(&mut world, page), ["connecting", "ready", "join 1"]);
    (world, topic)
}

#[test]
fn a_page_whose_drive_peer_is_all_it_has_is_offline_without_a_network_and_back_at_once() {
    for is_plain in [true, false] {
        let (mut world, _) = with_drive_peer(is_plain);
        world.go_offline(0);
        assert_eq!(story(&mut world, 0), ["offline"]);
        world.go_online(0);
        assert_eq!(story(&mut world, 0), ["ready"]);
    }
}

#[test]
fn a_drive_peer_that_says_nothing_when_the_network_is_back_is_reached_anew() {
    for (is_plain, time) in [(true, 6.5), (false, 3.0)] {
        let (mut world, _) = with_drive_peer(is_plain);
        world.go_offline(0);
        world.kill_sockets(0);
        world.advance(seconds(1.0));
        world.go_online(0);
        world.advance(seconds(time - 0.1));
        assert_eq!(story(&mut world, 0), ["offline", "ready"]);
        world.advance(seconds(0.2));
        // With a session it goes on as if nothing had been.
        let told: &[&str] = if is_plain { &["leave 1", "offline", "ready", "join 1"] } else { &["offline", "ready"] };
        assert_eq!(story(&mut world, 0), told);
        assert_eq!(world.drive_peers[0].attempts.len(), 2);
    }
}

#[test]
fn a_drive_peer_that_gives_a_sign_of_life_when_the_network_is_back_is_not_left() {
    for is_plain in [true, false] {
        let (mut world, topic) = with_drive_peer(is_plain);
        world.go_offline(0);
        world.devices[0].swarm.send(topic, FIRST, b"from the gap".to_vec());
        world.advance(seconds(1.0));
        world.go_online(0);
        world.advance(seconds(5.0));
        if is_plain {
            // Its keepalive.
            world.say(0, 0, &[]);
        }
        world.advance(seconds(15.0));
        assert_eq!(story(&mut world, 0), ["offline", "ready"]);
        assert_eq!(world.drive_peers[0].attempts.len(), 1, "the socket was kept");
    }
}

#[test]
fn a_network_that_was_never_gone_or_goes_again_ends_no_drive_peer() {
    let (mut world, _) = with_drive_peer(true);
    world.go_online(0);
    world.advance(seconds(60.0));
    world.go_offline(0);
    world.go_online(0);
    world.advance(seconds(3.0));
    world.go_offline(0);
    world.advance(seconds(10.0));
    assert_eq!(story(&mut world, 0), ["offline", "ready", "offline"]);
    assert_eq!(world.drive_peers[0].attempts.len(), 1, "the socket was kept");
}

#[test]
fn a_timer_that_runs_late_takes_no_drive_peer_for_dead() {
    let (mut world, _) = with_drive_peer(true);
    world.go_offline(0);
    world.go_online(0);
    world.now = world.now + seconds(60.0);
    let now = world.now;
    world.devices[0].swarm.handle_timeout(now);
    world.say(0, 0, &[]);
    world.advance(seconds(10.0));
    assert_eq!(story(&mut world, 0), ["offline", "ready"]);
}
