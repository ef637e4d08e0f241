//! The swarm's links: from bytes of a carrier to peers and messages, and back.

use std::sync::Arc;

use super::output::{Output, PeerId, Report};
use super::{Attached, Carrier, LinkId, Pending, Place, Swarm};
use crate::code::Code;
use crate::conversation::LinkEvent;
use crate::error::LinkError;
use crate::limits;
use crate::link::{Beginning, HostAction, Link};
use crate::rendezvous::{HangupReason, ToRelay};
use crate::secure::Role;
use crate::time::Time;

impl Swarm {
    pub(super) fn add_link(&mut self, now: Time, carrier: Carrier, role: Role) -> LinkId {
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let entropy = self.entropy();
        let beginning = Beginning {
            now,
            role,
            device: &self.device,
            drive: self.drive.clone(),
            budget: self.budget.clone(),
            is_drive_peer: !matches!(carrier, Carrier::Circuit { .. }),
        };
        let link = match carrier {
            Carrier::Circuit { .. } if self.is_host => Link::hosted(beginning, true),
            Carrier::Host => Link::hosted(beginning, false),
            Carrier::Circuit { .. } | Carrier::DrivePeer(_) => Link::new(beginning, entropy),
        };
        self.links.insert(id, Attached { link, carrier, role, peer: None, is_queued: false });
        self.queue_link(id);
        id
    }

    pub(super) fn handle_link_bytes(&mut self, now: Time, id: LinkId, bytes: &[u8]) {
        self.hear(now, id, |link, is_joined, events| link.handle_bytes(now, bytes, is_joined, events));
    }

    /// Lets a link hear something, and does what follows.
    pub(super) fn hear(
        &mut self,
        now: Time,
        id: LinkId,
        hear: impl FnOnce(&mut Link, &dyn Fn(&str) -> bool, &mut Vec<LinkEvent>) -> Result<(), LinkError>,
    ) {
        let Some(attached) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = Vec::new();
        let handles = &self.handles;
        let is_joined = |topic: &str| handles.is_joined(topic);
        let heard = hear(&mut attached.link, &is_joined, &mut events);
        for event in events {
            self.handle_link_event(now, id, event);
        }
        match heard {
            Ok(()) => self.queue_link(id),
            Err(error) => self.end_link(now, id, error),
        }
    }

    pub(super) fn handle_link_timeouts(&mut self, now: Time) {
        let is_due = |(id, attached): (&LinkId, &Attached)| (attached.link.next_timeout() <= now).then_some(*id);
        let due: Vec<LinkId> = self.links.iter().filter_map(is_due).collect();
        for id in due {
            let handled = self.links.get_mut(&id).map(|attached| attached.link.handle_timeout(now));
            match handled {
                Some(Err(error)) => self.end_link(now, id, error),
                _ => self.queue_link(id),
            }
        }
    }

    /// Removes a link whose carrier is over, and tells what that means for its device.
    pub(super) fn remove_link(&mut self, now: Time, id: LinkId, may_redial: bool) {
        let Some(attached) = self.links.remove(&id) else {
            return;
        };
        let has_carried = attached.link.has_carried();
        let Attached { carrier, role, peer, .. } = attached;
        self.end_hosting(id, attached.link);
        if let Carrier::Circuit { relay, line } = carrier {
            self.relays[relay].detach(line, id);
            if may_redial && role == Role::Initiator && self.relays[relay].endpoint.joined_socket().is_some() {
                self.relays[relay].redial_later(line.member, now, &mut self.random);
            }
        }
        if let Some(peer) = peer {
            let change = self.devices.remove_link(peer, id, has_carried);
            self.tell(peer, change);
        }
        if carrier == Carrier::Host {
            self.update_state();
        }
        self.settle();
    }

    pub(super) fn queue_link(&mut self, id: LinkId) {
        if let Some(attached) = self.links.get_mut(&id)
            && !attached.is_queued
            && (attached.link.has_action() || attached.link.has_output())
        {
            attached.is_queued = true;
            self.ready.push_back(id);
        }
    }

    /// The next thing that a host is to do, or the next chunk of a link whose carrier takes one.
    pub(super) fn next_data(&mut self) -> Option<Output> {
        for _ in 0..self.ready.len() {
            let id = self.ready.pop_front()?;
            let Some(attached) = self.links.get_mut(&id) else {
                continue;
            };
            if let Some(action) = attached.link.next_action() {
                self.ready.push_front(id);
                return Some(Output::Host { link: id, action });
            }
            let endpoint = match attached.carrier {
                Carrier::Circuit { relay, .. } => &mut self.relays[relay].endpoint,
                Carrier::DrivePeer(index) => &mut self.drive_peers[index].endpoint,
                Carrier::Host => {
                    attached.is_queued = false;
                    continue;
                }
            };
            let Some(socket) = endpoint.writable_socket() else {
                // A hosted link that waits for its circuit is looked at again when its host has something to do.
                self.ready.push_back(id);
                continue;
            };
            attached.is_queued = false;
            let chunk = attached.link.take_output(limits::CIRCUIT_CHUNK);
            if chunk.is_empty() {
                continue;
            }
            let message = attached.carrier.message(chunk);
            endpoint.buffered += message.len();
            self.queue_link(id);
            return Some(Output::Write { socket, message });
        }
        None
    }

    /// Lets a link say its last words and goodbye, whatever a socket's buffer holds: there is no later.
    pub(super) fn say_goodbye(&mut self, id: LinkId) {
        let Some(Attached { mut link, carrier, peer, .. }) = self.links.remove(&id) else {
            return;
        };
        link.goodbye();
        if let Some(socket) = carrier.place().and_then(|place| self.endpoint(place).open_socket()) {
            loop {
                let chunk = link.take_output(limits::CIRCUIT_CHUNK);
                if chunk.is_empty() {
                    break;
                }
                self.output(Output::Write { socket, message: carrier.message(chunk) });
            }
        }
        self.end_hosting(id, link);
        if let Some(peer) = peer {
            // On the way out nothing is promoted: the device's other links say goodbye too.
            let change = self.devices.remove_link(peer, id, false);
            self.tell(peer, change);
        }
    }

    /// Has the host do what is left for a link that is over, and end its stream.
    fn end_hosting(&mut self, id: LinkId, mut link: Link) {
        if link.is_hosted() {
            while let Some(action) = link.next_last_action() {
                self.output(Output::Host { link: id, action });
            }
            self.output(Output::Host { link: id, action: HostAction::End });
        }
    }

    fn handle_link_event(&mut self, now: Time, id: LinkId, event: LinkEvent) {
        match event {
            LinkEvent::Proved(key) => self.handle_proof(now, id, key),
            LinkEvent::Message { topic, bytes } => {
                if let Some(peer) = self.peer_of(id) {
                    self.leave_older_link(now, peer, id);
                    self.deliver(peer, &topic, bytes);
                }
            }
            LinkEvent::Lost { topic, length } => {
                let peer = self.peer_of(id);
                let why = if length > limits::MESSAGE {
                    format!("it is longer than {}", limits::MESSAGE)
                } else {
                    format!("{} bytes are being received already", limits::REASSEMBLY)
                };
                let text = format!("a message of {length} bytes was dropped: {why}");
                let handles = self.handles.of_topic(&topic).to_vec();
                for handle in handles {
                    let report = Report::new(Code::MessageLost, text.clone());
                    self.report(Report { handle: Some(handle), topic: Some(topic.clone()), peer, ..report });
                }
            }
            LinkEvent::Goodbye => self.handle_goodbye(now, id),
        }
    }

    fn handle_proof(&mut self, now: Time, id: LinkId, key: [u8; 32]) {
        let Some((peer, change)) = self.devices.add_link(key, id) else {
            self.hang_up(now, id, HangupReason::Busy);
            return;
        };
        let Some(attached) = self.links.get_mut(&id) else {
            return;
        };
        attached.peer = Some(peer);
        let carrier = attached.carrier;
        match carrier {
            Carrier::Circuit { relay, line } => self.relays[relay].forget_redials(line.member),
            Carrier::DrivePeer(index) => self.join_drive_peer(now, index),
            Carrier::Host => self.update_state(),
        }
        self.tell(peer, change);
        let Some(place) = carrier.place() else {
            return;
        };
        let is_older = |other: &LinkId| {
            *other != id && self.links.get(other).is_some_and(|attached| attached.carrier.place() == Some(place))
        };
        let older = self.devices.get(peer).and_then(|device| device.links.iter().copied().find(is_older));
        if let Some(older) = older {
            self.hang_up(now, older, HangupReason::Done);
        }
    }

    /// The device itself said that it leaves: none of its links is worth keeping.
    fn handle_goodbye(&mut self, now: Time, id: LinkId) {
        let Some(device) = self.peer_of(id).and_then(|peer| self.devices.get(peer)) else {
            return;
        };
        let peer = device.peer;
        let links = device.links.clone();
        for link in links {
            let change = self.devices.remove_link(peer, link, false);
            if let Some(attached) = self.links.get_mut(&link) {
                attached.peer = None;
            }
            self.tell(peer, change);
            self.hang_up(now, link, HangupReason::Done);
        }
    }

    /// A device that sends on another link than before has lost the one before. What is still under way on that one would come
    /// behind what was sent after it: it is given up.
    fn leave_older_link(&mut self, now: Time, peer: PeerId, id: LinkId) {
        let older = self.devices.get_mut(peer).and_then(|device| device.heard_on.replace(id));
        if let Some(older) = older.filter(|older| *older != id) {
            self.hang_up(now, older, HangupReason::Done);
        }
    }

    fn deliver(&mut self, peer: PeerId, topic: &Arc<str>, bytes: Vec<u8>) {
        if let Some(device) = self.devices.get_mut(peer) {
            device.traffic.messages_in += 1;
            device.traffic.bytes_in += bytes.len() as u64;
        }
        self.outputs.push_back(Pending::Message { topic: topic.clone(), peer, message: Arc::new(bytes) });
    }

    /// Ends a link by our decision.
    pub(super) fn end_link(&mut self, now: Time, id: LinkId, error: LinkError) {
        let Some(attached) = self.links.get(&id) else {
            return;
        };
        let carrier = attached.carrier;
        if error.is_violation() && attached.link.is_proved() {
            let url = carrier.place().map(|place| self.endpoint(place).url.clone());
            self.report(Report { url, peer: attached.peer, ..Report::new(Code::PeerMisbehaved, error.to_string()) });
        }
        match carrier {
            Carrier::DrivePeer(index) => self.end_drive_peer(now, index, Some(error)),
            Carrier::Circuit { .. } | Carrier::Host => self.hang_up(now, id, hangup_reason(error)),
        }
        if error == LinkError::Silent {
            self.ask_about(now, carrier);
        }
    }

    pub(super) fn hang_up(&mut self, now: Time, id: LinkId, reason: HangupReason) {
        let Some(carrier) = self.links.get(&id).map(|attached| attached.carrier) else {
            return;
        };
        match carrier {
            Carrier::Circuit { relay, line } => {
                if let Some(socket) = self.relays[relay].endpoint.joined_socket() {
                    self.write(socket, &ToRelay::Hangup(line, reason));
                }
                self.remove_link(now, id, reason.allows_redial());
            }
            Carrier::DrivePeer(index) => self.end_drive_peer(now, index, None),
            Carrier::Host => self.remove_link(now, id, false),
        }
    }

    fn peer_of(&self, id: LinkId) -> Option<PeerId> {
        self.links.get(&id).and_then(|attached| attached.peer)
    }
}

/// What the other end is told. A stranger's link is just over: dialling it again would do no better.
fn hangup_reason(error: LinkError) -> HangupReason {
    match error {
        LinkError::Capability | LinkError::ChannelClosed | LinkError::OwnDevice => HangupReason::Done,
        LinkError::ProofTimeout | LinkError::Silent => HangupReason::Timeout,
        // Among them a host's stream that ended by itself: nothing but damage ends one.
        _ => HangupReason::Violation,
    }
}

impl Carrier {
    /// The relay or drive peer whose socket it goes through.
    pub(super) fn place(self) -> Option<Place> {
        match self {
            Self::Circuit { relay, .. } => Some(Place::Relay(relay)),
            Self::DrivePeer(index) => Some(Place::DrivePeer(index)),
            Self::Host => None,
        }
    }

    /// The WebSocket message that carries a chunk.
    fn message(self, chunk: Vec<u8>) -> Vec<u8> {
        let Self::Circuit { line, .. } = self else {
            return chunk;
        };
        let mut message = Vec::with_capacity(chunk.len() + 19);
        ToRelay::Data(line, &chunk).encode(&mut message);
        message
    }
}
