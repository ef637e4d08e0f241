//! What devices say to each other on a link, above the mux.

pub mod hypercore;
pub mod inbox;
pub mod outbox;
pub mod peersockets;
