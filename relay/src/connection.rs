//! One client's WebSocket, from its first frame to its last.
//!
//! Reading and writing go on independently of each other: a client that isn't read, because it knows no credit and someone else's
//! queue is full, still gets what is in its own. That is why two members that send to each other at full speed can't lock each other up.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use peersockets_core::limits::RELAY_MESSAGE;
use peersockets_core::rendezvous::{FromRelay, ToRelay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, error::ProtocolError};
use tracing::debug;

use crate::access::Pass;
use crate::address::ClientAddress;
use crate::limits::{BATCH, FAREWELL_BYTES, FAREWELL_TIME, Limits, READ_BUFFER, WRITE_BUFFER};
use crate::mailbox::{Frames, Mailbox};
use crate::read_limit::ReadLimit;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::rooms::{RoomId, Rooms};
use crate::stream::Stream;
use crate::traffic::Traffic;

type Socket = WebSocketStream<Stream>;

/// Bytes by which a message counts beyond its own: even an empty ping costs us an answer.
const MESSAGE_COST: usize = 64;

/// A client after its upgrade to a WebSocket.
pub struct Connection<R: Rooms> {
    relay: Arc<Relay<R>>,
    address: ClientAddress,
    socket: Socket,
    traffic: Arc<Traffic>,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client, or the network, closed it.
    Closed,
    /// Nothing came any more, not even an answer to a ping.
    Silent,
    /// The relay closes it.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<R: Rooms> Connection<R> {
    /// A connection over `stream`, from which `already_read` has been read behind the upgrade.
    pub async fn new(relay: Arc<Relay<R>>, address: ClientAddress, mut stream: Stream, already_read: Bytes) -> Self {
        let Limits { client_burst, client_rate, .. } = relay.limits;
        let (pauses, total) = (relay.metrics.waits_for_rate.clone(), relay.budgets.total());
        stream.limit_reads(ReadLimit::new(client_burst, client_rate, pauses, total));
        let traffic = stream.traffic();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(WRITE_BUFFER + 2 * RELAY_MESSAGE)
            .max_message_size(Some(RELAY_MESSAGE))
            .max_frame_size(Some(RELAY_MESSAGE));
        // Copied, so that the larger buffer of HTTP is not kept for it.
        let already_read = already_read.to_vec();
        let socket = Socket::from_partially_read(stream, already_read, Role::Server, Some(config)).await;
        Self { relay, address, socket, traffic }
    }

    /// Serves the client until it is gone, in a room that `pass` opens.
    pub async fn serve(self, pass: Pass) {
        let Self { relay, address, socket, traffic } = self;
        debug!(%address, "a client connected");
        let mailbox = Arc::new(Mailbox::new(relay.limits.queue, relay.limits.queue_reserve()));
        let (mut sink, mut stream) = socket.split();
        let mut seat = None;
        let mut reader = Reader { relay: &relay, stream: &mut stream, traffic: &traffic, pass };
        let end = tokio::select! {
            Err(end) = reader.run(&mut seat, address, mailbox.clone()) => end,
            Err(end) = write(&mut sink, &mailbox, &relay.limits) => end,
            () = traffic.write_stall(relay.limits.write_timeout) => slow_reader(&relay.limits).into(),
            () = relay.draining.cancelled() => Refusal::ShuttingDown.into(),
        };
        if let Some(seat) = seat {
            relay.rooms.leave(seat).await;
        }
        let unsent = mailbox.close();
        debug!(%address, ?end, "a client is gone");
        if let Ok(socket) = stream.reunite(sink) {
            finish(&relay, socket, unsent, end).await;
        }
    }

    /// Tells the client why it is not served.
    pub async fn refuse(mut self, refusal: Refusal) {
        // Who is not served gets no burst either.
        let (pauses, total) = (self.relay.metrics.waits_for_rate.clone(), self.relay.budgets.total());
        self.socket.get_mut().limit_reads(ReadLimit::new(FAREWELL_BYTES, 1, pauses, total));
        debug!(address = %self.address, code = refusal.code().name(), "a client was refused");
        finish(&self.relay, self.socket, Frames::default(), refusal.into()).await;
    }
}

/// The half of a connection that takes frames from the client and passes them on to its room.
struct Reader<'a, R: Rooms> {
    relay: &'a Relay<R>,
    stream: &'a mut SplitStream<Socket>,
    traffic: &'a Traffic,
    pass: Pass,
}

impl<R: Rooms> Reader<'_, R> {
    /// Joins, then passes on all frames that are ready before their receivers are woken.
    async fn run(
        &mut self,
        seat: &mut Option<R::Seat>,
        address: ClientAddress,
        mailbox: Arc<Mailbox>,
    ) -> Result<Infallible, End> {
        let patience = self.relay.limits.join_timeout;
        let Ok(joined) = timeout(patience, self.join(address, mailbox)).await else {
            return Err(Refusal::JoinTimeout(patience.as_secs_f64()).into());
        };
        let seat = seat.insert(joined?);
        loop {
            for _ in 0..BATCH {
                match self.ready() {
                    Some(message) => self.handle(seat, message?).await?,
                    None => break,
                }
            }
            self.relay.rooms.flush(seat).await;
            let message = self.next().await?;
            self.handle(seat, message).await?;
        }
    }

    async fn join(&mut self, address: ClientAddress, mailbox: Arc<Mailbox>) -> Result<R::Seat, End> {
        loop {
            let Some(frame) = self.next().await?.frame()? else { continue };
            let ToRelay::Join { room } = ToRelay::decode(&frame).map_err(Refusal::from)? else {
                return Err(Refusal::OutOfTurn("its first frame was no JOIN").into());
            };
            let room = RoomId(room);
            self.pass.check(room, SystemTime::now()).map_err(Refusal::from)?;
            debug!(%address, ?room, "a client joins");
            let seat = self.relay.rooms.join(room, address, mailbox).await?;
            if let Some(budget) = self.relay.budgets.of(room, Instant::now()) {
                self.traffic.share(budget);
            }
            return Ok(seat);
        }
    }

    async fn handle(&mut self, seat: &mut R::Seat, message: Incoming) -> Result<(), End> {
        let Some(frame) = message.frame()? else { return Ok(()) };
        let rooms = &self.relay.rooms;
        match ToRelay::decode(&frame).map_err(Refusal::from)? {
            ToRelay::Data(line, bytes) => rooms.data(seat, line, bytes).await,
            ToRelay::Consumed(line, amount) => rooms.consumed(seat, line, amount).await,
            ToRelay::Return(line, amount) => rooms.take_back(seat, line, amount).await,
            ToRelay::LastWords(line, bytes) => rooms.last_words(seat, line, bytes).await,
            ToRelay::Flow => rooms.keep_to_credit(seat).await?,
            ToRelay::Dial(line) => rooms.dial(seat, line).await?,
            ToRelay::Hangup(line, reason) => rooms.hangup(seat, line, reason).await,
            ToRelay::Join { .. } => return Err(Refusal::OutOfTurn("it joined twice").into()),
        }
        Ok(())
    }

    /// The next message, if it is there already.
    fn ready(&mut self) -> Option<Result<Incoming, End>> {
        self.stream.next().now_or_never().map(|message| self.take(message))
    }

    /// Waits for the next message, as long as the client is alive.
    async fn next(&mut self) -> Result<Incoming, End> {
        loop {
            let before = self.traffic.read();
            match timeout(self.relay.limits.dead_after, self.stream.next()).await {
                Ok(message) => return self.take(message),
                // A part of a message came, or waits to be read.
                Err(_) if self.traffic.read() != before || self.traffic.is_held_back() => {}
                Err(_) => return Err(End::Silent),
            }
        }
    }

    fn take(&self, message: Option<Result<Message, WsError>>) -> Result<Incoming, End> {
        self.traffic.surcharge(MESSAGE_COST);
        Incoming::read(message)
    }
}

/// A message that may come from a client.
struct Incoming(Message);

impl Incoming {
    fn read(message: Option<Result<Message, WsError>>) -> Result<Self, End> {
        match message {
            None | Some(Ok(Message::Close(_))) => Err(End::Closed),
            Some(Ok(message)) => Ok(Self(message)),
            Some(Err(WsError::Capacity(_))) => Err(Refusal::TooLong.into()),
            Some(Err(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => Err(End::Closed),
            Some(Err(error @ (WsError::Protocol(_) | WsError::Utf8(_)))) => {
                Err(Refusal::WebSocket(error.to_string()).into())
            }
            Some(Err(_)) => Err(End::Closed),
        }
    }

    /// The relay frame in it; none in a ping or pong.
    fn frame(self) -> Result<Option<Bytes>, Refusal> {
        match self.0 {
            Message::Binary(frame) => Ok(Some(frame)),
            Message::Text(_) => Err(Refusal::OutOfTurn("it sent a text message")),
            _ => Ok(None),
        }
    }
}

/// Writes what is in the mailbox, and pings.
async fn write(sink: &mut SplitSink<Socket, Message>, mailbox: &Mailbox, limits: &Limits) -> Result<Infallible, End> {
    loop {
        let ping = sleep(jittered(limits.ping_interval));
        tokio::pin!(ping);
        loop {
            let frames = tokio::select! {
                frames = mailbox.take() => Some(frames.map_err(|_| slow_reader(limits))?),
                () = &mut ping => None,
            };
            let Some(frames) = frames else { break };
            write_frames(sink, mailbox, frames).await.map_err(|_| End::Closed)?;
        }
        sink.send(Message::Ping(Bytes::new())).await.map_err(|_| End::Closed)?;
    }
}

async fn write_frames(sink: &mut SplitSink<Socket, Message>, mailbox: &Mailbox, frames: Frames) -> Result<(), WsError> {
    let mut unreported = 0;
    for frame in frames {
        unreported += Frames::cost(&frame);
        sink.feed(Message::Binary(frame)).await?;
        if unreported >= WRITE_BUFFER {
            mailbox.written(std::mem::take(&mut unreported));
        }
    }
    sink.flush().await?;
    mailbox.written(unreported);
    Ok(())
}

fn slow_reader(limits: &Limits) -> Refusal {
    Refusal::SlowReader(limits.write_timeout.as_secs_f64())
}

/// `time` ± 20 %.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    time.mul_f64(0.8 + 0.4 * random)
}

/// Ends a connection as its end demands. On the heap, so that an idle connection does not pay for it.
async fn finish<R: Rooms>(relay: &Relay<R>, mut socket: Socket, unsent: Frames, end: End) {
    match end {
        End::Silent => {}
        End::Closed => {
            // The answer to the client's Close waits to be written.
            let _ = Box::pin(timeout(FAREWELL_TIME, socket.flush())).await;
        }
        End::Refused(refusal) => {
            relay.metrics.refused(&refusal);
            let back_in = (refusal == Refusal::ShuttingDown).then_some(relay.limits.back_in);
            let _ = Box::pin(timeout(FAREWELL_TIME, say_farewell(socket, back_in, unsent, refusal))).await;
        }
    }
}

/// Sends GOING AWAY if the relay will be back, what is left, REFUSED and Close, then reads on until the client closes: closing first could destroy both on their way.
async fn say_farewell(
    mut socket: Socket,
    back_in: Option<Duration>,
    unsent: Frames,
    refusal: Refusal,
) -> Result<(), WsError> {
    if let Some(back_in) = back_in {
        let mut frame = Vec::new();
        FromRelay::GoingAway { back_in }.encode(&mut frame);
        socket.feed(Message::Binary(frame.into())).await?;
    }
    for frame in unsent {
        socket.feed(Message::Binary(frame)).await?;
    }
    let (code, text) = (refusal.code().name(), refusal.to_string());
    let mut frame = Vec::new();
    FromRelay::Refused { code, text: &text }.encode(&mut frame);
    socket.feed(Message::Binary(frame.into())).await?;
    socket.close(Some(CloseFrame { code: refusal.close_code(), reason: code.into() })).await?;
    let stream = socket.get_mut();
    stream.shutdown().await?;
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clients_are_not_pinged_in_step() {
        let pauses: Vec<f64> = (0..1_000).map(|_| jittered(Duration::from_secs(10)).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (8.0..=12.0).contains(pause)), "{pauses:?}");
        for (shortest, longest) in [(8.0, 8.5), (9.75, 10.25), (11.5, 12.0)] {
            assert!(pauses.iter().any(|pause| (shortest..longest).contains(pause)), "{pauses:?}");
        }
        assert!(pauses.windows(2).all(|pair| pair[0] != pair[1]), "{pauses:?}");
    }
}
