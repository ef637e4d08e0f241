//! STUN and TURN servers that a relay announces, and the credentials for them.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Client, Event, MANY_SOCKETS, ROOM, Relay, command, line};
use futures_util::future::join_all;
use peersockets_core::rendezvous::{HangupReason, ToRelay};
use peersockets_core::rtc::IceServer;

/// As `openssl rand -base64 32` makes one.
const SECRET: &str = "mfZ4JgZ1o+8/9rFVZb3qN1n0c0pF2xkQ3sM2m1vJ0aE=";
const OTHER: &str = "0123456789abcdef0123456789abcdef";
const STUN: &str = "stun:stun.example.org:3478";
const TURN: [&str; 2] = ["turn:turn.example.org:3478?transport=udp", "turns:[2001:db8::1]:5349"];
const DAY: u64 = 86_400;

/// A file of one test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// A relay that announces a STUN server and two TURN servers, with its secret in this file.
fn with_turn(name: &str, options: &[&str]) -> Relay {
    let mut command = command(options);
    command.arg("--turn-secret").arg(file(name, &format!("{SECRET}\n")));
    command.args(["--stun", STUN, "--turn", TURN[0], "--turn", TURN[1]]).stderr(Stdio::piped());
    Relay::spawn(command)
}

async fn announced(client: &mut Client) -> Vec<IceServer> {
    match client.event().await {
        Event::IceServers(servers) => servers,
        other => panic!("expected ICE SERVERS, got {other:?}"),
    }
}

/// A member, and what it is told of.
async fn join(relay: &Relay) -> (Client, Vec<IceServer>) {
    let (mut client, _) = Client::join(relay, ROOM).await;
    let servers = announced(&mut client).await;
    (client, servers)
}

/// What coturn demands as the password of a user name, computed by another program.
fn password(secret: &str, username: &str) -> String {
    let script = r#"printf %s "$2" | openssl dgst -sha1 -hmac "$1" -binary | openssl base64"#;
    let output = Command::new("sh").args(["-c", script, "sh", secret, username]).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("base64").trim_end().to_owned()
}

/// The second in which the credential of the TURN servers expires. All of them have the same, signed with `secret`.
fn expiry(servers: &[IceServer], secret: &str) -> u64 {
    let [stun, turn @ ..] = servers else { panic!("no servers") };
    assert_eq!(stun, &IceServer { url: STUN.to_owned(), username: String::new(), credential: String::new() });
    assert_eq!(turn.iter().map(|server| &server.url[..]).collect::<Vec<_>>(), TURN);
    assert_eq!(turn[0].username, turn[1].username);
    for server in turn {
        assert_eq!(server.credential, password(secret, &server.username));
    }
    let (expires, name) = turn[0].username.split_once(':').expect("a time and a name");
    assert!(!name.contains(':') && name.len() == 16, "{name}");
    expires.parse().expect("seconds since 1970")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[tokio::test]
async fn ice_servers_are_announced_right_behind_the_welcome() {
    let relay = with_turn("announced-secret.txt", &MANY_SOCKETS);
    let before = now();
    // Each dials whom it is told of, so that DIALED comes as early as it can.
    let members = join_all((0..30).map(async |_| {
        let (mut client, present) = Client::join(&relay, ROOM).await;
        for member in present {
            client.send(ToRelay::Dial(line(member, 1))).await;
        }
        let servers = announced(&mut client).await;
        (client, servers)
    }));
    let members = members.await;
    let mut names = Vec::new();
    for (_, servers) in &members {
        let expires = expiry(servers, SECRET);
        assert!((before + DAY..=now() + DAY + 1).contains(&expires), "{expires}");
        names.push(servers[1].username.clone());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), members.len(), "each has a user name of its own");
}

#[tokio::test]
async fn a_relay_without_such_servers_announces_none() {
    let relay = Relay::start(&[]);
    let (mut client, _) = Client::join(&relay, ROOM).await;
    client.heard().await;
    client.send(ToRelay::Dial(line(0, 1))).await;
    assert_eq!(client.event().await, Event::HungUp(line(0, 1), HangupReason::Gone));
}

#[tokio::test]
async fn credentials_are_announced_anew_before_they_expire() {
    const TIME: u64 = 6;
    let relay = with_turn("renewed-credentials.txt", &["--turn-time=6s"]);
    let (mut first, servers) = join(&relay).await;
    let (mut second, _) = join(&relay).await;
    let mut expires = expiry(&servers, SECRET);
    for _ in 0..2 {
        let servers = announced(&mut first).await;
        let next = expiry(&servers, SECRET);
        // Those before were good when these were made.
        assert!((expires..expires + TIME).contains(&next), "{expires}, then {next}");
        expires = next;
        let of_the_second = announced(&mut second).await;
        expiry(&of_the_second, SECRET);
        assert_ne!(servers, of_the_second);
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_of_no_server() {
    let relay = with_turn("not-let-in.txt", &["--auth-token", OTHER, "--room-members=2"]);
    let mut stranger = Client::connect(&relay).await;
    stranger.send(ToRelay::Join { room: ROOM }).await;
    stranger.expect_refusal("unauthorized", 1008).await;
    let query = format!("?token={OTHER}");
    let mut members = Vec::new();
    for _ in 0..2 {
        let mut member = Client::showing(&relay, &query, &[]).await;
        member.enter(ROOM).await;
        announced(&mut member).await;
        members.push(member);
    }
    let mut third = Client::showing(&relay, &query, &[]).await;
    third.send(ToRelay::Join { room: ROOM }).await;
    third.expect_refusal("room-full", 1008).await;
}

#[tokio::test]
async fn a_hangup_reads_the_turn_secret_anew_and_all_clients_are_told() {
    const NAME: &str = "renewed-turn-secret.txt";
    let mut relay = with_turn(NAME, &[]);
    let (mut member, servers) = join(&relay).await;
    expiry(&servers, SECRET);
    let mut elsewhere = Client::connect(&relay).await;
    elsewhere.enter([1; 32]).await;
    announced(&mut elsewhere).await;

    file(NAME, "weak");
    relay.signal("HUP");
    let line = relay.until_logged("the old TURN secret stays");
    assert!(line.contains("--turn-secret ") && line.contains("at least 32 characters"), "{line}");
    let (mut newcomer, servers) = join(&relay).await;
    expiry(&servers, SECRET);

    file(NAME, OTHER);
    relay.signal("HUP");
    relay.until_logged("credentials of the new TURN secret");
    for client in [&mut member, &mut newcomer, &mut elsewhere] {
        expiry(&announced(client).await, OTHER);
    }
    let (_, servers) = join(&relay).await;
    expiry(&servers, OTHER);
}

#[tokio::test]
async fn no_turn_secret_and_no_password_is_logged() {
    let mut relay = with_turn("unlogged-secret.txt", &["--log=trace"]);
    let (_client, servers) = join(&relay).await;
    relay.signal("HUP");
    relay.until_logged("credentials of the new TURN secret");
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
    let log = relay.stderr();
    assert!(log.contains("shutting down"), "it was logged at all: {log}");
    for secret in [SECRET, &servers[1].credential, &servers[1].username] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn servers_that_cannot_be_used_are_refused_at_the_start() {
    let good = file("good-turn-secret.txt", SECRET);
    let weak = file("weak-turn-secret.txt", "hunter2-of-the-turn-server");
    let spaced = file("spaced-turn-secret.txt", "two words of which each is one too many");
    let [good, weak, spaced] = [&good, &weak, &spaced].map(|path| path.to_str().expect("text"));
    let many = ["--stun=stun:a.example"; 9];
    for (words, named) in [
        (&["--stun=stun.example.org:3478"][..], "'--stun <URL>': write stun:HOST"),
        (&["--stun=stun:a.example,stun://b.example"], "leave the // out"),
        (&["--turn=turn:a.example?transport=sctp", "--turn-secret", good], "'--turn <URL>': leave '?transport=sctp'"),
        (&["--turn=turn:me:pass@a.example", "--turn-secret", good], "--turn-secret makes them"),
        (&["--turn=turn:a.example"], "'--turn <URL>' needs '--turn-secret <FILE>'"),
        (&["--turn-secret", good], "'--turn-secret <FILE>' needs '--turn <URL>'"),
        (&["--stun=stun:a.example", "--turn-time=1h"], "'--turn-time <TIME>' needs '--turn <URL>'"),
        (&["--turn=turn:a.example", "--turn-secret", good, "--turn-time=soon"], "a time, such as 90m or 24h"),
        (&["--turn=turn:a.example", "--turn-secret", good, "--turn-time=999ms"], "a time from 1s to 365d"),
        (&["--turn=turn:a.example", "--turn-secret", good, "--turn-time=366d"], "a time from 1s to 365d"),
        (&["--turn=turn:a.example", "--turn-secret=no/such/file"], "--turn-secret no/such/file: "),
        (
            &["--turn=turn:a.example", "--turn-secret", weak],
            "a secret has at least 32 characters of ASCII and no spaces",
        ),
        (
            &["--turn=turn:a.example", "--turn-secret", spaced],
            "a secret has at least 32 characters of ASCII and no spaces",
        ),
        (&many, "--stun and --turn name 9 servers, and pages take 8"),
    ] {
        let output = command(&["--check-config"]).args(words).stderr(Stdio::piped()).output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(named), "{words:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    let mut served = command(&["--turn=turn:a.example", "--turn-secret", weak]);
    let output = served.stderr(Stdio::piped()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "neither does it serve");
}

#[tokio::test]
async fn servers_are_options_of_the_file_and_variables_too() {
    let secret = file("secret-of-the-file.txt", SECRET);
    let config = format!(
        "stun = [\"{STUN}\"]\nturn = {TURN:?}\nturn-secret = {:?}\nturn-time = \"1h 30m\"\n",
        secret.to_str().expect("text")
    );
    let config = file("ice.toml", &config);
    let before = now();
    let mut in_file = command(&[]);
    in_file.arg("--config").arg(&config);
    let mut variables = command(&[]);
    variables.env("PEERSOCKETS_STUN", STUN).env("PEERSOCKETS_TURN", TURN.join(","));
    variables.env("PEERSOCKETS_TURN_SECRET", &secret).env("PEERSOCKETS_TURN_TIME", "90m");
    for command in [in_file, variables] {
        let relay = Relay::spawn(command);
        let (_client, servers) = join(&relay).await;
        let expires = expiry(&servers, SECRET);
        assert!((before + 5_400..=now() + 5_401).contains(&expires), "{expires}");
    }
}
