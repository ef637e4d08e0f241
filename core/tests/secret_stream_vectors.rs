//! Whole sessions of npm `@hyperswarm/secret-stream`, and bytes that it refuses, played against our `Secure`.

mod vectors;

use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use serde_json::Value;
use vectors::{array, bytes, list, number, text};

const ROLES: [(Role, &str, &str); 2] =
    [(Role::Initiator, "initiator", "responder"), (Role::Responder, "responder", "initiator")];

#[test]
fn sessions_match_npm_secret_stream() {
    let vectors = vectors::read("secret-stream.json");
    let mut frames = 0;
    for session in list(&vectors["sessions"]) {
        for (role, name, other) in ROLES {
            for chunk in [1, usize::MAX] {
                let mut ours = secure(session, role, name);
                for entry in list(&session["wire"]) {
                    if text(&entry["from"]) == name {
                        writes(&mut ours, entry);
                    } else {
                        reads(&mut ours, entry, chunk);
                    }
                    frames += 1;
                }
                assert_eq!(ours.output_length(), 0, "nothing more was written");
                assert_eq!(ours.handshake_hash(), Some(&array(&session["handshake_hash"])));
                assert_eq!(ours.remote(), Some(array(&session[other]["static"]["public_key"])));
            }
        }
    }
    assert_eq!(frames, 4 * (3 * 5 + 38), "three sessions, in each role, in single bytes and in whole frames");
}

#[test]
fn device_keys_are_those_of_npm_noise_curve_ed() {
    let vectors = vectors::read("secret-stream.json");
    for session in list(&vectors["sessions"]) {
        for (_, name, _) in ROLES {
            for pair in [&session[name]["static"], &session[name]["ephemeral"]] {
                assert_eq!(DeviceKey::from_seed(array(&pair["seed"])).public(), array(&pair["public_key"]));
            }
        }
    }
}

/// Where we do not do as JavaScript does with the bytes of a refusal, and why. There is no such place.
const DEVIATIONS: [(&str, &str); 0] = [];

#[test]
fn refusals_match_npm_secret_stream() {
    let vectors = vectors::read("secret-stream.json");
    let mut went_on = 0;
    for case in list(&vectors["refusals"]) {
        if DEVIATIONS.iter().any(|(name, _)| *name == text(&case["name"])) {
            continue;
        }
        let session = list(&vectors["sessions"]).iter().find(|session| session["name"] == case["session"]).unwrap();
        let (role, name, other) = ROLES.into_iter().find(|(_, name, _)| *name == text(&case["to"])).unwrap();
        let mut ours = secure(session, role, name);
        let for_us = list(&session["wire"]).iter().filter(|entry| text(&entry["from"]) == other);
        for entry in for_us.take(number(&case["after"]) as usize) {
            reads(&mut ours, entry, usize::MAX);
        }
        ours.take_output(usize::MAX);

        ours.handle_bytes(&bytes(&case["bytes"]));
        let outcome = ours.poll_frame(limits::UINT24);
        match case["error"].as_str() {
            Some(error) => assert_eq!(outcome, Err(meaning(error)), "{case}"),
            None => {
                went_on += 1;
                assert_eq!(outcome, Ok(None), "{case}");
                assert_eq!(ours.take_output(usize::MAX), bytes(&case["written"]), "{case}");
            }
        }
    }
    assert_eq!(went_on, 1, "a payload in the first message");
}

fn meaning(error: &str) -> LinkError {
    match error {
        "Noise handshake failed" => LinkError::Handshake,
        "Invalid header received" | "Invalid header message received" => LinkError::StreamId,
        "pull failed" | "Invalid message received" => LinkError::Damaged,
        other => panic!("{other:?} is an error that this test does not know"),
    }
}

fn secure(session: &Value, role: Role, name: &str) -> Secure {
    let side = &session[name];
    let entropy = Entropy { ephemeral: array(&side["ephemeral"]["seed"]), header: array(&side["secretstream_header"]) };
    Secure::new(role, &DeviceKey::from_seed(array(&side["static"]["seed"])), entropy)
}

fn plaintext(entry: &Value) -> Vec<u8> {
    bytes(&entry["unit"]).repeat(number(&entry["repeat"]) as usize)
}

/// Handshake and header come by themselves, data when it is sealed.
fn writes(ours: &mut Secure, entry: &Value) {
    let frame = bytes(&entry["frame"]);
    if text(&entry["kind"]) == "data" {
        assert!(ours.seal(plaintext(entry)));
    }
    assert_eq!(ours.take_output(frame.len()), frame, "{entry}");
}

fn reads(ours: &mut Secure, entry: &Value, chunk: usize) {
    let frame = bytes(&entry["frame"]);
    let mut opened = Vec::new();
    for chunk in frame.chunks(chunk.min(frame.len())) {
        ours.handle_bytes(chunk);
        opened.extend(ours.poll_frame(limits::UINT24).unwrap());
    }
    let sent = (text(&entry["kind"]) == "data").then(|| plaintext(entry));
    let expected: Vec<_> = sent.into_iter().filter(|plaintext| !plaintext.is_empty()).collect();
    assert_eq!(opened, expected, "an empty plaintext is a keepalive and gives nothing");
}
