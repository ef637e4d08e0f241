//! `PROTOCOL.md` and the tests: every MUST is held by a test that exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use peersockets_core::limits;

#[test]
fn every_must_names_a_test_that_exists() {
    let protocol = fs::read_to_string(root().join("core/PROTOCOL.md")).unwrap();
    let tests = test_names();
    let named = names(&protocol);
    assert!(named.len() > 50, "{} names were found in PROTOCOL.md", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    let unnamed: Vec<_> = blocks(&protocol).into_iter().filter(|block| has_an_unnamed_must(block)).collect();
    assert!(missing.is_empty() && unnamed.is_empty(), "no such test: {missing:#?}\nMUST without a test: {unnamed:#?}");
}

#[test]
fn a_must_without_a_test_is_noticed() {
    let text = "It MUST hold [`one`], [`two`], and\nMUST not break.\n- It MUST end [`three`].\n\nIt MUST begin and MUST end [`three`].\n\nEach **MUST** is named [`four`].";
    assert_eq!(names(text), ["one", "two", "three", "three", "four"]);
    let unnamed: Vec<_> = blocks(text).into_iter().map(|block| has_an_unnamed_must(&block)).collect();
    assert_eq!(unnamed, [true, false, true, false]);
}

#[test]
fn the_limits_that_the_protocol_quotes_are_those_of_the_code() {
    let protocol = fs::read_to_string(root().join("core/PROTOCOL.md")).unwrap();
    let protocol = protocol.split_whitespace().collect::<Vec<_>>().join(" ");
    for quote in [
        format!("message {} bytes", grouped(limits::MESSAGE)),
        format!("a FIRST longer than {} bytes", grouped(limits::MESSAGE)),
        format!("topic name {} bytes of UTF-8", limits::TOPIC_NAME),
        format!("a topic name above {} bytes", limits::TOPIC_NAME),
        format!("{} topics per device", limits::TOPICS),
        format!("`uint` slot 0..{}", limits::SLOTS - 1),
        format!("{} devices per drive", limits::DEVICES),
        format!("({} departed devices", grouped(limits::DEPARTED_DEVICES)),
        format!("{} inbound handshakes per second", limits::HANDSHAKES_PER_SECOND),
        format!("DATA {} bytes", grouped(limits::CIRCUIT_CHUNK)),
        format!("n is at most {}, and each string {} bytes", limits::ICE_SERVERS, limits::ICE_SERVER_TEXT),
        format!("relay room {} members, {} of one address", limits::ROOM, limits::ROOM_PER_ADDRESS),
        format!("{} bytes on the wire", grouped(limits::SEALED_FRAME)),
        format!("a length field of {}, of the {}", grouped(limits::FRAME), grouped(limits::UINT24)),
        format!("within {} MiB for all peers", limits::REASSEMBLY >> 20),
        format!("Up to {} bytes of what a device has queued", grouped(limits::LAST_WORDS)),
        format!("only {} s in a room", limits::RELAY_IS_SOUND_AFTER.as_secs()),
        format!("from link to proof | {} s", limits::PROOF_TIME.as_secs()),
        format!("PING after silence | {} s", limits::PING_AFTER.as_secs()),
        format!("and {} s earlier from the initiator", limits::PING_LEAD.as_secs_f64()),
        format!("in return for a PING | {} s", limits::PING_EVERY.as_secs()),
        format!("on a link that is busy | {} s", limits::MEASURE_EVERY.as_secs()),
        format!("if a PING has been out for {} s", limits::PONG_WITHIN.as_secs()),
        format!("may be longer: {} bytes before the drive key is proved", grouped(limits::FIRST_FRAME)),
        format!("and {} after", grouped(limits::UINT24)),
        format!("A message longer than {} bytes is dropped and reported", grouped(limits::MESSAGE)),
        format!("falls silent for {} s is dead", limits::KEEPALIVES_STOPPED.as_secs()),
        format!("writes a keepalive after {} s of silence", limits::PING_AFTER.as_secs()),
        format!("MUST be whole within {} s", limits::FRAME_TIME.as_secs()),
        format!("{} s more after each {} bytes of it", limits::FRAME_TIME.as_secs(), grouped(limits::FRAME_STEP)),
        format!("count for {} bytes, {} more for each", grouped(limits::ACK_WEIGHT), limits::MESSAGE_WEIGHT),
        format!("within {} ms for less", limits::ACK_AFTER.as_millis()),
        format!("on purpose): {} s, and {} s if a relay", limits::GRACE.as_secs(), limits::GRACE_AFTER_CLOSE.as_secs()),
        format!("asked for {} s, is missed", limits::MISSED_AFTER.as_secs()),
        format!("kept for {} minutes more", limits::SESSION_TIME.as_secs() / 60),
        format!("bounded by {} MiB", limits::SEND_QUEUES >> 20),
        format!("until {} s after the time when it is to be back", limits::GRACE.as_secs()),
        format!("{} s at most, whatever the relay says", (limits::BACK_IN + limits::GRACE).as_secs()),
        format!("to {} s after it, and then try", limits::BACK_SPREAD.as_secs()),
        format!("begins with {} bytes of credit", grouped(limits::CREDIT_BASE)),
        format!("costs its bytes and {} more", limits::DATA_COST),
        format!("with CONSUMED, {} or more at a time", grouped(limits::CREDIT_STEP)),
        format!("up to {} MiB; a circuit is lent", limits::CREDIT_WINDOW >> 20),
        format!("for {} s after credit came last", limits::CREDIT_IDLE.as_secs()),
        format!(
            "{} bytes at most; a candidate, and a media id, have {}.",
            grouped(limits::DESCRIPTION),
            grouped(limits::CANDIDATE)
        ),
        format!("bytes of the link (§4), binary, {} at most", grouped(limits::CHANNEL_MESSAGE)),
        format!("At most {} are taken for a description:", limits::CANDIDATES),
        format!("At most {} offers of the other", limits::OFFERS),
        format!("leaves it to the other for {} s", limits::DIRECT_AFTER.as_secs()),
        format!("within {} ms of the proof", limits::DIRECT_SOON.as_millis()),
        format!("led to a proof within {} s", limits::DIRECT_TIME.as_secs()),
        format!("nothing leaves for {} s", limits::STALL.as_secs()),
        format!(
            "after {} s, doubling to {} s, each",
            limits::DIRECT_RETRY.as_secs(),
            limits::DIRECT_RETRY_MAX.as_secs()
        ),
        format!("connects to {} others at most", limits::DIRECT_PEERS),
        format!("more than {} in a row and one a second", limits::INVITATIONS),
        format!("{} and {} from all", limits::INVITATIONS_OF_ALL, limits::INVITATIONS_PER_SECOND),
        format!("tried again after {} s, ± 50 %", limits::DIRECT_REFUSED.as_secs()),
        format!("{} s doubling to {} s", limits::RETRY_FIRST.as_secs_f64(), limits::RETRY_MAX.as_secs()),
    ] {
        assert!(protocol.contains(&quote), "PROTOCOL.md does not say {quote:?}");
    }
}

/// With a comma for each thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands in brackets and backticks.
fn names(text: &str) -> Vec<&str> {
    text.split("[`").skip(1).filter_map(|rest| rest.split_once("`]")).map(|(name, _)| name).collect()
}

/// Paragraphs, list items and rows of tables, each on one line.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        if line.is_empty() || line.starts_with(['-', '|', '#']) {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line.trim());
            block.push(' ');
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    blocks
}

/// Whether a demand has no name between it and the next one, or the end. A bold MUST is the word, not a demand.
fn has_an_unnamed_must(block: &str) -> bool {
    block.replace("**MUST**", "").split("MUST").skip(1).any(|rest| names(rest).is_empty())
}

/// The names of all tests, in Rust and in JavaScript.
fn test_names() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for directory in ["core", "netem", "relay", "src", "tests"] {
        collect(&root().join(directory), &mut found);
    }
    found
}

fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("target") {
                collect(&path, found);
            }
            continue;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => found.extend(rust_tests(&fs::read_to_string(&path).unwrap())),
            Some("mjs") => found.extend(javascript_tests(&fs::read_to_string(&path).unwrap())),
            _ => {}
        }
    }
}

/// Functions under an attribute such as `#[test]`, `#[tokio::test]` or `#[wasm_bindgen_test]`.
fn rust_tests(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[") {
            let attribute = attribute.split([']', '(']).next().unwrap_or_default();
            is_test |= attribute == "test" || attribute.ends_with("::test") || attribute == "wasm_bindgen_test";
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if is_test {
                found.extend(rest.split(['(', '<']).next().map(str::to_string));
            }
            is_test = false;
        }
    }
    found
}

/// Titles given to `test`, spaces read as underscores.
fn javascript_tests(source: &str) -> Vec<String> {
    let titles = source.split("test(").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"' | '`'))?;
        rest[1..].split(quote).next()
    });
    titles.map(|title| title.replace(' ', "_")).collect()
}
