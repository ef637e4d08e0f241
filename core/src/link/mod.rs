//! One link to another device: a secret stream, a mux and a [`Conversation`] on an ordered pipe of bytes, whatever carries it.
//!
//! The link knows no relay and no peer: bytes in, bytes out, and [`LinkEvent`]s. Any error ends it. The secret stream and the mux are
//! sealed here, or, where a process replicates the drive on the same stream, hosted by npm's libraries.

mod hosted;
mod sealed;

use std::sync::Arc;

use crate::budget::{Memory, Share};
use crate::channel::outbox::{Outbox, QueueFull};
use crate::channel::peersockets::Standing;
use crate::conversation::{Conversation, Established, Heard, LinkEvent, Surroundings};
use crate::drive::DriveKey;
use crate::error::LinkError;
#[cfg(doc)]
use crate::limits;
use crate::rtc::signal::Signal;
use crate::secure::{DeviceKey, Entropy, Role};
use crate::time::{Duration, Time};
use crate::wire::framing::Passed;

use hosted::Hosted;
use sealed::Sealed;

pub use hosted::{Host, HostAction};

/// One side of a link.
pub struct Link {
    conversation: Conversation,
    wire: Wire,
}

enum Wire {
    Sealed(Box<Sealed>),
    Hosted(Hosted),
}

/// What a new link knows of its device and drive.
pub struct Beginning<'a> {
    /// The moment.
    pub now: Time,
    /// Our side of the secret stream.
    pub role: Role,
    /// This device.
    pub device: &'a DeviceKey,
    /// The drive.
    pub drive: DriveKey,
    /// Memory that the device's links share.
    pub memory: Memory,
    /// Whether the remote may know nothing but replication: `hypercore/alpha` is opened too, and longer frames are taken.
    pub is_drive_peer: bool,
}

impl Link {
    /// A new link that is sealed here and carries nothing yet. The initiator's first bytes wait to be taken.
    pub fn new(beginning: Beginning<'_>, entropy: Entropy) -> Self {
        let sealed = Sealed::new(beginning.role, beginning.device, entropy);
        Self { conversation: beginning.conversation(), wire: Wire::Sealed(Box::new(sealed)) }
    }

    /// A new link whose secret stream and mux the host runs. With `is_piped` the host's bytes are carried by this side.
    pub fn hosted(host: Host, beginning: Beginning<'_>, is_piped: bool) -> Self {
        let hosted = Hosted::new(host, is_piped.then_some(beginning.role));
        Self { conversation: beginning.conversation(), wire: Wire::Hosted(hosted) }
    }

    /// The remote's device key, once the handshake has proved it.
    pub fn remote(&self) -> Option<[u8; 32]> {
        match &self.wire {
            Wire::Sealed(sealed) => sealed.remote(),
            Wire::Hosted(_) => self.conversation.established().map(|established| established.remote),
        }
    }

    /// Whether the remote has proved the drive key.
    pub fn is_proved(&self) -> bool {
        self.conversation.is_proved()
    }

    /// Whether a message has been sent or received on it, so that its death may lose one.
    pub fn has_carried(&self) -> bool {
        self.conversation.has_carried()
    }

    /// Whether bytes for the carrier may wait to be taken.
    pub fn has_output(&self) -> bool {
        match &self.wire {
            Wire::Sealed(sealed) => sealed.output_length() > 0 || self.conversation.has_something_to_say(),
            Wire::Hosted(hosted) => hosted.has_bytes(),
        }
    }

    /// Queues a message. Only a proved link takes any.
    pub fn send(&mut self, topic: &Arc<str>, message: Vec<u8>) -> Result<(), QueueFull> {
        self.conversation.send(topic, message)
    }

    /// What both ends said of the session between their devices, ours first, if both keep one.
    pub fn standings(&self) -> Option<(Standing, Standing)> {
        self.conversation.standings()
    }

    /// Whether both devices take signals on it, to become directly connected.
    pub fn takes_signals(&self) -> bool {
        self.conversation.takes_signals()
    }

    /// Says something about a direct connection, if the remote takes signals and does not leave too many unread.
    pub fn signal(&mut self, signal: &Signal) {
        self.conversation.signal(signal);
    }

    /// What waits to be sent, or to be acknowledged.
    pub fn outbox(&self) -> &Outbox {
        self.conversation.outbox()
    }

    /// Takes what waits to be sent, to send it on another link.
    pub fn take_outbox(&mut self) -> Outbox {
        self.conversation.take_outbox()
    }

    /// The same, where this link lives on: the other end is not to keep what is cut off on it.
    pub fn move_outbox(&mut self) -> Outbox {
        self.conversation.move_outbox()
    }

    /// What of messages comes here before they are whole counts as that of a device, with what comes on its other links.
    pub fn count_in(&mut self, share: Share) {
        self.conversation.count_in(share);
    }

    /// What waits is sent on this link from now on.
    pub fn give_outbox(&mut self, outbox: Outbox) {
        self.conversation.give_outbox(outbox);
    }

    /// So many bytes have come on this link of messages that are not whole at the other end.
    pub fn note_arrived(&mut self, bytes: u64) {
        self.conversation.note_arrived(bytes);
    }

    /// The other end of the session has so many messages.
    pub fn handle_acknowledgement(&mut self, count: u64) -> Result<(), LinkError> {
        self.conversation.handle_acknowledgement(count)
    }

    /// Tells the other end of the session that so many messages have arrived, and what of the next ones came on this link.
    pub fn acknowledge(&mut self, messages: u64) {
        self.conversation.acknowledge(messages);
    }

    /// How long the last question and its answer took that were measured: from queueing one to handling the other. `None` until a
    /// remote has answered on `peersockets/1`.
    pub fn round_trip(&self) -> Option<Duration> {
        self.conversation.round_trip()
    }

    /// Since when a sign of life has been missing, if one was asked for.
    pub fn asked_at(&self) -> Option<Time> {
        self.conversation.asked_at()
    }

    /// Tells the remote that this device leaves, behind the first [`limits::LAST_WORDS`] bytes of what is queued; the rest is
    /// dropped. Who has not proved the drive key is told nothing. In a session, `finished` messages went before on other links if this
    /// is not the one that messages go on; returns how many went at last.
    pub fn goodbye(&mut self, finished: Option<u64>) -> Option<u64> {
        let (words, finished) = self.conversation.last_words(finished);
        for said in words {
            match &mut self.wire {
                Wire::Sealed(sealed) => sealed.say(said),
                Wire::Hosted(hosted) => hosted.say(said),
            }
        }
        finished
    }

    /// Takes at most `limit` bytes for the carrier, sealing as many frames as fit.
    pub fn take_output(&mut self, limit: usize) -> Vec<u8> {
        match &mut self.wire {
            Wire::Sealed(sealed) => {
                sealed.converse(&mut self.conversation, limit);
                sealed.take_output(limit)
            }
            Wire::Hosted(hosted) => hosted.take_bytes(limit),
        }
    }

    /// Handles bytes from the carrier. Events are appended to `events` in order; an error ends the link.
    pub fn handle_bytes(
        &mut self,
        now: Time,
        bytes: &[u8],
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        // Bytes that the host's stream has not opened yet are a sign of life too: a message may wait behind long replication.
        self.conversation.heard_at(now);
        match &mut self.wire {
            Wire::Sealed(sealed) => {
                self.conversation.expect_frame(now, 0);
                sealed.handle_bytes(bytes, &mut self.conversation, surroundings, events)
            }
            Wire::Hosted(hosted) => {
                let Passed { has_ended, begun } = hosted.handle_bytes(bytes, &self.conversation)?;
                if has_ended {
                    self.conversation.handle_frame();
                }
                if let Some(bytes) = begun {
                    self.conversation.expect_frame(now, bytes);
                }
                Ok(())
            }
        }
    }

    /// What the remote was asked may only now be on its way.
    pub fn put_off(&mut self, now: Time) {
        self.conversation.put_off(now);
    }

    /// When [`Link::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Time {
        self.conversation.next_timeout()
    }

    /// Pings a silent remote and gives a dead one up. A timer that runs late kills no link: it pings first.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), LinkError> {
        self.conversation.handle_timeout(now)
    }

    /// Asks a remote that has proved the drive key for a sign of life. Returns whether it answers such a question.
    pub fn ask(&mut self, now: Time) -> bool {
        self.conversation.ask(now)
    }

    /// Asks a remote for a sign of life, which is missed from now on.
    pub fn doubt(&mut self, now: Time) {
        self.conversation.doubt(now);
    }

    /// Whether the host runs its secret stream and mux.
    pub fn is_hosted(&self) -> bool {
        matches!(self.wire, Wire::Hosted(_))
    }

    /// Whether there is something for the host to do.
    pub fn has_action(&self) -> bool {
        match &self.wire {
            Wire::Sealed(_) => false,
            Wire::Hosted(hosted) => hosted.has_action(&self.conversation),
        }
    }

    /// The next thing for the host to do, if it hosts this link.
    pub fn next_action(&mut self) -> Option<HostAction> {
        match &mut self.wire {
            Wire::Sealed(_) => None,
            Wire::Hosted(hosted) => hosted.next_action(&mut self.conversation),
        }
    }

    /// The next thing for the host to do for a link that is over: what was decided, and no message that still waits.
    pub fn next_last_action(&mut self) -> Option<HostAction> {
        match &mut self.wire {
            Wire::Sealed(_) => None,
            Wire::Hosted(hosted) => hosted.next_last_action(),
        }
    }

    /// The host's secret stream is there. Of a link that is sealed here a host has nothing to say.
    pub fn handle_established(
        &mut self,
        established: Established,
        surroundings: &dyn Surroundings,
    ) -> Result<(), LinkError> {
        let Wire::Hosted(hosted) = &mut self.wire else {
            return Ok(());
        };
        self.conversation.begin(established, surroundings)?;
        hosted.open(&self.conversation);
        Ok(())
    }

    /// The host heard something on its mux. Events are appended to `events`; an error ends the link.
    pub fn handle_heard(
        &mut self,
        now: Time,
        heard: Heard<'_>,
        surroundings: &dyn Surroundings,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), LinkError> {
        let Wire::Hosted(hosted) = &mut self.wire else {
            return Ok(());
        };
        self.conversation.heard_at(now);
        let was_proved = self.conversation.is_proved();
        self.conversation.hear(heard, surroundings, events)?;
        if !was_proved && self.conversation.is_proved() {
            hosted.handle_proof();
        }
        Ok(())
    }

    /// The remote is alive.
    pub fn handle_sign_of_life(&mut self, now: Time) {
        self.conversation.heard_at(now);
    }

    /// The host's stream wrote bytes for the carrier. Returns whether it is to wait before it writes more.
    pub fn handle_written(&mut self, bytes: &[u8]) -> bool {
        match &mut self.wire {
            Wire::Sealed(_) => false,
            Wire::Hosted(hosted) => hosted.handle_written(bytes),
        }
    }

    /// The host's mux takes more messages, or none for now.
    pub fn handle_drained(&mut self, is_drained: bool) {
        if let Wire::Hosted(hosted) = &mut self.wire {
            hosted.handle_drained(is_drained);
        }
    }
}

impl Beginning<'_> {
    fn conversation(&self) -> Conversation {
        let own_key = self.device.public();
        Conversation::new(self.now, own_key, self.drive.clone(), self.memory.clone(), self.is_drive_peer)
    }
}
