//! What two devices say to each other on a link, whoever seals it and multiplexes its channels.
//!
//! They talk on the channel `peersockets/1`, or, with a drive peer that has none, by extensions on `hypercore/alpha` (PROTOCOL.md §8,
//! §12). What is heard goes in, what is to be said and [`LinkEvent`]s come out.

mod liveness;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::budget::{Budget, Memory, Share};
use crate::channel::inbox::{Acknowledgement, Inbox, Received};
use crate::channel::outbox::{Bound, Frame, Outbox, QueueFull};
use crate::channel::peersockets::{self, ACK, FIRST, GOODBYE, NEXT, PING, PONG, Standing, Terms};
use crate::drive::DriveKey;
use crate::error::{ChannelViolation, LinkError};
use crate::limits;
use crate::rtc::signal::{SIGNALS, Signal};
use crate::secure::Role;
use crate::time::{Duration, Time};
use crate::wire::encoding::Encode;

use liveness::{Habit, Liveness};

/// What happened on a link.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The remote, whose device key this is, has proved the drive key; so have we, or the remote will end the link.
    Proved([u8; 32]),
    /// The remote, which was reached by extensions before, opened `peersockets/1`, and both keep a session.
    SessionOffered,
    /// A message on a topic that is joined here.
    Message {
        /// Its number in the session, if there is one.
        number: Option<u64>,
        /// The topic's name.
        topic: Arc<str>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A message that did not fit the reassembly budget, or is longer than any may be.
    Lost {
        /// Its number in the session, if there is one.
        number: Option<u64>,
        /// The topic's name.
        topic: Arc<str>,
        /// The message's length in bytes.
        length: usize,
    },
    /// The message of a session with this number was on a topic that nobody joined here.
    Unwanted {
        /// The number.
        number: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// A part of a session's message came: so many bytes are there now of messages that are not whole yet.
    Part(usize),
    /// What has arrived of our messages.
    Acknowledged(Acknowledgement),
    /// The remote leaves on purpose, in a session after so many messages of its.
    Goodbye(Option<u64>),
    /// The remote says something about a direct connection.
    Signal(Signal),
}

/// What a conversation asks of the device that it belongs to.
pub trait Surroundings {
    /// Whether a topic is joined here.
    fn is_joined(&self, topic: &str) -> bool;

    /// Where the session with a remote device stands, which is to be told to it; `None` if this device keeps no sessions.
    fn standing(&self, remote: &[u8; 32]) -> Option<Standing>;

    /// Whether this device takes signals, to become directly connected.
    fn is_direct(&self) -> bool {
        false
    }
}

/// A device without sessions, which has joined some topics.
impl<Joined: Fn(&str) -> bool> Surroundings for Joined {
    fn is_joined(&self, topic: &str) -> bool {
        self(topic)
    }

    fn standing(&self, _remote: &[u8; 32]) -> Option<Standing> {
        None
    }
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
    fn is(&self, kind: u64) -> bool {
        matches!(self, Self::Message(frame) if frame.kind == kind)
    }

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
pub struct Established {
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
    established: Option<Established>,
    /// What our Open says, and what theirs says.
    terms: (Terms, Terms),
    /// The number of the next message on this link.
    number: Option<u64>,
    state: State,
    inbox: Inbox,
    outbox: Outbox,
    /// Memory for what waits in an outbox.
    queues: Budget,
    /// What is said before anything of the outbox.
    urgent: VecDeque<Said>,
    liveness: Liveness,
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
    pub fn new(now: Time, own_key: [u8; 32], drive: DriveKey, memory: Memory, has_drive_channel: bool) -> Self {
        let unsettled = if has_drive_channel { DriveChannel::Unanswered } else { DriveChannel::Closed };
        Self {
            drive,
            own_key,
            has_drive_channel,
            established: None,
            terms: Default::default(),
            number: None,
            state: State::Asking { drive: unsettled },
            inbox: Inbox::new(memory.incomplete),
            outbox: Outbox::new(memory.queues.clone()),
            queues: memory.queues,
            urgent: VecDeque::new(),
            liveness: Liveness::new(now, has_drive_channel),
            has_carried: false,
        }
    }

    /// The secret stream is there: both channels may be opened. Our own device is refused, and a second handshake.
    pub fn begin(&mut self, established: Established, surroundings: &dyn Surroundings) -> Result<(), LinkError> {
        if established.remote == self.own_key {
            return Err(LinkError::OwnDevice);
        }
        if self.established.is_some() {
            return Err(LinkError::Handshake);
        }
        if established.role == Role::Initiator {
            self.liveness.asks_first();
        }
        let standing = surroundings.standing(&established.remote);
        self.terms.0 = Terms { standing, is_direct: surroundings.is_direct() };
        self.established = Some(established);
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
    pub fn established(&self) -> Option<&Established> {
        self.established.as_ref()
    }

    /// What our Open on `peersockets/1` carries, once the secret stream is there.
    pub fn open_handshake(&self) -> Option<Vec<u8>> {
        let Established { role, handshake_hash, .. } = self.established.as_ref()?;
        Some(peersockets::open_handshake(&self.drive, *role, handshake_hash, &self.terms.0))
    }

    /// What both Opens say of the session, ours first, if both devices keep one.
    pub fn standings(&self) -> Option<(Standing, Standing)> {
        self.terms.0.standing.zip(self.terms.1.standing)
    }

    /// Whether both devices take signals, and the remote has said so.
    pub fn takes_signals(&self) -> bool {
        self.state == State::Peersockets && self.terms.0.is_direct && self.terms.1.is_direct
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

    /// What waits to be sent, or to be acknowledged.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
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

    /// What of messages comes before they are whole counts as that of a device, with what comes on its other links.
    pub fn count_in(&mut self, share: Share) {
        self.inbox.count_in(share);
    }

    /// Takes what waits to be sent, to send it on another link.
    pub fn take_outbox(&mut self) -> Outbox {
        std::mem::replace(&mut self.outbox, Outbox::new(self.queues.clone()))
    }

    /// The same, from a link that lives on: the other end is not to keep what is cut off here.
    pub fn move_outbox(&mut self) -> Outbox {
        self.urgent.extend(self.outbox.break_off().map(Said::Message));
        self.take_outbox()
    }

    /// What waits is sent here from now on.
    pub fn give_outbox(&mut self, mut outbox: Outbox) {
        outbox.restart();
        self.outbox = outbox;
    }

    /// So many bytes have come on this link of messages that are not whole at the other end.
    pub fn note_arrived(&mut self, bytes: u64) {
        self.outbox.note_arrived(bytes);
    }

    /// The other end of the session has so many messages.
    pub fn handle_acknowledgement(&mut self, count: u64) -> Result<(), LinkError> {
        let is_true = self.outbox.acknowledge(count);
        if is_true { Ok(()) } else { Err(LinkError::Channel(ChannelViolation::Acknowledgement)) }
    }

    /// Tells the other end of the session that so many messages have arrived, and what of the next ones came on this link.
    pub fn acknowledge(&mut self, messages: u64) {
        self.take_back(ACK);
        let bytes = self.inbox.arrived() as u64;
        let payload = Acknowledgement { messages, bytes }.encode();
        self.urgent.push_back(Said::Message(Frame { kind: ACK, payload }));
    }

    /// Says something about a direct connection, if the remote takes signals and does not leave too many unread.
    pub fn signal(&mut self, signal: &Signal) {
        if self.takes_signals() && self.urgent.len() < limits::URGENT {
            let (kind, payload) = signal.encode();
            self.urgent.push_back(Said::Message(Frame { kind, payload }));
        }
    }

    /// What is still said before this device leaves: the first [`limits::LAST_WORDS`] bytes of what is queued, and that it leaves,
    /// where that can be said. The rest is dropped. In a session, `finished` messages went before on other links if none can go on this
    /// one; returns how many went now.
    pub fn last_words(&mut self, finished: Option<u64>) -> (Vec<Said>, Option<u64>) {
        let mut said: Vec<Said> = self.urgent.drain(..).collect();
        let mut room = limits::LAST_WORDS;
        while self.next_length().is_some_and(|length| length <= room) {
            let Some(next) = self.next_said() else {
                break;
            };
            room = room.saturating_sub(next.length());
            said.push(next);
        }
        let finished = self.take_outbox().finished().or(finished);
        if self.state == State::Peersockets {
            let mut payload = Vec::new();
            if let Some(finished) = finished {
                payload.put_uint(finished);
            }
            said.push(Said::Message(Frame { kind: GOODBYE, payload }));
        }
        (said, finished)
    }

    /// Bytes came, whatever they mean.
    pub fn heard_at(&mut self, now: Time) {
        self.liveness.heard(now);
    }

    /// Bytes of a frame came; so many of one that may be as long as replication has them.
    pub fn expect_frame(&mut self, now: Time, bytes: usize) {
        self.liveness.expect_frame(now, bytes);
    }

    /// A frame was opened: the bytes that came are those that the remote wrote.
    pub fn handle_frame(&mut self) {
        self.liveness.heard_frame();
    }

    /// A keepalive came.
    pub fn heard_keepalive(&mut self) {
        self.liveness.heard_keepalive();
    }

    /// Takes what was heard. Events are appended to `events` in order; an error ends the link. Nothing is heard before the secret
    /// stream is there.
    pub fn hear(
        &mut self,
        heard: Heard<'_>,
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        let established = self.established.ok_or(LinkError::Handshake)?;
        match heard {
            Heard::Opened(handshake) => self.handle_opened(handshake, &established, events),
            Heard::Closed => self.handle_closed(&established, events),
            Heard::Message(kind, payload) if self.state == State::Peersockets => {
                self.handle_message(kind, payload, surroundings, events)
            }
            Heard::DriveOpened => {
                self.handle_drive_opened(&established, events);
                Ok(())
            }
            Heard::DriveClosed => self.handle_drive_closed(),
            Heard::Extension(topic, bytes) => {
                self.prove_by_extension(&established, events);
                if self.state == State::Extensions && surroundings.is_joined(&topic) {
                    self.handle_extension(topic, bytes, events);
                }
                Ok(())
            }
            Heard::Message(..) => Ok(()),
        }
    }

    /// How long the last question and its answer took that were measured.
    pub fn round_trip(&self) -> Option<Duration> {
        self.liveness.round_trip()
    }

    /// Since when a sign of life has been missing, if one was asked for.
    pub fn asked_at(&self) -> Option<Time> {
        self.liveness.asked_at()
    }

    /// What was asked may only now be on its way.
    pub fn put_off(&mut self, now: Time) {
        self.liveness.put_off(now);
    }

    /// When [`Conversation::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Time {
        self.liveness.next_timeout(self.habit())
    }

    /// Asks a silent remote for a sign of life and gives a dead one up. A timer that runs late ends nothing: it asks first.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), LinkError> {
        if self.liveness.handle_timeout(now, self.habit())? {
            self.ask(now);
        }
        Ok(())
    }

    /// Asks a remote that has proved the drive key for a sign of life. Returns whether it answers such a question.
    pub fn ask(&mut self, now: Time) -> bool {
        let answers = self.habit() == Habit::Answers;
        if answers {
            self.ping(now);
            self.liveness.expect_pong(now);
        } else {
            self.urgent.push_back(Said::Keepalive);
        }
        answers
    }

    /// Asks a remote for a sign of life, which is missed from now on.
    pub fn doubt(&mut self, now: Time) {
        if self.ask(now) {
            self.liveness.miss(now);
        }
    }

    fn habit(&self) -> Habit {
        match self.state {
            State::Asking { .. } | State::AskingForDrive => Habit::Unproved,
            State::Peersockets => Habit::Answers,
            State::Extensions => Habit::Keepalives,
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
        established: &Established,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        self.terms.1 =
            peersockets::verify_open(handshake, &self.drive, established.role.other(), &established.handshake_hash)?;
        if self.is_proved() {
            // A remote that had rejected the channel opens it after all: messages go there from now on.
            self.state = State::Peersockets;
            self.ping(self.liveness.heard_at());
            if self.standings().is_some() {
                events.push(LinkEvent::SessionOffered);
            }
        } else {
            self.prove(State::Peersockets, established, events);
        }
        Ok(())
    }

    fn handle_closed(&mut self, established: &Established, events: &mut Vec<LinkEvent>) -> Result<(), LinkError> {
        match self.state {
            State::Asking { drive: DriveChannel::Open } => self.prove(State::Extensions, established, events),
            State::Asking { drive: DriveChannel::Unanswered } => self.state = State::AskingForDrive,
            State::Asking { drive: DriveChannel::Closed } | State::Peersockets => return Err(LinkError::ChannelClosed),
            State::AskingForDrive | State::Extensions => {}
        }
        Ok(())
    }

    /// Where `hypercore/alpha` was not to be opened, it proves nothing: on a circuit it comes behind the proof.
    fn handle_drive_opened(&mut self, established: &Established, events: &mut Vec<LinkEvent>) {
        match self.state {
            State::Asking { .. } if self.has_drive_channel => self.state = State::Asking { drive: DriveChannel::Open },
            State::AskingForDrive => self.prove(State::Extensions, established, events),
            State::Asking { .. } | State::Peersockets | State::Extensions => {}
        }
    }

    /// Who sends extensions has no other channel for messages, even if its rejection of ours is yet to come.
    fn prove_by_extension(&mut self, established: &Established, events: &mut Vec<LinkEvent>) {
        if self.state == (State::Asking { drive: DriveChannel::Open }) {
            self.prove(State::Extensions, established, events);
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
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        if SIGNALS.contains(&kind) {
            if self.takes_signals() {
                events.extend(Signal::decode(kind, payload)?.map(LinkEvent::Signal));
            }
            return Ok(());
        }
        let received = self.inbox.handle(kind, payload, &|topic| surroundings.is_joined(topic))?;
        if !matches!(received, Some(Received::Ping(_) | Received::Pong(_)))
            && let Some(now) = self.liveness.remeasure()
        {
            self.ping(now);
        }
        match received {
            Some(Received::Message { topic, bytes }) => {
                self.has_carried = true;
                let number = self.next_number()?;
                events.push(LinkEvent::Message { number, topic, bytes });
            }
            Some(Received::Lost { topic, length }) => {
                let number = self.next_number()?;
                events.push(LinkEvent::Lost { number, topic, length });
            }
            Some(Received::Unwanted { length }) => {
                events.extend(self.next_number()?.map(|number| LinkEvent::Unwanted { number, length }));
            }
            Some(Received::Resume(number)) => self.number = Some(number),
            Some(Received::Acknowledged(what)) => events.push(LinkEvent::Acknowledged(what)),
            Some(Received::Goodbye(count)) => events.push(LinkEvent::Goodbye(count)),
            Some(Received::Ping(number)) => self.answer_ping(number),
            Some(Received::Pong(number)) => self.liveness.heard_pong(number),
            None => {
                if matches!(kind, FIRST | NEXT) && self.standings().is_some() {
                    events.push(LinkEvent::Part(self.inbox.arrived()));
                }
                self.give_sign_of_life();
            }
        }
        Ok(())
    }

    fn answer_ping(&mut self, number: Option<u64>) {
        // One answer is enough for all that came together.
        self.take_back(PONG);
        self.say(PONG, number);
        if let Some(now) = self.liveness.heard_ping() {
            self.ask(now);
        }
    }

    /// A part of a message came. Its sender hears nothing of it until it is whole, and what it asks waits behind it.
    fn give_sign_of_life(&mut self) {
        if !self.urgent.iter().any(|said| said.is(PONG)) && self.liveness.take_sign_of_life() {
            self.say(PONG, None);
        }
    }

    /// The number of the message that came. In a session each has one.
    fn next_number(&mut self) -> Result<Option<u64>, LinkError> {
        if self.standings().is_none() {
            return Ok(None);
        }
        let number = self.number.ok_or(LinkError::Channel(ChannelViolation::Number))?;
        self.number = Some(number.saturating_add(1));
        Ok(Some(number))
    }

    fn handle_extension(&mut self, topic: Arc<str>, bytes: &[u8], events: &mut Vec<LinkEvent>) {
        if bytes.len() > limits::MESSAGE {
            events.push(LinkEvent::Lost { number: None, topic, length: bytes.len() });
            return;
        }
        self.has_carried = true;
        events.push(LinkEvent::Message { number: None, topic, bytes: bytes.to_vec() });
    }

    fn prove(&mut self, state: State, established: &Established, events: &mut Vec<LinkEvent>) {
        self.state = state;
        if state == State::Peersockets {
            self.ping(self.liveness.heard_at());
        }
        events.push(LinkEvent::Proved(established.remote));
    }

    /// Measures the round trip. Whether the remote lives is another question: the answer may take any time.
    fn ping(&mut self, now: Time) {
        let number = self.liveness.count_ping(now);
        self.say(PING, Some(number));
    }

    /// What is said of this kind now stands for what was to be said before.
    fn take_back(&mut self, kind: u64) {
        self.urgent.retain(|said| !said.is(kind));
    }

    fn say(&mut self, kind: u64, number: Option<u64>) {
        let mut payload = Vec::new();
        if let Some(number) = number {
            payload.put_uint(number);
        }
        self.urgent.push_back(Said::Message(Frame { kind, payload }));
    }
}
