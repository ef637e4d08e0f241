//! What a hostile relay says on links of its own: it knows who is in the room and what passed there, and has no drive key.

use std::collections::BTreeMap;

use peersockets_core::channel::peersockets::{Incarnation, MESSAGE, PROTOCOL, RESUME, Standing, TOPIC, open_handshake};
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::rendezvous::{FromRelay, Line, Member};
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use peersockets_core::wire::encoding::Encode;

use crate::world::{World, drive};

/// A relay's own links, and the links that it recorded.
#[derive(Default)]
pub struct Impostor {
    /// The secret streams of links that it began, by the member that it says they come from.
    forged: BTreeMap<Member, Secure>,
    /// The beginnings of circuits: what each end wrote.
    recorded: BTreeMap<(Member, Member, u64), Vec<Vec<u8>>>,
    /// Sessions that it claimed to resume, with a complete handshake.
    pub resumes_forged: u64,
    /// Old links that it began again, word for word.
    pub links_replayed: u64,
}

/// Circuits of which the beginning is recorded, and how much of each.
const RECORDED: usize = 32;
const BEGINNING: usize = 8;

impl World {
    /// Lets a relay dial a device and claim to resume a session. What it says then is in a stream of its own.
    pub fn forge_resume(&mut self, relay: usize, device: usize, random: &mut Random) {
        let entropy = Entropy { ephemeral: random.bytes(), header: random.bytes() };
        let key = DeviceKey::from_seed(random.bytes());
        let mut secure = Secure::new(Role::Initiator, &key, entropy);
        let first = secure.take_output(usize::MAX);
        if let Some((member, line)) = self.dial_as_nobody(relay, device) {
            self.relays[relay].impostor.forged.insert(line.member, secure);
            self.tell(relay, member, &FromRelay::Data(line, &first));
        }
    }

    /// Lets a relay dial a device and say what was said on an older circuit.
    pub fn replay_link(&mut self, relay: usize, device: usize, random: &mut Random) {
        let recorded: Vec<Vec<Vec<u8>>> = self.relays[relay].impostor.recorded.values().cloned().collect();
        let choice = u32::from_le_bytes(random.bytes()) as usize % recorded.len().max(1);
        let Some(pieces) = recorded.get(choice) else {
            return;
        };
        if let Some((member, line)) = self.dial_as_nobody(relay, device) {
            for piece in pieces {
                self.tell(relay, member, &FromRelay::Data(line, piece));
            }
            self.relays[relay].impostor.links_replayed += 1;
        }
    }

    /// A circuit from a member that does not exist.
    fn dial_as_nobody(&mut self, relay: usize, device: usize) -> Option<(Member, Line)> {
        let member = self.member(relay, device)?;
        let line = Line { member: self.next_member(relay), circuit: 1 };
        self.tell(relay, member, &FromRelay::Dialed(line));
        Some((member, line))
    }

    /// A device writes on a circuit: what the relay makes of it, and whether it was meant for itself.
    pub(crate) fn overhear(&mut self, relay: usize, from: Member, line: Line, bytes: &[u8]) -> bool {
        let impostor = &mut self.relays[relay].impostor;
        let Some(secure) = impostor.forged.get_mut(&line.member) else {
            impostor.record((from, line.member, line.circuit), bytes);
            return false;
        };
        secure.handle_bytes(bytes);
        let mut has_opened = false;
        while let Ok(Some(_)) = secure.poll_frame(limits::FRAME) {
            has_opened = true;
        }
        if has_opened {
            impostor.resumes_forged += u64::from(claim(secure));
        }
        let answer = secure.take_output(limits::CIRCUIT_CHUNK);
        if !answer.is_empty() {
            self.tell(relay, from, &FromRelay::Data(line, &answer));
        }
        true
    }
}

impl Impostor {
    fn record(&mut self, circuit: (Member, Member, u64), bytes: &[u8]) {
        if self.recorded.len() >= RECORDED && !self.recorded.contains_key(&circuit) {
            return;
        }
        let pieces = self.recorded.entry(circuit).or_default();
        if pieces.len() < BEGINNING {
            pieces.push(bytes.to_vec());
        }
    }
}

/// An Open with the proof of another drive key, and what would follow it in a session. That it knows the channel's id, which no relay
/// does, takes it as far as the proof.
fn claim(secure: &mut Secure) -> bool {
    let Some(hash) = secure.handshake_hash().copied() else {
        return false;
    };
    let end = |byte| Incarnation { device: [byte; 32], epoch: 0 };
    let standing = Standing { own: end(1), other: Some(end(2)), received: 1 };
    let mut open = vec![0, 1, 1];
    open.put_string(PROTOCOL);
    open.put_buffer(&drive(1).channel_id(&hash));
    open.extend(open_handshake(&drive(0xee), Role::Initiator, &hash, &standing.into()));
    let resume = vec![1, RESUME as u8, 1];
    let mut topic = vec![1, TOPIC as u8, 0];
    topic.put_string("chat");
    let message = [&[1, MESSAGE as u8, 0][..], &[0; 20]].concat();
    [open, resume, topic, message].into_iter().all(|frame| secure.seal(frame))
}
