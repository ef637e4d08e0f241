//! `Noise_XX_Ed25519_ChaChaPoly_BLAKE2b` for snow: Ed25519 as Diffie-Hellman, the way npm `noise-curve-ed` does it
//! (PROTOCOL.md §5), and the cipher and hash that go with it.
//!
//! Snow's own resolver would do for the latter two, but links every cipher and hash that it knows into what a page downloads.

use std::sync::Mutex;

use blake2::Blake2b512;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha512};
use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifierList, HandshakePattern, HashChoice,
    NoiseParams,
};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, Error, HandshakeState};

use super::Role;

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
}

/// One side of `Noise_XX_Ed25519_ChaChaPoly_BLAKE2b` with an empty prologue.
pub fn noise_xx(role: Role, device: &DeviceKey, ephemeral: [u8; 32]) -> Result<HandshakeState, Error> {
    let parameters = NoiseParams::new(
        "Noise_XX_Ed25519_ChaChaPoly_BLAKE2b".into(),
        BaseChoice::Noise,
        HandshakeChoice { pattern: HandshakePattern::XX, modifiers: HandshakeModifierList { list: Vec::new() } },
        // Snow has no name for Ed25519; the resolver below answers for this one.
        DHChoice::Curve25519,
        CipherChoice::ChaChaPoly,
        HashChoice::Blake2b,
    );
    let builder = Builder::with_resolver(parameters, Box::new(Resolver { ephemeral: Mutex::new(Some(ephemeral)) }))
        .local_private_key(&device.seed)?;
    match role {
        Role::Initiator => builder.build_initiator(),
        Role::Responder => builder.build_responder(),
    }
}

fn scalar(seed: &[u8; 32]) -> [u8; 32] {
    let digest = Sha512::digest(seed);
    let mut scalar = [0; 32];
    scalar.copy_from_slice(&digest[..32]);
    scalar
}

struct Resolver {
    ephemeral: Mutex<Option<[u8; 32]>>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        let seed = self.ephemeral.lock().ok()?.take()?;
        Some(Box::new(OneSeed(Some(seed))))
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        Some(Box::<Ed25519>::default())
    }

    fn resolve_hash(&self, _: &HashChoice) -> Option<Box<dyn Hash>> {
        Some(Box::<Blake2b>::default())
    }

    fn resolve_cipher(&self, _: &CipherChoice) -> Option<Box<dyn Cipher>> {
        Some(Box::<ChaChaPoly>::default())
    }
}

/// Gives the seed of the ephemeral key, which is all that a handshake needs, and gives it once.
struct OneSeed(Option<[u8; 32]>);

impl Random for OneSeed {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let seed = self.0.take().filter(|seed| seed.len() == out.len()).ok_or(Error::Rng)?;
        out.copy_from_slice(&seed);
        Ok(())
    }
}

#[derive(Default)]
struct Ed25519 {
    seed: [u8; 32],
    public: [u8; 32],
}

impl Dh for Ed25519 {
    fn name(&self) -> &'static str {
        "Ed25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, seed: &[u8]) {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(seed);
        let DeviceKey { seed, public } = DeviceKey::from_seed(bytes);
        *self = Self { seed, public };
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut seed = [0; 32];
        random.try_fill_bytes(&mut seed)?;
        self.set(&seed);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        &self.seed
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let compressed = public.get(..32).and_then(|bytes| CompressedEdwardsY::from_slice(bytes).ok());
        let compressed = compressed.ok_or(Error::Dh)?;
        let point = compressed.decompress().ok_or(Error::Dh)?;
        // As libsodium: canonical, of large order, and without a part of small order.
        if point.compress() != compressed || point.is_small_order() || !point.is_torsion_free() {
            return Err(Error::Dh);
        }
        let shared = point.mul_clamped(scalar(&self.seed));
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.compress().as_bytes());
        Ok(())
    }
}

#[derive(Default)]
struct Blake2b(Blake2b512);

impl Hash for Blake2b {
    fn name(&self) -> &'static str {
        "BLAKE2b"
    }

    fn block_len(&self) -> usize {
        128
    }

    fn hash_len(&self) -> usize {
        64
    }

    fn reset(&mut self) {
        self.0 = Blake2b512::default();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        out[..64].copy_from_slice(&self.0.finalize_reset());
    }
}

#[derive(Default)]
struct ChaChaPoly([u8; 32]);

impl ChaChaPoly {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&self.0.into())
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, authenticated: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = self
            .cipher()
            .encrypt_in_place_detached(&counter(nonce), authenticated, text)
            .expect("a handshake message is far below 256 GiB");
        rest[..TAG].copy_from_slice(&tag);
        plaintext.len() + TAG
    }

    fn decrypt(&self, nonce: u64, authenticated: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let length = ciphertext.len().checked_sub(TAG).ok_or(Error::Decrypt)?;
        let (text, tag) = ciphertext.split_at(length);
        let out = out.get_mut(..length).ok_or(Error::Decrypt)?;
        out.copy_from_slice(text);
        self.cipher()
            .decrypt_in_place_detached(&counter(nonce), authenticated, out, Tag::from_slice(tag))
            .map_err(|_| Error::Decrypt)?;
        Ok(length)
    }
}

const TAG: usize = 16;

/// Noise's nonce: four zero bytes and the counter.
fn counter(nonce: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&nonce.to_le_bytes());
    bytes.into()
}
