//! Direct connections that lose their way for a while or for good, and slow ones: a channel that can be kept is kept, and no message is
//! lost (PROTOCOL.md §15).

mod pair;

use pair::*;
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Event, HandleId};
use peersockets_netem::{Accident, World, seconds};

/// Two devices that are directly connected, and have met on relay 0.
fn connected() -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(1);
    world.direct_peers = 32;
    let (watches, topics) = world.add_pair(&[0]);
    world.advance(seconds(0.2));
    expect_routes(&world, Route::Direct);
    (world, watches, topics)
}

fn expect_routes(world: &World, route: Route) {
    for device in 0..2 {
        let routes: Vec<Route> = world.devices[device].swarm.stats().peers.iter().map(|peer| peer.route).collect();
        assert_eq!(routes, [route], "of {device}");
    }
}

/// Something happens to the channel of a device while messages are under way; each second for so long both send more. Returns how often
/// they were not directly connected in the end of a second.
fn befall(device: usize, accident: Accident, time: u32) -> (World, usize) {
    const EACH: u32 = 50;
    let (mut world, watches, topics) = connected();
    send_both(&mut world, topics, 0..EACH);
    world.settle_partly(7);
    assert!(world.break_channel(device, 0, accident));
    let mut relayed = 0;
    for second in 1..=time {
        send_both(&mut world, topics, second * EACH..(second + 1) * EACH);
        world.advance(seconds(1.0));
        let is_direct = |device: usize| world.devices[device].swarm.stats().peers[0].route == Route::Direct;
        relayed += usize::from(!is_direct(0) || !is_direct(1));
    }
    expect_both(&mut world, watches, topics, 0..(time + 1) * EACH);
    (world, relayed)
}

/// How many channels there were.
fn channels(world: &World) -> usize {
    world.tally.opened_by_offer + world.tally.opened_by_answer
}

#[test]
fn a_channel_without_a_way_for_some_seconds_is_kept_and_loses_nothing() {
    for (time, is_noticed) in [(3, false), (7, true)] {
        for device in 0..2 {
            let (world, relayed) = befall(device, Accident::Lapse(time), 12);
            assert_eq!((channels(&world), world.tally.lapses_outlasted), (1, 1), "it is the same");
            assert_eq!(relayed > 0, is_noticed, "{relayed} s of {time} on the relay");
            expect_routes(&world, Route::Direct);
        }
    }
}

#[test]
fn a_channel_without_a_way_for_longer_is_given_up_and_another_takes_its_place() {
    for device in 0..2 {
        let (world, _) = befall(device, Accident::Lapse(12), 30);
        assert_eq!((channels(&world), world.tally.lapses_outlasted), (2, 0));
        expect_routes(&world, Route::Direct);
    }
}

#[test]
fn a_channel_whose_way_is_lost_is_given_another_and_kept() {
    for device in 0..2 {
        let (world, relayed) = befall(device, Accident::Dead, 8);
        let tally = world.tally;
        assert_eq!(
            (channels(&world), tally.restarts, tally.restarts_that_helped),
            (1, 1, 1),
            "one of them looks for it"
        );
        assert!(relayed <= 2, "{relayed} s on the relay");
        expect_routes(&world, Route::Direct);
    }
}

#[test]
fn whoever_alone_notices_that_the_way_is_lost_looks_for_another() {
    for device in 0..2 {
        let (world, _) = befall(device, Accident::HalfDead, 10);
        assert_eq!((channels(&world), world.tally.restarts, world.tally.restarts_that_helped), (1, 1, 1));
        expect_routes(&world, Route::Direct);
    }
}

#[test]
fn a_channel_that_has_failed_is_given_up_at_once() {
    for device in 0..2 {
        let (mut world, ..) = connected();
        world.break_channel(device, 0, Accident::Failed);
        expect_routes(&world, Route::Relay);
        world.advance(seconds(6.1));
        assert_eq!((channels(&world), world.tally.restarts), (2, 0));
        expect_routes(&world, Route::Direct);
    }
}

#[test]
fn whatever_becomes_of_a_channel_while_the_relay_s_link_is_cut_nothing_is_lost() {
    for accident in Accident::ALL {
        for device in 0..2 {
            let (mut world, watches, topics) = connected();
            send_both(&mut world, topics, 0..100);
            world.settle_partly(7);
            assert!(world.break_everything(device, 0, accident));
            send_both(&mut world, topics, 100..200);
            world.advance(seconds(20.0));
            expect_both(&mut world, watches, topics, 0..200);
            expect_routes(&world, Route::Direct);
        }
    }
}

#[test]
fn devices_that_look_for_another_way_at_once_agree() {
    let (mut world, watches, topics) = connected();
    world.break_channel(0, 0, Accident::Dead);
    world.advance(seconds(4.9));
    world.relays[0].is_lagging = true;
    // The one that leaves it to the other has waited for 3 s.
    world.advance(seconds(3.2));
    assert_eq!(world.tally.restarts, 2);
    world.release(0);
    world.advance(seconds(1.0));
    assert_eq!((channels(&world), world.tally.glares, world.tally.restarts_that_helped), (1, 1, 1));
    expect_routes(&world, Route::Direct);
    send_both(&mut world, topics, 0..10);
    world.settle();
    expect_both(&mut world, watches, topics, 0..10);
}

#[test]
fn a_slow_channel_is_given_no_more_than_it_takes_and_everything_arrives() {
    for rate in [50_000.0, 1_000_000.0] {
        let mut world = World::new(1);
        (world.direct_peers, world.channel_rate) = (32, Some(rate));
        let (watches, topics) = world.add_pair(&[0]);
        world.advance(seconds(0.5));
        for device in [0, 1] {
            for number in 0..20 {
                world.devices[device].swarm.send(topics[device], FIRST, vec![number; 100_000]);
            }
        }
        world.advance(seconds(2.5e6 / rate));
        assert!(world.tally.full > 0);
        for device in [0, 1] {
            let events = world.events(device);
            let message = |event: &Event| match event {
                Event::Message { message, .. } => Some(message[0]),
                _ => None,
            };
            assert!(events.iter().filter_map(message).eq(0..20));
            assert_eq!(presence_in(&events, watches[device]), [], "nobody is taken for gone");
        }
        assert_eq!(channels(&world), 1);
        expect_routes(&world, Route::Direct);
    }
}
