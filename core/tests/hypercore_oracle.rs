//! A second opinion on `hypercore/alpha`: the crate `hypercore-protocol`'s own `Protocol`, over its own handshake, on the other end of
//! a link to a drive peer.
//!
//! It has defects that no npm peer has, and what it needs to get round them is said where it is done.

mod devices;

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use devices::{End, at, device, drive, framed, frames};
use futures::{Sink, Stream};
use hypercore_handshake::state_machine::SecStream;
use hypercore_handshake::{Cipher, CipherEvent, CipherTrait, snow_keypair_from_secret_and_public};
use hypercore_protocol::schema::{Extension, NoData, Range, Request, Synchronize};
use hypercore_protocol::{Channel, Event, Message, Protocol};
use peersockets_core::channel::peersockets::PROTOCOL;
use peersockets_core::conversation::LinkEvent;
use peersockets_core::drive::DriveKey;
use peersockets_core::error::LinkError;
use peersockets_core::time::Time;
use peersockets_core::wire::encoding::{Encode, Reader};

type Queue = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// The carrier as the crate sees it: whole frames, without their lengths.
#[derive(Clone, Default)]
struct Pipe {
    to_it: Queue,
    from_it: Queue,
}

impl Stream for Pipe {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.to_it.lock().unwrap().pop_front().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

impl Sink<Vec<u8>> for Pipe {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, frame: Vec<u8>) -> io::Result<()> {
        self.from_it.lock().unwrap().push_back(frame);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The crate's `Cipher`, and the one answer that its `Protocol` cannot give: it rejects `peersockets/1`, as every mux does that does
/// not know a channel. `Protocol` takes any Open for a core's, and never rejects one.
struct Rejecting(Cipher);

impl Stream for Rejecting {
    type Item = CipherEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<CipherEvent>> {
        loop {
            let event = Pin::new(&mut self.0).poll_next(context);
            let Poll::Ready(Some(CipherEvent::Message(frame))) = &event else {
                return event;
            };
            let Some(id) = opened_as(frame, PROTOCOL) else {
                return event;
            };
            let mut reject = vec![0, 2];
            reject.put_uint(id);
            Pin::new(&mut self.0).start_send(reject).unwrap();
        }
    }
}

/// The id of an Open of this protocol.
fn opened_as(frame: &[u8], protocol: &str) -> Option<u64> {
    let mut reader = Reader::new(frame);
    let head = (reader.uint().ok()?, reader.uint().ok()?);
    let id = (head == (0, 1)).then(|| reader.uint().ok())??;
    (reader.string() == Ok(protocol)).then_some(id)
}

impl Sink<Vec<u8>> for Rejecting {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_ready(context)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Vec<u8>) -> io::Result<()> {
        Pin::new(&mut self.0).start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

impl CipherTrait for Rejecting {
    fn remote_public_key(&self) -> Option<[u8; 32]> {
        CipherTrait::remote_public_key(&self.0)
    }

    fn local_public_key(&self) -> [u8; 32] {
        CipherTrait::local_public_key(&self.0)
    }

    fn handshake_hash(&self) -> Option<Vec<u8>> {
        CipherTrait::handshake_hash(&self.0)
    }

    fn is_initiator(&self) -> bool {
        CipherTrait::is_initiator(&self.0)
    }
}

/// A link of ours and the crate's end of it.
struct Meeting {
    end: End,
    protocol: Protocol,
    pipe: Pipe,
    channel: Option<Channel>,
    /// What else the crate's end said, in order.
    seen: Vec<&'static str>,
    failure: Option<String>,
}

impl Meeting {
    /// The crate is the responder, on device 9, and opens the core of this drive.
    fn new(of: &DriveKey) -> Self {
        let pipe = Pipe::default();
        let keypair = snow_keypair_from_secret_and_public([9; 32], device(9).public());
        let secure = SecStream::new_responder_xx(&keypair, &[]).unwrap();
        let cipher = Cipher::new(Some(Box::new(pipe.clone())), secure.into());
        let mut meeting = Self {
            end: End::towards_drive_peer(1, drive()),
            protocol: Protocol::new(Box::new(Rejecting(cipher))),
            pipe,
            channel: None,
            seen: Vec::new(),
            failure: None,
        };
        meeting.exchange();
        // Before its handshake it would open without a capability. It is told of our Open first.
        assert_eq!(meeting.seen, ["discovery key", "handshake"]);
        at_once(meeting.protocol.open(*of.as_bytes())).unwrap();
        meeting.exchange();
        meeting
    }

    /// Lets both do all that they can.
    fn exchange(&mut self) {
        loop {
            let (mut has_moved, written) = (false, self.end.written());
            for frame in frames(&written) {
                self.pipe.to_it.lock().unwrap().push_back(frame[3..].to_vec());
                has_moved = true;
            }
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(event)) = Pin::new(&mut self.protocol).poll_next(&mut context) {
                match event {
                    Ok(event) => self.note(event),
                    Err(error) => {
                        self.failure = Some(error.to_string());
                        return;
                    }
                }
                has_moved = true;
            }
            while let Some(frame) = self.pipe.from_it.lock().unwrap().pop_front() {
                // What ended our end stays in it.
                let _ = self.end.read(Time::default(), &framed(&frame));
                has_moved = true;
            }
            if !has_moved {
                return;
            }
        }
    }

    fn note(&mut self, event: Event) {
        self.seen.push(match event {
            Event::Handshake(key) if key == device(1).public() => "handshake",
            Event::DiscoveryKey(key) if key == drive().discovery_key() => "discovery key",
            Event::Channel(channel) => {
                self.channel = Some(channel);
                "channel"
            }
            Event::Close(key) if key == drive().discovery_key() => "close",
            other => panic!("{other:?}"),
        });
    }

    fn send(&mut self, messages: &[Message]) {
        at_once(self.channel.as_ref().expect("its channel is open").send_batch(messages)).unwrap();
        self.exchange();
    }

    /// The messages that its channel got.
    fn messages(&mut self) -> Vec<Message> {
        let channel = self.channel.as_mut().expect("its channel is open");
        let mut context = Context::from_waker(Waker::noop());
        let mut messages = Vec::new();
        while let Poll::Ready(Some(message)) = Pin::new(&mut *channel).poll_next(&mut context) {
            messages.push(message);
        }
        messages
    }
}

/// What a future gives that waits for nothing.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn extension(name: &str, message: &[u8]) -> Message {
    Message::Extension(Extension { name: name.into(), message: message.to_vec() })
}

/// What the crate's end makes of `bytes` on the wire, and the other way round: it puts a length before a payload, and expects one,
/// where npm has the bytes as they are.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::new();
    buffer.put_buffer(bytes);
    buffer
}

#[test]
fn the_crate_s_end_and_ours_open_the_drive_s_channel() {
    let mut meeting = Meeting::new(&drive());
    assert_eq!(meeting.seen, ["discovery key", "handshake", "channel"], "it verified our capability");
    assert_eq!(meeting.end.events, [LinkEvent::Proved(device(9).public())], "and we verified its");
    let channel = meeting.channel.as_ref().unwrap();
    assert_eq!((channel.key(), *channel.discovery_key()), (drive().as_bytes(), drive().discovery_key()));
    let sync =
        Synchronize { fork: 0, length: 0, remote_length: 0, downloading: true, uploading: true, can_upgrade: true };
    assert_eq!(meeting.messages(), [Message::Synchronize(sync)], "our copy is empty");
}

#[test]
fn extensions_go_both_ways() {
    let mut meeting = Meeting::new(&drive());
    meeting.messages();
    meeting.end.events.clear();
    for length in [0, 1, 252, 253, 60_000, 1_000_000] {
        let bytes = vec![7; length];
        meeting.send(&[extension("peersockets/v0/chat", &bytes)]);
        let came = meeting.end.events.pop();
        assert!(
            came == Some(LinkEvent::Message { number: None, topic: "chat".into(), bytes: with_length(&bytes) }),
            "{length}"
        );

        meeting.end.link.send(&"chat".into(), with_length(&bytes)).unwrap();
        meeting.exchange();
        // It hands a repeated name out as it came.
        let name = if length == 0 { "peersockets/v0/chat" } else { "" };
        assert!(meeting.messages() == [extension(name, &bytes)], "{length}");
    }
    assert!(meeting.end.events.is_empty());
}

#[test]
fn a_batch_of_the_crate_s_is_taken_apart() {
    let mut meeting = Meeting::new(&drive());
    meeting.messages();
    meeting.end.events.clear();
    let request = |id| {
        let rest =
            Request { id, fork: 0, block: None, hash: None, seek: None, upgrade: None, manifest: true, priority: 1 };
        Message::Request(rest)
    };
    let synchronize =
        Synchronize { fork: 0, length: 9, remote_length: 0, downloading: true, uploading: true, can_upgrade: true };
    meeting.send(&[
        Message::Synchronize(synchronize),
        Message::Range(Range { drop: false, start: 0, length: 9 }),
        request(1),
        extension("peersockets/v0/chat", b"one"),
        extension("another/extension", b"two"),
        extension("peersockets/v0/b", b"three"),
        request(300),
    ]);
    let expected = [("chat", &b"one"[..]), ("b", b"three")].map(|(topic, bytes)| LinkEvent::Message {
        number: None,
        topic: topic.into(),
        bytes: with_length(bytes),
    });
    assert_eq!(meeting.end.events, expected);
    let answers = [1, 300].map(|request| Message::NoData(NoData { request }));
    assert_eq!(meeting.messages(), answers);
}

#[test]
fn a_close_of_the_crate_s_ends_the_link() {
    let mut meeting = Meeting::new(&drive());
    at_once(meeting.channel.as_ref().unwrap().close()).unwrap();
    meeting.exchange();
    assert_eq!(meeting.seen.last(), Some(&"close"));
    assert_eq!(meeting.end.ended, Some(LinkError::ChannelClosed));
}

#[test]
fn another_core_of_the_crate_s_is_rejected_and_our_end_lives() {
    let mut meeting = Meeting::new(&DriveKey::from_bytes([0x0d; 32]));
    // It takes a reject for damage; npm does not.
    let failure = meeting.failure.take().unwrap_or_default();
    assert!(failure.ends_with("received invalid special message"), "{failure:?}");
    assert!(meeting.channel.is_none() && meeting.end.events.is_empty());
    assert_eq!(meeting.end.ended, None);
    assert_eq!(meeting.end.link.handle_timeout(at(10.0)), Err(LinkError::ProofTimeout));
}
