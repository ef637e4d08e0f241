//! TLS, and a certificate that is replaced while the relay runs.

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use common::{PATIENCE, ROOM, Relay, command, encoded, line};
use futures_util::{SinkExt, StreamExt};
use peersockets_core::rendezvous::{FromRelay, HangupReason, SUBPROTOCOL, ToRelay};
use peersockets_relay::limits::NEWCOMER_TIME;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, crypto};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The files of one test's certificate, removed when it ends.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        Self { directory }
    }

    /// Puts a new certificate for `localhost` into the files.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        self.write(&cert.pem(), &signing_key.serialize_pem());
        cert.der().clone()
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(self.directory.join("cert.pem"), certificate).expect("a file");
        fs::write(self.directory.join("key.pem"), key).expect("a file");
    }

    fn options(&self) -> [String; 2] {
        ["cert", "key"]
            .map(|name| format!("--tls-{name}={}", self.directory.join(name).with_extension("pem").display()))
    }

    fn start(&self) -> Relay {
        let mut command = command(&self.options().each_ref().map(String::as_str));
        command.stderr(Stdio::piped());
        Relay::spawn(command)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A connection on which the relay has proved to have this certificate.
async fn connect(relay: &Relay, certificate: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    handshake(TcpStream::connect(relay.address).await?, certificate).await
}

async fn handshake(stream: TcpStream, certificate: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let name = "localhost".try_into().expect("a name");
    let connector = TlsConnector::from(Arc::new(trusting(certificate)));
    timeout(PATIENCE, connector.connect(name, stream)).await.expect("a handshake in time")
}

fn trusting(certificate: &CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What a client sends first.
fn client_hello(certificate: &CertificateDer<'static>) -> Vec<u8> {
    let name = "localhost".try_into().expect("a name");
    let mut connection = ClientConnection::new(Arc::new(trusting(certificate)), name).expect("a connection");
    let mut hello = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut hello).expect("written to memory");
    }
    hello
}

/// A member of a room, over TLS.
struct Member(WebSocketStream<TlsStream<TcpStream>>);

impl Member {
    async fn join(relay: &Relay, certificate: &CertificateDer<'static>) -> Self {
        let stream = connect(relay, certificate).await.expect("TLS");
        let mut request = "wss://localhost/relay".into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade");
        let mut member = Self(socket);
        let welcome = member.ask(ToRelay::Join { room: ROOM }).await;
        assert!(matches!(FromRelay::decode(&welcome), Ok(Some(FromRelay::Welcome { .. }))), "{welcome:?}");
        member
    }

    /// Member 0 does not exist, and the relay says so.
    async fn is_served(&mut self) {
        let answer = self.ask(ToRelay::Dial(line(0, 1))).await;
        assert_eq!(FromRelay::decode(&answer), Ok(Some(FromRelay::HungUp(line(0, 1), HangupReason::Gone))));
    }

    async fn ask(&mut self, frame: ToRelay<'_>) -> Bytes {
        self.0.send(Message::Binary(encoded(frame).into())).await.expect("sent");
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("an answer in time") {
                Some(Ok(Message::Binary(frame))) => return frame,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn pages_are_served_over_tls_and_not_without() {
    let files = Files::new("serve");
    let certificate = files.renew();
    let relay = files.start();
    Member::join(&relay, &certificate).await.is_served().await;
    let mut page = connect(&relay, &certificate).await.expect("TLS");
    page.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    page.read_to_string(&mut answer).await.expect("an answer and a good end");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    assert!(!relay.get("/health").await.contains("HTTP/1.1"), "nobody is served in plain");
    relay.until_metric("tls_failures_total", |failures| failures == 1.0).await;
}

#[test]
fn it_says_that_it_is_reached_over_tls() {
    let files = Files::new("greeting");
    files.renew();
    let mut command = command(&files.options().each_ref().map(String::as_str));
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("stdout")));
    let mut line = || lines.next().expect("a line").expect("text");
    assert!(line().starts_with("listening on https://127.0.0.1:"));
    assert!(line().contains("content=\"wss://127.0.0.1:"));
    child.kill().and_then(|()| child.wait()).expect("it ends");
}

#[tokio::test]
async fn a_hangup_brings_the_new_certificate_and_ends_no_connection() {
    let files = Files::new("renew");
    let old = files.renew();
    let mut relay = files.start();
    let mut member = Member::join(&relay, &old).await;

    let new = files.renew();
    assert!(connect(&relay, &new).await.is_err(), "not before it is told");
    relay.signal("HUP");
    relay.until_logged("new connections get the new certificate");
    Member::join(&relay, &new).await.is_served().await;
    assert!(connect(&relay, &old).await.is_err());
    member.is_served().await;
}

#[tokio::test]
async fn a_new_certificate_that_cannot_be_used_leaves_the_old_one() {
    let files = Files::new("broken");
    let old = files.renew();
    let mut relay = files.start();
    let key = fs::read_to_string(files.directory.join("key.pem")).expect("a file");
    let other = Files::new("other");
    other.renew();
    let strange = fs::read_to_string(other.directory.join("cert.pem")).expect("a file");
    for (certificate, key) in [("nonsense", key.as_str()), (&strange, &key), (&strange, "nonsense"), ("", "")] {
        files.write(certificate, key);
        relay.signal("HUP");
        let line = relay.until_logged("the old certificate stays");
        assert!(line.contains(".pem"), "{line}");
        Member::join(&relay, &old).await.is_served().await;
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_takes_a_newcomers_place_for_a_while() {
    let files = Files::new("silent");
    let certificate = files.renew();
    let relay = files.start();
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(relay.address).await.expect("a connection"));
    }
    assert!(connect(&relay, &certificate).await.is_err(), "64 newcomers are all of one address");
    for stream in &mut silent {
        let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("the end in time");
        assert_eq!(read.expect("a good end"), 0);
    }
    relay.until_metric("tls_failures_total", |failures| failures == 64.0).await;
    Member::join(&relay, &certificate).await.is_served().await;
}

/// The end of a connection that the relay closes, and what came before.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // With bytes that it has not read the end is a reset.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the end in time");
    bytes
}

#[tokio::test]
async fn who_speaks_no_tls_is_closed_at_once() {
    let files = Files::new("plain");
    files.renew();
    let relay = files.start();
    let start = Instant::now();
    for plain in ["GET /health HTTP/1.1\r\nhost: relay\r\n\r\n", "\0\0\0\0\0\0\0\0", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let mut stream = TcpStream::connect(relay.address).await.expect("a connection");
        stream.write_all(plain.as_bytes()).await.expect("sent");
        let answer = rest(&mut stream).await;
        // At most an alert, which is a record of type 21.
        assert!(matches!(answer[..], [] | [21, 3, ..]), "{answer:?}");
    }
    assert!(start.elapsed() < NEWCOMER_TIME, "it waits for nothing: {:?}", start.elapsed());
    relay.until_metric("tls_failures_total", |failures| failures == 3.0).await;
    relay.until_metric("newcomers", |newcomers| newcomers == 0.0).await;
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_handshake_is_closed_by_the_deadline() {
    let files = Files::new("half");
    let certificate = files.renew();
    let relay = files.start();
    let hello = client_hello(&certificate);
    let start = Instant::now();
    let mut stopped = Vec::new();
    for length in [1, 5, hello.len() / 2, hello.len()] {
        let mut stream = TcpStream::connect(relay.address).await.expect("a connection");
        stream.write_all(&hello[..length]).await.expect("sent");
        stopped.push(stream);
    }
    relay.until_metric("newcomers", |newcomers| newcomers == 4.0).await;
    Member::join(&relay, &certificate).await.is_served().await;
    for (stream, is_answered) in stopped.iter_mut().zip([false, false, false, true]) {
        assert_eq!(!rest(stream).await.is_empty(), is_answered, "only a whole hello has an answer");
    }
    assert!(start.elapsed() >= NEWCOMER_TIME, "they have their time: {:?}", start.elapsed());
    relay.until_metric("tls_failures_total", |failures| failures == 4.0).await;
    relay.until_metric("newcomers", |newcomers| newcomers == 0.0).await;
    assert_eq!(relay.metric("late_newcomers_total").await, 0.0);
}

#[tokio::test]
async fn a_client_that_dawdles_over_its_handshake_has_less_time_for_its_request() {
    let files = Files::new("slow");
    let certificate = files.renew();
    let relay = files.start();
    let start = Instant::now();
    let stream = TcpStream::connect(relay.address).await.expect("a connection");
    relay.until_metric("newcomers", |newcomers| newcomers == 1.0).await;
    // It dawdles for half of its time.
    tokio::time::sleep_until(start + NEWCOMER_TIME / 2).await;
    let mut stream = handshake(stream, &certificate).await.expect("TLS");
    stream.write_all(b"GET /health HTTP/1.1\r\n").await.expect("sent");
    let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("the end in time");
    let time = start.elapsed();
    assert!(time < NEWCOMER_TIME * 3 / 2, "one time for both: {time:?}");
    relay.until_metric("late_newcomers_total", |late| late == 1.0).await;
    assert_eq!(relay.metric("tls_failures_total").await, 0.0);
}

#[tokio::test]
async fn silent_sockets_of_many_addresses_do_not_lock_the_door_of_tls() {
    let files = Files::new("flood");
    let certificate = files.renew();
    let [cert, key] = files.options();
    let relay = Relay::start(&["--connections=4", &cert, &key]);
    let hello = client_hello(&certificate);
    let mut silent = Vec::new();
    for n in 0..320_u16 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::new(127, 0, 1, (n / 64) as u8 + 1), 0).into()).expect("a source address");
        let mut stream = socket.connect(relay.address).await.expect("a connection");
        // Some have begun a handshake. The first may be closed already.
        let _ = stream.write_all(&hello[..usize::from(n) % hello.len()]).await;
        silent.push(stream);
    }
    relay.until_metric("closed_at_the_door_total", |closed| closed >= 60.0).await;
    Member::join(&relay, &certificate).await.is_served().await;
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let files = Files::new("start");
    files.renew();
    let cert = files.directory.join("cert.pem").display().to_string();
    let key = files.directory.join("key.pem").display().to_string();
    for (words, named) in [
        ([format!("--tls-cert={key}"), format!("--tls-key={key}")], format!("{key}: there is no certificate in it")),
        ([format!("--tls-cert={cert}"), format!("--tls-key={cert}")], format!("{cert}: ")),
        ([String::from("--tls-cert=no/such"), format!("--tls-key={key}")], String::from("no/such: ")),
    ] {
        let output = command(&[&words[0], &words[1]]).stderr(Stdio::piped()).output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains(&format!("peersockets-relay: --tls-cert, --tls-key: {named}")), "{stderr}");
    }
}
