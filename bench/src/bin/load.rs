//! Clients of a server that passes messages on between pairs: of our relay, of npm `peer`'s PeerServer, or of y-webrtc's signalling server.
//!
//! `load KIND ADDRESS pairs PAIRS IN_FLIGHT SECONDS` has each pair pass so many messages of 520 bytes to and fro, and prints how many
//! arrived, in how many seconds, and the median and 99th percentile of their way in microseconds.
//! `load KIND ADDRESS idle COUNT` holds so many connections until its input ends; it prints a line when all are there.
//!
//! KIND is `relay`, `relay-with-credit` (its clients report what they have read, as pages do), `peerserver` or `y-webrtc`.
//!
//! It does as little as it can, on one thread: frames are made once, and what comes is counted by the lengths of its frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use peersockets_bench::websocket::{self, Lengths};
use peersockets_core::credit::Flow;
use peersockets_core::limits::{CREDIT_BASE, DATA_COST};
use peersockets_core::rendezvous::{FromRelay, Line, SUBPROTOCOL, ToRelay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;

/// Bytes of one message, as the server gets it.
const MESSAGE: usize = 520;
/// Frames that are shorter are no messages but credit.
const SHORTEST: usize = 500;
/// Time before what arrives is counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// Addresses that connections come from: one has not enough ports, and servers limit what one may do.
const SOURCES: usize = 200;

#[derive(Clone, Copy)]
enum Kind {
    Relay,
    RelayWithCredit,
    PeerServer,
    YWebrtc,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [kind, address, command @ ..] = &words[..] else { panic!("load KIND ADDRESS COMMAND") };
    let kind = match *kind {
        "relay" => Kind::Relay,
        "relay-with-credit" => Kind::RelayWithCredit,
        "peerserver" => Kind::PeerServer,
        "y-webrtc" => Kind::YWebrtc,
        other => panic!("{other} is none of relay, relay-with-credit, peerserver, y-webrtc"),
    };
    let address: SocketAddr = address.parse().expect("an address and a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    match command {
        ["pairs", pairs, in_flight, seconds] => {
            let time = Duration::from_secs(number(seconds) as u64);
            LocalSet::new().block_on(&runtime, pass_messages(kind, address, number(pairs), number(in_flight), time));
        }
        ["idle", count] => runtime.block_on(hold(kind, address, number(count))),
        other => panic!("{other:?} is no command"),
    }
}

/// What all pairs count.
struct Tally {
    from: Instant,
    arrived: u64,
    /// How many took so many microseconds.
    ways: Vec<u32>,
}

/// When messages were sent that have not arrived, in order.
type UnderWay = Rc<RefCell<VecDeque<Instant>>>;

async fn pass_messages(kind: Kind, address: SocketAddr, pairs: usize, in_flight: usize, time: Duration) {
    let mut sockets = Vec::new();
    for pair in 0..pairs {
        sockets.push(connect_pair(kind, address, pair).await);
    }
    let from = Instant::now() + WARM_UP;
    let tally = Rc::new(RefCell::new(Tally { from, arrived: 0, ways: vec![0; 1 << 20] }));
    for [first, second] in sockets {
        let (there, back) = (UnderWay::default(), UnderWay::default());
        tokio::task::spawn_local(first.pass_on(in_flight, back.clone(), there.clone(), tally.clone()));
        tokio::task::spawn_local(second.pass_on(0, there, back, tally.clone()));
    }
    tokio::time::sleep_until((from + time).into()).await;
    let tally = tally.borrow();
    let percentile = |share: f64| {
        let mut left = (tally.arrived as f64 * share) as u64;
        tally.ways.iter().position(|count| {
            let is_here = left <= u64::from(*count);
            left = left.saturating_sub(u64::from(*count));
            is_here
        })
    };
    let ways = [0.5, 0.99].map(|share| percentile(share).unwrap_or_default());
    println!("{} {} {} {}", tally.arrived, time.as_secs_f64(), ways[0], ways[1]);
}

/// One end of a pair: its socket, and the frames that it sends.
struct End {
    stream: TcpStream,
    frame: Vec<u8>,
    /// What it reports to have read, if it keeps to credit.
    reading: Option<Reading>,
}

/// A circuit, bytes of each message on it, and what is not reported yet.
struct Reading {
    line: Line,
    payload: usize,
    flow: Flow,
}

impl End {
    fn new(stream: TcpStream, (frame, reading): (Vec<u8>, Option<Reading>)) -> Self {
        Self { stream, frame, reading }
    }

    /// Sends `tokens` messages, and then one for each that comes.
    async fn pass_on(mut self, tokens: usize, incoming: UnderWay, outgoing: UnderWay, tally: Rc<RefCell<Tally>>) {
        let mut lengths = Lengths::of_at_least(SHORTEST);
        let mut buffer = vec![0; 64 * 1024];
        let mut frames = Vec::new();
        self.send(tokens, &outgoing, &mut frames).await;
        loop {
            let read = self.stream.read(&mut buffer).await.expect("the server is there");
            assert_ne!(read, 0, "the server goes on");
            let count = lengths.count(&buffer[..read]);
            let now = Instant::now();
            {
                let mut tally = tally.borrow_mut();
                for sent in incoming.borrow_mut().drain(..count) {
                    if now >= tally.from {
                        tally.arrived += 1;
                        let way = (now - sent).as_micros() as usize;
                        let last = tally.ways.len() - 1;
                        tally.ways[way.min(last)] += 1;
                    }
                }
            }
            self.send(count, &outgoing, &mut frames).await;
        }
    }

    async fn send(&mut self, count: usize, outgoing: &UnderWay, frames: &mut Vec<u8>) {
        if count == 0 {
            return;
        }
        frames.clear();
        if let Some(Reading { line, payload, flow }) = &mut self.reading {
            // All that is sent answers what was read, but the first.
            for amount in (0..count).filter_map(|_| flow.consume(*payload)) {
                frames.extend(to_relay(ToRelay::Consumed(*line, amount)));
            }
        }
        (0..count).for_each(|_| frames.extend_from_slice(&self.frame));
        outgoing.borrow_mut().extend(std::iter::repeat_n(Instant::now(), count));
        self.stream.write_all(frames).await.expect("the server is there");
    }
}

async fn hold(kind: Kind, address: SocketAddr, count: usize) {
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = connect(kind, address, number, &format!("idle-{number}")).await;
        if let Kind::Relay | Kind::RelayWithCredit = kind {
            let mut room = [0; 32];
            room[..8].copy_from_slice(&(number as u64 / 2).to_le_bytes());
            send_to_relay(&mut stream, ToRelay::Join { room }).await;
            websocket::read_message(&mut stream).await.expect("a message");
        }
        held.push(stream);
    }
    println!("{} connections", held.len());
    let _ = std::io::stdin().read_line(&mut String::new());
}

async fn connect_pair(kind: Kind, address: SocketAddr, pair: usize) -> [End; 2] {
    let names = [format!("first-{pair}"), format!("second-{pair}")];
    let mut first = connect(kind, address, pair, &names[0]).await;
    let mut second = connect(kind, address, pair, &names[1]).await;
    let frames = match kind {
        Kind::Relay | Kind::RelayWithCredit => {
            let keeps_credit = matches!(kind, Kind::RelayWithCredit);
            let lines = meet_at_relay(&mut first, &mut second, pair, keeps_credit).await;
            let [to_second, to_first] = lines.map(|line| {
                let mut head = Vec::new();
                ToRelay::Data(line, &[]).encode(&mut head);
                let payload = MESSAGE - head.len();
                let frame = to_relay(ToRelay::Data(line, &vec![7; payload]));
                (frame, keeps_credit.then(|| Reading { line, payload, flow: Flow::default() }))
            });
            return [End::new(first, to_second), End::new(second, to_first)];
        }
        Kind::PeerServer => [&names[1], &names[0]]
            .map(|to| padded(|text| format!(r#"{{"type":"OFFER","dst":"{to}","payload":"{text}"}}"#))),
        Kind::YWebrtc => {
            for (stream, name) in [(&mut first, &names[0]), (&mut second, &names[1])] {
                let subscribe = format!(r#"{{"type":"subscribe","topics":["{name}"]}}"#);
                let subscribe = websocket::text(subscribe.as_bytes());
                websocket::write_message(stream, &subscribe).await.expect("the server reads");
            }
            [&names[1], &names[0]]
                .map(|to| padded(|text| format!(r#"{{"type":"publish","topic":"{to}","data":"{text}"}}"#)))
        }
    };
    let [to_second, to_first] = frames.map(|frame| (frame, None));
    [End::new(first, to_second), End::new(second, to_first)]
}

/// A text message of the right length.
fn padded(write: impl Fn(&str) -> String) -> Vec<u8> {
    let padding = "x".repeat(MESSAGE - write("").len());
    websocket::text(write(&padding).as_bytes())
}

/// Both join a room, and the second dials the first. Gives the circuit as each of them names it.
async fn meet_at_relay(first: &mut TcpStream, second: &mut TcpStream, pair: usize, keep_credit: bool) -> [Line; 2] {
    let mut room = [0xbe; 32];
    room[..8].copy_from_slice(&(pair as u64).to_le_bytes());
    let mut members = Vec::new();
    for stream in [&mut *first, &mut *second] {
        send_to_relay(stream, ToRelay::Join { room }).await;
        let message = websocket::read_message(stream).await.expect("a message");
        match FromRelay::decode(&message) {
            Ok(Some(FromRelay::Welcome { member, .. })) => members.push(member),
            other => panic!("the relay says {other:?}"),
        }
        if keep_credit {
            send_to_relay(stream, ToRelay::Flow).await;
        }
    }
    let lines = [members[1], members[0]].map(|member| Line { member, circuit: 1 });
    send_to_relay(second, ToRelay::Dial(lines[1])).await;
    websocket::read_message(first).await.expect("the server goes on");
    if keep_credit {
        earn_credit(first, second, lines).await;
        earn_credit(second, first, [lines[1], lines[0]]).await;
    }
    lines
}

/// Sends enough, and has it read, to be lent what many messages in flight take.
async fn earn_credit(sender: &mut TcpStream, reader: &mut TcpStream, [there, back]: [Line; 2]) {
    const MUCH: usize = CREDIT_BASE - DATA_COST;
    for _ in 0..2 {
        send_to_relay(sender, ToRelay::Data(there, &[7; MUCH])).await;
        websocket::read_message(reader).await.expect("the server goes on");
        send_to_relay(reader, ToRelay::Consumed(back, CREDIT_BASE as u64)).await;
        let message = websocket::read_message(sender).await.expect("the server goes on");
        assert!(matches!(FromRelay::decode(&message), Ok(Some(FromRelay::Credit(line, _))) if line == there));
    }
}

fn to_relay(frame: ToRelay<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    frame.encode(&mut message);
    websocket::binary(&message)
}

async fn send_to_relay(stream: &mut TcpStream, frame: ToRelay<'_>) {
    websocket::write_message(stream, &to_relay(frame)).await.expect("the server goes on");
}

async fn connect(kind: Kind, address: SocketAddr, number: usize, name: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let source = Ipv4Addr::new(127, 0, 2, 1 + (number % SOURCES) as u8);
    socket.bind((IpAddr::from(source), 0).into()).expect("a source address");
    let mut stream = socket.connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("no delay");
    match kind {
        Kind::Relay | Kind::RelayWithCredit => {
            websocket::upgrade(&mut stream, "/relay", Some(SUBPROTOCOL)).await.expect("a WebSocket")
        }
        Kind::PeerServer => {
            let path = format!("/peerjs?key=peerjs&id={name}&token=load&version=1.5.5");
            websocket::upgrade(&mut stream, &path, None).await.expect("a WebSocket");
            let open = websocket::read_message(&mut stream).await.expect("a message");
            assert_eq!(open, br#"{"type":"OPEN"}"#, "PeerServer takes us");
        }
        Kind::YWebrtc => websocket::upgrade(&mut stream, "/", None).await.expect("a WebSocket"),
    }
    stream
}
