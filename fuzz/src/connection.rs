//! A direct connection of a device under test, as its browser has it: whatever is asked of it can be done.

use peersockets_core::rtc::Step;
use peersockets_core::swarm::SocketId;

pub struct Connection {
    pub socket: SocketId,
    pub is_closed: bool,
    /// Whether what is written to its channel stays in the buffer.
    pub is_stuck: bool,
    /// Whether its channel was said to be open.
    is_open: bool,
    /// What was written before anyone reads.
    unread: Option<Vec<u8>>,
    has_offered: bool,
    knows_remote: bool,
}

impl Connection {
    pub fn new(socket: SocketId) -> Self {
        Self {
            socket,
            is_closed: false,
            is_stuck: false,
            is_open: false,
            unread: Some(Vec::new()),
            has_offered: false,
            knows_remote: false,
        }
    }

    pub fn open(&mut self) {
        self.is_open = true;
    }

    pub fn close(&mut self) {
        assert!(!self.is_closed, "a connection is closed once");
        self.is_closed = true;
    }

    pub fn take(&mut self, step: &Step) {
        assert!(!self.is_closed, "{step:?} with a connection that is closed");
        match step {
            Step::Offer { .. } => {
                assert!(!self.has_offered, "one offer at a time");
                self.has_offered = true;
            }
            Step::Answer(_) => (self.has_offered, self.knows_remote) = (false, true),
            Step::Accept(_) => {
                assert!(self.has_offered, "an answer is taken for an offer");
                (self.has_offered, self.knows_remote) = (false, true);
            }
            Step::Candidate(_) => assert!(self.knows_remote, "a candidate comes behind a description"),
        }
    }

    /// The device writes a message; whoever reads the channel gets it, if anyone does already.
    pub fn write(&mut self, message: Vec<u8>) -> Option<Vec<u8>> {
        assert!(self.is_open && !self.is_closed, "it writes to a channel that is open");
        match &mut self.unread {
            Some(unread) => {
                unread.extend(message);
                None
            }
            None => Some(message),
        }
    }

    /// Begins to read the channel, once, if it is open: what was written before comes first.
    pub fn read(&mut self) -> Option<Vec<u8>> {
        self.unread.take_if(|_| self.is_open && !self.is_closed)
    }
}
