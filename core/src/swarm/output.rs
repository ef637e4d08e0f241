//! What a [`Swarm`](super::Swarm) wants done, and what it tells the application.

use std::sync::Arc;

use crate::code::Code;
use crate::time::Time;

/// A peer, as the application knows it: from 1, one for each device key, never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// A topic or a watcher that the application holds: from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(pub u32);

/// One attempt to reach a relay. Whatever is said of an attempt that is over is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// One thing to do. [`Output::Timeout`] comes last: there is nothing more until the next input.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Open a WebSocket with the relay protocol's subprotocol.
    Open {
        /// How it will be called.
        socket: SocketId,
        /// `ws:` or `wss:`, as it was configured.
        url: String,
    },
    /// Write one binary message.
    Write {
        /// To which socket.
        socket: SocketId,
        /// The message.
        message: Vec<u8>,
    },
    /// Close a socket, after what was written to it, and forget it. Comes once for each that was opened, also for one that closed
    /// by itself.
    Close {
        /// Which socket.
        socket: SocketId,
    },
    /// Tell the application.
    Event(Event),
    /// Call [`Swarm::handle_timeout`](super::Swarm::handle_timeout) at this moment, or never.
    Timeout(Option<Time>),
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer is here.
    Join {
        /// The watcher that is told.
        watch: HandleId,
        /// Who.
        peer: PeerId,
    },
    /// A peer is gone.
    Leave {
        /// The watcher that is told.
        watch: HandleId,
        /// Who.
        peer: PeerId,
    },
    /// A message.
    Message {
        /// The topic handle that gets it.
        topic: HandleId,
        /// From whom.
        peer: PeerId,
        /// Its bytes, shared by the handles of one topic.
        message: Arc<Vec<u8>>,
    },
    /// Something went wrong.
    Error(Report),
    /// The connection as a whole changed.
    State(State),
}

/// Whether relays can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No relay has answered yet.
    Connecting,
    /// The drive's room is joined on one relay at least.
    Ready,
    /// No relay can be reached; it is tried again and again.
    Offline,
    /// Closed by the application.
    Closed,
}

impl State {
    /// The stable name that the page sees.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Offline => "offline",
            Self::Closed => "closed",
        }
    }
}

/// A problem, with everything that the application gave us and would lose otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What kind of problem.
    pub code: Code,
    /// What happened, in one sentence without a full stop.
    pub text: String,
    /// The relay concerned.
    pub url: Option<String>,
    /// The topic or watcher concerned.
    pub handle: Option<HandleId>,
    /// The name of the topic concerned: its handle may be closed by now.
    pub topic: Option<Arc<str>>,
    /// The peer concerned.
    pub peer: Option<PeerId>,
    /// The message that was not sent.
    pub message: Option<Vec<u8>>,
}

impl Report {
    /// A report with nothing but its code and text.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), url: None, handle: None, topic: None, peer: None, message: None }
    }
}

/// Why a socket to a relay did not come about, as far as its opener can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketFailure {
    /// Nothing answers there.
    Unreachable,
    /// Something answers there, but it is no relay.
    NotARelay,
    /// A secure page may not open it.
    MixedContent,
    /// The URL is none for a WebSocket.
    BadUrl,
}
