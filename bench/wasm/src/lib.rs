//! Both ends of a link's secret stream, as a page has them: compiled as what pages download, with one copy of a message each way.

use peersockets_core::limits;
use peersockets_core::secure::{DeviceKey, Entropy, Role, Secure};
use wasm_bindgen::prelude::wasm_bindgen;

/// A sender and a receiver.
#[wasm_bindgen]
pub struct Ends {
    sender: Secure,
    receiver: Secure,
}

#[wasm_bindgen]
impl Ends {
    /// Two that have met.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript knows no Default")]
    pub fn new() -> Self {
        let end = |role, number| {
            let entropy = Entropy { ephemeral: [number; 32], header: [number; 24] };
            Secure::new(role, &DeviceKey::from_seed([number; 32]), entropy)
        };
        let (mut sender, mut receiver) = (end(Role::Initiator, 1), end(Role::Responder, 2));
        // Three messages of the handshake, and the headers of both streams.
        for _ in 0..3 {
            pass(&mut sender, &mut receiver);
            pass(&mut receiver, &mut sender);
        }
        Self { sender, receiver }
    }

    /// Seals a message.
    pub fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        assert!(self.sender.seal(message.to_vec()));
        self.sender.take_output(usize::MAX)
    }

    /// Opens what was sealed last.
    pub fn open(&mut self, sealed: &[u8]) -> Vec<u8> {
        self.receiver.handle_bytes(sealed);
        self.receiver.poll_frame(limits::UINT24).ok().flatten().unwrap_or_default()
    }

    /// Seals so many messages, and opens them at the other end, in one call. Returns how many bytes came out.
    pub fn seal_and_open(&mut self, message: &[u8], count: usize) -> usize {
        for _ in 0..count {
            assert!(self.sender.seal(message.to_vec()));
        }
        self.receiver.handle_bytes(&self.sender.take_output(usize::MAX));
        let mut opened = 0;
        while let Ok(Some(message)) = self.receiver.poll_frame(limits::UINT24) {
            opened += message.len();
        }
        opened
    }
}

fn pass(from: &mut Secure, to: &mut Secure) {
    to.handle_bytes(&from.take_output(usize::MAX));
    while let Ok(Some(_)) = to.poll_frame(limits::UINT24) {}
}
