//! How a fuzzer's input becomes steps, and the fixed keys of every run.

pub mod connection;
pub mod peer;

use peersockets_core::budget::Budget;
use peersockets_core::budget::Memory;
use peersockets_core::drive::DriveKey;
use peersockets_core::link::{Beginning, Link};
use peersockets_core::secure::{DeviceKey, Entropy, Role};
use peersockets_core::time::Time;

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
