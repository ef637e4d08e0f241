//! A link whose secret stream and mux a host runs, without a swarm: PROTOCOL.md §12.

mod devices;

use devices::{at, device};
use peersockets_core::budget::Memory;
use peersockets_core::channel::outbox::Frame;
use peersockets_core::channel::peersockets::{MESSAGE, PING, open_handshake};
use peersockets_core::conversation::{Established, Heard, LinkEvent};
use peersockets_core::error::{LinkError, WireError};
use peersockets_core::limits;
use peersockets_core::link::{Beginning, Host, HostAction, Link};
use peersockets_core::secure::Role;
use peersockets_netem::drive;

const HASH: [u8; 64] = [3; 64];

/// A link on a circuit of a host whose handshake is complete.
fn circuit_link() -> Link {
    let (device, memory) = (&device(1), Memory::default());
    let role = Role::Responder;
    let beginning = Beginning { now: at(0.0), role, device, drive: drive(1), memory, is_drive_peer: false };
    let mut link = Link::hosted(Host::Here, beginning, true);
    link.handle_established(Established { remote: [2; 32], role, handshake_hash: HASH }, &|_: &str| true).unwrap();
    assert_eq!(link.next_action(), Some(HostAction::Start(role)));
    let handshake = open_handshake(&drive(1), role, &HASH, &Default::default());
    assert_eq!(link.next_action(), Some(HostAction::Open { id: drive(1).channel_id(&HASH), handshake }));
    assert_eq!(link.next_action(), None);
    link
}

fn proof() -> Vec<u8> {
    open_handshake(&drive(1), Role::Initiator, &HASH, &Default::default())
}

/// The ping of this number.
fn ping(number: u8) -> HostAction {
    HostAction::Message(Frame { kind: PING, payload: vec![number] })
}

#[test]
fn nothing_but_a_proof_has_a_host_replicate_on_a_circuit() {
    let reflected = open_handshake(&drive(1), Role::Responder, &HASH, &Default::default());
    let replayed = open_handshake(&drive(1), Role::Initiator, &[4; 64], &Default::default());
    let of_another = open_handshake(&drive(2), Role::Initiator, &HASH, &Default::default());
    for (heard, outcome) in [
        (Heard::Opened(&reflected), Err(LinkError::Capability)),
        (Heard::Opened(&replayed), Err(LinkError::Capability)),
        (Heard::Opened(&of_another), Err(LinkError::Capability)),
        (Heard::Closed, Err(LinkError::ChannelClosed)),
        (Heard::Message(MESSAGE, b"\0early"), Ok(())),
        (Heard::DriveOpened, Ok(())),
        (Heard::DriveClosed, Ok(())),
        (Heard::Extension("chat".into(), b"early"), Ok(())),
    ] {
        let mut link = circuit_link();
        let mut events = Vec::new();
        let name = format!("{heard:?}");
        assert_eq!(link.handle_heard(at(0.0), heard, &|_: &str| true, &mut events), outcome, "{name}");
        assert!(events.is_empty() && !link.is_proved(), "{name}");
        assert!(link.send(&"chat".into(), Vec::new()).is_err(), "{name}");
        assert_eq!(link.next_action(), None, "{name}");
    }

    let mut link = circuit_link();
    let mut events = Vec::new();
    link.handle_heard(at(0.0), Heard::Opened(&proof()), &|_: &str| true, &mut events).unwrap();
    assert_eq!(events, [LinkEvent::Proved([2; 32])]);
    let actions: Vec<_> = std::iter::from_fn(|| link.next_action()).collect();
    assert_eq!(actions, [HostAction::Replicate, ping(1)]);
    // What is heard of replication from now on is none of our business.
    for heard in [Heard::DriveOpened, Heard::Extension("chat".into(), b"twice"), Heard::DriveClosed] {
        link.handle_heard(at(0.0), heard, &|_: &str| true, &mut events).unwrap();
    }
    assert_eq!((events.len(), link.next_action()), (1, None));
}

#[test]
fn bytes_of_a_circuit_are_a_sign_of_life_though_they_are_replication() {
    let mut link = circuit_link();
    let mut events = Vec::new();
    link.handle_heard(at(0.0), Heard::Opened(&proof()), &|_: &str| true, &mut events).unwrap();
    assert_eq!((link.next_action(), link.next_action()), (Some(HostAction::Replicate), Some(ping(1))));
    for second in 1..60 {
        link.handle_bytes(at(second.into()), &[7; 1_000], &|_: &str| true, &mut events).unwrap();
        assert_eq!(link.next_timeout(), at(f64::from(second) + 3.0));
        assert_eq!(link.next_action(), Some(HostAction::Read(vec![7; 1_000])));
    }
    link.handle_timeout(at(62.0)).unwrap();
    assert_eq!(link.next_action(), Some(ping(2)));
    // On a stream of its own, the host says so itself.
    link.handle_sign_of_life(at(68.0));
    assert_eq!(link.handle_timeout(at(69.0)), Ok(()));
    link.handle_timeout(at(71.0)).unwrap();
    assert_eq!(link.handle_timeout(at(78.0)), Err(LinkError::Silent));
}

/// The first bytes of a frame: its length, and so many of it.
fn frame_start(length: usize, arrived: usize) -> Vec<u8> {
    let mut bytes = length.to_le_bytes()[..3].to_vec();
    bytes.resize(3 + arrived, 7);
    bytes
}

#[test]
fn a_stranger_on_a_circuit_of_a_host_gets_no_memory_by_a_length() {
    let device = &device(1);
    let (role, drive) = (Role::Responder, drive(1));
    let mut before_handshake = || {
        let (drive, memory) = (drive.clone(), Memory::default());
        let beginning = Beginning { now: at(0.0), role, device, drive, memory, is_drive_peer: false };
        let mut link = Link::hosted(Host::Here, beginning, true);
        assert_eq!(link.next_action(), Some(HostAction::Start(role)));
        link
    };
    let too_long = Err(LinkError::Malformed(WireError::FrameTooLong));
    let make: [(&mut dyn FnMut() -> Link, usize); 2] =
        [(&mut before_handshake, limits::FRAME), (&mut circuit_link, limits::FIRST_FRAME)];
    for (link, longest) in make {
        for (length, outcome) in [(longest, Ok(())), (longest + 1, too_long), (limits::UINT24, too_long)] {
            // However the length field is cut.
            for cut in 0..=3 {
                let mut link = link();
                let bytes = frame_start(length, 0);
                let mut handled = Ok(());
                for part in [&bytes[..cut], &bytes[cut..]] {
                    handled = handled.and(link.handle_bytes(at(0.0), part, &|_: &str| true, &mut Vec::new()));
                }
                assert_eq!(handled, outcome, "{length} bytes, cut at {cut}");
                assert_eq!(link.next_action(), None, "{length} bytes: the host's stream learns no length");
            }
        }
        // What is no longer comes through as it is, once it is there.
        let mut link = link();
        let frame = [frame_start(longest, longest), frame_start(0, 0), frame_start(5, 5)].concat();
        let (last, first) = frame.split_last().unwrap();
        link.handle_bytes(at(0.0), first, &|_: &str| true, &mut Vec::new()).unwrap();
        assert_eq!(link.next_action(), Some(HostAction::Read(frame[..frame.len() - 8].to_vec())));
        link.handle_bytes(at(0.0), &[*last], &|_: &str| true, &mut Vec::new()).unwrap();
        assert_eq!(link.next_action(), Some(HostAction::Read(frame[frame.len() - 8..].to_vec())));
    }
}

#[test]
fn the_longest_frames_of_replication_pass_through_a_circuit_after_the_proof() {
    // Its beginning may have come before the proof was heard.
    let mut link = circuit_link();
    let mut events = Vec::new();
    let opening = frame_start(limits::FIRST_FRAME, 1_000);
    link.handle_bytes(at(0.0), &opening, &|_: &str| true, &mut events).unwrap();
    assert_eq!(link.next_action(), None);
    link.handle_heard(at(0.0), Heard::Opened(&proof()), &|_: &str| true, &mut events).unwrap();
    assert_eq!(link.next_action(), Some(HostAction::Read(opening)));
    assert_eq!(link.next_action(), Some(HostAction::Replicate));
    for bytes in [vec![7; limits::FIRST_FRAME - 1_000], frame_start(limits::UINT24, 0), vec![7; limits::CIRCUIT_CHUNK]]
    {
        link.handle_bytes(at(0.0), &bytes, &|_: &str| true, &mut events).unwrap();
        assert_eq!(link.next_action(), Some(HostAction::Read(bytes)));
    }
}

#[test]
fn bytes_of_a_stream_that_is_on_no_circuit_are_not_kept() {
    let (device, memory) = (&device(1), Memory::default());
    let (drive, role) = (drive(1), Role::Initiator);
    let mut link =
        Link::hosted(Host::Here, Beginning { now: at(0.0), role, device, drive, memory, is_drive_peer: true }, false);
    assert!(!link.handle_written(&vec![7; 2 * limits::HOST_HIGH_WATER]));
    assert!(!link.has_output() && link.take_output(usize::MAX).is_empty());
}
