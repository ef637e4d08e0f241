//! The swarm's links: from bytes of a carrier to peers and messages, and back.

use std::sync::Arc;

use super::output::{Output, PeerId, Report, SocketId};
use super::{Attached, LinkId, Pending, Swarm};
use crate::code::Code;
use crate::error::LinkError;
use crate::limits;
use crate::link::{Link, LinkEvent};
use crate::rendezvous::{HangupReason, Line, ToRelay};
use crate::secure::Role;
use crate::time::Time;

impl Swarm {
    pub(super) fn add_link(&mut self, now: Time, relay: usize, line: Line, role: Role) {
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let entropy = self.entropy();
        let link = Link::new(now, role, &self.device, entropy, self.drive.clone(), self.budget.clone());
        self.links.insert(id, Attached { link, relay, line, role, peer: None, is_queued: false });
        let older = self.relays[relay].attach(line, id);
        if let Some(older) = older {
            self.remove_link(now, older, false);
        }
        self.queue_link(id);
    }

    pub(super) fn handle_link_bytes(&mut self, now: Time, id: LinkId, bytes: &[u8]) {
        let Some(attached) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = Vec::new();
        let handles = &self.handles;
        let is_joined = |topic: &str| handles.is_joined(topic);
        let handled = attached.link.handle_bytes(now, bytes, &is_joined, &mut events);
        for event in events {
            self.handle_link_event(now, id, event);
        }
        match handled {
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

    /// Removes a link whose circuit is over, and tells what that means for its device.
    pub(super) fn remove_link(&mut self, now: Time, id: LinkId, may_redial: bool) {
        let Some(Attached { link, relay, line, role, peer, .. }) = self.links.remove(&id) else {
            return;
        };
        self.relays[relay].detach(line, id);
        if let Some(peer) = peer {
            let change = self.devices.remove_link(peer, id, link.has_carried());
            self.tell(peer, change);
        }
        if may_redial && role == Role::Initiator && self.relays[relay].joined_socket().is_some() {
            self.relays[relay].redial_later(line.member, now, &mut self.random);
        }
        self.settle();
    }

    pub(super) fn queue_link(&mut self, id: LinkId) {
        if let Some(attached) = self.links.get_mut(&id)
            && !attached.is_queued
            && attached.link.has_output()
        {
            attached.is_queued = true;
            self.ready.push_back(id);
        }
    }

    /// The next chunk of a link whose relay takes one.
    pub(super) fn next_data(&mut self) -> Option<Output> {
        for _ in 0..self.ready.len() {
            let id = self.ready.pop_front()?;
            let Some(attached) = self.links.get_mut(&id) else {
                continue;
            };
            let relay = &mut self.relays[attached.relay];
            let Some(socket) = relay.joined_socket().filter(|_| relay.is_writable()) else {
                self.ready.push_back(id);
                continue;
            };
            attached.is_queued = false;
            let chunk = attached.link.take_output(limits::CIRCUIT_CHUNK);
            if chunk.is_empty() {
                continue;
            }
            let message = data(attached.line, &chunk);
            relay.buffered += message.len();
            self.queue_link(id);
            return Some(Output::Write { socket, message });
        }
        None
    }

    /// Lets a link say its last words and goodbye, whatever the socket's buffer holds: there is no later.
    pub(super) fn say_goodbye(&mut self, socket: SocketId, id: LinkId) {
        let Some(Attached { mut link, line, peer, .. }) = self.links.remove(&id) else {
            return;
        };
        link.goodbye();
        loop {
            let chunk = link.take_output(limits::CIRCUIT_CHUNK);
            if chunk.is_empty() {
                break;
            }
            self.output(Output::Write { socket, message: data(line, &chunk) });
        }
        if let Some(peer) = peer {
            // On the way out nothing is promoted: the device's other links say goodbye too.
            let change = self.devices.remove_link(peer, id, false);
            self.tell(peer, change);
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
                let text = format!(
                    "a message of {length} bytes was dropped: {} bytes are being received already",
                    limits::REASSEMBLY
                );
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
        let (relay, member) = (attached.relay, attached.line.member);
        self.relays[relay].forget_redials(member);
        self.tell(peer, change);
        let is_older = |other: &LinkId| *other != id && self.links.get(other).is_some_and(|link| link.relay == relay);
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
    fn end_link(&mut self, now: Time, id: LinkId, error: LinkError) {
        let Some(attached) = self.links.get(&id) else {
            return;
        };
        if error.is_violation() && attached.link.is_proved() {
            let url = Some(self.relays[attached.relay].url.clone());
            self.report(Report { url, peer: attached.peer, ..Report::new(Code::PeerMisbehaved, error.to_string()) });
        }
        self.hang_up(now, id, hangup_reason(error));
    }

    fn hang_up(&mut self, now: Time, id: LinkId, reason: HangupReason) {
        let Some(attached) = self.links.get(&id) else {
            return;
        };
        if let Some(socket) = self.relays[attached.relay].joined_socket() {
            let line = attached.line;
            self.write(socket, &ToRelay::Hangup(line, reason));
        }
        self.remove_link(now, id, reason.allows_redial());
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
        _ => HangupReason::Violation,
    }
}

fn data(line: Line, chunk: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(chunk.len() + 19);
    ToRelay::Data(line, chunk).encode(&mut message);
    message
}
