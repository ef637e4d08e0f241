//! The swarm's circuits: what relays say, and whom this device dials and answers (PROTOCOL.md §3).

use super::devices::Loss;
use super::endpoint::Phase;
use super::output::{Output, SocketId, State};
use super::{Carrier, Place, Swarm};
use crate::code::Code;
use crate::limits;
use crate::quote::quoted;
use crate::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use crate::secure::Role;
use crate::time::Time;

/// Characters of a relay's text that people are shown.
const LONGEST_REFUSAL: usize = 200;

impl Swarm {
    pub(super) fn ask_to_join(&mut self, socket: SocketId) {
        let room = self.drive.rendezvous_id();
        self.write(socket, &ToRelay::Join { room });
    }

    pub(super) fn handle_relay_message(&mut self, now: Time, index: usize, socket: SocketId, message: &[u8]) {
        match FromRelay::decode(message) {
            Ok(Some(frame)) => self.handle_relay_frame(now, index, socket, frame),
            Ok(None) => {}
            Err(error) => self.drop_stranger(now, Place::Relay(index), &format!("sent a malformed frame: {error}")),
        }
    }

    /// Dials again whom it is time for.
    pub(super) fn redial(&mut self, now: Time) {
        for index in 0..self.relays.len() {
            for member in self.relays[index].due_redials(now) {
                self.dial(now, index, member);
            }
        }
    }

    /// Gives credit back that idle circuits do not need.
    pub(super) fn return_credit(&mut self, now: Time) {
        for index in 0..self.relays.len() {
            for (line, link) in self.relays[index].idle_flows(now) {
                let is_idle = self.links.get(&link).is_none_or(|attached| !attached.link.has_output());
                let unused = self.relays[index].flow(line).and_then(|flow| flow.give_back(now, is_idle));
                if let (Some(unused), Some(socket)) = (unused, self.relays[index].endpoint.joined_socket()) {
                    self.write(socket, &ToRelay::Return(line, unused));
                }
            }
        }
    }

    pub(super) fn write(&mut self, socket: SocketId, frame: &ToRelay<'_>) {
        let mut message = Vec::new();
        frame.encode(&mut message);
        self.output(Output::Write { socket, message });
    }

    fn handle_relay_frame(&mut self, now: Time, index: usize, socket: SocketId, frame: FromRelay<'_>) {
        let phase = self.relays[index].endpoint.phase;
        let is_joined = matches!(phase, Phase::Joined(..));
        if self.relays[index].signs.hear(&frame) {
            self.update_state();
        }
        match frame {
            FromRelay::Welcome { member, lends, counts_direct, present } if matches!(phase, Phase::Joining(..)) => {
                self.relays[index].endpoint.join(socket, now);
                self.relays[index].own = member;
                self.relays[index].lends = lends;
                self.relays[index].counts_direct = counts_direct;
                self.relays[index].end_restart();
                if lends {
                    self.write(socket, &ToRelay::Flow);
                }
                self.update_state();
                for other in present.into_iter().filter(|other| *other < member) {
                    self.dial(now, index, other);
                }
            }
            FromRelay::Refused { code, text } => {
                let text = refusal(&self.relays[index].endpoint.url, code, text);
                let code = Code::of_refusal(code);
                let is_known = code == Code::ShuttingDown && self.relays[index].restart(now).is_some();
                self.fail(now, Place::Relay(index), (!is_known).then_some((code, text)));
            }
            FromRelay::GoingAway { back_in } => {
                self.relays[index].expect_restart(now, back_in, &mut self.random);
            }
            FromRelay::IceServers(servers) if is_joined => self.relays[index].ice_servers = servers,
            FromRelay::Dialed(line) if is_joined => self.answer(now, index, socket, line),
            FromRelay::Data(line, bytes) if is_joined => {
                if let Some(link) = self.relays[index].link(line) {
                    self.handle_link_bytes(now, link, bytes);
                    self.report_consumed(index, socket, line, bytes.len());
                }
            }
            FromRelay::Credit(line, amount) if is_joined => {
                if let Some(flow) = self.relays[index].flow(line) {
                    flow.lend(now, amount);
                }
                if let Some(link) = self.relays[index].link(line) {
                    self.queue_link(link);
                }
            }
            FromRelay::HungUp(line, reason) if is_joined => {
                if let Some(link) = self.relays[index].link(line) {
                    // Of a member that was there, a relay that tells the truth says that it left.
                    let was_there = self.links.get(&link).is_some_and(|attached| attached.link.is_proved());
                    let may_redial = reason.allows_redial() || (reason == HangupReason::Gone && was_there);
                    if !may_redial {
                        self.relays[index].forget_redials(line.member);
                    }
                    self.remove_link(now, link, Loss::Cut, may_redial);
                } else if reason.allows_redial() && line.member < self.relays[index].own {
                    // That the circuit was over is what the relay said. Its other end has missed us on it.
                    self.relays[index].redial_if_unmet(line.member, now, &mut self.random);
                }
            }
            FromRelay::Left(member) if is_joined => {
                if let Some(link) = self.relays[index].circuit_to(member) {
                    // Where the relay is going, the member may go only because the relay does.
                    let loss =
                        self.relays[index].restart(now).map_or(Loss::Closed, |restart| Loss::Away(restart.until));
                    // That it is gone is the relay's word. The next dial shows whether it is.
                    self.remove_link(now, link, loss, true);
                }
            }
            _ => self.drop_stranger(now, Place::Relay(index), "sent a frame out of turn"),
        }
    }

    /// Tells a relay what was read of a circuit, unless that ended it.
    fn report_consumed(&mut self, relay: usize, socket: SocketId, line: Line, bytes: usize) {
        if let Some(amount) = self.relays[relay].flow(line).and_then(|flow| flow.consume(bytes)) {
            self.write(socket, &ToRelay::Consumed(line, amount));
        }
    }

    fn dial(&mut self, now: Time, relay: usize, member: Member) {
        let Some(socket) = self.relays[relay].endpoint.joined_socket().filter(|_| self.state != State::Closed) else {
            return;
        };
        let line = self.relays[relay].next_line(member);
        self.write(socket, &ToRelay::Dial(line));
        self.add_circuit(now, relay, line, Role::Initiator);
    }

    fn answer(&mut self, now: Time, relay: usize, socket: SocketId, line: Line) {
        if self.state == State::Closed {
            self.write(socket, &ToRelay::Hangup(line, HangupReason::Done));
            return;
        }
        if line.member <= self.relays[relay].own {
            // We dial that member. Whoever says otherwise would have its circuit replaced by one that nobody dials again.
            self.write(socket, &ToRelay::Hangup(line, HangupReason::Violation));
            return;
        }
        let is_crowded =
            self.relays[relay].circuits() >= limits::ROOM && self.relays[relay].circuit_to(line.member).is_none();
        if is_crowded || !self.handshakes.take(now) {
            self.write(socket, &ToRelay::Hangup(line, HangupReason::Busy));
            return;
        }
        self.add_circuit(now, relay, line, Role::Responder);
    }

    fn add_circuit(&mut self, now: Time, relay: usize, line: Line, role: Role) {
        let link = self.add_link(now, Carrier::Circuit { relay, line }, role);
        if let Some(older) = self.relays[relay].attach(line, link) {
            // If only the relay says that there is a newer one, the other device has to know that the older one is over.
            self.hang_up(now, older, HangupReason::Timeout);
        }
    }
}

/// What a relay's refusal says to people, no longer than a relay needs.
fn refusal(url: &str, code: &str, text: &str) -> String {
    let text: String = text.chars().take(LONGEST_REFUSAL).collect();
    if Code::of_refusal(code) == Code::Refused {
        return format!("{url} refuses, {}: {text}", quoted(code, LONGEST_REFUSAL));
    }
    format!("{url} refuses: {text}")
}
