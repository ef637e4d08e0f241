//! Who counts as alive: whoever is only slow does, whoever only makes noise does not (PROTOCOL.md §10).

mod pair;

use pair::*;
use peersockets_core::limits;
use peersockets_core::swarm::{Event, HandleId, LinkId, PeerId};
use peersockets_core::time::Duration;
use peersockets_netem::{World, seconds};

/// A page and a native device that waits for the rest of a frame of 8 MiB, since a length was damaged on the way; and their handles of a
/// topic.
fn with_a_deaf_host() -> (World, [usize; 2], [HandleId; 2]) {
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
    (world, [page, host], topics)
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
    let (mut world, [page, host], topics) = with_a_deaf_host();
    let watch = world.devices[page].swarm.watch();
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
    // What the host is sent again and again seems to be part of the long frame.
    let (mut world, [page, host], topics) = with_a_deaf_host();
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
