//! Bytes and frames of the Hypercore family, below any meaning.

pub mod encoding;
pub mod framing;
pub mod mux;
