//! Malformed bytes at every state of a link: each is a typed error or ignored as the protocol says, none is a panic.

mod devices;

use devices::{End, Noise, ROLES, Stranger, drive, framed};
use peersockets_core::channel::peersockets::{FIRST, GOODBYE, MESSAGE, NEXT, PING, PONG, PROTOCOL, TOPIC};
use peersockets_core::error::{ChannelViolation, LinkError, MuxViolation, WireError};
use peersockets_core::secure::Role;
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::Encode;

/// Where a link can be when bytes come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    AwaitsHandshake(Role),
    /// The responder's second wait.
    AwaitsThird,
    AwaitsHeader(Role),
    Established(Role),
    Proved(Role),
}

const STATES: [State; 9] = [
    State::AwaitsHandshake(Role::Initiator),
    State::AwaitsHandshake(Role::Responder),
    State::AwaitsThird,
    State::AwaitsHeader(Role::Initiator),
    State::AwaitsHeader(Role::Responder),
    State::Established(Role::Initiator),
    State::Established(Role::Responder),
    State::Proved(Role::Initiator),
    State::Proved(Role::Responder),
];

impl State {
    /// A link that is there.
    fn reach(self) -> End {
        let (State::AwaitsHandshake(role) | State::AwaitsHeader(role) | State::Established(role) | State::Proved(role)) =
            self
        else {
            let mut end = End::new(Role::Responder, 1, drive());
            let mut stranger = Stranger::new(Role::Initiator);
            end.read(Time::default(), &stranger.secure.take_output(usize::MAX)).unwrap();
            return end;
        };
        let mut end = End::new(role, 1, drive());
        match self {
            State::AwaitsHandshake(_) | State::AwaitsThird => {}
            State::AwaitsHeader(_) => reach_header(&mut end),
            State::Established(_) => drop(Stranger::meet(&mut end)),
            State::Proved(_) => drop(Stranger::proved(&mut end)),
        }
        end
    }

    /// What a whole frame that is not the next one of an honest remote does here.
    fn verdict(self) -> LinkError {
        match self {
            State::AwaitsHandshake(_) | State::AwaitsThird => LinkError::Handshake,
            State::AwaitsHeader(_) => LinkError::StreamId,
            State::Established(_) | State::Proved(_) => LinkError::Damaged,
        }
    }
}

/// The handshake without the remote's header, which is the last frame that it wrote.
fn reach_header(end: &mut End) {
    let mut stranger = Stranger::new(end.role.other());
    loop {
        stranger.secure.handle_bytes(&end.written());
        stranger.secure.poll_frame(usize::MAX).unwrap();
        let mut ours = stranger.secure.take_output(usize::MAX);
        if stranger.secure.is_established() {
            ours.truncate(ours.len() - (3 + 32 + 24));
            end.read(Time::default(), &ours).unwrap();
            // The initiator has its header behind the third message, the responder behind the one that it was sent.
            assert!(end.link.remote().is_some());
            end.written();
            return;
        }
        end.read(Time::default(), &ours).unwrap();
    }
}

#[test]
fn malformed_bytes_at_every_state_end_the_link_with_a_typed_error() {
    let mut noise = Noise(1);
    for state in STATES {
        for length in 0..=64 {
            for bytes in [noise.bytes(length), vec![0; length], vec![0xff; length]] {
                let outcome = state.reach().read(Time::default(), &framed(&bytes));
                // The first message is any point, and may be followed by a payload.
                let is_a_point = state == State::AwaitsHandshake(Role::Responder) && length >= 32 && outcome == Ok(());
                assert!(is_a_point || outcome == Err(state.verdict()), "{state:?}, {bytes:?}: {outcome:?}");

                // Without a length field in front they are one themselves, and may wait for more.
                let mut end = state.reach();
                let outcome = end.read(Time::default(), &bytes);
                let allowed = [Ok(()), Err(state.verdict()), Err(LinkError::Malformed(WireError::FrameTooLong))];
                assert!(allowed.contains(&outcome), "{state:?}, {bytes:?}: {outcome:?}");
                assert!(end.events.is_empty());
            }
        }
    }
}

#[test]
fn the_largest_length_is_refused_at_every_state() {
    for state in STATES {
        let outcome = state.reach().read(Time::default(), &[0xff; 3]);
        assert_eq!(outcome, Err(LinkError::Malformed(WireError::FrameTooLong)), "{state:?}");
    }
}

/// One field of a plaintext frame.
#[derive(Clone)]
enum Field {
    /// A `uint`, and what becomes of the frame when it is 2^53 - 1 or 2^32 - 1 instead: before the proof, and after it.
    Uint(u64, Outcome, Outcome),
    Bytes(&'static [u8]),
}

type Outcome = Result<(), LinkError>;

const IGNORED: Outcome = Ok(());
const TRUNCATED: Outcome = Err(LinkError::Malformed(WireError::Truncated));
const OPEN_ID: Outcome = Err(LinkError::Mux(MuxViolation::OpenId));
const REJECT_ID: Outcome = Err(LinkError::Mux(MuxViolation::RejectId));
const SLOT: Outcome = Err(LinkError::Channel(ChannelViolation::Slot));
const MESSAGE_TOO_LONG: Outcome = Err(LinkError::Channel(ChannelViolation::MessageTooLong));

/// Every frame of the mux and of the channel that has integers in it.
fn templates(is_proved: bool) -> Vec<(&'static str, Vec<Field>)> {
    use Field::{Bytes, Uint};
    let same = |value, outcome| Uint(value, outcome, outcome);
    let channel = || same(1, IGNORED);
    let kind = |kind| same(kind, IGNORED);
    let next_id = if is_proved { 2 } else { 1 };
    // The slot of a channel that nobody has opened is not looked at.
    let slot = || Uint(0, IGNORED, SLOT);
    vec![
        (
            "open",
            vec![
                same(0, IGNORED),
                same(1, IGNORED),
                same(next_id, OPEN_ID),
                same(5, TRUNCATED),
                Bytes(b"alpha"),
                same(2, TRUNCATED),
                Bytes(b"id"),
            ],
        ),
        ("reject", vec![same(0, IGNORED), same(2, IGNORED), same(9, REJECT_ID)]),
        ("close", vec![same(0, IGNORED), same(3, IGNORED), same(9, IGNORED)]),
        (
            "batch",
            vec![
                same(0, IGNORED),
                same(0, IGNORED),
                same(1, IGNORED),
                same(2, TRUNCATED),
                Bytes(&[9, 9]),
                Bytes(&[0]),
                same(1, IGNORED),
                same(2, TRUNCATED),
                Bytes(&[9, 9]),
            ],
        ),
        ("topic", vec![channel(), kind(TOPIC), slot(), Uint(1, IGNORED, TRUNCATED), Bytes(b"b")]),
        ("message", vec![channel(), kind(MESSAGE), slot(), Bytes(b"bytes")]),
        ("first", vec![channel(), kind(FIRST), slot(), Uint(9, IGNORED, MESSAGE_TOO_LONG), Bytes(b"bytes")]),
        ("next", vec![channel(), kind(NEXT), slot(), Bytes(b"bytes")]),
        ("goodbye", vec![channel(), kind(GOODBYE)]),
        ("ping", vec![channel(), kind(PING)]),
        ("pong", vec![channel(), kind(PONG)]),
    ]
}

/// The frame of these fields, the one at `altered` with another value.
fn encode(fields: &[Field], altered: Option<(usize, u64)>) -> Vec<u8> {
    let mut frame = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        match (field, altered) {
            (Field::Uint(..), Some((at, value))) if at == index => frame.put_uint(value),
            (Field::Uint(value, ..), _) => frame.put_uint(*value),
            (Field::Bytes(bytes), _) => frame.extend_from_slice(bytes),
        }
    }
    frame
}

/// A link with a stranger, who has the drive key if the link shall be proved, and has declared slot 0.
fn with_stranger(role: Role, is_proved: bool) -> (End, Stranger) {
    let mut end = End::new(role, 1, drive());
    if !is_proved {
        let stranger = Stranger::meet(&mut end);
        return (end, stranger);
    }
    let mut stranger = Stranger::proved(&mut end);
    stranger.say(&mut end, &[1, TOPIC as u8, 0, 1, b'a']).unwrap();
    (end, stranger)
}

#[test]
fn huge_integers_in_sealed_frames_end_the_link_with_a_typed_error_or_are_ignored() {
    for role in ROLES {
        for is_proved in [false, true] {
            for (name, fields) in templates(is_proved) {
                for (index, field) in fields.iter().enumerate() {
                    let Field::Uint(_, unproved, proved) = field else { continue };
                    let expected = if is_proved { *proved } else { *unproved };
                    for value in [u64::from(u32::MAX), (1 << 53) - 1] {
                        let (mut end, mut stranger) = with_stranger(role, is_proved);
                        let outcome = stranger.say(&mut end, &encode(&fields, Some((index, value))));
                        let context = format!("{name}, field {index} = {value}, proved: {is_proved}");
                        assert_eq!(outcome, expected, "{context}");
                        assert!(end.events.is_empty(), "{context}");
                        assert_eq!(end.budget.used(), 0, "{context}");
                    }
                    // Before the proof the fields of the channel's messages are not looked at.
                    let is_read = is_proved || index < 2 || matches!(name, "open" | "reject" | "close" | "batch");
                    for value in [1 << 53, 1 << 62, u64::MAX] {
                        let (mut end, mut stranger) = with_stranger(role, is_proved);
                        let outcome = stranger.say(&mut end, &encode(&fields, Some((index, value))));
                        let expected = if is_read { Err(WireError::UintTooLarge.into()) } else { IGNORED };
                        assert_eq!(outcome, expected, "{name}, field {index} = {value}, proved: {is_proved}");
                        assert!(end.events.is_empty());
                    }
                }
            }
        }
    }
}

#[test]
fn truncated_sealed_frames_end_the_link_or_are_shorter_messages() {
    for is_proved in [false, true] {
        for (name, fields) in templates(is_proved) {
            let whole = encode(&fields, None);
            for length in 1..whole.len() {
                let (mut end, mut stranger) = with_stranger(Role::Responder, is_proved);
                let outcome = stranger.say(&mut end, &whole[..length]);
                // A batch may end behind any of its messages, and what ends in raw bytes behind any byte.
                let is_shorter = match name {
                    "batch" => matches!(length, 3 | 6 | 8),
                    "message" | "first" => length >= if name == "first" { 4 } else { 3 },
                    _ => false,
                };
                let is_read = is_proved || length < 2 || matches!(name, "open" | "reject" | "close" | "batch");
                let expected = match is_read && !is_shorter {
                    true if name == "next" && length >= 3 => Err(LinkError::Channel(ChannelViolation::Part)),
                    true => TRUNCATED,
                    false => IGNORED,
                };
                assert_eq!(outcome, expected, "{name}, {length} bytes, proved: {is_proved}");
            }
        }
    }
}

#[test]
fn sealed_noise_is_a_typed_error_or_ignored() {
    let mut noise = Noise(2);
    for is_proved in [false, true] {
        let (mut end, mut stranger) = with_stranger(Role::Responder, is_proved);
        let mut ended = 0;
        for round in 0..20_000 {
            let length = (noise.next() % 65) as usize;
            let mut plaintext = noise.bytes(length);
            // Half of it on channels and of types that exist.
            for byte in plaintext.iter_mut().take(4).filter(|_| round % 2 == 0) {
                *byte &= 3;
            }
            if let Err(error) = stranger.say(&mut end, &plaintext) {
                assert!(is_of_sealed_frames(error), "{plaintext:?}: {error:?}");
                (end, stranger) = with_stranger(Role::Responder, is_proved);
                ended += 1;
            }
        }
        assert!((1_000..19_000).contains(&ended), "{ended} of 20,000 ended the link: both happen");
    }
}

fn is_of_sealed_frames(error: LinkError) -> bool {
    use LinkError::{Capability, Channel, ChannelClosed, Malformed, Mux};
    matches!(error, Malformed(_) | Mux(_) | Channel(_) | Capability | ChannelClosed)
}

#[test]
fn a_protocol_name_of_the_channel_with_another_id_is_not_the_channel() {
    let (mut end, mut stranger) = with_stranger(Role::Responder, false);
    for id in [&[][..], &[0; 32], &[0; 33]] {
        let mut open = vec![0, 1, 1];
        open.put_string(PROTOCOL);
        open.put_buffer(id);
        stranger.say(&mut end, &open).unwrap();
    }
    assert_eq!(stranger.heard[1..], [[0, 2, 1], [0, 2, 1], [0, 2, 1]]);
    assert!(!end.link.is_proved());
}
