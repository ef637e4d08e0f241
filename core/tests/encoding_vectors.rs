//! Our encodings and derived keys against those of npm `compact-encoding` and `hypercore-crypto`.

mod vectors;

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, KeyInit, Mac};
use peersockets_core::drive::DriveKey;
use peersockets_core::error::WireError;
use peersockets_core::secure::Role;
use peersockets_core::wire::encoding::{Encode, Reader};
use serde_json::{Value, json};
use vectors::{array, bytes, bytes_or_none, list, number, text};

#[test]
fn encodings_match_npm_compact_encoding() {
    let vectors = vectors::read("compact-encoding.json");
    for case in list(&vectors["uint"]) {
        let (value, encoded) = (number(&case["value"]), bytes(&case["encoded"]));
        assert_eq!(written(|out| out.put_uint(value)), encoded, "{case}");
        assert_eq!(Reader::new(&encoded).uint(), Ok(value), "{case}");
    }
    for case in list(&vectors["string"]) {
        let (value, encoded) = (text(&case["value"]), bytes(&case["encoded"]));
        assert_eq!(written(|out| out.put_string(value)), encoded, "{case}");
        assert_eq!(Reader::new(&encoded).string(), Ok(value), "{case}");
    }
    for case in list(&vectors["buffer"]) {
        let (value, encoded) = (bytes_or_none(&case["bytes"]), bytes(&case["encoded"]));
        assert_eq!(written(|out| out.put_buffer(&value)), encoded, "{case}");
        assert_eq!(Reader::new(&encoded).buffer(), Ok(&value[..]), "{case}");
    }
    for case in list(&vectors["fixed32"]) {
        assert_eq!(Reader::new(&bytes(&case["encoded"])).fixed32(), Ok(array(&case["bytes"])), "{case}");
    }
}

/// What we refuse although JavaScript reads it, and why.
const STRICTER: [(&str, WireError, &str); 1] =
    [("a string that is not UTF-8", WireError::NotUtf8, "a topic name must mean the same text to every device")];

#[test]
fn foreign_encodings_are_read_as_npm_compact_encoding_reads_them() {
    let vectors = vectors::read("compact-encoding.json");
    let mut stricter = 0;
    for case in list(&vectors["decode"]) {
        let encoded = bytes(&case["encoded"]);
        let mut reader = Reader::new(&encoded);
        let decoded = match text(&case["codec"]) {
            "uint" => reader.uint().map(|value| json!(value)),
            "string" => reader.string().map(|value| json!(value)),
            "buffer" => reader.buffer().map(hex_or_null),
            "fixed32" => reader.fixed32().map(|value| hex_or_null(&value)),
            other => panic!("{other} is a codec that this test does not know"),
        };
        let deviation = STRICTER.iter().find(|(name, ..)| *name == text(&case["name"]));
        let expected = match (deviation, case["error"].as_str()) {
            (Some((_, error, _)), _) => Err(*error),
            (None, None) => Ok(case["value"].clone()),
            (None, Some("Out of bounds")) => Err(WireError::Truncated),
            (None, Some(error)) if error.starts_with("uint must be between") => Err(WireError::UintTooLarge),
            (None, Some(error)) => panic!("{error:?} is an error that this test does not know"),
        };
        stricter += usize::from(deviation.is_some());
        assert_eq!(decoded, expected, "{case}");
        if decoded.is_ok() {
            assert_eq!((encoded.len() - reader.rest().len()) as u64, number(&case["consumed"]), "{case}");
        }
    }
    assert_eq!(stricter, STRICTER.len(), "every deviation is one of the vectors");
}

#[test]
fn discovery_keys_match_npm_hypercore_crypto() {
    let vectors = vectors::read("secret-stream.json");
    let cases = list(&vectors["discovery_keys"]);
    assert_eq!(cases.len(), 3);
    for case in cases {
        let discovery_key = DriveKey::from_bytes(array(&case["key"])).discovery_key();
        assert_eq!(discovery_key, array(&case["discovery_key"]), "{case}");
    }
}

#[test]
fn namespaces_match_npm_hypercore_crypto() {
    let vectors = vectors::read("secret-stream.json");
    for case in list(&vectors["namespaces"]) {
        let name = blake2::Blake2b::<U32>::digest(text(&case["name"]));
        for (index, id) in list(&case["ids"]).iter().enumerate() {
            let hash = blake2::Blake2b::<U32>::new().chain_update(name).chain_update([index as u8]).finalize();
            assert_eq!(<[u8; 32]>::from(hash), array(id), "{case}");
        }
    }
}

#[test]
fn capabilities_and_channel_ids_are_made_with_the_namespace_of_the_protocol() {
    let vectors = vectors::read("secret-stream.json");
    let namespace = list(&vectors["namespaces"]).iter().find(|case| case["name"] == "peersockets/1").unwrap();
    let [initiator, responder, channel] = [0, 1, 2].map(|index| bytes(&namespace["ids"][index]));
    let (key, hash) = ([0x5a; 32], [0xc3; 64]);
    let drive = DriveKey::from_bytes(key);
    assert_eq!(drive.capability(Role::Initiator, &hash), keyed_hash(&hash, &[&initiator, &key]));
    assert_eq!(drive.capability(Role::Responder, &hash), keyed_hash(&hash, &[&responder, &key]));
    assert_eq!(drive.channel_id(&hash), keyed_hash(&hash, &[&channel, &key]));
    assert_eq!(drive.rendezvous_id(), keyed_hash(&key, &[b"peersockets/rendezvous/1"]));
}

#[test]
fn stream_ids_are_made_with_the_namespace_of_npm_secret_stream() {
    let vectors = vectors::read("secret-stream.json");
    let namespace =
        list(&vectors["namespaces"]).iter().find(|case| case["name"] == "hyperswarm/secret-stream").unwrap();
    for session in list(&vectors["sessions"]) {
        for (index, role) in ["initiator", "responder"].into_iter().enumerate() {
            let id = keyed_hash(&bytes(&session["handshake_hash"]), &[&bytes(&namespace["ids"][index])]);
            assert_eq!(id, array(&session[role]["stream_id"]), "{role}");
        }
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// As the vectors hold bytes; JavaScript reads an empty buffer as null.
fn hex_or_null(bytes: &[u8]) -> Value {
    match bytes {
        [] => Value::Null,
        bytes => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn keyed_hash(key: &[u8], input: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(key).unwrap();
    input.iter().for_each(|part| mac.update(part));
    mac.finalize_fixed().into()
}
