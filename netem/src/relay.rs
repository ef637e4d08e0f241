//! A relay that follows PROTOCOL.md §3 on honest input, and its moods.

use std::collections::BTreeMap;

use peersockets_core::limits;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member, ToRelay};
use peersockets_core::swarm::{SocketFailure, SocketId};
use peersockets_core::time::Time;

use crate::impostor::Impostor;
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
    pub(crate) held: Vec<Delivery>,
    pub(crate) members: BTreeMap<Member, (usize, SocketId)>,
    last_member: Member,
    /// Changes or swallows what is forwarded.
    pub tamper: Option<fn(&mut Vec<u8>) -> bool>,
    /// Damages what is forwarded, at random.
    pub mischief: Option<Mischief>,
    /// What it says on links of its own.
    pub impostor: Impostor,
}

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
            held: Vec::new(),
            members: BTreeMap::new(),
            last_member: 0,
            tamper: None,
            mischief: None,
            impostor: Impostor::default(),
        }
    }
}

impl World {
    /// Cuts a relay off: its sockets close, and it answers nobody until it is up again.
    pub fn stop_relay(&mut self, relay: usize) {
        self.relays[relay].is_up = false;
        self.relays[relay].members.clear();
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

    /// Lets a relay that lagged hand over what it held back.
    pub fn release(&mut self, relay: usize) {
        self.relays[relay].is_lagging = false;
        for delivery in std::mem::take(&mut self.relays[relay].held) {
            self.send(delivery);
        }
        self.settle();
    }

    /// Lets a relay claim to a device that every other member left.
    pub fn claim_left(&mut self, device: usize, relay: usize) {
        let told = self.member(relay, device);
        let members = &self.relays[relay].members;
        let others: Vec<Member> = members.keys().copied().filter(|member| Some(*member) != told).collect();
        for other in others {
            self.tell(relay, told.expect("it is a member"), &FromRelay::Left(other));
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
            let others: Vec<Member> = members.keys().copied().collect();
            if self.relays[relay].is_discreet {
                return;
            }
            for other in others {
                self.tell(relay, other, &FromRelay::Left(member));
            }
        }
    }

    pub(crate) fn relay_message(&mut self, relay: usize, device: usize, socket: SocketId, message: &[u8]) {
        let frame = ToRelay::decode(message).expect("a device writes well-formed frames");
        let sender =
            self.relays[relay].members.iter().find(|(_, at)| **at == (device, socket)).map(|(member, _)| *member);
        match (frame, sender) {
            (ToRelay::Join { .. }, None) if self.relays[relay].is_mute => {}
            (ToRelay::Join { .. }, None) => {
                // One room a relay, whatever its name: so a stranger who learned a rendezvous id is in it too.
                let member = self.next_member(relay);
                let present = self.relays[relay].members.keys().copied().collect();
                self.relays[relay].members.insert(member, (device, socket));
                self.tell(relay, member, &FromRelay::Welcome { member, present });
                if self.relays[relay].is_moody {
                    self.tell(relay, member, &FromRelay::Refused { code: "too-fast", text: "not now" });
                }
            }
            (ToRelay::Dial(line), Some(sender)) => {
                assert!(line.member < sender, "only the newcomer dials");
                self.relays[relay].dials += 1;
                let back = Line { member: sender, ..line };
                if self.relays[relay].members.contains_key(&line.member) {
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
            (ToRelay::Hangup(line, reason), Some(sender)) => {
                self.tell(relay, line.member, &FromRelay::HungUp(Line { member: sender, ..line }, reason));
            }
            (frame, sender) => {
                panic!("{} from {sender:?} is out of turn", format!("{frame:?}").chars().take(60).collect::<String>())
            }
        }
    }

    pub(crate) fn tell(&mut self, relay: usize, member: Member, frame: &FromRelay<'_>) {
        if let Some((device, socket)) = self.relays[relay].members.get(&member).copied() {
            let mut message = Vec::new();
            frame.encode(&mut message);
            let delivery = Delivery::ToDevice { device, socket, message };
            if self.relays[relay].is_lagging {
                self.relays[relay].held.push(delivery);
            } else {
                self.send(delivery);
            }
        }
    }
}
