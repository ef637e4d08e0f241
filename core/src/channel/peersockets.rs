//! The channel `peersockets/1`: its Open and the types of its messages (PROTOCOL.md §8).

use crate::drive::DriveKey;
use crate::error::{ChannelViolation, LinkError};
use crate::secure::Role;
use crate::wire::encoding::{Encode, Reader};

/// Name of the mux protocol.
pub const PROTOCOL: &str = "peersockets/1";

/// Declares which topic a slot of the sender means.
pub const TOPIC: u64 = 0;
/// A whole message.
pub const MESSAGE: u64 = 1;
/// The first part of a message, behind its whole length.
pub const FIRST: u64 = 2;
/// A further part.
pub const NEXT: u64 = 3;
/// The device leaves on purpose.
pub const GOODBYE: u64 = 4;
/// Are you there?
pub const PING: u64 = 5;
/// Yes.
pub const PONG: u64 = 6;

const VERSION: u64 = 1;
const FEATURES: u64 = 0;

/// The handshake that our Open carries: it proves the drive key to the remote.
pub fn open_handshake(drive: &DriveKey, role: Role, handshake_hash: &[u8; 64]) -> Vec<u8> {
    let mut handshake = Vec::with_capacity(34);
    handshake.put_uint(VERSION);
    handshake.put_uint(FEATURES);
    handshake.extend_from_slice(&drive.capability(role, handshake_hash));
    handshake
}

/// Checks the handshake of a remote's Open. Feature bits that we do not know and bytes behind the capability are a newer
/// device's.
pub fn verify_open(
    handshake: &[u8],
    drive: &DriveKey,
    sender: Role,
    handshake_hash: &[u8; 64],
) -> Result<(), LinkError> {
    let mut reader = Reader::new(handshake);
    if reader.uint()? < VERSION {
        return Err(LinkError::Channel(ChannelViolation::Version));
    }
    let _features = reader.uint()?;
    let capability = reader.fixed32()?;
    // The capability is used for one link and not secret from its remote: nothing is learned from how long this takes.
    if capability == drive.capability(sender, handshake_hash) { Ok(()) } else { Err(LinkError::Capability) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 64] = [3; 64];

    fn drive() -> DriveKey {
        DriveKey::from_bytes([1; 32])
    }

    #[test]
    fn a_reflected_capability_is_refused() {
        let ours = open_handshake(&drive(), Role::Initiator, &HASH);
        assert_eq!(verify_open(&ours, &drive(), Role::Initiator, &HASH), Ok(()));
        assert_eq!(verify_open(&ours, &drive(), Role::Responder, &HASH), Err(LinkError::Capability));
    }

    #[test]
    fn a_replayed_capability_is_refused() {
        let recorded = open_handshake(&drive(), Role::Initiator, &HASH);
        assert_eq!(verify_open(&recorded, &drive(), Role::Initiator, &[4; 64]), Err(LinkError::Capability));
    }

    #[test]
    fn unknown_feature_bits_and_trailing_bytes_are_ignored() {
        let mut newer = vec![2, 0xfd, 0xff, 0xff];
        newer.extend(drive().capability(Role::Responder, &HASH));
        newer.extend([1, 2, 3]);
        assert_eq!(verify_open(&newer, &drive(), Role::Responder, &HASH), Ok(()));
    }

    #[test]
    fn a_version_that_does_not_exist_is_refused() {
        let mut open = open_handshake(&drive(), Role::Initiator, &HASH);
        open[0] = 0;
        let refused = Err(LinkError::Channel(ChannelViolation::Version));
        assert_eq!(verify_open(&open, &drive(), Role::Initiator, &HASH), refused);
    }
}
