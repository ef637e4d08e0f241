//! What a hostile relay does to the bytes of circuits.

use std::collections::VecDeque;

use peersockets_core::random::Random;
use peersockets_core::rendezvous::{Line, Member};

/// One kind of damage to a piece of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A bit is flipped.
    Flip,
    /// It is swallowed.
    Drop,
    /// It comes twice.
    Repeat,
    /// It comes behind the next one.
    Swap,
    /// It comes much later, when the next has long gone.
    Delay,
    /// Bytes of nobody come before it.
    Inject,
    /// A piece that was recorded on an older circuit comes before it.
    Replay,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Flip, Self::Drop, Self::Repeat, Self::Swap, Self::Delay, Self::Inject, Self::Replay];
}

/// A piece on its way: to which member, on which line, with these bytes.
pub type Piece = (Member, Line, Vec<u8>);

/// Damages pieces at random.
pub struct Mischief {
    random: Random,
    /// How many of all pieces are damaged, from 0 to 1.
    pub rate: f64,
    /// How often each kind of damage was done, in the order of [`Fault::ALL`].
    pub counts: [u64; 7],
    /// What becomes of the next pieces, before chance decides.
    ordered: VecDeque<Fault>,
    /// How often credit was kept back, and how often more was promised than there is.
    pub credit_counts: [u64; 2],
    /// Pieces that come later: behind so many others.
    held: Vec<(usize, Piece)>,
    recorded: Vec<Vec<u8>>,
}

/// Pieces that are recorded to be replayed.
const RECORDED: usize = 64;
/// Pieces that are held back at most.
const HELD: usize = 8;
/// Pieces that a delayed one comes behind.
const LATE: usize = 10;

impl Mischief {
    /// Damages this share of all pieces.
    pub fn new(rate: f64, random: Random) -> Self {
        Self {
            random,
            rate,
            counts: [0; 7],
            credit_counts: [0; 2],
            ordered: VecDeque::new(),
            held: Vec::new(),
            recorded: Vec::new(),
        }
    }

    /// Damages a piece in this way: the next one, behind those that were ordered before.
    pub fn order(&mut self, fault: Fault) {
        self.ordered.push_back(fault);
    }

    /// What becomes of a piece.
    pub(crate) fn pass(&mut self, piece: Piece) -> Vec<Piece> {
        let (to, line, bytes) = piece;
        let mut passed = Vec::new();
        if let Some(fault) = self.next_fault() {
            self.counts[fault as usize] += 1;
            if let Some(early) = self.damage(fault, &(to, line, bytes.clone())) {
                passed = early;
            }
        } else {
            passed.push((to, line, bytes.clone()));
            passed.append(&mut self.release());
        }
        self.record(bytes);
        passed
    }

    fn next_fault(&mut self) -> Option<Fault> {
        let by_chance = self.random.fraction() < self.rate;
        self.ordered.pop_front().or_else(|| by_chance.then(|| Fault::ALL[self.below(Fault::ALL.len())]))
    }

    /// How much of what is lent a sender is told of: none, or more than there is, as often as pieces are damaged.
    pub(crate) fn lend(&mut self, lent: u64) -> u64 {
        if self.random.fraction() >= self.rate {
            return lent;
        }
        let kind = self.below(2);
        self.credit_counts[kind] += 1;
        if kind == 0 { 0 } else { lent + 1_000 + self.below(100_000) as u64 }
    }

    fn damage(&mut self, fault: Fault, piece: &Piece) -> Option<Vec<Piece>> {
        let (to, line, bytes) = piece;
        Some(match fault {
            Fault::Flip => {
                let mut flipped = bytes.clone();
                let at = self.below(flipped.len());
                flipped[at] ^= 1 << self.below(8);
                vec![(*to, *line, flipped)]
            }
            Fault::Drop => return None,
            Fault::Repeat => vec![piece.clone(), piece.clone()],
            Fault::Swap | Fault::Delay => {
                if self.held.len() < HELD {
                    self.held.push((if fault == Fault::Swap { 1 } else { LATE }, piece.clone()));
                }
                return None;
            }
            Fault::Inject => {
                let mut noise = vec![0; 1 + self.below(200)];
                noise.iter_mut().for_each(|byte| *byte = self.random.bytes::<1>()[0]);
                vec![(*to, *line, noise), piece.clone()]
            }
            Fault::Replay => {
                let index = self.below(self.recorded.len().max(1));
                let old = self.recorded.get(index).cloned();
                old.into_iter().map(|old| (*to, *line, old)).chain([piece.clone()]).collect()
            }
        })
    }

    /// The held pieces whose turn it is.
    fn release(&mut self) -> Vec<Piece> {
        self.held.iter_mut().for_each(|(behind, _)| *behind -= 1);
        self.held.extract_if(.., |(behind, _)| *behind == 0).map(|(_, piece)| piece).collect()
    }

    fn record(&mut self, bytes: Vec<u8>) {
        if self.recorded.len() < RECORDED {
            self.recorded.push(bytes);
        } else {
            let index = self.below(RECORDED);
            self.recorded[index] = bytes;
        }
    }

    fn below(&mut self, count: usize) -> usize {
        (u32::from_le_bytes(self.random.bytes()) as usize) % count.max(1)
    }
}
