//! Two devices that have met, what they send each other, and what each got and saw.

#![allow(dead_code)]

use peersockets_core::swarm::{Event, HandleId, PeerId};
use peersockets_netem::World;

/// Whoever was met first.
pub const FIRST: PeerId = PeerId(1);

/// Two devices that have met on these relays, each with a watcher and the topic `chat`.
pub fn met_on(relays: &[usize]) -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(relays.len());
    let (watches, topics) = world.add_pair(relays);
    (world, watches, topics)
}

pub fn send(world: &mut World, device: usize, topic: HandleId, numbers: std::ops::Range<u32>) {
    for number in numbers {
        world.devices[device].swarm.send(topic, FIRST, number.to_le_bytes().to_vec());
    }
}

/// The numbers that a topic handle got.
pub fn numbers(world: &mut World, device: usize, topic: HandleId) -> Vec<u32> {
    numbers_in(&world.events(device), topic)
}

pub fn numbers_in(events: &[Event], handle: HandleId) -> Vec<u32> {
    let number = |event: &Event| match event {
        Event::Message { topic, message, .. } if *topic == handle => {
            Some(u32::from_le_bytes(message[..].try_into().unwrap()))
        }
        _ => None,
    };
    events.iter().filter_map(number).collect()
}

/// The numbers that a topic handle got, and the joins (+) and leaves (-) that a watcher saw meanwhile.
pub fn seen(world: &mut World, device: usize, watch: HandleId, topic: HandleId) -> (Vec<u32>, Vec<i64>) {
    let events = world.events(device);
    (numbers_in(&events, topic), presence_in(&events, watch))
}

pub fn presence_in(events: &[Event], watcher: HandleId) -> Vec<i64> {
    let presence = |event: &Event| match event {
        Event::Join { watch, peer } if *watch == watcher => Some(i64::from(peer.0)),
        Event::Leave { watch, peer } if *watch == watcher => Some(-i64::from(peer.0)),
        _ => None,
    };
    events.iter().filter_map(presence).collect()
}

pub fn all(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.collect()
}

/// Each sends the other these numbers.
pub fn send_both(world: &mut World, topics: [HandleId; 2], numbers: std::ops::Range<u32>) {
    for device in [0, 1] {
        send(world, device, topics[device], numbers.clone());
    }
}

/// Each got these numbers and saw nobody come or go.
pub fn expect_both(world: &mut World, watches: [HandleId; 2], topics: [HandleId; 2], numbers: std::ops::Range<u32>) {
    for device in [0, 1] {
        assert_eq!(seen(world, device, watches[device], topics[device]), (all(numbers.clone()), vec![]));
    }
}
