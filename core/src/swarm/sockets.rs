//! The swarm's sockets to relays, drive peers and devices: what their owner tells, and when they are opened again.

use super::devices::Loss;
use super::endpoint::{Endpoint, Phase, backoff};
use super::output::{Output, Report, SocketFailure, SocketId};
use super::{LinkId, Place, Swarm};
use crate::code::Code;
use crate::limits;
use crate::quote::{quoted, without_token};
use crate::time::Time;

/// Characters of a URL that people are shown, where it is none.
const LONGEST_URL: usize = 2_000;

impl Swarm {
    /// A socket is open, with the subprotocol that was asked for.
    pub fn handle_socket_opened(&mut self, now: Time, socket: SocketId) {
        let Some(place) = self.place_of(socket) else {
            if let Some(peer) = self.peer_of_channel(socket) {
                self.open_channel(now, peer);
                self.settle();
            }
            return;
        };
        let endpoint = self.endpoint_mut(place);
        if let Phase::Opening(_, deadline) = endpoint.phase {
            endpoint.phase = Phase::Joining(socket, deadline);
            match place {
                Place::Relay(_) => self.ask_to_join(socket),
                Place::DrivePeer(index) => self.meet_drive_peer(now, index),
            }
        }
        self.handle_timeout(now);
    }

    /// A socket could not be opened.
    pub fn handle_socket_failed(&mut self, now: Time, socket: SocketId, failure: SocketFailure) {
        let Some(place) = self.place_of(socket) else {
            return self.handle_channel_closed(now, socket);
        };
        let url = &self.endpoint(place).url;
        let noun = place.noun();
        let problem = match failure {
            SocketFailure::Unreachable => {
                let how = if url.starts_with("wss:") { " with TLS" } else { "" };
                (place.unreachable(), format!("no {noun} answers{how} at {url}"))
            }
            SocketFailure::Stranger => (place.stranger(), format!("what answers at {url} is not a {noun}")),
            SocketFailure::OnlyHttpOfRelay => match place {
                Place::Relay(_) => {
                    (Code::NoWebSocket, format!("a relay answers at {url}, but no WebSocket to it opens"))
                }
                Place::DrivePeer(_) => (Code::NotAPeer, format!("{url} is a relay, not a drive peer")),
            },
            SocketFailure::MixedContent => (Code::MixedContent, format!("a secure page may not open {url}")),
            SocketFailure::BlockedByPolicy => {
                (Code::SocketBlockedByCsp, format!("the page's Content-Security-Policy forbids {url}"))
            }
            SocketFailure::BadUrl => (place.bad_url(), format!("{url} is no URL of a {noun}")),
        };
        if matches!(failure, SocketFailure::MixedContent | SocketFailure::BlockedByPolicy | SocketFailure::BadUrl) {
            self.endpoint_mut(place).is_hopeless = true;
        }
        self.fail(now, place, Some(problem));
    }

    /// An open socket closed.
    pub fn handle_socket_closed(&mut self, now: Time, socket: SocketId) {
        let Some(place) = self.place_of(socket) else {
            return self.handle_channel_closed(now, socket);
        };
        let endpoint = self.endpoint(place);
        let was_joined = endpoint.joined_socket().is_some();
        let problem = match place {
            Place::Relay(_) => (Code::NoRelay, format!("{} closed the connection without a welcome", endpoint.url)),
            Place::DrivePeer(_) => {
                (Code::NotAPeer, format!("{} closed the connection before it showed the drive", endpoint.url))
            }
        };
        self.fail(now, place, (!was_joined).then_some(problem));
    }

    /// A binary message of this length came. To be told before its bytes are copied anywhere: returns whether they are wanted. One that
    /// is longer than any may be ends the socket.
    pub fn handle_socket_length(&mut self, now: Time, socket: SocketId, length: usize) -> bool {
        let Some(place) = self.place_of(socket) else {
            let is_short = self.peer_of_channel(socket).is_some() && length <= limits::CHANNEL_MESSAGE;
            if !is_short {
                self.handle_channel_closed(now, socket);
            }
            return is_short;
        };
        let is_short = length <= place.longest_message();
        if !is_short {
            self.drop_stranger(now, place, &format!("sent a message of {length} bytes"));
        }
        is_short
    }

    /// A binary message came.
    pub fn handle_socket_message(&mut self, now: Time, socket: SocketId, message: &[u8]) {
        match self.place_of(socket) {
            Some(Place::Relay(index)) => self.handle_relay_message(now, index, socket, message),
            Some(Place::DrivePeer(index)) => {
                self.drive_peers[index].patience = None;
                if let Some(link) = self.drive_peers[index].link {
                    self.handle_link_bytes(now, link, message);
                }
            }
            None => {
                if let Some(link) = self.peer_of_channel(socket).and_then(|peer| self.link_of_channel(peer)) {
                    self.handle_link_bytes(now, link, message);
                }
            }
        }
        self.settle();
    }

    /// A text message came, which neither a relay nor a drive peer nor a device sends.
    pub fn handle_socket_text(&mut self, now: Time, socket: SocketId) {
        if let Some(place) = self.place_of(socket) {
            self.drop_stranger(now, place, "sent a text message");
        } else {
            self.handle_channel_closed(now, socket);
        }
    }

    /// Adds a relay or drive peer to the list, or says why it cannot be used.
    pub(super) fn add_endpoint(&mut self, now: Time, place: Place, url: &str, limit: usize) -> Option<Endpoint> {
        let noun = place.noun();
        let count = match place {
            Place::Relay(index) | Place::DrivePeer(index) => index,
        };
        let problem = if !is_websocket_url(url) {
            "it is not ws:// or wss:// and a host".to_string()
        } else if count >= limit {
            format!("{limit} {noun}s are used already")
        } else {
            return Some(Endpoint::new(url.into(), now));
        };
        let url = without_token(url);
        let text = format!("the {noun} {} cannot be used: {problem}", quoted(&url, LONGEST_URL));
        self.report(Report { url: Some(url), ..Report::new(place.bad_url(), text) });
        None
    }

    pub(super) fn handle_socket_timeouts(&mut self, now: Time) {
        self.replace_mute_sockets(now);
        for place in self.places() {
            match self.endpoint(place).phase {
                Phase::Waiting(at) if at <= now => self.open_socket(now, place),
                Phase::Opening(_, at) | Phase::Joining(_, at) if at <= now => {
                    let text = format!("{} did not answer in time", self.endpoint(place).url);
                    self.fail(now, place, Some((place.unreachable(), text)));
                }
                _ => {}
            }
        }
        self.redial(now);
        self.return_credit(now);
        if self.places().is_empty() {
            self.update_state();
        }
    }

    /// Gives a misbehaving relay or drive peer up for a while.
    pub(super) fn drop_stranger(&mut self, now: Time, place: Place, what: &str) {
        let text = format!("{} is not a {}, or not a sound one: it {what}", self.endpoint(place).url, place.noun());
        self.fail(now, place, Some((place.stranger(), text)));
    }

    /// The attempt or the socket is over. A problem is reported once, until the endpoint was joined again for a while.
    pub(super) fn fail(&mut self, now: Time, place: Place, problem: Option<(Code, String)>) {
        if let Some(socket) = self.endpoint(place).socket() {
            self.output(Output::Close { socket });
        }
        let links = self.take_links(place);
        let restart = match place {
            Place::Relay(index) => self.relays[index].restart(now),
            Place::DrivePeer(_) => None,
        };
        let Self { relays, drive_peers, random, .. } = self;
        let endpoint = match place {
            Place::Relay(index) => &mut relays[index].endpoint,
            Place::DrivePeer(index) => &mut drive_peers[index].endpoint,
        };
        let was_in_use = endpoint.joined_socket().is_some()
            && links.iter().any(|link| self.links.get(link).is_some_and(|attached| attached.peer.is_some()));
        endpoint.fail(now, was_in_use, random);
        if let Some(restart) = restart {
            // If it refuses, it is back, and has its reasons.
            if problem.as_ref().is_none_or(|(code, _)| *code == place.unreachable()) {
                let retry = now + backoff(limits::RETRY_FIRST, limits::BACK_RETRY, 1, random);
                endpoint.wait_until(restart.first_try.max(retry));
            }
        }
        // That there is no network, or a relay that was announced to be away, is a state, not an error.
        let is_gone = self.is_network_gone || restart.is_some();
        let is_news = |code| endpoint.reported != Some(code) && !(is_gone && code == place.unreachable());
        if let Some((code, text)) = problem.filter(|(code, _)| is_news(*code)) {
            endpoint.reported = Some(code);
            let url = Some(endpoint.url.clone());
            self.report(Report { url, ..Report::new(code, text) });
        }
        let loss = match (place, restart) {
            (Place::Relay(_), Some(restart)) => Loss::Away(restart.until),
            (Place::Relay(_), None) => Loss::Cut,
            (Place::DrivePeer(_), _) => Loss::Closed,
        };
        for link in links {
            self.remove_link(now, link, loss, false);
        }
        if was_in_use {
            self.hasten_others(now, place);
        }
        self.update_state();
        self.settle();
    }

    /// Peers were reached through a place that is lost: where else they may be is looked at soon, wherever it was given up for long.
    fn hasten_others(&mut self, now: Time, lost: Place) {
        for place in self.places().into_iter().filter(|place| *place != lost) {
            let at = now + backoff(limits::RETRY_FIRST, limits::RETRY_MAX, 0, &mut self.random);
            self.endpoint_mut(place).hasten(at);
        }
    }

    /// Forgets what goes through a place, and gives those links.
    pub(super) fn take_links(&mut self, place: Place) -> Vec<LinkId> {
        match place {
            Place::Relay(index) => self.relays[index].take_links(),
            Place::DrivePeer(index) => {
                self.drive_peers[index].patience = None;
                self.drive_peers[index].link.take().into_iter().collect()
            }
        }
    }

    fn open_socket(&mut self, now: Time, place: Place) {
        self.last_socket += 1;
        let socket = SocketId(self.last_socket);
        let endpoint = self.endpoint_mut(place);
        endpoint.open(socket, now);
        let url = endpoint.target.clone();
        self.output(Output::Open { socket, url, subprotocol: place.subprotocol() });
    }
}

fn is_websocket_url(url: &str) -> bool {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']) && !rest.contains([' ', '#']))
}
