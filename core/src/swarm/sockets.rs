//! The swarm's side of its relays: what the sockets' owner tells, and what the relays say.

use super::output::{Event, Output, Report, SocketFailure, SocketId};
use super::relay::{Phase, Relay};
use super::{LinkId, Swarm};
use crate::code::Code;
use crate::limits;
use crate::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use crate::secure::Role;
use crate::time::Time;

/// Characters of a relay's text that people are shown.
const LONGEST_REFUSAL: usize = 200;

impl Swarm {
    /// A socket is open, with the relay's subprotocol.
    pub fn handle_socket_opened(&mut self, now: Time, socket: SocketId) {
        let Some(index) = self.relay_of(socket) else {
            return;
        };
        if let Phase::Opening(_, deadline) = self.relays[index].phase {
            self.relays[index].phase = Phase::Joining(socket, deadline);
            let room = self.drive.rendezvous_id();
            self.write(socket, &ToRelay::Join { room });
        }
        self.handle_timeout(now);
    }

    /// A socket could not be opened.
    pub fn handle_socket_failed(&mut self, now: Time, socket: SocketId, failure: SocketFailure) {
        let Some(index) = self.relay_of(socket) else {
            return;
        };
        let url = &self.relays[index].url;
        let (code, text) = match failure {
            SocketFailure::Unreachable => (Code::NoRelay, format!("no relay answers at {url}")),
            SocketFailure::NotARelay => (Code::NotARelay, format!("what answers at {url} is not a relay")),
            SocketFailure::MixedContent => (Code::MixedContent, format!("a secure page may not open {url}")),
            SocketFailure::BadUrl => (Code::BadRelayUrl, format!("{url} is no URL of a relay")),
        };
        if matches!(failure, SocketFailure::MixedContent | SocketFailure::BadUrl) {
            self.relays[index].is_hopeless = true;
        }
        self.fail_relay(now, index, Some((code, text)));
    }

    /// An open socket closed.
    pub fn handle_socket_closed(&mut self, now: Time, socket: SocketId) {
        let Some(index) = self.relay_of(socket) else {
            return;
        };
        let relay = &self.relays[index];
        let was_welcome = relay.joined_socket().is_some();
        let text = format!("{} closed the connection without a welcome", relay.url);
        self.fail_relay(now, index, (!was_welcome).then_some((Code::NoRelay, text)));
    }

    /// Bytes that were written to a socket and have not left it. To be told after writes and as they drain.
    pub fn handle_socket_buffered(&mut self, socket: SocketId, bytes: usize) {
        if let Some(index) = self.relay_of(socket) {
            self.relays[index].buffered = bytes;
        }
    }

    /// A binary message came.
    pub fn handle_socket_message(&mut self, now: Time, socket: SocketId, message: &[u8]) {
        let Some(index) = self.relay_of(socket) else {
            return;
        };
        match FromRelay::decode(message) {
            Ok(Some(frame)) => self.handle_relay_frame(now, index, socket, frame),
            Ok(None) => {}
            Err(error) => self.drop_relay(now, index, &format!("sent a malformed frame: {error}")),
        }
        self.settle();
    }

    /// A text message came, which no relay sends.
    pub fn handle_socket_text(&mut self, now: Time, socket: SocketId) {
        if let Some(index) = self.relay_of(socket) {
            self.drop_relay(now, index, "sent a text message");
        }
    }

    pub(super) fn add_relay(&mut self, now: Time, url: &str) {
        if self.relays.iter().any(|relay| relay.url == url) {
            return;
        }
        let problem = if !is_websocket_url(url) {
            "it is not ws:// or wss:// and a host".to_string()
        } else if self.relays.len() >= limits::RELAYS {
            format!("{} relays are used already", limits::RELAYS)
        } else {
            self.relays.push(Relay::new(url.into(), now));
            return;
        };
        let text = format!("the relay {url:?} cannot be used: {problem}");
        self.report(Report { url: Some(url.into()), ..Report::new(Code::BadRelayUrl, text) });
    }

    pub(super) fn handle_relay_timeouts(&mut self, now: Time) {
        for index in 0..self.relays.len() {
            match self.relays[index].phase {
                Phase::Waiting(at) if at <= now => self.open_socket(now, index),
                Phase::Opening(_, at) | Phase::Joining(_, at) if at <= now => {
                    let text = format!("{} did not answer in time", self.relays[index].url);
                    self.fail_relay(now, index, Some((Code::NoRelay, text)));
                }
                _ => {}
            }
            for member in self.relays[index].due_redials(now) {
                self.dial(now, index, member);
            }
        }
        if self.relays.is_empty() {
            self.update_state();
        }
    }

    pub(super) fn write(&mut self, socket: SocketId, frame: &ToRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        self.output(Output::Write { socket, message });
    }

    fn handle_relay_frame(&mut self, now: Time, index: usize, socket: SocketId, frame: FromRelay<'_>) {
        let is_joined = self.relays[index].joined_socket().is_some();
        match frame {
            FromRelay::Welcome { member, present } if matches!(self.relays[index].phase, Phase::Joining(..)) => {
                self.relays[index].join(socket, now);
                self.update_state();
                for other in present.into_iter().filter(|other| *other < member) {
                    self.dial(now, index, other);
                }
            }
            FromRelay::Refused { code, text } => {
                let text = refusal(&self.relays[index].url, code, text);
                self.fail_relay(now, index, Some((Code::of_refusal(code), text)));
            }
            FromRelay::Dialed(line) if is_joined => self.answer(now, index, socket, line),
            FromRelay::Data(line, bytes) if is_joined => {
                if let Some(link) = self.relays[index].link(line) {
                    self.handle_link_bytes(now, link, bytes);
                }
            }
            FromRelay::HungUp(line, reason) if is_joined => {
                if let Some(link) = self.relays[index].link(line) {
                    self.remove_link(now, link, reason.allows_redial());
                }
            }
            FromRelay::Left(member) if is_joined => {
                if let Some(link) = self.relays[index].leave(member) {
                    self.remove_link(now, link, false);
                }
            }
            _ => self.drop_relay(now, index, "sent a frame out of turn"),
        }
    }

    fn dial(&mut self, now: Time, index: usize, member: Member) {
        let Some(socket) = self.relays[index].joined_socket() else {
            return;
        };
        let line = self.relays[index].next_line(member);
        self.write(socket, &ToRelay::Dial(line));
        self.add_link(now, index, line, Role::Initiator);
    }

    fn answer(&mut self, now: Time, index: usize, socket: SocketId, line: Line) {
        let is_crowded =
            self.relays[index].circuits() >= limits::ROOM && self.relays[index].circuit_to(line.member).is_none();
        if is_crowded || !self.handshakes.take(now) {
            self.write(socket, &ToRelay::Hangup(line, HangupReason::Busy));
            return;
        }
        self.add_link(now, index, line, Role::Responder);
    }

    fn open_socket(&mut self, now: Time, index: usize) {
        self.last_socket += 1;
        let socket = SocketId(self.last_socket);
        self.relays[index].open(socket, now);
        self.output(Output::Open { socket, url: self.relays[index].url.clone() });
    }

    /// Gives a misbehaving relay up for a while.
    fn drop_relay(&mut self, now: Time, index: usize, what: &str) {
        let text = format!("{} is not a relay, or not a sound one: it {what}", self.relays[index].url);
        self.fail_relay(now, index, Some((Code::NotARelay, text)));
    }

    fn fail_relay(&mut self, now: Time, index: usize, problem: Option<(Code, String)>) {
        if let Some(socket) = self.relays[index].socket() {
            self.output(Output::Close { socket });
        }
        let relay = &mut self.relays[index];
        let links: Vec<LinkId> = if relay.is_hopeless { relay.rest() } else { relay.fail(now, &mut self.random) };
        if let Some((code, text)) = problem.filter(|(code, _)| relay.reported != Some(*code)) {
            relay.reported = Some(code);
            let url = Some(relay.url.clone());
            self.output(Output::Event(Event::Error(Report { url, ..Report::new(code, text) })));
        }
        for link in links {
            self.remove_link(now, link, false);
        }
        self.update_state();
        self.settle();
    }

    fn relay_of(&self, socket: SocketId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.socket() == Some(socket))
    }
}

/// What a relay's refusal says to people, no longer than a relay needs.
fn refusal(url: &str, code: &str, text: &str) -> String {
    let text: String = text.chars().take(LONGEST_REFUSAL).collect();
    if Code::of_refusal(code) == Code::Refused {
        let code: String = code.chars().take(LONGEST_REFUSAL).collect();
        return format!("{url} refuses, {code:?}: {text}");
    }
    format!("{url} refuses: {text}")
}

fn is_websocket_url(url: &str) -> bool {
    let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']) && !rest.contains([' ', '#']))
}
