//! How what is sent to a peer travels, how long a question and its answer take there, and what the application is told of it
//! (PROTOCOL.md §8, §10).

mod devices;
mod pair;

use devices::{End, Stranger, at, drive};
use pair::*;
use peersockets_core::channel::peersockets::{PING, PONG, TOPIC};
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::secure::Role;
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Event, HandleId};
use peersockets_core::time::Duration;
use peersockets_netem::{Weather, World, drive as world_drive, seconds};

/// Sets what one way between a device and a relay takes, and returns a round trip between two devices.
fn set_latency(world: &mut World, milliseconds: u64) -> Option<Duration> {
    let latency = Duration::from_millis(milliseconds);
    world.weather = Weather::new(latency, Duration::ZERO, Random::from_seed([1; 32]));
    Some(4 * latency)
}

/// The round trips that both devices have measured to each other.
fn round_trips(world: &World) -> [Option<Duration>; 2] {
    [0, 1].map(|device: usize| world.devices[device].swarm.stats().peers[0].round_trip)
}

/// What a watcher was told of peers and routes, in order.
fn story(world: &mut World, device: usize, watcher: HandleId) -> Vec<String> {
    let told = |event| match event {
        Event::Join { watch, peer } if watch == watcher => Some(format!("join {}", peer.0)),
        Event::Leave { watch, peer } if watch == watcher => Some(format!("leave {}", peer.0)),
        Event::Path { watch, peer, route, .. } if watch == watcher => Some(format!("{} {}", route.name(), peer.0)),
        _ => None,
    };
    world.events(device).into_iter().filter_map(told).collect()
}

/// Whether an event is told to this watcher.
fn is_for(event: &Event, watcher: HandleId) -> bool {
    matches!(event, Event::Join { watch, .. } | Event::Leave { watch, .. } | Event::Path { watch, .. } if *watch == watcher)
}

/// A stranger that has proved the drive key to a new end, and has heard its first ping.
fn met() -> (End, Stranger) {
    let mut end = End::new(Role::Responder, 1, drive());
    let stranger = Stranger::proved(&mut end);
    (end, stranger)
}

/// The stranger says something at this moment. Returns the numbers of the pings that follow.
fn say(stranger: &mut Stranger, end: &mut End, seconds: f64, frame: &[u8]) -> Vec<u8> {
    stranger.heard.clear();
    assert!(stranger.secure.seal(frame.to_vec()));
    end.read(at(seconds), &stranger.secure.take_output(usize::MAX)).unwrap();
    stranger.exchange(end).unwrap();
    let pings = stranger.heard.iter().filter(|frame| frame.starts_with(&[1, PING as u8]));
    pings.map(|frame| frame[2]).collect()
}

#[test]
fn the_round_trip_is_that_of_the_network_soon_after_the_join_and_however_idle_or_busy_the_link_is() {
    let mut world = World::new(1);
    let real = set_latency(&mut world, 30);
    world.add(&[0]);
    world.add(&[0]);
    world.advance(seconds(1.0));
    assert_eq!(round_trips(&world), [real; 2]);

    let real = set_latency(&mut world, 50);
    world.advance(limits::PING_EVERY + 2 * limits::PING_AFTER);
    assert_eq!(round_trips(&world), [real; 2], "idle");

    let topics = [0, 1].map(|device: usize| world.devices[device].swarm.join("chat"));
    let real = set_latency(&mut world, 20);
    // One way only: the other end says no more than what has arrived.
    for number in 0..24 {
        send(&mut world, 0, topics[0], number..number + 1);
        world.advance(seconds(0.5));
    }
    assert_eq!(round_trips(&world), [real; 2], "busy");
}

#[test]
fn only_the_answer_to_the_last_ping_is_measured() {
    let pong = |number: u8| [1, PONG as u8, number];
    let (mut end, mut stranger) = met();
    assert_eq!(end.link.round_trip(), None);
    say(&mut stranger, &mut end, 1.0, &[1, PONG as u8]);
    assert_eq!(end.link.round_trip(), None, "a sign of life");
    end.link.handle_timeout(at(4.0)).unwrap();
    say(&mut stranger, &mut end, 5.0, &pong(1));
    assert_eq!(end.link.round_trip(), None, "the answer to the one before");
    say(&mut stranger, &mut end, 6.5, &pong(2));
    assert_eq!(end.link.round_trip(), Some(seconds(2.5)));
    for number in [2, 3, 250] {
        say(&mut stranger, &mut end, 7.0, &pong(number));
        assert_eq!(end.link.round_trip(), Some(seconds(2.5)), "answered already, or never asked");
    }
}

#[test]
fn a_busy_link_is_measured_every_ten_seconds_and_while_an_answer_is_awaited_every_thirty() {
    let (mut end, mut stranger) = met();
    let message = [1, TOPIC as u8, 0, 1, b'a'];
    let mut asked = Vec::new();
    for second in 1..60 {
        for number in say(&mut stranger, &mut end, second.into(), &message) {
            asked.push((second, number));
            // The third is never answered.
            if number != 3 {
                say(&mut stranger, &mut end, second.into(), &[1, PONG as u8, number]);
            }
        }
        if second == 1 {
            say(&mut stranger, &mut end, 1.0, &[1, PONG as u8, 1]);
        }
        end.link.handle_timeout(at(second.into())).unwrap();
    }
    assert_eq!(asked, [(10, 2), (20, 3), (50, 4)]);
}

#[test]
fn a_ping_that_only_measures_may_be_answered_at_any_time() {
    let (mut end, mut stranger) = met();
    for second in 1..100 {
        say(&mut stranger, &mut end, second.into(), &[1, TOPIC as u8, 0, 1, b'a']);
        end.link.handle_timeout(at(second.into())).unwrap();
    }
    assert_eq!(end.link.round_trip(), None);
}

#[test]
fn an_answer_repeats_the_number_of_the_last_ping() {
    let (mut end, mut stranger) = met();
    let answer = |stranger: &mut Stranger, end: &mut End, frame: &[u8]| {
        stranger.heard.clear();
        stranger.say(end, frame).unwrap();
        stranger.heard.clone()
    };
    let ping = PING as u8;
    assert_eq!(answer(&mut stranger, &mut end, &[1, ping, 200]), [[1, PONG as u8, 200]]);
    assert_eq!(answer(&mut stranger, &mut end, &[0, 0, 1, 2, ping, 7, 2, ping, 8]), [[1, PONG as u8, 8]]);
    assert_eq!(answer(&mut stranger, &mut end, &[1, ping]), [[1, PONG as u8]], "one of the first build");
}

#[test]
fn a_path_is_told_behind_its_join_at_each_change_and_not_after_its_leave() {
    let (mut world, watches, _) = met_on(&[0]);
    let late = world.devices[0].swarm.watch();
    assert_eq!(story(&mut world, 0, late), ["join 1", "relay 1"]);
    // Awaited, and back.
    let (socket, now) = (world.socket(0, 0), world.now);
    world.relays[0].is_up = false;
    world.devices[0].swarm.handle_socket_closed(now, socket);
    // One that comes before the others are told.
    let between = world.devices[0].swarm.watch();
    let told = |world: &mut World, watches: &[HandleId]| {
        let events = world.events(0);
        let of = |watch: &HandleId| events.iter().filter(|event| is_for(event, *watch)).count();
        watches.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(told(&mut world, &[watches[0], between]), [1, 2], "none; join and none");
    let later = world.devices[0].swarm.watch();
    assert_eq!(story(&mut world, 0, later), ["join 1", "none 1"]);
    world.relays[0].is_up = true;
    world.advance(seconds(4.0));
    assert_eq!(story(&mut world, 0, later), ["relay 1"]);
    // Given up, and back.
    world.stop_relay(0);
    world.advance(limits::GRACE + seconds(1.0));
    assert_eq!(story(&mut world, 0, watches[0]), ["none 1", "leave 1"]);
    let while_away = world.devices[0].swarm.watch();
    assert!(story(&mut world, 0, while_away).is_empty());
    world.relays[0].is_up = true;
    world.advance(seconds(60.0));
    assert_eq!(story(&mut world, 0, watches[0]), ["join 1", "relay 1"]);
}

#[test]
fn a_watcher_that_is_closed_at_once_hears_of_no_path() {
    let (mut world, ..) = met_on(&[0]);
    let watch = world.devices[0].swarm.watch();
    world.devices[0].swarm.close_handle(watch);
    assert!(story(&mut world, 0, watch).is_empty());
}

#[test]
fn one_relay_for_another_is_no_change_of_the_path() {
    let mut world = World::new(2);
    let (watches, _) = world.add_pair(&[0, 1]);
    world.stop_relay(0);
    world.advance(seconds(30.0));
    assert!(story(&mut world, 0, watches[0]).is_empty());
    world.stop_relay(1);
    assert_eq!(story(&mut world, 0, watches[0]), ["none 1"]);
}

#[test]
fn drive_peers_and_streams_of_one_s_own_are_direct_and_plain_ones_answer_no_question() {
    let mut world = World::new(0);
    world.add_drive_peer();
    let page = world.add_with(&[], &[0]);
    let watch = world.devices[page].swarm.watch();
    world.advance(seconds(30.0));
    assert_eq!(story(&mut world, page, watch), ["join 1", "direct 1"]);
    assert_eq!(world.devices[page].swarm.stats().peers[0].round_trip, None);
    world.stop_drive_peer(0);
    assert_eq!(story(&mut world, page, watch), ["leave 1"]);

    let host = world.add_host(&[]);
    let (watch, topic) = (world.devices[host].swarm.watch(), world.devices[host].swarm.join("chat"));
    let streams = [0, 1].map(|_| world.connect(host, world_drive(1)));
    world.devices[host].swarm.send(topic, FIRST, b"used".to_vec());
    assert_eq!(story(&mut world, host, watch), ["join 1", "direct 1"]);
    world.end_stream(host, streams[0]);
    assert_eq!(story(&mut world, host, watch), ["leave 1", "join 1", "direct 1"], "without a session");
}

#[test]
fn a_path_that_changes_with_a_round_trip_that_is_known_tells_it() {
    let mut world = World::new(2);
    let real = set_latency(&mut world, 10);
    let devices = [world.add(&[0]), world.add(&[0])];
    world.advance(seconds(1.0));
    let watch = world.devices[devices[0]].swarm.watch();
    let path = world.events(devices[0]).pop();
    let peer = FIRST;
    assert_eq!(path, Some(Event::Path { watch, peer, route: Route::Relay, round_trip: real }));
}
