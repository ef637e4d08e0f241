//! Which pairs are connected directly, as the relay counts them for its operator.

mod common;

use common::{Client, Event, PATIENCE, ROOM, Relay, encoded, line};
use futures_util::StreamExt;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, ToRelay};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// The relay has heard all that `client` said, and counts this many direct pairs.
async fn counts(relay: &Relay, client: &mut Client, pairs: f64) {
    client.heard().await;
    assert_eq!(relay.metric("direct_pairs").await, pairs);
}

/// Two members with a circuit, whose dialler says that they are connected directly, and what it calls that circuit.
async fn direct_pair(relay: &Relay) -> (Client, Client, Line) {
    let (mut caller, called) = Client::pair(relay, ROOM).await;
    let to_called = line(called.member, 1);
    caller.send(ToRelay::Direct(to_called, true)).await;
    counts(relay, &mut caller, 1.0).await;
    (caller, called, to_called)
}

#[tokio::test]
async fn a_relay_says_that_it_counts_direct_pairs() {
    let relay = Relay::start(&[]);
    let mut client = Client::connect(&relay).await;
    client.send(ToRelay::Join { room: ROOM }).await;
    let welcome = timeout(PATIENCE, client.socket.next()).await.expect("in time").expect("open").expect("a message");
    let welcome = welcome.into_data();
    let welcome = FromRelay::decode(&welcome);
    assert!(matches!(welcome, Ok(Some(FromRelay::Welcome { counts_direct: true, .. }))), "{welcome:?}");
}

#[tokio::test]
async fn a_pair_counts_once_however_often_it_is_claimed() {
    let relay = Relay::start(&[]);
    let (mut caller, mut called, to_called) = direct_pair(&relay).await;
    for (is_direct, pairs) in [(true, 1.0), (true, 1.0), (false, 0.0), (false, 0.0), (true, 1.0)] {
        caller.send(ToRelay::Direct(to_called, is_direct)).await;
        counts(&relay, &mut caller, pairs).await;
    }
    let (mut other, _) = Client::join(&relay, ROOM).await;
    for client in [&mut caller, &mut called] {
        other.send(ToRelay::Dial(line(client.member, 1))).await;
        assert_eq!(client.event().await, Event::Dialed(line(other.member, 1)));
        other.send(ToRelay::Direct(line(client.member, 1), true)).await;
    }
    counts(&relay, &mut other, 3.0).await;
    assert_eq!(relay.metric("circuits").await, 3.0);
    caller.talk(&mut called, 1, b"the relay carries on").await;
}

#[tokio::test]
async fn a_direct_pair_ends_with_its_circuit() {
    let relay = Relay::start(&[]);
    for ending in ["dialler hangs up", "other hangs up", "new circuit", "dialler closes", "other closes", "violation"] {
        let (mut caller, mut called, to_called) = direct_pair(&relay).await;
        let to_caller = line(caller.member, 1);
        match ending {
            "dialler hangs up" => {
                caller.send(ToRelay::Hangup(to_called, HangupReason::Done)).await;
                assert_eq!(called.event().await, Event::HungUp(to_caller, HangupReason::Done));
            }
            "other hangs up" => {
                called.send(ToRelay::Hangup(to_caller, HangupReason::Done)).await;
                assert_eq!(caller.event().await, Event::HungUp(to_called, HangupReason::Done));
            }
            "new circuit" => {
                caller.send(ToRelay::Dial(Line { circuit: 2, ..to_called })).await;
                assert_eq!(called.event().await, Event::Dialed(Line { circuit: 2, ..to_caller }));
                // It crossed the dial, and is about a circuit that is over.
                caller.send(ToRelay::Direct(to_called, true)).await;
                counts(&relay, &mut caller, 0.0).await;
            }
            "dialler closes" => {
                let left = Event::Left(caller.member);
                caller.close().await;
                assert_eq!(called.event().await, left);
                assert_eq!(relay.metric("direct_pairs").await, 0.0, "{ending}");
                called.close().await;
                continue;
            }
            "other closes" => {
                let left = Event::Left(called.member);
                called.close().await;
                assert_eq!(caller.event().await, left);
                assert_eq!(relay.metric("direct_pairs").await, 0.0, "{ending}");
                caller.close().await;
                continue;
            }
            _ => {
                called.send_bytes(vec![0]).await;
                assert_eq!(caller.event().await, Event::Left(called.member));
            }
        }
        assert_eq!(relay.metric("direct_pairs").await, 0.0, "{ending}");
        drop((caller, called));
        relay.until_metric("members", |members| members == 0.0).await;
    }
}

#[tokio::test]
async fn only_the_dialler_says_whether_a_pair_is_direct() {
    let relay = Relay::start(&[]);
    for is_direct in [true, false] {
        let (mut caller, mut called, _) = direct_pair(&relay).await;
        called.send(ToRelay::Direct(line(caller.member, 1), is_direct)).await;
        let text = called.expect_refusal("bad-frame", 1008).await;
        assert!(text.contains("a circuit that it did not dial"), "{text}");
        assert_eq!(caller.event().await, Event::Left(called.member));
        caller.close().await;
    }
}

#[tokio::test]
async fn direct_on_a_circuit_that_is_not_open_is_dropped_in_silence() {
    let relay = Relay::start(&[]);
    let (mut called, _) = Client::join(&relay, ROOM).await;
    let (mut other, _) = Client::join(&relay, ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    caller.send(ToRelay::Dial(line(called.member, 1))).await;
    assert_eq!(called.event().await, Event::Dialed(line(caller.member, 1)));
    let closed = [line(called.member, 2), line(other.member, 1), line(0, 0)];
    for is_direct in [true, false] {
        for line in closed {
            caller.send(ToRelay::Direct(line, is_direct)).await;
        }
    }
    caller.send(ToRelay::Direct(line(called.member, 1), true)).await;
    counts(&relay, &mut caller, 1.0).await;
    relay.until_metric("stray_frames_total", |frames| frames == 6.0).await;
    caller.talk(&mut called, 1, b"still here").await;
    other.heard().await;
}

/// Clients of builds before direct connections skip what they do not know, and claim nothing.
#[tokio::test]
async fn clients_that_know_nothing_of_direct_connections_and_those_that_do_understand_each_other() {
    for (dialler_knows, other_knows) in [(false, false), (false, true), (true, false), (true, true)] {
        let relay = Relay::start(&["--stun=stun:stun.example.org"]);
        let enter = async |knows| {
            let (mut client, _) = Client::join(&relay, ROOM).await;
            match knows {
                true => assert!(matches!(client.event().await, Event::IceServers(_))),
                false => assert_eq!(next_type(&mut client).await, 18),
            }
            client
        };
        let mut other = enter(other_knows).await;
        let mut dialler = enter(dialler_knows).await;
        dialler.send_bytes(encoded(ToRelay::Dial(line(other.member, 1)))).await;
        assert_eq!(other.event().await, Event::Dialed(line(dialler.member, 1)));
        if dialler_knows {
            dialler.send(ToRelay::Direct(line(other.member, 1), true)).await;
        }
        dialler.talk(&mut other, 1, b"between the ages").await;
        other.talk(&mut dialler, 1, b"and back").await;
        counts(&relay, &mut dialler, if dialler_knows { 1.0 } else { 0.0 }).await;
    }
}

/// The type of the next frame, of which a client that does not know it reads no more.
async fn next_type(client: &mut Client) -> u8 {
    loop {
        match timeout(PATIENCE, client.socket.next()).await.expect("a frame in time") {
            Some(Ok(Message::Binary(frame))) => return frame[0],
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}
