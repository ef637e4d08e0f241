//! Drive keys and what is derived from them (PROTOCOL.md §2, §8).

use std::fmt;

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Mac};

use crate::secure::Role;

/// The 32 bytes that name a drive. Whoever has them may take part.
#[derive(Clone, PartialEq, Eq)]
pub struct DriveKey([u8; 32]);

/// Why a text is no drive key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriveKeyError {
    /// Nothing is there to read.
    Empty,
    /// It has another scheme than `hyper:`.
    Scheme,
    /// The key has neither 64 nor 52 characters.
    Length(usize),
    /// A character that neither hex nor z-base-32 has at this length.
    Character(char),
    /// 52 letters of z-base-32 whose last four bits are not zero.
    Padding,
}

impl fmt::Display for DriveKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Scheme => f.write_str("its scheme is not hyper:"),
            Self::Length(length) => {
                write!(f, "its key has {length} characters, not 64 (hex) or 52 (z-base-32)")
            }
            Self::Character(character) => write!(f, "'{character}' does not belong in a key"),
            Self::Padding => f.write_str("its last letter is not the end of a 32-byte key"),
        }
    }
}

impl std::error::Error for DriveKeyError {}

impl DriveKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads `hyper://` + 64 hex digits or 52 z-base-32 letters. The scheme may be absent; white space around, case, path,
    /// `+version`, query and fragment are ignored.
    pub fn parse(text: &str) -> Result<Self, DriveKeyError> {
        let text = text.trim();
        let scheme = text.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)));
        let key = match scheme {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("hyper") => rest,
            Some((scheme, _)) if !scheme.contains(AFTER_KEY) => return Err(DriveKeyError::Scheme),
            _ => text,
        };
        let key = key.split(AFTER_KEY).next().unwrap_or_default();
        match key.chars().count() {
            0 => Err(DriveKeyError::Empty),
            64 => parse_digits::<4>(key, HEX).map(Self),
            52 => parse_digits::<5>(key, Z_BASE_32).map(Self),
            length => Err(DriveKeyError::Length(length)),
        }
    }

    /// The key of a page that names no drive: visitors of one origin meet. It is public, like the origin.
    pub fn from_origin(origin: &str) -> Self {
        Self(keyed_hash(b"peersockets/origin/1", &[origin.as_bytes()]))
    }

    /// The bytes of the key. They are a secret of the drive's members.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name under which the drive is found on the DHT: public.
    pub fn discovery_key(&self) -> [u8; 32] {
        hypercore_protocol::discovery_key(&self.0)
    }

    /// The name of the drive's room on a relay.
    pub fn rendezvous_id(&self) -> [u8; 32] {
        keyed_hash(&self.0, &[b"peersockets/rendezvous/1"])
    }

    /// The id of the `peersockets/1` channel on the link with this handshake hash.
    pub fn channel_id(&self, handshake_hash: &[u8; 64]) -> [u8; 32] {
        keyed_hash(handshake_hash, &[&CHANNEL_ID, &self.0])
    }

    /// The proof, by the side with this role, that it has the drive key: bound to one handshake, so it can be neither replayed
    /// nor reflected.
    pub fn capability(&self, sender: Role, handshake_hash: &[u8; 64]) -> [u8; 32] {
        let constant = match sender {
            Role::Initiator => INITIATOR_CAPABILITY,
            Role::Responder => RESPONDER_CAPABILITY,
        };
        keyed_hash(handshake_hash, &[&constant, &self.0])
    }

    /// The proof that npm `hypercore` asks for on its own channel, of the same form (PROTOCOL.md §12).
    pub fn hypercore_capability(&self, sender: Role, handshake_hash: &[u8; 64]) -> [u8; 32] {
        let constant = match sender {
            Role::Initiator => REPLICATE_INITIATOR,
            Role::Responder => REPLICATE_RESPONDER,
        };
        keyed_hash(handshake_hash, &[&constant, &self.0])
    }
}

impl fmt::Debug for DriveKey {
    /// Shows no byte of the key: it must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DriveKey(..)")
    }
}

/// `namespace("peersockets/1")[0]`
const INITIATOR_CAPABILITY: [u8; 32] = [
    0xb6, 0x8e, 0x92, 0x68, 0xfa, 0x39, 0xc0, 0xdd, 0x1e, 0x40, 0x95, 0xa9, 0xa8, 0x5e, 0x0b, 0xa2, 0xe9, 0x97, 0x11,
    0x9b, 0xdb, 0x41, 0x9e, 0xab, 0xc0, 0xcf, 0x11, 0x43, 0x71, 0xa4, 0xbc, 0x4f,
];
/// `namespace("peersockets/1")[1]`
const RESPONDER_CAPABILITY: [u8; 32] = [
    0xd0, 0xb7, 0xd4, 0x21, 0xbe, 0x4f, 0xd3, 0x60, 0x19, 0xfd, 0x4e, 0xdd, 0x23, 0x69, 0x4c, 0x9a, 0x13, 0x79, 0x1f,
    0xfa, 0x12, 0xf5, 0x59, 0x68, 0x18, 0x53, 0x63, 0x9e, 0xcf, 0x4c, 0x9c, 0xbb,
];
/// `namespace("peersockets/1")[2]`
const CHANNEL_ID: [u8; 32] = [
    0xbc, 0x3a, 0x25, 0x9b, 0x74, 0x96, 0xde, 0x43, 0x1e, 0x22, 0xab, 0x79, 0xc9, 0xbc, 0x7b, 0xef, 0xbd, 0x52, 0x06,
    0x96, 0x78, 0x20, 0xf3, 0x09, 0xf0, 0x13, 0x82, 0x82, 0x06, 0x65, 0x7e, 0x42,
];

/// `namespace("hypercore")[1]`
const REPLICATE_INITIATOR: [u8; 32] = [
    0x51, 0x81, 0x2a, 0x2a, 0x35, 0x9b, 0x50, 0x36, 0x95, 0x36, 0x77, 0x5d, 0xf8, 0x9e, 0x18, 0xe4, 0x77, 0x40, 0xf3,
    0xdb, 0x72, 0xac, 0x0a, 0xe7, 0x0b, 0x29, 0x59, 0x4c, 0x19, 0x4d, 0xc3, 0x16,
];
/// `namespace("hypercore")[2]`
const REPLICATE_RESPONDER: [u8; 32] = [
    0x04, 0x38, 0x49, 0x2d, 0x02, 0x97, 0x0c, 0xc1, 0x35, 0x28, 0xac, 0x02, 0x62, 0xbc, 0xa0, 0x07, 0x4e, 0x09, 0x26,
    0x26, 0x02, 0x56, 0x86, 0x5a, 0xcc, 0xc0, 0xbf, 0x15, 0xbd, 0x79, 0x12, 0x7d,
];

/// What ends the key in a URL; a version begins with `+`.
const AFTER_KEY: [char; 4] = ['/', '+', '?', '#'];
const HEX: &[u8] = b"0123456789abcdef";
const Z_BASE_32: &[u8] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// Reads digits of `BITS` bits each, the most significant first, into 32 bytes; what is left over must be zero.
fn parse_digits<const BITS: u32>(text: &str, alphabet: &[u8]) -> Result<[u8; 32], DriveKeyError> {
    let mut key = [0; 32];
    let mut filled = 0;
    let mut pending: u32 = 0;
    let mut pending_bits = 0;
    for character in text.chars() {
        let digit = alphabet
            .iter()
            .position(|letter| char::from(*letter) == character.to_ascii_lowercase())
            .ok_or(DriveKeyError::Character(character))?;
        pending = pending << BITS | digit as u32;
        pending_bits += BITS;
        if pending_bits >= 8 {
            pending_bits -= 8;
            if let Some(byte) = key.get_mut(filled) {
                *byte = (pending >> pending_bits) as u8;
                filled += 1;
            }
            pending &= (1 << pending_bits) - 1;
        }
    }
    if pending == 0 { Ok(key) } else { Err(DriveKeyError::Padding) }
}

fn keyed_hash(key: &[u8], input: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(key)
        .expect("a BLAKE2b key has at most 64 bytes, and so have all callers'");
    for part in input {
        mac.update(part);
    }
    mac.finalize_fixed().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = {
        let mut key = [0; 32];
        let mut index = 0;
        while index < 32 {
            key[index] = (index * 7 + 1) as u8;
            index += 1;
        }
        key
    };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn z_base_32(bytes: &[u8]) -> String {
        let bit = |index: usize| bytes.get(index / 8).map_or(0, |byte| byte >> (7 - index % 8) & 1);
        (0..bytes.len() * 8)
            .step_by(5)
            .map(|start| (0..5).fold(0, |digit, offset| digit << 1 | bit(start + offset)))
            .map(|digit| char::from(Z_BASE_32[usize::from(digit)]))
            .collect()
    }

    #[test]
    fn a_drive_key_is_read_in_hex_and_in_z_base_32_with_everything_around_it_ignored() {
        let (hex, letters) = (hex(&KEY), z_base_32(&KEY));
        assert_eq!(letters.len(), 52);
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            format!("hyper://{hex}"),
            format!("HYPER://{hex}/path/a.html?query=1#hash"),
            format!("hyper://{hex}+12/"),
            format!("{hex}+12/?from=https://example.com"),
            format!("{hex}+https://example.com"),
            format!("  hyper://{letters}/\n"),
            letters.to_uppercase(),
        ] {
            assert_eq!(DriveKey::parse(&text), Ok(DriveKey(KEY)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_drive_key_is_refused_with_a_reason() {
        let hex = hex(&KEY);
        let (_, shorter) = hex.split_at(1);
        for (text, reason) in [
            ("", DriveKeyError::Empty),
            ("hyper:///path", DriveKeyError::Empty),
            ("https://example.com/", DriveKeyError::Scheme),
            ("hyper://example.com", DriveKeyError::Length(11)),
            (shorter, DriveKeyError::Length(63)),
            (&format!("g{shorter}"), DriveKeyError::Character('g')),
            (&format!("é{shorter}"), DriveKeyError::Character('é')),
            (&"l".repeat(52), DriveKeyError::Character('l')),
            (&"9".repeat(52), DriveKeyError::Padding),
        ] {
            assert_eq!(DriveKey::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn the_rendezvous_id_is_not_the_discovery_key() {
        let drive = DriveKey(KEY);
        assert_ne!(drive.rendezvous_id(), drive.discovery_key());
        assert_ne!(drive.rendezvous_id(), KEY);
    }

    #[test]
    fn origins_have_keys_of_their_own() {
        assert_ne!(DriveKey::from_origin("https://a.example"), DriveKey::from_origin("https://b.example"));
        assert_ne!(DriveKey::from_origin("https://a.example"), DriveKey::from_origin("http://a.example"));
    }

    #[test]
    fn capabilities_differ_by_role_link_and_drive() {
        let (drive, other) = (DriveKey(KEY), DriveKey([9; 32]));
        let proof = drive.capability(Role::Initiator, &[1; 64]);
        assert_ne!(proof, drive.capability(Role::Responder, &[1; 64]));
        assert_ne!(proof, drive.capability(Role::Initiator, &[2; 64]));
        assert_ne!(proof, other.capability(Role::Initiator, &[1; 64]));
        assert_ne!(proof, drive.channel_id(&[1; 64]));
    }

    #[test]
    fn no_byte_of_a_drive_key_reaches_a_log() {
        assert_eq!(format!("{:?}", DriveKey(KEY)), "DriveKey(..)");
    }
}
