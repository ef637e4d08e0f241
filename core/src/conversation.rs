//! What two devices say to each other on a link, whoever seals it and multiplexes its channels.
//!
//! They talk on the channel `peersockets/1`, or, with a drive peer that has none, by extensions on `hypercore/alpha` (PROTOCOL.md §8,
//! §12). What is heard goes in, what is to be said and [`LinkEvent`]s come out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::channel::inbox::{Budget, Inbox, Received};
use crate::channel::outbox::{Bound, Frame, Outbox, QueueFull};
use crate::channel::peersockets::{self, GOODBYE, PING, PONG};
use crate::drive::DriveKey;
use crate::error::LinkError;
use crate::limits;
use crate::secure::Role;
use crate::time::Time;

/// What happened on a link.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The remote, whose device key this is, has proved the drive key; so have we, or the remote will end the link.
    Proved([u8; 32]),
    /// A message on a topic that is joined here.
    Message {
        /// The topic's name.
        topic: Arc<str>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A message that did not fit the reassembly budget, or is longer than any may be.
    Lost {
        /// The topic's name.
        topic: Arc<str>,
        /// The message's length in bytes.
        length: usize,
    },
    /// The remote leaves on purpose.
    Goodbye,
}

/// What was heard on a link.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The remote opened `peersockets/1`, with this handshake.
    Opened(&'a [u8]),
    /// The remote rejected or closed `peersockets/1`.
    Closed,
    /// A message on `peersockets/1`: its type and payload.
    Message(u64, &'a [u8]),
    /// `hypercore/alpha` is open, and the remote has proved the drive key there.
    DriveOpened,
    /// The remote rejected or closed `hypercore/alpha`.
    DriveClosed,
    /// A topic's message as an extension on `hypercore/alpha`.
    Extension(Arc<str>, &'a [u8]),
}

/// What is to be said on a link.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// A message on `peersockets/1`.
    Message(Frame),
    /// A topic's message as an extension on `hypercore/alpha`.
    Extension(Arc<str>, Vec<u8>),
    /// An empty frame.
    Keepalive,
}

impl Said {
    fn length(&self) -> usize {
        match self {
            Self::Message(frame) => frame.payload.len(),
            Self::Extension(_, message) => message.len(),
            Self::Keepalive => 0,
        }
    }
}

/// The secret stream below, once its handshake is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The remote's device key.
    pub remote: [u8; 32],
    /// Our side of it.
    pub role: Role,
    /// What proofs are bound to.
    pub handshake_hash: [u8; 64],
}

/// One side of a conversation.
pub struct Conversation {
    drive: DriveKey,
    own_key: [u8; 32],
    has_drive_channel: bool,
    session: Option<Session>,
    state: State,
    inbox: Inbox,
    outbox: Outbox,
    /// What is said before anything of the outbox.
    urgent: VecDeque<Said>,
    opened_at: Time,
    heard_at: Time,
    pinged_at: Option<Time>,
    sends_keepalives: bool,
    has_carried: bool,
}

/// How far the two are, and what carries their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Neither channel is settled.
    Asking { drive: DriveChannel },
    /// The remote has no `peersockets/1`; the other channel is not settled.
    AskingForDrive,
    /// Messages go on `peersockets/1`.
    Peersockets,
    /// Messages go as extensions.
    Extensions,
}

/// The remote's word on `hypercore/alpha`, as long as it has none on `peersockets/1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriveChannel {
    Unanswered,
    Open,
    /// Or it was not asked.
    Closed,
}

impl Conversation {
    /// A conversation in which nothing has been said. `has_drive_channel` says whether `hypercore/alpha` is opened too, for a remote
    /// that knows nothing else.
    pub fn new(now: Time, own_key: [u8; 32], drive: DriveKey, budget: Budget, has_drive_channel: bool) -> Self {
        let unsettled = if has_drive_channel { DriveChannel::Unanswered } else { DriveChannel::Closed };
        Self {
            drive,
            own_key,
            has_drive_channel,
            session: None,
            state: State::Asking { drive: unsettled },
            inbox: Inbox::new(budget),
            outbox: Outbox::default(),
            urgent: VecDeque::new(),
            opened_at: now,
            heard_at: now,
            pinged_at: None,
            sends_keepalives: false,
            has_carried: false,
        }
    }

    /// The secret stream is there: both channels may be opened. Our own device is refused, and a second handshake.
    pub fn begin(&mut self, session: Session) -> Result<(), LinkError> {
        if session.remote == self.own_key {
            return Err(LinkError::OwnDevice);
        }
        if self.session.is_some() {
            return Err(LinkError::Handshake);
        }
        self.session = Some(session);
        Ok(())
    }

    /// The drive.
    pub fn drive(&self) -> &DriveKey {
        &self.drive
    }

    /// Whether `hypercore/alpha` is opened too.
    pub fn has_drive_channel(&self) -> bool {
        self.has_drive_channel
    }

    /// The secret stream, once it is there.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Whether the remote has proved the drive key.
    pub fn is_proved(&self) -> bool {
        matches!(self.state, State::Peersockets | State::Extensions)
    }

    /// Whether a message has been sent or received, so that the link's death may lose one.
    pub fn has_carried(&self) -> bool {
        self.has_carried
    }

    /// Whether something is to be said.
    pub fn has_something_to_say(&self) -> bool {
        !self.urgent.is_empty() || !self.outbox.is_empty()
    }

    /// Whether some of it cannot wait.
    pub fn has_something_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// Queues a message. Only a proved remote is sent any.
    pub fn send(&mut self, topic: &Arc<str>, message: Vec<u8>) -> Result<(), QueueFull> {
        if !self.is_proved() {
            return Err(QueueFull { message, bound: Bound::Bytes });
        }
        self.has_carried = true;
        self.outbox.push(topic, message)
    }

    /// What a message of this length would be too much for.
    pub fn bound(&self, length: usize) -> Option<Bound> {
        self.outbox.bound(length)
    }

    /// Bytes of messages that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// The next thing to say that cannot wait: answers and signs of life.
    pub fn next_urgent(&mut self) -> Option<Said> {
        self.urgent.pop_front()
    }

    /// The next thing to say, a message or a part of one.
    pub fn next_said(&mut self) -> Option<Said> {
        match self.state {
            State::Peersockets => self.outbox.next_frame().map(Said::Message),
            State::Extensions => self.outbox.next_message().map(|(topic, message)| Said::Extension(topic, message)),
            State::Asking { .. } | State::AskingForDrive => None,
        }
    }

    /// What is still said before this device leaves: the first [`limits::LAST_WORDS`] bytes of what is queued, and that it leaves,
    /// where that can be said. The rest is dropped.
    pub fn last_words(&mut self) -> Vec<Said> {
        let mut said: Vec<Said> = self.urgent.drain(..).collect();
        let mut room = limits::LAST_WORDS;
        while self.next_length().is_some_and(|length| length <= room) {
            let Some(next) = self.next_said() else {
                break;
            };
            room = room.saturating_sub(next.length());
            said.push(next);
        }
        self.outbox = Outbox::default();
        if self.state == State::Peersockets {
            said.push(Said::Message(Frame { kind: GOODBYE, payload: Vec::new() }));
        }
        said
    }

    /// Bytes came, whatever they mean.
    pub fn heard_at(&mut self, now: Time) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// A keepalive came: whoever sends them is expected to go on.
    pub fn heard_keepalive(&mut self) {
        self.sends_keepalives = true;
    }

    /// Takes what was heard. Events are appended to `events` in order; an error ends the link. Nothing is heard before the secret
    /// stream is there.
    pub fn hear(
        &mut self,
        heard: Heard<'_>,
        is_joined: &dyn Fn(&str) -> bool,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        let session = self.session.ok_or(LinkError::Handshake)?;
        match heard {
            Heard::Opened(handshake) => self.handle_opened(handshake, &session, events),
            Heard::Closed => self.handle_closed(&session, events),
            Heard::Message(kind, payload) if self.state == State::Peersockets => {
                self.handle_message(kind, payload, is_joined, events)
            }
            Heard::DriveOpened => {
                self.handle_drive_opened(&session, events);
                Ok(())
            }
            Heard::DriveClosed => self.handle_drive_closed(),
            Heard::Extension(topic, bytes) => {
                self.prove_by_extension(&session, events);
                if self.state == State::Extensions && is_joined(&topic) {
                    self.handle_extension(topic, bytes, events);
                }
                Ok(())
            }
            Heard::Message(..) => Ok(()),
        }
    }

    /// When [`Conversation::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Time {
        match (self.is_proved(), self.pinged_at) {
            (false, _) => self.opened_at + limits::PROOF_TIME,
            (true, None) => self.heard_at + limits::PING_AFTER,
            (true, Some(pinged_at)) => pinged_at + self.patience(),
        }
    }

    /// Asks a silent remote for a sign of life and gives a dead one up. A timer that runs late ends nothing: it asks first.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), LinkError> {
        if now < self.next_timeout() {
            return Ok(());
        }
        if !self.is_proved() {
            return Err(LinkError::ProofTimeout);
        }
        if self.pinged_at.is_some() && (self.state == State::Peersockets || self.sends_keepalives) {
            return Err(LinkError::Silent);
        }
        self.pinged_at = Some(now);
        self.ask();
        Ok(())
    }

    /// Asks a remote that has proved the drive key for a sign of life. Returns whether it answers such a question.
    pub fn ask(&mut self) -> bool {
        let answers = self.state == State::Peersockets;
        if answers {
            self.say(PING);
        } else {
            self.urgent.push_back(Said::Keepalive);
        }
        answers
    }

    /// How long a remote may leave a sign of life unanswered. A drive peer answers none, and only has a rhythm of its own.
    fn patience(&self) -> crate::time::Duration {
        match self.state {
            State::Extensions if self.sends_keepalives => limits::KEEPALIVES_STOPPED - limits::PING_AFTER,
            _ => limits::PONG_WITHIN,
        }
    }

    /// Bytes of a message that [`Conversation::next_said`] gives next.
    fn next_length(&self) -> Option<usize> {
        match self.state {
            State::Peersockets => self.outbox.next_part_length(),
            State::Extensions => self.outbox.next_message_length(),
            State::Asking { .. } | State::AskingForDrive => None,
        }
    }

    fn handle_opened(
        &mut self,
        handshake: &[u8],
        session: &Session,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        peersockets::verify_open(handshake, &self.drive, session.role.other(), &session.handshake_hash)?;
        if self.is_proved() {
            // A remote that had rejected the channel opens it after all: messages go there from now on.
            self.state = State::Peersockets;
        } else {
            self.prove(State::Peersockets, session, events);
        }
        Ok(())
    }

    fn handle_closed(&mut self, session: &Session, events: &mut Vec<LinkEvent>) -> Result<(), LinkError> {
        match self.state {
            State::Asking { drive: DriveChannel::Open } => self.prove(State::Extensions, session, events),
            State::Asking { drive: DriveChannel::Unanswered } => self.state = State::AskingForDrive,
            State::Asking { drive: DriveChannel::Closed } | State::Peersockets => return Err(LinkError::ChannelClosed),
            State::AskingForDrive | State::Extensions => {}
        }
        Ok(())
    }

    /// Where `hypercore/alpha` was not to be opened, it proves nothing: on a circuit it comes behind the proof.
    fn handle_drive_opened(&mut self, session: &Session, events: &mut Vec<LinkEvent>) {
        match self.state {
            State::Asking { .. } if self.has_drive_channel => self.state = State::Asking { drive: DriveChannel::Open },
            State::AskingForDrive => self.prove(State::Extensions, session, events),
            State::Asking { .. } | State::Peersockets | State::Extensions => {}
        }
    }

    /// Who sends extensions has no other channel for messages, even if its rejection of ours is yet to come.
    fn prove_by_extension(&mut self, session: &Session, events: &mut Vec<LinkEvent>) {
        if self.state == (State::Asking { drive: DriveChannel::Open }) {
            self.prove(State::Extensions, session, events);
        }
    }

    fn handle_drive_closed(&mut self) -> Result<(), LinkError> {
        match self.state {
            State::Asking { .. } => self.state = State::Asking { drive: DriveChannel::Closed },
            State::AskingForDrive | State::Extensions => return Err(LinkError::ChannelClosed),
            State::Peersockets => {}
        }
        Ok(())
    }

    fn handle_message(
        &mut self,
        kind: u64,
        payload: &[u8],
        is_joined: &dyn Fn(&str) -> bool,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        match self.inbox.handle(kind, payload, is_joined)? {
            Some(Received::Message { topic, bytes }) => {
                self.has_carried = true;
                events.push(LinkEvent::Message { topic, bytes });
            }
            Some(Received::Lost { topic, length }) => events.push(LinkEvent::Lost { topic, length }),
            Some(Received::Goodbye) => events.push(LinkEvent::Goodbye),
            // One answer is enough for all that came together.
            Some(Received::Ping) if !self.urgent.contains(&pong()) => self.urgent.push_back(pong()),
            Some(Received::Ping | Received::Pong) | None => {}
        }
        Ok(())
    }

    fn handle_extension(&mut self, topic: Arc<str>, bytes: &[u8], events: &mut Vec<LinkEvent>) {
        if bytes.len() > limits::MESSAGE {
            events.push(LinkEvent::Lost { topic, length: bytes.len() });
            return;
        }
        self.has_carried = true;
        events.push(LinkEvent::Message { topic, bytes: bytes.to_vec() });
    }

    fn prove(&mut self, state: State, session: &Session, events: &mut Vec<LinkEvent>) {
        self.state = state;
        events.push(LinkEvent::Proved(session.remote));
    }

    fn say(&mut self, kind: u64) {
        self.urgent.push_back(Said::Message(Frame { kind, payload: Vec::new() }));
    }
}

fn pong() -> Said {
    Said::Message(Frame { kind: PONG, payload: Vec::new() })
}
