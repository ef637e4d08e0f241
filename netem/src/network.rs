//! A device's network, which goes and comes, and sockets that die without a word.

use peersockets_core::swarm::SocketId;
use peersockets_core::time::Time;

use crate::world::{Delivery, Device, World};

impl World {
    /// Takes a device's network away, and tells it so.
    pub fn go_offline(&mut self, device: usize) {
        self.devices[device].is_cut_off = true;
        self.devices[device].swarm.handle_offline(self.now);
        self.settle();
    }

    /// Gives a device its network back, and tells it so. What waited arrives.
    pub fn go_online(&mut self, device: usize) {
        self.devices[device].is_cut_off = false;
        self.devices[device].swarm.handle_online(self.now);
        let held = std::mem::take(&mut self.devices[device].held);
        for delivery in held {
            // It is there already: before all that still is on its way.
            self.last_delivery += 1;
            self.in_flight.insert((Time::default(), self.last_delivery), delivery);
        }
        self.settle();
    }

    /// Lets a device's sockets die without a word to either end.
    pub fn kill_sockets(&mut self, device: usize) {
        let Device { dead, sockets, .. } = &mut self.devices[device];
        dead.extend(sockets.keys().copied());
    }

    /// What arrives of what is under way: a dead socket loses it, and without a network it waits.
    pub(crate) fn pass(&mut self, delivery: Delivery) -> Option<Delivery> {
        let Some((device, socket)) = delivery.way() else {
            return Some(delivery);
        };
        let device = &mut self.devices[device];
        if device.dead.contains(&socket) {
            return None;
        }
        if device.is_cut_off {
            device.held.push(delivery);
            return None;
        }
        Some(delivery)
    }
}

impl Device {
    pub(crate) fn carries(&self, socket: SocketId) -> bool {
        !self.is_cut_off && !self.dead.contains(&socket)
    }
}

impl Delivery {
    /// Whose it is, and over which socket it goes.
    pub(crate) fn way(&self) -> Option<(usize, SocketId)> {
        match self {
            Self::ToServer { device, socket, .. }
            | Self::ToDevice { device, socket, .. }
            | Self::Close { device, socket }
            | Self::Closed { device, socket } => Some((*device, *socket)),
            Self::Go { .. } => None,
        }
    }
}
