//! The channel `hypercore/alpha` of a peer that has no part of the core, and messages as extensions on it (PROTOCOL.md §12).
//!
//! Names and codecs are npm `hypercore` 11's, the messages those of the crate `hypercore-protocol`.

use std::sync::Arc;

use compact_encoding::CompactEncoding;
use hypercore_protocol::schema::{NoData, Synchronize};

use crate::drive::DriveKey;
use crate::error::{LinkError, WireError};
use crate::limits;
use crate::secure::Role;
use crate::wire::encoding::{Encode, Reader};

/// Name of the mux protocol.
pub const PROTOCOL: &str = "hypercore/alpha";

/// What the sender has, wants and knows.
pub const SYNC: u64 = 0;
/// Asks for a block.
pub const REQUEST: u64 = 1;
/// The answer to a request for what the sender does not have.
pub const NO_DATA: u64 = 4;
/// A message of somebody above the replication.
pub const EXTENSION: u64 = 9;

/// Begins the name of a topic's extension, as it did in Beaker.
const TOPIC: &str = "peersockets/v0/";

/// The handshake that our Open carries: it proves the drive key to the remote.
pub fn open_handshake(drive: &DriveKey, role: Role, handshake_hash: &[u8; 64]) -> Vec<u8> {
    let mut handshake = Vec::with_capacity(33);
    handshake.put_uint(0);
    handshake.extend_from_slice(&drive.hypercore_capability(role, handshake_hash));
    handshake
}

/// Checks the handshake of a remote's Open.
pub fn verify_open(
    handshake: &[u8],
    drive: &DriveKey,
    sender: Role,
    handshake_hash: &[u8; 64],
) -> Result<(), LinkError> {
    let mut reader = Reader::new(handshake);
    let _flags = reader.uint()?;
    let capability = reader.fixed32()?;
    if capability == drive.hypercore_capability(sender, handshake_hash) { Ok(()) } else { Err(LinkError::Capability) }
}

/// The sync of a peer with an empty copy. It says that it downloads: a channel on which nobody does is closed as idle.
pub fn empty_sync() -> Vec<u8> {
    let sync =
        Synchronize { fork: 0, length: 0, remote_length: 0, downloading: true, uploading: true, can_upgrade: true };
    encoded(&sync)
}

/// What a message of the remote's amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A message on a topic.
    Message {
        /// The topic's name.
        topic: Arc<str>,
        /// The message.
        bytes: &'a [u8],
    },
    /// A question that this answers: a message's type and payload.
    Answer(u64, Vec<u8>),
}

/// The extension names that each side used last, which an empty name repeats.
#[derive(Debug, Default)]
pub struct Extensions {
    said: Option<Arc<str>>,
    /// `None` also for a name that is no topic.
    heard: Option<Arc<str>>,
}

impl Extensions {
    /// Reads a message of the channel. Replication other than requests means nothing to a peer without a copy.
    pub fn read<'a>(&mut self, kind: u64, payload: &'a [u8]) -> Result<Option<Received<'a>>, WireError> {
        let mut reader = Reader::new(payload);
        match kind {
            REQUEST => {
                let _flags = reader.uint()?;
                let answer = encoded(&NoData { request: reader.uint()? });
                Ok(Some(Received::Answer(NO_DATA, answer)))
            }
            EXTENSION => {
                let name = reader.buffer()?;
                if !name.is_empty() {
                    self.heard = topic(name);
                }
                let bytes = reader.rest();
                Ok(self.heard.clone().map(|topic| Received::Message { topic, bytes }))
            }
            _ => Ok(None),
        }
    }

    /// The payload of an extension that carries a message of a topic.
    pub fn write(&mut self, topic: &Arc<str>, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(TOPIC.len() + topic.len() + message.len() + 4);
        if self.said.as_ref() == Some(topic) {
            payload.put_string("");
        } else {
            payload.put_string(&format!("{TOPIC}{topic}"));
            self.said = Some(topic.clone());
        }
        payload.extend_from_slice(message);
        payload
    }
}

fn topic(name: &[u8]) -> Option<Arc<str>> {
    let topic = std::str::from_utf8(name).ok()?.strip_prefix(TOPIC)?;
    (topic.len() <= limits::TOPIC_NAME).then(|| topic.into())
}

/// Encoding these messages cannot fail: they are a few integers.
fn encoded(message: &impl CompactEncoding) -> Vec<u8> {
    message.to_encoded_bytes().map(|bytes| bytes.into_vec()).unwrap_or_default()
}
