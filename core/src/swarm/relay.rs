//! One relay as a device uses it: the circuits through it, and when members are dialled again (PROTOCOL.md §3, §10).

use super::LinkId;
use super::endpoint::{Endpoint, backoff};
use super::network::SignsOfLife;
use crate::limits;
use crate::random::Random;
use crate::rendezvous::{Circuit, Line, Member};
use crate::table::Table;
use crate::time::Time;

/// One relay of the list.
#[derive(Debug)]
pub struct Relay {
    /// Where it is and how far we are with it.
    pub endpoint: Endpoint,
    /// Whether it still is there.
    pub signs: SignsOfLife,
    /// Our own number in its room, once it has welcomed us.
    pub own: Member,
    circuits: Table<Member, (Circuit, LinkId)>,
    redials: Table<Member, Redial>,
    last_circuit: Circuit,
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
            circuits: Table::default(),
            redials: Table::default(),
            last_circuit: 0,
        }
    }

    /// The next line to dial a member on.
    pub fn next_line(&mut self, member: Member) -> Line {
        self.last_circuit += 1;
        Line { member, circuit: self.last_circuit }
    }

    /// Records a circuit, and gives the link on the older one to the same member, which it ends.
    pub fn attach(&mut self, line: Line, link: LinkId) -> Option<LinkId> {
        self.circuits.insert(line.member, (line.circuit, link)).map(|(_, older)| older)
    }

    /// Forgets a circuit, if this link is still the one to that member.
    pub fn detach(&mut self, line: Line, link: LinkId) {
        if self.circuit_to(line.member) == Some(link) {
            self.circuits.remove(&line.member);
        }
    }

    /// The link on a line.
    pub fn link(&self, line: Line) -> Option<LinkId> {
        self.circuits.get(&line.member).filter(|(circuit, _)| *circuit == line.circuit).map(|(_, link)| *link)
    }

    /// The link to a member, on whatever circuit.
    pub fn circuit_to(&self, member: Member) -> Option<LinkId> {
        self.circuits.get(&member).map(|(_, link)| *link)
    }

    /// How many circuits there are.
    pub fn circuits(&self) -> usize {
        self.circuits.len()
    }

    /// A member is gone: its link, if there is one.
    pub fn leave(&mut self, member: Member) -> Option<LinkId> {
        self.redials.remove(&member);
        self.circuits.remove(&member).map(|(_, link)| link)
    }

    /// Dials a member again, later each time.
    pub fn redial_later(&mut self, member: Member, now: Time, random: &mut Random) {
        let redial = self.redials.get_or_insert_with(member, || Redial { at: None, attempts: 0 });
        redial.at = Some(now + backoff(limits::RETRY_FIRST, limits::RETRY_MAX, redial.attempts, random));
        redial.attempts = redial.attempts.saturating_add(1);
    }

    /// A member proved the drive key: the next redial, if one is needed, comes soon.
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

    /// When a member is to be dialled again, or a sign of life is overdue.
    pub fn next_timeout(&self) -> Option<Time> {
        self.redials.values().filter_map(|redial| redial.at).chain(self.signs.next_timeout()).min()
    }

    /// Its socket is over: forgets every circuit, and gives their links.
    pub fn take_links(&mut self) -> Vec<LinkId> {
        self.signs = SignsOfLife::default();
        self.redials.clear();
        self.last_circuit = 0;
        std::mem::take(&mut self.circuits).into_values().map(|(_, link)| link).collect()
    }
}
