//! How direct connections come to grief.

use peersockets_core::rtc::Connectivity;
use peersockets_core::swarm::SocketId;
use peersockets_core::time::Duration;

use crate::channels::{Connection, End};
use crate::world::{Delivery, World, seconds};

/// How soon a browser notices that there is a network again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How a direct connection comes to grief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// Its channel closes, which both ends are told.
    Closed,
    /// One end is closed. The other is not told, but finds out as with [`Dead`](Self::Dead).
    HalfClosed,
    /// It has no way any more. Both ends find out after 5 s that it may be lost, and after 15 s that it is. Where they look for another
    /// one they find it.
    Dead,
    /// One end has no way any more and finds out, as with [`Dead`](Self::Dead). The other is not told.
    HalfDead,
    /// It has no way any more, and both ends find out at once.
    Failed,
    /// What one end writes stays in its buffer.
    Stuck,
    /// It has no way for so many seconds. What was written meanwhile arrives then.
    Lapse(u32),
}

impl Accident {
    /// Every kind: with a lapse that nobody is told of, one that both ends are told of, and one that is longer than a link is silent.
    pub const ALL: [Self; 9] = [
        Self::Closed,
        Self::HalfClosed,
        Self::Dead,
        Self::HalfDead,
        Self::Failed,
        Self::Stuck,
        Self::Lapse(3),
        Self::Lapse(7),
        Self::Lapse(12),
    ];
}

impl World {
    /// Something happens to an open channel of a device, if it has any that is sound: the one of this index.
    pub fn break_channel(&mut self, device: usize, index: usize, accident: Accident) -> bool {
        let broke = self.strike(device, index, accident);
        self.settle();
        broke
    }

    /// The same, while in the same instant its sockets to all relays close: there is no time to say anything.
    pub fn break_everything(&mut self, device: usize, index: usize, accident: Accident) -> bool {
        let relays: Vec<usize> = (0..self.relays.len()).filter(|relay| self.is_member(device, *relay)).collect();
        let broke = self.strike(device, index, accident);
        self.tally.double_deaths += usize::from(broke && !relays.is_empty());
        for relay in relays {
            self.cut(device, relay);
        }
        self.settle();
        broke
    }

    /// A device has no network: nor have its direct connections a way, until a while after it has one again.
    pub(crate) fn suspend_channels(&mut self, device: usize) {
        for end in self.channels_of(device).collect::<Vec<_>>() {
            let connection = &self.connections[&end];
            if let Some(other) = connection.other.filter(|_| connection.has_way) {
                self.begin_lapse([end, other], LOOK_AGAIN);
            }
        }
    }

    /// All direct connections of a device lose their way for good.
    pub(crate) fn kill_channels(&mut self, device: usize) {
        for end in self.channels_of(device).collect::<Vec<_>>() {
            if let Some(other) = self.connections[&end].other {
                self.kill_channel([end, other]);
            }
        }
    }

    /// An end has no way any more: the device finds out.
    pub(crate) fn lose_way(&mut self, end: End) {
        let mut had_way = false;
        self.connection(end, |connection| {
            had_way = std::mem::take(&mut connection.has_way);
            connection.changes += u32::from(had_way);
        });
        if had_way {
            self.tell_way(end, seconds(5.0), Connectivity::Disconnected);
            self.tell_way(end, seconds(15.0), Connectivity::Failed);
        }
    }

    /// A browser is going to say how its way to the other end is, if that does not change meanwhile.
    pub(crate) fn tell_way(&mut self, end: End, after: Duration, connectivity: Connectivity) {
        if let Some(Connection { changes, .. }) = self.connections.get(&end) {
            let (device, socket) = end;
            let delivery = Delivery::Connectivity { device, socket, connectivity, changes: *changes };
            self.send_at(self.now + after, delivery);
        }
    }

    pub(crate) fn tell_connectivity(
        &mut self,
        device: usize,
        socket: SocketId,
        connectivity: Connectivity,
        changes: u32,
    ) {
        let connection = self.connections.get_mut(&(device, socket));
        if let Some(connection) = connection.filter(|connection| connection.changes == changes) {
            connection.is_missed = true;
            self.tally.failures += usize::from(connectivity == Connectivity::Failed);
            self.devices[device].swarm.handle_connectivity(self.now, socket, connectivity);
        }
    }

    /// Two ends have a way again, if they are still there.
    pub(crate) fn end_lapse(&mut self, ends: [End; 2]) {
        let lapses =
            |end: &End| self.connections.get(end).is_some_and(|connection| connection.lapses_until == Some(self.now));
        let (is_over, are_there) = (ends.iter().any(lapses), ends.iter().all(lapses));
        if !is_over {
            return;
        }
        if self.is_cut_off(ends[0]) || self.is_cut_off(ends[1]) {
            return self.begin_lapse(ends, LOOK_AGAIN);
        }
        for end in ends {
            self.connection(end, |connection| connection.lapses_until = None);
        }
        if are_there {
            self.tally.lapses_outlasted += 1;
            ends.into_iter().for_each(|end| self.find_way(end));
        }
    }

    fn strike(&mut self, device: usize, index: usize, accident: Accident) -> bool {
        let is_sound =
            |connection: &Connection| connection.opened_at.is_some() && connection.has_way && !connection.is_stuck;
        let sound: Vec<End> = self.channels_of(device).filter(|end| is_sound(&self.connections[end])).collect();
        let Some(end) = sound.get(index % sound.len().max(1)).copied() else {
            return false;
        };
        let Some(other) = self.connections[&end].other else {
            return false;
        };
        let ends = [end, other];
        match accident {
            Accident::Closed => {
                for end in ends {
                    self.connection(end, |connection| connection.other = None);
                    self.tell_closed(end);
                }
            }
            Accident::HalfClosed => {
                self.connection(end, |connection| connection.other = None);
                self.tell_closed(end);
                self.lose_way(other);
            }
            Accident::Dead => self.kill_channel(ends),
            Accident::HalfDead => self.lose_way(end),
            Accident::Failed => {
                self.kill_channel(ends);
                ends.into_iter().for_each(|end| self.tell_way(end, Duration::ZERO, Connectivity::Failed));
            }
            Accident::Stuck => self.connection(end, |connection| connection.is_stuck = true),
            Accident::Lapse(time) => self.begin_lapse(ends, seconds(time.into())),
        }
        true
    }

    fn begin_lapse(&mut self, ends: [End; 2], time: Duration) {
        let until = self.now + time;
        for end in ends {
            self.lose_way(end);
            self.connection(end, |connection| connection.lapses_until = Some(until));
        }
        self.send_at(until, Delivery::EndLapse { ends });
    }

    fn kill_channel(&mut self, ends: [End; 2]) {
        for end in ends {
            self.connection(end, |connection| connection.lapses_until = None);
            self.lose_way(end);
        }
    }

    fn tell_closed(&mut self, (device, socket): End) {
        self.send(Delivery::Closed { device, socket });
    }
}
