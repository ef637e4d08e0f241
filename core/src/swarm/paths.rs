//! How what is sent to peers travels, and who is told when that changes.
//!
//! Whoever changes the links of a device says so with [`Swarm::note_links`]; what that means is looked at when the swarm is asked what to
//! do next. So a change that is undone at once is no news, and messages cost nothing.

use super::devices::Device;
use super::output::{Event, HandleId, Output, PeerId};
use super::stats::Route;
use super::{Attached, Carrier, Swarm};
use crate::time::Duration;

/// What watchers are told of a peer.
#[derive(Clone, Copy)]
enum News {
    Join,
    Leave,
    Path(Route, Option<Duration>),
}

impl Swarm {
    /// The links of a device changed, or their order.
    pub(super) fn note_links(&mut self, peer: PeerId) {
        if !self.relinked.contains(&peer) {
            self.relinked.push(peer);
        }
    }

    /// The application learns that a peer is here, and how it is reached.
    pub(super) fn tell_join(&mut self, peer: PeerId) {
        self.tell_watches(peer, News::Join);
        self.tell_path(peer);
    }

    /// It learns that a peer is gone.
    pub(super) fn tell_leave(&mut self, peer: PeerId) {
        if let Some(device) = self.devices.get_mut(peer) {
            device.told = None;
        }
        self.tell_watches(peer, News::Leave);
    }

    /// A new watcher learns what the others know, who have been told of all changes.
    pub(super) fn tell_all(&mut self, watch: HandleId) {
        let here: Vec<PeerId> = self.devices.present().map(|device| device.peer).collect();
        for peer in &here {
            self.tell_watch(watch, *peer, News::Join);
        }
        for peer in here {
            let (route, round_trip) = self.path(peer);
            self.tell_watch(watch, peer, News::Path(route, round_trip));
        }
    }

    /// Watchers learn of the peers that are reached in another way than they know, among those whose links have changed.
    pub(super) fn tell_paths(&mut self) {
        for peer in std::mem::take(&mut self.relinked) {
            self.tell_path(peer);
        }
    }

    /// The link that a device is sent messages on.
    pub(super) fn first_link(&self, device: &Device) -> Option<&Attached> {
        device.links.first().and_then(|link| self.links.get(link))
    }

    fn path(&self, peer: PeerId) -> (Route, Option<Duration>) {
        let first = self.devices.get(peer).and_then(|device| self.first_link(device));
        (Route::of(first), first.and_then(|attached| attached.link.round_trip()))
    }

    /// Watchers learn of the path to a peer, if it is here and they know another one or none.
    fn tell_path(&mut self, peer: PeerId) {
        let (route, round_trip) = self.path(peer);
        if let Some(device) = self.devices.get_mut(peer)
            && device.is_present()
            && device.told != Some(route)
        {
            device.told = Some(route);
            self.tell_watches(peer, News::Path(route, round_trip));
        }
    }

    fn tell_watches(&mut self, peer: PeerId, news: News) {
        for index in 0..self.handles.watches().len() {
            self.tell_watch(self.handles.watches()[index], peer, news);
        }
    }

    fn tell_watch(&mut self, watch: HandleId, peer: PeerId, news: News) {
        self.output(Output::Event(match news {
            News::Join => Event::Join { watch, peer },
            News::Leave => Event::Leave { watch, peer },
            News::Path(route, round_trip) => Event::Path { watch, peer, route, round_trip },
        }));
    }
}

impl Route {
    /// How what is sent on a link travels.
    pub(super) fn of(attached: Option<&Attached>) -> Self {
        match attached.map(|attached| attached.carrier) {
            None => Self::None,
            Some(Carrier::Circuit { .. }) => Self::Relay,
            Some(Carrier::DrivePeer(_) | Carrier::Channel(_) | Carrier::Host(_)) => Self::Direct,
        }
    }
}
