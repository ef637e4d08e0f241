//! The real relay in a process of its own, and clients of it.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peersockets_core::rendezvous::{Circuit, FromRelay, HangupReason, Line, Member, SUBPROTOCOL, ToRelay};
use peersockets_core::rtc::IceServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// No test waits longer for anything: then it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Options for tests that open more sockets than one address usually may.
pub const MANY_SOCKETS: [&str; 2] = ["--new-connections-burst=1000000", "--new-connections-per-second=1000000"];

pub const ROOM: [u8; 32] = [0xab; 32];

pub struct Relay {
    child: Child,
    log: Option<Receiver<String>>,
    pub address: SocketAddr,
    /// Where its metrics are.
    admin: Option<SocketAddr>,
}

impl Relay {
    pub fn start(options: &[&str]) -> Self {
        Self::spawn(command(options))
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the relay starts");
        let has_admin = command.get_args().any(|word| word == "--admin-listen");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut line = || lines.next().expect("a line").expect("text");
        let (first, _) = (line(), line());
        let address = first.rsplit('/').next().and_then(|address| address.parse().ok());
        let admin = has_admin.then(|| line().split('/').nth(2).and_then(|address| address.parse().ok()));
        let address = address.filter(|_| first.starts_with("listening on http"));
        Self { child, log: None, address: address.expect("listening on http://ADDRESS:PORT"), admin: admin.flatten() }
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the state of the process").is_none()
    }

    /// A field of /proc/PID/status in bytes, such as `VmRSS`.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub async fn exit_status(&mut self) -> ExitStatus {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of the process") {
                return status;
            }
            assert!(tokio::time::Instant::now() < until, "the relay does not end");
            tokio::task::yield_now().await;
        }
    }

    /// Waits for a line on stderr that has this in it.
    pub fn until_logged(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.log().recv_timeout(left).unwrap_or_else(|error| panic!("no {words} in the log: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The lines of stderr. They are read elsewhere, for whoever reads can't stop waiting.
    fn log(&mut self) -> &Receiver<String> {
        let stderr = &mut self.child.stderr;
        self.log.get_or_insert_with(|| {
            let lines = BufReader::new(stderr.take().expect("stderr")).lines();
            let (sender, receiver) = channel();
            thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
            receiver
        })
    }

    /// From now on what the relay writes to stderr goes nowhere.
    pub fn close_log(&mut self) {
        self.child.stderr = None;
    }

    /// What the relay wrote to stderr since it was last waited for, once it has ended.
    pub fn stderr(&mut self) -> String {
        self.log().iter().map(|line| line + "\n").collect()
    }

    /// The whole answer to one HTTP request of our own making.
    pub async fn http(&self, request: &str) -> String {
        Self::ask(self.address, request).await
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("the request");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub async fn get(&self, path: &str) -> String {
        self.http(&format!("GET {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n")).await
    }

    /// The operator's answer to a request.
    pub async fn admin(&self, path: &str) -> String {
        let address = self.admin.expect("--admin-listen");
        Self::ask(address, &format!("GET {path} HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n")).await
    }

    /// The value of a metric without labels, or with these.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.admin("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("peersockets_relay_{name} ")));
        line.unwrap_or("0").trim().parse().expect("a number")
    }

    /// Asks for a metric until it is what is waited for.
    pub async fn until_metric(&self, name: &str, is_reached: impl Fn(f64) -> bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let value = self.metric(name).await;
            if is_reached(value) {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{name} stays at {value}");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with these options, on any free port of the loopback address.
pub fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(options).stderr(Stdio::inherit());
    command
}

/// A frame from the relay, or the end of the socket.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Welcome(Member, Vec<Member>),
    Dialed(Line),
    Data(Line, Bytes),
    HungUp(Line, HangupReason),
    Left(Member),
    Refused(String, String),
    Credit(Line, u64),
    GoingAway(Duration),
    IceServers(Vec<IceServer>),
    /// The code of the Close frame, if there was one.
    Closed(Option<u16>),
}

pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
    /// Our number, once joined.
    pub member: Member,
}

pub fn line(member: Member, circuit: Circuit) -> Line {
    Line { member, circuit }
}

pub fn encoded(frame: ToRelay<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

impl Client {
    pub async fn connect(relay: &Relay) -> Self {
        Self::connect_from(relay, Ipv4Addr::LOCALHOST).await
    }

    /// A client with another address of the loopback network.
    pub async fn connect_from(relay: &Relay, source: Ipv4Addr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((IpAddr::from(source), 0).into()).expect("a source address");
        Self::over(relay, socket.connect(relay.address).await.expect("a connection")).await
    }

    /// A client whose system takes in little that is not read.
    pub async fn with_small_buffers(relay: &Relay) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a receive buffer");
        socket.set_send_buffer_size(16 * 1024).expect("a send buffer");
        Self::over(relay, socket.connect(relay.address).await.expect("a connection")).await
    }

    /// A client that shows something: `query` in its URL, and these headers.
    pub async fn showing(relay: &Relay, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream = TcpStream::connect(relay.address).await.expect("a connection");
        Self::upgraded(relay, stream, query, headers).await
    }

    async fn over(relay: &Relay, stream: TcpStream) -> Self {
        Self::upgraded(relay, stream, "", &[]).await
    }

    async fn upgraded(relay: &Relay, stream: TcpStream, query: &str, headers: &[(&'static str, &str)]) -> Self {
        stream.set_nodelay(true).expect("no delay");
        let mut request = format!("ws://{}/relay{query}", relay.address).into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a header"));
        }
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
        let (socket, response) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
        assert_eq!(response.headers()["sec-websocket-protocol"], SUBPROTOCOL);
        Self { socket, member: 0 }
    }

    /// A client that is a member of `room`, and the members it was told of.
    pub async fn join(relay: &Relay, room: [u8; 32]) -> (Self, Vec<Member>) {
        let mut client = Self::connect(relay).await;
        let present = client.enter(room).await;
        (client, present)
    }

    pub async fn enter(&mut self, room: [u8; 32]) -> Vec<Member> {
        self.send(ToRelay::Join { room }).await;
        match self.event().await {
            Event::Welcome(member, present) => {
                self.member = member;
                present
            }
            other => panic!("expected WELCOME, got {other:?}"),
        }
    }

    /// Two members with a circuit between them: the caller, the one who was called, and its number for both.
    pub async fn pair(relay: &Relay, room: [u8; 32]) -> (Self, Self) {
        let (mut called, _) = Self::join(relay, room).await;
        let (mut caller, _) = Self::join(relay, room).await;
        caller.send(ToRelay::Dial(line(called.member, 1))).await;
        assert_eq!(called.event().await, Event::Dialed(line(caller.member, 1)));
        (caller, called)
    }

    pub async fn send(&mut self, frame: ToRelay<'_>) {
        self.send_bytes(encoded(frame)).await;
    }

    pub async fn send_bytes(&mut self, frame: Vec<u8>) {
        let sent = timeout(PATIENCE, self.socket.send(Message::Binary(frame.into()))).await;
        sent.expect("the relay reads").expect("the socket is open");
    }

    pub async fn event(&mut self) -> Event {
        // Pings come all the time.
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let message = timeout_at(until, self.socket.next()).await.expect("a frame in time");
            match message {
                Some(Ok(Message::Binary(frame))) => return read(&frame),
                Some(Ok(Message::Close(frame))) => {
                    return Event::Closed(frame.map(|CloseFrame { code, .. }| code.into()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("a relay sends no {other:?}"),
                Some(Err(_)) | None => return Event::Closed(None),
            }
        }
    }

    /// Waits until the relay has read all that was sent to it: it answers a ping in turn. Nothing else is to come meanwhile.
    pub async fn heard(&mut self) {
        self.socket.send(Message::Ping(Bytes::new())).await.expect("the socket is open");
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a Pong in time") {
                Some(Ok(Message::Pong(_))) => return,
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("expected a Pong, got {other:?}"),
            }
        }
    }

    /// Expects REFUSED with this code, then Close with that one. Returns the text.
    pub async fn expect_refusal(&mut self, code: &str, close_code: u16) -> String {
        let text = match self.event().await {
            Event::Refused(actual, text) if actual == code => text,
            other => panic!("expected REFUSED {code}, got {other:?}"),
        };
        assert_eq!(self.event().await, Event::Closed(Some(close_code)));
        text
    }

    /// Sends DATA and expects it at the other end.
    pub async fn talk(&mut self, other: &mut Self, circuit: Circuit, bytes: &[u8]) {
        self.send(ToRelay::Data(line(other.member, circuit), bytes)).await;
        let expected = Event::Data(line(self.member, circuit), Bytes::copy_from_slice(bytes));
        assert_eq!(other.event().await, expected);
    }

    pub async fn close(mut self) {
        self.socket.close(None).await.expect("a Close frame");
        while self.event().await != Event::Closed(None) {}
    }
}

fn read(frame: &[u8]) -> Event {
    match FromRelay::decode(frame).expect("a well-formed frame").expect("a known frame") {
        FromRelay::Welcome { member, present, .. } => Event::Welcome(member, present),
        FromRelay::Dialed(line) => Event::Dialed(line),
        FromRelay::Data(line, bytes) => Event::Data(line, Bytes::copy_from_slice(bytes)),
        FromRelay::HungUp(line, reason) => Event::HungUp(line, reason),
        FromRelay::Left(member) => Event::Left(member),
        FromRelay::Refused { code, text } => Event::Refused(code.to_owned(), text.to_owned()),
        FromRelay::Credit(line, amount) => Event::Credit(line, amount),
        FromRelay::GoingAway { back_in } => Event::GoingAway(back_in),
        FromRelay::IceServers(servers) => Event::IceServers(servers),
        other => panic!("a frame that this test does not know: {other:?}"),
    }
}

/// Numbers that are the same in every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
