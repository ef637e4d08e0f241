//! Both ends of a link in memory, and a stranger: a remote made by hand that completes the handshake and then says anything.
//!
//! All keys and randomness follow from small numbers, so that every run has the same bytes.

#![allow(dead_code)]

use peersockets_core::budget::{Budget, Memory};
use peersockets_core::channel::hypercore::{self, EXTENSION};
use peersockets_core::channel::peersockets::{self, PROTOCOL};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::link::{Beginning, Link};
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::{Encode, Reader};

pub const ROLES: [Role; 2] = [Role::Initiator, Role::Responder];

pub fn drive() -> DriveKey {
    DriveKey::from_bytes([0x5d; 32])
}

pub fn device(number: u8) -> DeviceKey {
    DeviceKey::from_seed([number; 32])
}

pub fn entropy(number: u8) -> Entropy {
    Entropy { ephemeral: [number; 32], header: [number; 24] }
}

pub fn at(seconds: f64) -> Time {
    Time::default() + Duration::from_secs_f64(seconds)
}

/// One end of a link, on a device that has joined every topic.
pub struct End {
    pub role: Role,
    pub link: Link,
    pub budget: Budget,
    pub events: Vec<LinkEvent>,
    /// What ended it.
    pub ended: Option<LinkError>,
}

impl End {
    /// An end on the device with this number.
    pub fn new(role: Role, number: u8, drive: DriveKey) -> Self {
        Self::of(role, &device(number), entropy(number), drive)
    }

    pub fn of(role: Role, device: &DeviceKey, entropy: Entropy, drive: DriveKey) -> Self {
        Self::made(role, device, entropy, drive, false)
    }

    /// An end that may face a drive peer, and is the initiator.
    pub fn towards_drive_peer(number: u8, drive: DriveKey) -> Self {
        Self::made(Role::Initiator, &device(number), entropy(number), drive, true)
    }

    fn made(role: Role, device: &DeviceKey, entropy: Entropy, drive: DriveKey, is_drive_peer: bool) -> Self {
        let memory = Memory::default();
        let budget = memory.incomplete.clone();
        let now = Time::default();
        let link = Link::new(Beginning { now, role, device, drive, memory, is_drive_peer }, entropy);
        Self { role, link, budget, events: Vec::new(), ended: None }
    }

    /// Reads bytes, unless it has ended.
    pub fn read(&mut self, now: Time, bytes: &[u8]) -> Result<(), LinkError> {
        if let Some(error) = self.ended {
            return Err(error);
        }
        let outcome = self.link.handle_bytes(now, bytes, &|_: &str| true, &mut self.events);
        self.ended = outcome.err();
        outcome
    }

    /// All that waits to be written; nothing once it has ended.
    pub fn written(&mut self) -> Vec<u8> {
        if self.ended.is_some() { Vec::new() } else { self.link.take_output(usize::MAX) }
    }

    /// The messages that arrived.
    pub fn messages(&self) -> Vec<&[u8]> {
        let messages = self.events.iter().filter_map(|event| match event {
            LinkEvent::Message { bytes, .. } => Some(&bytes[..]),
            _ => None,
        });
        messages.collect()
    }
}

/// Two honest ends.
pub struct Pair {
    pub initiator: End,
    pub responder: End,
}

impl Pair {
    /// Devices 1 and 2, before the first byte.
    pub fn new() -> Self {
        Self { initiator: End::new(Role::Initiator, 1, drive()), responder: End::new(Role::Responder, 2, drive()) }
    }

    /// Devices 1 and 2, after the proof.
    pub fn proved() -> Self {
        let mut pair = Self::new();
        pair.exchange(Time::default());
        assert!(pair.initiator.link.is_proved() && pair.responder.link.is_proved());
        pair.initiator.events.clear();
        pair.responder.events.clear();
        pair
    }

    /// Passes bytes on until nobody writes any more.
    pub fn exchange(&mut self, now: Time) {
        self.exchange_through(now, |_, _| {});
    }

    /// Passes bytes on through `carrier`, which may change what the end of a role wrote.
    pub fn exchange_through(&mut self, now: Time, mut carrier: impl FnMut(Role, &mut Vec<u8>)) {
        loop {
            let (mut first, mut second) = (self.initiator.written(), self.responder.written());
            if first.is_empty() && second.is_empty() {
                return;
            }
            carrier(Role::Initiator, &mut first);
            carrier(Role::Responder, &mut second);
            // What ended an end stays in it.
            let _ = self.responder.read(now, &first);
            let _ = self.initiator.read(now, &second);
        }
    }

    pub fn end(&mut self, role: Role) -> &mut End {
        match role {
            Role::Initiator => &mut self.initiator,
            Role::Responder => &mut self.responder,
        }
    }
}

/// A remote made by hand.
pub struct Stranger {
    pub secure: Secure,
    /// Every plaintext frame that it was sent, those of a batch one by one.
    pub heard: Vec<Vec<u8>>,
}

impl Stranger {
    /// A stranger, on device 9, that has completed the handshake with `end`.
    pub fn meet(end: &mut End) -> Self {
        let mut stranger = Self::new(end.role.other());
        stranger.exchange(end).unwrap();
        assert!(stranger.secure.is_established());
        stranger
    }

    /// A stranger that has proved the drive key to `end`.
    pub fn proved(end: &mut End) -> Self {
        let mut stranger = Self::meet(end);
        let open = stranger.open(&drive());
        stranger.say(end, &open).unwrap();
        assert!(end.link.is_proved());
        end.events.clear();
        stranger.heard.clear();
        stranger
    }

    /// A stranger that replicates the drive and knows nothing of us: it has rejected `peersockets/1`, and proved the drive key on
    /// `hypercore/alpha`, its channel 1.
    pub fn replicating(end: &mut End) -> Self {
        let mut stranger = Self::meet(end);
        let open = stranger.drive_open(1, &drive());
        stranger.say(end, &[0, 2, 1]).unwrap();
        stranger.say(end, &open).unwrap();
        assert!(end.link.is_proved());
        end.events.clear();
        stranger.heard.clear();
        stranger
    }

    pub fn new(role: Role) -> Self {
        Self { secure: Secure::new(role, &device(9), entropy(9)), heard: Vec::new() }
    }

    /// Passes bytes between the stranger and `end` until nobody writes any more.
    pub fn exchange(&mut self, end: &mut End) -> Result<(), LinkError> {
        loop {
            let (theirs, ours) = (end.written(), self.secure.take_output(usize::MAX));
            if theirs.is_empty() && ours.is_empty() {
                return Ok(());
            }
            self.secure.handle_bytes(&theirs);
            while let Some(frame) = self.secure.poll_frame(limits::UINT24)? {
                self.heard.extend(taken_apart(frame));
            }
            if !ours.is_empty() {
                end.read(Time::default(), &ours)?;
            }
        }
    }

    /// Sends one plaintext frame, sealed as it must be, and hears the answers.
    pub fn say(&mut self, end: &mut End, plaintext: &[u8]) -> Result<(), LinkError> {
        assert!(self.secure.seal(plaintext.to_vec()));
        self.exchange(end)
    }

    pub fn hash(&self) -> [u8; 64] {
        *self.secure.handshake_hash().unwrap()
    }

    /// The Open that proves `drive` on this link.
    pub fn open(&self, drive: &DriveKey) -> Vec<u8> {
        let hash = self.hash();
        open_frame(
            &drive.channel_id(&hash),
            &peersockets::open_handshake(drive, self.secure.role(), &hash, &Default::default()),
        )
    }
}

impl Stranger {
    /// The Open of `hypercore/alpha` that proves `drive` on this link.
    pub fn drive_open(&self, channel: u64, drive: &DriveKey) -> Vec<u8> {
        let handshake = hypercore::open_handshake(drive, self.secure.role(), &self.hash());
        drive_open_frame(channel, &drive.discovery_key(), &handshake)
    }

    /// Sends an extension on its channel 1.
    pub fn extend(&mut self, end: &mut End, name: &[u8], payload: &[u8]) -> Result<(), LinkError> {
        self.say(end, &extension(name, payload))
    }

    /// The extensions that it was sent on our channel 2: names and payloads.
    pub fn extensions(&self) -> Vec<(&[u8], &[u8])> {
        let extension = |frame: &'_ [u8]| frame.starts_with(&[2, EXTENSION as u8]);
        let read = |frame| {
            let mut reader = Reader::new(frame);
            (reader.buffer().unwrap(), reader.rest())
        };
        self.heard.iter().filter(|frame| extension(frame)).map(|frame| read(&frame[2..])).collect()
    }
}

/// The Open of `hypercore/alpha` for a core.
pub fn drive_open_frame(channel: u64, discovery_key: &[u8], handshake: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 1];
    frame.put_uint(channel);
    frame.put_string(hypercore::PROTOCOL);
    frame.put_buffer(discovery_key);
    frame.extend_from_slice(handshake);
    frame
}

/// An extension on channel 1.
pub fn extension(name: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, EXTENSION as u8];
    frame.put_buffer(name);
    frame.extend_from_slice(payload);
    frame
}

/// The frames of a batch, or the one that it is.
fn taken_apart(frame: Vec<u8>) -> Vec<Vec<u8>> {
    if !frame.starts_with(&[0, 0]) {
        return vec![frame];
    }
    let mut reader = Reader::new(&frame[2..]);
    let (mut channel, mut frames) = (reader.uint().unwrap(), Vec::new());
    while !reader.is_empty() {
        match reader.buffer().unwrap() {
            [] => channel = reader.uint().unwrap(),
            message => {
                let mut frame = Vec::new();
                frame.put_uint(channel);
                frame.extend_from_slice(message);
                frames.push(frame);
            }
        }
    }
    frames
}

/// Frames in one, as npm `protomux` writes them when it is corked.
pub fn batch(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut batch = vec![0, 0];
    let mut channel = None;
    for frame in frames {
        let mut reader = Reader::new(frame);
        let of = reader.uint().unwrap();
        if channel != Some(of) {
            batch.extend(channel.map(|_| 0));
            batch.put_uint(of);
            channel = Some(of);
        }
        batch.put_buffer(reader.rest());
    }
    batch
}

/// An Open of channel 1.
pub fn open_frame(id: &[u8], handshake: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 1, 1];
    frame.put_string(PROTOCOL);
    frame.put_buffer(id);
    frame.extend_from_slice(handshake);
    frame
}

/// The frames of a byte stream, with their length fields.
pub fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let [low, middle, high, ..] = *bytes {
        let (frame, rest) = bytes.split_at(3 + u32::from_le_bytes([low, middle, high, 0]) as usize);
        frames.push(frame);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

/// A length field and that many bytes.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as u32).to_le_bytes()[..3].to_vec();
    frame.extend_from_slice(bytes);
    frame
}

/// Bytes that look random and are the same in every run (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
