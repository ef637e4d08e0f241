#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! Every protocol of beaker-peersockets, without I/O: no socket, no clock, no source of randomness.
//!
//! `PROTOCOL.md` beside this crate's manifest describes each byte. The modules, from the lowest group to the highest:

pub mod budget;
pub mod code;
pub mod error;
pub mod limits;
pub mod quote;
pub mod random;
pub mod table;
pub mod time;

pub mod drive;
pub mod wire;

pub mod channel;
pub mod conversation;
pub mod credit;
pub mod link;
pub mod path;
pub mod rendezvous;
pub mod rtc;
pub mod secure;

pub mod swarm;
