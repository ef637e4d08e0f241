//! What ended, or worse, `hypercore-protocol` 0.7.2 when a drive peer sent it: none of it ends more of ours than its own channel or
//! link, and nothing is a panic. The rows D1 to D8 and D12 are those of that crate's list of defects.

mod devices;

use devices::{End, Noise, Stranger, batch, drive, drive_open_frame, extension, frames};
use peersockets_core::channel::hypercore::{EXTENSION, NO_DATA, REQUEST};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::error::{LinkError, MuxViolation, WireError};
use peersockets_core::limits;
use peersockets_core::wire::encoding::{Encode, Reader};

const CHAT: &[u8] = b"peersockets/v0/chat";
const TRUNCATED: Result<(), LinkError> = Err(LinkError::Malformed(WireError::Truncated));
const TOO_LARGE: Result<(), LinkError> = Err(LinkError::Malformed(WireError::UintTooLarge));
const OPEN_ID: Result<(), LinkError> = Err(LinkError::Mux(MuxViolation::OpenId));

/// How far a link is when a row comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// The handshake is complete, and nothing is said.
    Met,
    /// The remote has the drive open, and has said nothing of the other channel.
    Opened,
    /// It is a peer by extensions.
    Replicating,
    /// It is a peer on a channel of its own; `hypercore/alpha` is not open.
    Peersockets,
}

const STATES: [State; 4] = [State::Met, State::Opened, State::Replicating, State::Peersockets];

impl State {
    fn reach(self) -> (End, Stranger) {
        let mut end = End::towards_drive_peer(1, drive());
        let stranger = match self {
            State::Met => Stranger::meet(&mut end),
            State::Opened => {
                let mut stranger = Stranger::meet(&mut end);
                let open = stranger.drive_open(1, &drive());
                stranger.say(&mut end, &open).unwrap();
                stranger
            }
            State::Replicating => Stranger::replicating(&mut end),
            State::Peersockets => Stranger::proved(&mut end),
        };
        (end, Stranger { heard: Vec::new(), ..stranger })
    }

    /// The id of the next channel that the remote opens.
    fn next_id(self) -> u64 {
        if self == State::Met { 1 } else { 2 }
    }
}

/// Whether a link still does what it did.
fn is_sound(state: State, end: &mut End, stranger: &mut Stranger) -> bool {
    end.events.clear();
    let said = match state {
        State::Met => {
            let open = stranger.drive_open(state.next_id(), &drive());
            [open, vec![0, 2, 1], extension(CHAT, b"sound")].map(|frame| stranger.say(end, &frame))
        }
        State::Opened => [vec![0, 2, 1], extension(CHAT, b"sound"), Vec::new()].map(|frame| stranger.say(end, &frame)),
        State::Replicating => {
            [extension(CHAT, b"sound"), Vec::new(), Vec::new()].map(|frame| stranger.say(end, &frame))
        }
        State::Peersockets => [vec![1, 0, 0, 4, b'c', b'h', b'a', b't'], [&[1, 1, 0][..], b"sound"].concat(), vec![]]
            .map(|frame| stranger.say(end, &frame)),
    };
    let message = LinkEvent::Message { number: None, topic: "chat".into(), bytes: b"sound".to_vec() };
    said == [Ok(()); 3] && end.events.last() == Some(&message)
}

/// Says one frame in a state and checks what comes of the link.
fn say(state: State, frame: &[u8], expected: Result<(), LinkError>, name: &str) -> Vec<Vec<u8>> {
    let (mut end, mut stranger) = state.reach();
    end.events.clear();
    let outcome = stranger.say(&mut end, frame);
    assert_eq!(outcome, expected, "{name} in {state:?}");
    assert!(end.events.is_empty(), "{name} in {state:?}: {:?}", end.events);
    assert_eq!(end.budget.used(), 0);
    let answers = std::mem::take(&mut stranger.heard);
    if expected.is_ok() {
        assert!(is_sound(state, &mut end, &mut stranger), "{name} in {state:?}");
    }
    answers
}

/// Bytes of the process that were resident at once.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process its size");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("one of its lines");
    1024 * peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

#[test]
fn d1_a_batch_that_begins_with_control_messages_is_read() {
    // The first frame of every corestore: its cores' Opens, for channel 0, and what was said behind them.
    let (mut end, mut stranger) = State::Met.reach();
    let blobs = drive_open_frame(2, &[0xb1; 32], &[0; 33]);
    let corked = batch(&[stranger.drive_open(1, &drive()), blobs, vec![0, 2, 1], extension(CHAT, b"at once")]);
    assert_eq!(corked[..3], [0, 0, 0]);
    stranger.say(&mut end, &corked).unwrap();
    assert_eq!(
        end.events[1..],
        [LinkEvent::Message { number: None, topic: "chat".into(), bytes: b"at once".to_vec() }]
    );
    assert_eq!(stranger.heard[0], [0, 2, 2], "the other core is rejected");

    // Whatever is missing of it.
    for length in 1..corked.len() {
        let (mut end, mut stranger) = State::Met.reach();
        let outcome = stranger.say(&mut end, &corked[..length]);
        assert!(matches!(outcome, Ok(()) | TRUNCATED), "{length} bytes: {outcome:?}");
        let proofs = end.events.iter().filter(|event| matches!(event, LinkEvent::Proved(_))).count();
        assert!(proofs <= 1 && end.events.len() <= 2);
    }
    for state in STATES {
        // Control messages that mean nothing, and a control batch in a batch.
        assert!(say(state, &[0, 0, 0], Ok(()), "a batch of nothing").is_empty());
        assert!(say(state, &[0, 0, 0, 1, 9, 2, 7, 7], Ok(()), "unknown control types").is_empty());
        let nested = Err(LinkError::Mux(MuxViolation::NestedBatch));
        say(state, &[0, 0, 0, 3, 0, 0, 0], nested, "a batch in a batch");
    }
}

#[test]
fn d2_a_batch_that_changes_channels_is_read_channel_by_channel() {
    let extensions = |texts: &[&[u8]]| -> Vec<Vec<u8>> { texts.iter().map(|text| extension(CHAT, text)).collect() };
    let [one, two, three] = &extensions(&[b"one", b"two", b"three"])[..] else { panic!("three") };
    let other = |frame: &[u8]| [&[7], &frame[1..]].concat();
    let mixed = [
        batch(&[one.clone(), other(one), two.clone(), other(two), three.clone()]),
        batch(&[other(one), vec![0, 9, 9], one.clone(), vec![0, 3, 9], two.clone(), three.clone(), other(three)]),
    ];
    for mixed in mixed {
        let (mut end, mut stranger) = State::Replicating.reach();
        stranger.say(&mut end, &mixed).unwrap();
        assert_eq!(end.messages(), [&b"one"[..], b"two", b"three"]);
    }
    for state in STATES {
        // Changes without messages, and one that leads nowhere.
        assert!(say(state, &[0, 0, 7, 0, 8, 0, 9, 0, 7], Ok(()), "changes alone").is_empty());
        say(state, &[0, 0, 7, 0], TRUNCATED, "a change to no channel");
        say(state, &[0, 0, 7, 0, 0xff], TRUNCATED, "a change to half a channel");
        say(state, &[0, 0, 7, 1, 9, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x40], TOO_LARGE, "a change to channel 2^62");
        say(state, &[0, 0, 7, 9, 9, 0], TRUNCATED, "a message shorter than its length");
    }
}

#[test]
fn d3_a_reject_ends_its_channel_and_nothing_else() {
    // Of the drive's channel, where the other one carries the messages.
    let (mut end, mut stranger) = State::Peersockets.reach();
    stranger.say(&mut end, &[0, 2, 2]).unwrap();
    assert!(is_sound(State::Peersockets, &mut end, &mut stranger));
    // Of the other one, which is how a plain peer begins.
    let (mut end, mut stranger) = State::Opened.reach();
    stranger.say(&mut end, &[0, 2, 1]).unwrap();
    assert!(end.link.is_proved());
    // Of both there is nothing left to talk on.
    let (mut end, mut stranger) = State::Met.reach();
    let both = stranger.say(&mut end, &batch(&[vec![0, 2, 1], vec![0, 2, 2]]));
    assert_eq!(both, Err(LinkError::ChannelClosed));

    let reject_id = Err(LinkError::Mux(MuxViolation::RejectId));
    for state in STATES {
        for id in [0, 3, 4096, u64::from(u32::MAX), (1 << 53) - 1] {
            let mut reject = vec![0, 2];
            reject.put_uint(id);
            say(state, &reject, reject_id, "a reject of what was not opened");
        }
        say(state, &[0, 2], TRUNCATED, "a reject of nothing");
        say(state, &batch(&[vec![0, 2, 3]]), reject_id, "a corked one");
    }
    say(State::Replicating, &[0, 2, 2], reject_id, "a reject of what is open");
}

#[test]
fn d4_an_open_of_anything_else_is_rejected_and_ends_nothing() {
    for state in STATES {
        let id = state.next_id();
        let open = |protocol: &[u8], channel: &[u8], handshake: &[u8]| {
            let mut frame = vec![0, 1];
            frame.put_uint(id);
            frame.put_buffer(protocol);
            frame.put_buffer(channel);
            [&frame, handshake].concat()
        };
        let reject = vec![vec![0, 2, id as u8]];
        let discovery_key = drive().discovery_key();
        for (name, frame) in [
            ("a 32-byte id and no handshake", open(b"corestore", &[7; 32], b"")),
            ("no id", open(b"hyperdrive/v1", b"", b"")),
            ("no id and a handshake", open(b"hyperdrive/v1", b"", &[0; 33])),
            ("a short handshake", open(b"corestore", &[7; 32], &[0; 5])),
            ("no name", open(b"", &[7; 32], &[0; 33])),
            ("no name and no id", open(b"", b"", b"")),
            ("a name that is not UTF-8", open(b"\xff\xfe", &[7; 32], b"")),
            ("a long name and a long id", open(&[b'a'; 255], &[7; 255], b"")),
            ("another version for our drive", open(b"hypercore/beta", &discovery_key, &[0; 33])),
            ("the old name of the drive's channel", open(b"hypercore", &discovery_key, &[0; 33])),
            ("another core", open(b"hypercore/alpha", &[7; 32], &[0; 33])),
            ("another core without a handshake", open(b"hypercore/alpha", &[7; 32], b"")),
            ("a part of our id", open(b"hypercore/alpha", &discovery_key[..31], &[0; 33])),
            ("our id and more", open(b"hypercore/alpha", &[&discovery_key[..], &[0]].concat(), &[0; 33])),
            ("our other channel with another id", open(b"peersockets/1", &discovery_key, &[0; 34])),
        ] {
            // Its id is the one that the check below takes.
            let (mut end, mut stranger) = state.reach();
            stranger.say(&mut end, &frame).unwrap();
            assert_eq!(stranger.heard, reject, "{name} in {state:?}");
            assert_eq!(end.ended, None);
            assert!(is_sound(state, &mut end, &mut stranger), "{name} in {state:?}: a rejected id is free again");
        }
        let too_many = Err(LinkError::Malformed(WireError::TooMany));
        say(state, &open(&[b'a'; 256], b"", b""), too_many, "a name too long");
        say(state, &open(b"a", &[7; 256], b""), too_many, "an id too long");
    }
    // Our drive's channel with a handshake that is none.
    for length in 0..33 {
        let frame = drive_open_frame(1, &drive().discovery_key(), &vec![0; length]);
        say(State::Met, &frame, TRUNCATED, "a handshake too short");
    }
}

#[test]
fn d5_unknown_types_are_ignored_and_a_frame_of_one_byte_ends_the_link() {
    let mut noise = Noise(5);
    for state in STATES {
        for kind in [10, 0xfc, 0xfd, (1 << 53) - 1] {
            for channel in [1, 2, 9, (1 << 53) - 1] {
                let mut frame = Vec::new();
                frame.put_uint(channel);
                frame.put_uint(kind);
                frame.extend(noise.bytes(20));
                assert!(say(state, &frame, Ok(()), "an unknown type").is_empty());
            }
        }
        for byte in [0, 1, 2, 9, 0xfc, 0xfd, 0xfe, 0xff] {
            say(state, &[byte], TRUNCATED, "one byte");
        }
        assert!(say(state, &[0, 4], Ok(()), "an unknown control type").is_empty());
        assert!(say(state, &[9, 9], Ok(()), "two bytes").is_empty());
        say(state, &[9, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x40], TOO_LARGE, "a type of 2^62");
        // An empty one is a keepalive.
        assert!(say(state, &[], Ok(()), "an empty frame").is_empty());
    }
}

#[test]
fn d6_the_payload_of_an_extension_is_what_it_is() {
    let mut lengths = Vec::new();
    for length in [0u64, 5, 253, 1 << 20, 1 << 40, (1 << 53) - 1, 1 << 62] {
        let mut payload = Vec::new();
        payload.put_uint(length);
        lengths.push(payload.clone());
        payload.extend(b"five!");
        lengths.push(payload);
    }
    lengths.extend([vec![0xfd], vec![0xff; 4], vec![]]);
    for payload in lengths {
        let (mut end, mut stranger) = State::Replicating.reach();
        stranger.say(&mut end, &extension(CHAT, &payload)).unwrap();
        assert_eq!(end.messages(), [&payload[..]], "what looks like a length is none");
    }
    // The name has one, and is there or not.
    let name = |length: u64| {
        let mut frame = vec![1, EXTENSION as u8];
        frame.put_uint(length);
        [&frame[..], b"name"].concat()
    };
    for length in [5, 1 << 20, 1 << 40, (1 << 53) - 1] {
        say(State::Replicating, &name(length), TRUNCATED, "a name that is not there");
    }
    say(State::Replicating, &name(1 << 62), TOO_LARGE, "a name of 2^62 bytes");
    say(State::Replicating, &[1, EXTENSION as u8], TRUNCATED, "no name");
}

#[test]
fn d7_an_empty_name_is_the_one_before_and_never_a_topic() {
    let (mut end, mut stranger) = State::Replicating.reach();
    for (name, text) in [(&b""[..], &b"of nobody"[..]), (CHAT, b"one"), (b"", b"two"), (b"\xff", b"-"), (b"", b"-")] {
        stranger.extend(&mut end, name, text).unwrap();
    }
    let topics: Vec<&str> = end
        .events
        .iter()
        .map(|event| match event {
            LinkEvent::Message { number: None, topic, .. } => &**topic,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(topics, ["chat", "chat"]);
    assert_eq!(end.messages(), [&b"one"[..], b"two"]);
    // Each link has its own name before.
    let (mut other, mut another) = State::Replicating.reach();
    another.extend(&mut other, b"", b"of nobody").unwrap();
    assert!(other.events.is_empty());
}

#[test]
fn d8_an_open_with_channel_id_2_to_the_62_ends_the_link_and_allocates_nothing() {
    let before = peak_bytes();
    for state in STATES {
        let beyond = state.next_id() + 1;
        for (id, expected) in [
            (0, OPEN_ID),
            (beyond, OPEN_ID),
            (4_097, OPEN_ID),
            (1 << 24, OPEN_ID),
            (u64::from(u32::MAX), OPEN_ID),
            ((1 << 53) - 1, OPEN_ID),
            (1 << 53, TOO_LARGE),
            (1 << 62, TOO_LARGE),
            (u64::MAX, TOO_LARGE),
        ] {
            for frame in [drive_open_frame(id, &drive().discovery_key(), &[0; 33]), drive_open_frame(id, &[7; 32], b"")]
            {
                say(state, &frame, expected, "an open");
                say(state, &batch(&[frame]), expected, "a corked open");
            }
        }
        // A close and a message need no channel to be there, and make none.
        for id in [0, 9, 1 << 24, (1 << 53) - 1] {
            let mut close = vec![0, 3];
            close.put_uint(id);
            assert!(say(state, &close, Ok(()), "a close").is_empty());
        }
    }
    say(State::Replicating, &drive_open_frame(1, &[7; 32], b""), OPEN_ID, "an id that is in use");
    // As many channels as there may be, dense, and one more.
    let (mut end, mut stranger) = State::Met.reach();
    let opens: Vec<Vec<u8>> = (1..=limits::CHANNELS as u64).map(|id| drive_open_frame(id, &[7; 32], b"")).collect();
    stranger.say(&mut end, &batch(&opens)).unwrap();
    let one_more = drive_open_frame(limits::CHANNELS as u64 + 1, &[7; 32], b"");
    assert_eq!(stranger.say(&mut end, &one_more), Err(LinkError::Mux(MuxViolation::TooManyChannels)));
    let grown = peak_bytes() - before;
    assert!(grown < 100 * 1024 * 1024, "{grown} bytes more");
}

#[test]
fn d12_messages_that_wait_are_not_merged_into_a_frame_that_is_too_long() {
    const LENGTH: usize = 65_536;
    let (mut end, mut stranger) = State::Replicating.reach();
    let sent = (0..300).take_while(|_| end.link.send(&"chat".into(), vec![7; LENGTH]).is_ok()).count();
    assert_eq!(sent, limits::SEND_QUEUE / LENGTH, "more than one frame can hold");
    let written = end.written();
    let lengths: Vec<usize> = frames(&written).iter().map(|frame| frame.len()).collect();
    assert_eq!(lengths.len(), sent);
    assert!(lengths.iter().all(|length| *length <= LENGTH + 64), "{lengths:?}");
    stranger.secure.handle_bytes(&written);
    let opened = std::iter::from_fn(|| stranger.secure.poll_frame(limits::UINT24).unwrap()).count();
    assert_eq!(opened, sent);

    let (mut end, _) = State::Peersockets.reach();
    let sent = (0..300).take_while(|_| end.link.send(&"chat".into(), vec![7; LENGTH]).is_ok()).count();
    assert_eq!(sent, limits::SEND_QUEUE / LENGTH);
    assert!(frames(&end.written()).iter().all(|frame| frame.len() <= limits::SEALED_FRAME));

    // And one that is as long as any can be is read, whatever it is made of.
    let (mut end, mut stranger) = State::Replicating.reach();
    let long = batch(&vec![extension(CHAT, &[7; LENGTH]); 255]);
    assert!(long.len() > 16_700_000);
    stranger.say(&mut end, &long).unwrap();
    assert_eq!(end.messages().len(), 255);
}

#[test]
fn a_batch_of_more_messages_than_there_may_be_ends_the_link() {
    let (mut end, mut stranger) = State::Replicating.reach();
    let too_long = batch(&vec![vec![1, 9, 0]; limits::BATCH + 1]);
    assert_eq!(stranger.say(&mut end, &too_long), Err(LinkError::Mux(MuxViolation::BatchTooLong)));
}

/// Every message of the drive's channel that has integers in it, and which of them we read.
fn templates() -> Vec<(&'static str, Vec<u64>, usize)> {
    vec![
        ("sync", vec![1, 0, 7, 0, 9, 0], 2),
        ("request", vec![1, REQUEST, 1, 5, 0, 3, 0], 4),
        ("cancel", vec![1, 2, 5], 2),
        ("data", vec![1, 3, 1, 5, 0, 3, 2, 9, 9, 0], 2),
        ("noData", vec![1, NO_DATA, 5, 0], 2),
        ("want", vec![1, 5, 0, 9], 2),
        ("unwant", vec![1, 6, 0, 9], 2),
        ("bitfield", vec![1, 7, 0, 1, 5], 2),
        ("range", vec![1, 8, 0, 0, 9], 2),
    ]
}

#[test]
fn huge_integers_in_replication_end_the_link_where_they_are_read_and_are_ignored_elsewhere() {
    for (name, values, are_read) in templates() {
        for index in 0..values.len() {
            for huge in [(1 << 53) - 1, 1 << 53, u64::MAX] {
                let mut frame = Vec::new();
                for (at, value) in values.iter().enumerate() {
                    frame.put_uint(if at == index { huge } else { *value });
                }
                let is_refused = index < are_read && huge > (1 << 53) - 1;
                let expected = if is_refused { TOO_LARGE } else { Ok(()) };
                let answers = say(State::Replicating, &frame, expected, name);
                let is_answered = name == "request" && index >= 2 && !is_refused;
                assert_eq!(answers.len(), usize::from(is_answered), "{name}, field {index} = {huge}");
            }
        }
        let mut whole = Vec::new();
        values.iter().for_each(|value| whole.put_uint(*value));
        for length in 2..whole.len() {
            let expected = if name == "request" && length < 4 { TRUNCATED } else { Ok(()) };
            say(State::Replicating, &whole[..length], expected, name);
        }
    }
}

#[test]
fn sealed_noise_of_a_drive_peer_is_a_typed_error_or_ignored() {
    let mut noise = Noise(2);
    for state in STATES {
        let (mut end, mut stranger) = state.reach();
        let mut ended = 0;
        for round in 0..500 {
            let length = (noise.next() % 65) as usize;
            let mut plaintext = noise.bytes(length);
            // Most of it on channels and of types that exist.
            let mask = [3, 3, 15][round % 3];
            plaintext.iter_mut().take(4).filter(|_| round % 4 > 0).for_each(|byte| *byte &= mask);
            if let Err(error) = stranger.say(&mut end, &plaintext) {
                use LinkError::{Capability, Channel, ChannelClosed, Malformed, Mux};
                let is_typed = matches!(error, Malformed(_) | Mux(_) | Channel(_) | Capability | ChannelClosed);
                assert!(is_typed, "{plaintext:?}: {error:?}");
                (end, stranger) = state.reach();
                ended += 1;
            }
            let messages = end.events.drain(..).filter(|event| matches!(event, LinkEvent::Message { .. })).count();
            assert!(messages <= plaintext.len());
            stranger.heard.clear();
        }
        assert!((25..475).contains(&ended), "{ended} of 500 ended the link in {state:?}: both happen");
    }
}

#[test]
fn rejects_say_the_ids_of_what_they_reject() {
    // The answers of a corked batch come one by one, in order.
    let (mut end, mut stranger) = State::Opened.reach();
    let opens: Vec<Vec<u8>> = (2..300).map(|id| drive_open_frame(id, &[7; 32], b"")).collect();
    stranger.say(&mut end, &batch(&opens)).unwrap();
    let ids: Vec<u64> = stranger
        .heard
        .iter()
        .map(|frame| {
            let mut reader = Reader::new(frame);
            assert_eq!((reader.uint(), reader.uint()), (Ok(0), Ok(2)));
            reader.uint().unwrap()
        })
        .collect();
    assert_eq!(ids, (2..300).collect::<Vec<_>>());
}
