//! Who is here: devices by key, and the peer ids they keep.

use std::collections::{BTreeMap, VecDeque};

use super::LinkId;
use super::output::PeerId;
use crate::limits;

/// A device's public key.
pub type Key = [u8; 32];

/// What one device is to us.
#[derive(Debug)]
pub struct Device {
    /// Its id, for good.
    pub peer: PeerId,
    /// Its proved links, oldest first. We send on the first.
    pub links: Vec<LinkId>,
    /// What went to and fro.
    pub traffic: Traffic,
}

/// Messages and bytes of messages exchanged with a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages received.
    pub messages_in: u64,
    /// Messages handed over for sending.
    pub messages_out: u64,
    /// Bytes of the messages received.
    pub bytes_in: u64,
    /// Bytes of the messages handed over for sending.
    pub bytes_out: u64,
}

/// What the application must be told after a link came or went.
#[derive(Debug, PartialEq, Eq)]
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

/// All devices that were met, as far as they are remembered.
#[derive(Debug, Default)]
pub struct Devices {
    by_key: BTreeMap<Key, Device>,
    keys: BTreeMap<PeerId, Key>,
    /// Devices without a link, the one that left first in front.
    departed: VecDeque<Key>,
    last_peer: u32,
}

impl Devices {
    /// Adds a proved link of a device; `None` if there are too many devices.
    pub fn add_link(&mut self, key: Key, link: LinkId) -> Option<(PeerId, Change)> {
        if let Some(device) = self.by_key.get_mut(&key) {
            let change = if device.links.is_empty() { Change::Joined } else { Change::None };
            if change == Change::Joined {
                if self.by_key.len() - self.departed.len() >= limits::DEVICES {
                    return None;
                }
                self.departed.retain(|departed| *departed != key);
            }
            let device = self.by_key.get_mut(&key)?;
            device.links.push(link);
            return Some((device.peer, change));
        }
        if self.by_key.len() - self.departed.len() >= limits::DEVICES {
            return None;
        }
        self.last_peer += 1;
        let peer = PeerId(self.last_peer);
        self.keys.insert(peer, key);
        self.by_key.insert(key, Device { peer, links: vec![link], traffic: Traffic::default() });
        Some((peer, Change::Joined))
    }

    /// Removes a link of a device. `was_used` says whether messages in flight on it may be lost.
    pub fn remove_link(&mut self, peer: PeerId, link: LinkId, was_used: bool) -> Change {
        let Some(key) = self.keys.get(&peer).copied() else {
            return Change::None;
        };
        let Some(device) = self.by_key.get_mut(&key) else {
            return Change::None;
        };
        let Some(position) = device.links.iter().position(|other| *other == link) else {
            return Change::None;
        };
        device.links.remove(position);
        if device.links.is_empty() {
            self.departed.push_back(key);
            self.forget_the_oldest();
            Change::Left
        } else if was_used {
            Change::LeftAndJoined
        } else {
            Change::None
        }
    }

    /// The device behind a peer id, if it is remembered.
    pub fn get(&self, peer: PeerId) -> Option<&Device> {
        self.by_key.get(self.keys.get(&peer)?)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, peer: PeerId) -> Option<&mut Device> {
        self.by_key.get_mut(self.keys.get(&peer)?)
    }

    /// Every device that is here, by peer id.
    pub fn present(&self) -> impl Iterator<Item = (&Key, &Device)> {
        let device = |key| self.by_key.get_key_value(key);
        self.keys.values().filter_map(device).filter(|(_, device)| !device.links.is_empty())
    }

    /// Whether this id was ever given to a device.
    pub fn was_assigned(&self, peer: PeerId) -> bool {
        (1..=self.last_peer).contains(&peer.0)
    }

    fn forget_the_oldest(&mut self) {
        while self.departed.len() > limits::DEPARTED_DEVICES {
            let forgotten = self.departed.pop_front().and_then(|key| self.by_key.remove(&key));
            if let Some(device) = forgotten {
                self.keys.remove(&device.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_le_bytes());
        key
    }

    #[test]
    fn departed_devices_are_forgotten_oldest_first_and_their_ids_not_given_again() {
        let mut devices = Devices::default();
        let count = limits::DEPARTED_DEVICES + 10;
        for number in 0..count {
            let (peer, change) = devices.add_link(key(number), LinkId(1)).unwrap();
            assert_eq!((peer, change), (PeerId(number as u32 + 1), Change::Joined));
            assert_eq!(devices.remove_link(peer, LinkId(1), false), Change::Left);
        }
        assert_eq!(devices.by_key.len(), limits::DEPARTED_DEVICES);
        let (forgotten, _) = devices.add_link(key(0), LinkId(2)).unwrap();
        assert_eq!(forgotten, PeerId(count as u32 + 1));
        let (remembered, _) = devices.add_link(key(20), LinkId(3)).unwrap();
        assert_eq!(remembered, PeerId(21));
    }

    #[test]
    fn one_device_more_than_the_limit_is_turned_away() {
        let mut devices = Devices::default();
        for number in 0..limits::DEVICES {
            assert!(devices.add_link(key(number), LinkId(number as u64)).is_some());
        }
        assert_eq!(devices.add_link(key(9_999), LinkId(9_999)), None);
        devices.remove_link(PeerId(1), LinkId(0), false);
        assert!(devices.add_link(key(9_999), LinkId(9_999)).is_some());
        assert_eq!(devices.add_link(key(0), LinkId(0)), None, "also one that was here before");
    }
}
