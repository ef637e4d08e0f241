//! A relay that says that it is going away and when it will be back: nobody leaves meanwhile, and not all come back at once.

use peersockets_core::limits;
use peersockets_core::swarm::{HandleId, PeerId, State};
use peersockets_core::time::{Duration, Time};
use peersockets_netem::{World, seconds};

const FIRST: PeerId = PeerId(1);

fn met(relays: &[usize]) -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(relays.len());
    let (watches, topics) = world.add_pair(relays);
    (world, watches, topics)
}

#[test]
fn nobody_leaves_while_a_relay_is_away_for_as_long_as_it_said() {
    let (mut world, watches, topics) = met(&[0]);
    world.drain_relay(0, seconds(15.0));
    for (number, topic) in topics.into_iter().enumerate() {
        world.devices[number].swarm.send(topic, FIRST, b"meanwhile".to_vec());
    }
    world.advance(seconds(15.0));
    assert_eq!(world.state(0), State::Offline);
    world.relays[0].is_up = true;
    world.advance(seconds(4.9));
    for (device, topic) in topics.into_iter().enumerate() {
        let events = world.events(device);
        assert_eq!(world.state(device), State::Ready);
        let mut messages = 0;
        for event in events {
            match event {
                peersockets_core::swarm::Event::Message { topic: on, message, .. } => {
                    assert_eq!((on, &message[..]), (topic, &b"meanwhile"[..]));
                    messages += 1;
                }
                peersockets_core::swarm::Event::State(_) | peersockets_core::swarm::Event::Path { .. } => {}
                other => panic!("{other:?} of {watches:?}"),
            }
        }
        assert_eq!(messages, 1);
    }
}

#[test]
fn who_does_not_come_back_with_its_relay_leaves_five_seconds_later() {
    for (said, waited) in [(0.0, 5.0), (15.0, 20.0), (25.0, 30.0), (3_600.0, 30.0)] {
        let (mut world, watches, _) = met(&[0]);
        world.drain_relay(0, seconds(said));
        world.advance(seconds(waited - 0.1));
        assert!(world.presence(0, watches[0]).is_empty(), "{said}");
        world.advance(seconds(0.2));
        assert_eq!(world.presence(0, watches[0]), [-1], "{said}");
    }
}

#[test]
fn a_claim_that_a_member_left_is_no_hint_while_its_relay_goes_away() {
    let (mut world, watches, _) = met(&[0]);
    world.announce_drain(0, seconds(15.0));
    world.claim_left(1, 0);
    world.drain_relay(0, seconds(15.0));
    world.advance(seconds(14.0));
    assert!(world.presence(1, watches[1]).is_empty());
}

#[test]
fn an_announcement_that_nothing_follows_changes_nothing_for_later_losses() {
    let (mut world, watches, _) = met(&[0]);
    world.announce_drain(0, seconds(15.0));
    world.advance(seconds(20.0));
    world.stop_relay(0);
    world.advance(seconds(4.9));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(seconds(0.2));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn devices_come_back_spread_over_time_and_often_enough() {
    const DEVICES: usize = 64;
    let mut world = World::new(1);
    for _ in 0..DEVICES {
        world.add(&[0]);
    }
    world.settle();
    let (start, back_in) = (world.now, seconds(10.0));
    world.relays[0].attempts.clear();
    world.drain_relay(0, back_in);
    world.advance(back_in + seconds(6.0));
    let attempts = std::mem::take(&mut world.relays[0].attempts);
    let of =
        |device: usize| -> Vec<Time> { attempts.iter().filter(|(by, _)| *by == device).map(|(_, at)| *at).collect() };
    let first: Vec<Duration> = (0..DEVICES).map(|device| of(device)[0].since(start)).collect();
    let (soonest, latest) = (back_in / 2, back_in + limits::BACK_SPREAD);
    assert!(first.iter().all(|at| (soonest..=latest).contains(at)), "{first:?}");
    for part in 0..7 {
        let from = soonest + seconds(1.0) * part;
        let count = first.iter().filter(|at| (from..from + seconds(1.0)).contains(*at)).count();
        assert!((1..DEVICES / 3).contains(&count), "{count} come in the second after {from:?}");
    }
    for device in 0..DEVICES {
        let pauses: Vec<Duration> = of(device).windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert!(pauses.iter().all(|pause| *pause <= seconds(1.5)), "{pauses:?}");
    }
}

#[test]
fn a_relay_that_needs_longer_than_it_said_is_found_as_soon_as_one_that_has_just_failed() {
    for late in [0.0, 1.0, 3.0] {
        let (mut world, ..) = met(&[0]);
        world.drain_relay(0, seconds(25.0));
        world.advance(seconds(30.0 + late));
        world.relays[0].is_up = true;
        world.advance(seconds(2.0 + late * 2.0));
        assert_eq!([0, 1].map(|device| world.state(device)), [State::Ready; 2], "{late} s late");
    }
}

#[test]
fn other_relays_are_used_at_once_and_an_announced_absence_is_no_error() {
    let (mut world, watches, topics) = met(&[0, 1]);
    world.stop_relay(1);
    world.advance(seconds(4.0));
    world.relays[1].is_up = true;
    world.events(0);
    world.drain_relay(0, seconds(15.0));
    world.advance(seconds(2.0));
    world.devices[0].swarm.send(topics[0], FIRST, b"over the other".to_vec());
    assert_eq!(world.messages(1, topics[1]).len(), 1);
    world.advance(seconds(12.0));
    assert!(world.reports(0).is_empty(), "neither shutting-down nor no-relay");
    assert!(world.presence(1, watches[1]).is_empty());
}
