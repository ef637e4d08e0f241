//! Each limit holds, says which it is, and leaves everyone else alone.

mod common;

use std::net::Ipv4Addr;

use common::{Client, Event, MANY_SOCKETS, PATIENCE, ROOM, Relay, command, encoded, line};
use futures_util::{SinkExt, StreamExt};
use peersockets_core::limits::CIRCUIT_CHUNK;
use peersockets_core::rendezvous::{HangupReason, Line, ToRelay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Duration, Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

#[tokio::test]
async fn a_socket_that_joins_no_room_is_closed() {
    let relay = Relay::start(&["--join-timeout=1.5"]);
    let (mut joined, _) = Client::join(&relay, ROOM).await;
    let mut idle = Client::connect(&relay).await;
    let mut pings = Client::connect(&relay).await;
    pings.socket.send(Message::Ping("alive".into())).await.expect("a ping");
    for client in [&mut idle, &mut pings] {
        let text = client.expect_refusal("join-timeout", 1008).await;
        assert!(text.contains("1.5 s"), "{text}");
    }
    let (mut guest, _) = Client::join(&relay, ROOM).await;
    guest.send(ToRelay::Dial(line(joined.member, 1))).await;
    assert_eq!(joined.event().await, Event::Dialed(line(guest.member, 1)), "one that joined stays");
}

#[tokio::test]
async fn a_full_room_takes_nobody_until_someone_leaves() {
    let relay = Relay::start(&["--room-members=2"]);
    let (first, _) = Client::join(&relay, ROOM).await;
    let (mut second, _) = Client::join(&relay, ROOM).await;
    let mut third = Client::connect(&relay).await;
    third.send(ToRelay::Join { room: ROOM }).await;
    let text = third.expect_refusal("room-full", 1008).await;
    assert!(text.contains("2 members"), "{text}");
    Client::join(&relay, [1; 32]).await;

    let left = Event::Left(first.member);
    first.close().await;
    assert_eq!(second.event().await, left);
    let (_, present) = Client::join(&relay, ROOM).await;
    assert_eq!(present, [second.member]);
}

#[tokio::test]
async fn a_refused_client_is_read_no_further_than_its_refusal_needs() {
    let relay = Relay::start(&["--auth-token=0123456789abcdef0123456789abcdef"]);
    let mut client = Client::connect(&relay).await;
    assert!(matches!(client.event().await, Event::Refused(code, _) if code == "unauthorized"));
    let stream = client.socket.get_mut();
    let chunk = vec![7; 64 * 1024];
    let mut taken = 0;
    while let Ok(bytes) = timeout(PATIENCE, stream.write(&chunk)).await.expect("the relay closes it") {
        taken += bytes;
    }
    // The buffers of two systems take some megabytes.
    assert!(taken < 24 * 1024 * 1024, "{taken} bytes were taken");
}

#[tokio::test]
async fn a_room_takes_a_limited_number_of_members_of_one_address() {
    let relay = Relay::start(&["--room-members-per-address=2"]);
    let _first = Client::join(&relay, ROOM).await;
    let _second = Client::join(&relay, ROOM).await;
    let mut third = Client::connect(&relay).await;
    third.send(ToRelay::Join { room: ROOM }).await;
    let text = third.expect_refusal("address-room-full", 1008).await;
    assert!(text.contains("2 members of one address"), "{text}");

    let mut from_elsewhere = Client::connect_from(&relay, ELSEWHERE).await;
    assert_eq!(from_elsewhere.enter(ROOM).await.len(), 2);
    Client::join(&relay, [1; 32]).await;
}

#[tokio::test]
async fn a_full_relay_refuses_sockets_and_still_answers_http() {
    let relay = Relay::start(&["--connections=2"]);
    let (first, _) = Client::join(&relay, ROOM).await;
    let (_second, _) = Client::join(&relay, ROOM).await;
    let mut third = Client::connect_from(&relay, ELSEWHERE).await;
    let text = third.expect_refusal("too-many-connections", 1008).await;
    assert!(text.contains("2 connections"), "{text}");
    assert!(relay.get("/health").await.contains(r#""connections":2"#));

    first.close().await;
    relay.until_metric("connections", |connections| connections == 1.0).await;
    Client::join(&relay, ROOM).await;
}

#[tokio::test]
async fn connections_that_are_closed_unheard_are_counted() {
    let relay = Relay::start(&[]);
    let mut silent = Vec::new();
    for _ in 0..70 {
        silent.push(tokio::net::TcpStream::connect(relay.address).await.expect("a connection"));
    }
    relay.until_metric("closed_at_the_door_total", |closed| closed >= 6.0).await;
}

#[tokio::test]
async fn silent_sockets_of_many_addresses_do_not_lock_the_door() {
    let relay = Relay::start(&["--connections=4"]);
    let mut silent = Vec::new();
    for n in 0..320_u16 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::new(127, 0, 1, (n / 64) as u8 + 1), 0).into()).expect("a source address");
        silent.push(socket.connect(relay.address).await.expect("a connection"));
    }
    // 256, and 4 that no WebSocket has taken.
    let first = timeout(PATIENCE, silent[0].read(&mut [0; 1])).await.expect("the oldest is closed");
    assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
    relay.until_metric("closed_at_the_door_total", |closed| closed >= 60.0).await;
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    caller.talk(&mut called, 1, b"still served").await;
    assert!(relay.get("/health").await.starts_with("HTTP/1.1 200 "));
    assert!(relay.metric("newcomers").await <= 260.0);
}

#[tokio::test]
async fn one_address_gets_a_limited_number_of_connections() {
    let relay = Relay::start(&["--connections-per-address=2"]);
    let _first = Client::join(&relay, ROOM).await;
    let _second = Client::join(&relay, ROOM).await;
    let mut third = Client::connect(&relay).await;
    let text = third.expect_refusal("too-many-from-address", 1008).await;
    assert!(text.contains("2 connections of one address"), "{text}");
    Client::connect_from(&relay, ELSEWHERE).await.enter(ROOM).await;
}

#[tokio::test]
async fn one_address_gets_new_connections_at_a_limited_rate() {
    let relay = Relay::start(&["--new-connections-burst=3", "--new-connections-per-second=1"]);
    let mut refused = 0;
    let start = Instant::now();
    for _ in 0..6 {
        let mut client = Client::connect(&relay).await;
        client.socket.send(Message::Binary(encoded(ToRelay::Join { room: ROOM }).into())).await.expect("sent");
        match client.event().await {
            Event::Welcome(..) => {}
            Event::Refused(code, text) => {
                assert_eq!(code, "too-fast");
                assert!(text.contains("3 at once, then 1 per second"), "{text}");
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    let refilled = start.elapsed().as_secs();
    assert!(refused + refilled >= 3, "{refused} of 6 were refused in {refilled} s");
    assert!(refused >= 1);
    Client::connect_from(&relay, ELSEWHERE).await.enter(ROOM).await;
}

#[tokio::test]
async fn an_address_that_no_trusted_proxy_names_is_counted_each_time_and_logged_once() {
    let mut command = command(&["--public", "--trusted-proxy=192.0.2.0/24"]);
    command.stderr(std::process::Stdio::piped());
    let mut relay = Relay::spawn(command);
    for _ in 0..3 {
        let mut client = Client::showing(&relay, "", &[("x-forwarded-for", "198.51.100.7")]).await;
        client.enter(ROOM).await;
    }
    assert_eq!(relay.metric("untrusted_forwards_total").await, 3.0);
    relay.signal("TERM");
    relay.exit_status().await;
    let log = relay.stderr();
    assert_eq!(log.matches("ignored an x-forwarded-for").count(), 1, "{log}");
    assert!(log.contains("--trusted-proxy") && !log.contains("198.51.100"), "{log}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_addresses_are_those_of_the_clients() {
    for (trusted, is_ours) in [("127.0.0.0/8", true), ("192.0.2.0/24", false)] {
        let relay = Relay::start(&["--public", "--connections-per-address=1", "--trusted-proxy", trusted]);
        let _first = Client::join(&relay, ROOM).await;
        let request = "GET /relay HTTP/1.1\r\nhost: relay\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
            sec-websocket-protocol: peersockets.relay.v1\r\nx-forwarded-for: 198.51.100.1\r\n\r\n\u{2}\u{0}";
        let answer = relay.http(request).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert_eq!(answer.contains("too-many-from-address"), !is_ours, "{answer}");
    }
}

#[tokio::test]
async fn members_of_a_room_share_its_rate_and_no_other_room_waits() {
    let relay = Relay::start(&["--room-rate=1024", "--room-burst=163840"]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    // The burst of 160 KiB is used up by none of both alone.
    for _ in 0..2 {
        caller.talk(&mut called, 1, &[7; CIRCUIT_CHUNK]).await;
    }
    assert_eq!(relay.metric("waits_for_room_rate_total").await, 0.0);
    called.send(ToRelay::Data(line(caller.member, 1), &[7; CIRCUIT_CHUNK])).await;
    relay.until_metric("waits_for_room_rate_total", |waits| waits > 0.0).await;
    assert_eq!(relay.metric("waits_for_rate_total").await, 0.0);

    let (mut other, mut another) = Client::pair(&relay, [1; 32]).await;
    other.talk(&mut another, 1, &[7; CIRCUIT_CHUNK]).await;
}

#[tokio::test]
async fn all_clients_share_the_rate_of_the_relay() {
    let relay = Relay::start(&["--total-rate=1024", "--total-burst=163840"]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    let (mut other, another) = Client::pair(&relay, [1; 32]).await;
    // The burst of 160 KiB is used up by none of both alone.
    for _ in 0..2 {
        caller.talk(&mut called, 1, &[7; CIRCUIT_CHUNK]).await;
    }
    assert_eq!(relay.metric("waits_for_total_rate_total").await, 0.0);
    other.send(ToRelay::Data(line(another.member, 1), &[7; CIRCUIT_CHUNK])).await;
    relay.until_metric("waits_for_total_rate_total", |waits| waits > 0.0).await;
    // Whoever comes now waits for nobody to join.
    timeout(Duration::from_secs(10), Client::join(&relay, [2; 32])).await.expect("not held back");
}

/// Sends chunks without reading until the relay takes no more, or `total` bytes are sent.
async fn flood(client: &mut Client, to: Line, total: usize) {
    let chunk = encoded(ToRelay::Data(to, &[7; CIRCUIT_CHUNK]));
    for _ in 0..total / CIRCUIT_CHUNK {
        client.socket.feed(Message::Binary(chunk.clone().into())).await.expect("open");
    }
    client.socket.flush().await.expect("open");
}

/// Reads DATA until `total` bytes came.
async fn drain(client: &mut Client, total: usize) {
    let mut received = 0;
    while received < total {
        match client.event().await {
            Event::Data(_, bytes) => received += bytes.len(),
            other => panic!("{other:?} after {received} bytes"),
        }
    }
    assert_eq!(received, total);
}

const FLOOD: usize = 400 * CIRCUIT_CHUNK;

#[tokio::test]
async fn a_full_queue_holds_its_sender_back_and_loses_nothing() {
    let relay = Relay::start(&["--queue=65536", "--queue-timeout=600", "--client-rate=1000000000"]);
    let mut called = Client::with_small_buffers(&relay).await;
    called.enter(ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    caller.send(ToRelay::Dial(line(called.member, 1))).await;
    let to_called = line(called.member, 1);
    let sending = tokio::spawn(async move {
        flood(&mut caller, to_called, FLOOD).await;
        caller
    });
    relay.until_metric("waits_for_receiver_total", |waits| waits > 0.0).await;
    relay.until_metric("fullest_queue_ratio", |ratio| ratio >= 1.0).await;
    let queued = relay.metric("queued_bytes").await;
    assert!(queued <= 65_536.0 + CIRCUIT_CHUNK as f64 + 64.0, "{queued} bytes wait");

    assert!(matches!(called.event().await, Event::Dialed(_)));
    drain(&mut called, FLOOD).await;
    sending.await.expect("all sent");
}

#[tokio::test]
async fn a_full_queue_does_not_hold_back_what_others_send_to_others() {
    let relay = Relay::start(&["--queue=65536", "--queue-timeout=600", "--client-rate=1000000000"]);
    let mut stuck = Client::with_small_buffers(&relay).await;
    stuck.enter(ROOM).await;
    let (mut sender, _) = Client::join(&relay, ROOM).await;
    sender.send(ToRelay::Dial(line(stuck.member, 1))).await;
    let to_stuck = line(stuck.member, 1);
    let sending = tokio::spawn(async move { flood(&mut sender, to_stuck, FLOOD).await });
    relay.until_metric("waits_for_receiver_total", |waits| waits > 0.0).await;

    let (mut caller, mut called) = Client::pair(&relay, [1; 32]).await;
    for _ in 0..100 {
        caller.talk(&mut called, 1, b"ping").await;
        called.talk(&mut caller, 1, b"pong").await;
    }
    let (_, present) = Client::join(&relay, ROOM).await;
    assert_eq!(present.len(), 2, "the room of the stuck member still takes others");
    sending.abort();
}

#[tokio::test]
async fn two_members_whose_queues_are_full_do_not_lock_each_other_up() {
    let relay = Relay::start(&["--queue=65536", "--queue-timeout=600", "--client-rate=1000000000"]);
    let mut called = Client::with_small_buffers(&relay).await;
    called.enter(ROOM).await;
    let mut caller = Client::with_small_buffers(&relay).await;
    caller.enter(ROOM).await;
    caller.send(ToRelay::Dial(line(called.member, 1))).await;
    assert_eq!(called.event().await, Event::Dialed(line(caller.member, 1)));

    // Neither reads until the relay holds both back.
    let (to_called, to_caller) = (line(called.member, 1), line(caller.member, 1));
    let (start, started) = tokio::sync::watch::channel(false);
    let exchange = |client: Client, to: Line, mut started: tokio::sync::watch::Receiver<bool>| async move {
        let (mut sink, mut stream) = client.socket.split();
        let sending = async {
            let chunk = encoded(ToRelay::Data(to, &[7; CIRCUIT_CHUNK]));
            for _ in 0..FLOOD / CIRCUIT_CHUNK {
                sink.send(Message::Binary(chunk.clone().into())).await.expect("open");
            }
        };
        let receiving = async {
            started.wait_for(|started| *started).await.expect("the word to start");
            let mut received = 0;
            while received < FLOOD {
                let message = stream.next().await.expect("open").expect("a message");
                received += message.len().saturating_sub(3);
            }
        };
        tokio::join!(sending, receiving);
    };
    let both = tokio::spawn(async move {
        tokio::join!(exchange(called, to_caller, started.clone()), exchange(caller, to_called, started));
    });
    relay.until_metric("queued_bytes", |queued| queued >= 2.0 * 65_536.0).await;
    start.send(true).expect("both wait");
    timeout(PATIENCE, both).await.expect("both get everything").expect("unchanged");
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_does_not_grow_memory() {
    let relay = Relay::start(&["--write-timeout=0.5", "--queue-timeout=600", "--client-rate=1000000000"]);
    let mut stuck = Client::with_small_buffers(&relay).await;
    stuck.enter(ROOM).await;
    let (caller, _) = Client::join(&relay, ROOM).await;
    let before = relay.memory("VmRSS");
    let to_stuck = line(stuck.member, 1);
    let (mut sink, mut stream) = caller.socket.split();
    let sending = async {
        sink.send(Message::Binary(encoded(ToRelay::Dial(to_stuck)).into())).await.expect("open");
        let chunk = encoded(ToRelay::Data(to_stuck, &[7; CIRCUIT_CHUNK]));
        loop {
            sink.send(Message::Binary(chunk.clone().into())).await.expect("open");
        }
    };
    let receiving = async {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(frame) = message {
                return frame;
            }
        }
        panic!("the sender was closed");
    };
    let left = tokio::select! {
        frame = receiving => frame,
        () = sending => unreachable!(),
    };
    assert_eq!(left[..], [5, stuck.member as u8], "LEFT");
    let metrics = relay.admin("/metrics").await;
    assert!(metrics.contains(r#"refusals_total{code="slow-reader"} 1"#), "{metrics}");
    let grown = relay.memory("VmHWM") - before;
    // Its queue of 1 MiB twice, as buffers of several sizes, and the buffers of two sockets.
    assert!(grown < 6 * 1024 * 1024, "{grown} bytes more at the highest");
}

#[tokio::test]
async fn a_reader_that_trickles_is_closed() {
    let relay = Relay::start(&["--write-timeout=0.5", "--queue-timeout=600", "--client-rate=1000000000"]);
    let mut trickles = Client::with_small_buffers(&relay).await;
    trickles.enter(ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    let to_trickler = line(trickles.member, 1);
    caller.send(ToRelay::Dial(to_trickler)).await;
    let (mut sink, mut stream) = caller.socket.split();
    let sending = async {
        let chunk = encoded(ToRelay::Data(to_trickler, &[7; CIRCUIT_CHUNK]));
        while sink.send(Message::Binary(chunk.clone().into())).await.is_ok() {}
    };
    // 320 kB per second, less than 256 KiB in half a second.
    let trickling = async {
        let mut little = vec![0; 16_000];
        while trickles.socket.get_mut().read_exact(&mut little).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let left = async {
        loop {
            match timeout(PATIENCE, stream.next()).await.expect("LEFT in time") {
                Some(Ok(Message::Binary(frame))) => return frame,
                Some(Ok(_)) => {}
                end => panic!("{end:?}"),
            }
        }
    };
    let left = tokio::select! {
        left = left => left,
        () = sending => panic!("the sender was closed"),
        () = trickling => unreachable!(),
    };
    assert_eq!(left[..], [5, to_trickler.member as u8], "LEFT");
    assert_eq!(relay.metric(r#"refusals_total{code="slow-reader"}"#).await, 1.0);
}

#[tokio::test]
async fn a_member_that_stops_reading_loses_its_circuit_and_holds_up_no_other() {
    let relay =
        Relay::start(&["--queue=65536", "--queue-timeout=0.2", "--write-timeout=600", "--client-rate=1000000000"]);
    let mut stuck = Client::with_small_buffers(&relay).await;
    stuck.enter(ROOM).await;
    let (mut third, _) = Client::join(&relay, ROOM).await;
    let (mut sender, _) = Client::join(&relay, ROOM).await;
    let to_stuck = |circuit| line(stuck.member, circuit);
    let from_sender = |circuit| line(sender.member, circuit);
    let (dialled, dialled_again, dialled_later) = (to_stuck(1), to_stuck(2), to_stuck(3));
    let (told, told_later) = (from_sender(1), from_sender(3));

    sender.send(ToRelay::Dial(dialled)).await;
    sender.send(ToRelay::Dial(line(third.member, 1))).await;
    flood(&mut sender, dialled, FLOOD).await;
    sender.send(ToRelay::Data(line(third.member, 1), b"past the stuck one")).await;
    assert_eq!(third.event().await, Event::Dialed(told));
    assert_eq!(third.event().await, Event::Data(told, "past the stuck one".into()));
    assert_eq!(sender.event().await, Event::HungUp(dialled, HangupReason::Busy));
    assert_eq!(relay.metric("circuits").await, 1.0);

    // A dial waits no longer, and the one who is stuck never hears of it.
    sender.send(ToRelay::Dial(dialled_again)).await;
    assert_eq!(sender.event().await, Event::HungUp(dialled_again, HangupReason::Busy));

    // Once it reads, it gets what was sent before the end, and the end.
    assert_eq!(stuck.event().await, Event::Dialed(told));
    loop {
        match stuck.event().await {
            Event::Data(line, _) => assert_eq!(line, told),
            end => break assert_eq!(end, Event::HungUp(told, HangupReason::Busy)),
        }
    }
    sender.send(ToRelay::Dial(dialled_later)).await;
    assert_eq!(stuck.event().await, Event::Dialed(told_later));
    sender.talk(&mut stuck, 3, b"welcome back").await;
    stuck.talk(&mut sender, 3, b"thank you").await;
}

#[tokio::test]
async fn a_client_that_is_too_fast_is_read_more_slowly_and_not_closed() {
    const RATE: usize = 4 * CIRCUIT_CHUNK;
    let options = [format!("--client-rate={RATE}"), format!("--client-burst={RATE}")];
    let relay = Relay::start(&options.each_ref().map(String::as_str));
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    let start = Instant::now();
    let to_called = line(called.member, 1);
    tokio::join!(flood(&mut caller, to_called, 2 * RATE), drain(&mut called, 2 * RATE));
    // One burst at once, the rest but the last chunk at the rate.
    assert!(start.elapsed() > Duration::from_millis(500), "{:?}", start.elapsed());
    assert!(relay.metric("waits_for_rate_total").await > 0.0);
    caller.talk(&mut called, 1, b"still here").await;
}

#[tokio::test]
async fn frames_that_carry_nothing_are_charged_too() {
    const RATE: usize = 64 * 1024;
    const EMPTY_PART: [u8; 6] = [0x00, 0x80, 0, 0, 0, 0];
    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
    let options = [format!("--client-rate={RATE}"), format!("--client-burst={RATE}")];
    // A part of a message costs its header, a message 64 bytes more.
    for (frame, cost) in [(EMPTY_PART, 6), (PING, 6 + 64)] {
        let relay = Relay::start(&options.each_ref().map(String::as_str));
        let (caller, mut called) = Client::pair(&relay, ROOM).await;
        let data = encoded(ToRelay::Data(line(called.member, 1), b"at last"));
        let part = |opcode, payload: &[u8]| [&[opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat();
        let (first, last) = data.split_at(1);
        let bytes = [part(0x02, first), frame.repeat(3 * RATE / cost), part(0x80, last)].concat();
        let start = Instant::now();
        let mut nowhere = tokio::io::sink();
        let (mut pongs, mut stream) = tokio::io::split(caller.socket.into_inner());
        let writing = async {
            stream.write_all(&bytes).await.expect("open");
            assert_eq!(called.event().await, Event::Data(line(caller.member, 1), "at last".into()));
        };
        tokio::select! {
            () = writing => {}
            _ = tokio::io::copy(&mut pongs, &mut nowhere) => panic!("the caller was closed"),
        }
        // One burst at once, the rest but the last read at the rate.
        assert!(start.elapsed() > Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(relay.metric("waits_for_rate_total").await > 0.0);
    }
}

#[tokio::test]
async fn a_client_that_is_held_back_is_not_taken_for_dead() {
    let relay = Relay::start(&["--client-rate=1024", "--client-burst=1024", "--ping-interval=0.2", "--dead-after=1.3"]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    // The relay reads 4 KiB, then nothing for longer than two such silences.
    caller.talk(&mut called, 1, &[7; 6_000]).await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_taken_for_dead() {
    let relay = Relay::start(&["--ping-interval=0.2", "--dead-after=1.5"]);
    let (silent, _) = Client::join(&relay, ROOM).await;
    // It answers pings while it waits, and so outlives the other.
    let (mut answers, _) = Client::join(&relay, ROOM).await;
    assert_eq!(answers.event().await, Event::Left(silent.member));
    let (mut guest, _) = Client::join(&relay, ROOM).await;
    guest.send(ToRelay::Dial(line(answers.member, 1))).await;
    assert_eq!(answers.event().await, Event::Dialed(line(guest.member, 1)));
}

#[tokio::test]
async fn a_member_that_floods_the_relay_with_dials_and_hangups_is_held_back_too() {
    let relay = Relay::start(
        &[&MANY_SOCKETS[..], &["--queue=4096", "--queue-timeout=600", "--client-rate=1000000000"]].concat(),
    );
    let mut stuck = Client::with_small_buffers(&relay).await;
    stuck.enter(ROOM).await;
    let (mut caller, _) = Client::join(&relay, ROOM).await;
    let stuck_member = stuck.member;
    let sending = tokio::spawn(async move {
        for circuit in 0.. {
            let to_stuck = line(stuck_member, circuit);
            caller.socket.feed(Message::Binary(encoded(ToRelay::Dial(to_stuck)).into())).await.expect("open");
        }
    });
    relay.until_metric("waits_for_receiver_total", |waits| waits > 0.0).await;
    assert!(relay.metric("queued_bytes").await <= 4_096.0 + 64.0);
    sending.abort();
}
