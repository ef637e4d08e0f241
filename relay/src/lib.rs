#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! The relay of beaker-peersockets: a blind pipe between pages that share a drive.
//!
//! The way of a frame: [`server`] takes a connection in if [`admission`] lets it, [`http`] hears what it wants, [`upgrade`] makes it a
//! WebSocket, its [`connection`] reads frames and passes them to the [`rooms`], which put them into the [`mailbox`] of their receiver and
//! send that off.

pub mod access;
pub mod address;
pub mod admin;
pub mod admission;
pub mod bucket;
pub mod budget;
pub mod config;
pub mod connection;
pub mod http;
pub mod ice;
mod ice_url;
pub mod limits;
mod lock;
pub mod log;
pub mod mailbox;
pub mod metrics;
pub mod mint;
pub mod options;
pub mod origin;
pub mod outlet;
pub mod queue;
pub mod read_limit;
pub mod refusal;
mod relations;
pub mod relay;
pub mod reload;
pub mod room_token;
pub mod rooms;
pub mod routes;
pub mod secret;
pub mod server;
pub mod stream;
pub mod tls;
pub mod traffic;
pub mod upgrade;
pub mod websocket;
