//! Which way messages, signals and last words go between two devices that are directly connected, and what the application is told of it
//! (PROTOCOL.md §15).

mod browsers;

use browsers::*;
use peersockets_core::limits;
use peersockets_core::rtc::Connectivity::{Connected, Disconnected};
use peersockets_core::rtc::IceServer;
use peersockets_core::swarm::stats::Route;
use peersockets_core::time::Duration;

const RELAY: Way = Way::Relay(0);
const DIRECT: [Option<Route>; 2] = [Some(Route::Direct); 2];
const LONG: usize = 5_000;

fn second() -> Duration {
    Duration::from_secs(1)
}

/// A description of so many bytes is told in a signal: who tells it is the side whose browser looks for another way. Returns the bytes
/// that both wrote through the relay, and by the channel.
fn signal(pair: &mut Pair) -> [(usize, usize); 2] {
    let impolite = pair.impolite();
    for side in 0..2 {
        pair.sides[side].description = LONG;
        pair.sides[side].written.clear();
    }
    pair.tell_connectivity(impolite, Disconnected);
    pair.tell_connectivity(impolite, Connected);
    [0, 1].map(|side| (pair.take_written(side, RELAY), pair.take_written(side, Way::Channel)))
}

#[test]
fn signals_go_through_a_relay_as_long_as_there_is_a_link_through_one_and_else_by_the_channel() {
    let mut pair = Pair::direct();
    pair.advance(second());
    for (relay, channel) in signal(&mut pair) {
        assert!(relay > LONG && channel < LONG, "{relay} and {channel}");
    }
    pair.stop_relay(0);
    pair.advance(second());
    for (relay, channel) in signal(&mut pair) {
        assert!(relay == 0 && channel > LONG, "{relay} and {channel}");
    }
    pair.relays[0].is_down = false;
    pair.advance(4 * limits::RETRY_FIRST);
    for (relay, channel) in signal(&mut pair) {
        assert!(relay > LONG && channel < LONG, "{relay} and {channel}, after the relay came back");
    }
    assert_eq!([pair.sides[0].begun.len(), pair.sides[1].begun.len()], [1, 1], "all on one connection");
}

#[test]
fn messages_go_by_the_channel_only_once_it_has_answered() {
    let mut pair = Pair::met(1);
    pair.sides.iter_mut().for_each(|side| side.is_far = true);
    pair.advance(limits::DIRECT_SOON);
    let mut was_proved_and_silent = false;
    loop {
        for side in 0..2 {
            let peer = pair.sides[side].swarm.stats().peers.remove(0);
            let is_measured = peer.route == Route::Direct && peer.round_trip.is_some();
            assert!(is_measured || peer.route == Route::Relay, "{side}: {:?}", peer.round_trip);
        }
        if pair.sides[1].has_proof && pair.routes()[1] == Some(Route::Relay) {
            was_proved_and_silent = true;
            pair.sides[1].written.clear();
            pair.send(1, vec![7; LONG]);
            pair.settle();
            assert!(pair.take_written(1, RELAY) > LONG);
            assert_eq!(pair.messages(0), [vec![7; LONG]]);
        }
        if !pair.arrive_next(0) & !pair.arrive_next(1) {
            break;
        }
    }
    assert!(was_proved_and_silent);
    assert_eq!(pair.routes(), DIRECT);
}

#[test]
fn a_channel_that_may_have_lost_its_way_is_sent_on_again_only_when_it_has_one() {
    for side in 0..2 {
        let mut pair = Pair::direct();
        pair.advance(second());
        pair.tell_connectivity(side, Disconnected);
        assert_eq!(pair.routes()[side], Some(Route::Relay));
        // What was under way when the way was lost still comes.
        pair.send(1 - side, vec![7]);
        pair.settle();
        assert_eq!(pair.messages(side).len(), 1);
        assert_eq!(pair.routes()[side], Some(Route::Relay));
        pair.tell_connectivity(side, Connected);
        pair.send(1 - side, vec![8]);
        pair.settle();
        assert_eq!(pair.routes(), DIRECT);
    }
}

/// Closes a device whose channel carries nothing any more, as when its page is gone, with so many messages of this length unsaid. Returns
/// what it still wrote through the relay and to the channel, and how many of them arrived.
fn close_with(count: u8, length: usize) -> (usize, usize, usize) {
    let mut pair = Pair::direct();
    pair.advance(second());
    pair.sides[0].is_far = true;
    pair.sides[0].written.clear();
    (0..count).for_each(|number| pair.send(0, vec![number; length]));
    let now = pair.now;
    pair.sides[0].swarm.close(now);
    pair.settle();
    (pair.take_written(0, RELAY), pair.take_written(0, Way::Channel), pair.messages(1).len())
}

#[test]
fn last_words_that_fit_go_through_the_relay_and_those_that_do_not_stay_on_the_channel() {
    // With what each of them takes.
    let room = |count: usize| limits::LAST_WORDS / count - limits::MESSAGE_WEIGHT - "chat".len();
    for count in [1, 3, 64, 200] {
        let longest = room(count.into());
        let (relay, channel, arrived) = close_with(count, longest);
        assert!(relay > usize::from(count) * longest && channel < 1_000, "{relay} and {channel}");
        assert_eq!(arrived, usize::from(count));
        let (relay, channel, _) = close_with(count, longest + 1);
        assert!(relay < 1_000 && channel > limits::LAST_WORDS * 3 / 4, "{relay} and {channel}");
    }
}

#[test]
fn last_words_go_by_the_channel_where_there_is_no_relay() {
    let mut pair = Pair::direct();
    pair.stop_relay(0);
    pair.advance(second());
    (0..10).for_each(|number| pair.send(0, vec![number; 100]));
    let now = pair.now;
    pair.sides[0].swarm.close(now);
    pair.settle();
    assert_eq!(pair.messages(1).len(), 10);
    assert_eq!(pair.routes(), [None; 2]);
}

#[test]
fn who_closes_every_handle_keeps_its_connections_and_who_says_goodbye_gives_them_back_at_once() {
    let mut pair = Pair::direct();
    for side in 0..2 {
        let Side { swarm, watch, topic, .. } = &mut pair.sides[side];
        swarm.close_handle(*watch);
        swarm.close_handle(*topic);
    }
    pair.advance(60 * second());
    assert_eq!(pair.routes(), DIRECT);
    let now = pair.now;
    pair.sides[0].swarm.goodbye(now);
    pair.settle();
    assert_eq!([pair.sides[0].connection, pair.sides[1].connection], [None; 2]);
    assert_eq!(pair.routes(), [None; 2]);
    pair.advance(60 * second());
    assert_eq!([pair.sides[0].begun.len(), pair.sides[1].begun.len()], [1, 1], "nor is there another one");
}

#[test]
fn who_says_a_goodbye_that_nobody_hears_gives_its_connections_back_too() {
    let mut pair = Pair::direct();
    pair.stop_relay(0);
    pair.sides[0].is_far = true;
    let now = pair.now;
    pair.sides[0].swarm.goodbye(now);
    pair.settle();
    assert_eq!(pair.sides[0].connection, None);
}

/// Takes what both watchers were told, which is what the stats say.
fn told(pair: &mut Pair) -> [Vec<&'static str>; 2] {
    let stories = [0, 1].map(|side| pair.story(side));
    for (story, route) in stories.iter().zip(pair.routes()) {
        if let (Some(last), Some(route)) = (story.last(), route) {
            assert_eq!(*last, route.name());
        }
    }
    stories
}

#[test]
fn each_change_of_the_path_is_told_once_and_is_what_the_stats_say() {
    let mut pair = Pair::met(1);
    assert_eq!(told(&mut pair), [["join", "relay"]; 2]);
    pair.advance(second());
    assert_eq!(told(&mut pair), [["direct"]; 2]);
    pair.advance(60 * second());
    assert_eq!(told(&mut pair), [[""; 0]; 2]);
    // One browser loses its way, and finds it again.
    pair.tell_connectivity(0, Disconnected);
    pair.tell_connectivity(0, Disconnected);
    assert_eq!(told(&mut pair), [vec!["relay"], vec![]]);
    pair.tell_connectivity(0, Connected);
    pair.send(1, vec![1]);
    pair.advance(second());
    assert_eq!(told(&mut pair), [vec!["direct"], vec![]]);
    // With the relay goes a link that nothing was sent on.
    pair.stop_relay(0);
    pair.advance(second());
    assert_eq!(told(&mut pair), [[""; 0]; 2]);
    pair.opens = false;
    pair.close_channel();
    assert_eq!(told(&mut pair), [["none"]; 2]);
    pair.relays[0].is_down = false;
    pair.advance(4 * second());
    assert_eq!(told(&mut pair), [["relay"]; 2]);
    pair.opens = true;
    pair.advance(2 * limits::DIRECT_TIME);
    assert_eq!(told(&mut pair), [["direct"]; 2]);
    pair.opens = false;
    pair.close_channel();
    assert_eq!(told(&mut pair), [["relay"]; 2]);
    // Whoever comes anew is told of as anew, though nothing is new about the path.
    let now = pair.now;
    pair.sides[0].swarm.goodbye(now);
    pair.settle();
    assert_eq!(told(&mut pair), [["leave"]; 2]);
    pair.sides[0].swarm.resume(now);
    pair.settle();
    assert_eq!(told(&mut pair), [["join", "relay"]; 2]);
    pair.stop_relay(0);
    pair.advance(limits::GRACE);
    assert_eq!(told(&mut pair), [["none", "leave"]; 2]);
}

#[test]
fn a_path_that_changes_and_changes_back_before_anybody_looks_is_not_told() {
    let mut pair = Pair::direct();
    told(&mut pair);
    let (now, Side { swarm, connection, .. }) = (pair.now, &mut pair.sides[0]);
    let socket = connection.unwrap();
    swarm.handle_connectivity(now, socket, Disconnected);
    assert_eq!(swarm.stats().peers[0].route, Route::Relay);
    swarm.handle_connectivity(now, socket, Connected);
    pair.send(1, vec![1]);
    // The other's message comes before this one is asked what to do.
    loop {
        match pair.sides[1].swarm.poll_output() {
            peersockets_core::swarm::Output::Write { message, .. } => {
                pair.sides[0].swarm.handle_socket_message(now, socket, &message);
            }
            peersockets_core::swarm::Output::Timeout(_) => break,
            _ => {}
        }
    }
    assert_eq!(pair.routes()[0], Some(Route::Direct));
    pair.settle();
    assert_eq!(told(&mut pair)[0], [""; 0]);
}

fn server(name: &str) -> IceServer {
    IceServer { url: format!("stun:{name}"), username: String::new(), credential: String::new() }
}

fn servers(names: &[&str]) -> Vec<IceServer> {
    names.iter().map(|name| server(name)).collect()
}

/// Breaks the connection, and returns the servers that the next one is begun with.
fn servers_of_the_next(pair: &mut Pair) -> Vec<IceServer> {
    pair.close_channel();
    pair.advance(10 * second());
    assert_eq!(pair.routes(), DIRECT);
    let [one, other] = [0, 1].map(|side: usize| pair.sides[side].begun.last().unwrap().1.clone());
    assert_eq!(one, other);
    one
}

#[test]
fn connections_are_begun_with_the_servers_of_all_relays_that_are_there_each_once() {
    let mut pair = Pair::met(3);
    pair.announce(0, servers(&["a", "b"]));
    pair.announce(2, servers(&["c", "a"]));
    pair.advance(second());
    for side in &pair.sides {
        assert_eq!(side.begun[0].1, servers(&["a", "b", "c"]));
    }
    pair.announce(0, servers(&["d"]));
    assert_eq!(servers_of_the_next(&mut pair), servers(&["d", "c", "a"]), "in place of those before");
    pair.stop_relay(2);
    assert_eq!(servers_of_the_next(&mut pair), servers(&["d"]), "a relay that is gone names none");
    pair.relays[2].is_down = false;
    pair.advance(60 * second());
    assert_eq!(servers_of_the_next(&mut pair), servers(&["d", "c", "a"]));
    pair.announce(0, vec![]);
    pair.announce(2, vec![]);
    assert_eq!(servers_of_the_next(&mut pair), []);
}

#[test]
fn one_url_with_other_credentials_is_another_server_and_all_together_are_bounded() {
    let mut pair = Pair::met(limits::RELAYS);
    for relay in 0..limits::RELAYS {
        let named = |number| IceServer { username: format!("{relay} {number}"), ..server("turn") };
        pair.announce(relay, (0..limits::ICE_SERVERS).map(named).collect());
    }
    pair.advance(second());
    assert_eq!(pair.sides[0].begun[0].1.len(), limits::RELAYS * limits::ICE_SERVERS);
    // One that names more talks nonsense, and names none.
    pair.announce(1, vec![server("many"); limits::ICE_SERVERS + 1]);
    assert_eq!(servers_of_the_next(&mut pair).len(), (limits::RELAYS - 1) * limits::ICE_SERVERS);
}
