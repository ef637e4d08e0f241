//! Random numbers that follow from a seed: the keystream of ChaCha20, the cipher that is here anyway.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};

/// An endless stream of random bytes.
pub struct Random(ChaCha20);

impl Random {
    /// The stream of this seed, which must be secret, random, and used once.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20::new(&seed.into(), &[0; 12].into()))
    }

    /// The next bytes. ChaCha20 ends after 256 GiB; a swarm draws less than a KiB for each link.
    pub fn bytes<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.0.apply_keystream(&mut bytes);
        bytes
    }

    /// A number from 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / f64::from(u32::MAX)
    }
}

impl std::fmt::Debug for Random {
    /// Shows nothing of the seed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_follow_from_their_seed_and_never_repeat() {
        let draw = |seed| {
            let mut random = Random::from_seed([seed; 32]);
            [random.bytes::<32>(), random.bytes::<32>()]
        };
        assert_eq!(draw(1), draw(1));
        let [first, second] = draw(1);
        let [other, _] = draw(2);
        assert!(first != second && first != other);
    }

    #[test]
    fn fractions_cover_the_range() {
        let mut random = Random::from_seed([1; 32]);
        let fractions: Vec<f64> = (0..1_000).map(|_| random.fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction < 0.01) && fractions.iter().any(|fraction| *fraction > 0.99));
    }
}
