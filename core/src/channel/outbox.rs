//! What waits to be sent on a channel: messages by topic, cut into parts that take turns (PROTOCOL.md §8).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::peersockets::{FIRST, MESSAGE, NEXT, RESUME, TOPIC};
use crate::budget::Budget;
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
    /// [`limits::SEND_QUEUES`].
    All,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "{} bytes wait for this peer already", limits::SEND_QUEUE),
            Self::Messages => write!(f, "{} messages wait for this peer already", limits::SEND_QUEUE_MESSAGES),
            Self::Topics => write!(f, "messages of {} topics wait for this peer already", limits::SLOTS),
            Self::All => write!(f, "{} bytes wait for all peers already", limits::SEND_QUEUES),
        }
    }
}

/// The sending half of a channel: messages that wait, and, in a session, those that the remote has not acknowledged.
#[derive(Debug)]
pub struct Outbox {
    slots: Vec<Slot>,
    /// The slot whose turn it is.
    turn: usize,
    /// Bytes of all messages that are here.
    bytes: usize,
    /// How many messages wait or are partly sent.
    waiting: usize,
    budget: Budget,
    session: Option<Sent>,
}

#[derive(Debug)]
struct Slot {
    topic: Arc<str>,
    is_declared: bool,
    queue: VecDeque<Vec<u8>>,
    /// How much of the first message has been sent.
    sent: usize,
}

/// What was sent in a session. A message has its number from the order in which they were finished, from 1.
#[derive(Debug, Default)]
struct Sent {
    /// How many messages were finished.
    finished: u64,
    /// The last of them, which are not acknowledged.
    kept: VecDeque<(Arc<str>, Vec<u8>)>,
    /// Bytes that have arrived of messages that are not whole there, as the other end says.
    arrived: usize,
    /// How many of those that are kept were finished on this link.
    repeated: usize,
    /// How much of the next one was sent again.
    again: usize,
    /// The topic that the slot for repeating means.
    declared: Option<Arc<str>>,
    /// Whether this link knows the number of its first message.
    is_announced: bool,
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
    /// An empty outbox whose messages count in `budget`.
    pub fn new(budget: Budget) -> Self {
        Self { slots: Vec::new(), turn: 0, bytes: 0, waiting: 0, budget, session: None }
    }

    /// An empty outbox of a session: messages are numbered, and kept until they are acknowledged.
    pub fn of_session(budget: Budget) -> Self {
        let mut outbox = Self::new(budget);
        outbox.begin_session();
        outbox
    }

    /// From now on messages are numbered, and kept until they are acknowledged. If they are already, that goes on.
    pub fn begin_session(&mut self) {
        self.session.get_or_insert_default();
    }

    /// What a message of this length would be too much for.
    pub fn bound(&self, length: usize) -> Option<Bound> {
        if self.messages() >= limits::SEND_QUEUE_MESSAGES {
            Some(Bound::Messages)
        } else if self.bytes + length > limits::SEND_QUEUE {
            Some(Bound::Bytes)
        } else if !self.budget.has_room(length + limits::MESSAGE_WEIGHT) {
            Some(Bound::All)
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
        // That there is room was seen above.
        self.budget.take(message.len() + limits::MESSAGE_WEIGHT);
        self.bytes += message.len();
        self.waiting += 1;
        self.slots[slot].queue.push_back(message);
        Ok(())
    }

    /// Bytes of the messages that have not been sent, or not acknowledged in a session.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What they count for: their bytes, and [`limits::MESSAGE_WEIGHT`] for each.
    pub fn weight(&self) -> usize {
        self.bytes + self.messages() * limits::MESSAGE_WEIGHT
    }

    /// The same without the bytes that have arrived of messages that are not whole there.
    pub fn buffered(&self) -> usize {
        let arrived = self.session.as_ref().map_or(0, |session| session.arrived);
        self.weight() - arrived.min(self.bytes)
    }

    /// What all of it takes at most, if it is said at one stroke on another link: with the names of topics, and what the fields and
    /// parts of a message take, which is less than [`limits::MESSAGE_WEIGHT`].
    pub fn words(&self) -> usize {
        let kept = self.session.iter().flat_map(|session| &session.kept);
        let kept = kept.map(|(topic, message)| topic.len() + message.len());
        let waiting = |slot: &Slot| slot.queue.iter().map(|message| slot.topic.len() + message.len()).sum::<usize>();
        kept.chain(self.slots.iter().map(waiting)).sum::<usize>() + self.messages() * limits::MESSAGE_WEIGHT
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0 && self.to_repeat().is_none()
    }

    /// How many messages were finished, in a session.
    pub fn finished(&self) -> Option<u64> {
        self.session.as_ref().map(|session| session.finished)
    }

    /// A new link carries what follows: what the other end may not have comes again.
    pub fn restart(&mut self) {
        for slot in &mut self.slots {
            slot.is_declared = false;
            slot.sent = 0;
        }
        if let Some(session) = &mut self.session {
            session.begin_again();
        }
    }

    /// What the other end has of the session's messages is not kept any longer. False if it claims more than were sent.
    pub fn acknowledge(&mut self, count: u64) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if count > session.finished {
            return false;
        }
        let unacknowledged = usize::try_from(session.finished - count).unwrap_or(usize::MAX);
        let (mut messages, mut bytes) = (0, 0);
        while session.kept.len() > unacknowledged {
            let Some((_, message)) = session.kept.pop_front() else {
                break;
            };
            messages += 1;
            bytes += message.len();
            session.arrived = 0;
            if session.repeated > 0 {
                session.repeated -= 1;
            } else if session.is_announced {
                // It came by another link what is being repeated on this one, which has to hear of another number.
                session.begin_again();
            }
        }
        self.free(messages, bytes);
        true
    }

    /// So many bytes have arrived of messages that are not whole at the other end.
    pub fn note_arrived(&mut self, bytes: u64) {
        if let Some(session) = &mut self.session {
            session.arrived = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
    }

    /// What tells the other end, on a link that a session's messages leave, that those which are cut off there come anew on another one;
    /// nothing if none is.
    pub fn break_off(&self) -> Option<Frame> {
        let session = self.session.as_ref()?;
        let is_cut_off = session.again > 0 || self.slots.iter().any(|slot| slot.sent > 0);
        is_cut_off.then(|| session.announcement())
    }

    /// How long the next message is, if whole messages are sent.
    pub fn next_message_length(&self) -> Option<usize> {
        self.slots[self.next_slot()?].queue.front().map(Vec::len)
    }

    /// Bytes of a message in the next frame.
    pub fn next_part_length(&self) -> Option<usize> {
        if let Some((_, message)) = self.to_repeat() {
            let sent = self.session.as_ref().map_or(0, |session| session.again);
            return Some(PART.min(message.len() - sent));
        }
        let slot = &self.slots[self.next_slot()?];
        slot.queue.front().map(|message| PART.min(message.len() - slot.sent))
    }

    /// The next message as a whole, for a peer that takes no parts: topics take turns. It is not kept.
    pub fn next_message(&mut self) -> Option<(Arc<str>, Vec<u8>)> {
        let index = self.next_slot()?;
        self.turn = index + 1;
        let slot = &mut self.slots[index];
        let message = slot.queue.pop_front()?;
        let topic = slot.topic.clone();
        self.waiting -= 1;
        self.free(1, message.len());
        Some((topic, message))
    }

    /// The next frame: first what is repeated, in its order; then topics take turns, each with one part.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if self.is_empty() {
            return None;
        }
        if let Some(frame) = self.session.as_mut().and_then(Sent::next_frame) {
            return Some(frame);
        }
        let index = self.next_slot()?;
        let slot = &mut self.slots[index];
        if !slot.is_declared {
            slot.is_declared = true;
            self.turn = index;
            return Some(declaration(index, &slot.topic));
        }
        self.turn = index + 1;
        let (frame, end) = part(index, slot.queue.front()?, slot.sent);
        slot.sent = end.unwrap_or(0);
        if end.is_none() {
            let message = slot.queue.pop_front()?;
            self.waiting -= 1;
            match &mut self.session {
                Some(session) => session.finish(slot.topic.clone(), message),
                None => self.free(1, message.len()),
            }
        }
        Some(frame)
    }

    fn messages(&self) -> usize {
        self.waiting + self.session.as_ref().map_or(0, |session| session.kept.len())
    }

    fn to_repeat(&self) -> Option<&(Arc<str>, Vec<u8>)> {
        self.session.as_ref().and_then(Sent::to_repeat)
    }

    fn free(&mut self, messages: usize, bytes: usize) {
        self.bytes -= bytes;
        self.budget.give_back(bytes + messages * limits::MESSAGE_WEIGHT);
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

impl Drop for Outbox {
    fn drop(&mut self) {
        self.budget.give_back(self.weight());
    }
}

impl Sent {
    /// The slot in which messages are repeated: nothing else is under way then.
    const SLOT: usize = 0;

    fn to_repeat(&self) -> Option<&(Arc<str>, Vec<u8>)> {
        self.kept.get(self.repeated)
    }

    fn begin_again(&mut self) {
        self.arrived = 0;
        self.repeated = 0;
        self.again = 0;
        self.declared = None;
        self.is_announced = false;
    }

    fn finish(&mut self, topic: Arc<str>, message: Vec<u8>) {
        self.finished += 1;
        self.kept.push_back((topic, message));
        self.repeated = self.kept.len();
    }

    /// The number of the first message that the other end may not have.
    fn announcement(&self) -> Frame {
        let mut payload = Vec::new();
        payload.put_uint(self.finished - self.kept.len() as u64 + 1);
        Frame { kind: RESUME, payload }
    }

    /// Says where this link begins, and repeats.
    fn next_frame(&mut self) -> Option<Frame> {
        if !self.is_announced {
            self.is_announced = true;
            return Some(self.announcement());
        }
        let (topic, message) = self.kept.get(self.repeated)?;
        if self.declared.as_ref() != Some(topic) {
            self.declared = Some(topic.clone());
            return Some(declaration(Self::SLOT, topic));
        }
        let (frame, end) = part(Self::SLOT, message, self.again);
        self.again = end.unwrap_or(0);
        if end.is_none() {
            self.repeated += 1;
        }
        Some(frame)
    }
}

fn declaration(slot: usize, topic: &str) -> Frame {
    let mut payload = Vec::with_capacity(FIELDS + topic.len());
    payload.put_uint(slot as u64);
    payload.put_string(topic);
    Frame { kind: TOPIC, payload }
}

/// The part of a message that comes after what was sent of it, and where it ends if that is not the message's end.
fn part(slot: usize, message: &[u8], sent: usize) -> (Frame, Option<usize>) {
    let end = message.len().min(sent + PART);
    let kind = match sent {
        0 if message.len() <= PART => MESSAGE,
        0 => FIRST,
        _ => NEXT,
    };
    let mut payload = Vec::with_capacity(FIELDS + end - sent);
    payload.put_uint(slot as u64);
    if kind == FIRST {
        payload.put_uint(message.len() as u64);
    }
    payload.extend_from_slice(&message[sent..end]);
    (Frame { kind, payload }, (end < message.len()).then_some(end))
}

#[cfg(test)]
mod tests {
    use super::super::inbox::{Inbox, Received};
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(Budget::new(usize::MAX))
    }

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
            let mut outbox = outbox();
            outbox.push(&"chat".into(), message.clone()).unwrap();
            assert_eq!(drain(&mut outbox), [("chat".into(), message)], "{length} bytes");
        }
    }

    #[test]
    fn messages_of_one_topic_keep_their_order() {
        let topic = "chat".into();
        let mut outbox = outbox();
        let messages: Vec<Vec<u8>> = (0..50).map(|index| vec![index; usize::from(index) * 1_000]).collect();
        for message in &messages {
            outbox.push(&topic, message.clone()).unwrap();
        }
        let arrived: Vec<_> = drain(&mut outbox).into_iter().map(|(_, message)| message).collect();
        assert_eq!(arrived, messages);
    }

    #[test]
    fn a_large_message_does_not_block_another_topic() {
        let mut outbox = outbox();
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
        let mut outbox = outbox();
        for index in 0..limits::SLOTS {
            outbox.push(&format!("topic {index}").into(), vec![7]).unwrap();
        }
        assert_eq!(outbox.push(&"one more".into(), vec![8]), Err(QueueFull { message: vec![8], bound: Bound::Topics }));
        assert_eq!(drain(&mut outbox).len(), limits::SLOTS);
        outbox.push(&"one more".into(), vec![8]).unwrap();
        assert!(outbox.next_frame().is_some_and(|frame| frame.kind == TOPIC));
    }

    #[test]
    fn a_session_that_is_begun_twice_keeps_what_it_has() {
        let mut outbox = Outbox::of_session(Budget::new(usize::MAX));
        outbox.push(&"chat".into(), vec![7; 100]).unwrap();
        while outbox.next_frame().is_some() {}
        outbox.begin_session();
        outbox.restart();
        let again: Vec<_> = std::iter::from_fn(|| outbox.next_frame()).map(|frame| frame.kind).collect();
        assert_eq!(again, [RESUME, TOPIC, MESSAGE]);
        assert!(outbox.acknowledge(1));
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn what_arrives_elsewhere_while_it_is_repeated_is_left_out_and_the_next_number_told_anew() {
        // The acknowledgement comes before the first message, in the middle of it, and behind it.
        for frames in 1..=4 {
            let mut outbox = Outbox::of_session(Budget::new(usize::MAX));
            let messages = [vec![1; PART + 1], vec![2; 10], vec![3; 10]];
            messages.iter().for_each(|message| outbox.push(&"chat".into(), message.clone()).unwrap());
            while outbox.next_frame().is_some() {}
            outbox.restart();
            let begun: Vec<_> = (0..frames).filter_map(|_| outbox.next_frame()).map(|frame| frame.kind).collect();
            assert_eq!(begun, [RESUME, TOPIC, FIRST, NEXT][..frames]);
            assert!(outbox.acknowledge(1));
            let rest: Vec<_> = std::iter::from_fn(|| outbox.next_frame()).collect();
            let kinds: Vec<_> = rest.iter().map(|frame| frame.kind).collect();
            if frames == 4 {
                assert_eq!(kinds, [MESSAGE, MESSAGE], "their numbers follow from the first");
            } else {
                assert_eq!((&kinds[..], &rest[0].payload[..]), (&[RESUME, TOPIC, MESSAGE, MESSAGE][..], &[2][..]));
            }
        }
    }

    #[test]
    fn what_is_cut_off_on_a_link_that_lives_on_is_not_kept_there() {
        let budget = Budget::new(limits::REASSEMBLY);
        let (mut outbox, mut inbox) = (Outbox::of_session(Budget::new(usize::MAX)), Inbox::new(budget.clone()));
        let mut say = |Frame { kind, payload }| inbox.handle(kind, &payload, &|_| true).unwrap();
        assert_eq!(outbox.break_off(), None);
        for (topic, message) in [("chat", vec![1]), ("file", vec![2; 3 * PART]), ("chat", vec![3])] {
            outbox.push(&topic.into(), message).unwrap();
        }
        assert_eq!(outbox.break_off(), None, "nothing of it was sent");
        while budget.used() < 2 * PART {
            say(outbox.next_frame().unwrap());
        }
        assert_eq!(say(outbox.break_off().unwrap()), Some(Received::Resume(1)), "none is acknowledged");
        assert_eq!(budget.used(), 0);
        // The next link gets all, and then cuts off in the middle of what is repeated.
        outbox.restart();
        while outbox.next_frame().is_some() {}
        assert_eq!(outbox.break_off(), None);
        assert!(outbox.acknowledge(2));
        outbox.restart();
        while budget.used() == 0 {
            say(outbox.next_frame().unwrap());
        }
        assert_eq!(say(outbox.break_off().unwrap()), Some(Received::Resume(3)));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_full_queue_gives_the_message_back() {
        let topic = "chat".into();
        let mut outbox = outbox();
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
    fn empty_messages_fill_the_budget_of_all_queues_too() {
        const MESSAGES: usize = 1_000;
        let budget = Budget::new(MESSAGES * limits::MESSAGE_WEIGHT);
        let mut outboxes = [Outbox::of_session(budget.clone()), Outbox::of_session(budget.clone())];
        for index in 0..MESSAGES {
            outboxes[index % 2].push(&"chat".into(), Vec::new()).unwrap();
        }
        let [outbox, other] = &mut outboxes;
        assert_eq!(outbox.push(&"chat".into(), Vec::new()), Err(QueueFull { message: Vec::new(), bound: Bound::All }));
        while outbox.next_frame().is_some() || other.next_frame().is_some() {}
        assert_eq!(outbox.bound(0), Some(Bound::All), "they are kept");
        assert!(outbox.acknowledge(1));
        assert_eq!(budget.used(), (MESSAGES - 1) * limits::MESSAGE_WEIGHT);
        drop(outboxes);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn empty_messages_fill_a_queue_too() {
        let topic = "chat".into();
        let mut outbox = outbox();
        for _ in 0..limits::SEND_QUEUE_MESSAGES {
            outbox.push(&topic, Vec::new()).unwrap();
        }
        assert_eq!(outbox.push(&topic, vec![9]), Err(QueueFull { message: vec![9], bound: Bound::Messages }));
        assert_eq!(drain(&mut outbox).len(), limits::SEND_QUEUE_MESSAGES);
        outbox.push(&topic, vec![9]).unwrap();
    }
}
