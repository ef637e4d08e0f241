//! The channel `peersockets/1`: its Open and the types of its messages (PROTOCOL.md §8).

use crate::drive::DriveKey;
use crate::error::{ChannelViolation, LinkError, WireError};
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

/// From now on the messages on this link are those from this number on.
pub const RESUME: u64 = 16;
/// So many messages have arrived.
pub const ACK: u64 = 17;

const VERSION: u64 = 1;
/// The feature bit of a device that keeps sessions.
const SESSIONS: u64 = 1;
/// The feature bit of a device that can be connected to directly, and wants to be.
const DIRECT: u64 = 2;

/// What names one end of a session: a device that has lost what it knew of it begins another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Random, for each time that a device comes into being.
    pub device: [u8; 32],
    /// Grows whenever that device begins anew with the other.
    pub epoch: u64,
}

/// What an Open says of the session between two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The sender's end of it.
    pub own: Incarnation,
    /// What the sender takes for the receiver's end, if it knows one.
    pub other: Option<Incarnation>,
    /// How many messages of that end have arrived.
    pub received: u64,
}

/// What an Open says beside the proof of the drive key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Where the session stands, if the sender keeps any.
    pub standing: Option<Standing>,
    /// Whether the sender takes signals, to become directly connected.
    pub is_direct: bool,
}

impl From<Standing> for Terms {
    fn from(standing: Standing) -> Self {
        Self { standing: Some(standing), is_direct: false }
    }
}

/// The handshake that our Open carries: it proves the drive key to the remote, and says the rest.
pub fn open_handshake(drive: &DriveKey, role: Role, handshake_hash: &[u8; 64], terms: &Terms) -> Vec<u8> {
    let mut handshake = Vec::with_capacity(34);
    handshake.put_uint(VERSION);
    let sessions = if terms.standing.is_some() { SESSIONS } else { 0 };
    handshake.put_uint(sessions | if terms.is_direct { DIRECT } else { 0 });
    handshake.extend_from_slice(&drive.capability(role, handshake_hash));
    if let Some(standing) = &terms.standing {
        standing.encode(&mut handshake);
    }
    handshake
}

/// Checks the handshake of a remote's Open, and gives what else it says. Feature bits that we do not know and bytes at the end are a
/// newer device's.
pub fn verify_open(
    handshake: &[u8],
    drive: &DriveKey,
    sender: Role,
    handshake_hash: &[u8; 64],
) -> Result<Terms, LinkError> {
    let mut reader = Reader::new(handshake);
    if reader.uint()? < VERSION {
        return Err(LinkError::Channel(ChannelViolation::Version));
    }
    let features = reader.uint()?;
    let capability = reader.fixed32()?;
    // The capability is used for one link and not secret from its remote: nothing is learned from how long this takes.
    if capability != drive.capability(sender, handshake_hash) {
        return Err(LinkError::Capability);
    }
    let has_session = features & SESSIONS != 0;
    let standing = has_session.then(|| Standing::decode(&mut reader)).transpose()?;
    Ok(Terms { standing, is_direct: features & DIRECT != 0 })
}

impl Standing {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let nobody = Incarnation { device: [0; 32], epoch: 0 };
        for end in [&self.own, self.other.as_ref().unwrap_or(&nobody)] {
            bytes.extend_from_slice(&end.device);
            bytes.put_uint(end.epoch);
        }
        bytes.put_uint(self.received);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let own = Incarnation { device: reader.fixed32()?, epoch: reader.uint()? };
        let other = Incarnation { device: reader.fixed32()?, epoch: reader.uint()? };
        let other = (other.device != [0; 32]).then_some(other);
        Ok(Self { own, other, received: reader.uint()? })
    }
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
        let ours = open_handshake(&drive(), Role::Initiator, &HASH, &Terms::default());
        assert_eq!(verify_open(&ours, &drive(), Role::Initiator, &HASH), Ok(Terms::default()));
        assert_eq!(verify_open(&ours, &drive(), Role::Responder, &HASH), Err(LinkError::Capability));
    }

    #[test]
    fn a_replayed_capability_is_refused() {
        let recorded = open_handshake(&drive(), Role::Initiator, &HASH, &Terms::default());
        assert_eq!(verify_open(&recorded, &drive(), Role::Initiator, &[4; 64]), Err(LinkError::Capability));
    }

    #[test]
    fn unknown_feature_bits_and_trailing_bytes_are_ignored() {
        let mut newer = vec![2, 0xfd, 0xfc, 0xff];
        newer.extend(drive().capability(Role::Responder, &HASH));
        newer.extend([1, 2, 3]);
        assert_eq!(verify_open(&newer, &drive(), Role::Responder, &HASH), Ok(Terms::default()));
    }

    #[test]
    fn an_open_tells_where_the_session_stands() {
        let end = |byte, epoch| Incarnation { device: [byte; 32], epoch };
        for other in [None, Some(end(2, 0)), Some(end(3, 1 << 40))] {
            let standing = Some(Standing { own: end(1, 7), other, received: 70_000 });
            let terms = Terms { standing, is_direct: other.is_none() };
            let mut open = open_handshake(&drive(), Role::Initiator, &HASH, &terms);
            let cut = open.len() - 1;
            assert_eq!(
                verify_open(&open[..cut], &drive(), Role::Initiator, &HASH),
                Err(LinkError::Malformed(WireError::Truncated))
            );
            open.push(9);
            assert_eq!(verify_open(&open, &drive(), Role::Initiator, &HASH), Ok(terms));
        }
    }

    #[test]
    fn a_version_that_does_not_exist_is_refused() {
        let mut open = open_handshake(&drive(), Role::Initiator, &HASH, &Terms::default());
        open[0] = 0;
        let refused = Err(LinkError::Channel(ChannelViolation::Version));
        assert_eq!(verify_open(&open, &drive(), Role::Initiator, &HASH), refused);
    }
}
