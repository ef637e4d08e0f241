//! A relay that follows PROTOCOL.md §3 on honest input, and its moods.

use std::collections::{BTreeMap, BTreeSet};

use peersockets_core::credit::{self, Loan};
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::rendezvous::{Circuit, FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::rtc::IceServer;
use peersockets_core::swarm::{SocketFailure, SocketId};
use peersockets_core::time::{Duration, Time};

use crate::impostor::Impostor;
use crate::liar::Lie;
use crate::mischief::Mischief;
use crate::world::{Delivery, Server, World};

pub struct Relay {
    pub url: String,
    pub is_up: bool,
    /// Takes sockets and says nothing.
    pub is_mute: bool,
    /// Welcomes and then refuses.
    pub is_moody: bool,
    /// Tells nobody that a member left.
    pub is_discreet: bool,
    /// Holds back what it has for devices, until [`World::release`].
    pub is_lagging: bool,
    /// What becomes of attempts while it is down.
    pub failure: SocketFailure,
    /// Sockets that were opened to it, by whom and when.
    pub attempts: Vec<(usize, Time)>,
    /// Circuits that were dialled on it.
    pub dials: usize,
    /// Messages that it got and sent, and the bytes in them.
    pub traffic: (u64, u64),
    pub(crate) held: Vec<Delivery>,
    pub(crate) members: BTreeMap<Member, (usize, SocketId)>,
    last_member: Member,
    /// Whether it lends no credit, as those of the first build.
    pub is_old: bool,
    /// Whether it wants to be told of direct connections.
    pub counts_direct: bool,
    /// What it announces to newcomers, if there are any.
    pub ice_servers: Vec<IceServer>,
    /// Circuits whose ends are connected directly, as their diallers said: dialler, other end, number.
    direct: BTreeSet<(Member, Member, Circuit)>,
    /// What it has to lend for each circuit.
    pub pool: usize,
    /// Tells nobody of credit.
    pub is_stingy: bool,
    /// Tells of more credit than it lends.
    pub is_boastful: bool,
    /// How often a member had too little credit left to send.
    pub used_up: usize,
    /// Circuits whose sender took more than its credit.
    pub overdrawn: usize,
    /// Whether it ever told of credit that it does not lend.
    has_lied: bool,
    /// Whether it ever told of another credit than it lends.
    pub(crate) has_misled: bool,
    /// What each member may send on a circuit: sender, receiver, number.
    loans: BTreeMap<(Member, Member, Circuit), Loan>,
    /// Changes or swallows what is forwarded.
    pub tamper: Option<fn(&mut Vec<u8>) -> bool>,
    /// Damages what is forwarded, at random.
    pub mischief: Option<Mischief>,
    /// What it says on links of its own.
    pub impostor: Impostor,
    /// Tells newcomers of members that are not there, and not of all that are.
    pub false_welcomes: Option<Random>,
    /// How often it said what is not so, in the order of [`Lie::ALL`].
    pub lies: [u64; Lie::ALL.len()],
    /// Whether it may have parted two members until one of them comes anew: it hid one from the other, which had to dial, or told both
    /// that the other needs no circuit any more.
    pub(crate) has_parted: bool,
}

/// Little, so that devices run out of credit.
const POOL: usize = 64 * 1024;

impl Relay {
    pub fn named(url: &str) -> Self {
        Self {
            url: url.into(),
            is_up: true,
            is_mute: false,
            is_moody: false,
            is_discreet: false,
            is_lagging: false,
            failure: SocketFailure::Unreachable,
            attempts: Vec::new(),
            dials: 0,
            traffic: (0, 0),
            held: Vec::new(),
            members: BTreeMap::new(),
            last_member: 0,
            is_old: false,
            counts_direct: true,
            ice_servers: Vec::new(),
            direct: BTreeSet::new(),
            pool: POOL,
            is_stingy: false,
            is_boastful: false,
            used_up: 0,
            overdrawn: 0,
            has_lied: false,
            has_misled: false,
            loans: BTreeMap::new(),
            tamper: None,
            mischief: None,
            impostor: Impostor::default(),
            false_welcomes: None,
            lies: [0; Lie::ALL.len()],
            has_parted: false,
        }
    }

    /// The circuits of a member, as it names them.
    pub(crate) fn circuits_of(&self, member: Member) -> Vec<Line> {
        let own = self.loans.keys().filter(|(from, ..)| *from == member);
        own.map(|(_, to, circuit)| Line { member: *to, circuit: *circuit }).collect()
    }

    /// Credit that it has lent beyond what every circuit has.
    pub fn borrowed(&self) -> usize {
        self.loans.values().map(Loan::borrowed).sum()
    }

    /// How many pairs of its members are connected directly, as they say.
    pub fn direct_pairs(&self) -> usize {
        self.direct.len()
    }

    fn count(&mut self, message: &[u8]) {
        self.traffic.0 += 1;
        self.traffic.1 += message.len() as u64;
    }
}

impl World {
    /// Cuts a relay off: its sockets close, and it answers nobody until it is up again.
    pub fn stop_relay(&mut self, relay: usize) {
        self.relays[relay].is_up = false;
        self.relays[relay].members.clear();
        self.relays[relay].loans.clear();
        self.relays[relay].direct.clear();
        self.close_sockets_of(Server::Relay(relay));
    }

    /// Cuts one device off from one relay, as a lost connection does: both ends are told.
    pub fn cut(&mut self, device: usize, relay: usize) {
        while let Some(socket) = self.socket_to(device, Server::Relay(relay)) {
            self.close_socket(device, socket);
            self.devices[device].swarm.handle_socket_closed(self.now, socket);
        }
        self.settle();
    }

    /// Stops a relay as an operator does: it says when it will be back, and closes its sockets.
    pub fn drain_relay(&mut self, relay: usize, back_in: Duration) {
        self.announce_drain(relay, back_in);
        self.tell_all(relay, &FromRelay::Refused { code: "shutting-down", text: "" });
        self.relays[relay].is_up = false;
        self.settle();
        self.stop_relay(relay);
    }

    /// Lets a relay say that it is going away.
    pub fn announce_drain(&mut self, relay: usize, back_in: Duration) {
        self.tell_all(relay, &FromRelay::GoingAway { back_in });
        self.settle();
    }

    /// Lets a relay announce these servers from now on, and tell its members now.
    pub fn announce_ice_servers(&mut self, relay: usize, servers: Vec<IceServer>) {
        self.tell_all(relay, &FromRelay::IceServers(servers.clone()));
        self.relays[relay].ice_servers = servers;
        self.settle();
    }

    /// Lets a relay that lagged hand over what it held back.
    pub fn release(&mut self, relay: usize) {
        self.relays[relay].is_lagging = false;
        for delivery in std::mem::take(&mut self.relays[relay].held) {
            self.send(delivery);
        }
        self.settle();
    }

    /// Whether a device is in the room on a relay.
    pub fn is_member(&self, device: usize, relay: usize) -> bool {
        self.member(relay, device).is_some()
    }

    pub(crate) fn member(&self, relay: usize, device: usize) -> Option<Member> {
        let members = &self.relays[relay].members;
        members.iter().find(|(_, (of, _))| *of == device).map(|(member, _)| *member)
    }

    pub(crate) fn members(&self, relay: usize) -> Vec<Member> {
        self.relays[relay].members.keys().copied().collect()
    }

    /// A number that no member has, and none will have.
    pub(crate) fn next_member(&mut self, relay: usize) -> Member {
        self.relays[relay].last_member += 1;
        self.relays[relay].last_member
    }

    /// The socket of a device to a relay.
    pub fn socket(&self, device: usize, relay: usize) -> SocketId {
        self.socket_to(device, Server::Relay(relay)).expect("it has a socket there")
    }

    pub(crate) fn leave_relay(&mut self, relay: usize, device: usize, socket: SocketId) {
        let members = &mut self.relays[relay].members;
        let member = members.iter().find(|(_, at)| **at == (device, socket)).map(|(member, _)| *member);
        if let Some(member) = member {
            members.remove(&member);
            self.relays[relay].loans.retain(|(from, to, _), _| *from != member && *to != member);
            self.relays[relay].direct.retain(|(from, to, _)| *from != member && *to != member);
            if self.relays[relay].is_discreet {
                return;
            }
            for other in self.members(relay) {
                self.tell(relay, other, &FromRelay::Left(member));
            }
        }
    }

    pub(crate) fn relay_message(&mut self, relay: usize, device: usize, socket: SocketId, message: &[u8]) {
        let frame = ToRelay::decode(message).expect("a device writes well-formed frames");
        self.relays[relay].count(message);
        let sender =
            self.relays[relay].members.iter().find(|(_, at)| **at == (device, socket)).map(|(member, _)| *member);
        match (frame, sender) {
            (ToRelay::Join { .. }, None) if self.relays[relay].is_mute => {}
            (ToRelay::Join { .. }, None) => {
                // One room a relay, whatever its name: so a stranger who learned a rendezvous id is in it too.
                let member = self.next_member(relay);
                let mut present = self.members(relay);
                if let Some(mut random) = self.relays[relay].false_welcomes.take() {
                    present = self.relays[relay].welcome_falsely(member, present, &mut random);
                    self.relays[relay].false_welcomes = Some(random);
                }
                self.relays[relay].members.insert(member, (device, socket));
                let Relay { is_old, counts_direct, ref ice_servers, .. } = self.relays[relay];
                let (lends, counts_direct, servers) = (!is_old, !is_old && counts_direct, ice_servers.clone());
                self.tell(relay, member, &FromRelay::Welcome { member, lends, counts_direct, present });
                if !servers.is_empty() {
                    self.tell(relay, member, &FromRelay::IceServers(servers));
                }
                if self.relays[relay].is_moody {
                    self.tell(relay, member, &FromRelay::Refused { code: "too-fast", text: "not now" });
                }
            }
            (ToRelay::Dial(line), Some(sender)) => {
                assert!(line.member < sender, "only the newcomer dials");
                self.relays[relay].dials += 1;
                let back = Line { member: sender, ..line };
                if self.relays[relay].members.contains_key(&line.member) {
                    let loans = &mut self.relays[relay].loans;
                    let ends = |from, to| move |other: &(Member, Member, Circuit)| (other.0, other.1) == (from, to);
                    let (out, home) = (ends(sender, line.member), ends(line.member, sender));
                    loans.retain(|key, _| !out(key) && !home(key));
                    self.relays[relay].direct.retain(|key| !out(key));
                    let loans = &mut self.relays[relay].loans;
                    loans.insert((sender, line.member, line.circuit), Loan::default());
                    loans.insert((line.member, sender, line.circuit), Loan::default());
                    self.tell(relay, line.member, &FromRelay::Dialed(back));
                } else {
                    self.tell(relay, sender, &FromRelay::HungUp(line, HangupReason::Gone));
                }
            }
            (ToRelay::Data(line, bytes), Some(sender)) => {
                assert!((1..=limits::CIRCUIT_CHUNK).contains(&bytes.len()), "a chunk of {} bytes", bytes.len());
                if self.overhear(relay, sender, line, bytes) {
                    return;
                }
                if self.spend(relay, sender, line, bytes.len()) {
                    self.pass_on(relay, sender, line, bytes);
                }
            }
            (ToRelay::LastWords(line, bytes), Some(sender)) => {
                assert!(!self.relays[relay].is_old, "an old relay knows no last words");
                self.pass_on(relay, sender, line, bytes);
            }
            (ToRelay::Flow, Some(_)) => assert!(!self.relays[relay].is_old, "an old relay lends no credit"),
            (ToRelay::Consumed(line, amount), Some(sender)) => {
                let now = self.now;
                let Relay { loans, pool, mischief, is_stingy, is_boastful, has_lied, has_misled, .. } =
                    &mut self.relays[relay];
                if let Some(loan) = loans.get_mut(&(line.member, sender, line.circuit)) {
                    let free = pool.saturating_sub(loan.borrowed());
                    let lent = loan.consumed(now, amount, free) as u64;
                    let told = match mischief {
                        _ if *is_stingy => 0,
                        _ if *is_boastful => lent + 1_000_000,
                        Some(mischief) => mischief.lend(lent),
                        None => lent,
                    };
                    *has_lied |= told > lent;
                    *has_misled |= told != lent;
                    if told > 0 {
                        self.tell(relay, line.member, &FromRelay::Credit(Line { member: sender, ..line }, told));
                    }
                }
            }
            (ToRelay::Return(line, amount), Some(sender)) => {
                if let Some(loan) = self.relays[relay].loans.get_mut(&(sender, line.member, line.circuit)) {
                    loan.give_back(amount);
                }
            }
            (ToRelay::Direct(line, is_direct), Some(sender)) => {
                let Relay { is_old, counts_direct, loans, direct, .. } = &mut self.relays[relay];
                assert!(!*is_old && *counts_direct, "it does not count direct pairs");
                assert!(line.member < sender, "only the dialler says so");
                let circuit = (sender, line.member, line.circuit);
                if !is_direct {
                    direct.remove(&circuit);
                } else if loans.contains_key(&circuit) {
                    direct.insert(circuit);
                }
            }
            (ToRelay::Hangup(line, reason), Some(sender)) => {
                self.end_loans(relay, sender, line);
                self.tell(relay, line.member, &FromRelay::HungUp(Line { member: sender, ..line }, reason));
            }
            (frame, sender) => {
                panic!("{} from {sender:?} is out of turn", format!("{frame:?}").chars().take(60).collect::<String>())
            }
        }
    }

    /// Takes what bytes cost from their sender's credit. Returns whether they may pass.
    fn spend(&mut self, relay: usize, sender: Member, line: Line, length: usize) -> bool {
        let now = self.now;
        let Relay { loans, is_old, used_up, overdrawn, has_lied, .. } = &mut self.relays[relay];
        if *is_old {
            return true;
        }
        let Some(loan) = loans.get_mut(&(sender, line.member, line.circuit)) else {
            // It crossed a hangup on the way.
            return false;
        };
        let is_paid = loan.spend(|| now, credit::cost(length)).is_ok();
        *used_up += usize::from(is_paid && loan.is_used_up());
        if !is_paid {
            assert!(*has_lied, "{sender} sent more than its credit");
            *overdrawn += 1;
            self.end_loans(relay, sender, line);
            let violation = HangupReason::Violation;
            self.tell(relay, line.member, &FromRelay::HungUp(Line { member: sender, ..line }, violation));
            self.tell(relay, sender, &FromRelay::HungUp(line, violation));
        }
        is_paid
    }

    fn end_loans(&mut self, relay: usize, sender: Member, line: Line) {
        let Relay { loans, direct, .. } = &mut self.relays[relay];
        for circuit in [(sender, line.member, line.circuit), (line.member, sender, line.circuit)] {
            loans.remove(&circuit);
            direct.remove(&circuit);
        }
    }

    fn pass_on(&mut self, relay: usize, sender: Member, line: Line, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        if self.relays[relay].tamper.is_none_or(|tamper| tamper(&mut bytes)) {
            let piece = (line.member, Line { member: sender, ..line }, bytes);
            let pieces = match &mut self.relays[relay].mischief {
                Some(mischief) => mischief.pass(piece),
                None => vec![piece],
            };
            for (to, line, bytes) in pieces {
                self.tell(relay, to, &FromRelay::Data(line, &bytes));
            }
        }
    }

    fn tell_all(&mut self, relay: usize, frame: &FromRelay<'_>) {
        for member in self.members(relay) {
            self.tell(relay, member, frame);
        }
    }

    pub(crate) fn tell(&mut self, relay: usize, member: Member, frame: &FromRelay<'_>) {
        if let Some((device, socket)) = self.relays[relay].members.get(&member).copied() {
            let mut message = Vec::new();
            frame.encode(&mut message);
            self.relays[relay].count(&message);
            let delivery = Delivery::ToDevice { device, socket, message };
            if self.relays[relay].is_lagging {
                self.relays[relay].held.push(delivery);
            } else {
                self.send(delivery);
            }
        }
    }
}
