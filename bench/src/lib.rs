#![forbid(unsafe_code)]
//! What the programs of `npm run bench` share.

pub mod websocket;
