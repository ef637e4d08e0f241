//! Rooms: who is present, and which circuits are open between them.

mod local;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use peersockets_core::rendezvous::{HangupReason, Line};

use crate::address::ClientAddress;
use crate::mailbox::Mailbox;
use crate::refusal::Refusal;

pub use local::LocalRooms;

/// Membership of rooms and routing of circuits (PROTOCOL.md §3).
///
/// A room may have members on several relays: nothing here assumes that one process knows all of a room, which is why
/// everything that reaches other members is asynchronous. What is meant for a client goes into the [`Mailbox`] that it
/// handed in on `join`. Frames of one client are passed in one at a time, in order.
pub trait Rooms: Send + Sync + 'static {
    /// A client's place in its room.
    type Seat: Send;

    /// Enters a room and posts WELCOME, and behind it the servers for direct connections. Joins of one room are serialised: of two members exactly one is told of the other.
    fn join(
        &self,
        room: RoomId,
        address: ClientAddress,
        mailbox: Arc<Mailbox>,
    ) -> impl Future<Output = Result<Self::Seat, Refusal>> + Send;

    /// Opens a circuit to a member that was there before.
    fn dial(&self, seat: &mut Self::Seat, line: Line) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The client keeps to credit from now on. It says so before it dials or sends anything.
    fn keep_to_credit(&self, seat: &mut Self::Seat) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Passes bytes on, within the circuit's credit; more ends the circuit for both. If one of the two knows no credit, it waits while
    /// the receiver's mailbox is full; if that takes too long, the circuit ends for both.
    fn data(&self, seat: &mut Self::Seat, line: Line, bytes: &[u8]) -> impl Future<Output = ()> + Send;

    /// Passes bytes on beyond the circuit's credit, as far as the receiver's pool goes.
    fn last_words(&self, seat: &mut Self::Seat, line: Line, bytes: &[u8]) -> impl Future<Output = ()> + Send;

    /// The client has read so much of a circuit: whoever sends on it gets new credit.
    fn consumed(&self, seat: &mut Self::Seat, line: Line, amount: u64) -> impl Future<Output = ()> + Send;

    /// The client gives credit of a circuit back.
    fn take_back(&self, seat: &mut Self::Seat, line: Line, amount: u64) -> impl Future<Output = ()> + Send;

    /// The client, which dialled the circuit, says whether its two ends are connected directly too.
    fn set_direct(
        &self,
        seat: &mut Self::Seat,
        line: Line,
        is_direct: bool,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Ends a circuit.
    fn hangup(&self, seat: &mut Self::Seat, line: Line, reason: HangupReason) -> impl Future<Output = ()> + Send;

    /// Sends off what was passed in since the last call. Called before the client is waited for.
    fn flush(&self, seat: &mut Self::Seat) -> impl Future<Output = ()> + Send;

    /// Leaves the room: everyone who was told of this member is told, once. Dropping the seat does no less.
    fn leave(&self, seat: Self::Seat) -> impl Future<Output = ()> + Send;

    /// Tells every member on this relay anew of the servers for direct connections.
    fn announce(&self) -> impl Future<Output = ()> + Send;

    /// The relay ends, and with it every place: nobody is told any more who leaves.
    fn close(&self);

    /// What there is at the moment on this relay.
    fn census(&self) -> Census;
}

/// The rendezvous id of a room. It is shown by its first 8 hex digits only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomId(pub [u8; 32]);

impl fmt::Debug for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}…")
    }
}

/// Counts of everything present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rooms with a member.
    pub rooms: usize,
    /// Members of all rooms.
    pub members: usize,
    /// Open circuits.
    pub circuits: usize,
    /// Open circuits whose ends are connected directly too.
    pub direct_pairs: usize,
    /// Bytes in all mailboxes.
    pub queued: usize,
    /// Credit that was lent from all mailboxes and is not used.
    pub lent: usize,
    /// Bytes in the fullest mailbox.
    pub fullest_queue: usize,
}
