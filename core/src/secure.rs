//! The secret stream of one link: Noise XX over Ed25519, then libsodium's secretstream, byte-compatible with npm
//! `@hyperswarm/secret-stream` (PROTOCOL.md §5, §6).
//!
//! Bytes in, frames out. Randomness comes as [`Entropy`]; nothing can be sealed before the handshake is complete.

mod noise;

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Mac};
use crypto_secretstream::{Header, Key, PullStream, PushStream, Tag};

use crate::error::LinkError;
use crate::limits;
use crate::wire::framing::{self, FrameReader};

use noise::{Handshake, Session};

pub use noise::DeviceKey;

/// Bytes that sealing adds to a plaintext, without the frame's length field.
pub const SEAL_OVERHEAD: usize = 17;
/// Largest plaintext that fits [`limits::SEALED_FRAME`].
pub const PLAINTEXT: usize = limits::SEALED_FRAME - framing::HEADER - SEAL_OVERHEAD;

/// Which side of a link: the dialler is the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that dialled.
    Initiator,
    /// The side that was dialled.
    Responder,
}

impl Role {
    /// The role of the other side.
    pub fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// The randomness of one link. Using it twice breaks the encryption.
#[derive(Clone)]
pub struct Entropy {
    /// Seed of the ephemeral key.
    pub ephemeral: [u8; 32],
    /// Header of the secretstream.
    pub header: [u8; 24],
}

/// One link's encryption.
pub struct Secure {
    role: Role,
    phase: Phase,
    reader: FrameReader,
    output: Vec<u8>,
    /// How much of `output` has been taken.
    taken: usize,
    header: [u8; 24],
    has_heard_keepalive: bool,
}

enum Phase {
    Handshake(Box<Handshake>),
    Established(Box<Established>),
    Failed(LinkError),
}

struct Established {
    remote: [u8; 32],
    handshake_hash: [u8; 64],
    receive_key: Key,
    push: PushStream,
    /// Absent until the remote's header has come.
    pull: Option<PullStream>,
}

impl Secure {
    /// Starts a link. The initiator has its first message in the output at once.
    pub fn new(role: Role, device: &DeviceKey, entropy: Entropy) -> Self {
        let handshake = Handshake::new(role, device.clone(), entropy.ephemeral);
        let mut secure = Self {
            role,
            phase: Phase::Handshake(Box::new(handshake)),
            reader: FrameReader::default(),
            output: Vec::new(),
            taken: 0,
            header: entropy.header,
            has_heard_keepalive: false,
        };
        if let Err(error) = secure.go_on() {
            secure.phase = Phase::Failed(error);
        }
        secure
    }

    /// Our side of the link.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The remote's device key, once the handshake has proved it.
    pub fn remote(&self) -> Option<[u8; 32]> {
        self.established().map(|established| established.remote)
    }

    /// The hash that binds whatever is said to this handshake, once it is complete.
    pub fn handshake_hash(&self) -> Option<&[u8; 64]> {
        self.established().map(|established| &established.handshake_hash)
    }

    /// Whether frames can be sealed.
    pub fn is_established(&self) -> bool {
        self.established().is_some()
    }

    /// Bytes of sealed output that wait to be taken.
    pub fn output_length(&self) -> usize {
        self.output.len() - self.taken
    }

    /// Takes at most `limit` bytes of what is to be written to the link.
    pub fn take_output(&mut self, limit: usize) -> Vec<u8> {
        if self.taken == 0 && self.output.len() <= limit {
            return std::mem::take(&mut self.output);
        }
        let end = self.output.len().min(self.taken.saturating_add(limit));
        let taken = self.output[self.taken..end].to_vec();
        self.taken = end;
        // Moving the rest to the front each time would be a long way for a long frame, and never would keep what has been taken.
        let rest = self.output.len() - end;
        if rest == 0 {
            self.output = Vec::new();
            self.taken = 0;
        } else if rest <= self.taken {
            self.output.drain(..self.taken);
            self.taken = 0;
        }
        taken
    }

    /// Whether an empty frame has come since this was asked last.
    pub fn take_keepalive(&mut self) -> bool {
        std::mem::take(&mut self.has_heard_keepalive)
    }

    /// Adds bytes that arrived; [`Secure::poll_frame`] then gives what they hold.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.reader.push(bytes);
        }
    }

    /// The next plaintext frame of at most `limit` sealed bytes. After an error there is nothing more but that error.
    pub fn poll_frame(&mut self, limit: usize) -> Result<Option<Vec<u8>>, LinkError> {
        let polled = self.next_plaintext(limit);
        if let Err(error) = polled {
            self.phase = Phase::Failed(error);
            self.reader = FrameReader::default();
        }
        polled
    }

    /// Seals one plaintext frame into the output. Before the handshake is complete it does nothing and says `false`: what
    /// would be sent then could be read by anyone.
    #[must_use]
    pub fn seal(&mut self, mut plaintext: Vec<u8>) -> bool {
        let Phase::Established(established) = &mut self.phase else {
            return false;
        };
        if plaintext.len() > limits::UINT24 - SEAL_OVERHEAD || push(&mut established.push, &mut plaintext).is_err() {
            return false;
        }
        framing::put_header(&mut self.output, plaintext.len());
        self.output.extend_from_slice(&plaintext);
        true
    }

    fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(established) => Some(established),
            _ => None,
        }
    }

    fn next_plaintext(&mut self, limit: usize) -> Result<Option<Vec<u8>>, LinkError> {
        loop {
            if let Phase::Failed(error) = self.phase {
                return Err(error);
            }
            let Some(frame) = self.reader.next_frame(limit)? else {
                return Ok(None);
            };
            let frame = frame.to_vec();
            match &mut self.phase {
                Phase::Handshake(handshake) => {
                    handshake.read(&frame)?;
                    self.go_on()?;
                }
                Phase::Established(established) => match &mut established.pull {
                    None => {
                        established.pull = Some(open_header(self.role, established, &frame)?);
                    }
                    Some(stream) => {
                        let plaintext = pull(stream, frame)?;
                        if !plaintext.is_empty() {
                            return Ok(Some(plaintext));
                        }
                        self.has_heard_keepalive = true;
                    }
                },
                Phase::Failed(error) => return Err(*error),
            }
        }
    }

    /// Says what is ours to say of the handshake, and begins the streams when it is complete.
    fn go_on(&mut self) -> Result<(), LinkError> {
        let Phase::Handshake(handshake) = &mut self.phase else {
            return Ok(());
        };
        if handshake.is_our_turn() {
            let message = handshake.write()?;
            framing::put_header(&mut self.output, message.len());
            self.output.extend_from_slice(&message);
        }
        if let Some(session) = handshake.session() {
            self.establish(session);
        }
        Ok(())
    }

    fn establish(&mut self, Session { remote, handshake_hash, send, receive }: Session) {
        let (header, push) = PushStream::init(FixedHeader(self.header), &Key::from(send));
        framing::put_header(&mut self.output, 32 + self.header.len());
        self.output.extend_from_slice(&stream_id(self.role, &handshake_hash));
        self.output.extend_from_slice(header.as_ref());
        let receive_key = Key::from(receive);
        self.phase =
            Phase::Established(Box::new(Established { remote, handshake_hash, receive_key, push, pull: None }));
    }
}

fn open_header(role: Role, established: &Established, message: &[u8]) -> Result<PullStream, LinkError> {
    let (id, header) = message.split_at_checked(32).ok_or(LinkError::StreamId)?;
    if id != stream_id(role.other(), &established.handshake_hash) {
        return Err(LinkError::StreamId);
    }
    let header = Header::try_from(header).map_err(|_| LinkError::StreamId)?;
    Ok(PullStream::init(header, &established.receive_key))
}

/// `namespace("hyperswarm/secret-stream")[0]`
const INITIATOR_STREAM: [u8; 32] = [
    0xa9, 0x31, 0xa0, 0x15, 0x5b, 0x5c, 0x09, 0xe6, 0xd2, 0x86, 0x28, 0x23, 0x6a, 0xf8, 0x3c, 0x4b, 0x8a, 0x6a, 0xf9,
    0xaf, 0x60, 0x98, 0x6e, 0xde, 0xed, 0xe9, 0xdc, 0x5d, 0x63, 0x19, 0x2b, 0xf7,
];
/// `namespace("hyperswarm/secret-stream")[1]`
const RESPONDER_STREAM: [u8; 32] = [
    0x74, 0x2c, 0x9d, 0x83, 0x3d, 0x43, 0x0a, 0xf4, 0xc4, 0x8a, 0x87, 0x05, 0xe9, 0x16, 0x31, 0xee, 0xcf, 0x29, 0x54,
    0x42, 0xbb, 0xca, 0x18, 0x99, 0x6e, 0x59, 0x70, 0x97, 0x72, 0x3b, 0x10, 0x61,
];

fn stream_id(sender: Role, handshake_hash: &[u8; 64]) -> [u8; 32] {
    let constant = match sender {
        Role::Initiator => INITIATOR_STREAM,
        Role::Responder => RESPONDER_STREAM,
    };
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(handshake_hash).expect("64 bytes are a BLAKE2b key");
    mac.update(&constant);
    mac.finalize_fixed().into()
}

#[cfg(not(feature = "unsealed"))]
fn push(stream: &mut PushStream, frame: &mut Vec<u8>) -> Result<(), LinkError> {
    stream.push(frame, &[], Tag::Message).map_err(|_| LinkError::Damaged)
}

#[cfg(not(feature = "unsealed"))]
fn pull(stream: &mut PullStream, mut frame: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    stream.pull(&mut frame, &[]).map_err(|_| LinkError::Damaged)?;
    Ok(frame)
}

/// The positive control of the test that searches a relay's record for what must not be there. Never shipped.
#[cfg(feature = "unsealed")]
fn push(_: &mut PushStream, frame: &mut Vec<u8>) -> Result<(), LinkError> {
    let _ = Tag::Message;
    frame.extend_from_slice(&[0; SEAL_OVERHEAD]);
    Ok(())
}

#[cfg(feature = "unsealed")]
fn pull(_: &mut PullStream, mut frame: Vec<u8>) -> Result<Vec<u8>, LinkError> {
    let length = frame.len().checked_sub(SEAL_OVERHEAD).ok_or(LinkError::Damaged)?;
    frame.truncate(length);
    Ok(frame)
}

/// The "random source" of `PushStream::init`, which asks it for the header and for nothing else.
struct FixedHeader([u8; 24]);

impl rand_core::RngCore for FixedHeader {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        let length = out.len().min(self.0.len());
        out[..length].copy_from_slice(&self.0[..length]);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl rand_core::CryptoRng for FixedHeader {}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 1_000;

    #[test]
    fn what_was_taken_is_not_kept_though_something_always_waits() {
        let mut secure = established();
        assert!(secure.seal(vec![0; 1]));
        let waiting = secure.output_length();
        for _ in 0..100 {
            assert!(secure.seal(vec![0; LENGTH]));
            let sealed = secure.output_length() - waiting;
            assert_eq!(secure.take_output(sealed).len(), sealed);
            assert!(secure.output.capacity() <= 8 * LENGTH, "{} bytes", secure.output.capacity());
        }
    }

    fn established() -> Secure {
        let [mut one, mut other] = [(Role::Initiator, 1), (Role::Responder, 2)].map(|(role, seed)| {
            let entropy = Entropy { ephemeral: [seed; 32], header: [seed; 24] };
            Secure::new(role, &DeviceKey::from_seed([seed; 32]), entropy)
        });
        while !(one.is_established() && other.is_established()) {
            other.handle_bytes(&one.take_output(usize::MAX));
            assert_eq!(other.poll_frame(limits::SEALED_FRAME), Ok(None));
            one.handle_bytes(&other.take_output(usize::MAX));
            assert_eq!(one.poll_frame(limits::SEALED_FRAME), Ok(None));
        }
        one
    }
}
