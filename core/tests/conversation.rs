//! A conversation is told anything, in any order: by a remote, or by a host that confuses its streams. It is never confused itself.

mod devices;

use devices::{at, drive};
use peersockets_core::budget::{Budget, Memory};
use peersockets_core::channel::peersockets::{FIRST, GOODBYE, MESSAGE, NEXT, PING, PONG, TOPIC, open_handshake};
use peersockets_core::conversation::{Conversation, Established, Heard, LinkEvent, Said};
use peersockets_core::drive::DriveKey;
use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::secure::Role;
use peersockets_core::time::{Duration, Time};
use proptest::prelude::*;

const OWN: [u8; 32] = [1; 32];
const REMOTE: [u8; 32] = [2; 32];
const HASH: [u8; 64] = [3; 64];

/// One thing that happens to a conversation.
#[derive(Clone, Debug)]
enum Step {
    Begin { is_own_device: bool },
    Opened(Handshake),
    Closed,
    Message(u64, Vec<u8>),
    DriveOpened,
    DriveClosed,
    Extension(Vec<u8>),
    Keepalive,
    Send(Vec<u8>),
    Wait(u64),
    Goodbye,
}

#[derive(Clone, Copy, Debug)]
enum Handshake {
    Theirs,
    /// Our own, sent back.
    Reflected,
    OfAnotherDrive,
    Empty,
}

impl Handshake {
    /// We are the initiator.
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Theirs => open_handshake(&drive(), Role::Responder, &HASH, &Default::default()),
            Self::Reflected => open_handshake(&drive(), Role::Initiator, &HASH, &Default::default()),
            Self::OfAnotherDrive => {
                open_handshake(&DriveKey::from_bytes([9; 32]), Role::Responder, &HASH, &Default::default())
            }
            Self::Empty => Vec::new(),
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let handshake = prop_oneof![
        5 => Just(Handshake::Theirs),
        1 => Just(Handshake::Reflected),
        1 => Just(Handshake::OfAnotherDrive),
        1 => Just(Handshake::Empty),
    ];
    let kind = prop::sample::select(vec![TOPIC, MESSAGE, FIRST, NEXT, GOODBYE, PING, PONG, 7, u64::MAX]);
    // Slot 0, a length or a name, and the bytes of a part: often a message that makes sense.
    let payload = prop_oneof![
        Just(vec![0, 1, b'a']),
        Just(vec![0, 3, 7, 7]),
        Just(vec![0, 7]),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop_oneof![
        4 => prop::bool::weighted(0.02).prop_map(|is_own_device| Step::Begin { is_own_device }),
        3 => handshake.prop_map(Step::Opened),
        2 => Just(Step::Closed),
        6 => (kind, payload).prop_map(|(kind, payload)| Step::Message(kind, payload)),
        2 => Just(Step::DriveOpened),
        1 => Just(Step::DriveClosed),
        4 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Step::Extension),
        1 => Just(Step::Keepalive),
        3 => prop::collection::vec(any::<u8>(), 0..4).prop_map(Step::Send),
        2 => (0u64..12).prop_map(Step::Wait),
        1 => Just(Step::Goodbye),
    ]
}

/// What a conversation was told, in so far as it decides what may come of it.
#[derive(Default)]
struct Told {
    has_begun: bool,
    is_opened: bool,
    is_closed: bool,
    is_drive_opened: bool,
    has_sent_extension: bool,
    proofs: usize,
}

impl Told {
    fn take_note(&mut self, step: &Step) {
        match step {
            Step::Begin { is_own_device: false } => self.has_begun = true,
            Step::Opened(Handshake::Theirs) => self.is_opened = true,
            Step::Closed => self.is_closed = true,
            Step::DriveOpened => self.is_drive_opened = true,
            Step::Extension(_) => self.has_sent_extension = true,
            _ => {}
        }
    }

    fn check(&mut self, event: &LinkEvent, has_drive_channel: bool) {
        match event {
            LinkEvent::Proved(key) => {
                self.proofs += 1;
                assert_eq!((*key, self.proofs), (REMOTE, 1), "it proves once, and is who it is");
                let has_no_other_channel = self.is_closed || self.has_sent_extension;
                let by_extensions = has_drive_channel && self.is_drive_opened && has_no_other_channel;
                assert!(self.has_begun && (self.is_opened || by_extensions), "nothing proves the drive key");
            }
            LinkEvent::Unwanted { .. } | LinkEvent::Part(_) | LinkEvent::SessionOffered => {
                panic!("there is no session")
            }
            LinkEvent::Signal(_) => panic!("this device takes no signals"),
            LinkEvent::Acknowledged(_) => {}
            LinkEvent::Message { bytes, .. } => {
                assert_eq!(self.proofs, 1, "a message came before the proof");
                assert!(bytes.len() <= limits::MESSAGE);
            }
            LinkEvent::Lost { .. } | LinkEvent::Goodbye(_) => assert_eq!(self.proofs, 1),
        }
    }

    fn check_said(&self, said: &Said, has_drive_channel: bool) {
        assert_eq!(self.proofs, 1, "{said:?} was said before the proof");
        match said {
            Said::Message(_) => assert!(self.is_opened),
            Said::Extension(..) | Said::Keepalive => assert!(has_drive_channel && self.is_drive_opened),
        }
    }
}

fn take(conversation: &mut Conversation, step: &Step, now: Time, events: &mut Vec<LinkEvent>) -> Result<(), LinkError> {
    let is_joined = |topic: &str| topic != "unwanted";
    let hear = |conversation: &mut Conversation, heard: Heard<'_>, events: &mut Vec<LinkEvent>| {
        conversation.heard_at(now);
        conversation.hear(heard, &is_joined, events)
    };
    match step {
        Step::Begin { is_own_device } => {
            let remote = if *is_own_device { OWN } else { REMOTE };
            conversation.begin(Established { remote, role: Role::Initiator, handshake_hash: HASH }, &|_: &str| true)
        }
        Step::Opened(handshake) => hear(conversation, Heard::Opened(&handshake.bytes()), events),
        Step::Closed => hear(conversation, Heard::Closed, events),
        Step::Message(kind, payload) => hear(conversation, Heard::Message(*kind, payload), events),
        Step::DriveOpened => hear(conversation, Heard::DriveOpened, events),
        Step::DriveClosed => hear(conversation, Heard::DriveClosed, events),
        Step::Extension(bytes) => {
            let topic = if bytes.len() == 1 { "unwanted" } else { "chat" };
            hear(conversation, Heard::Extension(topic.into(), bytes), events)
        }
        Step::Keepalive => {
            conversation.heard_at(now);
            conversation.heard_keepalive();
            Ok(())
        }
        Step::Send(bytes) => {
            let sent = conversation.send(&"chat".into(), bytes.clone());
            assert_eq!(sent.is_ok(), conversation.is_proved(), "who is proved can be sent to, and nobody else");
            Ok(())
        }
        Step::Wait(_) => conversation.handle_timeout(now),
        Step::Goodbye => {
            // Behind a goodbye nothing waits any more.
            let (last, _) = conversation.last_words(None);
            assert!(conversation.is_proved() || last.is_empty(), "{last:?} was said before the proof");
            assert!(!conversation.has_something_to_say());
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_conversation_that_is_told_anything_proves_once_and_says_and_gives_nothing_before(
        has_drive_channel: bool,
        begins: bool,
        steps in prop::collection::vec(step(), 0..24),
    ) {
        let budget = Budget::new(100);
        let memory = Memory { incomplete: budget.clone(), ..Memory::default() };
        let mut conversation = Conversation::new(at(0.0), OWN, drive(), memory, has_drive_channel);
        let mut told = Told::default();
        let mut now = at(0.0);
        let begin = begins.then_some(Step::Begin { is_own_device: false });
        for step in begin.iter().chain(&steps) {
            if let Step::Wait(seconds) = step {
                now = now + Duration::from_secs(*seconds);
            }
            let mut events = Vec::new();
            told.take_note(step);
            let outcome = take(&mut conversation, step, now, &mut events);
            for event in &events {
                told.check(event, has_drive_channel);
            }
            prop_assert_eq!(conversation.is_proved(), told.proofs == 1);
            prop_assert!(budget.used() <= 100);
            if outcome.is_err() {
                break;
            }
            while let Some(said) = conversation.next_urgent().or_else(|| conversation.next_said()) {
                told.check_said(&said, has_drive_channel);
            }
            prop_assert!(!conversation.has_something_to_say());
            prop_assert_eq!(conversation.outbox().bytes(), 0);
        }
        drop(conversation);
        prop_assert_eq!(budget.used(), 0);
    }
}

fn begun(has_drive_channel: bool) -> Conversation {
    let mut conversation = Conversation::new(at(0.0), OWN, drive(), Memory::default(), has_drive_channel);
    conversation
        .begin(Established { remote: REMOTE, role: Role::Initiator, handshake_hash: HASH }, &|_: &str| true)
        .unwrap();
    conversation
}

fn tell(conversation: &mut Conversation, steps: &[Step]) -> (Vec<LinkEvent>, Result<(), LinkError>) {
    let mut events = Vec::new();
    let outcome = steps.iter().try_for_each(|step| take(conversation, step, at(0.0), &mut events));
    (events, outcome)
}

#[test]
fn nothing_is_heard_before_the_secret_stream_is_there() {
    for step in [
        Step::Opened(Handshake::Theirs),
        Step::Closed,
        Step::DriveOpened,
        Step::DriveClosed,
        Step::Extension(Vec::new()),
        Step::Message(PING, Vec::new()),
    ] {
        let mut conversation = Conversation::new(
            at(0.0),
            OWN,
            drive(),
            Memory { incomplete: Budget::new(100), ..Memory::default() },
            true,
        );
        assert_eq!(tell(&mut conversation, &[step]), (vec![], Err(LinkError::Handshake)));
    }
}

#[test]
fn a_second_handshake_changes_nobody_s_name() {
    let mut conversation = begun(true);
    let other = Established { remote: [4; 32], role: Role::Initiator, handshake_hash: HASH };
    assert_eq!(conversation.begin(other, &|_: &str| true), Err(LinkError::Handshake));
    assert_eq!(conversation.established().map(|established| established.remote), Some(REMOTE));
}

#[test]
fn the_drive_s_channel_proves_nothing_where_it_was_not_to_be_opened() {
    let steps = [Step::DriveOpened, Step::Closed];
    assert_eq!(tell(&mut begun(false), &steps), (vec![], Err(LinkError::ChannelClosed)));
    assert_eq!(tell(&mut begun(true), &steps), (vec![LinkEvent::Proved(REMOTE)], Ok(())));
}

#[test]
fn whoever_sends_an_extension_before_it_rejects_the_other_channel_is_heard() {
    let mut conversation = begun(true);
    let heard = LinkEvent::Message { number: None, topic: "chat".into(), bytes: vec![1, 2, 3] };
    let steps = [Step::DriveOpened, Step::Extension(vec![1, 2, 3])];
    assert_eq!(tell(&mut conversation, &steps), (vec![LinkEvent::Proved(REMOTE), heard], Ok(())));
    assert_eq!(tell(&mut conversation, &[Step::Closed]), (vec![], Ok(())));
}

#[test]
fn messages_move_to_a_channel_that_a_remote_opens_late() {
    let mut conversation = begun(true);
    let proved = (vec![LinkEvent::Proved(REMOTE)], Ok(()));
    assert_eq!(tell(&mut conversation, &[Step::Closed, Step::DriveOpened]), proved);
    let said = |conversation: &mut Conversation| {
        tell(conversation, &[Step::Send(vec![7])]).1.unwrap();
        std::iter::from_fn(|| conversation.next_said()).last()
    };
    assert_eq!(said(&mut conversation), Some(Said::Extension("chat".into(), vec![7])));
    assert_eq!(tell(&mut conversation, &[Step::Opened(Handshake::Theirs)]), (vec![], Ok(())));
    let is_message = |said: Option<Said>| matches!(said, Some(Said::Message(frame)) if frame.kind == MESSAGE);
    assert!(is_message(said(&mut conversation)));
    let greeting = [Step::Message(TOPIC, vec![0, 1, b'a']), Step::Message(MESSAGE, vec![0, 7])];
    let (events, outcome) = tell(&mut conversation, &greeting);
    assert_eq!((events.len(), outcome), (1, Ok(())));
}
