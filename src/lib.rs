#![warn(missing_docs)]
//! The browser half of `beaker-peersockets`: what JavaScript calls, WebSockets, direct connections, the clock and randomness.
//!
//! It decides no protocol; that is [`peersockets_core`]. Each class here is wrapped by a TypeScript class of the same name in
//! `pkg-template/`, which is what pages see.

mod bridge;
mod connection;
#[cfg(feature = "host")]
mod hosting;
mod options;
mod page;
mod peer_sockets;
mod snapshot;
mod socket;

pub use peer_sockets::{PeerEvents, PeerSockets, Topic};
