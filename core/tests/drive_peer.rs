//! A link to a process that replicates the drive and may know nothing else: PROTOCOL.md §12, with the remote made by hand.

mod devices;

use std::sync::Arc;

use devices::{End, Noise, Stranger, at, batch, device, drive, drive_open_frame, extension, open_frame};
use peersockets_core::channel::hypercore::{self, EXTENSION, NO_DATA, REQUEST, SYNC};
use peersockets_core::channel::peersockets::{self, GOODBYE, TOPIC};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::{LinkError, WireError};
use peersockets_core::limits;
use peersockets_core::secure::Role;
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::{Encode, Reader};

const CHAT: &[u8] = b"peersockets/v0/chat";
/// Our rejects, the remote's, of the channels with these ids.
const REJECT_PEERSOCKETS: &[u8] = &[0, 2, 1];
const REJECT_DRIVE: &[u8] = &[0, 2, 2];

fn chat() -> Arc<str> {
    "chat".into()
}

fn message(bytes: &[u8]) -> LinkEvent {
    LinkEvent::Message { number: None, topic: chat(), bytes: bytes.to_vec() }
}

fn end() -> End {
    End::towards_drive_peer(1, drive())
}

/// A link to a remote that knows nothing but replication, as it is when both know that.
fn replicating() -> (End, Stranger) {
    let mut end = end();
    let stranger = Stranger::replicating(&mut end);
    (end, stranger)
}

#[test]
fn both_channels_are_opened_at_once() {
    let stranger = Stranger::meet(&mut end());
    let hash = stranger.hash();
    let expected = [
        open_frame(
            &drive().channel_id(&hash),
            &peersockets::open_handshake(&drive(), Role::Initiator, &hash, &Default::default()),
        ),
        drive_open_frame(2, &drive().discovery_key(), &hypercore::open_handshake(&drive(), Role::Initiator, &hash)),
    ];
    assert_eq!(stranger.heard, expected);
}

#[test]
fn what_the_remote_says_of_both_channels_decides_how_messages_go() {
    #[derive(Clone, Copy, Debug)]
    enum Says {
        Open,
        Reject,
        OpenDrive,
        RejectDrive,
    }
    use Says::{Open, OpenDrive, Reject, RejectDrive};
    #[derive(Debug, PartialEq)]
    enum Then {
        Peersockets,
        Extensions,
        Waits,
        Ends,
    }
    let cases = [
        (&[Open][..], Then::Peersockets),
        (&[Open, OpenDrive], Then::Peersockets),
        (&[OpenDrive, Open], Then::Peersockets),
        (&[Open, RejectDrive], Then::Peersockets),
        (&[RejectDrive, Open], Then::Peersockets),
        (&[OpenDrive, Reject], Then::Extensions),
        (&[Reject, OpenDrive], Then::Extensions),
        (&[], Then::Waits),
        (&[Reject], Then::Waits),
        (&[OpenDrive], Then::Waits),
        (&[RejectDrive], Then::Waits),
        (&[Reject, RejectDrive], Then::Ends),
        (&[RejectDrive, Reject], Then::Ends),
    ];
    for (says, then) in cases {
        let mut end = end();
        let mut stranger = Stranger::meet(&mut end);
        let mut next_id = 1;
        let mut outcome = Ok(());
        for said in says {
            let frame = match said {
                Open => {
                    let mut open = stranger.open(&drive());
                    open[2] = next_id;
                    open
                }
                OpenDrive => stranger.drive_open(next_id.into(), &drive()),
                Reject => REJECT_PEERSOCKETS.to_vec(),
                RejectDrive => REJECT_DRIVE.to_vec(),
            };
            next_id += u8::from(matches!(said, Open | OpenDrive));
            assert_eq!(outcome, Ok(()), "{says:?}");
            outcome = stranger.say(&mut end, &frame);
        }
        stranger.heard.clear();
        let is_sent = end.link.send(&chat(), b"hello".to_vec()).is_ok();
        stranger.exchange(&mut end).unwrap();
        let came: Vec<_> = stranger.heard.iter().map(|frame| (frame[0], u64::from(frame[1]))).collect();
        let did = match (&came[..], outcome) {
            ([(1, TOPIC), (1, peersockets::MESSAGE)], Ok(())) => Then::Peersockets,
            ([(2, EXTENSION)], Ok(())) => Then::Extensions,
            ([], Ok(())) => Then::Waits,
            ([], Err(LinkError::ChannelClosed)) => Then::Ends,
            other => panic!("{says:?}: {other:?}"),
        };
        assert_eq!(did, then, "{says:?}");
        let is_proved = matches!(then, Then::Peersockets | Then::Extensions);
        let proofs: Vec<LinkEvent> = is_proved.then(|| LinkEvent::Proved(device(9).public())).into_iter().collect();
        assert_eq!(end.events, proofs, "{says:?}: it joins once, and only when it is known how it is reached");
        assert_eq!(is_sent, is_proved, "{says:?}");
    }
}

#[test]
fn a_peer_with_both_channels_is_not_missed_when_the_drive_s_goes() {
    let mut end = end();
    let mut stranger = Stranger::proved(&mut end);
    let open = stranger.drive_open(2, &drive());
    stranger.say(&mut end, &open).unwrap();
    stranger.say(&mut end, &[2, EXTENSION as u8, 0, b'?']).unwrap();
    stranger.say(&mut end, &[0, 3, 2]).unwrap();
    assert!(end.events.is_empty(), "what is said twice is heard once");
    stranger.say(&mut end, &[1, TOPIC as u8, 0, 1, b'a']).unwrap();
    stranger.say(&mut end, &[1, peersockets::MESSAGE as u8, 0, b'!']).unwrap();
    assert_eq!(end.events.len(), 1);
    assert_eq!(stranger.say(&mut end, &[0, 3, 1]), Err(LinkError::ChannelClosed), "with the other one it is gone");
}

#[test]
fn a_peer_reached_by_extensions_is_gone_with_their_channel() {
    let (mut end, mut stranger) = replicating();
    assert_eq!(stranger.say(&mut end, &[0, 3, 1]), Err(LinkError::ChannelClosed));
}

#[test]
fn a_wrong_hypercore_capability_ends_the_link() {
    let other = DriveKey::from_bytes([0x0d; 32]);
    let wrong: [fn(&Stranger, &DriveKey) -> Vec<u8>; 6] = [
        |stranger, _| hypercore::open_handshake(&drive(), Role::Initiator, &stranger.hash()),
        |_, _| hypercore::open_handshake(&drive(), Role::Responder, &[7; 64]),
        |stranger, other| hypercore::open_handshake(other, Role::Responder, &stranger.hash()),
        // That of the other channel, which it could have been sent.
        |stranger, _| [&[0][..], &drive().capability(Role::Responder, &stranger.hash())].concat(),
        |_, _| vec![0; 33],
        |_, _| vec![0xfc; 33],
    ];
    for (case, handshake) in wrong.into_iter().enumerate() {
        for is_rejected_first in [false, true] {
            let mut end = end();
            let mut stranger = Stranger::meet(&mut end);
            if is_rejected_first {
                stranger.say(&mut end, REJECT_PEERSOCKETS).unwrap();
            }
            let open = drive_open_frame(1, &drive().discovery_key(), &handshake(&stranger, &other));
            assert_eq!(stranger.say(&mut end, &open), Err(LinkError::Capability), "case {case}");
            assert!(end.events.is_empty() && !end.link.is_proved());
        }
    }
    // With a proof on the other channel it is still a lie.
    let mut end = end();
    let mut stranger = Stranger::proved(&mut end);
    let open = drive_open_frame(2, &drive().discovery_key(), &[0; 33]);
    assert_eq!(stranger.say(&mut end, &open), Err(LinkError::Capability));
}

#[test]
fn flags_and_what_follows_a_hypercore_capability_are_ignored() {
    let mut end = end();
    let mut stranger = Stranger::meet(&mut end);
    let capability = drive().hypercore_capability(Role::Responder, &stranger.hash());
    let handshake = [&[0xfd, 0xff, 0xff][..], &capability, &[1, 2, 3]].concat();
    stranger.say(&mut end, &drive_open_frame(1, &drive().discovery_key(), &handshake)).unwrap();
    stranger.say(&mut end, REJECT_PEERSOCKETS).unwrap();
    assert!(end.link.is_proved());
}

#[test]
fn our_copy_is_said_once_to_be_empty() {
    let mut end = end();
    let mut stranger = Stranger::meet(&mut end);
    stranger.heard.clear();
    let open = stranger.drive_open(1, &drive());
    stranger.say(&mut end, &open).unwrap();
    // May upgrade, uploading, downloading; no fork, nothing here, nothing known of the other side.
    assert_eq!(stranger.heard, [[2, SYNC as u8, 1 | 2 | 4, 0, 0, 0]]);
    stranger.say(&mut end, REJECT_PEERSOCKETS).unwrap();
    stranger.say(&mut end, &[1, SYNC as u8, 7, 0, 9, 0]).unwrap();
    assert_eq!(stranger.heard.len(), 1);
}

#[test]
fn channels_of_other_cores_are_rejected_and_harm_nothing() {
    // As a corestore opens all its cores: the drive's somewhere among them, in one batch.
    for count in [1, 2, 500, limits::CHANNELS as u64] {
        let mut end = end();
        let mut stranger = Stranger::meet(&mut end);
        stranger.heard.clear();
        let ours = count.div_ceil(2);
        let mut noise = Noise(count);
        let opens: Vec<Vec<u8>> = (1..=count)
            .map(|id| match id {
                id if id == ours => stranger.drive_open(id, &drive()),
                id => drive_open_frame(id, &noise.bytes(32), &[0; 33]),
            })
            .collect();
        stranger.say(&mut end, &batch(&opens)).unwrap();
        stranger.say(&mut end, REJECT_PEERSOCKETS).unwrap();

        let rejected: Vec<u64> = stranger.heard.iter().filter_map(|frame| rejected(frame)).collect();
        let others: Vec<u64> = (1..=count).filter(|id| *id != ours).collect();
        assert_eq!(rejected, others);
        // What is said on them goes nowhere.
        let mut stray = Vec::new();
        stray.put_uint(count);
        stray.extend([EXTENSION as u8, 0, b'?']);
        if count > ours {
            stranger.say(&mut end, &stray).unwrap();
        }
        let mut extended = Vec::new();
        extended.put_uint(ours);
        extended.extend(&extension(CHAT, b"hello")[1..]);
        stranger.say(&mut end, &extended).unwrap();
        assert_eq!(end.events[1..], [message(b"hello")], "{count} cores");
    }
}

fn rejected(frame: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(frame);
    let head = (reader.uint().ok()?, reader.uint().ok()?);
    (head == (0, 2)).then(|| reader.uint().unwrap())
}

#[test]
fn a_request_for_a_block_is_answered_with_no_data() {
    let (mut end, mut stranger) = replicating();
    for id in [0, 252, 253, 65_536, (1 << 53) - 1] {
        // A block of a fork, with a priority; what is behind the id does not matter.
        let mut request = vec![1, REQUEST as u8, 1 | 32];
        request.put_uint(id);
        let mut answer = vec![2, NO_DATA as u8];
        answer.put_uint(id);
        for rest in [&[][..], &[0, 7, 0, 1], &[0xff; 40]] {
            stranger.heard.clear();
            stranger.say(&mut end, &[&request, rest].concat()).unwrap();
            assert_eq!(stranger.heard, [&answer[..]]);
        }
    }
    assert!(end.events.is_empty());
}

#[test]
fn what_else_replication_brings_is_ignored() {
    let (mut end, mut stranger) = replicating();
    let mut noise = Noise(1);
    for kind in (0..=20).chain([1 << 20, (1 << 53) - 1]).filter(|kind| ![REQUEST, EXTENSION].contains(kind)) {
        for length in [0, 1, 60] {
            let mut frame = vec![1];
            frame.put_uint(kind);
            frame.extend(noise.bytes(length));
            stranger.say(&mut end, &frame).unwrap();
        }
    }
    assert!(end.events.is_empty() && stranger.heard.is_empty());
    stranger.extend(&mut end, CHAT, b"still here").unwrap();
    assert_eq!(end.events, [message(b"still here")]);
}

#[test]
fn messages_of_all_sizes_go_both_ways_as_extensions() {
    let (mut end, mut stranger) = replicating();
    for size in [0, 1, 252, 253, 16_364, 65_536, 1 << 20, limits::MESSAGE] {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        stranger.extend(&mut end, CHAT, &bytes).unwrap();
        assert!(end.events == [message(&bytes)], "{size} bytes from it");
        end.events.clear();

        stranger.heard.clear();
        end.link.send(&chat(), bytes.clone()).unwrap();
        stranger.exchange(&mut end).unwrap();
        let [(_, payload)] = stranger.extensions()[..] else { panic!("one extension") };
        assert!(payload == bytes, "{size} bytes to it");
    }
    assert_eq!(end.link.outbox().bytes(), 0);
}

#[test]
fn messages_of_a_topic_keep_their_order_and_topics_take_turns() {
    let (mut end, mut stranger) = replicating();
    let topics: [Arc<str>; 3] = ["one".into(), "two".into(), "three".into()];
    for number in 0..20u8 {
        for topic in &topics {
            end.link.send(topic, vec![number; usize::from(number) * 100]).unwrap();
        }
    }
    stranger.exchange(&mut end).unwrap();
    let mut sent = stranger.extensions().into_iter();
    for number in 0..20u8 {
        for topic in &topics {
            let (name, payload) = sent.next().unwrap();
            assert_eq!(name, [&b"peersockets/v0/"[..], topic.as_bytes()].concat());
            assert_eq!(payload, vec![number; usize::from(number) * 100]);
        }
    }
    for number in 0..100u8 {
        stranger.extend(&mut end, CHAT, &[number]).unwrap();
    }
    let expected: Vec<LinkEvent> = (0..100u8).map(|number| message(&[number])).collect();
    assert_eq!(end.events, expected);
}

#[test]
fn a_message_longer_than_any_may_be_is_reported_and_the_link_lives() {
    let (mut end, mut stranger) = replicating();
    for length in [limits::MESSAGE + 1, 16_000_000] {
        stranger.extend(&mut end, CHAT, &vec![7; length]).unwrap();
        assert_eq!(end.events, [LinkEvent::Lost { number: None, topic: chat(), length }]);
        end.events.clear();
    }
    stranger.extend(&mut end, CHAT, b"short").unwrap();
    assert_eq!(end.events, [message(b"short")]);
    assert_eq!(end.budget.used(), 0);
}

#[test]
fn an_empty_extension_name_repeats_the_one_before() {
    let (mut end, mut stranger) = replicating();
    stranger.extend(&mut end, b"", b"of nothing").unwrap();
    assert!(end.events.is_empty());
    for (name, bytes) in [(CHAT, b"1"), (b"", b"2"), (b"", b"3"), (b"peersockets/v0/b", b"4"), (b"", b"5")] {
        stranger.extend(&mut end, name, bytes).unwrap();
    }
    let b = |bytes: &[u8]| LinkEvent::Message { number: None, topic: "b".into(), bytes: bytes.to_vec() };
    assert_eq!(end.events, [message(b"1"), message(b"2"), message(b"3"), b(b"4"), b(b"5")]);

    for (topic, bytes) in [(chat(), "1"), (chat(), "2"), ("b".into(), "3"), (chat(), "4"), (chat(), "5")] {
        end.link.send(&topic, bytes.into()).unwrap();
        stranger.exchange(&mut end).unwrap();
    }
    let names: Vec<&[u8]> = stranger.extensions().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [CHAT, b"", b"peersockets/v0/b", CHAT, b""]);
}

#[test]
fn whoever_sends_an_extension_before_it_rejects_the_other_channel_is_heard() {
    let mut end = end();
    let mut stranger = Stranger::meet(&mut end);
    let open = stranger.drive_open(1, &drive());
    stranger.say(&mut end, &open).unwrap();
    stranger.extend(&mut end, CHAT, b"early").unwrap();
    stranger.say(&mut end, REJECT_PEERSOCKETS).unwrap();
    stranger.extend(&mut end, b"", b"in time").unwrap();
    assert!(matches!(end.events[0], LinkEvent::Proved(_)));
    assert_eq!(end.events[1..], [message(b"early"), message(b"in time")]);
}

#[test]
fn extensions_that_are_no_topic_are_ignored() {
    let (mut end, mut stranger) = replicating();
    let longest = [b"peersockets/v0/", &[b'a'; limits::TOPIC_NAME][..]].concat();
    let too_long = [&longest[..], b"a"].concat();
    for name in [
        &b"other"[..],
        b"peersockets/v0",
        b"peersockets/v1/chat",
        b"Peersockets/v0/chat",
        b"chat",
        b"\xff\xfe",
        b"peersockets/v0/\xff",
        &too_long,
        &[b'x'; 70_000],
    ] {
        stranger.extend(&mut end, name, b"ignored").unwrap();
        stranger.extend(&mut end, b"", b"and what repeats its name").unwrap();
        assert!(end.events.is_empty(), "{:?}", String::from_utf8_lossy(&name[..name.len().min(30)]));
        stranger.extend(&mut end, CHAT, b"a topic").unwrap();
        assert_eq!(end.events, [message(b"a topic")]);
        end.events.clear();
    }
    for name in [&longest[..], b"peersockets/v0/"] {
        stranger.extend(&mut end, name, b"a topic").unwrap();
    }
    let topics: Vec<usize> = end.events.iter().map(|event| topic_of(event).len()).collect();
    assert_eq!(topics, [limits::TOPIC_NAME, 0], "the longest and the shortest are topics");
}

fn topic_of(event: &LinkEvent) -> &str {
    let LinkEvent::Message { number: None, topic, .. } = event else { panic!("{event:?} is no message") };
    topic
}

#[test]
fn an_extension_of_a_topic_not_joined_is_dropped() {
    let (mut end, mut stranger) = replicating();
    for (name, bytes) in [(CHAT, b"not wanted"), (b"peersockets/v0/b", b"wanted too")] {
        assert!(stranger.secure.seal(extension(name, bytes)));
        let sealed = stranger.secure.take_output(usize::MAX);
        end.link.handle_bytes(Time::default(), &sealed, &|topic: &str| topic == "b", &mut end.events).unwrap();
    }
    assert_eq!(end.events.iter().map(topic_of).collect::<Vec<_>>(), ["b"]);
    assert!(end.link.has_carried());
}

#[test]
fn a_drive_peer_may_send_longer_frames() {
    let too_long = Err(LinkError::Malformed(WireError::FrameTooLong));
    let meet: [fn(&mut End); 4] = [
        |_| {},
        |end| drop(Stranger::meet(end)),
        |end| drop(Stranger::proved(end)),
        |end| drop(Stranger::replicating(end)),
    ];
    for (state, meet) in meet.into_iter().enumerate() {
        let longest: u32 = if state < 2 { 524_288 } else { 16_777_215 };
        for length in [65_537, longest, longest + 1].into_iter().filter(|length| *length <= 16_777_215) {
            let mut end = end();
            meet(&mut end);
            let outcome = end.read(Time::default(), &length.to_le_bytes()[..3]);
            assert_eq!(outcome, if length <= longest { Ok(()) } else { too_long }, "{length} in state {state}");
        }
    }

    // Whole ones, and the longer right behind the proof, in the same bytes.
    let mut end = end();
    let mut stranger = Stranger::meet(&mut end);
    let open = stranger.drive_open(1, &drive());
    let replication = [&[1, 3][..], &vec![7; limits::UINT24 - 19]].concat();
    for frame in [[&[9, 0][..], &vec![0; 524_288 - 19]].concat(), open, REJECT_PEERSOCKETS.to_vec(), replication] {
        assert!(stranger.secure.seal(frame));
    }
    end.read(Time::default(), &stranger.secure.take_output(usize::MAX)).unwrap();
    stranger.extend(&mut end, CHAT, b"behind").unwrap();
    assert_eq!(end.events[1..], [message(b"behind")]);
}

#[test]
fn a_drive_peer_whose_keepalives_stop_is_dead() {
    let (mut end, mut stranger) = replicating();
    let mut beat = |end: &mut End, seconds: f64| {
        assert!(stranger.secure.seal(Vec::new()));
        let sealed = stranger.secure.take_output(usize::MAX);
        end.read(at(seconds), &sealed).unwrap();
    };
    // JavaScript's come every 5 s; this side writes its own after 3 s of silence.
    for round in 0..10 {
        let now = f64::from(round) * 5.0;
        beat(&mut end, now);
        assert_eq!(end.link.next_timeout(), at(now + 3.0));
        end.link.handle_timeout(at(now + 3.0)).unwrap();
        assert_eq!(end.written().len(), 20, "an empty frame");
    }
    assert_eq!(end.link.next_timeout(), at(45.0 + 20.0));
    end.link.handle_timeout(at(64.999)).unwrap();
    assert!(end.written().is_empty());
    assert_eq!(end.link.handle_timeout(at(65.0)), Err(LinkError::Silent));
}

#[test]
fn a_late_timer_kills_no_drive_peer() {
    let (mut end, mut stranger) = replicating();
    assert!(stranger.secure.seal(Vec::new()));
    let sealed = stranger.secure.take_output(usize::MAX);
    end.read(at(1.0), &sealed).unwrap();
    // The page was hidden for an hour; what came meanwhile is read after the timer.
    end.link.handle_timeout(at(3_600.0)).unwrap();
    assert!(stranger.secure.seal(Vec::new()));
    end.read(at(3_600.1), &stranger.secure.take_output(usize::MAX)).unwrap();
    assert_eq!(end.link.next_timeout(), at(3_603.1));
}

#[test]
fn a_drive_peer_without_keepalives_may_be_silent() {
    let (mut end, mut stranger) = replicating();
    let mut keepalives = 0;
    while end.link.next_timeout() < at(3_600.0) {
        let now = end.link.next_timeout();
        end.link.handle_timeout(now).unwrap();
        keepalives += end.written().len() / 20;
    }
    assert!((300..=1_200).contains(&keepalives), "{keepalives} in an hour: the carrier sees that this side is there");
    stranger.extend(&mut end, CHAT, b"here I am").unwrap();
    assert_eq!(end.events, [message(b"here I am")]);
}

#[test]
fn a_drive_peer_that_proves_nothing_ends_after_ten_seconds() {
    // Also one that shows the drive and leaves the other channel open for ever.
    let says: [fn(&Stranger) -> Vec<u8>; 3] =
        [|_| Vec::new(), |_| REJECT_PEERSOCKETS.to_vec(), |stranger| stranger.drive_open(1, &drive())];
    for says in says {
        let mut end = end();
        let mut stranger = Stranger::meet(&mut end);
        let frame = says(&stranger);
        stranger.say(&mut end, &frame).unwrap();
        assert_eq!(end.link.next_timeout(), at(10.0));
        assert_eq!(end.link.handle_timeout(at(10.0)), Err(LinkError::ProofTimeout));
    }
}

#[test]
fn a_peer_with_a_channel_of_its_own_is_pinged_like_any_other() {
    let mut end = end();
    let mut stranger = Stranger::proved(&mut end);
    // It sends keepalives too: its stream is npm's.
    assert!(stranger.secure.seal(Vec::new()));
    end.read(at(0.0), &stranger.secure.take_output(usize::MAX)).unwrap();
    end.link.handle_timeout(at(3.0)).unwrap();
    stranger.exchange(&mut end).unwrap();
    assert_eq!(stranger.heard, [[1, peersockets::PING as u8, 2]], "the first was for the round trip");
    assert_eq!(end.link.next_timeout(), at(10.0));
}

#[test]
fn extensions_have_no_goodbye_and_no_more_last_words_than_a_channel_has() {
    let (mut end, mut stranger) = replicating();
    for number in 0..8 {
        end.link.send(&chat(), vec![number; 16_000]).unwrap();
    }
    end.link.goodbye(None);
    stranger.exchange(&mut end).unwrap();
    let sent: Vec<u8> = stranger.extensions().iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!((sent, stranger.heard.len()), (vec![0, 1, 2, 3], 4));

    // A message that cannot be cut is too long for a last word.
    let (mut end, mut stranger) = replicating();
    end.link.send(&chat(), vec![7; limits::LAST_WORDS + 1]).unwrap();
    end.link.goodbye(None);
    stranger.exchange(&mut end).unwrap();
    assert!(stranger.heard.is_empty());
    assert_eq!(end.link.outbox().bytes(), 0);

    let mut end = self::end();
    let mut stranger = Stranger::proved(&mut end);
    end.link.send(&chat(), b"so long".to_vec()).unwrap();
    end.link.goodbye(None);
    stranger.exchange(&mut end).unwrap();
    let kinds: Vec<u64> = stranger.heard.iter().map(|frame| frame[1].into()).collect();
    assert_eq!(kinds, [TOPIC, peersockets::MESSAGE, GOODBYE]);
}

#[test]
fn a_drive_peer_that_asks_for_blocks_and_does_not_read_ends_the_link() {
    let request = vec![1, REQUEST as u8, 1, 9];
    for question in [request.clone(), batch(&vec![request.clone(); 10_000])] {
        let (mut end, mut stranger) = replicating();
        let ended = (0..100_000).find_map(|_| {
            assert!(stranger.secure.seal(question.clone()));
            end.read(Time::default(), &stranger.secure.take_output(usize::MAX)).err()
        });
        assert_eq!(ended, Some(LinkError::Unread));
        let kept = end.link.take_output(usize::MAX).len();
        assert!(kept <= limits::LINK_OUTPUT + 10_000 * 23, "{kept} bytes");
    }
    // One that reads the answers may ask for as many as it likes.
    let (mut end, mut stranger) = replicating();
    for _ in 0..50_000 {
        stranger.heard.clear();
        stranger.say(&mut end, &request).unwrap();
    }
}
