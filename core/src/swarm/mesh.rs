//! Which of the devices are connected to directly: as many as this device may, those with the most traffic (PROTOCOL.md §15).

use super::bucket::Bucket;
use super::direct::{Connection, Direct};
use super::output::PeerId;
use super::{Carrier, LinkId, Swarm};
use crate::limits;
use crate::time::Time;

/// How much more traffic a device must have than one that is connected to directly, to take its place.
const WORTH: u64 = 2;

/// When something is to be done about the mesh.
#[derive(Debug)]
pub(super) struct Mesh {
    /// How many devices may be connected to directly.
    pub most: usize,
    /// How often remotes may make us begin one, all together.
    pub invitations: Bucket,
    /// When the next connection may begin.
    next_at: Time,
    /// When it is looked at again who has most to say.
    review_at: Option<Time>,
}

impl Mesh {
    pub fn new(most: usize) -> Self {
        Self {
            most: most.min(limits::DEVICES),
            invitations: Bucket::new(Time::default(), limits::INVITATIONS_PER_SECOND, limits::INVITATIONS_OF_ALL),
            next_at: Time::default(),
            review_at: None,
        }
    }
}

impl Swarm {
    /// Whether this device takes signals: where there is a session only, which does not care what carries its links.
    pub(super) fn is_direct(&self) -> bool {
        self.mesh.most > 0 && self.host.is_none() && self.devices.keeps_sessions()
    }

    /// A device has proved the drive key on a link: if it takes signals there, it is connected to directly.
    pub(super) fn consider_direct(&mut self, now: Time, peer: PeerId, id: LinkId) {
        let takes_signals = self.links.get(&id).is_some_and(|attached| attached.link.takes_signals());
        if takes_signals && let Some(direct) = self.direct_to(now, peer) {
            direct.begin_soon(now + limits::DIRECT_SOON);
        }
    }

    /// What there is between this device and another that takes signals.
    pub(super) fn direct_to(&mut self, now: Time, peer: PeerId) -> Option<&mut Direct> {
        let device = self.devices.get(peer).filter(|device| device.path.is_some())?;
        let is_polite = self.device.public() < device.key;
        let exchanged = device.traffic.weight();
        Some(self.directs.get_or_insert_with(peer, || Direct::new(now, peer, is_polite, exchanged)))
    }

    /// Whether one more device may be connected to directly. Another one with less traffic makes way.
    pub(super) fn make_place_for(&mut self, now: Time, peer: PeerId) -> bool {
        if self.has_place() {
            return true;
        }
        match self.least_of_the_connected(now) {
            Some((least, weight)) if self.weight(peer) > WORTH * weight + limits::CHANNEL_MESSAGE as u64 => {
                self.make_way(now, least);
                true
            }
            _ => false,
        }
    }

    pub(super) fn handle_channel_timeouts(&mut self, now: Time) {
        for peer in self.directs.iter().map(|(peer, _)| *peer).collect::<Vec<_>>() {
            let Some(direct) = self.directs.get_mut(&peer) else {
                continue;
            };
            let restarts = |connection: &mut Connection| connection.restart_at.take_if(|at| *at <= now);
            if direct.connection.as_mut().and_then(restarts).is_some() {
                direct.negotiation.restart();
                self.act(now, peer);
            } else if direct.connection.as_mut().is_some_and(|connection| connection.is_dead(now)) {
                self.close_channel(now, peer);
            }
        }
        self.review(now);
        self.begin_next(now);
        let devices = &self.devices;
        self.directs.retain(|peer, direct| {
            direct.connection.is_some() || devices.get(*peer).is_some_and(|device| device.path.is_some())
        });
    }

    pub(super) fn next_channel_timeout(&self) -> Option<Time> {
        let begin = self.directs.values().filter_map(|direct| direct.begin_at).min();
        let begin = begin.map(|at| at.max(self.mesh.next_at));
        let connections = self.directs.values().filter_map(|direct| direct.connection.as_ref()?.next_timeout());
        connections.chain(begin).chain(self.mesh.review_at).min()
    }

    /// Begins the connection whose time has come; the next one a little later.
    fn begin_next(&mut self, now: Time) {
        let is_due = |direct: &Direct| direct.connection.is_none() && direct.begin_at.is_some_and(|at| at <= now);
        while self.mesh.next_at <= now {
            let due = self.directs.iter().filter(|(_, direct)| is_due(direct)).map(|(peer, _)| *peer);
            let Some(peer) = due.max_by_key(|peer| self.weight(*peer)) else {
                return;
            };
            let may_begin = self.is_able(now, peer) && self.make_place_for(now, peer);
            let Some(direct) = self.directs.get_mut(&peer) else {
                return;
            };
            direct.begin_at = None;
            if may_begin {
                self.mesh.next_at = now + limits::DIRECT_PACE;
                direct.negotiation.begin();
                self.act(now, peer);
            } else {
                self.mesh.review_at.get_or_insert(now + limits::DIRECT_REVIEW);
            }
        }
    }

    /// Where there is no place for all, looks from time to time who has most to say.
    fn review(&mut self, now: Time) {
        if self.mesh.review_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        for direct in self.directs.values_mut() {
            let exchanged = self.devices.get(direct.peer).map_or(0, |device| device.traffic.weight());
            direct.recent.count(exchanged);
        }
        let waiting = |direct: &Direct| direct.connection.is_none() && direct.begin_at.is_none();
        let waiting = self.directs.iter().filter(|(peer, direct)| waiting(direct) && self.is_able(now, **peer));
        let most = waiting.map(|(peer, _)| *peer).max_by_key(|peer| self.weight(*peer));
        let Some(most) = most else {
            return;
        };
        if let Some(direct) = self.directs.get_mut(&most) {
            direct.begin_soon(now);
        }
        self.mesh.review_at = Some(now + limits::DIRECT_REVIEW);
    }

    /// Whether a connection to a device may begin from here. Nobody makes way for one that had no place itself of late.
    fn is_able(&self, now: Time, peer: PeerId) -> bool {
        let is_able = |direct: &Direct| direct.negotiation.may_begin() && (self.has_place() || !direct.is_refused(now));
        self.can_signal(peer) && self.directs.get(&peer).is_some_and(is_able)
    }

    fn has_place(&self) -> bool {
        self.channels().count() < self.mesh.most
    }

    /// The device with the least traffic of those that have been connected to for a while.
    fn least_of_the_connected(&self, now: Time) -> Option<(PeerId, u64)> {
        let is_settled = |direct: &Direct| {
            direct.connection.as_ref().is_some_and(|connection| connection.begun_at + limits::DIRECT_REVIEW <= now)
        };
        let settled = self.directs.iter().filter(|(_, direct)| is_settled(direct));
        settled.map(|(peer, _)| (*peer, self.weight(*peer))).min_by_key(|(_, weight)| *weight)
    }

    /// Gives up the connection to a device in favour of another. It is not tried again before others have been looked at.
    fn make_way(&mut self, now: Time, peer: PeerId) {
        self.close_channel(now, peer);
        if let Some(direct) = self.directs.get_mut(&peer) {
            direct.begin_at = None;
        }
    }

    fn weight(&self, peer: PeerId) -> u64 {
        self.directs.get(&peer).map_or(0, |direct| direct.recent.weight())
    }

    /// Whether there is a link to say signals on, beside a data channel.
    fn can_signal(&self, peer: PeerId) -> bool {
        let takes = |id: &LinkId| {
            let attached = self.links.get(id);
            attached.is_some_and(|it| it.link.takes_signals() && !matches!(it.carrier, Carrier::Channel(_)))
        };
        self.devices.get(peer).is_some_and(|device| device.links.iter().any(takes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::peersockets::{Incarnation, Standing};
    use crate::drive::DriveKey;
    use crate::rendezvous::HangupReason;
    use crate::swarm::devices::{Admission, Loss};
    use crate::swarm::{Config, Output};
    use crate::time::Duration;

    /// A device of this number comes, as after its proof, and is connected to directly if that is to be.
    fn come(swarm: &mut Swarm, now: Time, number: u32, connects: bool) -> (PeerId, LinkId) {
        let mut key = [7; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        let ours = swarm.devices.standing(&key).expect("it keeps sessions");
        let theirs = Standing { own: Incarnation { device: key, epoch: 0 }, other: None, received: 0 };
        let link = LinkId(number);
        let Admission::Admitted { peer, .. } = swarm.devices.add_link(key, link, Some((ours, theirs))) else {
            panic!("there is room");
        };
        let direct = swarm.direct_to(now, peer).expect("it takes signals");
        direct.begin_soon(now);
        if connects {
            direct.negotiation.begin();
            swarm.act(now, peer);
        }
        (peer, link)
    }

    #[test]
    fn of_10_000_devices_that_come_and_go_only_those_are_known_that_something_is_kept_for() {
        let config = Config { direct_peers: limits::DIRECT_PEERS, ..Config::default() };
        let mut swarm = Swarm::new(Time::default(), [1; 32], DriveKey::from_bytes([1; 32]), config);
        let mut now = Time::default();
        for number in 0..10_000 {
            let (peer, link) = come(&mut swarm, now, number, number % 3 == 0);
            match number % 2 {
                0 => swarm.end_session(now, peer, HangupReason::Done),
                _ => drop(swarm.devices.remove_link(now, peer, link, Loss::Cut, true)),
            }
            now = now + Duration::from_secs(1);
            swarm.handle_timeout(now);
            while !matches!(swarm.poll_output(), Output::Timeout(_)) {}
            assert!(swarm.directs.len() <= swarm.devices.kept().count() + 1);
            assert!(swarm.channels().count() <= limits::DIRECT_TIME.as_secs() as usize);
        }
        // The last is awaited, missed, and forgotten.
        for _ in 0..3 {
            now = now + limits::SESSION_TIME;
            swarm.handle_timeout(now);
        }
        assert_eq!((swarm.directs.len(), swarm.devices.kept().count()), (0, 0));
    }
}
