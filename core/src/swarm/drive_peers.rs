//! Drive peers that are reached by a WebSocket of their own (PROTOCOL.md §12).

use super::endpoint::{Endpoint, Phase};
use super::network::Patience;
use super::{Carrier, LinkId, Place, Swarm};
use crate::code::Code;
use crate::error::LinkError;
use crate::secure::Role;
use crate::time::Time;

/// One drive peer of the list.
#[derive(Debug)]
pub struct DrivePeer {
    /// Where it is and how far we are with it.
    pub endpoint: Endpoint,
    /// The link on its socket.
    pub link: Option<LinkId>,
    /// How long it may say nothing, since the network is back: its socket may be dead.
    pub patience: Option<Patience>,
}

impl Swarm {
    pub(super) fn meet_drive_peer(&mut self, now: Time, index: usize) {
        self.drive_peers[index].link = Some(self.add_link(now, Carrier::DrivePeer(index), Role::Initiator));
    }

    /// It has proved the drive key.
    pub(super) fn join_drive_peer(&mut self, now: Time, index: usize) {
        let endpoint = &mut self.drive_peers[index].endpoint;
        if let Phase::Joining(socket, _) = endpoint.phase {
            endpoint.join(socket, now);
            self.update_state();
        }
    }

    /// Its link is over by our decision: so is its socket.
    pub(super) fn end_drive_peer(&mut self, now: Time, index: usize, error: Option<LinkError>) {
        let endpoint = &self.drive_peers[index].endpoint;
        let problem = error.filter(|_| endpoint.joined_socket().is_none()).map(|error| {
            let url = &endpoint.url;
            match error {
                LinkError::ChannelClosed | LinkError::Capability => {
                    (Code::NoDrive, format!("the drive peer at {url} does not have this drive open"))
                }
                error => (Code::NotAPeer, format!("what answers at {url} is not a drive peer: {error}")),
            }
        });
        self.fail(now, Place::DrivePeer(index), problem);
    }
}
