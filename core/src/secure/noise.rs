//! `Noise_XX_Ed25519_ChaChaPoly_BLAKE2b` with an empty prologue: Ed25519 as Diffie-Hellman, the way npm `noise-curve-ed` does it
//! (PROTOCOL.md §5).
//!
//! The state machine is ours: `snow` knows every pattern that Noise has, and was 6 kB gz of what a page downloads.

use blake2::Blake2b512;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha512};

use super::Role;
use crate::error::LinkError;

/// Bytes of a public key.
const KEY: usize = 32;
/// Bytes that the cipher adds.
const TAG: usize = 16;

/// A device's static key pair, made from 32 random bytes.
#[derive(Clone)]
pub struct DeviceKey {
    seed: [u8; 32],
    public: [u8; 32],
}

impl DeviceKey {
    /// The key pair of a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        // Not `mul_base_clamped`: its table would be a quarter of what a page downloads, to save 0.1 ms per link.
        Self { seed, public: ED25519_BASEPOINT_POINT.mul_clamped(scalar(&seed)).compress().0 }
    }

    /// What other devices know this one by.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    fn agree(&self, public: [u8; KEY]) -> Result<[u8; 32], LinkError> {
        let compressed = CompressedEdwardsY(public);
        let point = compressed.decompress().ok_or(LinkError::Handshake)?;
        // As libsodium: canonical, of large order, and without a part of small order.
        if point.compress() != compressed || point.is_small_order() || !point.is_torsion_free() {
            return Err(LinkError::Handshake);
        }
        Ok(point.mul_clamped(scalar(&self.seed)).compress().0)
    }
}

fn scalar(seed: &[u8; 32]) -> [u8; 32] {
    let digest = Sha512::digest(seed);
    let mut scalar = [0; 32];
    scalar.copy_from_slice(&digest[..32]);
    scalar
}

/// Noise's names for the parts of a message.
#[derive(Clone, Copy)]
enum Token {
    E,
    S,
    Ee,
    Es,
    Se,
}

/// What is said in turn, the initiator first. Each message ends with a payload, ours with an empty one.
const XX: [&[Token]; 3] = [&[Token::E], &[Token::E, Token::Ee, Token::S, Token::Es], &[Token::S, Token::Se]];

/// One side of the handshake. After an error it is of no use any more.
pub struct Handshake {
    role: Role,
    /// How many messages were written and read.
    said: usize,
    device: DeviceKey,
    ephemeral: DeviceKey,
    remote: [u8; KEY],
    remote_ephemeral: [u8; KEY],
    symmetric: Symmetric,
}

/// What a complete handshake gives.
pub struct Session {
    /// The remote's device key.
    pub remote: [u8; 32],
    /// Noise's `h`.
    pub handshake_hash: [u8; 64],
    /// The key of what this side sends.
    pub send: [u8; 32],
    /// The key of what it receives.
    pub receive: [u8; 32],
}

impl Handshake {
    /// A handshake of which nothing has been said.
    pub fn new(role: Role, device: DeviceKey, ephemeral_seed: [u8; 32]) -> Self {
        let ephemeral = DeviceKey::from_seed(ephemeral_seed);
        Self {
            role,
            said: 0,
            device,
            ephemeral,
            remote: [0; KEY],
            remote_ephemeral: [0; KEY],
            symmetric: Symmetric::new(),
        }
    }

    /// Whether this side is to write the next message.
    pub fn is_our_turn(&self) -> bool {
        self.said < XX.len() && self.said.is_multiple_of(2) == (self.role == Role::Initiator)
    }

    /// The next message, if it is this side's turn.
    pub fn write(&mut self) -> Result<Vec<u8>, LinkError> {
        if !self.is_our_turn() {
            return Err(LinkError::Handshake);
        }
        let mut message = Vec::new();
        for token in XX[self.said] {
            match token {
                Token::E => {
                    self.symmetric.mix_hash(&self.ephemeral.public);
                    message.extend_from_slice(&self.ephemeral.public);
                }
                Token::S => message.extend(self.symmetric.encrypt(&self.device.public)),
                agreement => self.mix_agreement(*agreement)?,
            }
        }
        message.extend(self.symmetric.encrypt(&[]));
        self.said += 1;
        Ok(message)
    }

    /// Reads the remote's next message. A payload means nothing here; JavaScript ignores it too.
    pub fn read(&mut self, mut message: &[u8]) -> Result<(), LinkError> {
        if self.said == XX.len() || self.is_our_turn() {
            return Err(LinkError::Handshake);
        }
        for token in XX[self.said] {
            match token {
                Token::E => {
                    self.remote_ephemeral = key(take(&mut message, KEY)?)?;
                    self.symmetric.mix_hash(&self.remote_ephemeral);
                }
                Token::S => self.remote = key(&self.symmetric.decrypt(take(&mut message, KEY + TAG)?)?)?,
                agreement => self.mix_agreement(*agreement)?,
            }
        }
        self.symmetric.decrypt(message)?;
        self.said += 1;
        Ok(())
    }

    /// What the handshake gives, once it is complete.
    pub fn session(&self) -> Option<Session> {
        if self.said < XX.len() {
            return None;
        }
        let (first, second) = self.symmetric.derive(&[]);
        let (send, receive) = match self.role {
            Role::Initiator => (first, second),
            Role::Responder => (second, first),
        };
        let [send, receive] = [send, receive].map(cipher_key);
        Some(Session { remote: self.remote, handshake_hash: self.symmetric.hash, send, receive })
    }

    fn mix_agreement(&mut self, token: Token) -> Result<(), LinkError> {
        let has_ephemeral =
            matches!((token, self.role), (Token::Ee, _) | (Token::Es, Role::Initiator) | (Token::Se, Role::Responder));
        let meets_ephemeral =
            matches!((token, self.role), (Token::Ee, _) | (Token::Es, Role::Responder) | (Token::Se, Role::Initiator));
        let ours = if has_ephemeral { &self.ephemeral } else { &self.device };
        let theirs = if meets_ephemeral { self.remote_ephemeral } else { self.remote };
        let shared = ours.agree(theirs)?;
        self.symmetric.mix_key(&shared);
        Ok(())
    }
}

/// Noise's `SymmetricState`, with its `CipherState`.
struct Symmetric {
    chaining_key: [u8; 64],
    hash: [u8; 64],
    /// Absent until the first agreement: what is encrypted without it stays as it is.
    cipher: Option<ChaCha20Poly1305>,
    nonce: u64,
}

impl Symmetric {
    fn new() -> Self {
        const NAME: &[u8] = b"Noise_XX_Ed25519_ChaChaPoly_BLAKE2b";
        let mut hash = [0; 64];
        hash[..NAME.len()].copy_from_slice(NAME);
        let mut symmetric = Self { chaining_key: hash, hash, cipher: None, nonce: 0 };
        // The prologue.
        symmetric.mix_hash(&[]);
        symmetric
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = Blake2b512::new().chain_update(self.hash).chain_update(data).finalize().into();
    }

    fn mix_key(&mut self, shared: &[u8]) {
        let (chaining_key, key) = self.derive(shared);
        self.chaining_key = chaining_key;
        self.cipher = Some(ChaCha20Poly1305::new(&cipher_key(key).into()));
        self.nonce = 0;
    }

    /// HKDF, which Noise calls with one length only.
    fn derive(&self, input: &[u8]) -> ([u8; 64], [u8; 64]) {
        let extracted = hmac(&self.chaining_key, &[input]);
        let first = hmac(&extracted, &[&[1]]);
        let second = hmac(&extracted, &[&first, &[2]]);
        (first, second)
    }

    fn encrypt(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut text = plaintext.to_vec();
        let nonce = self.next_nonce();
        if let Some(cipher) = &self.cipher {
            let tag = cipher.encrypt_in_place_detached(&nonce, &self.hash, &mut text);
            text.extend(tag.expect("a handshake message is far below 256 GiB"));
        }
        self.mix_hash(&text);
        text
    }

    fn decrypt(&mut self, ciphertext: &[u8]) -> Result<Vec<u8>, LinkError> {
        let mut text = ciphertext.to_vec();
        let nonce = self.next_nonce();
        if let Some(cipher) = &self.cipher {
            let length = text.len().checked_sub(TAG).ok_or(LinkError::Handshake)?;
            let tag = Tag::clone_from_slice(&text[length..]);
            text.truncate(length);
            cipher.decrypt_in_place_detached(&nonce, &self.hash, &mut text, &tag).map_err(|_| LinkError::Handshake)?;
        }
        self.mix_hash(ciphertext);
        Ok(text)
    }

    /// Four zero bytes and the counter.
    fn next_nonce(&mut self) -> Nonce {
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&self.nonce.to_le_bytes());
        self.nonce += 1;
        bytes.into()
    }
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Result<&'a [u8], LinkError> {
    let (taken, rest) = message.split_at_checked(length).ok_or(LinkError::Handshake)?;
    *message = rest;
    Ok(taken)
}

fn key(bytes: &[u8]) -> Result<[u8; KEY], LinkError> {
    bytes.try_into().map_err(|_| LinkError::Handshake)
}

/// The cipher takes the first half of a hash.
fn cipher_key(hash: [u8; 64]) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(&hash[..32]);
    key
}

/// The crate `hmac` would do, for 1 kB gz more.
fn hmac(key: &[u8; 64], parts: &[&[u8]]) -> [u8; 64] {
    let padded = |pad: u8| {
        let mut block = [pad; 128];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let mut inner = Blake2b512::new_with_prefix(padded(0x36));
    for part in parts {
        inner.update(part);
    }
    Blake2b512::new_with_prefix(padded(0x5c)).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_are_taken_and_refused_as_npm_noise_curve_ed_does_it() {
        let vectors = include_str!("../../tests/vectors/secret-stream.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("JSON");
        let bytes = |digits: &serde_json::Value| -> Option<[u8; 32]> {
            let digits = digits.as_str()?;
            let byte = |index: usize| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).expect("hex");
            Some(std::array::from_fn(byte))
        };
        let (mut taken, mut refused) = (0, 0);
        for case in vectors["agreements"].as_array().expect("a list") {
            let device = DeviceKey::from_seed(bytes(&case["seed"]).expect("a seed"));
            let shared = device.agree(bytes(&case["public_key"]).expect("a key")).ok();
            assert_eq!(shared, bytes(&case["shared"]), "{case}");
            *(if shared.is_some() { &mut taken } else { &mut refused }) += 1;
        }
        assert_eq!((taken, refused), (1, 57));
    }

    /// A remote whose static key is of small order, so that it knows every secret shared with it: the identity.
    #[test]
    fn a_static_key_of_small_order_ends_the_handshake_in_either_role() {
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        let mut identity = [0; 32];
        identity[0] = 1;
        for role in [Role::Initiator, Role::Responder] {
            let side = |role, number: u8| Handshake::new(role, DeviceKey::from_seed([number; 32]), [number + 1; 32]);
            let (mut ours, mut remote) = (side(role, 1), side(role.other(), 3));
            remote.device.public = order_two;
            let outcome = loop {
                if ours.is_our_turn() {
                    remote.read(&ours.write().unwrap()).unwrap();
                    continue;
                }
                let said = remote.said;
                let mut message = Vec::new();
                for token in XX[said] {
                    match token {
                        Token::E => {
                            remote.symmetric.mix_hash(&remote.ephemeral.public);
                            message.extend_from_slice(&remote.ephemeral.public);
                        }
                        Token::S => message.extend(remote.symmetric.encrypt(&order_two)),
                        Token::Ee => remote.mix_agreement(Token::Ee).unwrap(),
                        Token::Es | Token::Se => remote.symmetric.mix_key(&identity),
                    }
                }
                message.extend(remote.symmetric.encrypt(&[]));
                remote.said += 1;
                if let Err(error) = ours.read(&message) {
                    break error;
                }
                assert!(ours.session().is_none(), "it is nobody's key");
            };
            assert_eq!(outcome, LinkError::Handshake, "as {role:?}");
        }
    }
}
