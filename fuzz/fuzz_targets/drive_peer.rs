//! A link to a drive peer that has proved the drive key, in one way or the other, or has not, and seals anything: frames of the mux and
//! of `hypercore/alpha`, also corked. The link ends with an error or goes on; nobody is a peer without a proof, and nobody else is
//! told or gives a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::budget::Budget;
use peersockets_core::channel::hypercore::{self, EXTENSION, NO_DATA, SYNC};
use peersockets_core::channel::peersockets;
use peersockets_core::conversation::LinkEvent;
use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::link::Link;
use peersockets_core::secure::{Role, Secure};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::{Encode, Reader};
use peersockets_fuzz::{Step, device, drive, entropy, link, steps, taken_apart};

/// Small, so that a fuzzer gets there.
const BUDGET: usize = 300;

/// Our channels, by the ids that they have on a fresh link.
const OUR_PEERSOCKETS: u64 = 1;
const OUR_DRIVE: u64 = 2;

const NAMES: [&[u8]; 8] = [
    b"",
    b"peersockets/v0/chat",
    b"peersockets/v0/unwanted",
    b"peersockets/v0/",
    b"peersockets/v0",
    b"other",
    b"\xff",
    b"peersockets/v0/\xff",
];

struct Meeting {
    link: Link,
    remote: Secure,
    now: Time,
    /// Frames that the remote holds back, to send them as one.
    corked: Vec<Vec<u8>>,
    has_shown_proof: bool,
    is_proved: bool,
    /// Bytes that the remote sent, and that came out.
    sent: usize,
    received: usize,
}

impl Meeting {
    fn new(budget: &Budget) -> Self {
        let mut meeting = Self {
            link: link(Role::Initiator, budget, true),
            remote: Secure::new(Role::Responder, &device(2), entropy(2)),
            now: Time::default(),
            corked: Vec::new(),
            has_shown_proof: false,
            is_proved: false,
            sent: 0,
            received: 0,
        };
        while !meeting.remote.is_established() || meeting.remote.output_length() > 0 {
            meeting.hear().expect("an honest handshake");
            meeting.read(usize::MAX);
        }
        meeting
    }

    /// Brings the link as far as a drive peer would that says these things.
    fn begin(&mut self, state: u8) -> Result<(), LinkError> {
        let frames = match state & 3 {
            0 => vec![],
            1 => vec![self.open_drive(1)],
            2 => vec![self.open_drive(1), vec![0, 2, 1]],
            _ => vec![self.open_peersockets(1)],
        };
        frames.into_iter().try_for_each(|frame| self.say(frame))
    }

    fn open_drive(&mut self, id: u64) -> Vec<u8> {
        self.has_shown_proof = true;
        let hash = self.remote.handshake_hash().expect("it is complete");
        let handshake = hypercore::open_handshake(&drive(), Role::Responder, hash);
        open(id, hypercore::PROTOCOL.as_bytes(), &drive().discovery_key(), &handshake)
    }

    fn open_peersockets(&mut self, id: u64) -> Vec<u8> {
        self.has_shown_proof = true;
        let hash = self.remote.handshake_hash().expect("it is complete");
        let handshake = peersockets::open_handshake(&drive(), Role::Responder, hash, &Default::default());
        open(id, peersockets::PROTOCOL.as_bytes(), &drive().channel_id(hash), &handshake)
    }

    /// An Open by a remote that has the drive key, or has not, or makes mistakes.
    fn an_open(&mut self, bytes: &[u8]) -> Vec<u8> {
        let [id, which, handshake @ ..] = bytes else {
            return vec![0, 1];
        };
        let id = u64::from(*id);
        match which & 7 {
            0 => self.open_drive(id),
            1 => self.open_peersockets(id),
            2 => open(id, hypercore::PROTOCOL.as_bytes(), &drive().discovery_key(), handshake),
            3 => {
                let channel = drive().channel_id(self.remote.handshake_hash().expect("it is complete"));
                open(id, peersockets::PROTOCOL.as_bytes(), &channel, handshake)
            }
            4 => open(id, hypercore::PROTOCOL.as_bytes(), &[7; 32], handshake),
            5 => open(id, b"corestore", &[], handshake),
            _ => open(id << (which >> 3), b"", &[], handshake),
        }
    }

    /// Sends a frame, or keeps it for a batch.
    fn say_or_cork(&mut self, frame: Vec<u8>, is_corked: bool) -> Result<(), LinkError> {
        if is_corked {
            self.corked.push(frame);
            return Ok(());
        }
        self.say(frame)
    }

    fn uncork(&mut self) -> Result<(), LinkError> {
        let mut batch = vec![0, 0];
        let mut channel = None;
        for frame in std::mem::take(&mut self.corked) {
            let mut reader = Reader::new(&frame);
            let Ok(of) = reader.uint() else {
                continue;
            };
            if channel != Some(of) {
                batch.extend(channel.map(|_| 0));
                batch.put_uint(of);
                channel = Some(of);
            }
            batch.put_buffer(reader.rest());
        }
        self.say(batch)
    }

    fn say(&mut self, frame: Vec<u8>) -> Result<(), LinkError> {
        self.sent += frame.len();
        assert!(self.remote.seal(frame));
        self.hear()
    }

    /// Lets the link hear what the remote wrote.
    fn hear(&mut self) -> Result<(), LinkError> {
        let mut events = Vec::new();
        let bytes = self.remote.take_output(usize::MAX);
        let outcome = self.link.handle_bytes(self.now, &bytes, &|topic: &str| topic != "unwanted", &mut events);
        for event in events {
            match event {
                LinkEvent::Proved(key) => {
                    assert!(self.has_shown_proof && !self.is_proved && key == device(2).public());
                    self.is_proved = true;
                }
                LinkEvent::Message { number, topic, bytes } => {
                    assert_eq!(number, None, "there is no session");
                    assert!(self.is_proved && &*topic != "unwanted");
                    self.received += bytes.len();
                }
                LinkEvent::Lost { length, .. } => assert!(self.is_proved && length <= limits::MESSAGE),
                LinkEvent::Goodbye(_) | LinkEvent::Acknowledged(_) => assert!(self.is_proved),
                LinkEvent::Unwanted { .. } | LinkEvent::Part(_) | LinkEvent::SessionOffered => {
                    panic!("there is no session")
                }
                LinkEvent::Signal(_) => panic!("this device takes no signals"),
            }
        }
        assert_eq!(self.link.is_proved(), self.is_proved);
        assert!(self.received <= self.sent, "{} bytes of {}", self.received, self.sent);
        outcome
    }

    /// Lets the remote read what the link wrote.
    fn read(&mut self, limit: usize) {
        let taken = self.link.take_output(limit);
        assert!(taken.len() <= limit);
        self.remote.handle_bytes(&taken);
        while let Some(frame) = self.remote.poll_frame(limits::UINT24).expect("we write what can be read") {
            assert!(!frame.starts_with(&[0, 0]) || frame.len() <= limits::SEALED_FRAME);
            for frame in taken_apart(frame) {
                self.check(&frame);
            }
        }
    }

    /// A frame of ours is on a channel of ours, and tells a stranger nothing.
    fn check(&self, frame: &[u8]) {
        let mut reader = Reader::new(frame);
        let (channel, kind) = (reader.uint().expect("a channel"), reader.uint().expect("a type"));
        match (channel, kind) {
            // Opens and rejects.
            (0, 1 | 2) => {}
            (OUR_PEERSOCKETS, peersockets::TOPIC..=peersockets::PONG) => assert!(self.is_proved),
            (OUR_DRIVE, SYNC | NO_DATA) => assert!(self.has_shown_proof),
            (OUR_DRIVE, EXTENSION) => assert!(self.is_proved),
            other => panic!("we wrote {other:?}"),
        }
        assert!(channel == OUR_DRIVE || frame.len() <= limits::SEALED_FRAME);
    }
}

fn open(id: u64, protocol: &[u8], channel: &[u8], handshake: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 1];
    frame.put_uint(id);
    frame.put_buffer(protocol);
    frame.put_buffer(channel);
    frame.extend_from_slice(handshake);
    frame
}

fuzz_target!(|input: &[u8]| {
    // The first byte says how far the link is.
    let Some((state, input)) = input.split_first() else {
        return;
    };
    let budget = Budget::new(BUDGET);
    let mut meeting = Meeting::new(&budget);
    meeting.begin(*state).expect("an honest beginning");
    for Step { what, bytes } in steps(input).take(128) {
        let is_corked = what & 8 > 0;
        let outcome = match what & 7 {
            0 => meeting.say_or_cork(bytes.to_vec(), is_corked),
            1 => {
                let frame = meeting.an_open(bytes);
                meeting.say_or_cork(frame, is_corked)
            }
            2 => {
                // A reject, a close, or a message, with an id of one byte.
                let [id, kind, payload @ ..] = bytes else { continue };
                let frame = if what & 16 > 0 { vec![0, 2 | kind & 1, *id] } else { [&[*id, *kind], payload].concat() };
                meeting.say_or_cork(frame, is_corked)
            }
            3 => {
                let [id, name, payload @ ..] = bytes else { continue };
                let mut frame = vec![*id, EXTENSION as u8];
                frame.put_buffer(NAMES[usize::from(name & 7)]);
                frame.extend_from_slice(payload);
                meeting.say_or_cork(frame, is_corked)
            }
            4 => meeting.uncork(),
            5 => {
                let topic = format!("{}", what >> 3).into();
                let is_sent = meeting.link.send(&topic, bytes.repeat(usize::from(what >> 3))).is_ok();
                assert_eq!(is_sent, meeting.is_proved, "a queue of 16 MiB is not filled by this");
                Ok(())
            }
            6 => {
                meeting.read(bytes.len() * 100);
                Ok(())
            }
            _ if what & 16 > 0 => {
                meeting.link.goodbye(None);
                Ok(())
            }
            _ => {
                meeting.now = meeting.now + Duration::from_millis(u64::from(what) * 40);
                meeting.link.handle_timeout(meeting.now)
            }
        };
        assert!(budget.used() <= BUDGET.min(meeting.sent));
        if outcome.is_err() {
            break;
        }
    }
    meeting.read(usize::MAX);
    drop(meeting);
    assert_eq!(budget.used(), 0);
});
