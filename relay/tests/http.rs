//! What the relay serves over HTTP.

mod common;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use common::{Client, PATIENCE, ROOM, Relay};
use peersockets_core::rendezvous::ToRelay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// A fresh directory of a test, removed when it ends.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join(name), text).expect("a file");
        self
    }

    /// With a file that no buffer on the way takes in.
    fn with_large_file(self) -> Self {
        fs::File::create(self.0.join("large")).and_then(|file| file.set_len(8 << 20)).expect("a file");
        self
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a UTF-8 path")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const UPGRADE: &str = "GET /relay HTTP/1.1\r\nhost: relay\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

#[tokio::test]
async fn a_page_can_tell_a_relay_from_another_server() {
    let relay = Relay::start(&[]);
    let answer = relay.get("/relay").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    for header in [
        "x-peersockets-relay: v1",
        "access-control-allow-origin: *",
        "access-control-expose-headers: x-peersockets-relay",
        "upgrade: websocket",
    ] {
        assert!(answer.contains(&format!("\r\n{header}\r\n")), "{header} in {answer}");
    }
    assert!(answer.contains("subprotocol peersockets.relay.v1"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_that_names_another_subprotocol_or_none_is_told_so() {
    let relay = Relay::start(&[]);
    for protocol in ["", "sec-websocket-protocol: chat, peersockets.relay.v2\r\n"] {
        let answer = relay.http(&format!("{UPGRADE}{protocol}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("did not ask for the WebSocket subprotocol peersockets.relay.v1"), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_that_is_none_is_told_so() {
    let relay = Relay::start(&[]);
    let protocol = "sec-websocket-protocol: peersockets.relay.v1\r\nconnection: close\r\n\r\n";
    for (from, to, status) in [
        ("version: 13", "version: 8", "426"),
        ("key: AAAAAAAAAAAAAAAAAAAAAA==", "key: short", "400"),
        ("upgrade: websocket", "upgrade: h2c", "426"),
        ("GET", "POST", "426"),
    ] {
        let answer = relay.http(&format!("{}{protocol}", UPGRADE.replace(from, to))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{to}: {answer}");
    }
}

#[tokio::test]
async fn the_page_and_the_package_are_served_with_their_types() {
    let www = Directory::new("www").with("index.html", "<h1>demo</h1>").with("demo.js", "let x");
    let pkg = Directory::new("pkg").with("peersockets.wasm", "\0asm").with("index.js", "export {}");
    let relay = Relay::start(&["--www", www.path(), "--pkg", pkg.path()]);
    for (path, content_type, body) in [
        ("/", "text/html", "<h1>demo</h1>"),
        ("/index.html", "text/html", "<h1>demo</h1>"),
        ("/demo.js", "text/javascript", "let x"),
        ("/pkg/peersockets.wasm", "application/wasm", "\0asm"),
        ("/pkg/index.js", "text/javascript", "export {}"),
    ] {
        let answer = relay.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains(&format!("content-type: {content_type}\r\n")), "{path}: {answer}");
        assert!(answer.contains("cache-control: no-cache\r\n"), "{path}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{path}: {answer}");
    }
    // Pages of other origins load the package too.
    assert!(relay.get("/pkg/index.js").await.contains("access-control-allow-origin: *\r\n"));
    assert!(relay.get("/nothing").await.starts_with("HTTP/1.1 404 "));
    assert!(relay.get("/pkg/nothing").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn no_path_leads_out_of_a_served_directory() {
    let outside = Directory::new("outside").with("secret.txt", "not for everyone");
    let www = Directory(outside.0.join("www"));
    fs::create_dir(&www.0).expect("a directory");
    let relay = Relay::start(&["--www", www.path(), "--pkg", www.path()]);
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/./../secret.txt",
        "/pkg/../../secret.txt",
        "/pkg/..%2fsecret.txt",
        "//secret.txt",
        &outside.0.join("secret.txt").display().to_string(),
        "/%00/../secret.txt",
    ] {
        let answer = relay.get(path).await;
        assert!(!answer.contains("not for everyone"), "{path}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_symbolic_link_is_followed_wherever_it_leads() {
    let outside =
        Directory::new("linked").with("shared.txt", "for everyone after all").with(".env", "not for everyone");
    let www = Directory(outside.0.join("www"));
    fs::create_dir(&www.0).expect("a directory");
    for (target, link) in [("shared.txt", "file.txt"), ("", "directory"), (".env", ".link")] {
        std::os::unix::fs::symlink(outside.0.join(target), www.0.join(link)).expect("a link");
    }
    let relay = Relay::start(&["--www", www.path()]);
    for path in ["/file.txt", "/directory/shared.txt"] {
        assert!(relay.get(path).await.ends_with("\r\nfor everyone after all"), "{path}");
    }
    for path in ["/.link", "/directory/.env"] {
        assert!(relay.get(path).await.starts_with("HTTP/1.1 404 "), "the name is what counts: {path}");
    }
    let help = common::command(&["--help"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&help.stdout).contains("Symbolic links in it are followed"));
}

#[tokio::test]
async fn no_file_or_directory_with_a_leading_dot_is_served() {
    let place = Directory::new("hidden").with(".env", "not for everyone").with("a.b.txt", "for everyone");
    for name in [".git", "sub"] {
        fs::create_dir(place.0.join(name)).expect("a directory");
        fs::write(place.0.join(name).join("config"), "not for everyone").expect("a file");
        fs::write(place.0.join(name).join(".env"), "not for everyone").expect("a file");
    }
    let relay = Relay::start(&["--www", place.path(), "--pkg", place.path()]);
    for directory in ["", "/pkg"] {
        for path in
            [".env", "%2eenv", "%2Eenv", ".git/config", "%2egit%2fconfig", "sub/.env", "sub%2F.env", "/.env", "./.env"]
        {
            let answer = relay.get(&format!("{directory}/{path}")).await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{directory}/{path}: {answer}");
            assert!(answer.ends_with("\r\nFiles whose names begin with a dot are not served.\n"), "{path}: {answer}");
        }
        assert!(relay.get(&format!("{directory}/a.b.txt")).await.ends_with("\r\nfor everyone"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_answered_with_what_to_do() {
    let empty = Directory::new("empty");
    let mut command = common::command(&[]);
    command.current_dir(empty.path());
    let bare = Relay::spawn(command);
    let full = Relay::start(&["--www", empty.path(), "--pkg", empty.path()]);
    let mut command = common::command(&["--www", "."]);
    command.current_dir(empty.path());
    let page_only = Relay::spawn(command);
    let (no_page, no_package) = ("start the relay with --www DIR.", "start the relay with --pkg DIR.");
    let (not_in_page, not_in_package) = ("no such file in the directory of the page.", "no such file in the package: ");
    for (relay, path, text) in [
        (&bare, "/", no_page),
        (&bare, "/pkg/index.js", no_package),
        (&bare, "/pkg", no_package),
        (&page_only, "/pkg/index.js", no_package),
        (&page_only, "/nothing", not_in_page),
        (&full, "/nothing", not_in_page),
        (&full, "/pkg/index.js", not_in_package),
    ] {
        let answer = relay.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains(text), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_or_for_nothing_more_is_closed() {
    let relay = Relay::start(&[]);
    let (half, idle) = tokio::join!(
        relay.http("GET /health HTTP/1.1\r\nhost: relay\r\n"),
        relay.http("GET /health HTTP/1.1\r\nhost: relay\r\n\r\n"),
    );
    assert_eq!(half, "");
    assert!(idle.starts_with("HTTP/1.1 200 ") && idle.ends_with('}'), "one answer: {idle}");
    assert_eq!(relay.metric("late_newcomers_total").await, 1.0);
}

#[tokio::test]
async fn the_head_of_a_request_may_be_16_kib_long() {
    let relay = Relay::start(&[]);
    for (length, status) in [(15 * 1024, "200"), (17 * 1024, "431")] {
        let start = "GET /health HTTP/1.1\r\nhost: relay\r\nconnection: close\r\nx: ";
        let head = format!("{start}{}\r\n\r\n", "a".repeat(length - start.len() - 4));
        let mut stream = TcpStream::connect(relay.address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("the request");
        // What it did not read makes the end a reset, behind the answer.
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length} bytes: {answer}");
    }
}

#[tokio::test]
async fn no_directory_is_served_that_was_not_named() {
    let place = Directory::new("place");
    fs::write(place.0.join("index.html"), "not for everyone").expect("a file");
    for directory in ["www", "pkg"] {
        fs::create_dir(place.0.join(directory)).expect("a directory");
        fs::write(place.0.join(directory).join("index.html"), "not for everyone").expect("a file");
    }
    let mut command = common::command(&[]);
    command.current_dir(place.path());
    let relay = Relay::spawn(command);
    for path in ["/", "/index.html", "/www/index.html", "/pkg/", "/pkg/index.html"] {
        let answer = relay.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(!answer.contains("not for everyone"), "{path}: {answer}");
    }
}

/// A client that asks for the large file, reads the first bytes of the answer, and no more. `Err`: the status, if it gets none.
async fn stalled_download(relay: &Relay, source: Ipv4Addr) -> Result<TcpStream, String> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a receive buffer");
    socket.bind((IpAddr::from(source), 0).into()).expect("a source address");
    let mut stream = socket.connect(relay.address).await.expect("a connection");
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n").await.expect("the request");
    let mut status = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut status)).await.expect("an answer in time").expect("an answer");
    match &status {
        b"HTTP/1.1 200" => Ok(stream),
        other => Err(String::from_utf8_lossy(other).into_owned()),
    }
}

#[tokio::test]
async fn a_stalled_download_is_closed() {
    let www = Directory::new("stalled").with_large_file();
    let relay = Relay::start(&["--www", www.path(), "--write-timeout=0.5"]);
    let mut stalled = stalled_download(&relay, Ipv4Addr::LOCALHOST).await.expect("an answer");
    relay.until_metric("http_connections", |connections| connections == 1.0).await;
    let mut reading = stalled_download(&relay, Ipv4Addr::LOCALHOST).await.expect("an answer");
    let mut rest = Vec::new();
    timeout(PATIENCE, reading.read_to_end(&mut rest)).await.expect("the end in time").expect("all of it, then the end");
    assert!(rest.len() > 8 << 20, "{} bytes", rest.len());
    // The connection that asks does not count until it is answered.
    relay.until_metric("http_connections", |connections| connections == 0.0).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stalled.read_to_end(&mut rest)).await.expect("the end in time");
    assert!(rest.len() < 8 << 20, "{} bytes", rest.len());
}

#[tokio::test]
async fn downloads_take_neither_a_websockets_place_nor_all_of_another_addresss() {
    let www = Directory::new("downloads").with_large_file();
    let relay = Relay::start(&["--www", www.path(), "--connections=1", "--write-timeout=600"]);
    let mut stalled = Vec::new();
    for host in 2..=5 {
        let source = Ipv4Addr::new(127, 0, 0, host);
        for _ in 0..64 {
            stalled.push(stalled_download(&relay, source).await.expect("one of 64"));
        }
        assert_eq!(stalled_download(&relay, source).await.err().as_deref(), Some("HTTP/1.1 503"), "one more");
    }
    let answer = relay.get("/").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("256 connections over HTTP"), "{answer}");
    assert!(answer.contains("\r\nx-peersockets-relay: v1\r\n"), "a page still knows what it is: {answer}");
    for probe in ["/health", "/ready"] {
        let answer = relay.http(&format!("GET {probe} HTTP/1.1\r\nhost: relay\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close\r\n"), "once: {answer}");
    }
    let (_joined, _) = Client::join(&relay, ROOM).await;

    drop(stalled);
    relay.until_metric("connections", |connections| connections == 1.0).await;
}

#[tokio::test]
async fn health_answers_any_origin() {
    let relay = Relay::start(&[]);
    let answer = relay.get("/health").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert!(answer.contains(r#"{"status":"ok","protocol":"peersockets.relay.v1","#), "{answer}");
}

#[tokio::test]
async fn metrics_are_for_the_operator_alone() {
    let relay = Relay::start(&[]);
    assert!(relay.admin("/metrics").await.starts_with("HTTP/1.1 200 "));
    assert!(relay.admin("/health").await.starts_with("HTTP/1.1 200 "));
    let elsewhere = relay.admin("/relay").await;
    assert!(
        elsewhere.starts_with("HTTP/1.1 404 ") && elsewhere.contains("/metrics, /ready and /health"),
        "{elsewhere}"
    );
    let answer = relay.get("/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("peersockets_relay_"), "{answer}");
}

#[tokio::test]
async fn metrics_count_what_is_there_and_what_was() {
    let relay = Relay::start(&["--room-members=2"]);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    caller.talk(&mut called, 1, b"12345").await;
    called.talk(&mut caller, 1, b"678").await;
    let mut third = Client::connect(&relay).await;
    third.send(ToRelay::Join { room: ROOM }).await;
    third.expect_refusal("room-full", 1008).await;
    drop(third);

    relay.until_metric("connections", |connections| connections == 2.0).await;
    relay.until_metric("frames_total", |frames| frames == 2.0).await;
    for (name, value) in [
        ("connections_opened_total", 3.0),
        ("rooms", 1.0),
        ("members", 2.0),
        ("circuits", 1.0),
        ("data_bytes_total", 8.0),
        ("stray_frames_total", 0.0),
        (r#"refusals_total{code="room-full"}"#, 1.0),
        ("queued_bytes", 0.0),
    ] {
        assert_eq!(relay.metric(name).await, value, "{name}");
    }
    let metrics = relay.admin("/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(!metrics.contains("abababab") && !metrics.contains("127.0.0"), "no room, no address: {metrics}");
}
