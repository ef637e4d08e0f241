//! Links whose secret stream and mux the host runs (PROTOCOL.md §12): what it says of them.
//!
//! A swarm that hosts gets an [`Output::Host`](super::Output::Host) for everything that is to be done to such a stream, in order.

use super::devices::Loss;
use super::links::Here;
use super::{Carrier, LinkId, State, Swarm};
use crate::conversation::{Established, Heard};
use crate::error::LinkError;
use crate::link::Host;
use crate::rendezvous::HangupReason;
use crate::secure::Role;
use crate::time::Time;

impl Swarm {
    /// A stream that the host has: a Hyperswarm connection, for instance. It is a link until the host says that it ended. A swarm that
    /// is closed has it ended at once.
    pub fn handle_stream(&mut self, now: Time, host: Host) -> LinkId {
        let link = self.add_link(now, Carrier::Host(host), Role::Initiator);
        if self.state == State::Closed {
            self.remove_link(now, link, Loss::Goodbye, false);
        }
        link
    }

    /// The handshake of a host's stream is complete.
    pub fn handle_stream_opened(&mut self, now: Time, link: LinkId, established: Established) {
        let Some(attached) = self.links.get_mut(&link) else {
            return;
        };
        let surroundings = Here { handles: &self.handles, devices: &self.devices, is_direct: false };
        match attached.link.handle_established(established, &surroundings) {
            Ok(()) => self.queue_link(link),
            Err(error) => self.end_link(now, link, error),
        }
    }

    /// Something was heard on the channels of a host's stream.
    pub fn handle_stream_heard(&mut self, now: Time, link: LinkId, heard: Heard<'_>) {
        self.hear(now, link, |link, surroundings, events| link.handle_heard(now, heard, surroundings, events));
        self.settle();
    }

    /// A host's stream wrote bytes for its circuit.
    ///
    /// Returns whether it is to wait for [`HostAction::Drained`](crate::link::HostAction::Drained) before it writes more.
    pub fn handle_stream_written(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let is_full = self.links.get_mut(&link).is_some_and(|attached| attached.link.handle_written(bytes));
        self.queue_link(link);
        is_full
    }

    /// A host's mux takes more messages, or none for now.
    pub fn handle_stream_drained(&mut self, link: LinkId, is_drained: bool) {
        if let Some(attached) = self.links.get_mut(&link) {
            attached.link.handle_drained(is_drained);
        }
        self.queue_link(link);
    }

    /// Something came on a host's stream, whatever it means: the remote is alive, even if its answer waits behind long replication.
    pub fn handle_stream_alive(&mut self, now: Time, link: LinkId) {
        if let Some(attached) = self.links.get_mut(&link) {
            attached.link.handle_sign_of_life(now);
        }
        self.hear_device(now, link);
    }

    /// Closes the device for the application, and says goodbye on its circuits; nobody is met any more. For a host, to be called a little
    /// before [`close`](Swarm::close): its streams take a while to seal what is said, and of a link that is over nothing is taken.
    pub fn say_last_words(&mut self, now: Time) {
        self.handles.close_all();
        self.early.clear();
        self.set_state(State::Closed);
        for links in self.links_by_device() {
            let mut finished = None;
            for id in links {
                match self.links.get_mut(&id).filter(|attached| matches!(attached.carrier, Carrier::Circuit { .. })) {
                    Some(attached) if attached.link.is_proved() => finished = attached.link.goodbye(finished),
                    Some(_) => self.hang_up(now, id, HangupReason::Done),
                    None => {}
                }
                self.queue_link(id);
            }
        }
    }

    /// A host's stream ended by itself.
    pub fn handle_stream_ended(&mut self, now: Time, link: LinkId) {
        self.end_link(now, link, LinkError::StreamEnded);
    }
}
