//! Whatever a client sends, it gets a typed refusal, and nobody else notices.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{Client, MANY_SOCKETS, PATIENCE, ROOM, Random, Relay, encoded, line};
use peersockets_core::limits::{CIRCUIT_CHUNK, RELAY_MESSAGE};
use peersockets_core::rendezvous::{FromRelay, HangupReason, Member, ToRelay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::timeout;

const UPGRADE: &[u8] = b"GET /relay HTTP/1.1\r\nhost: relay\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
    sec-websocket-protocol: peersockets.relay.v1\r\n\r\n";

const BINARY: u8 = 0x82;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PROTOCOL_OR_POLICY: u16 = 1008;
const TOO_LONG: u16 = 1009;

/// How far a client has come when it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    NotJoined,
    Joined,
    CircuitOpen,
}

/// The types of frames from a client.
const KNOWN_TYPES: [u8; 9] = [1, 2, 3, 4, 16, 17, 18, 19, 20];

const STATES: [State; 3] = [State::NotJoined, State::Joined, State::CircuitOpen];

/// Bytes of a WebSocket, and the close code that they deserve.
#[derive(Clone, Debug)]
struct Case {
    bytes: Vec<u8>,
    close_code: u16,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_frames_close_only_their_own_socket() {
    let mut relay = Relay::start(&[&MANY_SOCKETS[..], &["--dead-after=600"]].concat());
    let witness = Witness::start(&relay).await;
    let (mut caller, mut called) = Client::pair(&relay, [3; 32]).await;
    let mut refused = 0;
    for state in STATES {
        for case in cases(state, &mut Random(1)) {
            witness.provoke(&relay, state, &case, refused).await;
            refused += 1;
            caller.talk(&mut called, 1, b"unharmed").await;
        }
    }
    assert!(refused > 1_000, "{refused} cases");
    assert_eq!(relay.metric(r#"refusals_total{code="bad-frame"}"#).await, refused as f64);
    assert!(relay.is_alive());
    witness.is_unharmed(&relay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_malformed_frames_leave_no_memory_behind() {
    const WORKERS: usize = 8;
    // The caller reads nothing, and answers no ping, until all is done.
    let mut relay = Relay::start(&[&MANY_SOCKETS[..], &["--dead-after", "600"]].concat());
    let witness = Arc::new(Witness::start(&relay).await);
    let cases: Arc<Vec<(State, Case)>> = Arc::new(
        STATES.iter().flat_map(|state| cases(*state, &mut Random(2)).into_iter().map(|case| (*state, case))).collect(),
    );
    let (mut caller, mut called) = Client::pair(&relay, [3; 32]).await;
    let relay_address = Arc::new(relay.address);
    let next = Arc::new(AtomicUsize::new(0));
    let mut after_a_thousand = 0;
    for until in [1_000, 100_000] {
        let workers = (0..WORKERS).map(|_| {
            let (witness, cases, address, next) = (witness.clone(), cases.clone(), relay_address.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= until {
                        break;
                    }
                    let (state, case) = &cases[number % cases.len()];
                    provoke(*address, witness.member, *state, case, number).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.expect("every case was refused as it should be");
        }
        next.store(until, Relaxed);
        caller.talk(&mut called, 1, b"unharmed").await;
        relay.until_metric("connections", |connections| connections == 3.0).await;
        let memory = relay.memory("VmRSS");
        if until == 1_000 {
            after_a_thousand = memory;
        } else {
            let allowed = after_a_thousand + 5 * 1024 * 1024;
            assert!(memory <= allowed, "{after_a_thousand} bytes after 1,000 cases, {memory} after {until}");
        }
    }
    assert!(relay.is_alive());
    witness.is_unharmed(&relay).await;
}

#[tokio::test]
async fn a_close_is_answered_and_one_that_is_malformed_with_why() {
    const NORMAL: u16 = 1000;
    const PROTOCOL: u16 = 1002;
    let mut relay = Relay::start(&[]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    let with_code = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    let closes = [
        (vec![], None),
        (with_code(NORMAL, b"done"), Some(NORMAL)),
        (with_code(4_999, b""), Some(4_999)),
        // Codes that nobody may send.
        (with_code(999, b""), Some(PROTOCOL)),
        (with_code(1005, b""), Some(PROTOCOL)),
        (with_code(1015, b""), Some(PROTOCOL)),
        (with_code(2_999, b""), Some(PROTOCOL)),
        // Half a code, and a reason that is no text.
        (vec![3], Some(PROTOCOL_OR_POLICY)),
        (with_code(NORMAL, &[0xff]), Some(PROTOCOL_OR_POLICY)),
    ];
    for (payload, expected) in closes {
        let mut bytes = UPGRADE.to_vec();
        websocket_frame(&mut bytes, CLOSE, &payload);
        let answer = send_raw(relay.address, Ipv4Addr::LOCALHOST, &bytes).await;
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP head");
        let frames = websocket_frames(&answer[head + 4..]);
        let Some((CLOSE, close)) = frames.last() else { panic!("{payload:02x?}: no Close in {frames:02x?}") };
        assert_eq!(close.first_chunk().map(|code| u16::from_be_bytes(*code)), expected, "{payload:02x?}");
        caller.talk(&mut called, 1, b"unharmed").await;
    }
    assert!(relay.is_alive());
}

#[tokio::test]
async fn bytes_that_are_no_http_end_their_connection_only() {
    let mut relay = Relay::start(&[]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    let mut random = Random(7);
    let long_header = [b"GET / HTTP/1.1\r\nhost: relay\r\nx: ".to_vec(), vec![b'a'; 100_000]].concat();
    let no_http = (0..64).map(|length| [random.bytes(length), b"\r\n\r\n".to_vec()].concat());
    for bytes in no_http.chain([long_header, vec![0; 100_000]]) {
        send_raw(relay.address, Ipv4Addr::LOCALHOST, &bytes).await;
        caller.talk(&mut called, 1, b"unharmed").await;
    }
    assert!(relay.is_alive());
}

/// A member that malformed clients dial, in a room of its own. Its events are read and dropped.
struct Witness {
    member: Member,
    reading: tokio::task::JoinHandle<()>,
}

impl Witness {
    async fn start(relay: &Relay) -> Self {
        let (mut client, _) = Client::join(relay, ROOM).await;
        let member = client.member;
        let reading = tokio::spawn(async move { while client.event().await != common::Event::Closed(None) {} });
        Self { member, reading }
    }

    async fn provoke(&self, relay: &Relay, state: State, case: &Case, number: usize) {
        provoke(relay.address, self.member, state, case, number).await;
    }

    async fn is_unharmed(&self, relay: &Relay) {
        assert!(!self.reading.is_finished(), "the witness is still connected");
        let (_, present) = Client::join(relay, ROOM).await;
        assert_eq!(present, [self.member], "no malformed client is left in the room");
    }
}

/// Opens a connection, brings it into `state`, sends the case, and checks what comes back.
async fn provoke(relay: std::net::SocketAddr, witness: Member, state: State, case: &Case, number: usize) {
    let mut bytes = UPGRADE.to_vec();
    if state != State::NotJoined {
        websocket_frame(&mut bytes, BINARY, &encoded(ToRelay::Join { room: ROOM }));
    }
    if state == State::CircuitOpen {
        websocket_frame(&mut bytes, BINARY, &encoded(ToRelay::Dial(line(witness, 1))));
        websocket_frame(&mut bytes, BINARY, &encoded(ToRelay::Data(line(witness, 1), b"well-formed")));
    }
    bytes.extend(&case.bytes);
    // Several addresses, for one has not enough ports.
    let source = Ipv4Addr::new(127, 0, 1, (number % 100) as u8);
    let answer = send_raw(relay, source, &bytes).await;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP head");
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));

    let what = || format!("{state:?}: {:02x?}", &case.bytes[..case.bytes.len().min(80)]);
    let frames = websocket_frames(&answer[head + 4..]);
    let [before @ .., (BINARY, refused), (CLOSE, close)] = &frames[..] else {
        panic!("{}: expected REFUSED and Close, got {frames:?}", what());
    };
    // WELCOME came before, and maybe LEFT of other malformed clients.
    let kinds: Vec<u8> = before.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(kinds.first(), (state != State::NotJoined).then_some(&1), "{}", what());
    assert!(kinds.iter().skip(1).all(|kind| *kind == 5), "{}: {kinds:?}", what());
    match FromRelay::decode(refused) {
        Ok(Some(FromRelay::Refused { code: "bad-frame", text })) => assert!(text.starts_with("the client "), "{text}"),
        other => panic!("{}: {other:?}", what()),
    }
    assert_eq!(close.first_chunk().map(|code| u16::from_be_bytes(*code)), Some(case.close_code), "{}", what());
}

/// Sends bytes over a connection of their own and returns all that comes back.
async fn send_raw(relay: std::net::SocketAddr, source: Ipv4Addr, bytes: &[u8]) -> Vec<u8> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((IpAddr::from(source), 0).into()).expect("a source address");
    let mut stream = socket.connect(relay).await.expect("a connection");
    // Its port is free again at once.
    stream.set_zero_linger().expect("a reset at the end");
    let mut answer = Vec::new();
    let exchange = async {
        // The relay may have refused, and closed, before it has taken everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    timeout(PATIENCE, exchange).await.expect("the relay ends the connection");
    answer
}

/// Everything that is wrong in a state.
fn cases(state: State, random: &mut Random) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut frame = |bytes: Vec<u8>| {
        let mut case = Vec::new();
        websocket_frame(&mut case, BINARY, &bytes);
        cases.push(Case { bytes: case, close_code: PROTOCOL_OR_POLICY });
    };
    for length in 0..=64 {
        frame(vec![0; length]);
        frame(vec![0xff; length]);
        for known_type in [false, true] {
            if let Some(bytes) = random_frame(length, known_type, random) {
                frame(bytes);
            }
        }
    }
    for number in [1 << 53, 1 << 62, u64::MAX] {
        for (kind, fields) in [(2, 2), (3, 2), (4, 3), (17, 3), (18, 3), (19, 2), (20, 3)] {
            for place in 0..fields {
                let mut bytes = vec![kind];
                (0..fields).for_each(|field| put_uint(&mut bytes, if field == place { number } else { 1 }));
                frame(bytes);
            }
        }
        let mut kind = Vec::new();
        put_uint(&mut kind, number);
        frame(kind);
    }
    let whole = [
        encoded(ToRelay::Join { room: ROOM }),
        encoded(ToRelay::Dial(line(1, 70_000))),
        encoded(ToRelay::Hangup(line(70_000, 1), HangupReason::Done)),
        encoded(ToRelay::Direct(line(1, 70_000), true)),
    ];
    for bytes in &whole {
        (1..bytes.len()).for_each(|length| frame(bytes[..length].to_vec()));
        frame([bytes.clone(), vec![0]].concat());
    }
    frame(vec![20, 1, 1, 2]);
    frame(encoded(ToRelay::Data(line(1, 1), b"")));
    frame(encoded(ToRelay::Data(line(1, 1), &[0; CIRCUIT_CHUNK + 1])));
    // Well-formed, and out of turn.
    let beyond = (1 << 53) - 1;
    if state == State::NotJoined {
        frame(encoded(ToRelay::Dial(line(1, 1))));
        frame(encoded(ToRelay::Data(line(1, 1), b"early")));
        frame(encoded(ToRelay::Hangup(line(1, 1), HangupReason::Done)));
        frame(encoded(ToRelay::Direct(line(1, 1), true)));
    } else {
        frame(encoded(ToRelay::Join { room: ROOM }));
        frame(encoded(ToRelay::Dial(line(beyond, beyond))));
        frame(encoded(ToRelay::Direct(line(beyond, beyond), false)));
    }
    cases.extend(websocket_cases());
    cases
}

/// Frames that break the WebSocket protocol, or its limits.
fn websocket_cases() -> Vec<Case> {
    let case = |bytes: &[u8], close_code| Case { bytes: bytes.to_vec(), close_code };
    let wrong = |bytes: &[u8]| case(bytes, PROTOCOL_OR_POLICY);
    let announced = |length: u64| case(&[&[BINARY, 0xff], &length.to_be_bytes()[..], &[0; 4]].concat(), TOO_LONG);
    let mut text = Vec::new();
    websocket_frame(&mut text, TEXT, b"text");
    let mut no_utf8 = Vec::new();
    websocket_frame(&mut no_utf8, TEXT, &[0xff, 0xfe]);
    // One frame, and two of which the first is not the last (0x02). No message of the relay is as long as the longest
    // that is taken: what is wrong with that is not its length.
    let one = |length: usize, close_code| {
        let mut bytes = Vec::new();
        websocket_frame(&mut bytes, BINARY, &vec![3; length]);
        Case { bytes, close_code }
    };
    let two = |length: usize, close_code| {
        let mut bytes = Vec::new();
        websocket_frame(&mut bytes, 0x02, &vec![3; length / 2]);
        websocket_frame(&mut bytes, 0x80, &vec![3; length.div_ceil(2)]);
        Case { bytes, close_code }
    };
    let mut many = Case { bytes: Vec::new(), close_code: TOO_LONG };
    for number in 0..=RELAY_MESSAGE / 1_000 {
        websocket_frame(&mut many.bytes, if number == 0 { 0x02 } else { 0x00 }, &[3; 1_000]);
    }
    vec![
        announced((1 << 24) - 1),
        announced((1 << 32) - 1),
        announced(1 << 53),
        announced(1 << 62),
        announced(u64::MAX),
        announced(RELAY_MESSAGE as u64 + 1),
        one(RELAY_MESSAGE, PROTOCOL_OR_POLICY),
        one(RELAY_MESSAGE + 1, TOO_LONG),
        two(RELAY_MESSAGE, PROTOCOL_OR_POLICY),
        two(RELAY_MESSAGE + 1, TOO_LONG),
        wrong(&text),
        wrong(&no_utf8),
        // Not masked.
        wrong(&[BINARY, 1, 0]),
        // Reserved bits and opcodes.
        wrong(&[0xf2, 0x81, 0, 0, 0, 0, 0]),
        wrong(&[0x83, 0x81, 0, 0, 0, 0, 0]),
        wrong(&[0x8f, 0x81, 0, 0, 0, 0, 0]),
        // A ping in parts, and one that is too long.
        wrong(&[0x09, 0x81, 0, 0, 0, 0, 0]),
        wrong(&[&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat()),
        // A later part without a first, and a message in the middle of another.
        wrong(&[0x80, 0x81, 0, 0, 0, 0, 0]),
        wrong(&[0x02, 0x81, 0, 0, 0, 0, 3, BINARY, 0x81, 0, 0, 0, 0, 3]),
        // Short parts that are together too long.
        many,
        // A length that has more bytes than it needs.
        wrong(&[BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3]),
    ]
}

/// A frame that no relay understands; `None` if the length allows none.
fn random_frame(length: usize, known_type: bool, random: &mut Random) -> Option<Vec<u8>> {
    (0..100).find_map(|_| {
        let mut bytes = random.bytes(length);
        if known_type {
            *bytes.first_mut()? = KNOWN_TYPES[random.below(KNOWN_TYPES.len())];
        }
        ToRelay::decode(&bytes).is_err().then_some(bytes)
    })
}

fn put_uint(bytes: &mut Vec<u8>, number: u64) {
    if number < 0xfd {
        bytes.push(number as u8);
    } else {
        bytes.push(0xff);
        bytes.extend(number.to_le_bytes());
    }
}

/// Appends a frame of a client. The mask is zero: the payload stays as it is.
fn websocket_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(opcode);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((medium as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend_from_slice(payload);
}

/// The frames of a server, as first byte and payload.
fn websocket_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(*short), rest),
        };
        frames.push((*first, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert_eq!(bytes, [], "whole frames");
    frames
}
