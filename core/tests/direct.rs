//! What devices make of direct connections: they come about in the background, and whatever becomes of them, no message is lost
//! (PROTOCOL.md §15).

mod pair;

use pair::*;
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::swarm::stats::{PeerStats, Route};
use peersockets_core::swarm::{HandleId, State};
use peersockets_core::time::Duration;
use peersockets_netem::{Accident, Weather, World, seconds};

/// Two devices that connect directly and have met on relay 0.
fn directly_met() -> (World, [HandleId; 2], [HandleId; 2]) {
    directly_met_if(true)
}

/// The same, where networks may allow none.
fn directly_met_if(succeeds: bool) -> (World, [HandleId; 2], [HandleId; 2]) {
    let mut world = World::new(1);
    world.direct_succeeds = succeeds;
    world.direct_peers = 32;
    let (watches, topics) = world.add_pair(&[0]);
    (world, watches, topics)
}

/// Sets what one way between a device and a relay takes.
fn set_latency(world: &mut World, milliseconds: u64) {
    world.weather = Weather::new(Duration::from_millis(milliseconds), Duration::ZERO, Random::from_seed([1; 32]));
}

fn routes(world: &World, device: usize) -> Vec<Route> {
    world.devices[device].swarm.stats().peers.iter().map(|peer| peer.route).collect()
}

fn expect_routes(world: &World, route: Route) {
    for device in 0..2 {
        assert_eq!(routes(world, device), [route], "of {device}");
    }
}

#[test]
fn devices_that_meet_on_a_relay_become_directly_connected() {
    let (mut world, watches, topics) = directly_met();
    send_both(&mut world, topics, 0..10);
    world.advance(seconds(0.1));
    expect_routes(&world, Route::Direct);
    send_both(&mut world, topics, 10..20);
    world.settle();
    expect_both(&mut world, watches, topics, 0..20);
    assert_eq!([world.open_channels(0), world.open_channels(1)], [1, 1]);
}

#[test]
fn who_wants_no_direct_connection_gets_none() {
    for shy in 0..2 {
        let mut world = World::new(1);
        for device in 0..2 {
            world.direct_peers = if device == shy { 0 } else { 32 };
            world.add(&[0]);
        }
        world.advance(seconds(30.0));
        expect_routes(&world, Route::Relay);
        assert_eq!([world.peer_connections(0), world.peer_connections(1)], [0, 0], "not even tried");
    }
}

#[test]
fn a_device_without_sessions_neither_makes_nor_takes_a_direct_connection() {
    for without in 0..2 {
        let mut world = World::new(1);
        world.direct_peers = 32;
        for device in 0..2 {
            world.session_time = (device == without).then_some(Duration::ZERO);
            world.add(&[0]);
        }
        world.advance(seconds(30.0));
        expect_routes(&world, Route::Relay);
        assert_eq!([world.peer_connections(0), world.peer_connections(1)], [0, 0]);
    }
}

#[test]
fn a_network_that_allows_no_direct_connection_costs_nothing_but_attempts_ever_further_apart() {
    let (mut world, watches, topics) = directly_met_if(false);
    let mut begun = 0;
    let mut was_under_way = false;
    for _ in 0..3_600 {
        world.advance(seconds(1.0));
        let is_under_way = world.peer_connections(0) > 0;
        begun += usize::from(is_under_way && !was_under_way);
        was_under_way = is_under_way;
    }
    assert!((8..=30).contains(&begun), "{begun} attempts in an hour");
    expect_routes(&world, Route::Relay);
    send_both(&mut world, topics, 0..100);
    world.settle();
    expect_both(&mut world, watches, topics, 0..100);
}

#[test]
fn whatever_becomes_of_a_direct_connection_messages_go_on_through_the_relay_and_it_comes_again() {
    for accident in Accident::ALL {
        for device in 0..2 {
            let (mut world, watches, topics) = directly_met();
            world.advance(seconds(0.1));
            expect_routes(&world, Route::Direct);
            send_both(&mut world, topics, 0..500);
            world.settle_partly(7);
            assert!(world.break_channel(device, 0, accident));
            send_both(&mut world, topics, 500..600);
            world.advance(seconds(12.0));
            expect_both(&mut world, watches, topics, 0..600);
            world.advance(seconds(30.0));
            expect_routes(&world, Route::Direct);
        }
    }
}

#[test]
fn however_often_a_direct_connection_breaks_it_comes_again_within_seconds() {
    // Soon after it came, and after it was sound for a while.
    for sound in [seconds(1.0), limits::DIRECT_IS_SOUND_AFTER + seconds(1.0)] {
        let (mut world, ..) = directly_met();
        world.advance(seconds(1.0));
        for round in 0..50 {
            expect_routes(&world, Route::Direct);
            world.advance(sound);
            world.break_channel(round % 2, 0, Accident::Closed);
            world.advance(seconds(0.01));
            expect_routes(&world, Route::Relay);
            // A pause of 1 or 2 s, half as long again at most, and the 3 s that are left to the other.
            world.advance(seconds(6.1));
        }
    }
}

#[test]
fn when_the_relay_stops_for_good_those_who_are_directly_connected_talk_on() {
    let (mut world, watches, topics) = directly_met();
    world.advance(seconds(0.1));
    send_both(&mut world, topics, 0..50);
    world.settle_partly(3);
    world.stop_relay(0);
    world.advance(seconds(600.0));
    send_both(&mut world, topics, 50..100);
    world.settle();
    expect_both(&mut world, watches, topics, 0..100);
    expect_routes(&world, Route::Direct);
    assert_eq!([world.state(0), world.state(1)], [State::Ready; 2]);
}

#[test]
fn when_both_links_die_at_once_nothing_is_lost() {
    let (mut world, watches, topics) = directly_met();
    world.advance(seconds(0.1));
    for round in 0..10 {
        send_both(&mut world, topics, round * 100..round * 100 + 100);
        world.settle_partly(5);
        world.break_channel(0, 0, Accident::Closed);
        world.stop_relay(0);
        world.relays[0].is_up = true;
        world.advance(seconds(4.5));
    }
    expect_both(&mut world, watches, topics, 0..1_000);
}

#[test]
fn devices_that_offer_at_once_agree() {
    let (mut world, watches, topics) = directly_met();
    let begun = |world: &World| [world.peer_connections(0), world.peer_connections(1)];
    world.relays[0].is_lagging = true;
    world.advance(limits::DIRECT_SOON);
    assert_eq!(begun(&world).iter().sum::<usize>(), 1, "the other leaves it to that one for a while");
    world.advance(limits::DIRECT_AFTER);
    assert_eq!(begun(&world), [1, 1], "the offer is still on its way");
    world.release(0);
    world.advance(seconds(1.0));
    expect_routes(&world, Route::Direct);
    assert_eq!((begun(&world), world.tally.glares_settled), ([1, 1], 1));
    send_both(&mut world, topics, 0..10);
    world.settle();
    expect_both(&mut world, watches, topics, 0..10);
}

#[test]
fn devices_whose_connection_breaks_have_another_whoever_is_the_first_to_try() {
    for seed in 0..200u8 {
        let mut world = World::new(1);
        world.direct_peers = 32;
        world.weather =
            Weather::new(Duration::from_millis(1), Duration::from_millis(200), Random::from_seed([seed; 32]));
        world.add(&[0]);
        world.add(&[0]);
        world.advance(seconds(8.0));
        expect_routes(&world, Route::Direct);
        for round in 0..4 {
            // Both lose it and try again after a pause that chance has chosen.
            world.break_channel(round % 2, 0, Accident::Closed);
            world.advance(seconds(12.0));
            expect_routes(&world, Route::Direct);
        }
        assert_eq!([world.peer_connections(0), world.peer_connections(1)], [1, 1]);
    }
}

#[test]
fn signals_that_are_lost_with_their_relay_cost_seconds() {
    const LATENCY: u64 = 20;
    // The offer, its answer, and candidates are on their way.
    for lost in 1..12 {
        let (mut world, ..) = directly_met();
        set_latency(&mut world, LATENCY);
        world.advance(limits::DIRECT_SOON + Duration::from_millis(lost * LATENCY / 2));
        for device in 0..2 {
            world.cut(device, 0);
        }
        world.advance(seconds(6.0));
        expect_routes(&world, Route::Direct);
    }
}

#[test]
fn whoever_leaves_returns_every_connection() {
    let (mut world, watches, _) = directly_met();
    world.advance(seconds(0.1));
    let now = world.now;
    world.devices[0].swarm.close(now);
    world.advance(seconds(0.1));
    assert_eq!([world.peer_connections(0), world.peer_connections(1)], [0, 0]);
    assert_eq!(world.presence(1, watches[1]), [-1]);
}

#[test]
fn last_words_arrive_whatever_they_go_by() {
    for (length, least) in [(10, 4), (300_000, 3)] {
        let (mut world, _, topics) = directly_met();
        world.advance(seconds(0.1));
        let now = world.now;
        let swarm = &mut world.devices[0].swarm;
        let peer = swarm.stats().peers[0].peer;
        for _ in 0..3 {
            swarm.send(topics[0], peer, vec![7; 10]);
        }
        swarm.send(topics[0], peer, vec![8; length]);
        swarm.close(now);
        let messages = world.messages(1, topics[1]);
        assert!(messages.len() >= least, "{length}: {}", messages.len());
    }
}

#[test]
fn no_more_devices_are_connected_to_directly_than_may_be_and_those_with_the_most_traffic() {
    let mut world = World::new(1);
    world.direct_peers = 2;
    let devices: Vec<usize> = (0..7).map(|_| world.add(&[0])).collect();
    let topics: Vec<HandleId> = devices.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
    world.advance(seconds(20.0));
    let busy = [(0, 6), (1, 5), (2, 4)];
    for _ in 0..60 {
        for (one, other) in busy {
            for (from, to) in [(one, other), (other, one)] {
                let peer = peer_of(&world, from, to).peer;
                world.devices[from].swarm.send(topics[from], peer, vec![7; 100_000]);
            }
        }
        world.advance(seconds(1.0));
        for device in &devices {
            assert!(world.peer_connections(*device) <= 2);
        }
    }
    for (one, other) in busy {
        assert_eq!(peer_of(&world, one, other).route, Route::Direct, "{one} and {other}");
    }
}

/// A device with one place for a direct connection, and others that come one after another. They are to talk about `chat`.
fn with_one_place(others: usize) -> (World, Vec<HandleId>) {
    let mut world = World::new(1);
    let mut topics = Vec::new();
    for device in 0..=others {
        world.direct_peers = if device == 0 { 1 } else { 32 };
        world.add(&[0]);
        topics.push(world.devices[device].swarm.join("chat"));
        world.advance(seconds(4.0));
    }
    (world, topics)
}

/// Each of these devices and the first send each other as many bytes a second, so long.
fn talk(world: &mut World, topics: &[HandleId], with: &[(usize, usize)], time: u32) {
    for _ in 0..time {
        for (other, length) in with {
            for (from, to) in [(0, *other), (*other, 0)] {
                let peer = peer_of(world, from, to).peer;
                world.devices[from].swarm.send(topics[from], peer, vec![7; *length]);
            }
        }
        world.advance(seconds(1.0));
    }
}

#[test]
fn a_place_is_yielded_only_to_a_device_that_has_clearly_more_to_say() {
    let (mut world, topics) = with_one_place(2);
    for _ in 0..300 {
        talk(&mut world, &topics, &[(1, 10_000), (2, 18_000)], 1);
        assert_eq!(peer_of(&world, 0, 1).route, Route::Direct);
    }
    talk(&mut world, &topics, &[(1, 10_000), (2, 25_000)], 60);
    assert_eq!([1, 2].map(|other| peer_of(&world, 0, other).route), [Route::Relay, Route::Direct]);
}

#[test]
fn what_a_device_said_before_it_left_gets_it_no_place_when_it_is_back() {
    let (mut world, topics) = with_one_place(2);
    talk(&mut world, &topics, &[(2, 1_000_000)], 60);
    assert_eq!(peer_of(&world, 0, 2).route, Route::Direct);
    for _ in 0..3 {
        let now = world.now;
        world.devices[2].swarm.goodbye(now);
        talk(&mut world, &topics, &[(1, 10_000)], 30);
        assert_eq!(peer_of(&world, 0, 1).route, Route::Direct);
        let now = world.now;
        world.devices[2].swarm.resume(now);
        for _ in 0..60 {
            talk(&mut world, &topics, &[(1, 10_000)], 1);
            assert_eq!(peer_of(&world, 0, 1).route, Route::Direct, "it has said nothing since");
        }
    }
}

#[test]
fn nobody_makes_way_for_a_device_that_refused() {
    let mut world = World::new(1);
    // The first has little to say to the second, more to the third, who has one place too and most to say to the fourth.
    let devices = [1, 32, 1, 32].map(|most| {
        world.direct_peers = most;
        world.add(&[0])
    });
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    let mut made_way = 0;
    let mut was_direct = false;
    for second in 0..600 {
        for (one, other, length) in [(0, 1, 1_000), (0, 2, 20_000), (2, 3, 100_000)] {
            for (from, to) in [(one, other), (other, one)] {
                let peer = peer_of(&world, from, to).peer;
                world.devices[from].swarm.send(topics[from], peer, vec![7; length]);
            }
        }
        world.advance(seconds(1.0));
        let is_direct = peer_of(&world, 0, 1).route == Route::Direct;
        made_way += usize::from(second > 60 && was_direct && !is_direct);
        was_direct = is_direct;
        assert!(second < 60 || peer_of(&world, 2, 3).route == Route::Direct);
    }
    // Whoever has had no place may have one later: it is looked after that once in 300 s.
    assert!(was_direct && made_way <= 2, "{made_way} times");
}

/// Pairs send each other as many bytes a second, so long.
fn talk_in_pairs(world: &mut World, topics: &[HandleId], pairs: &[(usize, usize, usize)], time: u32) {
    for _ in 0..time {
        for (one, other, length) in pairs {
            for (from, to) in [(*one, *other), (*other, *one)] {
                let peer = peer_of(world, from, to).peer;
                world.devices[from].swarm.send(topics[from], peer, vec![7; *length]);
            }
        }
        world.advance(seconds(1.0));
    }
}

#[test]
fn a_device_without_a_place_keeps_nobody_from_another() {
    let mut world = World::new(1);
    let topics = [1, 32, 1, 32, 1, 32].map(|most| {
        world.direct_peers = most;
        let device = world.add(&[0]);
        world.advance(seconds(4.0));
        world.devices[device].swarm.join("chat")
    });
    // The third asks the first in vain, then the first the fifth.
    talk_in_pairs(&mut world, &topics, &[(0, 1, 100_000), (0, 2, 60_000)], 60);
    talk_in_pairs(&mut world, &topics, &[(0, 1, 1_000), (0, 4, 100_000), (4, 5, 400_000)], 120);
    assert_eq!([(0, 1), (4, 5)].map(|(one, other)| peer_of(&world, one, other).route), [Route::Direct; 2]);
    // The first has more to say to the third now than to the second, though most to the fifth.
    talk_in_pairs(&mut world, &topics, &[(0, 2, 30_000), (0, 4, 100_000), (4, 5, 400_000)], 120);
    assert_eq!(peer_of(&world, 0, 2).route, Route::Direct);
}

#[test]
fn everybody_hears_everybody_once_in_a_full_mesh_of_16() {
    full_mesh(16, 32);
}

#[test]
fn everybody_hears_everybody_once_in_a_room_of_256_with_32_direct_connections_each() {
    full_mesh(256, limits::DIRECT_PEERS);
}

fn full_mesh(count: usize, direct_peers: usize) {
    let mut world = World::new(1);
    world.direct_peers = direct_peers;
    let mut devices = Vec::new();
    for _ in 0..count {
        devices.push(world.add(&[0]));
        // No more than a device takes handshakes.
        world.advance(seconds(0.06));
    }
    let topics: Vec<HandleId> = devices.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
    world.advance(seconds(4.0));
    let direct = direct_peers.min(count - 1);
    for device in &devices {
        assert!(world.open_channels(*device) <= direct);
        for peer in world.devices[*device].swarm.stats().peers {
            let said = (*device as u32).to_le_bytes().to_vec();
            world.devices[*device].swarm.send(topics[*device], peer.peer, said);
        }
    }
    let open: usize = devices.iter().map(|device| world.open_channels(*device)).sum();
    if direct == count - 1 {
        assert_eq!(open, count * direct, "everybody is directly connected to everybody");
        assert!(devices.iter().all(|device| routes(&world, *device) == vec![Route::Direct; direct]));
    } else {
        // Who comes late finds some with no place left.
        assert!(open * 4 >= count * direct * 3, "{open} channels of {}", count * direct);
    }
    for device in &devices {
        let mut heard: Vec<Vec<u8>> =
            world.messages(*device, topics[*device]).into_iter().map(|(_, message)| message).collect();
        heard.sort_by_key(|message| u32::from_le_bytes(message[..].try_into().unwrap()));
        let others = devices.iter().filter(|other| *other != device);
        assert!(heard.iter().eq(others.map(|other| (*other as u32).to_le_bytes()).collect::<Vec<_>>().iter()));
    }
    let now = world.now;
    devices.iter().for_each(|device| world.devices[*device].swarm.close(now));
    world.settle();
    assert!(devices.iter().all(|device| world.peer_connections(*device) == 0));
}

fn peer_of(world: &World, device: usize, other: usize) -> PeerStats {
    let key = world.devices[other].swarm.stats().device_key;
    let peers = world.devices[device].swarm.stats().peers;
    peers.into_iter().find(|peer| peer.key == key).expect("it is here")
}

#[test]
fn a_relay_that_claims_a_leave_is_not_believed_where_there_is_a_direct_connection() {
    let (mut world, watches, topics) = directly_met();
    world.advance(seconds(0.1));
    world.relays[0].is_up = false;
    world.cut(1, 0);
    world.advance(seconds(60.0));
    assert!(world.presence(0, watches[0]).is_empty());
    send_both(&mut world, topics, 0..10);
    world.settle();
    expect_both(&mut world, watches, topics, 0..10);
}

#[test]
fn who_dies_leaves_two_seconds_after_its_relay_says_so_although_there_was_a_direct_connection() {
    let (mut world, watches, _) = directly_met();
    world.advance(seconds(0.1));
    world.break_channel(1, 0, Accident::Dead);
    world.relays[0].is_up = false;
    world.cut(1, 0);
    world.advance(limits::GRACE_AFTER_CLOSE + Duration::from_millis(10));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn a_data_channel_to_another_device_than_agreed_is_refused() {
    let mut world = World::new(1);
    (world.direct_peers, world.direct_succeeds) = (32, false);
    let devices = [0; 3].map(|_| world.add(&[0]));
    let topics = devices.map(|device| world.devices[device].swarm.join("chat"));
    // All three know each other's descriptions.
    world.advance(seconds(1.0));
    world.cross_channels(0);
    let open: usize = devices.iter().map(|device| world.open_channels(*device)).sum();
    assert_eq!(open, 0, "they were closed at once");
    for device in devices {
        assert_eq!(routes(&world, device), [Route::Relay; 2]);
    }
    send(&mut world, 0, topics[0], 0..10);
    world.settle();
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..10));
}

#[test]
fn relays_that_want_to_know_are_told_how_many_pairs_are_directly_connected() {
    let mut world = World::new(2);
    world.direct_peers = 32;
    world.relays[1].counts_direct = false;
    for _ in 0..3 {
        world.add(&[0, 1]);
    }
    world.advance(seconds(1.0));
    assert_eq!([world.relays[0].direct_pairs(), world.relays[1].direct_pairs()], [3, 0]);
    world.direct_succeeds = false;
    world.break_channel(0, 0, Accident::Closed);
    assert_eq!(world.relays[0].direct_pairs(), 2);
    // A relay that comes back learns it anew.
    world.stop_relay(0);
    world.relays[0].is_up = true;
    world.advance(seconds(5.0));
    assert_eq!(world.relays[0].direct_pairs(), 2);
}

#[test]
fn without_a_network_the_state_is_offline_although_there_was_a_direct_connection() {
    let (mut world, watches, _) = directly_met();
    world.advance(seconds(0.1));
    world.go_offline(0);
    assert_eq!(world.state(0), State::Offline);
    world.advance(seconds(1.0));
    world.go_online(0);
    world.advance(seconds(1.0));
    assert_eq!(world.state(0), State::Ready);
    assert_eq!(world.presence(0, watches[0]), []);
}

#[test]
fn who_comes_back_after_a_goodbye_is_directly_connected_at_the_first_attempt() {
    for device in 0..2 {
        let (mut world, _, _) = directly_met();
        world.advance(seconds(0.1));
        for _ in 0..3 {
            let now = world.now;
            world.devices[device].swarm.goodbye(now);
            world.settle();
            world.devices[device].swarm.resume(now);
            world.advance(limits::DIRECT_PACE * 3);
            expect_routes(&world, Route::Direct);
        }
    }
}
