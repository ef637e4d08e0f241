//! Ed25519 as the Diffie-Hellman of Noise, the way npm `noise-curve-ed` does it (PROTOCOL.md §5).

use std::sync::Mutex;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use sha2::{Digest, Sha512};
use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifierList, HandshakePattern, HashChoice,
    NoiseParams,
};
use snow::resolvers::{CryptoResolver, DefaultResolver};
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
        Self { seed, public: EdwardsPoint::mul_base_clamped(scalar(&seed)).compress().0 }
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

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
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
