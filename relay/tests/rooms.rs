//! Rooms and circuits, as PROTOCOL.md §3 has them.

mod common;

use std::collections::HashMap;

use common::{Client, Event, MANY_SOCKETS, ROOM, Random, Relay, line};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use peersockets_core::limits::CIRCUIT_CHUNK;
use peersockets_core::rendezvous::{HangupReason, ToRelay};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn of_two_members_exactly_one_is_told_of_the_other() {
    let relay = Relay::start(&MANY_SOCKETS);
    let members = join_all((0..60).map(|_| Client::join(&relay, ROOM))).await;
    let told: HashMap<_, _> = members.iter().map(|(client, present)| (client.member, present)).collect();
    assert_eq!(told.len(), members.len(), "each has a number of its own");
    for (first, _) in &members {
        for (second, _) in members.iter().filter(|(second, _)| second.member > first.member) {
            let (earlier, later) = (first.member, second.member);
            assert_eq!(told[&later].iter().filter(|member| **member == earlier).count(), 1);
            assert!(!told[&earlier].contains(&later));
        }
    }
}

#[tokio::test]
async fn member_numbers_are_never_used_again() {
    let relay = Relay::start(&[]);
    let (stays, _) = Client::join(&relay, ROOM).await;
    let mut last = stays.member;
    for _ in 0..5 {
        let (comes_and_goes, _) = Client::join(&relay, ROOM).await;
        assert!(comes_and_goes.member > last);
        last = comes_and_goes.member;
        comes_and_goes.close().await;
    }
    stays.close().await;
    relay.until_metric("rooms", |rooms| rooms == 0.0).await;
    let (finds_it_empty, present) = Client::join(&relay, ROOM).await;
    assert_eq!(present, []);
    assert!(finds_it_empty.member > last);
}

#[tokio::test]
async fn only_the_newcomer_may_dial() {
    let relay = Relay::start(&[]);
    let (mut earlier, _) = Client::join(&relay, ROOM).await;
    let (mut later, present) = Client::join(&relay, ROOM).await;
    assert_eq!(present, [earlier.member]);

    later.send(ToRelay::Dial(line(earlier.member, 7))).await;
    assert_eq!(earlier.event().await, Event::Dialed(line(later.member, 7)));

    earlier.send(ToRelay::Dial(line(later.member, 8))).await;
    earlier.expect_refusal("bad-frame", 1008).await;
    assert_eq!(later.event().await, Event::Left(earlier.member));

    later.send(ToRelay::Dial(line(later.member, 1))).await;
    later.expect_refusal("bad-frame", 1008).await;
}

#[tokio::test]
async fn a_circuit_number_used_again_is_refused() {
    let relay = Relay::start(&[]);
    for again in [5, 4] {
        let (mut called, _) = Client::join(&relay, ROOM).await;
        let (mut other, _) = Client::join(&relay, ROOM).await;
        let (mut caller, _) = Client::join(&relay, ROOM).await;
        caller.send(ToRelay::Dial(line(called.member, 5))).await;
        caller.send(ToRelay::Hangup(line(called.member, 5), HangupReason::Done)).await;
        assert_eq!(called.event().await, Event::Dialed(line(caller.member, 5)));
        assert_eq!(called.event().await, Event::HungUp(line(caller.member, 5), HangupReason::Done));

        caller.send(ToRelay::Dial(line(other.member, again))).await;
        assert_eq!(other.event().await, Event::Dialed(line(caller.member, again)), "numbers are each member's own");

        caller.send(ToRelay::Dial(line(called.member, again))).await;
        let text = caller.expect_refusal("bad-frame", 1008).await;
        assert!(text.contains("circuit number again"), "{text}");
        assert_eq!(called.event().await, Event::Left(caller.member));
        for client in [called, other] {
            client.close().await;
        }
        relay.until_metric("rooms", |rooms| rooms == 0.0).await;
    }
}

#[tokio::test]
async fn circuit_bytes_arrive_unchanged_and_in_order() {
    let relay = Relay::start(&["--client-rate=1000000000"]);
    let (caller, called) = Client::pair(&relay, ROOM).await;
    let (to_called, to_caller) = (line(called.member, 1), line(caller.member, 1));

    let exchange = |client: Client, to, from, seed| async move {
        let (mut sink, mut stream) = client.socket.split();
        let sending = async {
            let mut random = Random(seed);
            for chunk in chunks(&mut random) {
                sink.send(Message::Binary(common::encoded(ToRelay::Data(to, &chunk)).into())).await.expect("sent");
            }
        };
        let receiving = async {
            let mut random = Random(3 - seed);
            for (number, chunk) in chunks(&mut random).enumerate() {
                let expected = common::encoded(ToRelay::Data(from, &chunk));
                let actual = stream.next().await.expect("open").expect("a message").into_data();
                assert!(actual == expected, "chunk {number} of {} bytes", chunk.len());
            }
        };
        tokio::join!(sending, receiving);
        (sink, stream)
    };
    // Towards both ends at once. DATA looks the same in both directions, but for the member.
    let _still_open =
        tokio::join!(exchange(caller, to_called, to_called, 1), exchange(called, to_caller, to_caller, 2),);
    relay.until_metric("frames_total", |frames| frames == 2.0 * CHUNKS as f64).await;
}

const CHUNKS: usize = 600;

/// The shortest and longest chunks, some in between, and many short ones.
fn chunks(random: &mut Random) -> impl Iterator<Item = Vec<u8>> {
    (0..CHUNKS).map(|number| {
        let length = match number % 10 {
            0 => CIRCUIT_CHUNK,
            1 => 1,
            2 => 1 + random.below(CIRCUIT_CHUNK),
            _ => 1 + random.below(600),
        };
        random.bytes(length)
    })
}

#[tokio::test]
async fn data_may_follow_a_dial_at_once() {
    let relay = Relay::start(&[]);
    let (mut called, _) = Client::join(&relay, ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    caller.send(ToRelay::Dial(line(called.member, 300))).await;
    caller.send(ToRelay::Data(line(called.member, 300), b"hello")).await;
    assert_eq!(called.event().await, Event::Dialed(line(caller.member, 300)));
    assert_eq!(called.event().await, Event::Data(line(caller.member, 300), "hello".into()));
    called.talk(&mut caller, 300, b"hello yourself").await;
}

#[tokio::test]
async fn a_new_circuit_between_two_members_ends_the_older_one() {
    let relay = Relay::start(&[]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    caller.send(ToRelay::Dial(line(called.member, 2))).await;
    caller.send(ToRelay::Data(line(called.member, 1), b"too late")).await;
    assert_eq!(called.event().await, Event::Dialed(line(caller.member, 2)));
    caller.talk(&mut called, 2, b"on the new one").await;

    called.send(ToRelay::Data(line(caller.member, 1), b"too late")).await;
    called.send(ToRelay::Hangup(line(caller.member, 1), HangupReason::Done)).await;
    called.talk(&mut caller, 2, b"on the new one").await;
    assert_eq!(relay.metric("circuits").await, 1.0);
}

#[tokio::test]
async fn data_and_hangups_on_circuits_that_are_not_open_are_dropped_in_silence() {
    let relay = Relay::start(&[]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    let (mut stranger, _) = Client::join(&relay, ROOM).await;
    let beyond = (1 << 53) - 1;
    for closed in [line(called.member, 2), line(stranger.member, 1), line(beyond, beyond), line(0, 0)] {
        caller.send(ToRelay::Data(closed, b"nobody")).await;
        caller.send(ToRelay::Hangup(closed, HangupReason::Done)).await;
    }
    // A stranger can't speak on a circuit of others.
    stranger.send(ToRelay::Data(line(called.member, 1), b"forged")).await;
    stranger.send(ToRelay::Dial(line(called.member, 9))).await;
    assert_eq!(called.event().await, Event::Dialed(line(stranger.member, 9)));
    caller.talk(&mut called, 1, b"still here").await;
    called.talk(&mut caller, 1, b"and here").await;
}

#[tokio::test]
async fn a_hangup_ends_the_circuit_for_both_and_carries_its_reason() {
    let relay = Relay::start(&[]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    called.send(ToRelay::Hangup(line(caller.member, 1), HangupReason::Other(77))).await;
    assert_eq!(caller.event().await, Event::HungUp(line(called.member, 1), HangupReason::Other(77)));

    caller.send(ToRelay::Data(line(called.member, 1), b"too late")).await;
    called.send(ToRelay::Data(line(caller.member, 1), b"too late")).await;
    caller.send(ToRelay::Dial(line(called.member, 2))).await;
    assert_eq!(called.event().await, Event::Dialed(line(caller.member, 2)));
    called.talk(&mut caller, 2, b"anew").await;
}

#[tokio::test]
async fn a_dial_to_a_member_that_is_gone_is_answered_by_hungup() {
    let relay = Relay::start(&[]);
    let (gone, _) = Client::join(&relay, ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    let (gone_line, never_line) = (line(gone.member, 1), line(0, 1));
    gone.close().await;
    assert_eq!(caller.event().await, Event::Left(gone_line.member));
    for absent in [gone_line, never_line, gone_line] {
        caller.send(ToRelay::Dial(absent)).await;
        assert_eq!(caller.event().await, Event::HungUp(absent, HangupReason::Gone));
    }
}

#[tokio::test]
async fn a_closed_socket_is_reported_left_exactly_once() {
    let relay = Relay::start(&MANY_SOCKETS);
    for ending in ["close", "reset", "violation", "half-close"] {
        let (mut not_told, _) = Client::join(&relay, ROOM).await;
        let (mut dialled, _) = Client::join(&relay, ROOM).await;
        let (mut leaver, _) = Client::join(&relay, ROOM).await;
        let (mut told, _) = Client::join(&relay, ROOM).await;
        leaver.send(ToRelay::Dial(line(dialled.member, 1))).await;
        assert_eq!(dialled.event().await, Event::Dialed(line(leaver.member, 1)));
        told.send(ToRelay::Dial(line(leaver.member, 1))).await;
        assert_eq!(leaver.event().await, Event::Dialed(line(told.member, 1)));

        let left = Event::Left(leaver.member);
        match ending {
            "close" => leaver.close().await,
            "reset" => {
                leaver.socket.get_mut().set_zero_linger().expect("a reset instead of a close");
                drop(leaver);
            }
            "violation" => leaver.send_bytes(vec![0]).await,
            _ => tokio::io::AsyncWriteExt::shutdown(leaver.socket.get_mut()).await.expect("the end of our stream"),
        }
        assert_eq!(dialled.event().await, left, "{ending}");
        assert_eq!(told.event().await, left, "{ending}");

        // What comes next is no second LEFT, and the one who was told of nothing hears of nothing.
        let (mut newcomer, present) = Client::join(&relay, ROOM).await;
        assert_eq!(present, [not_told.member, dialled.member, told.member], "{ending}");
        for member in [&mut not_told, &mut dialled, &mut told] {
            newcomer.send(ToRelay::Dial(line(member.member, 1))).await;
            assert_eq!(member.event().await, Event::Dialed(line(newcomer.member, 1)), "{ending}");
        }
        for client in [not_told, dialled, told, newcomer] {
            client.close().await;
        }
        relay.until_metric("rooms", |rooms| rooms == 0.0).await;
    }
}

#[tokio::test]
async fn members_that_are_gone_leave_no_circuits_behind() {
    let relay = Relay::start(&[]);
    let (mut stays, _) = Client::join(&relay, ROOM).await;
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut caller, _) = Client::join(&relay, ROOM).await;
        caller.send(ToRelay::Dial(line(stays.member, 1))).await;
        assert_eq!(stays.event().await, Event::Dialed(line(caller.member, 1)));
        callers.push(caller);
    }
    assert_eq!(relay.metric("circuits").await, 4.0);
    for caller in callers {
        let left = Event::Left(caller.member);
        caller.close().await;
        assert_eq!(stays.event().await, left);
    }
    assert_eq!(relay.metric("circuits").await, 0.0);

    let (mut called, _) = Client::join(&relay, [1; 32]).await;
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (mut caller, _) = Client::join(&relay, [1; 32]).await;
        caller.send(ToRelay::Dial(line(called.member, 1))).await;
        assert_eq!(called.event().await, Event::Dialed(line(caller.member, 1)));
        callers.push(caller);
    }
    let left = Event::Left(called.member);
    called.close().await;
    for caller in &mut callers {
        assert_eq!(caller.event().await, left);
    }
    assert_eq!(relay.metric("circuits").await, 0.0);
}

#[tokio::test]
async fn rooms_know_nothing_of_each_other() {
    let relay = Relay::start(&[]);
    let (mut here, _) = Client::join(&relay, ROOM).await;
    let (mut elsewhere, present) = Client::join(&relay, [1; 32]).await;
    assert_eq!(present, []);
    elsewhere.send(ToRelay::Dial(line(here.member, 1))).await;
    assert_eq!(elsewhere.event().await, Event::HungUp(line(here.member, 1), HangupReason::Gone));
    elsewhere.close().await;

    let (mut guest, _) = Client::join(&relay, ROOM).await;
    guest.send(ToRelay::Dial(line(here.member, 1))).await;
    assert_eq!(here.event().await, Event::Dialed(line(guest.member, 1)), "the first that it hears of");
}
