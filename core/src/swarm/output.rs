//! What a [`Swarm`](super::Swarm) wants done, and what it tells the application.

use std::sync::Arc;

use super::LinkId;
use super::stats::Route;
use crate::code::Code;
#[cfg(doc)]
use crate::limits;
use crate::link::HostAction;
use crate::rtc::{IceServer, Step};
use crate::time::{Duration, Time};

/// A peer, as the application knows it: from 1, one for each device key, never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// A topic or a watcher that the application holds: from 1, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(pub u32);

/// One attempt to reach a relay, a drive peer, or a device directly. Whatever is said of an attempt that is over is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// One thing to do. [`Output::Timeout`] comes last: there is nothing more until the next input.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Open a WebSocket.
    Open {
        /// How it will be called.
        socket: SocketId,
        /// `ws:` or `wss:`, as it was configured.
        url: String,
        /// The relay protocol's subprotocol; none for a drive peer.
        subprotocol: Option<&'static str>,
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
    /// Begin a direct connection to a device: an `RTCPeerConnection` with one data channel, negotiated as number 0, ordered, reliable. From
    /// now on that channel is a socket like the others.
    Connect {
        /// How it will be called.
        socket: SocketId,
        /// What relays announce. The owner may know better.
        ice_servers: Vec<IceServer>,
    },
    /// Take a step towards a direct connection.
    Negotiate {
        /// Which.
        socket: SocketId,
        /// The step.
        step: Step,
    },
    /// Do something to a stream of the host's. Only a swarm that hosts says so.
    Host {
        /// Which link it is.
        link: LinkId,
        /// What to do.
        action: HostAction,
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
    /// How what is sent to a peer travels: told behind its join, and when it changes until its leave.
    Path {
        /// The watcher that is told.
        watch: HandleId,
        /// To whom.
        peer: PeerId,
        /// How; not at all while it is waited for without a link.
        route: Route,
        /// From a question to its answer, as it was measured last on that link; `None` if it was not yet.
        round_trip: Option<Duration>,
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
    /// More than [`limits::SEND_HIGH_WATER`] waited for a peer, and no more than [`limits::SEND_LOW_WATER`] do now, or it left.
    Drain {
        /// The topic handle that is told; each is.
        topic: HandleId,
        /// For whom it waited.
        peer: PeerId,
    },
    /// Something went wrong.
    Error(Report),
    /// The connection as a whole changed.
    State(State),
}

/// Whether anyone can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No relay and no drive peer has answered yet.
    Connecting,
    /// The drive's room is joined on one relay at least, or a device is here that needs none.
    Ready,
    /// No relay can be reached and no such device is here; it is tried again and again.
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
    /// The relay or drive peer concerned.
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

/// Why a socket did not come about, as far as its opener can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketFailure {
    /// Nothing answers there.
    Unreachable,
    /// Something answers there, but not what was looked for.
    Stranger,
    /// A relay answers plain HTTP there, but no WebSocket opens: a proxy between drops the upgrade, or a drive peer was looked for.
    OnlyHttpOfRelay,
    /// A secure page may not open it.
    MixedContent,
    /// The page's Content-Security-Policy forbids it.
    BlockedByPolicy,
    /// The URL is none for a WebSocket.
    BadUrl,
}
