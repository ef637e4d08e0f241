//! One link to another device: secret stream, mux and the `peersockets/1` channel on an ordered pipe of bytes, whatever carries it.
//!
//! The link knows no relay and no peer: bytes in, bytes out, and [`LinkEvent`]s. Any error ends it.

use std::sync::Arc;

use crate::channel::inbox::{Budget, Inbox, Received};
use crate::channel::outbox::{Bound, Frame, Outbox, QueueFull};
use crate::channel::peersockets::{self, GOODBYE, PING, PONG, PROTOCOL};
use crate::drive::DriveKey;
use crate::error::LinkError;
use crate::limits;
use crate::secure::{DeviceKey, Entropy, Role, Secure};
use crate::time::Time;
use crate::wire::mux::{ChannelId, Mux, MuxEvent};

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
    /// A message that did not fit the reassembly budget.
    Lost {
        /// The topic's name.
        topic: Arc<str>,
        /// The message's length in bytes.
        length: usize,
    },
    /// The remote leaves on purpose.
    Goodbye,
}

/// One side of a link.
pub struct Link {
    drive: DriveKey,
    own_key: [u8; 32],
    secure: Secure,
    mux: Mux,
    channel: Option<ChannelId>,
    is_proved: bool,
    inbox: Inbox,
    outbox: Outbox,
    opened_at: Time,
    heard_at: Time,
    pinged_at: Option<Time>,
    has_carried: bool,
}

impl Link {
    /// A new link that carries nothing yet. The initiator's first bytes wait to be taken.
    pub fn new(now: Time, role: Role, device: &DeviceKey, entropy: Entropy, drive: DriveKey, budget: Budget) -> Self {
        Self {
            drive,
            own_key: device.public(),
            secure: Secure::new(role, device, entropy),
            mux: Mux::default(),
            channel: None,
            is_proved: false,
            inbox: Inbox::new(budget),
            outbox: Outbox::default(),
            opened_at: now,
            heard_at: now,
            pinged_at: None,
            has_carried: false,
        }
    }

    /// The remote's device key, once the handshake has proved it.
    pub fn remote(&self) -> Option<[u8; 32]> {
        self.secure.remote()
    }

    /// Whether the remote has proved the drive key.
    pub fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// Whether a message has been sent or received on it, so that its death may lose one.
    pub fn has_carried(&self) -> bool {
        self.has_carried
    }

    /// Whether bytes wait to be taken.
    pub fn has_output(&self) -> bool {
        self.secure.output_length() > 0 || !self.outbox.is_empty()
    }

    /// Queues a message. Only a proved link takes any.
    pub fn send(&mut self, topic: &Arc<str>, message: Vec<u8>) -> Result<(), QueueFull> {
        if !self.is_proved {
            return Err(QueueFull { message, bound: Bound::Bytes });
        }
        self.has_carried = true;
        self.outbox.push(topic, message)
    }

    /// What a message of this length would be too much for.
    pub fn bound(&self, length: usize) -> Option<Bound> {
        self.outbox.bound(length)
    }

    /// Tells the remote that this device leaves, behind the first [`limits::LAST_WORDS`] bytes of what is queued; the rest is
    /// dropped. Who has not proved the drive key is told nothing.
    pub fn goodbye(&mut self) {
        if self.is_proved {
            self.seal_queued(self.secure.output_length() + limits::LAST_WORDS);
            self.send_now(GOODBYE);
        }
        self.outbox = Outbox::default();
    }

    /// Takes at most `limit` bytes for the carrier, sealing as many frames as fit.
    pub fn take_output(&mut self, limit: usize) -> Vec<u8> {
        self.seal_queued(limit.max(limits::SEALED_FRAME));
        self.secure.take_output(limit)
    }

    /// Bytes of messages that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Handles bytes from the carrier. Events are appended to `events` in order; an error ends the link.
    pub fn handle_bytes(
        &mut self,
        now: Time,
        bytes: &[u8],
        is_joined: &dyn Fn(&str) -> bool,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        self.heard_at = now;
        self.pinged_at = None;
        self.secure.handle_bytes(bytes);
        loop {
            let frame = self.secure.poll_frame(limits::FRAME)?;
            self.open_channel_when_established()?;
            let Some(frame) = frame else {
                return Ok(());
            };
            self.handle_frame(&frame, is_joined, events)?;
            self.seal_mux();
            if self.secure.output_length() > limits::LINK_OUTPUT {
                return Err(LinkError::Unread);
            }
        }
    }

    /// When [`Link::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Time {
        match (self.is_proved, self.pinged_at) {
            (false, _) => self.opened_at + limits::PROOF_TIME,
            (true, None) => self.heard_at + limits::PING_AFTER,
            (true, Some(pinged_at)) => pinged_at + limits::PONG_WITHIN,
        }
    }

    /// Pings a silent remote and gives a dead one up. A timer that runs late kills no link: it pings first.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), LinkError> {
        if now < self.next_timeout() {
            return Ok(());
        }
        match (self.is_proved, self.pinged_at) {
            (false, _) => Err(LinkError::ProofTimeout),
            (true, Some(_)) => Err(LinkError::Silent),
            (true, None) => {
                self.pinged_at = Some(now);
                self.send_now(PING);
                Ok(())
            }
        }
    }

    fn open_channel_when_established(&mut self) -> Result<(), LinkError> {
        let (None, Some(hash)) = (self.channel, self.secure.handshake_hash()) else {
            return Ok(());
        };
        if self.secure.remote() == Some(self.own_key) {
            return Err(LinkError::OwnDevice);
        }
        let handshake = peersockets::open_handshake(&self.drive, self.secure.role(), hash);
        self.channel = self.mux.open(PROTOCOL, &self.drive.channel_id(hash), &handshake);
        self.seal_mux();
        Ok(())
    }

    fn handle_frame(
        &mut self,
        frame: &[u8],
        is_joined: &dyn Fn(&str) -> bool,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        let Self { drive, secure, mux, is_proved, inbox, has_carried, .. } = self;
        let (Some(remote), Some(hash)) = (secure.remote(), secure.handshake_hash()) else {
            return Err(LinkError::Handshake);
        };
        let sender = secure.role().other();
        let mut pings = 0;
        mux.handle_frame(frame, &mut |event| {
            match event {
                MuxEvent::Opened { handshake, .. } => {
                    peersockets::verify_open(handshake, drive, sender, hash)?;
                    *is_proved = true;
                    events.push(LinkEvent::Proved(remote));
                }
                MuxEvent::Closed { .. } => return Err(LinkError::ChannelClosed),
                MuxEvent::Message { kind, payload, .. } => match inbox.handle(kind, payload, is_joined)? {
                    Some(Received::Message { topic, bytes }) => {
                        *has_carried = true;
                        events.push(LinkEvent::Message { topic, bytes });
                    }
                    Some(Received::Lost { topic, length }) => events.push(LinkEvent::Lost { topic, length }),
                    Some(Received::Goodbye) => events.push(LinkEvent::Goodbye),
                    Some(Received::Ping) => pings += 1,
                    Some(Received::Pong) | None => {}
                },
            }
            Ok(())
        })?;
        if pings > 0 {
            self.send_now(PONG);
        }
        Ok(())
    }

    /// Seals what is queued until a further frame might not fit `limit` bytes of output.
    fn seal_queued(&mut self, limit: usize) {
        let Some(channel) = self.channel else {
            return;
        };
        while self.secure.output_length() + limits::SEALED_FRAME <= limit {
            let Some(Frame { kind, payload }) = self.outbox.next_frame() else {
                break;
            };
            self.mux.send(channel, kind, &payload);
            self.seal_mux();
        }
    }

    fn send_now(&mut self, kind: u64) {
        if let Some(channel) = self.channel {
            self.mux.send(channel, kind, &[]);
            self.seal_mux();
        }
    }

    fn seal_mux(&mut self) {
        while let Some(frame) = self.mux.poll_frame() {
            // The mux has nothing to say before the channel is opened, which the handshake comes before.
            let sealed = self.secure.seal(frame);
            debug_assert!(sealed, "a frame was written before the handshake was complete");
        }
    }
}
