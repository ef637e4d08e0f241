//! Who is here: devices by key, the peer ids they keep, and how long one is missed before it has left (PROTOCOL.md §9, §14).

use std::collections::VecDeque;

use super::LinkId;
use super::output::PeerId;
use super::stats::{Route, Traffic};
use crate::budget::Share;
use crate::channel::outbox::Outbox;
use crate::channel::peersockets::{Incarnation, Standing};
use crate::limits;
use crate::path::Path;
use crate::table::Table;
use crate::time::{Duration, Time};

/// Sessions of one device that are remembered as given up.
const GIVEN_UP: usize = 8;

/// A device's public key.
pub type Key = [u8; 32];

/// What one device is to us.
#[derive(Debug)]
pub struct Device {
    /// Its id, for good.
    pub peer: PeerId,
    /// Its public key.
    pub key: Key,
    /// Its proved links. We send on the first: the data channel once it answers, else the oldest that does.
    pub links: Vec<LinkId>,
    /// Without a session: the link that its last message came on.
    pub heard_on: Option<LinkId>,
    /// What went to and fro.
    pub traffic: Traffic,
    /// How the application knows it to be reached, while it is here.
    pub told: Option<Route>,
    /// What the parts of its messages take that are not whole, once it has a link.
    pub incomplete: Option<Share>,
    /// The session with it, if both keep one.
    pub path: Option<Path>,
    presence: Presence,
    /// Which of our sessions with it this is.
    epoch: u64,
    /// The other ends of sessions that were given up in this epoch because another end of the same key came.
    given_up: Vec<Incarnation>,
    /// Its goodbye came ahead of messages that it sent before.
    farewell: Option<Farewell>,
}

/// What the application knows of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// It has joined.
    Here,
    /// It has joined, and is waited for without a link until this moment.
    Awaited(Time),
    /// It has left; what is between us is kept until this moment.
    Missed(Time),
    /// It has left for good, or comes back as if for the first time.
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Farewell {
    /// So many messages it sent.
    after: u64,
    until: Time,
}

/// What the application must be told after a link came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The device is here.
    Joined,
    /// The device is gone.
    Left,
    /// Messages may have been lost: gone, and here again.
    LeftAndJoined,
}

/// What becomes of a link whose device has proved the drive key.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is one of the device's links.
    Admitted {
        /// The device.
        peer: PeerId,
        /// What the application must be told.
        change: Change,
        /// Links of the device that belong to what is over.
        over: Vec<LinkId>,
        /// Messages of ours that the device says have arrived.
        acknowledged: Option<u64>,
    },
    /// There are too many devices.
    Crowded,
    /// It was made for a session that is over, or the device has links of a session and this is none.
    Stale,
    /// It goes on with a session that was given up when the device, or another one with its key, began anew: what is between us is over.
    Forgotten(PeerId),
}

/// How a device's link came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Something between us broke.
    Cut,
    /// Its own socket closed, as far as the relay knows.
    Closed,
    /// The relay is being stopped; who was reached through it is waited for until this moment.
    Away(Time),
    /// It left on purpose, or we do.
    Goodbye,
}

/// What time brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// It was waited for long enough.
    Left(PeerId),
    /// Its last messages did not come behind its goodbye.
    Goodbye(PeerId),
    /// It did not come back. Its links, if it has any, are over.
    Over(Vec<LinkId>),
}

/// All devices that were met, as far as they are remembered.
#[derive(Debug)]
pub struct Devices {
    devices: Table<PeerId, Device>,
    /// Devices without a link or session, the one that left first in front.
    departed: VecDeque<PeerId>,
    /// Devices for whom something was kept that had to be forgotten, until that is told.
    forgotten: Vec<PeerId>,
    last_peer: u32,
    /// What names our end of every session; the epoch is that of a device which we do not remember.
    incarnation: Incarnation,
    last_epoch: u64,
    /// How long a session outlives the leave of its device; zero if none is kept at all.
    session_time: Duration,
}

impl Devices {
    /// No device was met. `name` is random.
    pub fn new(name: [u8; 32], session_time: Duration) -> Self {
        Self {
            devices: Table::default(),
            departed: VecDeque::new(),
            forgotten: Vec::new(),
            last_peer: 0,
            incarnation: Incarnation { device: name, epoch: 0 },
            last_epoch: 0,
            session_time,
        }
    }

    /// Whether any sessions are kept.
    pub fn keeps_sessions(&self) -> bool {
        !self.session_time.is_zero()
    }

    /// Where the session with a device stands, if we keep any.
    pub fn standing(&self, key: &Key) -> Option<Standing> {
        let device = self.of_key(key);
        let path = device.and_then(|device| device.path.as_ref());
        self.keeps_sessions().then(|| Standing {
            own: self.incarnation_towards(device),
            other: path.map(Path::other),
            received: path.map_or(0, Path::received),
        })
    }

    /// Adds a proved link of a device. `standings` are what both Opens said of the session, ours first.
    pub fn add_link(&mut self, key: Key, link: LinkId, standings: Option<(Standing, Standing)>) -> Admission {
        let known = self.of_key(&key);
        let own = self.incarnation_towards(known);
        if standings.is_some_and(|(ours, _)| ours.own != own) {
            return Admission::Stale;
        }
        let goes_on = known.is_none_or(|device| match (&device.path, standings) {
            (Some(path), Some((_, theirs))) => path.other() == theirs.own,
            (None, None) => true,
            (Some(_), None) => false,
            (None, Some(_)) => device.links.is_empty(),
        });
        let is_older =
            known.and_then(|device| device.path.as_ref()).zip(standings).is_some_and(|(path, (_, theirs))| {
                path.other().device == theirs.own.device && path.other().epoch > theirs.own.epoch
            });
        let is_lesser =
            standings.is_none() && known.is_some_and(|device| device.path.is_some() && !device.links.is_empty());
        if is_older || is_lesser {
            return Admission::Stale;
        }
        let goes_on_with_us = standings.is_some_and(|(_, theirs)| theirs.other == Some(own));
        // One that was never here knows this end from another link, whose news is still on its way or never came.
        if goes_on_with_us
            && !goes_on
            && let Some(device) = known
            && standings.is_some_and(|(_, theirs)| device.has_given_up(theirs.own))
        {
            return Admission::Forgotten(device.peer);
        }
        let is_one_more = known.is_none_or(|device| !device.holds_place());
        if is_one_more && self.devices.values().filter(|device| device.holds_place()).count() >= limits::DEVICES {
            return Admission::Crowded;
        }
        let peer = known.map(|device| device.peer);
        let gives_up = known.is_some_and(|device| device.path.is_some()) && standings.is_none();
        let next_epoch = self.last_epoch + u64::from(gives_up);
        self.last_epoch = next_epoch;
        let device = self.remembered(key, peer);
        let was_here = device.is_present();
        let mut over = Vec::new();
        if !goes_on {
            over = std::mem::take(&mut device.links);
            if let Some(path) = device.path.take()
                && device.given_up.len() < GIVEN_UP
            {
                device.given_up.push(path.other());
            }
            device.farewell = None;
        }
        if gives_up {
            device.begin_epoch(next_epoch);
        }
        if let Some((_, theirs)) = standings {
            device.path.get_or_insert_with(|| Path::new(theirs.own));
        }
        device.links.push(link);
        device.presence = Presence::Here;
        let change = match (was_here, goes_on) {
            (false, _) => Change::Joined,
            (true, true) => Change::None,
            (true, false) => Change::LeftAndJoined,
        };
        let knows_us = standings.filter(|_| goes_on_with_us);
        let acknowledged = knows_us.map(|(_, theirs)| theirs.received);
        Admission::Admitted { peer: device.peer, change, over, acknowledged }
    }

    /// Whether a session with a device that we have none with cannot begin as both Opens say, ours first: one of them is of a session that
    /// is over.
    pub fn is_over(&self, peer: PeerId, ours: &Standing, theirs: &Standing) -> bool {
        let own = self.incarnation_towards(self.get(peer));
        ours.own != own || (theirs.other == Some(own) && theirs.received > 0)
    }

    /// Begins a session with a device on a link of its. Its other links, which know none, are over.
    pub fn begin_session(&mut self, peer: PeerId, link: LinkId, other: Incarnation) -> Vec<LinkId> {
        let Some(device) = self.devices.get_mut(&peer).filter(|device| device.path.is_none()) else {
            return Vec::new();
        };
        device.path = Some(Path::new(other));
        device.links.extract_if(.., |other| *other != link).collect()
    }

    /// Removes a link of a device. `was_used` says whether messages in flight on it may be lost where no session keeps them.
    pub fn remove_link(&mut self, now: Time, peer: PeerId, link: LinkId, loss: Loss, was_used: bool) -> Change {
        let Some(device) = self.devices.get_mut(&peer) else {
            return Change::None;
        };
        let Some(position) = device.links.iter().position(|other| *other == link) else {
            return Change::None;
        };
        device.links.remove(position);
        match (device.links.is_empty(), device.path.is_some()) {
            (true, true) if loss != Loss::Goodbye => {
                if device.presence == Presence::Here {
                    let until = match loss {
                        Loss::Closed => now + limits::GRACE_AFTER_CLOSE,
                        Loss::Away(until) => until.max(now + limits::GRACE),
                        Loss::Cut | Loss::Goodbye => now + limits::GRACE,
                    };
                    device.presence = Presence::Awaited(until);
                }
                Change::None
            }
            (true, _) => {
                let was_here = device.is_present();
                self.forget_session(peer);
                if was_here { Change::Left } else { Change::None }
            }
            (false, false) if was_used => Change::LeftAndJoined,
            (false, _) => Change::None,
        }
    }

    /// Nothing has been heard of a device for long, although it has links.
    pub fn miss(&mut self, now: Time, peer: PeerId) -> Change {
        let until = now + self.session_time;
        match self.devices.get_mut(&peer) {
            Some(device) if device.is_present() => {
                device.presence = Presence::Missed(until);
                self.forget_what_is_too_much();
                Change::Left
            }
            _ => Change::None,
        }
    }

    /// A device that has links gave a sign of life.
    pub fn hear(&mut self, peer: PeerId) -> Change {
        match self.devices.get_mut(&peer) {
            Some(device) if matches!(device.presence, Presence::Missed(_)) && !device.links.is_empty() => {
                device.presence = Presence::Here;
                Change::Joined
            }
            _ => Change::None,
        }
    }

    /// A device says goodbye, after so many messages. Returns whether all of them have come.
    pub fn hear_goodbye(&mut self, now: Time, peer: PeerId, after: Option<u64>) -> bool {
        let Some(device) = self.devices.get_mut(&peer) else {
            return true;
        };
        match (&device.path, after) {
            (Some(path), Some(after)) if path.received() < after => {
                // Saying it again puts nothing off.
                let until = device.farewell.map_or(now + limits::GRACE_AFTER_CLOSE, |said| said.until);
                device.farewell = Some(Farewell { after, until });
                false
            }
            _ => true,
        }
    }

    /// Whether a device that said goodbye has nothing more to say.
    pub fn has_said_all(&self, peer: PeerId) -> bool {
        let device = self.devices.get(&peer);
        let path = device.and_then(|device| device.path.as_ref());
        device
            .and_then(|device| device.farewell)
            .is_some_and(|farewell| path.is_none_or(|path| path.received() >= farewell.after))
    }

    /// What is due at this moment.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<Due> {
        let mut due = Vec::new();
        let peers: Vec<PeerId> =
            self.devices.values().filter(|device| device.is_due(now)).map(|device| device.peer).collect();
        for peer in peers {
            let Some(device) = self.devices.get(&peer) else {
                continue;
            };
            due.push(match device.presence {
                _ if device.farewell.is_some_and(|farewell| farewell.until <= now) => Due::Goodbye(peer),
                Presence::Awaited(_) => {
                    self.miss(now, peer);
                    Due::Left(peer)
                }
                _ => {
                    let links = device.links.clone();
                    self.forget_session(peer);
                    Due::Over(links)
                }
            });
        }
        due
    }

    /// When something is due.
    pub fn next_timeout(&self) -> Option<Time> {
        self.devices.values().filter_map(Device::next_timeout).min()
    }

    /// The devices that are missed.
    pub fn missed(&self) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(|device| matches!(device.presence, Presence::Missed(_)))
    }

    /// Takes the devices for whom something was kept that had to make room for other sessions.
    pub fn take_forgotten(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.forgotten)
    }

    /// Gives up what is between us and the device of these that has been missed longest. Returns which it was, and its links, which are
    /// over.
    pub fn forget_oldest(&mut self, is_meant: impl Fn(&Device) -> bool) -> Option<(PeerId, Vec<LinkId>)> {
        let missed = self.devices.values().filter_map(|device| match device.presence {
            Presence::Missed(until) if is_meant(device) => Some((until, device.peer)),
            _ => None,
        });
        let (_, peer) = missed.min()?;
        let links = self.devices.get(&peer).map(|device| device.links.clone());
        self.forget_session(peer);
        Some((peer, links.unwrap_or_default()))
    }

    /// What is between us and a device is over: the next session is another one.
    pub fn forget_session(&mut self, peer: PeerId) {
        self.last_epoch += 1;
        let Some(device) = self.devices.get_mut(&peer) else {
            return;
        };
        device.begin_epoch(self.last_epoch);
        device.path = None;
        device.farewell = None;
        device.heard_on = None;
        device.links.clear();
        device.presence = Presence::Gone;
        if !self.departed.contains(&peer) {
            self.departed.push_back(peer);
        }
        self.forget_what_is_too_much();
    }

    /// The device behind a peer id, if it is remembered.
    pub fn get(&self, peer: PeerId) -> Option<&Device> {
        self.devices.get(&peer)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, peer: PeerId) -> Option<&mut Device> {
        self.devices.get_mut(&peer)
    }

    /// Every device that is here, by peer id.
    pub fn present(&self) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(|device| device.is_present())
    }

    /// Every device that something is kept for, by peer id.
    pub fn kept(&self) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(|device| device.presence != Presence::Gone)
    }

    /// Whether this id was ever given to a device.
    pub fn was_assigned(&self, peer: PeerId) -> bool {
        (1..=self.last_peer).contains(&peer.0)
    }

    fn of_key(&self, key: &Key) -> Option<&Device> {
        self.devices.values().find(|device| device.key == *key)
    }

    fn incarnation_towards(&self, device: Option<&Device>) -> Incarnation {
        Incarnation { epoch: device.map_or(self.incarnation.epoch, |device| device.epoch), ..self.incarnation }
    }

    /// The device of this key, under the id that it has or a new one.
    fn remembered(&mut self, key: Key, known: Option<PeerId>) -> &mut Device {
        let peer = match known {
            Some(peer) => {
                self.departed.retain(|departed| *departed != peer);
                peer
            }
            None => {
                self.last_peer += 1;
                PeerId(self.last_peer)
            }
        };
        let epoch = self.incarnation.epoch;
        self.devices.get_or_insert_with(peer, || Device {
            peer,
            key,
            links: Vec::new(),
            heard_on: None,
            traffic: Traffic::default(),
            told: None,
            incomplete: None,
            path: None,
            presence: Presence::Gone,
            epoch,
            given_up: Vec::new(),
            farewell: None,
        })
    }

    fn forget_what_is_too_much(&mut self) {
        while self.missed().count() > limits::SESSIONS {
            // What nobody waits for goes first.
            // One with a link open has what it is sent there, and is not for long.
            let kept = |device: &Device| device.path.as_ref().and_then(|path| path.outbox.as_ref()).map(Outbox::bytes);
            if self.forget_oldest(|device| kept(device) == Some(0)).is_none() {
                match self.forget_oldest(|device| kept(device).is_some()) {
                    Some((peer, _)) => self.forgotten.push(peer),
                    None => break,
                }
            }
        }
        while self.departed.len() > limits::DEPARTED_DEVICES {
            if let Some(peer) = self.departed.pop_front() {
                self.devices.remove(&peer);
                // Whoever is not remembered is met in a session that there was none like before.
                self.last_epoch += 1;
                self.incarnation.epoch = self.last_epoch;
            }
        }
    }
}

impl Device {
    /// Whether the application has been told that it joined, and not that it left.
    pub fn is_present(&self) -> bool {
        matches!(self.presence, Presence::Here | Presence::Awaited(_))
    }

    fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.given_up.clear();
    }

    /// Whether a session with this other end was given up, or so many were that it may be one of those.
    fn has_given_up(&self, other: Incarnation) -> bool {
        self.given_up.contains(&other) || self.given_up.len() == GIVEN_UP
    }

    /// Whether it counts among [`limits::DEVICES`]. One that is missed on a link that is open may be here again at any time.
    fn holds_place(&self) -> bool {
        self.is_present() || !self.links.is_empty()
    }

    fn is_due(&self, now: Time) -> bool {
        self.next_timeout().is_some_and(|at| at <= now)
    }

    fn next_timeout(&self) -> Option<Time> {
        let presence = match self.presence {
            Presence::Awaited(until) | Presence::Missed(until) => Some(until),
            Presence::Here | Presence::Gone => None,
        };
        presence.into_iter().chain(self.farewell.map(|farewell| farewell.until)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_le_bytes());
        key
    }

    /// Adds a link without a session.
    fn add(devices: &mut Devices, number: usize, link: u32) -> Option<(PeerId, Change)> {
        match devices.add_link(key(number), LinkId(link), None) {
            Admission::Admitted { peer, change, .. } => Some((peer, change)),
            Admission::Crowded => None,
            Admission::Stale | Admission::Forgotten(_) => panic!("there is no session"),
        }
    }

    #[test]
    fn departed_devices_are_forgotten_oldest_first_and_their_ids_not_given_again() {
        let mut devices = Devices::new([7; 32], Duration::ZERO);
        let now = Time::default();
        let count = limits::DEPARTED_DEVICES + 10;
        for number in 0..count {
            let (peer, change) = add(&mut devices, number, 1).unwrap();
            assert_eq!((peer, change), (PeerId(number as u32 + 1), Change::Joined));
            assert_eq!(devices.remove_link(now, peer, LinkId(1), Loss::Cut, false), Change::Left);
        }
        assert_eq!(devices.devices.len(), limits::DEPARTED_DEVICES);
        let (forgotten, _) = add(&mut devices, 0, 2).unwrap();
        assert_eq!(forgotten, PeerId(count as u32 + 1));
        let (remembered, _) = add(&mut devices, 20, 3).unwrap();
        assert_eq!(remembered, PeerId(21));
    }

    #[test]
    fn one_device_more_than_the_limit_is_turned_away() {
        let mut devices = Devices::new([7; 32], Duration::ZERO);
        for number in 0..limits::DEVICES {
            assert!(add(&mut devices, number, number as u32).is_some());
        }
        assert_eq!(add(&mut devices, 9_999, 9_999), None);
        devices.remove_link(Time::default(), PeerId(1), LinkId(0), Loss::Cut, false);
        assert!(add(&mut devices, 9_999, 9_999).is_some());
        assert_eq!(add(&mut devices, 0, 0), None, "also one that was here before");
        devices.miss(Time::default(), PeerId(2));
        assert_eq!(add(&mut devices, 0, 0), None, "one that is missed on an open link may be heard again");
        assert_eq!(devices.hear(PeerId(2)), Change::Joined);
        assert_eq!(devices.present().count(), limits::DEVICES);
    }

    #[test]
    fn of_too_many_sessions_those_go_first_for_which_nothing_waits_and_the_others_are_told_of() {
        let mut devices = Devices::new([7; 32], limits::SESSION_TIME);
        let now = Time::default();
        for number in 0..=2 * limits::SESSIONS {
            let standing = Standing { own: Incarnation { device: key(number), epoch: 0 }, other: None, received: 0 };
            let ours = Standing { own: devices.incarnation, other: None, received: 0 };
            let link = LinkId(number as u32);
            let Admission::Admitted { peer, .. } = devices.add_link(key(number), link, Some((ours, standing))) else {
                panic!("there is room");
            };
            let mut outbox = Outbox::of_session(Budget::new(usize::MAX));
            // For every other one something waits.
            if number % 2 == 0 {
                outbox.push(&"chat".into(), vec![1]).unwrap();
            }
            devices.get_mut(peer).and_then(|device| device.path.as_mut()).unwrap().outbox = Some(outbox);
            devices.remove_link(now, peer, link, Loss::Cut, true);
            devices.miss(now, peer);
            let forgotten = if number < 2 * limits::SESSIONS { vec![] } else { vec![PeerId(1)] };
            assert_eq!(devices.take_forgotten(), forgotten);
        }
        let waits =
            |device: &Device| device.path.as_ref().is_some_and(|path| path.outbox.as_ref().unwrap().bytes() > 0);
        assert_eq!(devices.devices.values().filter(|device| waits(device)).count(), limits::SESSIONS);
    }
}
