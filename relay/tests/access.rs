//! Who may use the relay.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use common::{Client, Event, ROOM, Relay, command, line};
use peersockets_core::drive::DriveKey;
use peersockets_core::rendezvous::{HangupReason, ToRelay};
use peersockets_relay::room_token::{RoomSecret, RoomToken};
use peersockets_relay::rooms::RoomId;

const TOKEN: &str = "Token-of_this.relay~0123456789ab";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const HERE: &str = "https://example.org";

/// Runs the program until it ends by itself: its exit code and what it wrote. It may not begin to serve.
fn run(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("stdout"));
    let mut stdout = String::new();
    output.read_line(&mut stdout).expect("text");
    if stdout.starts_with("listening on") {
        child.kill().and_then(|()| child.wait()).expect("it ends");
        panic!("{words:?}: it serves");
    }
    output.read_to_string(&mut stdout).expect("text");
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    (status.code().expect("an exit code"), stdout, String::from_utf8(stderr).expect("text"))
}

/// A file of one test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file");
    path
}

fn signed(room: Option<[u8; 32]>, starts: SystemTime, seconds: u64) -> String {
    let token = RoomToken::lasting(room.map(RoomId), starts, Duration::from_secs(seconds));
    RoomSecret::new(&SECRET.parse().expect("a secret")).sign(&token)
}

async fn enters(mut client: Client) {
    client.enter(ROOM).await;
}

/// A client that shows a token in its URL.
async fn show(relay: &Relay, token: &str) -> Client {
    Client::showing(relay, &format!("?token={token}"), &[]).await
}

async fn is_refused(mut client: Client) -> String {
    client.expect_refusal("unauthorized", 1008).await
}

#[test]
fn beyond_loopback_it_does_not_start_until_it_is_said_who_may_use_it() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8787"] {
        let (code, stdout, stderr) = run(&["--listen", listen]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        for named in [
            listen,
            "--allow-origin ORIGIN",
            "--auth-token TOKEN",
            "--auth-token-file FILE",
            "--room-secret-file FILE",
            "--public",
        ] {
            assert!(stderr.contains(named), "{named} in {stderr}");
        }
    }
    let (code, _, stderr) = run(&["--trusted-proxy=127.0.0.1/32", "--port=0"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("--trusted-proxy opens this relay to others"), "{stderr}");
    let token = format!("--auth-token={TOKEN}");
    let secret = format!("--room-secret={SECRET}");
    for said in ["--public", "--allow-origin=https://example.org", &token, &secret] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
        command.args(["--listen", "0.0.0.0:0", "--log=error", said]);
        Relay::spawn(command);
    }
    for loopback in ["127.0.0.2:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
        command.args(["--listen", loopback, "--log=error"]);
        Relay::spawn(command);
    }
}

#[test]
fn everybody_and_somebody_is_a_contradiction() {
    for somebody in ["--allow-origin=https://example.org", "--auth-token-file=token", "--room-secret-file=secret"] {
        let (code, _, stderr) = run(&["--public", somebody]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("'--public' cannot be used with"), "{stderr}");
    }
}

#[test]
fn an_origin_that_no_browser_sends_is_refused_at_the_start() {
    for (origin, advice) in [
        ("*", "--public lets in everybody"),
        ("https://example.org/page", "such as https://example.org"),
        ("https://*.example.org", "there are no wildcards"),
        ("wss://example.org", "https://example.org"),
        ("https://example.org:443", "write https://example.org"),
    ] {
        let (code, _, stderr) = run(&["--allow-origin", origin]);
        assert_eq!(code, 2, "{origin}: {stderr}");
        assert!(stderr.contains(advice), "{origin}: {stderr}");
    }
}

#[tokio::test]
async fn only_pages_of_allowed_origins_are_served() {
    let relay = Relay::start(&["--allow-origin", "https://Example.org/", "--allow-origin", "http://localhost:5173"]);
    for origin in [HERE, "http://localhost:5173"] {
        enters(Client::showing(&relay, "", &[("origin", origin)]).await).await;
    }
    for origin in [
        "https://evil.example",
        "http://example.org",
        "https://example.org.evil.example",
        "https://example.org:8443",
        "null",
    ] {
        let text = is_refused(Client::showing(&relay, "", &[("origin", origin)]).await).await;
        assert_eq!(text, "this relay does not serve pages of this origin", "{origin}");
    }
    is_refused(Client::showing(&relay, "", &[("origin", HERE), ("origin", "https://evil.example")]).await).await;
    let text = is_refused(Client::connect(&relay).await).await;
    assert_eq!(text, "this relay serves pages only", "a program has no origin");
}

#[tokio::test]
async fn a_program_without_an_origin_is_served_if_it_has_the_token() {
    let relay = Relay::start(&["--allow-origin", HERE, "--auth-token", TOKEN]);
    let query = format!("?token={TOKEN}");
    enters(Client::showing(&relay, &query, &[]).await).await;
    enters(Client::showing(&relay, &query, &[("origin", HERE)]).await).await;
    is_refused(Client::showing(&relay, &query, &[("origin", "https://evil.example")]).await).await;
    is_refused(Client::showing(&relay, "", &[("origin", HERE)]).await).await;
}

#[tokio::test]
async fn the_token_is_shown_in_the_url_or_as_a_header() {
    let path = file("token.txt", &format!("\n {TOKEN}\n"));
    for option in [format!("--auth-token={TOKEN}"), format!("--auth-token-file={}", path.display())] {
        let relay = Relay::start(&[&option]);
        enters(Client::showing(&relay, &format!("?token={TOKEN}"), &[]).await).await;
        enters(Client::showing(&relay, &format!("?a=1&token={TOKEN}&b=2"), &[]).await).await;
        let escaped = TOKEN.replace('~', "%7E");
        assert_ne!(escaped, TOKEN);
        enters(Client::showing(&relay, &format!("?token={escaped}"), &[]).await).await;
        enters(Client::showing(&relay, "", &[("authorization", &format!("Bearer {TOKEN}"))]).await).await;
        for (query, authorization) in [
            (format!("?token={}", TOKEN.to_lowercase()), ""),
            (format!("?token={}", &TOKEN[1..]), ""),
            (format!("?token={TOKEN}x"), ""),
            (String::from("?token="), ""),
            (String::new(), "Bearer wrong"),
        ] {
            let headers = [("authorization", authorization)];
            let text =
                is_refused(Client::showing(&relay, &query, &headers[usize::from(authorization.is_empty())..]).await)
                    .await;
            assert_eq!(text, "the token for this relay is wrong", "{query} {authorization}");
        }
        let basic = format!("Basic {TOKEN}");
        for headers in [&[][..], &[("authorization", basic.as_str())]] {
            let text = is_refused(Client::showing(&relay, "?nottoken=1", headers).await).await;
            assert!(text.contains("/relay?token=TOKEN"), "{text}");
        }
        assert!(relay.get("/health").await.starts_with("HTTP/1.1 200 "), "health needs no token");
    }
}

#[tokio::test]
async fn a_signed_token_opens_its_room_until_it_expires() {
    let relay = Relay::start(&["--room-secret", SECRET]);
    let now = SystemTime::now();
    enters(show(&relay, &signed(Some(ROOM), now, 3_600)).await).await;
    enters(show(&relay, &signed(None, now, 3_600)).await).await;

    let mut client = show(&relay, &signed(Some([1; 32]), now, 3_600)).await;
    client.send(ToRelay::Join { room: ROOM }).await;
    assert_eq!(is_refused(client).await, "the token for this relay is one for another drive");
    // At once: it takes no place until the time for a JOIN is over.
    let expired = show(&relay, &signed(Some(ROOM), now - Duration::from_secs(60), 60)).await;
    assert_eq!(is_refused(expired).await, "the token for this relay has expired");
    let other = RoomSecret::new(&SECRET.to_uppercase().parse().expect("a secret"));
    let forged = other.sign(&RoomToken::lasting(None, now, Duration::from_secs(3_600)));
    assert_eq!(is_refused(show(&relay, &forged).await).await, "the token for this relay is wrong");
    // Without a token there is not even a JOIN.
    is_refused(Client::connect(&relay).await).await;
}

#[tokio::test]
async fn the_token_for_all_rooms_and_signed_ones_go_together() {
    let relay = Relay::start(&["--auth-token", TOKEN, "--room-secret", SECRET]);
    enters(Client::showing(&relay, &format!("?token={TOKEN}"), &[]).await).await;
    let token = signed(Some(ROOM), SystemTime::now(), 60);
    enters(Client::showing(&relay, &format!("?token={token}"), &[]).await).await;
}

#[tokio::test]
async fn a_token_is_checked_before_there_is_a_room() {
    let relay = Relay::start(&["--room-secret", SECRET]);
    let (token, other) = (signed(Some(ROOM), SystemTime::now(), 60), signed(Some([1; 32]), SystemTime::now(), 60));
    let mut member = Client::showing(&relay, &format!("?token={token}"), &[]).await;
    assert!(member.enter(ROOM).await.is_empty());
    let mut intruder = Client::showing(&relay, &format!("?token={other}"), &[]).await;
    intruder.send(ToRelay::Join { room: ROOM }).await;
    is_refused(intruder).await;
    let mut next = Client::showing(&relay, &format!("?token={token}"), &[]).await;
    assert_eq!(next.enter(ROOM).await, [member.member], "who was refused was no member");
    assert_eq!(next.member, member.member + 1, "and has taken no number");
    assert_eq!(relay.metric(r#"refusals_total{code="unauthorized"}"#).await, 1.0);
}

#[tokio::test]
async fn who_is_refused_takes_no_place_of_who_is_served() {
    let relay = Relay::start(&["--connections=2", "--auth-token", TOKEN]);
    let mut refused = Vec::new();
    for _ in 0..10 {
        let mut client = Client::connect(&relay).await;
        match client.event().await {
            Event::Refused(code, _) => assert_eq!(code, "unauthorized"),
            other => panic!("{other:?}"),
        }
        // It does not close, so the relay waits for it a while.
        refused.push(client);
    }
    enters(Client::showing(&relay, &format!("?token={TOKEN}"), &[]).await).await;
}

#[tokio::test]
async fn guessing_tokens_is_as_slow_as_opening_connections() {
    let relay = Relay::start(&["--auth-token", TOKEN, "--new-connections-burst=2", "--new-connections-per-second=1"]);
    let mut codes = Vec::new();
    // On a slow machine some more guesses are allowed meanwhile.
    while codes.len() < 20 && codes.last().is_none_or(|code| code != "too-fast") {
        match Client::showing(&relay, "?token=guessed", &[]).await.event().await {
            Event::Refused(code, _) => codes.push(code),
            other => panic!("{other:?}"),
        }
    }
    let (last, guesses) = codes.split_last().expect("a code");
    assert_eq!(last, "too-fast");
    assert!(guesses.len() >= 2 && guesses.iter().all(|code| code == "unauthorized"), "{guesses:?}");
}

#[tokio::test]
async fn a_hangup_reads_the_files_of_secrets_anew() {
    const OTHER: &str = "fedcba9876543210fedcba9876543210";
    let (token, secret) = (file("renewed-token.txt", TOKEN), file("renewed-secret.txt", SECRET));
    let mut command = command(&[]);
    command.arg("--auth-token-file").arg(&token).arg("--room-secret-file").arg(&secret).stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    let old = signed(Some(ROOM), SystemTime::now(), 60);
    let mut member = show(&relay, TOKEN).await;
    member.enter(ROOM).await;
    enters(show(&relay, &old).await).await;

    // What can't be used leaves everything as it was, the file that can be used too.
    for (token, secret) in [("weak", OTHER), (OTHER, "weak")] {
        file("renewed-token.txt", token);
        file("renewed-secret.txt", secret);
        relay.signal("HUP");
        let line = relay.until_logged("the old secrets stay");
        assert!(line.contains("-file ") && line.contains("at least 32") && !line.contains(OTHER), "{line}");
        enters(show(&relay, TOKEN).await).await;
        enters(show(&relay, &old).await).await;
        is_refused(show(&relay, OTHER).await).await;
    }
    file("renewed-token.txt", OTHER);
    file("renewed-secret.txt", OTHER);
    relay.signal("HUP");
    relay.until_logged("new connections need the new secrets");
    enters(show(&relay, OTHER).await).await;
    is_refused(show(&relay, TOKEN).await).await;
    is_refused(show(&relay, &old).await).await;
    member.send(ToRelay::Dial(line(0, 1))).await;
    assert_eq!(member.event().await, Event::HungUp(line(0, 1), HangupReason::Gone), "who is in stays");
}

#[test]
fn a_weak_or_missing_secret_is_named() {
    let weak = file("weak.txt", "hunter2\n");
    let weak = weak.to_str().expect("text");
    for option in ["--auth-token-file", "--room-secret-file"] {
        let (code, _, stderr) = run(&[option, weak]);
        assert_eq!(code, 1);
        assert!(
            stderr.starts_with(&format!("peersockets-relay: {option} {weak}: a secret has at least 32 ")),
            "{stderr}"
        );
        let (code, _, stderr) = run(&[option, "no/such/file"]);
        assert_eq!(code, 1);
        assert!(stderr.starts_with(&format!("peersockets-relay: {option} no/such/file: ")), "{stderr}");
    }
    for word in [
        "--auth-token=hunter2",
        "--room-secret=0123456789abcdef0123456789abcdef!",
        "--auth-token=Ä23456789012345678901234567890123",
    ] {
        let (code, _, stderr) = run(&[word]);
        assert_eq!(code, 2);
        assert!(stderr.contains("a secret has at least 32 "), "{stderr}");
    }
}

#[tokio::test]
async fn the_command_token_makes_what_the_relay_takes() {
    let file = file("room-secret.txt", SECRET);
    let file = file.to_str().expect("text");
    let key = DriveKey::from_bytes([7; 32]);
    let (drive, room) = (format!("hyper://{}", "07".repeat(32)), key.rendezvous_id());
    let id: String = room.iter().map(|byte| format!("{byte:02x}")).collect();
    let relay = Relay::start(&["--room-secret-file", file]);
    for (words, opened) in [(["--room", &id], room), (["--drive", &drive], room), (["--room", "*"], ROOM)] {
        let (code, stdout, stderr) = run(&[&["token", "--room-secret-file", file, "--for", "1h"][..], &words].concat());
        assert_eq!((code, stderr.as_str()), (0, ""));
        let mut client = Client::showing(&relay, &format!("?token={}", stdout.trim_end()), &[]).await;
        client.enter(opened).await;
    }
    for (words, named) in [
        (&["token", "--room", "*", "--for", "1h"][..], "--room-secret-file <FILE>"),
        (&["token", "--room-secret-file", file, "--for", "1h"], "<--room <ID>|--drive <DRIVE>>"),
        (
            &["token", "--room-secret-file", file, "--room", "*", "--drive", &drive, "--for", "1h"],
            "cannot be used with",
        ),
        (&["token", "--room-secret-file", file, "--room", "*"], "--for <TIME>"),
        (&["token", "--room-secret-file", file, "--room", "abc", "--for", "1h"], "64 hex digits, or *"),
        (&["token", "--room-secret-file", file, "--drive", "hyper://x", "--for", "1h"], "--drive <DRIVE>"),
        (&["token", "--room-secret-file", file, "--room", "*", "--for", "soon"], "--for <TIME>"),
        (&["token", "--room-secret-file", file, "--room", "*", "--for", "999ms"], "good at no time"),
    ] {
        let (code, stdout, stderr) = run(words);
        assert_eq!((code, stdout.as_str()), (2, ""), "{words:?}");
        assert!(stderr.contains(named), "{words:?}: {stderr}");
    }
}

#[tokio::test]
async fn no_token_and_no_secret_is_logged() {
    let mut command = command(&["--log=trace", "--auth-token", TOKEN, "--room-secret", SECRET]);
    command.stderr(std::process::Stdio::piped());
    let mut relay = Relay::spawn(command);
    let signed = signed(Some(ROOM), SystemTime::now(), 60);
    for token in [TOKEN, &signed] {
        enters(Client::showing(&relay, &format!("?token={token}"), &[]).await).await;
    }
    for token in [TOKEN, &signed] {
        let header = format!("Bearer {token}");
        enters(Client::showing(&relay, "", &[("authorization", &header)]).await).await;
    }
    is_refused(show(&relay, "some-guess").await).await;
    is_refused(Client::showing(&relay, "", &[("authorization", "Bearer another-guess")]).await).await;
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
    let log = relay.stderr();
    assert!(log.contains("unauthorized"), "it was logged at all: {log}");
    for secret in [TOKEN, SECRET, &signed, "some-guess", "another-guess"] {
        assert!(!log.contains(secret), "{log}");
    }
}
