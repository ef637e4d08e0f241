//! What waits to be sent on a channel: messages by topic, cut into parts that take turns (PROTOCOL.md §8).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::peersockets::{FIRST, MESSAGE, NEXT, TOPIC};
use crate::limits;
use crate::secure::PLAINTEXT;
use crate::wire::encoding::Encode;

/// Plaintext that the mux and the fields before a part may take: channel, type, slot and length.
const FIELDS: usize = 1 + 1 + 1 + 5;
/// Bytes of a message in one frame.
const PART: usize = PLAINTEXT - FIELDS;

/// The queue towards this peer is full: the message comes back.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueFull {
    /// The message.
    pub message: Vec<u8>,
    /// Of what there is too much.
    pub bound: Bound,
}

/// What bounds a queue. Displayed as a clause without a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// [`limits::SEND_QUEUE`].
    Bytes,
    /// [`limits::SEND_QUEUE_MESSAGES`].
    Messages,
    /// [`limits::SLOTS`].
    Topics,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "{} bytes wait for this peer already", limits::SEND_QUEUE),
            Self::Messages => write!(f, "{} messages wait for this peer already", limits::SEND_QUEUE_MESSAGES),
            Self::Topics => write!(f, "messages of {} topics wait for this peer already", limits::SLOTS),
        }
    }
}

/// The sending half of one channel.
#[derive(Debug, Default)]
pub struct Outbox {
    slots: Vec<Slot>,
    /// The slot whose turn it is.
    turn: usize,
    bytes: usize,
    messages: usize,
}

#[derive(Debug)]
struct Slot {
    topic: Arc<str>,
    is_declared: bool,
    queue: VecDeque<Vec<u8>>,
    /// How much of the first message has been sent.
    sent: usize,
}

/// A message of the channel.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Outbox {
    /// What a message of this length would be too much for.
    pub fn bound(&self, length: usize) -> Option<Bound> {
        if self.messages >= limits::SEND_QUEUE_MESSAGES {
            Some(Bound::Messages)
        } else if self.bytes + length > limits::SEND_QUEUE {
            Some(Bound::Bytes)
        } else {
            None
        }
    }

    /// Queues a message behind those of its topic.
    pub fn push(&mut self, topic: &Arc<str>, message: Vec<u8>) -> Result<(), QueueFull> {
        if let Some(bound) = self.bound(message.len()) {
            return Err(QueueFull { message, bound });
        }
        let Some(slot) = self.slot_of(topic) else {
            return Err(QueueFull { message, bound: Bound::Topics });
        };
        self.bytes += message.len();
        self.messages += 1;
        self.slots[slot].queue.push_back(message);
        Ok(())
    }

    /// Bytes that have not been sent.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Bytes of what [`next_message`](Outbox::next_message) gives next.
    pub fn next_message_length(&self) -> Option<usize> {
        self.slots[self.next_slot()?].queue.front().map(Vec::len)
    }

    /// Bytes of a message that [`next_frame`](Outbox::next_frame) gives next, or behind the name of its topic.
    pub fn next_part_length(&self) -> Option<usize> {
        let slot = &self.slots[self.next_slot()?];
        slot.queue.front().map(|message| PART.min(message.len() - slot.sent))
    }

    /// The next message, whole: topics take turns. Not for a channel that also takes frames.
    pub fn next_message(&mut self) -> Option<(Arc<str>, Vec<u8>)> {
        let index = self.next_slot()?;
        self.turn = index + 1;
        let slot = &mut self.slots[index];
        let message = slot.queue.pop_front()?;
        self.bytes -= message.len();
        self.messages -= 1;
        Some((slot.topic.clone(), message))
    }

    /// The next frame: topics take turns, each with one part.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let index = self.next_slot()?;
        let slot = &mut self.slots[index];
        let mut payload = Vec::with_capacity(FIELDS + PART.min(slot.queue.front()?.len()));
        payload.put_uint(index as u64);
        if !slot.is_declared {
            slot.is_declared = true;
            self.turn = index;
            payload.put_string(&slot.topic);
            return Some(Frame { kind: TOPIC, payload });
        }
        self.turn = index + 1;
        let message = slot.queue.front()?;
        let kind = match slot.sent {
            0 if message.len() <= PART => MESSAGE,
            0 => FIRST,
            _ => NEXT,
        };
        if kind == FIRST {
            payload.put_uint(message.len() as u64);
        }
        let end = message.len().min(slot.sent + PART);
        payload.extend_from_slice(&message[slot.sent..end]);
        self.bytes -= end - slot.sent;
        slot.sent = end;
        if end == message.len() {
            slot.queue.pop_front();
            slot.sent = 0;
            self.messages -= 1;
        }
        Some(Frame { kind, payload })
    }

    fn next_slot(&self) -> Option<usize> {
        let count = self.slots.len();
        (0..count).map(|step| (self.turn + step) % count).find(|index| !self.slots[*index].queue.is_empty())
    }

    /// The slot of a topic: its own, a new one, or that of a topic with nothing left to send.
    fn slot_of(&mut self, topic: &Arc<str>) -> Option<usize> {
        if let Some(index) = self.slots.iter().position(|slot| slot.topic == *topic) {
            return Some(index);
        }
        let slot = Slot { topic: topic.clone(), is_declared: false, queue: VecDeque::new(), sent: 0 };
        if self.slots.len() < limits::SLOTS {
            self.slots.push(slot);
            return Some(self.slots.len() - 1);
        }
        let index = self.slots.iter().position(|slot| slot.queue.is_empty())?;
        self.slots[index] = slot;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::{Budget, Inbox, Received};
    use super::*;

    fn drain(outbox: &mut Outbox) -> Vec<(String, Vec<u8>)> {
        let mut inbox = Inbox::new(Budget::new(limits::REASSEMBLY));
        let mut arrived = Vec::new();
        while let Some(Frame { kind, payload }) = outbox.next_frame() {
            assert!(payload.len() + 2 <= PLAINTEXT, "{} bytes", payload.len());
            if let Some(Received::Message { topic, bytes }) = inbox.handle(kind, &payload, &|_| true).unwrap() {
                arrived.push((topic.to_string(), bytes));
            }
        }
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
        arrived
    }

    #[test]
    fn messages_of_every_size_arrive_intact() {
        for length in [0, 1, PART - 1, PART, PART + 1, 65_536, 1 << 20, limits::MESSAGE] {
            let message: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut outbox = Outbox::default();
            outbox.push(&"chat".into(), message.clone()).unwrap();
            assert_eq!(drain(&mut outbox), [("chat".into(), message)], "{length} bytes");
        }
    }

    #[test]
    fn messages_of_one_topic_keep_their_order() {
        let topic = "chat".into();
        let mut outbox = Outbox::default();
        let messages: Vec<Vec<u8>> = (0..50).map(|index| vec![index; usize::from(index) * 1_000]).collect();
        for message in &messages {
            outbox.push(&topic, message.clone()).unwrap();
        }
        let arrived: Vec<_> = drain(&mut outbox).into_iter().map(|(_, message)| message).collect();
        assert_eq!(arrived, messages);
    }

    #[test]
    fn a_large_message_does_not_block_another_topic() {
        let mut outbox = Outbox::default();
        outbox.push(&"file".into(), vec![1; 1 << 20]).unwrap();
        for _ in 0..10 {
            outbox.next_frame();
        }
        outbox.push(&"chat".into(), b"quick".to_vec()).unwrap();
        let frames: Vec<_> = (0..4).filter_map(|_| outbox.next_frame()).collect();
        assert!(frames.iter().any(|frame| frame.kind == MESSAGE && frame.payload.ends_with(b"quick")));
    }

    #[test]
    fn more_topics_than_slots_take_turns_in_them() {
        let mut outbox = Outbox::default();
        for index in 0..limits::SLOTS {
            outbox.push(&format!("topic {index}").into(), vec![7]).unwrap();
        }
        assert_eq!(outbox.push(&"one more".into(), vec![8]), Err(QueueFull { message: vec![8], bound: Bound::Topics }));
        assert_eq!(drain(&mut outbox).len(), limits::SLOTS);
        outbox.push(&"one more".into(), vec![8]).unwrap();
        assert!(outbox.next_frame().is_some_and(|frame| frame.kind == TOPIC));
    }

    #[test]
    fn a_full_queue_gives_the_message_back() {
        let topic = "chat".into();
        let mut outbox = Outbox::default();
        for _ in 0..16 {
            outbox.push(&topic, vec![0; 1 << 20]).unwrap();
        }
        assert_eq!(outbox.push(&topic, vec![9]), Err(QueueFull { message: vec![9], bound: Bound::Bytes }));
        while outbox.bytes() >= limits::SEND_QUEUE {
            outbox.next_frame();
        }
        outbox.push(&topic, vec![9]).unwrap();
    }

    #[test]
    fn empty_messages_fill_a_queue_too() {
        let topic = "chat".into();
        let mut outbox = Outbox::default();
        for _ in 0..limits::SEND_QUEUE_MESSAGES {
            outbox.push(&topic, Vec::new()).unwrap();
        }
        assert_eq!(outbox.push(&topic, vec![9]), Err(QueueFull { message: vec![9], bound: Bound::Messages }));
        assert_eq!(drain(&mut outbox).len(), limits::SEND_QUEUE_MESSAGES);
        outbox.push(&topic, vec![9]).unwrap();
    }
}
