//! A process at a URL of its own that replicates a drive: a plain one, or one with a device of ours in it.

use std::collections::BTreeMap;

use peersockets_core::drive::DriveKey;
use peersockets_core::secure::{DeviceKey, Role};
use peersockets_core::swarm::{LinkId, SocketFailure, SocketId};
use peersockets_core::time::Time;

use crate::stream::Plain;
use crate::world::{Delivery, Server, World, drive};

pub struct DrivePeer {
    pub url: String,
    pub is_up: bool,
    /// Takes sockets and says nothing.
    pub is_mute: bool,
    /// The drive that it has open.
    pub drive: DriveKey,
    /// What becomes of attempts while it is down.
    pub failure: SocketFailure,
    /// Sockets that were opened to it, by whom and when.
    pub attempts: Vec<(usize, Time)>,
    /// The device of ours that gets its sockets, if it is not a plain process.
    pub host: Option<usize>,
    /// What plain processes heard on sockets that are closed.
    pub heard: Vec<(String, Vec<u8>)>,
    streams: BTreeMap<(usize, SocketId), Behind>,
}

/// What is behind a socket.
enum Behind {
    Plain(Box<Plain>),
    Host(LinkId),
}

impl DrivePeer {
    pub fn named(url: &str) -> Self {
        Self {
            url: url.into(),
            is_up: true,
            is_mute: false,
            drive: drive(1),
            failure: SocketFailure::Unreachable,
            attempts: Vec::new(),
            host: None,
            heard: Vec::new(),
            streams: BTreeMap::new(),
        }
    }

    /// Its key: the same for all that know it by one URL or another.
    pub fn key() -> DeviceKey {
        DeviceKey::from_seed([0xd7; 32])
    }
}

impl World {
    /// A process that has drive 1 open.
    pub fn add_drive_peer(&mut self) -> usize {
        let index = self.drive_peers.len();
        self.drive_peers.push(DrivePeer::named(&format!("ws://peer{index}/")));
        index
    }

    /// A plain process sends a message to a device.
    pub fn extend(&mut self, drive_peer: usize, device: usize, topic: &str, message: &[u8]) {
        let socket = self.socket_to_drive_peer(device, drive_peer);
        self.plain(drive_peer, device, socket).extend(topic, message);
        self.write_back(drive_peer, device, socket);
        self.settle();
    }

    /// A plain process says anything to a device.
    pub fn say(&mut self, drive_peer: usize, device: usize, frame: &[u8]) {
        let socket = self.socket_to_drive_peer(device, drive_peer);
        self.plain(drive_peer, device, socket).say(frame);
        self.write_back(drive_peer, device, socket);
        self.settle();
    }

    /// Takes what a plain process heard from a device.
    pub fn heard(&mut self, drive_peer: usize, device: usize) -> Vec<(String, Vec<u8>)> {
        self.settle();
        let socket = self.socket_to_drive_peer(device, drive_peer);
        std::mem::take(&mut self.plain(drive_peer, device, socket).heard)
    }

    /// Ends a process: its sockets close, and nobody answers until it is up again.
    pub fn stop_drive_peer(&mut self, drive_peer: usize) {
        self.drive_peers[drive_peer].is_up = false;
        self.close_sockets_of(Server::DrivePeer(drive_peer));
    }

    /// The socket of a device to a process.
    pub fn socket_to_drive_peer(&self, device: usize, drive_peer: usize) -> SocketId {
        self.socket_to(device, Server::DrivePeer(drive_peer)).expect("it has a socket there")
    }

    /// The sockets that devices have to a process.
    pub fn sockets_to(&self, drive_peer: usize) -> usize {
        self.drive_peers[drive_peer].streams.len()
    }

    pub(crate) fn reach_drive_peer(&mut self, drive_peer: usize, device: usize, socket: SocketId) {
        if self.drive_peers[drive_peer].is_mute {
            return;
        }
        let behind = match self.drive_peers[drive_peer].host {
            Some(host) => Behind::Host(self.host_socket(host, device, socket)),
            None => {
                let number = self.next_stream();
                let drive = self.drive_peers[drive_peer].drive.clone();
                Behind::Plain(Box::new(Plain::new(Role::Responder, &DrivePeer::key(), number, drive)))
            }
        };
        self.drive_peers[drive_peer].streams.insert((device, socket), behind);
    }

    pub(crate) fn leave_drive_peer(&mut self, drive_peer: usize, device: usize, socket: SocketId) {
        match self.drive_peers[drive_peer].streams.remove(&(device, socket)) {
            Some(Behind::Plain(plain)) => self.drive_peers[drive_peer].heard.extend(plain.heard),
            Some(Behind::Host(link)) => {
                let host = self.drive_peers[drive_peer].host.expect("it has a device");
                self.end_stream(host, link);
            }
            None => {}
        }
    }

    pub(crate) fn drive_peer_message(&mut self, drive_peer: usize, device: usize, socket: SocketId, bytes: &[u8]) {
        match self.drive_peers[drive_peer].streams.get_mut(&(device, socket)) {
            Some(Behind::Plain(plain)) => {
                plain.read(bytes);
                self.write_back(drive_peer, device, socket);
            }
            Some(Behind::Host(link)) => {
                let (link, host) = (*link, self.drive_peers[drive_peer].host.expect("it has a device"));
                self.host_bytes(host, link, bytes);
            }
            None => {}
        }
    }

    fn write_back(&mut self, drive_peer: usize, device: usize, socket: SocketId) {
        let written = self.plain(drive_peer, device, socket).written();
        // WebSocket messages of any length: what they are cut into means nothing.
        for chunk in written.chunks(60_000) {
            self.send(Delivery::ToDevice { device, socket, message: chunk.to_vec() });
        }
    }

    fn plain(&mut self, drive_peer: usize, device: usize, socket: SocketId) -> &mut Plain {
        match self.drive_peers[drive_peer].streams.get_mut(&(device, socket)) {
            Some(Behind::Plain(plain)) => plain,
            _ => panic!("no plain process is behind that socket"),
        }
    }
}
