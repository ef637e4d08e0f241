//! What the swarm does so that nothing is lost when links come and go (PROTOCOL.md §14): who sends on which link, what is acknowledged,
//! and who is missed.

use std::sync::Arc;

use super::devices::{Admission, Change, Device, Due, Loss};
use super::output::{PeerId, Report, State};
use super::{Attached, Carrier, LinkId, Swarm};
use crate::budget::Share;
use crate::channel::outbox::{Bound, Outbox, QueueFull};
use crate::code::Code;
use crate::error::{ChannelViolation, LinkError};
use crate::limits;
use crate::path::{Arrival, Path};
use crate::rendezvous::HangupReason;
use crate::table::Table;
use crate::time::Time;

impl Swarm {
    /// A link's device has proved the drive key: it becomes a link of that device. Returns the device and what is to be told of it, unless
    /// it did not.
    pub(super) fn admit(&mut self, now: Time, id: LinkId, key: [u8; 32]) -> Option<(PeerId, Change)> {
        let standings = self.links.get(&id)?.link.standings();
        let (peer, change, over, acknowledged) = match self.devices.add_link(key, id, standings) {
            Admission::Admitted { peer, change, over, acknowledged } => (peer, change, over, acknowledged),
            Admission::Crowded => {
                self.hang_up(now, id, HangupReason::Busy);
                return None;
            }
            Admission::Stale => {
                self.hang_up(now, id, HangupReason::Timeout);
                return None;
            }
            Admission::Forgotten(peer) => {
                self.end_session(now, peer, HangupReason::Timeout);
                self.hang_up(now, id, HangupReason::Timeout);
                return None;
            }
        };
        self.drop_links(now, over);
        self.note_links(peer);
        let memory = self.memory.clone();
        let attached = self.links.get_mut(&id)?;
        attached.peer = Some(peer);
        let device = self.devices.get_mut(peer)?;
        let share = device.incomplete.get_or_insert_with(|| Share::new(memory.incomplete));
        attached.link.count_in(share.clone());
        if let Some(path) = &mut device.path
            && device.links.first() == Some(&id)
        {
            attached.link.give_outbox(path.outbox.take().unwrap_or_else(|| Outbox::of_session(memory.queues)));
        }
        if let Some(count) = acknowledged
            && self.acknowledge(peer, count).is_err()
        {
            // It has messages that we never sent: what we knew of it is forgotten, and it must learn that.
            self.tell(peer, change);
            self.end_session(now, peer, HangupReason::Timeout);
            return None;
        }
        Some((peer, change))
    }

    /// A device that was met without a session keeps one from now on.
    pub(super) fn begin_session(&mut self, now: Time, id: LinkId, peer: PeerId) {
        let Some((ours, theirs)) = self.links.get(&id).and_then(|attached| attached.link.standings()) else {
            return;
        };
        if self.devices.get(peer).is_none_or(|device| device.path.is_some()) {
            return;
        }
        if self.devices.is_over(peer, &ours, &theirs) {
            return self.hang_up(now, id, HangupReason::Timeout);
        }
        let over = self.devices.begin_session(peer, id, theirs.own);
        self.drop_links(now, over);
        self.note_links(peer);
        if let Some(attached) = self.links.get_mut(&id) {
            let mut outbox = attached.link.take_outbox();
            outbox.begin_session();
            attached.link.give_outbox(outbox);
        }
    }

    /// Takes a link from its device, which goes on sending on another one, or waits for the next.
    pub(super) fn detach(&mut self, now: Time, id: LinkId, attached: &mut Attached, loss: Loss) {
        let Some(peer) = attached.peer.take() else {
            return;
        };
        let was_used = attached.link.has_carried() && loss != Loss::Goodbye;
        let was_first = self.devices.get(peer).is_some_and(|device| device.links.first() == Some(&id));
        let change = self.devices.remove_link(now, peer, id, loss, was_used);
        self.note_links(peer);
        if was_first {
            self.pass_on(peer, attached.link.take_outbox());
        }
        if loss == Loss::Closed {
            self.doubt(now, peer);
        }
        if loss != Loss::Goodbye && matches!(attached.carrier, Carrier::Circuit { .. }) {
            self.give_up_unsettled(now, peer);
        }
        self.tell(peer, change);
    }

    /// A relay says that a device is gone: its data channel has to show that it is not.
    fn doubt(&mut self, now: Time, peer: PeerId) {
        if let Some(id) = self.link_of_channel(peer)
            && let Some(attached) = self.links.get_mut(&id).filter(|attached| attached.link.is_proved())
        {
            attached.link.doubt(now);
            self.queue_link(id);
        }
    }

    /// Queues a message for a device that is here.
    pub(super) fn send_to(&mut self, peer: PeerId, topic: &Arc<str>, message: Vec<u8>) -> Result<(), QueueFull> {
        let length = message.len();
        match self.bound(peer, length) {
            None => return Ok(()),
            Some(Some(Bound::All)) => self.make_room(length),
            Some(Some(bound)) => return Err(QueueFull { message, bound }),
            Some(None) => {}
        }
        let Some(device) = self.devices.get_mut(peer).filter(|device| device.is_present()) else {
            return Ok(());
        };
        let link = device.links.first().copied();
        match (link.and_then(|id| self.links.get_mut(&id)), device.path.as_mut().and_then(|path| path.outbox.as_mut()))
        {
            (Some(attached), _) => attached.link.send(topic, message)?,
            (None, Some(outbox)) => outbox.push(topic, message)?,
            (None, None) => return Ok(()),
        }
        device.traffic.messages_out += 1;
        device.traffic.bytes_out += length as u64;
        if let Some(id) = link {
            self.queue_link(id);
        }
        self.note_pressure(peer);
        Ok(())
    }

    /// What a message of this length to a peer would be too much for; nothing if it is not here.
    pub(super) fn bound(&self, peer: PeerId, length: usize) -> Option<Option<Bound>> {
        let device = self.devices.get(peer).filter(|device| device.is_present())?;
        Some(self.outbox(device)?.bound(length))
    }

    /// What waits to be sent to a device: on the link that it is sent messages on, or for want of one in the session.
    pub(super) fn outbox<'a>(&'a self, device: &'a Device) -> Option<&'a Outbox> {
        outbox_of(device, &self.links)
    }

    /// Gives up what waits for who is missed, as far as a message of this length needs it, and if that helps.
    fn make_room(&mut self, length: usize) {
        let queues = self.memory.queues.clone();
        let weight = length + limits::MESSAGE_WEIGHT;
        let waiting =
            |device: &Device, links: &Table<LinkId, Attached>| outbox_of(device, links).map_or(0, Outbox::weight);
        let for_missed = self.devices.missed().map(|device| waiting(device, &self.links)).sum();
        if !queues.would_have_room(weight, for_missed) {
            return;
        }
        while !queues.has_room(weight)
            && let Some((oldest, links)) = self.devices.forget_oldest(|device| waiting(device, &self.links) > 0)
        {
            for link in links {
                if let Some(attached) = self.links.get_mut(&link) {
                    attached.peer = None;
                    attached.link.take_outbox();
                }
                self.over.push(link);
            }
            self.report_given_up(oldest, &format!("{} bytes wait already", limits::SEND_QUEUES));
        }
    }

    /// Tells of what was kept for devices that left, and had to make room for others that did.
    pub(super) fn report_forgotten(&mut self) {
        for peer in self.devices.take_forgotten() {
            self.report_given_up(peer, &format!("{} sessions are kept already", limits::SESSIONS));
        }
    }

    fn report_given_up(&mut self, peer: PeerId, why: &str) {
        let text = format!("what waited for peer {} is given up: {why}", peer.0);
        self.report(Report { peer: Some(peer), ..Report::new(Code::SessionDropped, text) });
    }

    /// Whether a message of a session is to be given out. An error ends its link.
    pub(super) fn receive(&mut self, now: Time, peer: PeerId, number: u64, length: usize) -> Result<bool, LinkError> {
        let path = self.devices.get_mut(peer).and_then(|device| device.path.as_mut());
        match path.map(|path| path.receive(now, number, length)) {
            Some(Arrival::Fresh) => Ok(true),
            Some(Arrival::Repeated) | None => Ok(false),
            Some(Arrival::Ahead) => Err(LinkError::Channel(ChannelViolation::Number)),
        }
    }

    /// A part of a session's message came.
    pub(super) fn receive_part(&mut self, now: Time, peer: PeerId, arrived: usize) {
        if let Some(path) = self.devices.get_mut(peer).and_then(|device| device.path.as_mut()) {
            path.receive_part(now, arrived);
        }
    }

    /// A device has so many of our messages.
    pub(super) fn acknowledge(&mut self, peer: PeerId, count: u64) -> Result<(), LinkError> {
        match self.sending_link(peer) {
            Some((_, attached)) => attached.link.handle_acknowledgement(count),
            None => Ok(()),
        }
    }

    /// So many bytes have come on a link of messages that a device does not have whole: what it says of others is of no use any more.
    pub(super) fn note_arrived(&mut self, peer: PeerId, id: LinkId, bytes: u64) {
        if let Some((_, attached)) = self.sending_link(peer).filter(|(first, _)| *first == id) {
            attached.link.note_arrived(bytes);
        }
    }

    /// The link on which a device with a session is sent messages.
    fn sending_link(&mut self, peer: PeerId) -> Option<(LinkId, &mut Attached)> {
        // Whoever has said its last words keeps nothing that they could be about.
        let is_closed = self.state == State::Closed;
        let device = self.devices.get(peer).filter(|device| device.path.is_some() && !is_closed)?;
        let first = *device.links.first()?;
        Some((first, self.links.get_mut(&first)?))
    }

    /// Says on a link what has arrived, if it is time.
    pub(super) fn say_what_arrived(&mut self, now: Time, peer: PeerId, id: LinkId) {
        let path = self.devices.get_mut(peer).and_then(|device| device.path.as_mut());
        if let Some(count) = path.and_then(|path| path.take_acknowledgement(now))
            && let Some(attached) = self.links.get_mut(&id)
        {
            attached.link.acknowledge(count);
            self.queue_link(id);
        }
    }

    /// Bytes of a proved link said something: its device is alive, and what it said may have been its last words.
    pub(super) fn hear_device(&mut self, now: Time, id: LinkId) {
        let Some(peer) = self.welcome_back(id) else {
            return;
        };
        self.prefer_channel(peer, id);
        self.say_what_arrived(now, peer, id);
        if self.devices.has_said_all(peer) {
            self.end_session(now, peer, HangupReason::Done);
        }
    }

    /// The device of a link is here, if it was missed.
    pub(super) fn welcome_back(&mut self, id: LinkId) -> Option<PeerId> {
        let peer = self.links.get(&id)?.peer?;
        let change = self.devices.hear(peer);
        self.tell(peer, change);
        Some(peer)
    }

    /// A device leaves on purpose: at once if all that it sent has come, whatever link it came on.
    pub(super) fn handle_goodbye(&mut self, now: Time, peer: PeerId, after: Option<u64>) {
        if self.devices.hear_goodbye(now, peer, after) {
            self.end_session(now, peer, HangupReason::Done);
        }
    }

    pub(super) fn handle_session_timeouts(&mut self, now: Time) {
        for link in std::mem::take(&mut self.over) {
            self.hang_up(now, link, HangupReason::Timeout);
        }
        for due in self.devices.handle_timeout(now) {
            match due {
                Due::Left(peer) => self.tell(peer, Change::Left),
                Due::Goodbye(peer) => self.end_session(now, peer, HangupReason::Done),
                Due::Over(links) => self.drop_links(now, links),
            }
        }
        let stuck: Vec<PeerId> = self.stuck().filter(|(_, at)| *at <= now).map(|(peer, _)| peer).collect();
        for peer in stuck {
            self.prefer_next_link(peer);
        }
        let silent: Vec<PeerId> = self.silences().filter(|(_, at)| *at <= now).map(|(peer, _)| peer).collect();
        for peer in silent {
            let change = self.devices.miss(now, peer);
            self.tell(peer, change);
        }
        let has_news = |path: &Path| path.next_timeout().is_some_and(|at| at <= now);
        let unsaid = self.devices.kept().filter(|device| device.path.as_ref().is_some_and(has_news));
        let unsaid: Vec<_> = unsaid.filter_map(|device| Some((device.peer, *device.links.first()?))).collect();
        for (peer, link) in unsaid {
            self.say_what_arrived(now, peer, link);
        }
    }

    pub(super) fn next_session_timeout(&self) -> Option<Time> {
        let acknowledgements = self.devices.kept().filter(|device| !device.links.is_empty());
        let acknowledgements = acknowledgements.filter_map(|device| device.path.as_ref()?.next_timeout());
        let silences = self.silences().chain(self.stuck()).map(|(_, at)| at);
        let over = self.over.first().map(|_| Time::default());
        self.devices.next_timeout().into_iter().chain(acknowledgements).chain(silences).chain(over).min()
    }

    /// What is between us and a device is over.
    pub(super) fn end_session(&mut self, now: Time, peer: PeerId, reason: HangupReason) {
        let Some(device) = self.devices.get(peer) else {
            return;
        };
        let (was_here, links) = (device.is_present(), device.links.clone());
        self.devices.forget_session(peer);
        if was_here {
            self.tell(peer, Change::Left);
        }
        for link in links {
            if let Some(attached) = self.links.get_mut(&link) {
                attached.peer = None;
            }
            self.hang_up(now, link, reason);
        }
        self.forget_channel(now, peer);
    }

    /// Devices with a session of which nothing has been heard on any link although they were asked, and when they are missed.
    fn silences(&self) -> impl Iterator<Item = (PeerId, Time)> {
        let asked_at = |id: &LinkId| self.links.get(id).and_then(|attached| attached.link.asked_at());
        let here = self.devices.present().filter(|device| device.path.is_some() && !device.links.is_empty());
        here.filter_map(move |device| {
            // One that was not asked is alive.
            let mut last = Time::default();
            for id in &device.links {
                last = last.max(asked_at(id)?);
            }
            Some((device.peer, last + limits::MISSED_AFTER))
        })
    }

    /// Devices that are sent messages on a link which has not answered, although they were heard on another, and when that is long enough.
    fn stuck(&self) -> impl Iterator<Item = (PeerId, Time)> {
        let asked_at = |id: &LinkId| self.links.get(id).and_then(|attached| attached.link.asked_at());
        self.devices.present().filter(|device| device.path.is_some()).filter_map(move |device| {
            let (first, others) = device.links.split_first()?;
            let at = asked_at(first)? + limits::MISSED_AFTER;
            others.iter().any(|id| asked_at(id).is_none()).then_some((device.peer, at))
        })
    }

    /// Sends on another link of a device what its first one may not carry any more.
    fn prefer_next_link(&mut self, peer: PeerId) {
        let Some(device) = self.devices.get_mut(peer) else {
            return;
        };
        let Some(first) = device.links.first().copied() else {
            return;
        };
        device.links.rotate_left(1);
        self.note_links(peer);
        if let Some(attached) = self.links.get_mut(&first) {
            let outbox = attached.link.move_outbox();
            self.queue_link(first);
            self.pass_on(peer, outbox);
        }
    }

    /// Sends to a device on its data channel, on which it was heard and has answered, and not through a relay any more. What was under
    /// way when a way was lost does not bring it back.
    fn prefer_channel(&mut self, peer: PeerId, id: LinkId) {
        let has_answered = |attached: &Attached| match attached.carrier {
            Carrier::Channel(socket) => attached.link.round_trip().is_some() && self.has_way(socket),
            _ => false,
        };
        if self.links.get(&id).is_some_and(has_answered) {
            self.prefer(peer, id);
        }
    }

    /// Sends to a device through a relay again, if it can be reached so.
    pub(super) fn prefer_relay(&mut self, peer: PeerId) {
        let is_sound = |attached: &Attached| {
            matches!(attached.carrier, Carrier::Circuit { .. }) && attached.link.asked_at().is_none()
        };
        let is_sound = |id: &&LinkId| self.links.get(id).is_some_and(is_sound);
        let links = self.devices.get(peer).map(|device| &device.links);
        if let Some(circuit) = links.and_then(|links| links.iter().find(is_sound)).copied() {
            self.prefer(peer, circuit);
        }
    }

    /// Last words go through relays where they fit: what is written to a WebSocket goes out after the page is gone, what is written to a
    /// data channel may not.
    pub(super) fn leave_channels(&mut self) {
        let fits = |device: &&Device| self.outbox(device).is_some_and(|outbox| outbox.words() <= limits::LAST_WORDS);
        let brief: Vec<PeerId> = self.devices.kept().filter(fits).map(|device| device.peer).collect();
        for peer in brief {
            self.prefer_relay(peer);
        }
    }

    /// Sends to a device on this link from now on.
    fn prefer(&mut self, peer: PeerId, id: LinkId) {
        let Some(device) = self.devices.get_mut(peer).filter(|device| device.path.is_some()) else {
            return;
        };
        let Some(position) = device.links.iter().position(|link| *link == id).filter(|position| *position > 0) else {
            return;
        };
        let first = device.links[0];
        device.links[..=position].rotate_right(1);
        self.note_links(peer);
        if let Some(attached) = self.links.get_mut(&first) {
            let outbox = attached.link.move_outbox();
            self.queue_link(first);
            self.pass_on(peer, outbox);
        }
    }

    /// Ends links that belong to what is over.
    fn drop_links(&mut self, now: Time, links: Vec<LinkId>) {
        for link in links {
            if let Some(attached) = self.links.get_mut(&link) {
                attached.peer = None;
            }
            self.hang_up(now, link, HangupReason::Done);
        }
    }

    /// What a device is sent goes on its first link now, or waits for one.
    fn pass_on(&mut self, peer: PeerId, outbox: Outbox) {
        let Some(device) = self.devices.get_mut(peer) else {
            return;
        };
        let Some(path) = &mut device.path else {
            return;
        };
        match device.links.first().and_then(|first| Some((*first, self.links.get_mut(first)?))) {
            Some((first, attached)) => {
                attached.link.give_outbox(outbox);
                self.queue_link(first);
            }
            None => path.outbox = Some(outbox),
        }
    }
}

fn outbox_of<'a>(device: &'a Device, links: &'a Table<LinkId, Attached>) -> Option<&'a Outbox> {
    match device.links.first().and_then(|first| links.get(first)) {
        Some(attached) => Some(attached.link.outbox()),
        None => device.path.as_ref()?.outbox.as_ref(),
    }
}
