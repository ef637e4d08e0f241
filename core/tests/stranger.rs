//! What a link tells a stranger, who completes the handshake without the drive key, and what it takes from one.

mod devices;

use std::sync::Arc;

use devices::{End, ROLES, Stranger, drive, open_frame};
use peersockets_core::channel::peersockets::{self, GOODBYE, MESSAGE, PING, PONG, PROTOCOL, TOPIC};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::{ChannelViolation, LinkError};
use peersockets_core::limits;
use peersockets_core::secure::Role;
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::{Encode, Reader};

fn secret_topic() -> Arc<str> {
    "a secret topic".into()
}

/// The id and the handshake of a link's Open, which must be nothing else.
fn open_of(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(frame);
    let head = (reader.uint().unwrap(), reader.uint().unwrap(), reader.uint().unwrap(), reader.string().unwrap());
    assert_eq!(head, (0, 1, 1, PROTOCOL));
    (reader.buffer().unwrap().to_vec(), reader.rest().to_vec())
}

#[test]
fn no_topic_and_no_message_before_the_proof() {
    for role in ROLES {
        let mut end = End::new(role, 1, drive());
        let mut stranger = Stranger::new(role.other());
        let press = |end: &mut End| {
            assert!(end.link.send(&secret_topic(), b"a secret".to_vec()).is_err());
            end.link.goodbye(None);
        };
        press(&mut end);
        stranger.exchange(&mut end).unwrap();
        press(&mut end);
        // What is said on a channel that was not opened is nothing, and is not answered.
        stranger.say(&mut end, &[1, PING as u8]).unwrap();
        press(&mut end);
        stranger.exchange(&mut end).unwrap();
        assert_eq!(stranger.heard.len(), 1, "an Open, and nothing after it: {:?}", stranger.heard);
        open_of(&stranger.heard[0]);

        let open = stranger.open(&drive());
        stranger.say(&mut end, &open).unwrap();
        end.link.send(&secret_topic(), b"a secret".to_vec()).unwrap();
        stranger.exchange(&mut end).unwrap();
        let kinds: Vec<_> = stranger.heard.iter().skip(1).map(|frame| u64::from(frame[1])).collect();
        assert_eq!(kinds, [PING, TOPIC, MESSAGE], "now that it is proved");
    }
}

#[test]
fn a_stranger_learns_nothing_that_it_could_look_up() {
    for role in ROLES {
        let mut end = End::new(role, 1, drive());
        let stranger = Stranger::meet(&mut end);
        let [open] = &stranger.heard[..] else { panic!("one frame") };
        for known in [*drive().as_bytes(), drive().discovery_key(), drive().rendezvous_id()] {
            assert!(!open.windows(8).any(|window| known.windows(8).any(|part| part == window)));
        }
        let (id, handshake) = open_of(open);
        let mut second = End::new(role, 3, drive());
        let (other_id, other_handshake) = open_of(&Stranger::meet(&mut second).heard[0]);
        assert_ne!(id, other_id, "two devices of one drive cannot be told to share it");
        assert_ne!(handshake, other_handshake);
    }
}

#[test]
fn a_stranger_without_the_drive_key_never_proves() {
    let other = DriveKey::from_bytes([0x0d; 32]);
    for role in ROLES {
        // With the channel of another drive.
        let mut end = End::new(role, 1, drive());
        let mut stranger = Stranger::meet(&mut end);
        let open = stranger.open(&other);
        stranger.say(&mut end, &open).unwrap();
        assert_eq!(stranger.heard[1..], [[0, 2, 1]], "it is rejected");
        assert!(!end.link.is_proved());

        // With our channel, whose id we told it, and what it can make up.
        let guesses: [fn(&Stranger) -> Vec<u8>; 5] = [
            |stranger| {
                peersockets::open_handshake(
                    &DriveKey::from_bytes([0; 32]),
                    stranger.secure.role(),
                    &stranger.hash(),
                    &Default::default(),
                )
            },
            |_| [&[1, 0][..], &[0; 32]].concat(),
            |_| [&[1, 0][..], &[0xff; 32]].concat(),
            |stranger| [&[1, 0][..], &open_of(&stranger.heard[0]).0].concat(),
            |_| [&[2, 0xfd, 0xff, 0xff][..], &[7; 64]].concat(),
        ];
        for guess in guesses {
            let mut end = End::new(role, 1, drive());
            let mut stranger = Stranger::meet(&mut end);
            let (id, _) = open_of(&stranger.heard[0]);
            let open = open_frame(&id, &guess(&stranger));
            assert_eq!(stranger.say(&mut end, &open), Err(LinkError::Capability));
            assert!(!end.link.is_proved() && end.events.is_empty());
        }
    }
}

#[test]
fn a_version_that_does_not_exist_ends_the_link() {
    let mut end = End::new(Role::Initiator, 1, drive());
    let mut stranger = Stranger::meet(&mut end);
    let (id, mut handshake) = (drive().channel_id(&stranger.hash()), stranger.open(&drive()).split_off(3 + 14 + 33));
    assert_eq!(handshake[..2], [1, 0]);
    handshake[0] = 0;
    let outcome = stranger.say(&mut end, &open_frame(&id, &handshake));
    assert_eq!(outcome, Err(LinkError::Channel(ChannelViolation::Version)));
}

#[test]
fn a_reflected_capability_is_refused_on_a_link() {
    for role in ROLES {
        let mut end = End::new(role, 1, drive());
        let mut stranger = Stranger::meet(&mut end);
        let reflected = stranger.heard[0].clone();
        assert_eq!(stranger.say(&mut end, &reflected), Err(LinkError::Capability), "{role:?}");
        assert!(!end.link.is_proved() && end.events.is_empty());
    }
}

#[test]
fn a_replayed_capability_is_refused_on_a_link() {
    for role in ROLES {
        // The stranger meets a device in one role, and replays its proof to another device, to which it has the same role.
        let mut victim = End::new(role, 1, drive());
        let (_, recorded) = open_of(&Stranger::meet(&mut victim).heard[0]);

        let mut end = End::new(role.other(), 2, drive());
        let mut stranger = Stranger::meet(&mut end);
        assert_eq!(stranger.secure.role(), role);
        let (id, _) = open_of(&stranger.heard[0]);
        assert_eq!(stranger.say(&mut end, &open_frame(&id, &recorded)), Err(LinkError::Capability), "{role:?}");
        assert!(!end.link.is_proved() && end.events.is_empty());
    }
}

#[test]
fn a_remote_of_another_protocol_beside_ours_is_no_harm() {
    let mut end = End::new(Role::Responder, 1, drive());
    let mut stranger = Stranger::proved(&mut end);
    let mut open = vec![0, 1, 2];
    open.put_string("hypercore/alpha");
    open.put_buffer(&[7; 32]);
    stranger.say(&mut end, &open).unwrap();
    assert_eq!(stranger.heard, [[0, 2, 2]], "it is rejected");
    stranger.say(&mut end, &[2, 0, 1, 2, 3]).unwrap();
    stranger.say(&mut end, &[1, TOPIC as u8, 0, 1, b'a']).unwrap();
    stranger.say(&mut end, &[1, MESSAGE as u8, 0, b'!']).unwrap();
    assert_eq!(end.events, [LinkEvent::Message { number: None, topic: "a".into(), bytes: b"!".to_vec() }]);
}

#[test]
fn a_goodbye_is_told_and_a_close_ends_the_link() {
    for role in ROLES {
        let mut end = End::new(role, 1, drive());
        let mut stranger = Stranger::proved(&mut end);
        stranger.say(&mut end, &[1, GOODBYE as u8]).unwrap();
        assert_eq!(end.events, [LinkEvent::Goodbye(None)]);
        assert_eq!(stranger.say(&mut end, &[0, 3, 1]), Err(LinkError::ChannelClosed));
    }
}

#[test]
fn a_remote_that_makes_us_answer_and_does_not_read_ends_the_link() {
    let ping = vec![1, PING as u8];
    let mut unwanted_open = vec![0, 1, 1];
    unwanted_open.put_string("unwanted");
    unwanted_open.put_buffer(&[]);
    let mut many_opens = vec![0, 0, 0];
    (0..4_000).for_each(|_| many_opens.put_buffer(&unwanted_open[1..]));

    for (meet, question) in [
        (Stranger::proved as fn(&mut End) -> Stranger, ping),
        (Stranger::meet, unwanted_open),
        (Stranger::meet, many_opens),
    ] {
        let mut end = End::new(Role::Responder, 1, drive());
        let mut stranger = meet(&mut end);
        let ended = (0..100_000).find_map(|_| {
            assert!(stranger.secure.seal(question.clone()));
            end.read(Time::default(), &stranger.secure.take_output(usize::MAX)).err()
        });
        assert_eq!(ended, Some(LinkError::Unread));
        let kept = end.link.take_output(usize::MAX).len();
        assert!(kept <= limits::LINK_OUTPUT + 4_000 * 23, "{kept} bytes");
    }
}

#[test]
fn pings_of_one_frame_are_answered_once() {
    let mut end = End::new(Role::Responder, 1, drive());
    let mut stranger = Stranger::proved(&mut end);
    let mut batch = vec![0, 0, 1];
    (0..1_000).for_each(|_| batch.put_buffer(&[PING as u8]));
    stranger.say(&mut end, &batch).unwrap();
    assert_eq!(stranger.heard, [[1, PONG as u8]]);
}
