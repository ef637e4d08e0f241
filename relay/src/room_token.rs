//! Tokens that open one room, or all, until a moment: the operator's own server signs them, the relay keeps no list.
//!
//! A token is base64url, without padding, of
//!
//! ```text
//! version (1) ‖ seconds since 1970, 8 bytes big-endian ‖ rendezvous id, 32 bytes, or nothing for all rooms ‖ HMAC-SHA-256
//! ```
//!
//! where the HMAC is of all that comes before it, with the secret's characters as key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;

use crate::rooms::RoomId;
use crate::secret::Secret;

const VERSION: u8 = 1;
const ROOM: usize = 32;
const TAG: usize = 32;
/// Version and time.
const HEAD: usize = 9;

/// What tokens are signed with.
#[derive(Debug)]
pub struct RoomSecret(hmac::Key);

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomToken {
    /// The room; none means all of them.
    pub room: Option<RoomId>,
    /// The first second in which it opens nothing any more, since 1970.
    pub expires: u64,
}

impl RoomSecret {
    /// Signs and verifies with this secret.
    pub fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// A token that says this.
    pub fn sign(&self, token: &RoomToken) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(token.expires.to_be_bytes());
        bytes.extend(token.room.iter().flat_map(|RoomId(room)| room));
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend(tag.as_ref());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// What a token says, if it was signed with this secret. It takes as long for every wrong signature.
    pub fn verify(&self, text: &str) -> Option<RoomToken> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (signed, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        hmac::verify(&self.0, signed, tag).ok()?;
        let (head, room) = signed.split_at_checked(HEAD)?;
        let (version, expires) = head.split_first()?;
        let room = match room.len() {
            0 => None,
            ROOM => Some(RoomId(room.try_into().ok()?)),
            _ => return None,
        };
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        (*version == VERSION).then_some(RoomToken { room, expires })
    }
}

impl RoomToken {
    /// A token for `room` that is good from `now` on for `time`.
    pub fn lasting(room: Option<RoomId>, now: SystemTime, time: Duration) -> Self {
        Self { room, expires: seconds(now).saturating_add(time.as_secs()) }
    }

    /// Whether it is not good any more.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        seconds(now) >= self.expires
    }

    /// Whether it is for this room.
    pub fn is_for(&self, room: RoomId) -> bool {
        self.room.is_none_or(|its| its == room)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> RoomSecret {
        RoomSecret::new(&text.parse().expect("a secret"))
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const TOKEN: RoomToken = RoomToken { room: Some(RoomId([7; 32])), expires: 1_800_000_000 };

    #[test]
    fn a_token_says_what_was_signed() {
        let signer = secret(SECRET);
        for token in [TOKEN, RoomToken { room: None, ..TOKEN }] {
            assert_eq!(signer.verify(&signer.sign(&token)), Some(token));
        }
    }

    #[test]
    fn a_token_with_any_bit_changed_or_any_part_missing_is_none() {
        let signer = secret(SECRET);
        let bytes = BASE64URL_NOPAD.decode(signer.sign(&TOKEN).as_bytes()).expect("base64url");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(signer.verify(&BASE64URL_NOPAD.encode(&changed)), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(signer.verify(&BASE64URL_NOPAD.encode(&bytes[..length])), None, "{length} bytes");
        }
        assert_eq!(secret(&SECRET.to_uppercase()).verify(&signer.sign(&TOKEN)), None);
        assert_eq!(signer.verify("no base64url!"), None);
    }

    #[test]
    fn what_is_signed_but_of_another_version_or_length_is_none() {
        let signer = secret(SECRET);
        let sign = |bytes: &[u8]| {
            let tag = hmac::sign(&signer.0, bytes);
            BASE64URL_NOPAD.encode(&[bytes, tag.as_ref()].concat())
        };
        let good = [&[VERSION][..], &[0; 8], &[7; 32]].concat();
        assert!(signer.verify(&sign(&good)).is_some());
        assert_eq!(signer.verify(&sign(&[&[2][..], &good[1..]].concat())), None);
        for length in (0..good.len()).filter(|length| *length != HEAD) {
            assert_eq!(signer.verify(&sign(&good[..length])), None, "{length}");
        }
    }

    #[test]
    fn a_token_ends_at_its_second_and_opens_its_room_only() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let token = RoomToken::lasting(TOKEN.room, at(100), Duration::from_secs(60));
        assert!(!token.has_expired(at(159)));
        assert!(token.has_expired(at(160)));
        assert!(token.is_for(RoomId([7; 32])) && !token.is_for(RoomId([8; 32])));
        assert!(RoomToken { room: None, ..token }.is_for(RoomId([8; 32])));
    }
}
