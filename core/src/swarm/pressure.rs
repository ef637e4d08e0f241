//! Back-pressure: how much waits for whom, and who is told once it is little again.
//!
//! What is in a session counts until it is acknowledged, and each message counts [`limits::MESSAGE_WEIGHT`] beside its bytes: whoever keeps
//! below [`limits::SEND_HIGH_WATER`] has neither too many bytes nor too many messages waiting for a peer. For many peers, and on many
//! topics, there are bounds for all together.

use super::output::{Event, Output, PeerId};
use super::{Pending, Swarm};
use crate::channel::outbox::Outbox;
use crate::limits;

impl Swarm {
    /// What the messages to a peer count for, on all topics, that have not been sent, or not acknowledged in a session. Nothing to one who
    /// left.
    pub fn buffered(&self, peer: PeerId) -> usize {
        if !self.devices.was_assigned(peer) {
            return self.early.weight_for(peer);
        }
        let Some(device) = self.devices.get(peer).filter(|device| device.is_present()) else {
            return 0;
        };
        self.outbox(device).map_or(0, Outbox::buffered)
    }

    /// The same for all peers together.
    pub fn buffered_in_all(&self) -> usize {
        let present = self.devices.present().map(|device| self.buffered(device.peer));
        present.sum::<usize>() + self.early.weight()
    }

    /// A message was queued for a peer: if much waits now, the application is told when it is little.
    pub(super) fn note_pressure(&mut self, peer: PeerId) {
        if self.buffered(peer) > limits::SEND_HIGH_WATER && !self.pressed.contains(&peer) {
            self.pressed.push(peer);
        }
    }

    /// Tells of the next peer for whom little waits again, or who is gone: nobody is to wait for that one for ever.
    pub(super) fn relieve(&mut self) {
        let is_relieved = |peer: &PeerId| self.buffered(*peer) <= limits::SEND_LOW_WATER;
        let Some(position) = self.pressed.iter().position(is_relieved) else {
            return;
        };
        let peer = self.pressed.swap_remove(position);
        let event = |topic| Pending::Output(Output::Event(Event::Drain { topic, peer }));
        self.outputs.extend(self.handles.topics().map(event));
    }
}
