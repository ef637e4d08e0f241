//! What a link does with an honest end on the other side, a damaged pipe in between, and time.

mod devices;

use std::sync::Arc;

use devices::{End, Pair, ROLES, Stranger, at, batch, device, drive, drive_open_frame, entropy, framed, frames};
use peersockets_core::budget::Memory;
use peersockets_core::channel::outbox::{Bound, QueueFull};
use peersockets_core::channel::peersockets::{PROTOCOL, open_handshake};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::{LinkError, WireError};
use peersockets_core::limits;
use peersockets_core::link::{Beginning, Link};
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::mux::Mux;

/// Bytes on the wire before the first sealed frame.
const FIRST: usize = 3 + 32;
const SECOND: usize = 3 + 96;
const THIRD: usize = 3 + 64;
const HEADER: usize = 3 + 32 + 24;

fn chat() -> Arc<str> {
    "chat".into()
}

#[test]
fn messages_arrive_after_both_sides_have_proved_the_drive_key() {
    let mut pair = Pair::new();
    pair.exchange(Time::default());
    assert_eq!(pair.initiator.events, [LinkEvent::Proved(device(2).public())]);
    assert_eq!(pair.responder.events, [LinkEvent::Proved(device(1).public())]);
    pair.initiator.link.send(&chat(), b"hello".to_vec()).unwrap();
    pair.exchange(Time::default());
    assert_eq!(
        pair.responder.events[1..],
        [LinkEvent::Message { number: None, topic: chat(), bytes: b"hello".to_vec() }]
    );
}

#[test]
fn nothing_is_sent_before_the_handshake_is_complete() {
    let Pair { mut initiator, mut responder } = Pair::new();
    // Whatever is wanted of either end, it writes the next handshake message and nothing more.
    let press = |end: &mut End| {
        assert_eq!(
            end.link.send(&chat(), b"early".to_vec()),
            Err(QueueFull { message: b"early".to_vec(), bound: Bound::Bytes })
        );
        end.link.goodbye(None);
        end.link.handle_timeout(at(5.0)).unwrap();
        end.written()
    };
    let first = press(&mut initiator);
    assert_eq!(first.len(), FIRST);
    assert!(press(&mut responder).is_empty());

    responder.read(Time::default(), &first).unwrap();
    let second = press(&mut responder);
    assert_eq!(second.len(), SECOND);
    assert!(press(&mut responder).is_empty());
    assert!(responder.link.remote().is_none());

    initiator.read(Time::default(), &second).unwrap();
    let third = initiator.written();
    let lengths: Vec<_> = frames(&third).iter().map(|frame| frame.len()).take(2).collect();
    assert_eq!(lengths, [THIRD, HEADER], "its handshake is complete now");
    assert!(press(&mut responder).is_empty(), "the responder's is not");
}

#[test]
fn a_device_looped_back_to_itself_is_refused() {
    // Two links of one device, as when a relay connects it to itself.
    let mut initiator = End::of(Role::Initiator, &device(1), entropy(1), drive());
    let mut responder = End::of(Role::Responder, &device(1), entropy(2), drive());
    responder.read(Time::default(), &initiator.written()).unwrap();
    let error = initiator.read(Time::default(), &responder.written());
    assert_eq!(error, Err(LinkError::OwnDevice));
    let unwritten = initiator.link.take_output(usize::MAX);
    assert_eq!(unwritten.len(), THIRD + HEADER, "no Open was made");
    assert_eq!(responder.read(Time::default(), &unwritten), Err(LinkError::OwnDevice));

    // One link whose bytes come straight back.
    let mut looped = End::new(Role::Initiator, 1, drive());
    let echo = looped.written();
    assert_eq!(looped.read(Time::default(), &echo), Err(LinkError::Handshake));
}

#[test]
fn another_drive_key_never_proves() {
    let other = DriveKey::from_bytes([0x0d; 32]);
    let mut pair =
        Pair { initiator: End::new(Role::Initiator, 1, drive()), responder: End::new(Role::Responder, 2, other) };
    pair.exchange(Time::default());
    for role in ROLES {
        let end = pair.end(role);
        assert!(end.link.remote().is_some(), "the handshake is complete");
        assert!(end.link.send(&chat(), b"a secret".to_vec()).is_err());
        assert!(!end.link.is_proved());
        assert!(end.events.is_empty());
    }
    assert_eq!(pair.initiator.ended, Some(LinkError::ChannelClosed), "it is the first to be rejected");
}

#[test]
fn a_public_key_that_is_no_point_ends_the_handshake() {
    let hex = |digits: &str| -> Vec<u8> {
        (0..32).map(|index| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).unwrap()).collect()
    };
    let with_ends = |first: &str, middle: &str, last: &str| hex(&format!("{first}{}{last}", middle.repeat(30)));
    let bad_points = [
        ("of order 1", with_ends("01", "00", "00")),
        ("of order 2", with_ends("ec", "ff", "7f")),
        ("of order 4", with_ends("00", "00", "00")),
        ("of order 4, other sign", with_ends("00", "00", "80")),
        ("of order 8", hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
        ("of order 8, the other", hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
        ("of order 1, not canonical", with_ends("ee", "ff", "7f")),
        ("of order 4, not canonical", with_ends("ed", "ff", "7f")),
        ("of mixed order, not canonical", with_ends("f0", "ff", "7f")),
        ("no point", with_ends("02", "00", "00")),
        ("above the field", with_ends("ff", "ff", "ff")),
    ];
    for (name, point) in bad_points {
        let mut responder = End::new(Role::Responder, 2, drive());
        assert_eq!(responder.read(Time::default(), &framed(&point)), Err(LinkError::Handshake), "{name}");
        assert!(responder.written().is_empty());

        let Pair { mut initiator, mut responder } = Pair::new();
        responder.read(Time::default(), &initiator.written()).unwrap();
        let mut second = responder.written();
        second[3..35].copy_from_slice(&point);
        assert_eq!(initiator.read(Time::default(), &second), Err(LinkError::Handshake), "{name}");
        assert!(initiator.written().is_empty());
    }
}

#[test]
fn a_wrong_stream_id_ends_the_link() {
    for (sender, start) in [(Role::Initiator, FIRST + THIRD), (Role::Responder, SECOND)] {
        for index in 0..32 {
            let mut pair = Pair::new();
            pair.exchange_through(Time::default(), flip(sender, start + 3 + index, 1 << (index % 8)));
            let reader = pair.end(sender.other());
            assert_eq!(reader.ended, Some(LinkError::StreamId), "byte {index} of the {sender:?}'s");
            assert!(reader.events.is_empty());
        }
    }
}

#[test]
fn a_link_changed_in_any_byte_before_the_proof_is_not_proved() {
    let mut written = [Vec::new(), Vec::new()];
    Pair::new().exchange_through(Time::default(), |role, bytes| written[role as usize].extend_from_slice(bytes));
    // The last of so many frames is the Open; then it is proved.
    for (sender, count) in [(Role::Initiator, 4), (Role::Responder, 3)] {
        let proof: usize = frames(&written[sender as usize])[..count].iter().map(|frame| frame.len()).sum();
        for offset in 0..proof {
            let mut pair = Pair::new();
            pair.exchange_through(Time::default(), flip(sender, offset, 1 << (offset % 8)));
            let reader = pair.end(sender.other());
            assert!(!reader.link.is_proved(), "byte {offset} of the {sender:?}'s");
            assert!(reader.events.is_empty());
        }
    }
}

/// Flips bits in the byte at `offset` of what `sender` writes.
fn flip(sender: Role, offset: usize, bits: u8) -> impl FnMut(Role, &mut Vec<u8>) {
    let mut passed = 0;
    move |role, bytes| {
        if role == sender {
            if let Some(byte) = offset.checked_sub(passed).and_then(|index| bytes.get_mut(index)) {
                *byte ^= bits;
            }
            passed += bytes.len();
        }
    }
}

#[test]
fn a_damaged_frame_ends_the_link_and_releases_nothing() {
    let mut sender = Pair::proved().initiator;
    let whole = [&b"first"[..], b"one", b"two"].map(|message| {
        sender.link.send(&chat(), message.to_vec()).unwrap();
        sender.written()
    });
    let [first, one, two] = whole.each_ref().map(|written| match frames(written)[..] {
        [frame] => frame,
        _ => panic!("one frame each"),
    });

    let too_long = Err(LinkError::Malformed(WireError::FrameTooLong));
    for bit in 0..one.len() * 8 {
        let mut responder = Pair::proved().responder;
        let mut damaged = one.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        responder.read(Time::default(), first).unwrap();
        let outcome = responder.read(Time::default(), &damaged).and_then(|()| responder.read(Time::default(), two));
        let is_length = bit < 3 * 8;
        assert!(
            outcome == Err(LinkError::Damaged) || is_length && (outcome == Ok(()) || outcome == too_long),
            "bit {bit}: {outcome:?}"
        );
        assert_eq!(responder.messages(), [b"first"], "bit {bit}");
    }

    for (name, order, released) in [
        ("dropped", vec![first, two], &[&b"first"[..]][..]),
        ("all but the last dropped", vec![two], &[]),
        ("repeated", vec![first, one, one], &[b"first", b"one"]),
        ("reordered", vec![first, two, one], &[b"first"]),
        ("without its last byte", vec![first, &one[..one.len() - 1], two], &[b"first"]),
    ] {
        let mut responder = Pair::proved().responder;
        let outcome = order.iter().try_for_each(|frame| responder.read(Time::default(), frame));
        assert_eq!(outcome, Err(LinkError::Damaged), "{name}");
        assert_eq!(responder.messages(), released, "{name}");
    }

    // The end is final: the frames as they were sent come too late.
    let mut responder = Pair::proved().responder;
    assert_eq!(responder.read(Time::default(), one), Err(LinkError::Damaged));
    responder.ended = None;
    assert_eq!(responder.read(Time::default(), &whole.concat()), Err(LinkError::Damaged));
    assert!(responder.events.is_empty());
}

#[test]
fn sealed_frames_stay_within_16_kib() {
    let longest: Arc<str> = "t".repeat(limits::TOPIC_NAME).into();
    let mut pair = Pair::proved();
    for length in [0, 1, 16_350, 16_355, 16_356, 16_357, 16_360, 16_364, 16_384, 65_536, 1 << 20] {
        pair.initiator.link.send(&chat(), vec![7; length]).unwrap();
        pair.initiator.link.send(&longest, vec![8; length]).unwrap();
    }
    let written = pair.initiator.written();
    let largest = frames(&written).iter().map(|frame| frame.len()).max();
    assert_eq!(largest, Some(16_384), "and use them");
    pair.responder.read(Time::default(), &written).unwrap();
    assert_eq!(pair.responder.messages().len(), 22);
}

#[test]
fn a_carrier_that_takes_little_at_a_time_gets_the_same_bytes() {
    let mut pair = Pair::proved();
    pair.initiator.link.send(&chat(), vec![7; 100_000]).unwrap();
    while pair.initiator.link.has_output() {
        let chunk = pair.initiator.link.take_output(1_000);
        assert!(!chunk.is_empty() && chunk.len() <= 1_000);
        pair.responder.read(Time::default(), &chunk).unwrap();
    }
    assert_eq!(pair.responder.messages(), [vec![7; 100_000]]);
}

#[test]
fn an_oversize_frame_ends_the_link_at_its_length() {
    let too_long = Err(LinkError::Malformed(WireError::FrameTooLong));
    let meet: [fn(&mut End); 3] = [|_| {}, |end| drop(Stranger::meet(end)), |end| drop(Stranger::proved(end))];
    for (state, meet) in meet.into_iter().enumerate() {
        for role in ROLES {
            let longest = if state < 2 { 65_536 } else { 524_288 };
            for (length, outcome) in [(longest, Ok(())), (longest + 1, too_long), (16_777_215, too_long)] {
                let mut end = End::new(role, 1, drive());
                meet(&mut end);
                let field = &u32::to_le_bytes(length)[..3];
                assert_eq!(end.read(Time::default(), field), outcome, "{length} for the {role:?} in state {state}");
            }
        }
    }
}

#[test]
fn a_proved_device_may_open_a_corestore_in_one_frame() {
    for role in ROLES {
        let mut end = End::new(role, 1, drive());
        let mut stranger = Stranger::proved(&mut end);
        // Channel 0, a batch of messages for the control channel: an Open for each core.
        let opens: Vec<Vec<u8>> = (0..4_000u32)
            .map(|core| drive_open_frame(u64::from(core) + 2, &[&core.to_le_bytes()[..], &[7; 28]].concat(), &[0; 33]))
            .collect();
        let frame = batch(&opens);
        assert!(frame.len() > 300_000);
        stranger.say(&mut end, &frame).unwrap();
        // An empty message of the topic in slot 0.
        stranger.say(&mut end, &[&[1, 0, 0, 4][..], b"chat"].concat()).unwrap();
        stranger.say(&mut end, &[1, 1, 0]).unwrap();
        assert_eq!(end.messages(), [b""]);
    }
}

#[test]
fn a_link_that_proves_nothing_ends_after_ten_seconds() {
    for role in ROLES {
        let silent = End::new(role, 1, drive());
        let mut unproved = End::new(role, 1, drive());
        let mut stranger = Stranger::meet(&mut unproved);
        for second in 1..10 {
            // Bytes that prove nothing buy no time.
            assert!(stranger.secure.seal(Vec::new()));
            unproved.read(at(second.into()), &stranger.secure.take_output(usize::MAX)).unwrap();
        }
        for mut end in [silent, unproved] {
            assert_eq!(end.link.next_timeout(), at(10.0));
            assert_eq!(end.link.handle_timeout(at(9.999)), Ok(()));
            assert_eq!(end.link.handle_timeout(at(10.0)), Err(LinkError::ProofTimeout));
        }
    }
}

#[test]
fn a_silent_link_is_dead_after_ten_seconds() {
    for (role, asks_at) in [(Role::Initiator, at(2.5)), (Role::Responder, at(3.0))] {
        let mut pair = Pair::proved();
        let end = pair.end(role);
        assert_eq!(end.link.next_timeout(), asks_at);
        end.link.handle_timeout(at(2.499)).unwrap();
        assert!(end.written().is_empty());
        end.link.handle_timeout(asks_at).unwrap();
        assert!(!end.written().is_empty(), "a ping");
        assert_eq!(end.link.asked_at(), Some(at(3.0)), "however early it was asked");
        assert_eq!(end.link.next_timeout(), at(10.0));
        end.link.handle_timeout(at(9.999)).unwrap();
        assert!(end.written().is_empty(), "one is enough");
        assert_eq!(end.link.handle_timeout(at(10.0)), Err(LinkError::Silent));
    }
}

#[test]
fn one_ping_and_its_answer_keep_both_ends_of_a_link() {
    let mut pair = Pair::proved();
    for round in 1..7 {
        let now = at(f64::from(round) * 2.5);
        for role in ROLES {
            let end = pair.end(role);
            end.link.handle_timeout(now).unwrap();
            assert_eq!(end.link.asked_at().is_some(), role == Role::Initiator);
        }
        pair.exchange(now);
        assert_eq!(pair.initiator.link.next_timeout(), now + (limits::PING_AFTER - limits::PING_LEAD));
        assert_eq!(pair.responder.link.next_timeout(), now + limits::PING_AFTER);
    }
    assert!(pair.initiator.events.is_empty() && pair.responder.events.is_empty(), "nobody above sees it");
}

#[test]
fn who_asks_all_the_time_is_asked_too_and_given_up_if_it_hears_no_answer() {
    let mut pair = Pair::proved();
    let mut now = at(0.0);
    let end = loop {
        now = now + (limits::PING_AFTER - limits::PING_LEAD);
        pair.initiator.link.ask(now);
        let question = pair.initiator.written();
        pair.responder.read(now, &question).unwrap();
        // What the responder says is lost.
        match pair.responder.link.handle_timeout(now) {
            Ok(()) => pair.responder.written(),
            Err(end) => break end,
        };
    };
    assert_eq!((end, now), (LinkError::Silent, at(50.0)));
}

#[test]
fn a_late_timer_kills_no_link() {
    let mut pair = Pair::proved();
    // The page was hidden for an hour: the link is pinged before it is given up.
    let late = at(3_600.0);
    pair.initiator.link.handle_timeout(late).unwrap();
    assert_eq!(pair.initiator.link.next_timeout(), late + limits::PONG_WITHIN);
    pair.exchange(late);
    assert_eq!(pair.initiator.link.next_timeout(), late + (limits::PING_AFTER - limits::PING_LEAD));
}

#[test]
fn a_keepalive_is_no_frame_for_the_bytes_that_come_after_it() {
    let drive = DriveKey::from_bytes([1; 32]);
    let mut now = Time::default();
    let device = DeviceKey::from_seed([1; 32]);
    let beginning = Beginning {
        now,
        role: Role::Initiator,
        device: &device,
        drive: drive.clone(),
        memory: Memory::default(),
        is_drive_peer: false,
    };
    let mut link = Link::new(beginning, Entropy { ephemeral: [2; 32], header: [2; 24] });
    let remote_key = DeviceKey::from_seed([3; 32]);
    let mut remote = Secure::new(Role::Responder, &remote_key, Entropy { ephemeral: [4; 32], header: [4; 24] });
    let joined = |_: &str| true;
    let mut events = Vec::new();
    for _ in 0..3 {
        remote.handle_bytes(&link.take_output(usize::MAX));
        remote.poll_frame(limits::FRAME).unwrap();
        link.handle_bytes(now, &remote.take_output(usize::MAX), &joined, &mut events).unwrap();
    }
    let hash = *remote.handshake_hash().unwrap();
    let mut mux = Mux::default();
    mux.open(PROTOCOL, &drive.channel_id(&hash), &open_handshake(&drive, Role::Responder, &hash, &Default::default()));
    assert!(remote.seal(mux.poll_frame().unwrap()));
    assert!(remote.seal(Vec::new()));
    link.handle_bytes(now, &remote.take_output(usize::MAX), &joined, &mut events).unwrap();
    assert!(link.is_proved());
    // A frame of 65,536 bytes that never comes whole.
    link.handle_bytes(now, &[0, 0, 1], &joined, &mut events).unwrap();
    let end = now + limits::FRAME_TIME;
    while link.handle_timeout(now).is_ok() {
        assert!(now <= end, "it goes on for ever");
        now = now + Duration::from_secs(1);
        link.handle_bytes(now, &[0], &joined, &mut events).unwrap();
    }
}
