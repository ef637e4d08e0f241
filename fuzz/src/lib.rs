//! How a fuzzer's input becomes steps, and the fixed keys of every run.

pub mod connection;
pub mod peer;

use peersockets_core::budget::Budget;
use peersockets_core::budget::Memory;
use peersockets_core::drive::DriveKey;
use peersockets_core::link::{Beginning, Link};
use peersockets_core::secure::{DeviceKey, Entropy, Role};
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::{Encode, Reader};

/// One step of a run: what to do, and with which bytes.
pub struct Step<'a> {
    pub what: u8,
    pub bytes: &'a [u8],
}

/// The steps of an input. Each is a byte that says what, a byte of length, and that many bytes; the last may be shorter.
pub fn steps(mut input: &[u8]) -> impl Iterator<Item = Step<'_>> {
    std::iter::from_fn(move || {
        let [what, length, rest @ ..] = input else {
            return None;
        };
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        Some(Step { what: *what, bytes })
    })
}

/// The frames of a batch of ours, or the one that it is.
pub fn taken_apart(frame: Vec<u8>) -> Vec<Vec<u8>> {
    if !frame.starts_with(&[0, 0]) {
        return vec![frame];
    }
    let mut reader = Reader::new(&frame[2..]);
    let mut channel = reader.uint().expect("a channel");
    let mut frames = Vec::new();
    while !reader.is_empty() {
        match reader.buffer().expect("a message") {
            [] => channel = reader.uint().expect("a channel"),
            message => {
                let mut frame = Vec::new();
                frame.put_uint(channel);
                frame.extend_from_slice(message);
                frames.push(frame);
            }
        }
    }
    assert!(frames.len() > 1, "one by itself is no batch");
    frames
}

pub fn drive() -> DriveKey {
    DriveKey::from_bytes([0x5d; 32])
}

pub fn device(number: u8) -> DeviceKey {
    DeviceKey::from_seed([number; 32])
}

pub fn entropy(number: u8) -> Entropy {
    Entropy { ephemeral: [number; 32], header: [number; 24] }
}

/// A link of device 1 that begins now.
pub fn link(role: Role, budget: &Budget, is_drive_peer: bool) -> Link {
    let (now, drive) = (Time::default(), drive());
    let memory = Memory { incomplete: budget.clone(), ..Memory::default() };
    Link::new(Beginning { now, role, device: &device(1), drive, memory, is_drive_peer }, entropy(1))
}
