//! The channel `hypercore/alpha` as npm `hypercore` writes and reads it.

mod vectors;

use peersockets_core::channel::hypercore::{
    EXTENSION, Extensions, NO_DATA, PROTOCOL, REQUEST, Received, SYNC, empty_sync, open_handshake, verify_open,
};
use peersockets_core::drive::DriveKey;
use peersockets_core::error::LinkError;
use peersockets_core::secure::Role;
use peersockets_core::wire::encoding::Encode;
use peersockets_core::wire::mux::{Mux, MuxEvent};
use serde_json::Value;
use vectors::{array, bytes, list, number, text};

fn role(case: &Value) -> Role {
    if case["is_initiator"] == true { Role::Initiator } else { Role::Responder }
}

fn drive(case: &Value) -> DriveKey {
    DriveKey::from_bytes(array(&case["key"]))
}

#[test]
fn hypercore_capabilities_match_npm_hypercore() {
    let vectors = vectors::read("hypercore.json");
    let cases = list(&vectors["capabilities"]);
    assert_eq!(cases.len(), 8, "two keys, two handshakes, two roles");
    for case in cases {
        let (drive, hash, role) = (drive(case), array(&case["handshake_hash"]), role(case));
        assert_eq!(drive.hypercore_capability(role, &hash), array::<32>(&case["capability"]));
        assert_eq!(drive.discovery_key(), array::<32>(&case["discovery_key"]));

        let [plain, seeking] = list(&case["handshakes"]) else { panic!("two handshakes") };
        assert_eq!(open_handshake(&drive, role, &hash), bytes(&plain["encoded"]));
        for handshake in [plain, seeking] {
            let handshake = bytes(&handshake["encoded"]);
            assert_eq!(verify_open(&handshake, &drive, role, &hash), Ok(()));
            assert_eq!(verify_open(&handshake, &drive, role.other(), &hash), Err(LinkError::Capability));
        }
    }
}

#[test]
fn an_open_of_npm_hypercore_is_as_ours_but_for_its_flags() {
    let vectors = vectors::read("hypercore.json");
    let cases = list(&vectors["opens"]);
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (drive, hash, role) = (drive(case), array(&case["handshake_hash"]), role(case));
        let theirs = bytes(&case["frame"]);
        let mut mux = Mux::default();
        let channel = mux.open(PROTOCOL, &drive.discovery_key(), &open_handshake(&drive, role, &hash)).unwrap();
        let mut ours = mux.poll_frame().unwrap();
        let flags = ours.len() - 33;
        assert_eq!((ours[flags], theirs[flags]), (0, 1), "it seeks");
        ours[flags] = 1;
        assert_eq!(ours, theirs);

        let mut opened = 0;
        let mut verify = |event: MuxEvent<'_>| {
            opened += 1;
            let MuxEvent::Opened { channel: of, handshake } = event else { panic!("{event:?}") };
            assert_eq!(of, channel);
            verify_open(handshake, &drive, role, &hash)
        };
        mux.handle_frame(&theirs, &mut verify).unwrap();
        assert_eq!(opened, 1);
    }
}

#[test]
fn messages_of_npm_hypercore_are_understood() {
    let vectors = vectors::read("hypercore.json");
    let messages = list(&vectors["messages"]);
    let mut kinds: Vec<u64> = messages.iter().map(|message| number(&message["type"])).collect();
    kinds.dedup();
    assert_eq!(kinds, (0..=9).collect::<Vec<_>>(), "of every type");

    let mut extensions = Extensions::default();
    let mut topics = Vec::new();
    for message in messages {
        let (kind, fields) = (number(&message["type"]), &message["fields"]);
        let encoded = bytes(&message["encoded"]);
        let received = extensions.read(kind, &encoded).unwrap();
        match kind {
            REQUEST => {
                let mut no_data = Vec::new();
                no_data.put_uint(number(&fields["id"]));
                assert_eq!(received, Some(Received::Answer(NO_DATA, no_data)), "{message}");
            }
            EXTENSION => topics.push(received.map(|received| {
                let Received::Message { topic, bytes: payload } = received else { panic!("{message}") };
                assert_eq!(payload, bytes(&fields["message"]));
                topic.to_string()
            })),
            _ => assert_eq!(received, None, "{message}"),
        }
    }
    let longest = "t".repeat(255);
    let expected =
        [Some("chat"), Some("chat"), Some("chat"), Some("chat"), Some(""), Some("日本語 🐦"), Some(&longest), None];
    assert_eq!(topics, expected.map(|topic| topic.map(str::to_string)));
}

#[test]
fn extensions_and_the_empty_sync_are_written_as_npm_hypercore_writes_them() {
    let vectors = vectors::read("hypercore.json");
    let of_kind = |kind| list(&vectors["messages"]).iter().filter(move |message| number(&message["type"]) == kind);
    assert_eq!(of_kind(SYNC).map(|message| bytes(&message["encoded"])).next(), Some(empty_sync()));

    let mut extensions = Extensions::default();
    let mut topic = String::new();
    let mut written = 0;
    for message in of_kind(EXTENSION) {
        let name = text(&message["fields"]["name"]);
        let is_repeated = name.is_empty();
        match name.strip_prefix("peersockets/v0/") {
            Some(name) => topic = name.into(),
            None if !is_repeated => continue,
            None => {}
        }
        // Where the library says the name again, this is the first time that we say it.
        if !is_repeated {
            extensions = Extensions::default();
        }
        let ours = extensions.write(&topic.as_str().into(), &bytes(&message["fields"]["message"]));
        assert_eq!(ours, bytes(&message["encoded"]), "{message}");
        written += 1;
    }
    assert_eq!(written, 7);
}

/// A noData of ours ends behind its first field: the library has two, and reads what it reads of older ones.
#[test]
fn what_we_write_is_what_npm_hypercore_reads() {
    let vectors = vectors::read("hypercore.json");
    let understood = list(&vectors["understood"]);
    let of = |name: &'static str| understood.iter().filter(move |case| text(&case["name"]) == name);

    let sync = of("sync").next().unwrap();
    assert_eq!(empty_sync(), bytes(&sync["bytes"]));
    for (field, value) in [("fork", 0), ("length", 0), ("remoteLength", 0)] {
        assert_eq!(number(&sync["fields"][field]), value);
    }
    for (field, value) in [("canUpgrade", true), ("uploading", true), ("downloading", true), ("hasManifest", false)] {
        assert_eq!(sync["fields"][field], value, "{field}");
    }

    let mut answered = 0;
    for case in of("noData") {
        let mut request = vec![0];
        request.put_uint(number(&case["fields"]["request"]));
        let answer = Extensions::default().read(REQUEST, &request).unwrap();
        assert_eq!(answer, Some(Received::Answer(NO_DATA, bytes(&case["bytes"]))));
        assert_eq!(number(&case["fields"]["reason"]), 0);
        answered += 1;
    }
    assert_eq!(answered, 4);

    let mut extensions = Extensions::default();
    for (case, message) in of("extension").zip(["hi", "hi", ""]) {
        assert_eq!(extensions.write(&"chat".into(), message.as_bytes()), bytes(&case["bytes"]));
        assert_eq!(bytes(&case["fields"]["message"]), message.as_bytes());
    }
    let names: Vec<&str> = of("extension").map(|case| text(&case["fields"]["name"])).collect();
    assert_eq!(names, ["peersockets/v0/chat", "", ""]);
}
