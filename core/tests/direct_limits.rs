//! What a data channel is written and brings, and when it is given up (PROTOCOL.md §15).

mod browsers;

use browsers::*;
use peersockets_core::limits;
use peersockets_core::rtc::Connectivity::{Connected, Disconnected, Failed};
use peersockets_core::swarm::SocketId;
use peersockets_core::swarm::stats::Route;
use peersockets_core::time::Duration;

const LONG: usize = 4 * 1024 * 1024;
const TICK: Duration = Duration::from_millis(100);

#[test]
fn a_channel_is_written_to_only_while_it_has_room() {
    let mut pair = Pair::direct();
    pair.sides[0].is_held = true;
    pair.send(0, vec![7; LONG]);
    pair.settle();
    let full = limits::CHANNEL_HIGH_WATER..=limits::CHANNEL_HIGH_WATER + limits::CHANNEL_MESSAGE;
    assert!(full.contains(&pair.waiting(0)), "{} bytes wait", pair.waiting(0));

    let mut rounds = 0;
    while pair.messages(1).is_empty() {
        // Nothing is written while it still is full.
        let waiting = pair.waiting(0);
        pair.take_written(0, Way::Channel);
        let goes_on = pair.let_go(0, limits::CHANNEL_MESSAGE);
        assert_eq!(goes_on, waiting >= limits::CHANNEL_HIGH_WATER && pair.waiting(0) < limits::CHANNEL_HIGH_WATER);
        let had_room = pair.waiting(0) < limits::CHANNEL_HIGH_WATER;
        pair.settle();
        assert!(had_room || pair.take_written(0, Way::Channel) == 0, "it was full");
        assert!(pair.waiting(0) <= *full.end(), "{} bytes wait", pair.waiting(0));
        rounds += 1;
        assert!(rounds < 1_000, "it arrives");
    }
    assert!(rounds >= LONG / limits::CHANNEL_MESSAGE - 20, "{rounds}: it went by the channel");
    assert_eq!(pair.routes(), [Some(Route::Direct); 2]);
}

#[test]
fn a_channel_whose_bytes_leave_is_not_given_up_however_late_answers_are() {
    let mut pair = Pair::direct();
    let begun = pair.sides[0].begun.len();
    (pair.sides[0].is_held, pair.sides[1].is_far) = (true, true);
    pair.send(0, vec![7; LONG]);
    // Longer than any silence may be on a link.
    for _ in 0..200 {
        pair.advance(TICK);
        pair.let_go(0, limits::CHANNEL_MESSAGE);
        assert_eq!(pair.routes()[0], Some(Route::Direct));
    }
    pair.sides[0].is_held = false;
    pair.let_go(0, LONG);
    pair.arrive(1);
    assert_eq!(pair.messages(1).len(), 1);
    assert_eq!(pair.sides[0].begun.len(), begun, "it is the same channel");
}

#[test]
fn a_channel_that_nothing_leaves_for_five_seconds_though_bytes_wait_is_given_up() {
    for is_alive in [false, true] {
        let mut pair = Pair::direct();
        pair.opens = false;
        pair.advance(Duration::from_secs(1));
        let connection = pair.sides[0].connection;
        pair.sides[0].is_held = true;
        pair.send(0, vec![7; 1_000]);
        let since = pair.now;
        while pair.sides[0].connection == connection && pair.now.since(since) < 2 * limits::STALL {
            // That the other is heard changes nothing.
            if is_alive {
                pair.send(1, vec![8]);
            }
            pair.advance(TICK);
        }
        let after = pair.now.since(since);
        // The buffer is looked at twice in that time.
        assert!(after >= limits::STALL && after <= limits::STALL * 3 / 2 + 2 * TICK, "{after:?}");
        assert_eq!(pair.messages(1), [vec![7; 1_000]], "it came through the relay");
    }
}

#[test]
fn a_channel_with_bytes_that_wait_lives_as_long_as_one_of_them_leaves_in_five_seconds() {
    let mut pair = Pair::direct();
    pair.advance(Duration::from_secs(1));
    let connection = pair.sides[0].connection;
    pair.sides[0].is_held = true;
    for number in 0..60 {
        pair.send(0, vec![number; 1_000]);
        pair.advance(Duration::from_secs(1));
        if number % 4 == 3 {
            pair.let_go(0, 1);
        }
        assert_eq!(pair.sides[0].connection, connection, "after {number} s");
    }
}

#[test]
fn who_may_have_lost_the_way_looks_for_another_at_once_or_leaves_it_to_the_other_for_three_seconds() {
    let mut pair = Pair::direct();
    let (impolite, polite) = (pair.impolite(), 1 - pair.impolite());
    pair.advance(Duration::from_secs(1));
    let lost_at = pair.now;
    pair.tell_connectivity(impolite, Disconnected);
    assert_eq!(pair.sides[impolite].restarts, [lost_at]);
    pair.tell_connectivity(impolite, Connected);

    pair.tell_connectivity(polite, Disconnected);
    pair.advance(limits::DIRECT_AFTER / 2);
    pair.tell_connectivity(polite, Connected);
    pair.advance(2 * limits::DIRECT_AFTER);
    assert_eq!(pair.sides[polite].restarts, [], "it was found again");

    let lost_at = pair.now;
    pair.tell_connectivity(polite, Disconnected);
    pair.advance(2 * limits::DIRECT_AFTER);
    assert_eq!(pair.sides[polite].restarts, [lost_at + limits::DIRECT_AFTER]);
    assert_eq!(pair.sides[impolite].restarts.len(), 1);
    assert_eq!([pair.sides[0].begun.len(), pair.sides[1].begun.len()], [1, 1], "all on one connection");
}

#[test]
fn a_connection_without_any_way_is_given_up_and_another_one_begun() {
    for side in 0..2 {
        let mut pair = Pair::direct();
        pair.advance(Duration::from_secs(1));
        pair.tell_connectivity(side, Failed);
        assert_eq!(pair.sides.each_ref().map(|side| side.connection), [None; 2]);
        assert_eq!(pair.routes(), [Some(Route::Relay); 2]);
        pair.advance(limits::DIRECT_RETRY * 3 / 2 + limits::DIRECT_AFTER);
        assert_eq!(pair.routes(), [Some(Route::Direct); 2]);
        assert_eq!(pair.sides[side].begun.len(), 2);
    }
}

#[test]
fn a_channel_that_brings_a_text_or_too_long_a_message_is_closed_before_it_is_read() {
    for is_text in [true, false] {
        let mut pair = Pair::direct();
        let (now, Side { swarm, connection, .. }) = (pair.now, &mut pair.sides[0]);
        let socket = connection.unwrap();
        assert!(swarm.handle_socket_length(now, socket, limits::CHANNEL_MESSAGE));
        assert!(!swarm.handle_socket_length(now, SocketId(99), 1), "nobody has it");
        match is_text {
            true => swarm.handle_socket_text(now, socket),
            false => assert!(!swarm.handle_socket_length(now, socket, limits::CHANNEL_MESSAGE + 1)),
        }
        pair.settle();
        assert_eq!(pair.sides.each_ref().map(|side| side.connection), [None; 2]);
        assert_eq!(pair.routes(), [Some(Route::Relay); 2]);
    }
}
