//! The program: how it starts, ends, and what it writes to its log.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};
use std::time::Duration;

use common::{Client, Event, ROOM, Relay, command, line};
use peersockets_core::limits::CIRCUIT_CHUNK;
use peersockets_core::rendezvous::ToRelay;
use tokio_tungstenite::tungstenite::Message;

/// Runs the program until it ends by itself.
fn output(options: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = command(&[]).args(options).stderr(Stdio::piped()).output().expect("it runs");
    (status.code().expect("an exit code"), String::from_utf8(stderr).expect("text"))
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_remedy() {
    let relay = Relay::start(&[]);
    let address = relay.address.to_string();
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"))
        .args(["--listen", &address])
        .output()
        .expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(second.stdout, b"");
    let stderr = String::from_utf8(second.stderr).expect("text");
    assert_eq!(
        stderr,
        format!(
            "peersockets-relay: cannot listen on {address}: another program listens there. \
             Stop it, or take any free port with --port 0 (npm start -- --port 0)\n"
        )
    );
}

#[test]
fn bad_options_are_named_and_end_the_program_with_2() {
    for (options, named) in [
        (&["--queue=lots"][..], "--queue <BYTES>"),
        (&["--room-members=1"], "2..=256"),
        (&["--room-members=257"], "2..=256"),
        (&["--connections=0"], "--connections <COUNT>"),
        (&["--join-timeout=soon"], "a number of seconds from 0.001 to 86400"),
        (&["--join-timeout=NaN"], "a number of seconds"),
        (&["--write-timeout=-1"], "a number of seconds"),
        (&["--dead-after=inf"], "a number of seconds"),
        (&["--client-rate=18446744073709551616"], "--client-rate <BYTES>"),
        (&["--trusted-proxy=nearby"], "--trusted-proxy <CIDR>"),
        (&["--trusted-proxy=0.0.0.0/0"], "everybody would be a proxy"),
        (&["--trusted-proxy=10.0.0.0/8,::/0"], "everybody would be a proxy"),
        (&["--trusted-proxy=10.0.0.1"], "for one address write 10.0.0.1/32"),
        (&["--back-in=26"], "a number of seconds from 0.001 to 25"),
        (&["--log=loud"], "--log <LEVEL>"),
        (&["--unheard-of"], "--unheard-of"),
    ] {
        let (code, stderr) = output(options);
        assert_eq!(code, 2, "{options:?}: {stderr}");
        assert!(stderr.contains(named), "{options:?}: {stderr}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_named() {
    let listen = |address| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"))
            .args(["--public", "--listen", address])
            .output()
            .expect("it runs");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, stderr) = listen("192.0.2.1:0");
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("peersockets-relay: cannot listen on 192.0.2.1:0: "), "{stderr}");
    for (address, example) in [
        ("here", "127.0.0.1:8787"),
        ("8903", "127.0.0.1:8903"),
        (":8903", "127.0.0.1:8903"),
        ("127.0.0.1", "127.0.0.1:8787"),
        ("localhost:http", "127.0.0.1:8787"),
        ("localhost:70000", "127.0.0.1:8787"),
        ("example.com:80", "127.0.0.1:8787"),
    ] {
        let (code, stderr) = listen(address);
        assert_eq!(code, Some(2), "{address}: {stderr}");
        let expected =
            format!("'{address}' for '--listen <ADDRESS:PORT>': expected an IP address and a port, such as {example}");
        assert!(stderr.contains(&expected), "{stderr}");
    }
}

#[tokio::test]
async fn an_operators_port_in_use_is_named_with_its_option() {
    let other = Relay::start(&[]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"))
        .args(["--port=0", "--admin-listen", &other.address.to_string()])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.starts_with(&format!("peersockets-relay: cannot listen on {}: ", other.address)), "{stderr}");
    assert!(stderr.ends_with("Give another address with --admin-listen ADDRESS:PORT\n"), "{stderr}");
}

#[tokio::test]
async fn an_operators_address_that_others_may_reach_is_warned_of() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    command.args(["--port=0", "--admin-listen=0.0.0.0:0"]).stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    let line = relay.until_logged("--admin-listen: whoever reaches 0.0.0.0:");
    assert!(line.contains("WARN"), "{line}");

    let mut command = crate::command(&[]);
    command.stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
    let log = relay.stderr();
    assert!(log.contains("shutting down") && !log.contains("--admin-listen"), "{log}");
}

#[test]
fn localhost_is_an_address_too() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    command.args(["--listen", "localhost:0", "--log=error"]);
    let relay = Relay::spawn(command);
    assert_eq!(relay.address.ip(), std::net::Ipv4Addr::LOCALHOST);
}

#[tokio::test]
async fn a_port_is_taken_instead_of_that_of_the_address() {
    let other = Relay::start(&[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
    command.args(["--listen", &other.address.to_string(), "--port", "0", "--log=error"]);
    let relay = Relay::spawn(command);
    assert_eq!(relay.address.ip(), other.address.ip());
    assert_ne!(relay.address.port(), other.address.port());
}

#[test]
fn its_first_words_are_its_address_and_what_pages_of_other_servers_write() {
    for (listen, host, more) in [("127.0.0.1:0", "127.0.0.1", &[][..]), ("0.0.0.0:0", "ADDRESS", &["--public"])] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peersockets-relay"));
        command.args(["--listen", listen, "--log=off"]).args(more).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines().map(|line| line.expect("a line"));
        let first = lines.next().expect("its first line");
        let port = first.rsplit(':').next().expect("a port");
        assert_eq!(first, format!("listening on http://{}:{port}", listen.trim_end_matches(":0")));
        assert_eq!(
            lines.next().expect("its second line"),
            format!(
                r#"pages of other servers name it: <meta name="peersockets-relay" content="ws://{host}:{port}/relay">"#
            )
        );
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }
}

#[test]
fn a_directory_that_does_not_exist_is_named() {
    for option in ["--www", "--pkg"] {
        let (code, stderr) = output(&[option, "no/such/place"]);
        assert_eq!(code, 1);
        assert_eq!(stderr, format!("peersockets-relay: {option} no/such/place: there is no such directory\n"));
    }
}

#[test]
fn every_limit_is_an_option_with_help_and_default() {
    let help = command(&["--help"]).output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    for (option, default) in [
        ("--room-members <COUNT>", "256"),
        ("--room-members-per-address <COUNT>", "64"),
        ("--connections <COUNT>", "5000"),
        ("--connections-per-address <COUNT>", "1024"),
        ("--new-connections-burst <COUNT>", "60"),
        ("--new-connections-per-second <COUNT>", "10"),
        ("--join-timeout <SECONDS>", "10"),
        ("--ping-interval <SECONDS>", "15"),
        ("--dead-after <SECONDS>", "45"),
        ("--write-timeout <SECONDS>", "30"),
        ("--client-rate <BYTES>", "8388608"),
        ("--client-burst <BYTES>", "33554432"),
        ("--room-rate <BYTES>", "no limit"),
        ("--room-burst <BYTES>", "four times the rate"),
        ("--total-rate <BYTES>", "no limit"),
        ("--total-burst <BYTES>", "four times the rate"),
        ("--queue <BYTES>", "1048576"),
        ("--queue-timeout <SECONDS>", "2"),
        ("--back-in <SECONDS>", "5"),
    ] {
        let (_, about) = help.split_once(option).unwrap_or_else(|| panic!("{option} in {help}"));
        let about = about.split("--").next().expect("its help");
        assert!(about.contains(&format!("[default: {default}]")), "{option}: {about}");
        assert!(about.trim().len() > 60, "{option} says what it is for: {about}");
    }
}

#[tokio::test]
async fn a_signal_sends_every_client_away_and_says_when_the_relay_is_back() {
    for (signal, options, back_in) in [("TERM", &["--back-in=15"][..], 15), ("INT", &[], 5)] {
        let mut relay = Relay::start(options);
        let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
        let mut not_joined = Client::connect(&relay).await;

        relay.signal(signal);
        for client in [&mut caller, &mut called, &mut not_joined] {
            // Nobody is told that another left, who comes back with the relay.
            assert_eq!(client.event().await, Event::GoingAway(Duration::from_secs(back_in)));
            client.expect_refusal("shutting-down", 1012).await;
        }
        assert_eq!(relay.exit_status().await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_hangup_where_nothing_can_be_read_anew_is_harmless() {
    let mut command = command(&[]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    for _ in 0..2 {
        relay.signal("HUP");
        relay.until_logged("SIGHUP: nothing to read anew");
    }
    caller.talk(&mut called, 1, b"still here").await;
}

#[tokio::test]
async fn a_relay_whose_terminal_closes_says_farewell_and_ends() {
    // `script` runs it at a terminal of its own, which closes with `script`.
    let program = env!("CARGO_BIN_EXE_peersockets-relay");
    let mut at_terminal = std::process::Command::new("script");
    at_terminal.args(["--quiet", "--command", &format!("exec '{program}' --port=0"), "/dev/null"]);
    at_terminal.stdin(Stdio::piped());
    let relay = Relay::spawn(at_terminal);
    let mut client = Client::connect(&relay).await;
    client.enter(ROOM).await;
    relay.signal("KILL");
    assert!(matches!(client.event().await, Event::GoingAway(_)));
    client.expect_refusal("shutting-down", 1012).await;
}

#[tokio::test]
async fn a_relay_whose_log_nobody_takes_serves_on() {
    let mut command = command(&["--log=debug"]);
    command.stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    relay.close_log();
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    caller.talk(&mut called, 1, b"still here").await;
    relay.signal("HUP");
    caller.talk(&mut called, 1, b"still here").await;
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_hold_up_the_end() {
    // It may take longer than this test waits for the end.
    let mut relay = Relay::start(&["--queue=65536", "--write-timeout=600", "--dead-after=600"]);
    let mut deaf = Client::with_small_buffers(&relay).await;
    deaf.enter(ROOM).await;
    let (mut sender, _) = Client::join(&relay, ROOM).await;
    let to_deaf = line(deaf.member, 1);
    let sending = tokio::spawn(async move {
        sender.send(ToRelay::Dial(to_deaf)).await;
        loop {
            sender.send(ToRelay::Data(to_deaf, &[0; CIRCUIT_CHUNK])).await;
        }
    });
    relay.until_metric("waits_for_receiver_total", |waits| waits > 0.0).await;

    sending.abort();
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
    drop(deaf);
}

#[tokio::test]
async fn the_log_is_json_for_programs() {
    let mut command = command(&["--log=debug", "--log-format=json"]);
    command.stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    Client::join(&relay, ROOM).await;
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));
    let log = relay.stderr();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let joined = lines.iter().find(|line| line["message"] == "a client joins").expect("it was logged");
    assert_eq!(
        [&joined["level"], &joined["address"], &joined["room"]].map(|value| value.as_str().expect("text")),
        ["DEBUG", "127.0.0.0/24", "abababab…"]
    );
}

#[tokio::test]
async fn addresses_are_logged_in_full_only_if_the_operator_wants_them() {
    for (option, shown) in [("--log-addresses=short", "127.0.0.0/24"), ("--log-addresses=full", "127.0.0.1")] {
        let mut command = command(&["--log=debug", option]);
        command.stderr(Stdio::piped());
        let mut relay = Relay::spawn(command);
        Client::join(&relay, ROOM).await;
        relay.until_logged(&format!("a client joins address={shown} "));
    }
}

#[tokio::test]
async fn the_log_holds_no_message_no_whole_room_and_no_whole_address() {
    let mut command = command(&["--log=trace", "--room-members=2"]);
    command.stderr(Stdio::piped());
    let mut relay = Relay::spawn(command);
    let (mut caller, mut called) = Client::pair(&relay, ROOM).await;
    caller.talk(&mut called, 1, b"between you and me").await;
    let mut third = Client::connect(&relay).await;
    third.send_bytes(b"between you and me".to_vec()).await;
    third.expect_refusal("bad-frame", 1008).await;
    let mut text = Client::connect(&relay).await;
    futures_util::SinkExt::send(&mut text.socket, Message::Text("between you and me".into())).await.expect("sent");
    text.expect_refusal("bad-frame", 1008).await;
    relay.signal("TERM");
    assert_eq!(relay.exit_status().await.code(), Some(0));

    let log = relay.stderr();
    assert!(log.contains("abababab…") && log.contains("127.0.0.0/24"), "it was logged at all: {log}");
    assert!(!log.contains("ababababab"), "{log}");
    assert!(!log.contains("127.0.0.1"), "{log}");
    assert!(!log.contains("between"), "{log}");
    assert!(!log.contains(&format!("{:?}", b"between").replace(['[', ']'], "")), "{log}");
}
