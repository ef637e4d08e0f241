//! One relay as a device uses it: the circuits through it, and when members are dialled again (PROTOCOL.md §3, §10).

use super::LinkId;
use super::endpoint::{Endpoint, backoff};
use super::network::SignsOfLife;
use crate::credit::Flow;
use crate::limits;
use crate::random::Random;
use crate::rendezvous::{Circuit, Line, Member};
use crate::rtc::IceServer;
use crate::table::Table;
use crate::time::{Duration, Time};

/// One relay of the list.
#[derive(Debug)]
pub struct Relay {
    /// Where it is and how far we are with it.
    pub endpoint: Endpoint,
    /// Whether it still is there.
    pub signs: SignsOfLife,
    /// Our own number in its room, once it has welcomed us.
    pub own: Member,
    /// What it said of its restart, until it is back or that is over.
    restart: Option<Restart>,
    /// Whether it lends credit for circuits.
    pub lends: bool,
    /// The STUN and TURN servers that it announces.
    pub ice_servers: Vec<IceServer>,
    /// Whether it wants to be told of direct connections beside its circuits.
    pub counts_direct: bool,
    circuits: Table<Member, OpenCircuit>,
    redials: Table<Member, Redial>,
    last_circuit: Circuit,
}

#[derive(Debug)]
struct OpenCircuit {
    circuit: Circuit,
    link: LinkId,
    /// What may be sent on it, if the relay lends credit.
    flow: Option<Flow>,
}

/// A relay is being stopped, and started again.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// When this device looks for it first.
    pub first_try: Time,
    /// Until when devices that were reached through it are waited for.
    pub until: Time,
}

#[derive(Debug)]
struct Redial {
    at: Option<Time>,
    attempts: u32,
}

impl Relay {
    /// A relay without circuits.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            signs: SignsOfLife::default(),
            own: 0,
            restart: None,
            lends: false,
            ice_servers: Vec::new(),
            counts_direct: false,
            circuits: Table::default(),
            redials: Table::default(),
            last_circuit: 0,
        }
    }

    /// It says when it is back. Not all devices come back at once.
    pub fn expect_restart(&mut self, now: Time, back_in: Duration, random: &mut Random) {
        let back_in = back_in.min(limits::BACK_IN);
        let first_try = now + back_in / 2 + (back_in / 2 + limits::BACK_SPREAD).mul_f64(random.fraction());
        self.restart = Some(Restart { first_try, until: now + back_in + limits::GRACE });
    }

    /// Its restart, if it is under way.
    pub fn restart(&self, now: Time) -> Option<Restart> {
        self.restart.filter(|restart| restart.until > now)
    }

    /// It is back.
    pub fn end_restart(&mut self) {
        self.restart = None;
    }

    /// The next line to dial a member on.
    pub fn next_line(&mut self, member: Member) -> Line {
        self.last_circuit += 1;
        Line { member, circuit: self.last_circuit }
    }

    /// Records a circuit, and gives the link on the older one to the same member, which it ends.
    pub fn attach(&mut self, line: Line, link: LinkId) -> Option<LinkId> {
        let open = OpenCircuit { circuit: line.circuit, link, flow: self.lends.then(Flow::default) };
        self.circuits.insert(line.member, open).map(|older| older.link)
    }

    /// Forgets a circuit, if this link is still the one to that member.
    pub fn detach(&mut self, line: Line, link: LinkId) {
        if self.circuit_to(line.member) == Some(link) {
            self.circuits.remove(&line.member);
        }
    }

    /// The link on a line.
    pub fn link(&self, line: Line) -> Option<LinkId> {
        self.circuits.get(&line.member).filter(|open| open.circuit == line.circuit).map(|open| open.link)
    }

    /// The link to a member, on whatever circuit.
    pub fn circuit_to(&self, member: Member) -> Option<LinkId> {
        self.circuits.get(&member).map(|open| open.link)
    }

    /// The credit of an open circuit, if the relay lends any.
    pub fn flow(&mut self, line: Line) -> Option<&mut Flow> {
        self.endpoint_and_flow(line).1
    }

    /// The endpoint, and with it the credit of an open circuit.
    pub fn endpoint_and_flow(&mut self, line: Line) -> (&mut Endpoint, Option<&mut Flow>) {
        let open = self.circuits.get_mut(&line.member).filter(|open| open.circuit == line.circuit);
        (&mut self.endpoint, open.and_then(|open| open.flow.as_mut()))
    }

    /// The circuits whose credit may be given back at this moment, and their links.
    pub fn idle_flows(&self, now: Time) -> Vec<(Line, LinkId)> {
        let is_due = |open: &OpenCircuit| open.flow.as_ref().and_then(Flow::next_timeout).is_some_and(|at| at <= now);
        let due = self.circuits.iter().filter(|(_, open)| is_due(open));
        due.map(|(member, open)| (Line { member: *member, circuit: open.circuit }, open.link)).collect()
    }

    /// How many circuits there are.
    pub fn circuits(&self) -> usize {
        self.circuits.len()
    }

    /// Dials a member again, later each time.
    pub fn redial_later(&mut self, member: Member, now: Time, random: &mut Random) {
        let redial = self.redials.get_or_insert_with(member, || Redial { at: None, attempts: 0 });
        redial.at = Some(now + backoff(limits::RETRY_FIRST, limits::RETRY_MAX, redial.attempts, random));
        redial.attempts = redial.attempts.saturating_add(1);
    }

    /// Dials a member again to whom there is no circuit, unless that is to come anyway.
    pub fn redial_if_unmet(&mut self, member: Member, now: Time, random: &mut Random) {
        let is_due = self.redials.get(&member).is_some_and(|redial| redial.at.is_some());
        if !is_due && self.circuit_to(member).is_none() {
            self.redial_later(member, now, random);
        }
    }

    /// A member proved the drive key, or is not to be dialled again: the next redial, if one is needed, comes soon.
    pub fn forget_redials(&mut self, member: Member) {
        self.redials.remove(&member);
    }

    /// The members whose time has come to be dialled again.
    pub fn due_redials(&mut self, now: Time) -> Vec<Member> {
        let due: Vec<Member> = self
            .redials
            .iter()
            .filter(|(_, redial)| redial.at.is_some_and(|at| at <= now))
            .map(|(member, _)| *member)
            .collect();
        for member in &due {
            if let Some(redial) = self.redials.get_mut(member) {
                redial.at = None;
            }
        }
        due
    }

    /// When a member is to be dialled again, a sign of life is overdue, or credit is to be given back.
    pub fn next_timeout(&self) -> Option<Time> {
        let redials = self.redials.values().filter_map(|redial| redial.at);
        let flows = self.circuits.values().filter_map(|open| open.flow.as_ref()?.next_timeout());
        redials.chain(flows).chain(self.signs.next_timeout()).min()
    }

    /// Its socket is over: forgets every circuit, and gives their links.
    pub fn take_links(&mut self) -> Vec<LinkId> {
        self.signs = SignsOfLife::default();
        self.redials.clear();
        self.last_circuit = 0;
        self.lends = false;
        self.ice_servers.clear();
        self.counts_direct = false;
        std::mem::take(&mut self.circuits).into_values().map(|open| open.link).collect()
    }
}
