//! What devices say to each other on a link, above the mux.

pub mod inbox;
pub mod outbox;
pub mod peersockets;
