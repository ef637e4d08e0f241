//! npm `protomux`: many channels on one ordered stream of frames (PROTOCOL.md §7).
//!
//! A channel is named by (protocol, id) and open when both sides have opened it. What we want is opened before frames of the remote
//! are handled; a remote Open that matches nothing of ours is rejected at once.

use std::collections::VecDeque;

use crate::error::{LinkError, MuxViolation, WireError};
use crate::limits;
use crate::wire::encoding::{Encode, Reader};

const CONTROL: u64 = 0;
const BATCH: u64 = 0;
const OPEN: u64 = 1;
const REJECT: u64 = 2;
const CLOSE: u64 = 3;
/// Most that stands before the first message of a batch.
const BATCH_HEADER: usize = 1 + 1 + UINT;
/// Most bytes of a `uint` here: no message is longer than 32 bits can say, and no channel's number greater.
const UINT: usize = 5;

/// A channel of ours, by the id that we gave it. Ids are used again after a channel has ended on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId(usize);

/// What a frame of the remote meant.
#[derive(Debug, PartialEq, Eq)]
pub enum MuxEvent<'a> {
    /// Both sides have opened the channel.
    Opened {
        /// Which of ours.
        channel: ChannelId,
        /// What the remote's Open carried.
        handshake: &'a [u8],
    },
    /// The remote closed a channel, or rejected one that we had opened.
    Closed {
        /// Which of ours; the id may be used again from now on.
        channel: ChannelId,
    },
    /// A message on an open channel.
    Message {
        /// Which of ours.
        channel: ChannelId,
        /// Its type.
        kind: u64,
        /// Its bytes.
        payload: &'a [u8],
    },
}

/// One side of a multiplexed stream.
#[derive(Debug, Default)]
pub struct Mux {
    /// Our channels; the id on the wire is the index plus one.
    local: Vec<Option<Local>>,
    /// Free indices of `local`; the one freed last is used first, as in JavaScript.
    free: Vec<usize>,
    /// Our opens that the remote has not answered, oldest first.
    unanswered: VecDeque<usize>,
    /// For each id of the remote, which of our channels it is.
    remote: Vec<Option<usize>>,
    output: VecDeque<Frame>,
    /// Bytes of all of it.
    waiting: usize,
}

/// A frame to be written: `uint channel ‖ uint type ‖ payload`.
#[derive(Debug)]
struct Frame {
    channel: u64,
    bytes: Vec<u8>,
    /// Where the message begins, behind the channel.
    message: usize,
}

#[derive(Debug)]
struct Local {
    protocol: String,
    id: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The remote has not answered.
    Waiting,
    /// Open on both sides; the remote's index.
    Open(usize),
    /// We closed it before the remote answered: its answer frees the id.
    ClosedUnanswered,
}

impl Mux {
    /// Opens a channel; `None` if we have it open already. Messages may follow at once. An empty `id` is none.
    pub fn open(&mut self, protocol: &str, id: &[u8], handshake: &[u8]) -> Option<ChannelId> {
        let is_open = |local: &Local| local.is(protocol, id) && local.state != State::ClosedUnanswered;
        if self.local.iter().flatten().any(is_open) {
            return None;
        }
        let index = self.free.pop().unwrap_or(self.local.len());
        if index == self.local.len() {
            self.local.push(None);
        }
        self.local[index] = Some(Local { protocol: protocol.into(), id: id.into(), state: State::Waiting });
        self.unanswered.push_back(index);

        let mut frame = control(OPEN, index);
        frame.bytes.put_string(protocol);
        frame.bytes.put_buffer(id);
        frame.bytes.extend_from_slice(handshake);
        self.write(frame);
        Some(ChannelId(index))
    }

    /// Sends a message; nothing if the channel has ended.
    pub fn send(&mut self, channel: ChannelId, kind: u64, payload: &[u8]) {
        if self.is_ours(channel) {
            let mut frame = Frame::new(channel.0 as u64 + 1, kind, payload.len());
            frame.bytes.extend_from_slice(payload);
            self.write(frame);
        }
    }

    /// Closes a channel; nothing if it has ended.
    pub fn close(&mut self, channel: ChannelId) {
        if !self.is_ours(channel) {
            return;
        }
        if !self.release(channel.0)
            && let Some(local) = &mut self.local[channel.0]
        {
            local.state = State::ClosedUnanswered;
        }
        self.write(control(CLOSE, channel.0));
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The next frame to write.
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        let frame = self.output.pop_front()?;
        self.waiting -= frame.bytes.len();
        Some(frame.bytes)
    }

    /// The same with as many more behind it as fit `limit` bytes together, in a batch as npm `protomux` writes it when it is uncorked;
    /// one by itself is none.
    pub fn poll_batch(&mut self, limit: usize) -> Option<Vec<u8>> {
        let (mut channel, mut length, mut count) = (CONTROL, BATCH_HEADER, 0);
        for frame in &self.output {
            length += frame.length_in_batch(count > 0 && frame.channel != channel);
            if length > limit || count == limits::BATCH {
                break;
            }
            (channel, count) = (frame.channel, count + 1);
        }
        if count < 2 {
            return self.poll_frame();
        }
        let mut batch = Vec::with_capacity(length.min(limit));
        batch.put_uint(CONTROL);
        batch.put_uint(BATCH);
        for (index, frame) in self.output.drain(..count).enumerate() {
            if index > 0 && frame.channel != channel {
                batch.put_buffer(&[]);
            }
            if index == 0 || frame.channel != channel {
                channel = frame.channel;
                batch.put_uint(channel);
            }
            batch.put_buffer(&frame.bytes[frame.message..]);
            self.waiting -= frame.bytes.len();
        }
        Some(batch)
    }

    fn write(&mut self, frame: Frame) {
        self.waiting += frame.bytes.len();
        self.output.push_back(frame);
    }

    /// Reads one frame and gives what it meant to `events`, in order. An error ends the stream.
    pub fn handle_frame(
        &mut self,
        frame: &[u8],
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        if frame.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::new(frame);
        let channel = reader.uint()?;
        let is_batch = channel == CONTROL && reader.clone().uint()? == BATCH;
        if !is_batch {
            return self.handle_message(channel, reader, events);
        }
        reader.uint()?;
        self.handle_batch(reader, events)
    }

    fn handle_batch(
        &mut self,
        mut reader: Reader<'_>,
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let mut channel = reader.uint()?;
        let mut messages = 0;
        while !reader.is_empty() {
            let message = reader.buffer()?;
            if message.is_empty() {
                channel = reader.uint()?;
                continue;
            }
            messages += 1;
            if messages > limits::BATCH {
                return Err(LinkError::Mux(MuxViolation::BatchTooLong));
            }
            self.handle_message(channel, Reader::new(message), events)?;
        }
        Ok(())
    }

    fn handle_message(
        &mut self,
        channel: u64,
        mut reader: Reader<'_>,
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let kind = reader.uint()?;
        if channel != CONTROL {
            return match self.remote_channel(channel) {
                Some(index) => events(MuxEvent::Message { channel: ChannelId(index), kind, payload: reader.rest() }),
                None => Ok(()),
            };
        }
        match kind {
            BATCH => Err(LinkError::Mux(MuxViolation::NestedBatch)),
            OPEN => self.handle_open(reader, events),
            REJECT => self.handle_reject(reader.uint()?, events),
            CLOSE => self.handle_close(reader.uint()?, events),
            _ => Ok(()),
        }
    }

    fn handle_open(
        &mut self,
        mut reader: Reader<'_>,
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let index = self.claim_remote_id(reader.uint()?)?;
        let (protocol, id) = (reader.buffer()?, reader.buffer()?);
        if protocol.len() > limits::CHANNEL_NAME || id.len() > limits::CHANNEL_NAME {
            return Err(WireError::TooMany.into());
        }
        let answers = |local: &usize| {
            self.local[*local].as_ref().is_some_and(|local| local.protocol.as_bytes() == protocol && local.id == id)
        };
        let Some(position) = self.unanswered.iter().position(answers) else {
            self.write(control(REJECT, index));
            return Ok(());
        };
        let Some(local) = self.unanswered.remove(position) else {
            return Ok(());
        };
        match &mut self.local[local] {
            Some(channel) if channel.state == State::Waiting => {
                channel.state = State::Open(index);
                self.remote[index] = Some(local);
                events(MuxEvent::Opened { channel: ChannelId(local), handshake: reader.rest() })
            }
            _ => {
                self.free_local(local);
                Ok(())
            }
        }
    }

    /// Ids are dense: one that is free, or the next.
    fn claim_remote_id(&mut self, id: u64) -> Result<usize, LinkError> {
        let index = id.checked_sub(1).ok_or(LinkError::Mux(MuxViolation::OpenId))?;
        let index = usize::try_from(index).map_err(|_| LinkError::Mux(MuxViolation::OpenId))?;
        match self.remote.get(index) {
            Some(None) => Ok(index),
            None if index >= limits::CHANNELS && index == self.remote.len() => {
                Err(LinkError::Mux(MuxViolation::TooManyChannels))
            }
            None if index == self.remote.len() => {
                self.remote.push(None);
                Ok(index)
            }
            _ => Err(LinkError::Mux(MuxViolation::OpenId)),
        }
    }

    fn handle_reject(
        &mut self,
        id: u64,
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        let is_rejected = |local: &usize| *local as u64 + 1 == id;
        let position = self.unanswered.iter().position(is_rejected);
        let rejected = position.and_then(|position| self.unanswered.remove(position));
        let index = rejected.ok_or(LinkError::Mux(MuxViolation::RejectId))?;
        let was_waiting = self.local[index].as_ref().is_some_and(|local| local.state == State::Waiting);
        self.free_local(index);
        if was_waiting { events(MuxEvent::Closed { channel: ChannelId(index) }) } else { Ok(()) }
    }

    fn handle_close(
        &mut self,
        id: u64,
        events: &mut impl FnMut(MuxEvent<'_>) -> Result<(), LinkError>,
    ) -> Result<(), LinkError> {
        match self.remote_channel(id) {
            Some(index) => {
                self.release(index);
                events(MuxEvent::Closed { channel: ChannelId(index) })
            }
            None => Ok(()),
        }
    }

    /// Frees both ids of an open channel; `false` if the remote has not answered yet.
    fn release(&mut self, index: usize) -> bool {
        let Some(Local { state: State::Open(remote), .. }) = self.local[index] else {
            return false;
        };
        self.remote[remote] = None;
        self.free_local(index);
        true
    }

    fn free_local(&mut self, index: usize) {
        self.local[index] = None;
        self.free.push(index);
    }

    fn is_ours(&self, channel: ChannelId) -> bool {
        let local = self.local.get(channel.0).and_then(Option::as_ref);
        local.is_some_and(|local| local.state != State::ClosedUnanswered)
    }

    fn remote_channel(&self, id: u64) -> Option<usize> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        *self.remote.get(index)?
    }
}

impl Local {
    fn is(&self, protocol: &str, id: &[u8]) -> bool {
        self.protocol == protocol && self.id == id
    }
}

impl Frame {
    fn new(channel: u64, kind: u64, payload: usize) -> Self {
        let mut bytes = Vec::with_capacity(2 * UINT + payload);
        bytes.put_uint(channel);
        let message = bytes.len();
        bytes.put_uint(kind);
        Self { channel, bytes, message }
    }

    /// Most bytes that it takes in a batch.
    fn length_in_batch(&self, changes_channel: bool) -> usize {
        let change = if changes_channel { 1 + UINT } else { 0 };
        change + UINT + self.bytes.len() - self.message
    }
}

fn control(kind: u64, index: usize) -> Frame {
    let mut frame = Frame::new(CONTROL, kind, UINT);
    frame.bytes.put_uint(index as u64 + 1);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVE: &[u8] = &[7; 32];

    fn open_frame(id: u64, protocol: &str) -> Vec<u8> {
        let mut frame = vec![0, 1];
        frame.put_uint(id);
        frame.put_string(protocol);
        frame.put_buffer(DRIVE);
        frame
    }

    /// What a frame meant, in words.
    fn read(mux: &mut Mux, frame: &[u8]) -> Result<Vec<String>, LinkError> {
        let mut seen = Vec::new();
        mux.handle_frame(frame, &mut |event| {
            seen.push(match event {
                MuxEvent::Opened { .. } => "opened".into(),
                MuxEvent::Closed { .. } => "closed".into(),
                MuxEvent::Message { kind, payload, .. } => format!("{kind}:{}", payload.len()),
            });
            Ok(())
        })?;
        Ok(seen)
    }

    fn opened() -> (Mux, ChannelId) {
        let mut mux = Mux::default();
        let channel = mux.open("alpha", DRIVE, &[]).unwrap();
        assert_eq!(read(&mut mux, &open_frame(1, "alpha")).unwrap(), ["opened"]);
        while mux.poll_frame().is_some() {}
        (mux, channel)
    }

    #[test]
    fn messages_behind_an_open_are_delivered() {
        let mut mux = Mux::default();
        mux.open("alpha", DRIVE, &[]).unwrap();
        let mut batch = vec![0, 0, 0];
        batch.put_buffer(&open_frame(1, "alpha")[1..]);
        batch.extend([0, 1]);
        batch.put_buffer(&[3, 9, 9]);
        assert_eq!(read(&mut mux, &batch).unwrap(), ["opened", "3:2"]);
    }

    #[test]
    fn a_batch_holds_what_fits_and_what_is_longer_goes_by_itself() {
        const LIMIT: usize = 100;
        let (mut mux, channel) = opened();
        let other = mux.open("beta", DRIVE, &[]).unwrap();
        let (mut remote, _) = opened();
        remote.open("beta", DRIVE, &[]).unwrap();
        read(&mut remote, &mux.poll_frame().unwrap()).unwrap();
        let lengths = [1, 30, 40, 30, 300, 0, 90, 90, 5, 5, 5];
        for (index, length) in lengths.into_iter().enumerate() {
            mux.send(if index % 2 == 0 { channel } else { other }, 7, &vec![0; length]);
        }
        let mut frames = Vec::new();
        while let Some(frame) = mux.poll_batch(LIMIT) {
            assert!(frame.len() <= LIMIT || frame.len() == 302, "{} bytes", frame.len());
            frames.push(read(&mut remote, &frame).unwrap());
        }
        let batches = [&[1, 30][..], &[40, 30], &[300], &[0], &[90], &[90], &[5, 5, 5]];
        assert_eq!(frames, batches.map(|batch| batch.iter().map(|length| format!("7:{length}")).collect::<Vec<_>>()));
        assert_eq!(mux.waiting(), 0);
    }

    #[test]
    fn an_unwanted_open_is_rejected_politely() {
        let (mut mux, _) = opened();
        assert!(read(&mut mux, &open_frame(2, "other")).unwrap().is_empty());
        assert_eq!(mux.poll_frame(), Some(vec![0, 2, 2]));
        assert!(read(&mut mux, &[2, 0, 1]).unwrap().is_empty(), "what follows it is ignored");
        assert_eq!(read(&mut mux, &[1, 0, 1]).unwrap(), ["0:1"]);
    }

    #[test]
    fn a_rejected_open_ends_only_its_channel() {
        let (mut mux, channel) = opened();
        let rejected = mux.open("beta", DRIVE, &[]).unwrap();
        assert_eq!(read(&mut mux, &[0, 2, 2]).unwrap(), ["closed"]);
        while mux.poll_frame().is_some() {}
        mux.send(rejected, 0, b"nothing");
        mux.send(channel, 0, b"!");
        assert_eq!(mux.poll_frame(), Some(vec![1, 0, b'!']));
        assert_eq!(mux.poll_frame(), None);
    }

    #[test]
    fn frames_on_unknown_channels_and_unknown_types_are_ignored() {
        let (mut mux, _) = opened();
        for frame in [&[9, 0, 1][..], &[0, 9, 1], &[0, 3, 9], &[0, 3, 0], &[]] {
            assert!(read(&mut mux, frame).unwrap().is_empty(), "{frame:?}");
        }
    }

    #[test]
    fn an_open_that_skips_ids_ends_the_link() {
        let skipping = LinkError::Mux(MuxViolation::OpenId);
        for id in [0, 1, 3, 4096, u64::from(u32::MAX), 1 << 52] {
            let (mut mux, _) = opened();
            assert_eq!(read(&mut mux, &open_frame(id, "alpha")), Err(skipping), "{id}");
            assert!(mux.remote.len() <= 2);
        }
        let (mut mux, _) = opened();
        assert_eq!(read(&mut mux, &open_frame(1 << 62, "alpha")), Err(WireError::UintTooLarge.into()));
    }

    #[test]
    fn a_name_longer_than_255_bytes_ends_the_link() {
        assert_eq!(read(&mut Mux::default(), &open_frame(1, &"a".repeat(255))), Ok(vec![]));
        assert_eq!(read(&mut Mux::default(), &open_frame(1, &"a".repeat(256))), Err(WireError::TooMany.into()));
    }

    #[test]
    fn a_remote_has_a_limited_number_of_channels() {
        let mut mux = Mux::default();
        for id in 1..=limits::CHANNELS as u64 {
            read(&mut mux, &open_frame(id, "unwanted")).unwrap();
        }
        let beyond = open_frame(limits::CHANNELS as u64 + 1, "unwanted");
        assert_eq!(read(&mut mux, &beyond), Err(LinkError::Mux(MuxViolation::TooManyChannels)));
    }

    #[test]
    fn a_batch_inside_a_batch_ends_the_link() {
        let (mut mux, _) = opened();
        let nested = LinkError::Mux(MuxViolation::NestedBatch);
        assert_eq!(read(&mut mux, &[0, 0, 0, 4, 0, 1, 1, 0]), Err(nested));
    }

    #[test]
    fn a_batch_of_endless_messages_ends_the_link() {
        let (mut mux, _) = opened();
        let mut batch = vec![0, 0, 1];
        batch.extend([1, 0].repeat(limits::BATCH + 1));
        assert_eq!(read(&mut mux, &batch), Err(LinkError::Mux(MuxViolation::BatchTooLong)));
    }

    #[test]
    fn a_truncated_frame_ends_the_link() {
        let whole = open_frame(2, "beta");
        for length in 1..whole.len() {
            let (mut mux, _) = opened();
            let expected = Err(LinkError::Malformed(WireError::Truncated));
            assert_eq!(read(&mut mux, &whole[..length]), expected, "{length} bytes");
        }
    }
}
