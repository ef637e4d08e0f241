//! A link whose secret stream and mux the host runs, because the drive's replication shares them: npm `secret-stream` and `protomux` in
//! a process that holds the drive (PROTOCOL.md §12).
//!
//! The host does the [`HostAction`]s in order and says what it hears. On a relay circuit the bytes of its stream pass through here
//! too.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::channel::outbox::Frame;
use crate::conversation::{Conversation, Said};
use crate::error::WireError;
use crate::limits;
use crate::secure::Role;
use crate::wire::framing::{self, FrameEnds, FrameReader, Passed};

/// That there is a host to run links. In what pages download this is a type without a value, so that the compiler leaves out whatever
/// can happen to a host only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// There is one.
    #[cfg(feature = "host")]
    Here,
}

impl Host {
    #[cfg(feature = "host")]
    const ANY: Option<Self> = Some(Self::Here);
    #[cfg(not(feature = "host"))]
    const ANY: Option<Self> = None;

    /// The host that gave this seed.
    pub fn of(seed: Option<[u8; 32]>) -> Option<Self> {
        seed.and(Self::ANY)
    }
}

/// One thing for the host to do.
#[derive(Debug, PartialEq, Eq)]
pub enum HostAction {
    /// Make a secret stream with this role for a circuit, and say when its handshake is complete.
    Start(Role),
    /// Hand the stream bytes from the circuit.
    Read(Vec<u8>),
    /// Go on writing to the circuit.
    Drained,
    /// Open `peersockets/1` with this id and handshake.
    Open {
        /// The id of the channel.
        id: [u8; 32],
        /// What its Open carries.
        handshake: Vec<u8>,
    },
    /// Send a message on `peersockets/1`.
    Message(Frame),
    /// Send a topic's message as an extension to the stream's peer.
    Extension(Arc<str>, Vec<u8>),
    /// Replicate the drive on the stream.
    Replicate,
    /// End the stream and forget it.
    End,
}

/// The host's stream, and the bytes between it and a circuit.
pub struct Hosted {
    _host: Host,
    actions: VecDeque<HostAction>,
    /// Bytes from the circuit that are no whole frame yet, until the drive key is proved.
    frames: FrameReader,
    /// Bytes that the host wrote for the circuit.
    written: VecDeque<u8>,
    /// Whether the host waits with writing until there is room.
    is_waiting: bool,
    /// Whether the host's mux takes messages.
    is_drained: bool,
    /// Whether the stream is on a circuit.
    is_piped: bool,
    /// Where the frames end that come after that.
    ends: FrameEnds,
}

impl Hosted {
    /// A stream that is yet to be made for a circuit, in this role, or one that the host has.
    pub fn new(host: Host, circuit: Option<Role>) -> Self {
        Self {
            _host: host,
            actions: circuit.map(HostAction::Start).into_iter().collect(),
            frames: FrameReader::default(),
            written: VecDeque::new(),
            is_waiting: false,
            is_drained: true,
            is_piped: circuit.is_some(),
            ends: FrameEnds::default(),
        }
    }

    /// The stream's handshake is complete: the channel may be opened.
    pub fn open(&mut self, conversation: &Conversation) {
        if let (Some(established), Some(handshake)) = (conversation.established(), conversation.open_handshake()) {
            let id = conversation.drive().channel_id(&established.handshake_hash);
            self.actions.push_back(HostAction::Open { id, handshake });
        }
    }

    /// Both have proved the drive key: only now may a relay's circuit carry replication, whose channels are named by discovery keys.
    pub fn handle_proof(&mut self) {
        if self.is_piped {
            let rest = std::mem::take(&mut self.frames).into_rest();
            self.ends.pass(&rest);
            self.read(rest);
            self.actions.push_back(HostAction::Replicate);
        }
    }

    /// Passes bytes from the circuit on. npm's stream allocates a frame by its length field alone: until the drive key is proved it
    /// gets whole frames only, and none that is too long. Returns what is to be known of frames after that.
    pub fn handle_bytes(&mut self, bytes: &[u8], conversation: &Conversation) -> Result<Passed, WireError> {
        if conversation.is_proved() {
            self.read(bytes.to_vec());
            return Ok(self.ends.pass(bytes));
        }
        // The host may not have heard the proof yet that came before a frame with all the cores of a corestore.
        let longest = if conversation.established().is_some() { limits::FIRST_FRAME } else { limits::FRAME };
        self.frames.push(bytes);
        let mut whole = Vec::new();
        while let Some(frame) = self.frames.next_frame(longest)? {
            framing::put_header(&mut whole, frame.len());
            whole.extend_from_slice(frame);
        }
        self.read(whole);
        Ok(Passed::default())
    }

    /// Takes bytes for the circuit, if there is one. Returns whether the host is to wait before it writes more.
    pub fn handle_written(&mut self, bytes: &[u8]) -> bool {
        if !self.is_piped {
            return false;
        }
        self.written.extend(bytes);
        self.is_waiting = self.is_full();
        self.is_waiting
    }

    /// The host's mux takes more messages, or none for now.
    pub fn handle_drained(&mut self, is_drained: bool) {
        self.is_drained = is_drained;
    }

    /// Whether bytes for the circuit wait.
    pub fn has_bytes(&self) -> bool {
        !self.written.is_empty()
    }

    /// Takes at most `limit` of them.
    pub fn take_bytes(&mut self, limit: usize) -> Vec<u8> {
        let taken = self.written.drain(..limit.min(self.written.len())).collect();
        if self.is_waiting && !self.is_full() {
            self.is_waiting = false;
            self.actions.push_back(HostAction::Drained);
        }
        taken
    }

    /// Whether there is something to do.
    pub fn has_action(&self, conversation: &Conversation) -> bool {
        !self.actions.is_empty()
            || conversation.has_something_urgent()
            || (self.is_drained && conversation.has_something_to_say())
    }

    /// The next thing to do. Messages wait until the host's mux takes them.
    pub fn next_action(&mut self, conversation: &mut Conversation) -> Option<HostAction> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        loop {
            let said = match conversation.next_urgent() {
                None if self.is_drained => conversation.next_said()?,
                urgent => urgent?,
            };
            if let Some(action) = action(said) {
                return Some(action);
            }
        }
    }

    /// The next thing that was decided, without what waits for the host's mux.
    pub fn next_last_action(&mut self) -> Option<HostAction> {
        self.actions.pop_front()
    }

    /// Has one thing said, whether the host's mux takes messages or not.
    pub fn say(&mut self, said: Said) {
        self.actions.extend(action(said));
    }

    fn read(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.actions.push_back(HostAction::Read(bytes));
        }
    }

    fn is_full(&self) -> bool {
        self.written.len() >= limits::HOST_HIGH_WATER
    }
}

/// What the host does to say something. Its stream sends keepalives of its own.
fn action(said: Said) -> Option<HostAction> {
    match said {
        Said::Message(frame) => Some(HostAction::Message(frame)),
        Said::Extension(topic, message) => Some(HostAction::Extension(topic, message)),
        Said::Keepalive => None,
    }
}
