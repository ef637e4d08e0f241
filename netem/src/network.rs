//! A device's network, which goes and comes, and sockets that die without a word.

use peersockets_core::swarm::SocketId;
use peersockets_core::time::{Duration, Time};

use crate::world::{Delivery, Device, World};

/// What one way between a device and its servers takes: so many bytes a second.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth {
    rate: f64,
    /// When it has taken all that was written.
    free_at: Time,
}

impl Bandwidth {
    fn new(now: Time, rate: f64) -> Self {
        Self { rate, free_at: now }
    }

    /// When so many more bytes are through.
    pub(crate) fn take(&mut self, now: Time, bytes: usize) -> Time {
        self.free_at = self.free_at.max(now) + Duration::from_secs_f64(bytes as f64 / self.rate);
        self.free_at
    }

    /// Bytes that wait for it.
    pub(crate) fn waiting(&self, now: Time) -> usize {
        (self.free_at.since(now).as_secs_f64() * self.rate).ceil() as usize
    }
}

impl World {
    /// Lets a device's uplink take no more than so many bytes a second.
    pub fn slow_down(&mut self, device: usize, rate: f64) {
        self.devices[device].uplink = Some(Bandwidth::new(self.now, rate));
    }

    /// Lets a device's downlink take no more than so many bytes a second: whatever comes for it waits in one row.
    pub fn slow_down_home(&mut self, device: usize, rate: f64) {
        self.devices[device].downlink = Some(Bandwidth::new(self.now, rate));
    }

    /// A device learns what waits in its sockets, if that is anything of late.
    pub(crate) fn tell_buffered(&mut self, device: usize) {
        let now = self.now;
        let Device { uplink: Some(uplink), sockets, swarm, .. } = &mut self.devices[device] else {
            return;
        };
        for socket in sockets.keys() {
            swarm.handle_socket_buffered(*socket, uplink.waiting(now));
        }
    }

    /// Takes a device's network away, and tells it so.
    pub fn go_offline(&mut self, device: usize) {
        self.devices[device].is_cut_off = true;
        self.suspend_channels(device);
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
        self.kill_channels(device);
    }

    /// What arrives of what is under way: a dead socket loses it, and without a network it waits.
    pub(crate) fn pass(&mut self, delivery: Delivery) -> Option<Delivery> {
        // A browser takes its steps also without a network.
        let is_near = matches!(delivery, Delivery::Step { .. });
        let Some((device, socket)) = delivery.way().filter(|_| !is_near) else {
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
            | Self::Step { device, socket, .. }
            | Self::Open { device, socket }
            | Self::Close { device, socket }
            | Self::Closed { device, socket } => Some((*device, *socket)),
            Self::Go { .. } | Self::Connectivity { .. } | Self::Leave { .. } | Self::EndLapse { .. } => None,
        }
    }
}
