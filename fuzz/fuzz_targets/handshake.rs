//! Both ends of a secret stream, and a carrier that passes on, changes and invents bytes at every state: an end never opens
//! anything but what the other sealed, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::limits;
use peersockets_core::secure::{Role, Secure};
use peersockets_fuzz::{Step, device, entropy, steps};

struct End {
    secure: Secure,
    /// What it wrote and the carrier still has.
    written: Vec<u8>,
    sealed: Vec<Vec<u8>>,
    opened: Vec<Vec<u8>>,
}

impl End {
    fn new(role: Role, number: u8) -> Self {
        let secure = Secure::new(role, &device(number), entropy(number));
        Self { secure, written: Vec::new(), sealed: Vec::new(), opened: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.secure.handle_bytes(bytes);
        while let Ok(Some(plaintext)) = self.secure.poll_frame(limits::FRAME) {
            self.opened.push(plaintext);
        }
        self.written.extend(self.secure.take_output(usize::MAX));
    }

    fn seal(&mut self, plaintext: &[u8]) {
        if self.secure.seal(plaintext.to_vec()) {
            // An empty one is a keepalive, which nobody sees.
            self.sealed.extend((!plaintext.is_empty()).then(|| plaintext.to_vec()));
            self.written.extend(self.secure.take_output(usize::MAX));
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut ends = [End::new(Role::Initiator, 1), End::new(Role::Responder, 2)];
    ends.iter_mut().for_each(|end| end.read(&[]));
    for Step { what, bytes } in steps(input).take(64) {
        let [initiator, responder] = &mut ends;
        let (from, to) = if what & 1 == 0 { (initiator, responder) } else { (responder, initiator) };
        match what >> 1 & 3 {
            0 => to.read(&std::mem::take(&mut from.written)),
            1 => to.read(bytes),
            2 => from.seal(bytes),
            _ => {
                // The bytes say which byte to change, how, and how many to hold back.
                let [at, change, hold, ..] = bytes else { continue };
                let rest = from.written.split_off(from.written.len().saturating_sub(usize::from(*hold)));
                let mut changed = std::mem::replace(&mut from.written, rest);
                if let Some(byte) = changed.get_mut(usize::from(*at)) {
                    *byte ^= change;
                }
                to.read(&changed);
            }
        }
    }
    let [initiator, responder] = &ends;
    for (from, to) in [(initiator, responder), (responder, initiator)] {
        assert!(from.sealed.starts_with(&to.opened), "{:?} was opened, {:?} was sealed", to.opened, from.sealed);
        if let (Some(hash), Some(other)) = (to.secure.handshake_hash(), from.secure.handshake_hash()) {
            assert!(to.opened.is_empty() || hash == other, "both are in one handshake");
        }
    }
});
