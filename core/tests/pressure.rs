//! How an application that has much to send learns when to stop and when to go on.

use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::swarm::{Event, HandleId, PeerId};
use peersockets_core::time::Duration;
use peersockets_netem::{Weather, World, seconds};

const FIRST: PeerId = PeerId(1);
const PIECE: usize = 65_536;
const WEIGHT: usize = limits::MESSAGE_WEIGHT;

/// Two devices that have met, each with the topics `chat` and `file`.
fn pair() -> (World, [HandleId; 2]) {
    let mut world = World::new(1);
    for device in [world.add(&[0]), world.add(&[0])] {
        for topic in ["chat", "file"] {
            world.devices[device].swarm.join(topic);
        }
    }
    world.settle();
    world.devices[0].events.clear();
    (world, [HandleId(1), HandleId(2)])
}

/// Sends pieces until more than the high water waits; returns how many.
fn fill(world: &mut World, topic: HandleId) -> usize {
    let swarm = &mut world.devices[0].swarm;
    let pieces = (1..).take_while(|_| {
        swarm.send(topic, FIRST, vec![7; PIECE]);
        swarm.buffered(FIRST) <= limits::SEND_HIGH_WATER
    });
    pieces.count() + 1
}

/// Takes the handles that were told to go on, and towards whom.
fn drains(world: &mut World) -> Vec<(HandleId, PeerId)> {
    let drain = |event| match event {
        Event::Drain { topic, peer } => Some((topic, peer)),
        _ => None,
    };
    world.events(0).into_iter().filter_map(drain).collect()
}

#[test]
fn what_waits_is_counted_until_it_is_acknowledged() {
    let (mut world, [chat, file]) = pair();
    assert_eq!(world.devices[0].swarm.buffered(FIRST), 0);
    world.devices[0].swarm.send(chat, FIRST, vec![1; 1_000]);
    world.devices[0].swarm.send(file, FIRST, vec![2; 30_000]);
    assert_eq!(world.devices[0].swarm.buffered(FIRST), 31_000 + 2 * WEIGHT, "of all topics");
    assert_eq!(world.devices[0].swarm.buffered_in_all(), 31_000 + 2 * WEIGHT);
    world.settle();
    assert_eq!(
        world.devices[0].swarm.buffered(FIRST),
        31_000 + 2 * WEIGHT,
        "it has arrived, and that is not known yet"
    );
    world.advance(limits::ACK_AFTER);
    assert_eq!(world.devices[0].swarm.buffered(FIRST), 0);
    assert_eq!(drains(&mut world), [], "it was never much");
}

#[test]
fn of_a_long_message_only_what_has_not_arrived_waits() {
    const LENGTH: usize = 2 * 1024 * 1024;
    let (mut world, [chat, file]) = pair();
    world.weather = Weather::new(Duration::from_millis(20), Duration::ZERO, Random::from_seed([1; 32]));
    world.devices[0].swarm.send(file, FIRST, vec![7; LENGTH]);
    let mut waiting = vec![world.devices[0].swarm.buffered(FIRST)];
    while world.devices[0].swarm.buffered(FIRST) > limits::SEND_LOW_WATER {
        assert_eq!(world.messages(1, HandleId(2)), [], "it is not whole");
        world.advance(Duration::from_millis(1));
        waiting.push(world.devices[0].swarm.buffered(FIRST));
    }
    assert_eq!(waiting[0], LENGTH + WEIGHT);
    assert!(waiting.is_sorted_by(|before, after| before >= after), "{waiting:?}");
    assert_eq!(drains(&mut world), [(chat, FIRST), (file, FIRST)]);
    world.advance(seconds(1.0));
    assert_eq!(world.messages(1, HandleId(2)), [(FIRST, vec![7; LENGTH])]);
    assert_eq!(world.devices[0].swarm.buffered(FIRST), 0);
}

#[test]
fn every_topic_is_told_once_each_time_that_much_has_become_little() {
    let (mut world, [chat, file]) = pair();
    for _ in 0..2 {
        world.relays[0].is_lagging = true;
        assert_eq!(fill(&mut world, chat) * PIECE, limits::SEND_HIGH_WATER);
        fill(&mut world, file);
        assert_eq!(drains(&mut world), []);
        world.release(0);
        world.advance(seconds(1.0));
        assert_eq!(world.devices[0].swarm.buffered(FIRST), 0);
        assert_eq!(drains(&mut world), [(chat, FIRST), (file, FIRST)]);
    }
}

#[test]
fn nobody_is_told_before_the_low_water() {
    let (mut world, [chat, _]) = pair();
    world.devices[0].on_event = |swarm, event| {
        if let Event::Drain { peer, .. } = event {
            let buffered = swarm.buffered(*peer);
            assert!(
                buffered <= limits::SEND_LOW_WATER && buffered > limits::SEND_LOW_WATER / 2,
                "{buffered} bytes wait"
            );
        }
    };
    fill(&mut world, chat);
    world.advance(seconds(1.0));
    assert_eq!(drains(&mut world).len(), 2);
}

#[test]
fn whoever_waits_for_a_peer_that_leaves_is_told() {
    let (mut world, [chat, file]) = pair();
    world.relays[0].is_lagging = true;
    fill(&mut world, chat);
    assert_eq!(drains(&mut world), []);
    world.devices[1].swarm.close(world.now);
    world.advance(seconds(60.0));
    assert_eq!(drains(&mut world), [(chat, FIRST), (file, FIRST)]);
    assert_eq!(world.devices[0].swarm.buffered(FIRST), 0);
    assert_eq!(world.devices[0].swarm.buffered_in_all(), 0);
}

#[test]
fn a_closed_topic_is_told_nothing() {
    let (mut world, [chat, file]) = pair();
    fill(&mut world, chat);
    world.devices[0].swarm.close_handle(chat);
    world.advance(seconds(1.0));
    assert_eq!(drains(&mut world), [(file, FIRST)]);
}

#[test]
fn whoever_sends_on_being_told_so_never_meets_a_full_queue() {
    let (mut world, [chat, _]) = pair();
    world.devices[0].on_event = |swarm, event| {
        if let Event::Drain { topic: HandleId(1), peer } = event {
            while swarm.buffered(*peer) <= limits::SEND_HIGH_WATER {
                swarm.send(HandleId(1), *peer, vec![7; PIECE]);
            }
        }
    };
    fill(&mut world, chat);
    let mut arrived = 0;
    let mut most = 0;
    while arrived < 100 << 20 {
        assert!(world.settle_partly(16) || arrived > 0);
        most = most.max(world.devices[0].swarm.buffered_in_all());
        arrived +=
            world.devices[1].events.drain(..).filter(|event| matches!(event, Event::Message { .. })).count() * PIECE;
        assert!(!world.devices[0].events.drain(..).any(|event| matches!(event, Event::Error(_))));
    }
    assert!(most <= limits::SEND_HIGH_WATER + PIECE, "{most} bytes wait");
}

#[test]
fn what_is_sent_before_the_first_relay_is_joined_waits_too() {
    let mut world = World::new(1);
    world.relays[0].is_up = false;
    let device = world.add(&[0]);
    let chat = world.devices[device].swarm.join("chat");
    world.settle();
    world.devices[device].swarm.send(chat, PeerId(2), vec![1; 1_000]);
    let swarm = &world.devices[device].swarm;
    assert_eq!(
        (swarm.buffered(PeerId(2)), swarm.buffered(PeerId(1)), swarm.buffered_in_all()),
        (1_000 + WEIGHT, 0, 1_000 + WEIGHT)
    );
}

#[test]
fn however_short_the_messages_are_whoever_keeps_below_the_high_water_never_meets_a_full_queue() {
    let (mut world, [chat, _]) = pair();
    world.relays[0].is_lagging = true;
    let mut sent = 0;
    while world.devices[0].swarm.buffered(FIRST) <= limits::SEND_HIGH_WATER {
        world.devices[0].swarm.send(chat, FIRST, Vec::new());
        sent += 1;
    }
    assert_eq!(sent, limits::SEND_HIGH_WATER / limits::MESSAGE_WEIGHT + 1);
    assert!(!world.events(0).iter().any(|event| matches!(event, Event::Error(_))));
    world.release(0);
    world.advance(seconds(5.0));
    assert_eq!(drains(&mut world).len(), 2);
}

#[test]
fn whoever_comes_back_with_much_kept_drains_again() {
    let (mut world, [chat, file]) = pair();
    world.go_offline(1);
    for _ in 0..40 {
        world.devices[0].swarm.send(chat, FIRST, vec![7; PIECE]);
    }
    world.advance(seconds(6.0));
    assert_eq!(drains(&mut world), [(chat, FIRST), (file, FIRST)], "it left");
    world.go_online(1);
    world.advance(seconds(30.0));
    assert_eq!(drains(&mut world), [(chat, FIRST), (file, FIRST)], "it is back, and has got it");
}
