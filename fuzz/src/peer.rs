//! What was told of one device of a remote, and what it was sent: in order, and once.

use std::collections::BTreeMap;

use peersockets_core::channel::peersockets::Incarnation;
use peersockets_core::swarm::PeerId;
use peersockets_core::wire::encoding::Reader;

#[derive(Default)]
pub struct Peer {
    /// Once it has joined.
    pub id: Option<PeerId>,
    pub is_here: bool,
    /// The highest number that was given out.
    pub most: u64,
    /// The remote's end that was heard last, and the number of its next message.
    heard: Option<(Incarnation, u64)>,
    has_left_since: bool,
    /// What was sent to it, by the ends of the session and number.
    numbered: BTreeMap<(u32, u64, u64), u32>,
}

impl Peer {
    pub fn join(&mut self, id: PeerId) {
        assert!(!self.is_here && self.id.is_none_or(|known| known == id));
        (self.is_here, self.id) = (true, Some(id));
    }

    pub fn leave(&mut self) {
        (self.is_here, self.has_left_since) = (false, true);
    }

    /// A message of its is given out, which says whose it is and its number.
    pub fn hear(&mut self, message: &[u8]) {
        let mut reader = Reader::new(message);
        let mut uint = || reader.uint().expect("a number");
        let (of, number) = (Incarnation { device: [uint() as u8; 32], epoch: uint() }, uint());
        let goes_on = self.heard == Some((of, number));
        let begins = number == 1 && (self.heard.is_none() || self.has_left_since);
        assert!(goes_on || begins, "{number} of {of:?} behind {:?}", self.heard);
        self.heard = Some((of, number + 1));
        self.has_left_since = false;
        self.most = self.most.max(number);
    }

    /// It reads a message of ours, which has this number in the session of these two ends.
    pub fn read(&mut self, theirs: u32, ours: u64, number: u64, sent: u32) {
        let session = |number| (theirs, ours, number);
        let before = *self.numbered.entry(session(number)).or_insert(sent);
        assert_eq!(before, sent, "another message has the number {number}");
        let last = self.numbered.range(session(0)..session(number)).next_back();
        assert!(last.is_none_or(|(_, last)| *last < sent), "{sent} comes behind a later one");
    }
}
