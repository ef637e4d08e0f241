#![forbid(unsafe_code)]
//! Devices, relays and drive peers in virtual time: nothing waits, everything happens when it is told to, and follows from a seed.
//!
//! [`World`] holds them and passes on what they write. Its relays follow PROTOCOL.md §3 on honest input; [`Mischief`], [`Lie`] and
//! [`Impostor`] make a hostile one of it. [`Room`] lets devices talk, and checks what they are told against what must hold whatever
//! happens. For tests only: what cannot be panics.

mod accident;
mod channels;
mod drive_peer;
mod host;
mod impostor;
mod liar;
mod mesh;
mod mischief;
mod network;
mod relay;
mod room;
mod stream;
mod tally;
mod weather;
mod world;

pub use accident::Accident;
pub use drive_peer::DrivePeer;
pub use impostor::Impostor;
pub use liar::Lie;
pub use mischief::{Fault, Mischief};
pub use relay::Relay;
pub use room::{Kind, Room, Seed};
pub use tally::Tally;
pub use weather::Weather;
pub use world::{Device, World, drive, seconds};
