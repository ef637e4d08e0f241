//! What a hostile relay says of members and circuits, and is not so.

use peersockets_core::random::Random;
use peersockets_core::rendezvous::{FromRelay, HangupReason, Line, Member};

use crate::relay::Relay;
use crate::world::World;

/// One kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// That a member left.
    Left,
    /// That a member dials.
    Dialed,
    /// That a circuit is over.
    HungUp,
    /// That a member is not in the room, to one who comes.
    Absent,
    /// That one is in it who is not.
    Present,
}

impl Lie {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Left, Self::Dialed, Self::HungUp, Self::Absent, Self::Present];
}

/// Members that are made up in one WELCOME, at most.
const MADE_UP: usize = 4;

impl World {
    /// Lets a relay claim to a device that every other member left.
    pub fn claim_left(&mut self, device: usize, relay: usize) {
        let told = self.member(relay, device).expect("it is a member");
        for other in self.members(relay).into_iter().filter(|member| *member != told) {
            self.lie(relay, told, Lie::Left, &FromRelay::Left(other));
        }
        self.settle();
    }

    /// Lets a relay claim to a device that every member which came later dials it.
    pub fn claim_dials(&mut self, device: usize, relay: usize) {
        let told = self.member(relay, device).expect("it is a member");
        for member in self.members(relay).into_iter().filter(|member| *member > told) {
            self.lie(relay, told, Lie::Dialed, &FromRelay::Dialed(Line { member, circuit: 1_000_000 }));
        }
        self.settle();
    }

    /// Lets a relay claim to a device that each of its circuits was ended at the other end, for this reason.
    pub fn claim_hangups(&mut self, device: usize, relay: usize, reason: HangupReason) {
        let told = self.member(relay, device).expect("it is a member");
        self.relays[relay].has_parted |= !reason.allows_redial();
        for line in self.relays[relay].circuits_of(told) {
            self.lie(relay, told, Lie::HungUp, &FromRelay::HungUp(line, reason));
        }
        self.settle();
    }

    fn lie(&mut self, relay: usize, told: Member, lie: Lie, frame: &FromRelay<'_>) {
        self.relays[relay].lies[lie as usize] += 1;
        self.tell(relay, told, frame);
    }
}

impl Relay {
    /// Whom it tells the next newcomer of: some of those who are there, and some who are not.
    pub(crate) fn welcome_falsely(
        &mut self,
        newcomer: Member,
        present: Vec<Member>,
        random: &mut Random,
    ) -> Vec<Member> {
        let count = present.len();
        let mut told: Vec<Member> = present.iter().copied().filter(|_| random.fraction() < 0.5).collect();
        self.lies[Lie::Absent as usize] += (count - told.len()) as u64;
        self.has_parted |= told.len() < count;
        for _ in 0..MADE_UP {
            let member = 1 + u64::from(u32::from_le_bytes(random.bytes())) % newcomer;
            if member < newcomer && !present.contains(&member) && !told.contains(&member) {
                self.lies[Lie::Present as usize] += 1;
                told.push(member);
            }
        }
        told
    }
}
