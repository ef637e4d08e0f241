//! The swarm's links: from bytes of a carrier to peers and messages, and back.

use std::sync::Arc;

use super::devices::{Devices, Loss};
use super::handles::Handles;
use super::output::{Output, PeerId, Report};
use super::transport::Room;
use super::{Attached, Carrier, LinkId, Pending, Swarm};
use crate::channel::inbox::Acknowledgement;
use crate::channel::peersockets::Standing;
use crate::code::Code;
use crate::conversation::{LinkEvent, Surroundings};
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
            memory: self.memory.clone(),
            is_drive_peer: carrier.may_only_replicate(),
        };
        let link = match (carrier, self.host) {
            (Carrier::Circuit { .. }, Some(host)) => Link::hosted(host, beginning, true),
            (Carrier::Host(host), _) => Link::hosted(host, beginning, false),
            (Carrier::Circuit { .. }, None) | (Carrier::DrivePeer(_) | Carrier::Channel(_), _) => {
                Link::new(beginning, entropy)
            }
        };
        self.links.insert(id, Attached { link, carrier, role, peer: None, is_queued: false });
        self.queue_link(id);
        id
    }

    pub(super) fn handle_link_bytes(&mut self, now: Time, id: LinkId, bytes: &[u8]) {
        self.hear(now, id, |link, surroundings, events| link.handle_bytes(now, bytes, surroundings, events));
    }

    /// Lets a link hear something, and does what follows.
    pub(super) fn hear(
        &mut self,
        now: Time,
        id: LinkId,
        hear: impl FnOnce(&mut Link, &dyn Surroundings, &mut Vec<LinkEvent>) -> Result<(), LinkError>,
    ) {
        let is_direct = self.is_direct();
        let Some(attached) = self.links.get_mut(&id) else {
            return;
        };
        let mut events = Vec::new();
        let surroundings = Here { handles: &self.handles, devices: &self.devices, is_direct };
        let mut heard = hear(&mut attached.link, &surroundings, &mut events);
        if !events.is_empty() {
            // It is here before anything of it is given out.
            self.welcome_back(id);
        }
        for event in events {
            if let Err(error) = self.handle_link_event(now, id, event) {
                heard = Err(error);
                break;
            }
        }
        match heard {
            Ok(()) => {
                self.hear_device(now, id);
                self.queue_link(id);
            }
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
    pub(super) fn remove_link(&mut self, now: Time, id: LinkId, loss: Loss, may_redial: bool) {
        let Some(mut attached) = self.links.remove(&id) else {
            return;
        };
        self.detach(now, id, &mut attached, loss);
        let Attached { carrier, role, .. } = attached;
        self.end_hosting(id, attached.link);
        if let Carrier::Circuit { relay, line } = carrier {
            self.relays[relay].detach(line, id);
            if may_redial && role == Role::Initiator && self.relays[relay].endpoint.joined_socket().is_some() {
                self.relays[relay].redial_later(line.member, now, &mut self.random);
            }
        }
        if matches!(carrier, Carrier::Host(_) | Carrier::Channel(_)) {
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
            let carrier = attached.carrier;
            let room = self.room(carrier);
            if let Room::Full = room {
                // A hosted link that waits for its circuit is looked at again when its host has something to do.
                self.ready.push_back(id);
                continue;
            }
            let Some(attached) = self.links.get_mut(&id) else {
                continue;
            };
            // One without credit is in turn again when its relay lends some.
            attached.is_queued = false;
            let Room::For(socket, limit) = room else {
                continue;
            };
            let chunk = attached.link.take_output(limit);
            if chunk.is_empty() {
                continue;
            }
            self.spend(carrier, chunk.len());
            self.queue_link(id);
            return Some(Output::Write { socket, message: carrier.message(chunk, false) });
        }
        None
    }

    /// Lets a link say its last words and goodbye, whatever a socket's buffer holds: there is no later. In a session, `finished`
    /// messages went on other links if none go on this one; returns how many went at last.
    pub(super) fn say_goodbye(&mut self, now: Time, id: LinkId, finished: Option<u64>) -> Option<u64> {
        let mut attached = self.links.remove(&id)?;
        let finished = attached.link.goodbye(finished);
        let keeps_credit = matches!(attached.carrier, Carrier::Circuit { relay, .. } if self.relays[relay].lends);
        if let Some(socket) = self.open_socket_of(attached.carrier) {
            let limit = attached.carrier.longest_chunk();
            loop {
                let chunk = attached.link.take_output(limit);
                if chunk.is_empty() {
                    break;
                }
                self.output(Output::Write { socket, message: attached.carrier.message(chunk, keeps_credit) });
            }
        }
        self.detach(now, id, &mut attached, Loss::Goodbye);
        self.end_hosting(id, attached.link);
        finished
    }

    /// All links: those of one device together, the one that it is sent messages on first.
    pub(super) fn links_by_device(&self) -> Vec<Vec<LinkId>> {
        let strangers = self.links.iter().filter(|(_, attached)| attached.peer.is_none()).map(|(id, _)| vec![*id]);
        self.devices.kept().map(|device| device.links.clone()).chain(strangers).collect()
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

    fn handle_link_event(&mut self, now: Time, id: LinkId, event: LinkEvent) -> Result<(), LinkError> {
        if let LinkEvent::Proved(key) = event {
            return self.handle_proof(now, id, key);
        }
        // Not so for whatever comes behind a goodbye.
        let Some(peer) = self.peer_of(id) else {
            return Ok(());
        };
        match event {
            LinkEvent::Message { number: Some(number), topic, bytes } => {
                if self.receive(now, peer, number, bytes.len())? {
                    self.deliver(peer, &topic, bytes);
                }
            }
            LinkEvent::Message { number: None, topic, bytes } => {
                self.leave_older_link(now, peer, id);
                self.deliver(peer, &topic, bytes);
            }
            LinkEvent::Lost { number, topic, length } => {
                if number.map(|number| self.receive(now, peer, number, length)).transpose()? != Some(false) {
                    self.report_loss(peer, &topic, length);
                }
            }
            LinkEvent::Unwanted { number, length } => {
                self.receive(now, peer, number, length)?;
            }
            LinkEvent::Part(arrived) => self.receive_part(now, peer, arrived),
            LinkEvent::Acknowledged(Acknowledgement { messages, bytes }) => {
                self.acknowledge(peer, messages)?;
                self.note_arrived(peer, id, bytes);
            }
            LinkEvent::Goodbye(after) => self.handle_goodbye(now, peer, after),
            LinkEvent::SessionOffered => self.begin_session(now, id, peer),
            LinkEvent::Signal(signal) => self.hear_signal(now, peer, signal),
            LinkEvent::Proved(_) => {}
        }
        Ok(())
    }

    fn report_loss(&mut self, peer: PeerId, topic: &Arc<str>, length: usize) {
        let why = if length > limits::MESSAGE {
            format!("it is longer than {}", limits::MESSAGE)
        } else {
            format!("of {} bytes for incomplete messages there is no more for those of one peer", limits::REASSEMBLY)
        };
        let text = format!("a message of {length} bytes was dropped: {why}");
        let handles = self.handles.of_topic(topic).to_vec();
        for handle in handles {
            let report = Report::new(Code::MessageLost, text.clone());
            self.report(Report { handle: Some(handle), topic: Some(topic.clone()), peer: Some(peer), ..report });
        }
    }

    fn handle_proof(&mut self, now: Time, id: LinkId, key: [u8; 32]) -> Result<(), LinkError> {
        let Some(carrier) = self.links.get(&id).map(|attached| attached.carrier) else {
            return Ok(());
        };
        if let Carrier::Channel(socket) = carrier
            && !self.is_channel_to(socket, &key)
        {
            return Err(LinkError::OtherDevice);
        }
        let Some((peer, change)) = self.admit(now, id, key) else {
            return Ok(());
        };
        match carrier {
            Carrier::Circuit { relay, line } => self.relays[relay].forget_redials(line.member),
            Carrier::DrivePeer(index) => self.join_drive_peer(now, index),
            Carrier::Channel(socket) => self.join_channel(now, socket),
            Carrier::Host(_) => self.update_state(),
        }
        self.tell(peer, change);
        self.consider_direct(now, peer, id);
        if self.is_direct_to(peer) {
            self.tell_relays(peer, true);
        }
        let Some(place) = carrier.place() else {
            return Ok(());
        };
        let is_older = |other: &LinkId| {
            *other != id && self.links.get(other).is_some_and(|attached| attached.carrier.place() == Some(place))
        };
        let older = self.devices.get(peer).and_then(|device| device.links.iter().copied().find(is_older));
        if let Some(older) = older {
            self.hang_up(now, older, HangupReason::Done);
        }
        Ok(())
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
        // What was damaged in a session comes again: nobody has to know.
        let is_mended = error.may_be_damage() && attached.link.standings().is_some();
        if error.is_violation() && attached.link.is_proved() && !is_mended {
            let url = carrier.place().map(|place| self.endpoint(place).url.clone());
            self.report(Report { url, peer: attached.peer, ..Report::new(Code::PeerMisbehaved, error.to_string()) });
        }
        match carrier {
            Carrier::DrivePeer(index) => self.end_drive_peer(now, index, Some(error)),
            Carrier::Circuit { .. } | Carrier::Channel(_) | Carrier::Host(_) => {
                self.hang_up(now, id, hangup_reason(error));
            }
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
                self.remove_link(now, id, Loss::Cut, reason.allows_redial());
            }
            Carrier::DrivePeer(index) => self.end_drive_peer(now, index, None),
            Carrier::Channel(socket) => self.end_channel(now, socket, id),
            Carrier::Host(_) => self.remove_link(now, id, Loss::Closed, false),
        }
    }

    fn peer_of(&self, id: LinkId) -> Option<PeerId> {
        self.links.get(&id).and_then(|attached| attached.peer)
    }
}

/// What a link sees of its device.
pub(super) struct Here<'a> {
    pub handles: &'a Handles,
    pub devices: &'a Devices,
    pub is_direct: bool,
}

impl Surroundings for Here<'_> {
    fn is_joined(&self, topic: &str) -> bool {
        self.handles.is_joined(topic)
    }

    fn standing(&self, remote: &[u8; 32]) -> Option<Standing> {
        self.devices.standing(remote)
    }

    fn is_direct(&self) -> bool {
        self.is_direct
    }
}

/// What the other end is told. A stranger's link is just over: dialling it again would do no better.
fn hangup_reason(error: LinkError) -> HangupReason {
    match error {
        LinkError::Capability | LinkError::ChannelClosed | LinkError::OwnDevice | LinkError::OtherDevice => {
            HangupReason::Done
        }
        LinkError::ProofTimeout | LinkError::Silent => HangupReason::Timeout,
        // Among them a host's stream that ended by itself: nothing but damage ends one.
        _ => HangupReason::Violation,
    }
}
