//! The same options on the command line, in the environment and in a file.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{Client, ROOM, Relay};
use peersockets_core::rendezvous::ToRelay;
use peersockets_relay::config;
use peersockets_relay::log::Format;
use peersockets_relay::options::Options;
use peersockets_relay::room_token::RoomSecret;

/// A file of one test, removed when it ends.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.toml", std::process::id()));
        fs::write(&path, text).expect("a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a UTF-8 path")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_peersockets-relay"))
}

/// What is wrong with its options, and its exit code.
fn check(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.arg("--check-config").output().expect("it runs");
    assert_eq!(stdout.is_empty(), !status.success());
    (status.code().expect("an exit code"), String::from_utf8(stderr).expect("text"))
}

/// Where it would listen, and for whom.
fn plan(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.arg("--check-config").output().expect("it runs");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = String::from_utf8(stdout).expect("text");
    let plan = text.strip_prefix("all of it can be used: ").and_then(|text| text.strip_suffix('\n'));
    plan.expect("a line").to_owned()
}

/// The limit of members that a relay started so has.
async fn members(mut command: Command) -> usize {
    let relay = Relay::spawn(command.args(["--log=error", "--port=0"]).take());
    let mut joined = Vec::new();
    loop {
        let mut client = Client::connect(&relay).await;
        client.send(ToRelay::Join { room: ROOM }).await;
        match client.event().await {
            common::Event::Welcome(..) => joined.push(client),
            common::Event::Refused(code, _) if code == "room-full" => return joined.len(),
            other => panic!("{other:?}"),
        }
    }
}

trait Take {
    fn take(&mut self) -> Command;
}

impl Take for Command {
    fn take(&mut self) -> Command {
        std::mem::replace(self, program())
    }
}

#[tokio::test]
async fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file = File::new("precedence", "room-members = 2\n");
    for (variable, words, expected) in [
        (None, &[][..], 2),
        (Some("3"), &[], 3),
        (None, &["--room-members=4"], 4),
        (Some("3"), &["--room-members=4"], 4),
    ] {
        let mut command = program();
        command.args(["--config", file.path()]).args(words);
        if let Some(value) = variable {
            command.env("PEERSOCKETS_ROOM_MEMBERS", value);
        }
        assert_eq!(members(command).await, expected, "{variable:?} {words:?}");
    }
    let mut named = program();
    named.env("PEERSOCKETS_CONFIG", file.path());
    assert_eq!(members(named).await, 2, "the environment may name the file");
}

#[test]
fn of_options_that_depend_on_each_other_the_higher_source_goes_before() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const BOTH: &str = "room-rate = 4096\ntls-key = \"no/such/key\"\n";
    for (text, variables, words, expected) in [
        ("", &[][..], &[][..], "http://127.0.0.1:8787, for everybody"),
        // A port is a part of the address.
        ("port = 1", &[], &["--listen=127.0.0.1:2"], "http://127.0.0.1:2, for everybody"),
        ("port = 1", &[("LISTEN", "127.0.0.1:2")], &[], "http://127.0.0.1:2, for everybody"),
        ("port = 1", &[("LISTEN", "127.0.0.1:2")], &["--port=3"], "http://127.0.0.1:3, for everybody"),
        ("listen = \"127.0.0.1:1\"", &[("PORT", "2")], &[], "http://127.0.0.1:2, for everybody"),
        ("listen = \"127.0.0.1:1\"\nport = 2", &[], &[], "http://127.0.0.1:2, for everybody"),
        // Everybody and somebody.
        ("allow-origin = \"https://a.example\"", &[], &["--public"], "http://127.0.0.1:8787, for everybody"),
        (
            "public = true",
            &[],
            &["--allow-origin=https://a.example"],
            "http://127.0.0.1:8787, for pages of https://a.example",
        ),
        (
            "public = true",
            &[("AUTH_TOKEN", TOKEN)],
            &[],
            "http://127.0.0.1:8787, for everybody with a token (--auth-token)",
        ),
        (
            "",
            &[("PUBLIC", "true")],
            &["--allow-origin=https://a.example"],
            "http://127.0.0.1:8787, for pages of https://a.example",
        ),
        (
            "",
            &[("PUBLIC", "false")],
            &["--allow-origin=https://a.example"],
            "http://127.0.0.1:8787, for pages of https://a.example",
        ),
        (
            "public = true",
            &[("PUBLIC", "false"), ("ALLOW_ORIGIN", "https://a.example,https://b.example")],
            &[],
            "http://127.0.0.1:8787, for pages of https://a.example, https://b.example",
        ),
        (
            "allow-origin = \"https://a.example\"\nauth-token-file = \"no/such/file\"",
            &[("AUTH_TOKEN", TOKEN)],
            &[],
            "http://127.0.0.1:8787, for pages of https://a.example with a token (--auth-token)",
        ),
        (
            "",
            &[("AUTH_TOKEN_FILE", "no/such/file")],
            &["--auth-token", TOKEN],
            "http://127.0.0.1:8787, for everybody with a token (--auth-token)",
        ),
        // A part here, and a part there.
        ("room-rate = 4096", &[], &["--room-burst=8192"], "http://127.0.0.1:8787, for everybody"),
        ("total-burst = 4096", &[("TOTAL_RATE", "4096")], &[], "http://127.0.0.1:8787, for everybody"),
    ] {
        let file = File::new("sources", &format!("{text}\n"));
        let mut command = program();
        command.args(["--config", file.path()]).args(words);
        command.envs(variables.iter().map(|(name, value)| (format!("PEERSOCKETS_{name}"), value)));
        assert_eq!(plan(&mut command), expected, "{text} {variables:?} {words:?}");
    }
    // The certificate is looked for, so it was no mistake that the key is in the file.
    let file = File::new("both", BOTH);
    let (_, stderr) = check(program().args(["--config", file.path(), "--tls-cert=no/such/cert"]));
    assert!(stderr.contains("--tls-cert, --tls-key: no/such/cert: "), "{stderr}");
}

#[test]
fn what_one_source_says_twice_or_by_half_is_named() {
    let file = File::new("twice", "port = 1\nallow-origin = \"https://a.example\"\npublic = true\nroom-burst = 4096\n");
    let (code, stderr) = check(program().args(["--config", file.path()]));
    assert_eq!(code, 2);
    let named = format!("{}: line 3: '--public' cannot be used with '--allow-origin <ORIGIN>'", file.path());
    assert!(stderr.contains(&named), "{stderr}");
    let (code, stderr) = check(program().args(["--config", file.path(), "--public"]));
    assert_eq!(code, 2);
    let named = format!("{}: line 4: '--room-burst <BYTES>' needs '--room-rate <BYTES>'", file.path());
    assert!(stderr.contains(&named), "{stderr}");
    let variables = [("PEERSOCKETS_PUBLIC", "true"), ("PEERSOCKETS_ALLOW_ORIGIN", "https://a.example")];
    let (code, stderr) = check(program().envs(variables));
    assert_eq!(code, 2);
    assert!(stderr.contains("'PEERSOCKETS_PUBLIC' cannot be used with 'PEERSOCKETS_ALLOW_ORIGIN'"), "{stderr}");
}

#[test]
fn every_option_has_a_variable_named_after_it_and_its_help_shows_no_value() {
    let names: Vec<String> =
        config::command().get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    assert!(names.len() > 30, "{names:?}");
    let mut command = program();
    let help = command.env("PEERSOCKETS_AUTH_TOKEN", "a-secret-of-the-operator-0123456").arg("--help").output();
    let help = String::from_utf8(help.expect("it runs").stdout).expect("text");
    for name in names.iter().filter(|name| !["help", "version"].contains(&name.as_str())) {
        let variable = format!("PEERSOCKETS_{}", name.replace('-', "_").to_ascii_uppercase());
        assert!(help.contains(&format!("[env: {variable}")), "{variable} in {help}");
    }
    assert!(!help.contains("a-secret-of-the-operator"), "{help}");
}

/// The options that a relay started with this file has.
fn options(file: &File) -> Options {
    let words = ["peersockets-relay", "--config", file.path()];
    config::read(words.map(Into::into)).unwrap_or_else(|error| panic!("{error}")).options
}

#[test]
fn numbers_in_a_file_are_what_toml_says() {
    for (text, queue) in [
        ("65_536", 65_536),
        ("+65536", 65_536),
        ("0x1_0001", 65_537),
        ("0xFFFF", 65_535),
        ("0o200002", 65_538),
        ("0b1_0000_0000_0000_0011", 65_539),
    ] {
        assert_eq!(options(&File::new("radix", &format!("queue = {text}\n"))).limits.queue, queue, "{text}");
    }
    for text in ["65_536.0", "1e6", "-65536", "0xffffffffffffffffffffffffffffffffff"] {
        let file = File::new("no-number", &format!("\nqueue = {text}\n"));
        let (code, stderr) = check(program().args(["--config", file.path()]));
        assert!(code == 2 && stderr.contains("line 2: "), "{text}: {stderr}");
    }
    for (text, timeout) in [("2.5", 2.5), ("1e1", 10.0), ("3", 3.0), ("0x10", 16.0), ("1_0.2_5", 10.25)] {
        let file = File::new("seconds", &format!("join-timeout = {text}\n"));
        assert_eq!(options(&file).limits.join_timeout.as_secs_f64(), timeout, "{text}");
    }
}

#[test]
fn every_kind_of_value_can_be_in_a_file() {
    let file = File::new(
        "kinds",
        "# a comment\nlisten = \"0.0.0.0:0\"\nallow-origin = [\"https://example.org\", \"http://localhost:5173\"]\n\
         trusted-proxy = \"127.0.0.0/8\"\njoin-timeout = 2.5\nqueue = 65_536\nlog-format = \"json\"\npublic = false\n",
    );
    let expected = "http://0.0.0.0:0, for pages of https://example.org, http://localhost:5173";
    assert_eq!(plan(program().args(["--config", file.path()])), expected);
    let options = options(&file);
    assert_eq!(options.listen, ([0, 0, 0, 0], 0).into());
    let origins = ["https://example.org", "http://localhost:5173"].map(|origin| origin.parse().expect("an origin"));
    assert_eq!(options.access.allow_origin, origins);
    assert_eq!(options.trusted_proxy, ["127.0.0.0/8".parse().expect("a network")]);
    assert_eq!((options.limits.join_timeout.as_secs_f64(), options.limits.queue), (2.5, 65_536));
    assert!(matches!(options.log.log_format, Format::Json) && !options.access.public);
    let file = File::new("public", "listen = \"0.0.0.0:0\"\npublic = true\n");
    assert_eq!(check(program().args(["--config", file.path()])), (0, String::new()));
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line() {
    for (text, line, named) in [
        ("port = 1\nunheard-of = 2\n", 2, "there is no option unheard-of"),
        ("\n\nroom_members = 2\n", 3, "there is no option room_members"),
        ("config = \"other.toml\"\n", 1, "there is no option config"),
        ("check-config = true\n", 1, "there is no option check-config"),
        ("[limits]\nqueue = 1\n", 1, "there is no option limits"),
        ("public = \"yes\"\n", 1, "public is true or false"),
        ("port = true\n", 1, "port is a text, a number, or a list of them"),
        ("# limits\nqueue = \"lots\"\n", 2, "invalid value 'lots' for '--queue <BYTES>'"),
        ("port = 1\nallow-origin = [\"https://example.org\", \"*\"]\n", 2, "--public lets in everybody"),
        ("port = 1\nallow-origin = []\n", 2, "allow-origin is an empty list"),
        ("port = 1\nlisten = \n", 2, ""),
        ("port = 1\nport = 2\n", 2, "duplicate key"),
    ] {
        let file = File::new("mistake", text);
        let (code, stderr) = check(program().args(["--config", file.path()]));
        assert_eq!(code, 2, "{text}: {stderr}");
        let place = format!("{}: line {line}: ", file.path());
        assert!(stderr.contains(&place) && stderr.contains(named), "{text}: {stderr}");
    }
    let (code, stderr) = check(program().args(["--config", "no/such/file"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("no/such/file: "), "{stderr}");
}

#[test]
fn a_secret_that_cannot_be_used_is_not_shown() {
    const WEAK: &str = "hunter2-of-the-operator";
    for option in ["auth-token", "room-secret"] {
        let file = File::new("weak", &format!("port = 1\n{option} = \"{WEAK}\"\n"));
        let variable = format!("PEERSOCKETS_{}", option.replace('-', "_").to_ascii_uppercase());
        let word = format!("--{option}={WEAK}");
        for command in [
            program().arg(&word),
            program().args([&word[..word.len() - WEAK.len() - 1], WEAK]),
            program().env(&variable, WEAK),
            program().args(["--config", file.path()]),
        ] {
            let (code, stderr) = check(command);
            assert_eq!(code, 2, "{stderr}");
            assert!(stderr.contains(&format!("--{option} <")) && stderr.contains("at least 32"), "{stderr}");
            assert!(!stderr.contains("hunter2"), "{stderr}");
        }
        let (_, stderr) = check(program().args(["--config", file.path()]));
        assert!(stderr.contains(&format!("{}: line 2: ", file.path())), "{stderr}");
    }
    let mut command = program();
    command.args(["token", "--room=*", "--for=1h", "--room-secret", WEAK]);
    let stderr = String::from_utf8(command.output().expect("it runs").stderr).expect("text");
    assert!(stderr.contains("at least 32") && !stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_variable_without_an_option_is_refused() {
    let (code, stderr) = check(
        program()
            .env("PEERSOCKETS_ALLOW_ORIGINS", "https://example.org")
            .env("PEERSOCKETS_ROOM_MEMBERS", "2")
            .env("PEERSOCKETS_", ""),
    );
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("PEERSOCKETS_, PEERSOCKETS_ALLOW_ORIGINS of the environment"), "{stderr}");
    assert!(!stderr.contains("example.org") && !stderr.contains("ROOM_MEMBERS"), "{stderr}");
    // A variable of the command token, and what Kubernetes says of a service named as the relay.
    let others = [("PEERSOCKETS_DRIVE", ""), ("PEERSOCKETS_RELAY_PORT", "tcp://10.0.0.1:8787")];
    assert_eq!(check(program().envs(others)), (0, String::new()));
}

#[test]
fn a_mistake_elsewhere_is_not_blamed_on_the_file() {
    let file = File::new("blameless", "queue = 65536\n");
    for command in [program().arg("--queue=lots"), program().env("PEERSOCKETS_QUEUE", "lots")] {
        let (code, stderr) = check(command.args(["--config", file.path()]));
        assert_eq!(code, 2);
        assert!(stderr.contains("invalid value 'lots'") && !stderr.contains("line 1"), "{stderr}");
    }
}

#[test]
fn check_config_says_what_would_keep_the_relay_from_starting() {
    for (words, named) in [
        (&["--listen=0.0.0.0:0"][..], "--public (everybody)"),
        (&["--dead-after=15"], "--dead-after has to be longer than --ping-interval"),
        (&["--port=9787", "--admin-listen=127.0.0.1:9787"], "both 127.0.0.1:9787"),
        (&["--www=no/such/place"], "no/such/place: there is no such directory"),
        (&["--auth-token-file=no/such/file"], "--auth-token-file no/such/file: "),
        (&["--tls-cert=no/such/cert", "--tls-key=no/such/key"], "no/such/cert"),
        (&["--tls-cert=no/such/cert"], "--tls-key <FILE>"),
        (&["--queue=lots"], "--queue <BYTES>"),
        (&["--room-burst=10000"], "--room-rate <BYTES>"),
    ] {
        let (code, stderr) = check(program().args(words));
        assert_eq!(code, 2, "{words:?}: {stderr}");
        assert!(stderr.contains(named), "{words:?}: {stderr}");
    }
    let other = Relay::start(&[]);
    let listen = format!("--listen={}", other.address);
    assert_eq!(check(program().arg(listen)), (0, String::new()), "it takes no port");
}

#[test]
fn a_file_for_the_relay_does_not_keep_the_command_token_from_working() {
    let file = File::new("token", "room-members = 2\n");
    let output = program()
        .env("PEERSOCKETS_CONFIG", file.path())
        .env("PEERSOCKETS_ROOM_SECRET", "0123456789abcdef0123456789abcdef")
        .args(["token", "--room=*", "--for=1h"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 50);
    // A word of the command line goes before a variable here too.
    let secret = File::new("secret", "0123456789abcdef0123456789abcdef");
    let output = program()
        .env("PEERSOCKETS_ROOM_SECRET", "fedcba9876543210fedcba9876543210")
        .args(["token", "--room=*", "--for=1h", "--room-secret-file", secret.path()])
        .output()
        .expect("it runs");
    let token = String::from_utf8(output.stdout).expect("text");
    let secret = RoomSecret::new(&"0123456789abcdef0123456789abcdef".parse().expect("a secret"));
    assert!(secret.verify(token.trim_end()).is_some(), "{}", String::from_utf8_lossy(&output.stderr));
    for (words, named) in [
        (["--room-secret-file=f", "--room-secret=0123456789abcdef0123456789abcdef"], "'--room-secret <SECRET>' cannot"),
        (
            ["--room-secret-file=f", "--drive=0707070707070707070707070707070707070707070707070707070707070707"],
            "'--room <ID>' cannot",
        ),
    ] {
        let output = program().args(["token", "--room=*", "--for=1h"]).args(words).output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.code() == Some(2) && stderr.contains(named), "{stderr}");
    }
}
