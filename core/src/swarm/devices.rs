//! Who is here: devices by key, and the peer ids they keep.

use std::collections::VecDeque;

use super::LinkId;
use super::output::PeerId;
use crate::limits;
use crate::table::Table;

/// A device's public key.
pub type Key = [u8; 32];

/// What one device is to us.
#[derive(Debug)]
pub struct Device {
    /// Its id, for good.
    pub peer: PeerId,
    /// Its public key.
    pub key: Key,
    /// Its proved links, oldest first. We send on the first.
    pub links: Vec<LinkId>,
    /// The link that its last message came on.
    pub heard_on: Option<LinkId>,
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
    devices: Table<PeerId, Device>,
    /// Devices without a link, the one that left first in front.
    departed: VecDeque<PeerId>,
    last_peer: u32,
}

impl Devices {
    /// Adds a proved link of a device; `None` if there are too many devices.
    pub fn add_link(&mut self, key: Key, link: LinkId) -> Option<(PeerId, Change)> {
        let known = self.devices.values().find(|device| device.key == key).map(|device| device.peer);
        if let Some(device) =
            known.and_then(|peer| self.devices.get_mut(&peer)).filter(|device| !device.links.is_empty())
        {
            device.links.push(link);
            return Some((device.peer, Change::None));
        }
        if self.devices.len() - self.departed.len() >= limits::DEVICES {
            return None;
        }
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
        let new = || Device { peer, key, links: Vec::new(), heard_on: None, traffic: Traffic::default() };
        self.devices.get_or_insert_with(peer, new).links.push(link);
        Some((peer, Change::Joined))
    }

    /// Removes a link of a device. `was_used` says whether messages in flight on it may be lost.
    pub fn remove_link(&mut self, peer: PeerId, link: LinkId, was_used: bool) -> Change {
        let Some(device) = self.devices.get_mut(&peer) else {
            return Change::None;
        };
        let Some(position) = device.links.iter().position(|other| *other == link) else {
            return Change::None;
        };
        device.links.remove(position);
        if device.links.is_empty() {
            self.departed.push_back(peer);
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
        self.devices.get(&peer)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, peer: PeerId) -> Option<&mut Device> {
        self.devices.get_mut(&peer)
    }

    /// Every device that is here, by peer id.
    pub fn present(&self) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(|device| !device.links.is_empty())
    }

    /// Whether this id was ever given to a device.
    pub fn was_assigned(&self, peer: PeerId) -> bool {
        (1..=self.last_peer).contains(&peer.0)
    }

    fn forget_the_oldest(&mut self) {
        while self.departed.len() > limits::DEPARTED_DEVICES {
            if let Some(peer) = self.departed.pop_front() {
                self.devices.remove(&peer);
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
        assert_eq!(devices.devices.len(), limits::DEPARTED_DEVICES);
        let (forgotten, _) = devices.add_link(key(0), LinkId(2)).unwrap();
        assert_eq!(forgotten, PeerId(count as u32 + 1));
        let (remembered, _) = devices.add_link(key(20), LinkId(3)).unwrap();
        assert_eq!(remembered, PeerId(21));
    }

    #[test]
    fn one_device_more_than_the_limit_is_turned_away() {
        let mut devices = Devices::default();
        for number in 0..limits::DEVICES {
            assert!(devices.add_link(key(number), LinkId(number as u32)).is_some());
        }
        assert_eq!(devices.add_link(key(9_999), LinkId(9_999)), None);
        devices.remove_link(PeerId(1), LinkId(0), false);
        assert!(devices.add_link(key(9_999), LinkId(9_999)).is_some());
        assert_eq!(devices.add_link(key(0), LinkId(0)), None, "also one that was here before");
    }
}
