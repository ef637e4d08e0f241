//! Credit as devices keep to it: what they send, report and give back, and what becomes of it when a relay lends none or lies.

use peersockets_core::limits;
use peersockets_core::swarm::{HandleId, PeerId};
use peersockets_netem::{World, seconds};

const FIRST: PeerId = PeerId(1);

/// Two devices that have met on relay 0.
fn met(mut world: World) -> (World, [HandleId; 2], [HandleId; 2]) {
    let (watches, topics) = world.add_pair(&[0]);
    (world, watches, topics)
}

#[test]
fn a_device_sends_no_more_than_its_credit_and_all_of_it_in_time() {
    let (mut world, _, topics) = met(World::new(1));
    for _ in 0..8 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    }
    // The relay of these tests panics on a byte too many.
    assert_eq!(world.messages(1, topics[1]).len(), 8);
    assert!(world.relays[0].used_up > 10, "{} times", world.relays[0].used_up);
}

#[test]
fn what_is_out_of_credit_waits_in_the_outbox_and_stops_nobody_else() {
    let (mut world, _, topics) = met(World::new(1));
    let third = world.add(&[0]);
    let third_topic = world.devices[third].swarm.join("chat");
    world.settle();
    world.go_offline(1);
    world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    world.settle();
    let queued = world.devices[0].swarm.stats().peers[0].queued_bytes;
    assert!(queued > 1 << 19, "{queued} bytes wait");
    for _ in 0..100 {
        world.devices[0].swarm.send(topics[0], PeerId(2), vec![7; 10_000]);
    }
    assert_eq!(world.messages(third, third_topic).len(), 100);
    world.go_online(1);
    world.advance(seconds(3.0));
    assert_eq!(world.messages(1, topics[1]), [(FIRST, vec![7; 1 << 20])]);
}

#[test]
fn who_gets_much_over_a_slow_downlink_leaves_nobody() {
    for rate in [40_000.0, 100_000.0, 1_000_000.0] {
        let (mut world, watches, topics) = met(World::new(1));
        world.relays[0].pool = limits::CREDIT_WINDOW;
        let [fourth, third] = [world.add(&[0]), world.add(&[0])];
        let fourth_topic = world.devices[fourth].swarm.join("chat");
        let third_watch = world.devices[third].swarm.watch();
        world.settle();
        let key = world.devices[1].swarm.stats().device_key;
        let peers = world.devices[fourth].swarm.stats().peers;
        let slow = peers.iter().find(|peer| peer.key == key).expect("it has met everyone").peer;
        world.slow_down_home(1, rate);
        world.presence(1, watches[1]);
        for _ in 0..3 {
            world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
            world.devices[fourth].swarm.send(fourth_topic, slow, vec![7; 1 << 20]);
        }
        // All that the third device hears of it are answers to pings, which come behind the bytes of the others.
        world.advance(seconds(6.0 * f64::from(1 << 20) / rate * 1.1 + 1.0));
        assert_eq!(world.presence(third, third_watch), [1, 2, 3]);
        assert_eq!(world.messages(1, topics[1]).len(), 6);
    }
}

#[test]
fn credit_that_is_not_needed_is_given_back_after_a_second() {
    let (mut world, _, topics) = met(World::new(1));
    world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    world.settle();
    assert!(world.relays[0].borrowed() > 0);
    world.advance(limits::CREDIT_IDLE);
    assert_eq!(world.relays[0].borrowed(), 0);
    world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    assert_eq!(world.messages(1, topics[1]).len(), 2);
}

#[test]
fn a_relay_that_lends_no_credit_is_used_as_before() {
    let mut world = World::new(1);
    world.relays[0].is_old = true;
    let (mut world, watches, topics) = met(world);
    // It panics on a frame that it does not know.
    world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
    world.advance(seconds(5.0));
    assert_eq!(world.messages(1, topics[1]).len(), 1);
    world.devices[0].swarm.send(topics[0], FIRST, b"last words".to_vec());
    let now = world.now;
    world.devices[0].swarm.goodbye(now);
    let heard: Vec<_> = world.events(1);
    assert_eq!(heard.len(), 2, "the last words and a leave of {:?}: {heard:?}", watches[1]);
}

#[test]
fn a_device_that_moves_to_a_relay_without_credit_goes_on_there() {
    let mut world = World::new(2);
    world.relays[1].is_old = true;
    let devices = [world.add(&[0, 1]), world.add(&[0, 1])];
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for relay in [0, 1] {
        world.relays[1 - relay].is_up = true;
        world.stop_relay(relay);
        for _ in 0..4 {
            world.devices[0].swarm.send(topics[0], FIRST, vec![7; 1 << 20]);
        }
        world.advance(seconds(4.0));
        assert_eq!(world.messages(1, topics[1]).len(), 4);
    }
}

#[test]
fn a_relay_that_keeps_credit_back_costs_a_circuit_and_no_message() {
    let (mut world, _, topics) = met(World::new(1));
    world.relays[0].is_stingy = true;
    for _ in 0..20 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![7; 10_000]);
    }
    world.settle();
    let dials = world.relays[0].dials;
    world.relays[0].is_stingy = false;
    world.advance(seconds(30.0));
    assert_eq!(world.messages(1, topics[1]).len(), 20);
    assert!(world.relays[0].dials > dials, "what was starved is silent, and dialled again");
}

#[test]
fn a_relay_that_promises_more_than_it_lends_costs_a_circuit_and_no_message() {
    let (mut world, _, topics) = met(World::new(1));
    world.relays[0].is_boastful = true;
    for _ in 0..20 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![7; 100_000]);
    }
    world.settle();
    assert!(world.relays[0].overdrawn > 0);
    world.relays[0].is_boastful = false;
    world.advance(seconds(30.0));
    assert_eq!(world.messages(1, topics[1]).len(), 20);
}
