//! What a remote sends on its channel: slots, and messages put together from parts (PROTOCOL.md §8).

use std::sync::Arc;

use super::peersockets::{ACK, FIRST, GOODBYE, MESSAGE, NEXT, PING, PONG, RESUME, TOPIC};
use crate::budget::{Budget, Share};
use crate::error::{ChannelViolation, LinkError};
use crate::limits;
use crate::wire::encoding::{Encode, Reader};

/// What one frame of the remote amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole message on a topic that is joined here.
    Message {
        /// The topic's name.
        topic: Arc<str>,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A message that did not fit the budget and is lost.
    Lost {
        /// The topic's name.
        topic: Arc<str>,
        /// The message's length in bytes.
        length: usize,
    },
    /// A whole message on a topic that nobody joined here.
    Unwanted {
        /// Its length in bytes.
        length: usize,
    },
    /// The device leaves, after so many messages if it counts them.
    Goodbye(Option<u64>),
    /// The next message on this link is the one with this number. Topics are declared anew, and what was incomplete comes again.
    Resume(u64),
    /// What has arrived of our messages.
    Acknowledged(Acknowledgement),
    /// An answer is wanted, which repeats this number.
    Ping(Option<u64>),
    /// The answer to the ping of this number, or a sign of life that answers none.
    Pong(Option<u64>),
}

/// What the other end of a session says of messages that were sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// So many of them have arrived.
    pub messages: u64,
    /// So many bytes have come of the next ones, which are not whole yet.
    pub bytes: u64,
}

impl Acknowledgement {
    /// The payload of its ACK.
    pub fn encode(self) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.put_uint(self.messages);
        if self.bytes > 0 {
            payload.put_uint(self.bytes);
        }
        payload
    }
}

/// The receiving half of one channel.
#[derive(Debug)]
pub struct Inbox {
    slots: Vec<Option<Slot>>,
    share: Share,
}

#[derive(Debug)]
struct Slot {
    topic: Arc<str>,
    assembly: Option<Assembly>,
}

/// A message of which parts have come.
#[derive(Debug)]
struct Assembly {
    length: usize,
    arrived: usize,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Bytes(Parts),
    /// Nobody joined the topic here.
    Unwanted,
    /// There was no room for it.
    Lost,
}

/// Bytes that are counted in a share as long as they are here.
#[derive(Debug)]
struct Parts {
    bytes: Vec<u8>,
    share: Share,
}

impl Inbox {
    /// An inbox whose incomplete messages count in `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { slots: Vec::new(), share: Share::new(budget) }
    }

    /// Its incomplete messages count as those of a device, together with what comes on other links.
    pub fn count_in(&mut self, share: Share) {
        for slot in self.slots.iter_mut().flatten() {
            if let Some(Assembly { kept: Kept::Bytes(parts), .. }) = &mut slot.assembly {
                parts.share.hand_over(parts.bytes.len(), &share);
                parts.share = share.clone();
            }
        }
        self.share = share;
    }

    /// Reads one message of the channel. `is_joined` says whether a topic is wanted here; what is not wanted is never kept.
    pub fn handle(
        &mut self,
        kind: u64,
        payload: &[u8],
        is_joined: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Received>, LinkError> {
        let mut reader = Reader::new(payload);
        match kind {
            TOPIC => {
                let slot = reader.uint()?;
                self.declare(slot, reader.string()?)?;
                Ok(None)
            }
            MESSAGE => {
                let slot = self.slot(reader.uint()?)?;
                slot.expect_no_assembly()?;
                let bytes = reader.rest();
                check_length(bytes.len() as u64)?;
                let topic = slot.topic.clone();
                Ok(Some(match is_joined(&topic) {
                    true => Received::Message { topic, bytes: bytes.to_vec() },
                    false => Received::Unwanted { length: bytes.len() },
                }))
            }
            FIRST => {
                let share = self.share.clone();
                let slot = self.slot(reader.uint()?)?;
                slot.expect_no_assembly()?;
                let length = check_length(reader.uint()?)?;
                let kept = match is_joined(&slot.topic) {
                    true => Kept::Bytes(Parts { bytes: Vec::new(), share }),
                    false => Kept::Unwanted,
                };
                slot.assembly = Some(Assembly { length, arrived: 0, kept });
                slot.add(reader.rest())
            }
            NEXT => self.slot(reader.uint()?)?.add(reader.rest()),
            GOODBYE if payload.is_empty() => Ok(Some(Received::Goodbye(None))),
            GOODBYE => Ok(Some(Received::Goodbye(Some(reader.uint()?)))),
            PING => Ok(Some(Received::Ping(reader.uint().ok()))),
            PONG => Ok(Some(Received::Pong(reader.uint().ok()))),
            RESUME => {
                let number = reader.uint()?;
                self.slots.clear();
                Ok(Some(Received::Resume(number)))
            }
            ACK => {
                let messages = reader.uint()?;
                let bytes = if reader.is_empty() { 0 } else { reader.uint()? };
                Ok(Some(Received::Acknowledged(Acknowledgement { messages, bytes })))
            }
            _ => Ok(None),
        }
    }

    /// Bytes that have come of messages that are not whole.
    pub fn arrived(&self) -> usize {
        let assemblies = self.slots.iter().flatten().filter_map(|slot| slot.assembly.as_ref());
        assemblies.map(|assembly| assembly.arrived).sum()
    }

    fn declare(&mut self, slot: u64, topic: &str) -> Result<(), LinkError> {
        let index = usize::try_from(slot).ok().filter(|index| *index < limits::SLOTS);
        let index = index.ok_or(LinkError::Channel(ChannelViolation::Slot))?;
        if topic.len() > limits::TOPIC_NAME {
            return Err(LinkError::Channel(ChannelViolation::TopicName));
        }
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        if let Some(slot) = &self.slots[index] {
            slot.expect_no_assembly()?;
        }
        self.slots[index] = Some(Slot { topic: topic.into(), assembly: None });
        Ok(())
    }

    fn slot(&mut self, slot: u64) -> Result<&mut Slot, LinkError> {
        let slot = usize::try_from(slot).ok().and_then(|index| self.slots.get_mut(index));
        slot.and_then(Option::as_mut).ok_or(LinkError::Channel(ChannelViolation::Slot))
    }
}

impl Slot {
    fn expect_no_assembly(&self) -> Result<(), LinkError> {
        if self.assembly.is_none() { Ok(()) } else { Err(LinkError::Channel(ChannelViolation::Part)) }
    }

    fn add(&mut self, part: &[u8]) -> Result<Option<Received>, LinkError> {
        let out_of_place = LinkError::Channel(ChannelViolation::Part);
        let assembly = self.assembly.as_mut().ok_or(out_of_place)?;
        if part.len() > assembly.length - assembly.arrived {
            return Err(out_of_place);
        }
        assembly.arrived += part.len();
        if let Kept::Bytes(parts) = &mut assembly.kept
            && !parts.add(part)
        {
            assembly.kept = Kept::Lost;
        }
        if assembly.arrived < assembly.length {
            return Ok(None);
        }
        let Some(Assembly { length, kept, .. }) = self.assembly.take() else {
            return Ok(None);
        };
        let topic = self.topic.clone();
        Ok(Some(match kept {
            Kept::Bytes(mut parts) => Received::Message { topic, bytes: parts.take() },
            Kept::Lost => Received::Lost { topic, length },
            Kept::Unwanted => Received::Unwanted { length },
        }))
    }
}

impl Parts {
    /// Keeps a part, if it fits the budget.
    fn add(&mut self, part: &[u8]) -> bool {
        let is_within = self.share.take(part.len());
        if is_within {
            self.bytes.extend_from_slice(part);
        }
        is_within
    }

    fn take(&mut self) -> Vec<u8> {
        self.share.give_back(self.bytes.len());
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.take();
    }
}

fn check_length(length: u64) -> Result<usize, LinkError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= limits::MESSAGE);
    length.ok_or(LinkError::Channel(ChannelViolation::MessageTooLong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::WireError;

    fn wanted(_: &str) -> bool {
        true
    }

    fn inbox(budget: usize) -> (Inbox, Budget) {
        let budget = Budget::new(budget);
        let mut inbox = Inbox::new(budget.clone());
        inbox.handle(TOPIC, b"\0\x04chat", &wanted).unwrap();
        (inbox, budget)
    }

    fn part(slot: u64, length: Option<u64>, bytes: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.put_uint(slot);
        if let Some(length) = length {
            payload.put_uint(length);
        }
        payload.extend_from_slice(bytes);
        payload
    }

    fn message(bytes: &[u8]) -> Option<Received> {
        Some(Received::Message { topic: "chat".into(), bytes: bytes.into() })
    }

    #[test]
    fn a_message_comes_whole_or_in_parts() {
        let (mut inbox, budget) = inbox(100);
        assert_eq!(inbox.handle(MESSAGE, &part(0, None, b""), &wanted), Ok(message(b"")));
        assert_eq!(inbox.handle(FIRST, &part(0, Some(6), b"abc"), &wanted), Ok(None));
        assert_eq!(budget.used(), 3);
        assert_eq!(inbox.handle(NEXT, &part(0, None, b"def"), &wanted), Ok(message(b"abcdef")));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_message_beyond_the_reassembly_budget_is_dropped_and_reported() {
        let (mut inbox, budget) = inbox(6);
        assert_eq!(inbox.handle(FIRST, &part(0, Some(6), b"abc"), &wanted), Ok(None));
        assert_eq!(inbox.handle(NEXT, &part(0, None, b"de"), &wanted), Ok(None));
        let lost = Some(Received::Lost { topic: "chat".into(), length: 6 });
        assert_eq!(inbox.handle(NEXT, &part(0, None, b"f"), &wanted), Ok(lost));
        assert_eq!(budget.used(), 0);
        assert_eq!(inbox.handle(MESSAGE, &part(0, None, b"next"), &wanted), Ok(message(b"next")));
    }

    #[test]
    fn what_comes_on_several_links_of_a_device_counts_together() {
        let budget = Budget::new(90);
        let share = Share::new(budget.clone());
        let mut inboxes = [(); 3].map(|()| Inbox::new(budget.clone()));
        for inbox in &mut inboxes {
            inbox.handle(TOPIC, b"\0\x04chat", &wanted).unwrap();
            // What came before it was known whose it is counts too.
            inbox.handle(FIRST, &part(0, Some(40), &[7; 15]), &wanted).unwrap();
            inbox.count_in(share.clone());
        }
        assert_eq!(budget.used(), 45);
        for (inbox, used) in inboxes.iter_mut().zip([30, 45, 30]) {
            assert_eq!(inbox.handle(NEXT, &part(0, None, &[7; 15]), &wanted), Ok(None));
            assert_eq!(budget.used(), used);
        }
        assert!(share.take(15) && !share.take(1));
    }

    #[test]
    fn a_message_on_a_topic_not_joined_is_dropped() {
        let (mut inbox, budget) = inbox(100);
        let unwanted = |_: &str| false;
        assert_eq!(
            inbox.handle(MESSAGE, &part(0, None, b"abc"), &unwanted),
            Ok(Some(Received::Unwanted { length: 3 }))
        );
        assert_eq!(inbox.handle(FIRST, &part(0, Some(4), b"abc"), &unwanted), Ok(None));
        assert_eq!(budget.used(), 0, "nothing of it is kept");
        assert_eq!(inbox.handle(NEXT, &part(0, None, b"d"), &unwanted), Ok(Some(Received::Unwanted { length: 4 })));
        assert_eq!(inbox.handle(MESSAGE, &part(0, None, b"!"), &wanted), Ok(message(b"!")));
    }

    #[test]
    fn a_closed_link_gives_its_part_of_the_budget_back() {
        let (mut inbox, budget) = inbox(100);
        inbox.handle(FIRST, &part(0, Some(6), b"abc"), &wanted).unwrap();
        drop(inbox);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn on_resume_topics_are_declared_anew_and_what_was_incomplete_is_given_back() {
        let (mut inbox, budget) = inbox(100);
        inbox.handle(TOPIC, b"\x01\x04file", &wanted).unwrap();
        inbox.handle(FIRST, &part(0, Some(6), b"abc"), &wanted).unwrap();
        assert_eq!(inbox.handle(RESUME, &[3], &wanted), Ok(Some(Received::Resume(3))));
        assert_eq!((budget.used(), inbox.arrived()), (0, 0));
        for slot in 0..2 {
            let undeclared = Err(LinkError::Channel(ChannelViolation::Slot));
            assert_eq!(inbox.handle(MESSAGE, &part(slot, None, b"a"), &wanted), undeclared);
        }
        // What was cut off is no obstacle to its slot.
        inbox.handle(TOPIC, b"\0\x04chat", &wanted).unwrap();
        assert_eq!(inbox.handle(NEXT, &part(0, None, b"d"), &wanted), Err(LinkError::Channel(ChannelViolation::Part)));
        assert_eq!(inbox.handle(MESSAGE, &part(0, None, b"a"), &wanted), Ok(message(b"a")));
    }

    #[test]
    fn every_malformed_channel_message_ends_the_link() {
        use ChannelViolation::{MessageTooLong, Part, Slot, TopicName};
        let beyond = limits::MESSAGE as u64 + 1;
        let mut long_name = vec![0, 0xfd, 0, 1];
        long_name.extend([b'a'; 256]);
        let mut open_part = vec![(FIRST, part(0, Some(9), b"abc"))];
        let mut after_first = |kind, payload| {
            let mut steps = open_part.split_off(0);
            steps.push((kind, payload));
            open_part = vec![(FIRST, part(0, Some(9), b"abc"))];
            steps
        };
        type Steps = Vec<(u64, Vec<u8>)>;
        let cases: Vec<(&str, Steps, LinkError)> = vec![
            ("a slot not declared", vec![(MESSAGE, part(1, None, b""))], LinkError::Channel(Slot)),
            ("a slot above the limit", vec![(TOPIC, part(128, None, b"\x01a"))], LinkError::Channel(Slot)),
            ("a slot of 2^53-1", vec![(MESSAGE, part((1 << 53) - 1, None, b""))], LinkError::Channel(Slot)),
            ("a name too long", vec![(TOPIC, long_name)], LinkError::Channel(TopicName)),
            ("a name not UTF-8", vec![(TOPIC, part(0, None, b"\x01\xff"))], WireError::NotUtf8.into()),
            ("a message too long", vec![(FIRST, part(0, Some(beyond), b""))], LinkError::Channel(MessageTooLong)),
            ("a first part too long", vec![(FIRST, part(0, Some(2), b"abc"))], LinkError::Channel(Part)),
            ("a next part without a first", vec![(NEXT, part(0, None, b"a"))], LinkError::Channel(Part)),
            ("a next part too long", after_first(NEXT, part(0, None, b"1234567")), LinkError::Channel(Part)),
            ("a message inside a message", after_first(MESSAGE, part(0, None, b"")), LinkError::Channel(Part)),
            ("a first inside a message", after_first(FIRST, part(0, Some(1), b"")), LinkError::Channel(Part)),
            ("a name inside a message", after_first(TOPIC, part(0, None, b"\x01a")), LinkError::Channel(Part)),
            ("no slot", vec![(MESSAGE, vec![])], WireError::Truncated.into()),
            ("no length", vec![(FIRST, vec![0])], WireError::Truncated.into()),
        ];
        for (name, steps, error) in cases {
            let (mut inbox, _) = inbox(100);
            let outcome = steps.iter().map(|(kind, payload)| inbox.handle(*kind, payload, &wanted)).last();
            assert_eq!(outcome, Some(Err(error)), "{name}");
        }
    }
}
