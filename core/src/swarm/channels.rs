//! The swarm's direct connections, from the first signal to the link on their data channel (PROTOCOL.md §15).

use super::buffer::Buffer;
use super::devices::Loss;
use super::direct::{Connection, Direct};
use super::output::{Output, PeerId, SocketId};
use super::{Attached, Carrier, LinkId, Swarm};
use crate::limits;
use crate::rendezvous::ToRelay;
use crate::rtc::negotiation::{Action, is_data_alone};
use crate::rtc::signal::{Said, Signal};
use crate::rtc::{Candidate, Connectivity, IceServer};
use crate::secure::Role;
use crate::time::Time;

impl Swarm {
    /// The local description of a peer connection: an offer or answer, as its last step asked for.
    pub fn handle_description(&mut self, now: Time, socket: SocketId, description: String) {
        self.negotiate(now, socket, |direct| direct.negotiation.handle_description(description));
    }

    /// A way by which this device may be reached was found.
    pub fn handle_candidate(&mut self, now: Time, socket: SocketId, candidate: Candidate) {
        self.negotiate(now, socket, |direct| direct.negotiation.handle_candidate(candidate));
    }

    /// Whether a peer connection has a way to the remote changed.
    pub fn handle_connectivity(&mut self, now: Time, socket: SocketId, connectivity: Connectivity) {
        self.negotiate(now, socket, |direct| {
            let Direct { negotiation, connection: Some(connection), .. } = direct else {
                return;
            };
            connection.restart_at = None;
            connection.has_way = connectivity == Connectivity::Connected;
            match connectivity {
                Connectivity::Connected => {}
                // Both look for another way only if the one who is to do it does not.
                Connectivity::Disconnected if negotiation.is_polite() => {
                    connection.restart_at = Some(now + limits::DIRECT_AFTER);
                }
                Connectivity::Disconnected => negotiation.restart(),
                Connectivity::Failed => negotiation.close(),
            }
        });
        if connectivity == Connectivity::Disconnected
            && let Some(peer) = self.peer_of_channel(socket)
        {
            self.prefer_relay(peer);
        }
    }

    /// A data channel is over, or there never was one.
    pub(super) fn handle_channel_closed(&mut self, now: Time, socket: SocketId) {
        if let Some(peer) = self.peer_of_channel(socket) {
            self.close_channel(now, peer);
        }
    }

    /// The data channel is open: both ends begin a link on it. Which of the keys is the greater says who begins.
    pub(super) fn open_channel(&mut self, now: Time, peer: PeerId) {
        let Some(direct) = self.directs.get(&peer) else {
            return;
        };
        let Some(Connection { socket, link: None, .. }) = direct.connection else {
            return;
        };
        let role = if direct.negotiation.is_polite() { Role::Responder } else { Role::Initiator };
        let link = self.add_link(now, Carrier::Channel(socket), role);
        if let Some(connection) = self.connection_mut(peer) {
            connection.link = Some(link);
        }
    }

    /// Gives a direct connection up, and tells the other device.
    pub(super) fn close_channel(&mut self, now: Time, peer: PeerId) {
        if let Some(direct) = self.directs.get_mut(&peer) {
            direct.negotiation.close();
        }
        self.act(now, peer);
    }

    /// The link on a data channel is over: so is its connection.
    pub(super) fn end_channel(&mut self, now: Time, socket: SocketId, link: LinkId) {
        if let Some(peer) = self.peer_of_channel(socket) {
            self.close_channel(now, peer);
        }
        self.remove_link(now, link, Loss::Cut, false);
    }

    /// Whether a data channel goes to the device of this key.
    pub(super) fn is_channel_to(&self, socket: SocketId, key: &[u8; 32]) -> bool {
        let device = self.peer_of_channel(socket).and_then(|peer| self.devices.get(peer));
        device.is_some_and(|device| device.key == *key)
    }

    /// Its device has proved the drive key on a data channel.
    pub(super) fn join_channel(&mut self, now: Time, socket: SocketId) {
        if let Some(connection) = self.peer_of_channel(socket).and_then(|peer| self.connection_mut(peer)) {
            connection.proved_at = Some(now);
        }
        self.update_state();
    }

    /// A device says something about a direct connection.
    pub(super) fn hear_signal(&mut self, now: Time, peer: PeerId, signal: Signal) {
        // What is no offer of a data channel takes nobody's place.
        let is_offer = matches!(&signal.said, Said::Offer(description) if is_data_alone(description));
        if let Some(direct) = self.direct_to(now, peer).filter(|_| is_offer)
            && direct.negotiation.would_begin(signal.attempt)
        {
            let has_one = direct.connection.is_some();
            let is_invited = direct.invitations.take(now) && self.mesh.invitations.take(now);
            let may_begin = is_invited && (has_one || self.make_place_for(now, peer));
            if let Some(direct) = self.directs.get_mut(&peer).filter(|_| !may_begin) {
                direct.negotiation.refuse(signal.attempt);
                return self.act(now, peer);
            }
        }
        if let Some(direct) = self.directs.get_mut(&peer) {
            direct.negotiation.handle_signal(signal);
            self.act(now, peer);
        }
    }

    /// Does what follows from an agreement, or from there being none.
    pub(super) fn act(&mut self, now: Time, peer: PeerId) {
        while let Some(direct) = self.directs.get_mut(&peer)
            && let Some(action) = direct.negotiation.poll_action()
        {
            match action {
                Action::Begin => self.connect(now, peer),
                Action::Step(step) => {
                    if let Some(socket) = self.connection_mut(peer).map(|connection| connection.socket) {
                        self.output(Output::Negotiate { socket, step });
                    }
                }
                Action::Signal(signal) => self.signal(peer, &signal),
                Action::End => self.disconnect(now, peer),
            }
        }
    }

    /// The buffer of a data channel, from its beginning on.
    pub(super) fn channel(&self, socket: SocketId) -> Option<&Buffer> {
        let connections = self.directs.values().filter_map(|direct| direct.connection.as_ref());
        connections.into_iter().find(|connection| connection.socket == socket).map(|connection| &connection.buffer)
    }

    /// The same, to be changed.
    pub(super) fn channel_mut(&mut self, socket: SocketId) -> Option<&mut Buffer> {
        let connections = self.directs.values_mut().filter_map(|direct| direct.connection.as_mut());
        connections.into_iter().find(|connection| connection.socket == socket).map(|connection| &mut connection.buffer)
    }

    /// Every data channel, open or not.
    pub(super) fn channels(&self) -> impl Iterator<Item = SocketId> {
        self.directs.values().filter_map(|direct| direct.connection.as_ref()).map(|connection| connection.socket)
    }

    /// Whether a device has proved the drive key on a data channel.
    pub(super) fn is_direct_to(&self, peer: PeerId) -> bool {
        let connection = self.directs.get(&peer).and_then(|direct| direct.connection.as_ref());
        connection.is_some_and(|connection| connection.proved_at.is_some())
    }

    /// Whether there is a way for a data channel, as far as the browser knows.
    pub(super) fn has_way(&self, socket: SocketId) -> bool {
        let connection = self.peer_of_channel(socket).and_then(|peer| self.directs.get(&peer)?.connection.as_ref());
        connection.is_some_and(|connection| connection.has_way)
    }

    /// The device that a data channel goes to, if it is still in use.
    pub(super) fn peer_of_channel(&self, socket: SocketId) -> Option<PeerId> {
        let is_it = |direct: &Direct| direct.connection.as_ref().is_some_and(|it| it.socket == socket);
        self.directs.iter().find(|(_, direct)| is_it(direct)).map(|(peer, _)| *peer)
    }

    /// The link on a data channel.
    pub(super) fn link_of_channel(&self, peer: PeerId) -> Option<LinkId> {
        self.directs.get(&peer)?.connection.as_ref()?.link
    }

    /// A link is over that signals may have gone on: an attempt that is not settled may wait for what was lost with it, and is given up.
    pub(super) fn give_up_unsettled(&mut self, now: Time, peer: PeerId) {
        let is_unsettled = |direct: &Direct| {
            let is_unproved = direct.connection.as_ref().is_some_and(|connection| connection.proved_at.is_none());
            is_unproved || direct.negotiation.is_unanswered()
        };
        if self.directs.get(&peer).is_some_and(is_unsettled) {
            self.close_channel(now, peer);
        }
    }

    /// Forgets what there was between this device and another: with the next session attempts are counted anew.
    pub(super) fn forget_channel(&mut self, now: Time, peer: PeerId) {
        self.close_channel(now, peer);
        self.directs.remove(&peer);
    }

    /// Forgets all of them, saying nothing.
    pub(super) fn forget_channels(&mut self) {
        let sockets: Vec<SocketId> = self.channels().collect();
        self.directs.clear();
        for socket in sockets {
            self.output(Output::Close { socket });
        }
    }

    /// Tells the relays that want to know whether a device that was dialled through them is connected to directly.
    pub(super) fn tell_relays(&mut self, peer: PeerId, is_direct: bool) {
        let links = self.devices.get(peer).map(|device| device.links.clone()).unwrap_or_default();
        for link in links {
            let Some(Attached { carrier: Carrier::Circuit { relay, line }, role: Role::Initiator, .. }) =
                self.links.get(&link)
            else {
                continue;
            };
            let (relay, line) = (&self.relays[*relay], *line);
            if let Some(socket) = relay.endpoint.joined_socket().filter(|_| relay.counts_direct) {
                self.write(socket, &ToRelay::Direct(line, is_direct));
            }
        }
    }

    fn connection_mut(&mut self, peer: PeerId) -> Option<&mut Connection> {
        self.directs.get_mut(&peer)?.connection.as_mut()
    }

    fn negotiate(&mut self, now: Time, socket: SocketId, change: impl FnOnce(&mut Direct)) {
        if let Some(peer) = self.peer_of_channel(socket)
            && let Some(direct) = self.directs.get_mut(&peer)
        {
            change(direct);
            self.act(now, peer);
        }
    }

    fn connect(&mut self, now: Time, peer: PeerId) {
        self.last_socket += 1;
        let socket = SocketId(self.last_socket);
        if let Some(direct) = self.directs.get_mut(&peer) {
            direct.begin_at = None;
            direct.connection = Some(Connection::new(now, socket));
            // What several relays name is asked once.
            let mut ice_servers: Vec<IceServer> = Vec::new();
            for server in self.relays.iter().flat_map(|relay| &relay.ice_servers) {
                if !ice_servers.contains(server) {
                    ice_servers.push(server.clone());
                }
            }
            self.output(Output::Connect { socket, ice_servers });
        }
    }

    fn disconnect(&mut self, now: Time, peer: PeerId) {
        let Some(direct) = self.directs.get_mut(&peer) else {
            return;
        };
        let Some(connection) = direct.connection.take() else {
            return;
        };
        direct.fail(now, &connection, &mut self.random);
        self.output(Output::Close { socket: connection.socket });
        if connection.proved_at.is_some() {
            self.tell_relays(peer, false);
        }
        if let Some(link) = connection.link {
            self.remove_link(now, link, Loss::Cut, false);
        }
    }

    /// Says a signal to a device: through a relay if there is one, since a data channel may be what the signal is about.
    fn signal(&mut self, peer: PeerId, signal: &Signal) {
        let Some(device) = self.devices.get(peer) else {
            return;
        };
        let is_channel =
            |id: &LinkId| self.links.get(id).is_some_and(|attached| matches!(attached.carrier, Carrier::Channel(_)));
        let takes = |id: &&LinkId| self.links.get(id).is_some_and(|attached| attached.link.takes_signals());
        let Some(id) = device.links.iter().filter(takes).min_by_key(|id| is_channel(id)).copied() else {
            return;
        };
        if let Some(attached) = self.links.get_mut(&id) {
            attached.link.signal(signal);
        }
        self.queue_link(id);
    }
}
