//! A link whose secret stream and mux are ours.

use crate::channel::hypercore::{self, EXTENSION, Extensions, Received};
use crate::channel::peersockets;
use crate::conversation::{Conversation, Established, Heard, LinkEvent, Said, Surroundings};
use crate::error::LinkError;
use crate::limits;
use crate::secure::{DeviceKey, Entropy, PLAINTEXT, Role, Secure};
use crate::wire::mux::{ChannelId, Mux, MuxEvent};

/// The encryption, the mux, and the channels on it.
pub struct Sealed {
    secure: Secure,
    mux: Mux,
    channels: Option<Channels>,
    extensions: Extensions,
    /// Bytes of answers in the output, which the remote makes us write.
    answered: usize,
}

#[derive(Clone, Copy)]
struct Channels {
    peersockets: ChannelId,
    drive: Option<ChannelId>,
}

impl Sealed {
    /// A secret stream in its first state.
    pub fn new(role: Role, device: &DeviceKey, entropy: Entropy) -> Self {
        Self {
            secure: Secure::new(role, device, entropy),
            mux: Mux::default(),
            channels: None,
            extensions: Extensions::default(),
            answered: 0,
        }
    }

    /// The remote's device key, once the handshake has proved it.
    pub fn remote(&self) -> Option<[u8; 32]> {
        self.secure.remote()
    }

    /// Bytes that wait to be taken, or to be sealed.
    pub fn output_length(&self) -> usize {
        self.secure.output_length() + self.mux.waiting()
    }

    /// Takes at most `limit` of them.
    pub fn take_output(&mut self, limit: usize) -> Vec<u8> {
        let taken = self.secure.take_output(limit);
        if self.secure.output_length() == 0 {
            self.answered = 0;
        }
        taken
    }

    /// Reads what the carrier brought and hands what it says to the conversation.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        conversation: &mut Conversation,
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        self.secure.handle_bytes(bytes);
        loop {
            let frame = self.secure.poll_frame(longest_frame(conversation))?;
            self.open_channels_when_established(conversation, surroundings)?;
            if self.secure.take_keepalive() {
                conversation.heard_keepalive();
                conversation.handle_frame();
            }
            let Some(frame) = frame else {
                return Ok(());
            };
            conversation.handle_frame();
            let written = self.secure.output_length();
            self.handle_frame(&frame, conversation, surroundings, events)?;
            self.converse(conversation, 0);
            self.answered += self.secure.output_length() - written;
            if self.answered > limits::LINK_OUTPUT {
                return Err(LinkError::Unread);
            }
        }
    }

    /// Seals what cannot wait, and then messages until there are `limit` bytes of output: what is more by a part of a frame goes next time.
    pub fn converse(&mut self, conversation: &mut Conversation, limit: usize) {
        while let Some(said) = conversation.next_urgent() {
            self.say(said);
        }
        while self.output_length() < limit {
            let Some(said) = conversation.next_said() else {
                break;
            };
            self.say(said);
        }
        self.seal_batches();
    }

    /// Says one thing. What is on a channel is sealed with what is said next, as one frame.
    pub fn say(&mut self, said: Said) {
        let Some(channels) = self.channels else {
            return;
        };
        match said {
            Said::Message(frame) => self.mux.send(channels.peersockets, frame.kind, &frame.payload),
            Said::Extension(topic, message) => {
                if let Some(drive) = channels.drive {
                    let payload = self.extensions.write(&topic, &message);
                    self.mux.send(drive, EXTENSION, &payload);
                }
            }
            Said::Keepalive => {
                self.seal_batches();
                self.seal_frame(Vec::new());
            }
        }
    }

    fn open_channels_when_established(
        &mut self,
        conversation: &mut Conversation,
        surroundings: &dyn Surroundings,
    ) -> Result<(), LinkError> {
        let (None, Some(remote), Some(hash)) = (self.channels, self.secure.remote(), self.secure.handshake_hash())
        else {
            return Ok(());
        };
        let role = self.secure.role();
        conversation.begin(Established { remote, role, handshake_hash: *hash }, surroundings)?;
        let drive = conversation.drive();
        let handshake = conversation.open_handshake().unwrap_or_default();
        let peersockets = self.mux.open(peersockets::PROTOCOL, &drive.channel_id(hash), &handshake);
        let drive = conversation.has_drive_channel().then(|| {
            let handshake = hypercore::open_handshake(drive, role, hash);
            self.mux.open(hypercore::PROTOCOL, &drive.discovery_key(), &handshake)
        });
        self.channels = peersockets.map(|peersockets| Channels { peersockets, drive: drive.flatten() });
        self.seal_each();
        Ok(())
    }

    fn handle_frame(
        &mut self,
        frame: &[u8],
        conversation: &mut Conversation,
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        let (Some(channels), Some(hash)) = (self.channels, self.secure.handshake_hash()) else {
            return Err(LinkError::Handshake);
        };
        let sender = self.secure.role().other();
        let extensions = &mut self.extensions;
        let mut answers = Vec::new();
        self.mux.handle_frame(frame, &mut |event| {
            let heard = match channels.name(&event) {
                Channel::Peersockets => match event {
                    MuxEvent::Opened { handshake, .. } => Heard::Opened(handshake),
                    MuxEvent::Closed { .. } => Heard::Closed,
                    MuxEvent::Message { kind, payload, .. } => Heard::Message(kind, payload),
                },
                Channel::Drive => match event {
                    MuxEvent::Opened { handshake, .. } => {
                        hypercore::verify_open(handshake, conversation.drive(), sender, hash)?;
                        answers.push((hypercore::SYNC, hypercore::empty_sync()));
                        Heard::DriveOpened
                    }
                    MuxEvent::Closed { .. } => Heard::DriveClosed,
                    MuxEvent::Message { kind, payload, .. } => match extensions.read(kind, payload)? {
                        Some(Received::Message { topic, bytes }) => Heard::Extension(topic, bytes),
                        Some(Received::Answer(kind, payload)) => {
                            answers.push((kind, payload));
                            return Ok(());
                        }
                        None => return Ok(()),
                    },
                },
            };
            conversation.hear(heard, surroundings, events)
        })?;
        if let Some(drive) = channels.drive {
            for (kind, payload) in answers {
                self.mux.send(drive, kind, &payload);
            }
        }
        self.seal_each();
        Ok(())
    }

    /// Seals the messages that the mux has, together.
    fn seal_batches(&mut self) {
        while let Some(frame) = self.mux.poll_batch(PLAINTEXT) {
            self.seal_frame(frame);
        }
    }

    /// Seals what the mux has, each by itself: others than npm `protomux` may not understand an Open or its answer in a batch.
    fn seal_each(&mut self) {
        while let Some(frame) = self.mux.poll_frame() {
            self.seal_frame(frame);
        }
    }

    fn seal_frame(&mut self, frame: Vec<u8>) {
        // The mux has nothing to say before the channels are opened, which the handshake comes before.
        let sealed = self.secure.seal(frame);
        debug_assert!(sealed, "a frame was written before the handshake was complete");
    }
}

enum Channel {
    Peersockets,
    Drive,
}

impl Channels {
    fn name(&self, event: &MuxEvent<'_>) -> Channel {
        let (MuxEvent::Opened { channel, .. } | MuxEvent::Closed { channel } | MuxEvent::Message { channel, .. }) =
            event;
        if Some(*channel) == self.drive { Channel::Drive } else { Channel::Peersockets }
    }
}

/// Replication is not ours to shape: that of a drive peer, nor of a native device, which opens all its cores once the drive key is proved.
fn longest_frame(conversation: &Conversation) -> usize {
    match (conversation.has_drive_channel(), conversation.is_proved()) {
        (false, false) => limits::FRAME,
        (false, true) | (true, false) => limits::FIRST_FRAME,
        (true, true) => limits::UINT24,
    }
}
