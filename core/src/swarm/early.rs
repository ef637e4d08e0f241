//! Messages to peers that are not known yet, sent while the first relay is being joined: they wait, within bounds.

use std::sync::Arc;

use super::output::{HandleId, PeerId};
use crate::limits;

/// One such message.
#[derive(Debug, PartialEq, Eq)]
pub struct EarlyMessage {
    /// The topic handle it was sent on, which may be closed by now.
    pub handle: HandleId,
    /// The topic's name.
    pub topic: Arc<str>,
    /// To whom.
    pub peer: PeerId,
    /// Its bytes.
    pub message: Vec<u8>,
}

/// The messages that wait, in the order of `send`.
#[derive(Debug, Default)]
pub struct EarlyMessages {
    waiting: Vec<EarlyMessage>,
    bytes: usize,
}

impl EarlyMessages {
    /// Whether a message of this length would be kept.
    pub fn has_room(&self, length: usize) -> bool {
        self.waiting.len() < limits::EARLY_MESSAGES && self.bytes + length <= limits::EARLY_BYTES
    }

    /// Keeps a message, or gives it back.
    pub fn push(&mut self, early: EarlyMessage) -> Result<(), EarlyMessage> {
        if !self.has_room(early.message.len()) {
            return Err(early);
        }
        self.bytes += early.message.len();
        self.waiting.push(early);
        Ok(())
    }

    /// Takes those for a peer.
    pub fn take(&mut self, peer: PeerId) -> Vec<EarlyMessage> {
        let (taken, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|early| early.peer == peer);
        self.waiting = waiting;
        self.bytes = self.waiting.iter().map(|early| early.message.len()).sum();
        taken
    }

    /// What those for a peer count for.
    pub fn weight_for(&self, peer: PeerId) -> usize {
        let weights = self.waiting.iter().filter(|early| early.peer == peer);
        weights.map(|early| early.message.len() + limits::MESSAGE_WEIGHT).sum()
    }

    /// What all count for.
    pub fn weight(&self) -> usize {
        self.bytes + self.waiting.len() * limits::MESSAGE_WEIGHT
    }

    /// Drops what waits: who is not here now is nobody.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
