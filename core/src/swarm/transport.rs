//! What carries links, for those who do not care which it is: where bytes go, whether there is room, and when they left.

use super::buffer::Buffer;
use super::output::SocketId;
use super::{Carrier, Swarm};
use crate::limits;
use crate::time::Time;

/// What a carrier takes now.
pub(super) enum Room {
    /// So many bytes in one message to this socket.
    For(SocketId, usize),
    /// Nothing, until its socket has room again.
    Full,
    /// Nothing, until its relay lends credit.
    Unlent,
    /// Nothing of ours: the host writes.
    Host,
}

impl Swarm {
    /// The socket that a carrier's bytes go through, if it is open, however full.
    pub(super) fn open_socket_of(&self, carrier: Carrier) -> Option<SocketId> {
        match carrier {
            Carrier::Circuit { relay, .. } => self.relays[relay].endpoint.open_socket(),
            Carrier::DrivePeer(index) => self.drive_peers[index].endpoint.open_socket(),
            Carrier::Channel(socket) => self.channel(socket).map(|_| socket),
            Carrier::Host(_) => None,
        }
    }

    /// What a carrier takes now.
    pub(super) fn room(&mut self, carrier: Carrier) -> Room {
        match carrier {
            Carrier::Circuit { relay, line } => {
                let (endpoint, flow) = self.relays[relay].endpoint_and_flow(line);
                let limit = flow.map_or(carrier.longest_chunk(), |flow| flow.chunk());
                match endpoint.writable_socket() {
                    Some(_) if limit == 0 => Room::Unlent,
                    Some(socket) => Room::For(socket, limit),
                    None => Room::Full,
                }
            }
            Carrier::DrivePeer(index) => match self.drive_peers[index].endpoint.writable_socket() {
                Some(socket) => Room::For(socket, carrier.longest_chunk()),
                None => Room::Full,
            },
            Carrier::Channel(socket) => match self.channel(socket) {
                Some(buffer) if buffer.waiting < limits::CHANNEL_HIGH_WATER => {
                    Room::For(socket, carrier.longest_chunk())
                }
                _ => Room::Full,
            },
            Carrier::Host(_) => Room::Host,
        }
    }

    /// So many bytes go through a carrier.
    pub(super) fn spend(&mut self, carrier: Carrier, bytes: usize) {
        if let Carrier::Circuit { relay, line } = carrier
            && let Some(flow) = self.relays[relay].flow(line)
        {
            flow.spend(bytes);
        }
    }

    /// Bytes that were written to a socket and have not left it. To be told after writes and as they drain.
    ///
    /// Returns whether the socket takes messages again that it took none of: they wait for [`poll_output`](Swarm::poll_output).
    pub fn handle_socket_buffered(&mut self, socket: SocketId, bytes: usize) -> bool {
        let Some((buffer, high_water)) = self.buffer_mut(socket) else {
            return false;
        };
        let was_full = buffer.waiting >= high_water;
        buffer.hear(bytes);
        was_full && bytes < high_water
    }

    /// A socket's buffer, and from how much on it is full.
    pub(super) fn buffer_mut(&mut self, socket: SocketId) -> Option<(&mut Buffer, usize)> {
        match self.place_of(socket) {
            Some(place) => Some((&mut self.endpoint_mut(place).buffer, limits::SOCKET_HIGH_WATER)),
            None => self.channel_mut(socket).map(|buffer| (buffer, limits::CHANNEL_HIGH_WATER)),
        }
    }

    /// A question that waits behind much that was written before can't have been answered: who is asked through a socket whose buffer
    /// moves has as long again.
    pub(super) fn excuse_busy_sockets(&mut self, now: Time) {
        let sockets = self.places().into_iter().filter_map(|place| self.endpoint(place).socket());
        let mut moving: Vec<SocketId> = sockets.chain(self.channels()).collect();
        moving.retain(|socket| self.buffer_mut(*socket).is_some_and(|(buffer, _)| buffer.take_moves()));
        if moving.is_empty() {
            return;
        }
        let carriers = self.links.iter().map(|(id, attached)| (*id, attached.carrier));
        let busy = carriers
            .filter(|(_, carrier)| self.open_socket_of(*carrier).is_some_and(|socket| moving.contains(&socket)));
        for id in busy.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(attached) = self.links.get_mut(&id) {
                attached.link.put_off(now);
            }
        }
    }
}
