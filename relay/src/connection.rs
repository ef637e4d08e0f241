//! One client's WebSocket, from its first frame to its last.
//!
//! Reading and writing go on independently of each other: a client that isn't read, because it knows no credit and someone else's
//! queue is full, still gets what is in its own. That is why two members that send to each other at full speed can't lock each other up.

use std::convert::Infallible;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use peersockets_core::rendezvous::{FromRelay, ToRelay};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::access::Pass;
use crate::address::ClientAddress;
use crate::limits::{BATCH, FAREWELL_BYTES, FAREWELL_TIME, Limits, MESSAGE_COST, READ};
use crate::mailbox::{Broken, Mailbox};
use crate::read_limit::ReadLimit;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::rooms::{RoomId, Rooms};
use crate::stream::{ReadHalf, Stream};
use crate::traffic::Traffic;
use crate::websocket::{Incoming, Message, put_close, put_message};

/// A client after its upgrade to a WebSocket.
pub struct Connection<R: Rooms> {
    relay: Arc<Relay<R>>,
    address: ClientAddress,
    stream: Stream,
    incoming: Incoming,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client closes it, and is to be answered this.
    Left(Option<CloseFrame>),
    /// The network closed it.
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
    pub fn new(relay: Arc<Relay<R>>, address: ClientAddress, stream: Stream, already_read: Bytes) -> Self {
        let mut incoming = Incoming::default();
        // Copied, so that the larger buffer of HTTP is not kept for it.
        incoming.extend(&already_read);
        Self { relay, address, stream, incoming }
    }

    /// Serves the client until it is gone, in a room that `pass` opens.
    pub async fn serve(self, pass: Pass) {
        let Self { relay, address, mut stream, incoming } = self;
        debug!(%address, "a client connected");
        let limits = &relay.limits;
        stream.limit_reads(read_limit(&relay, limits.client_burst, limits.client_rate));
        let traffic = stream.traffic();
        let (half, outlet) = stream.split();
        let mailbox = Arc::new(Mailbox::new(limits.queue, limits.queue_reserve(), outlet));
        let mut reader = Reader { relay: &relay, half, incoming, mailbox: &mailbox, traffic: &traffic, pass };
        let mut seat = None;
        let end = tokio::select! {
            biased;
            () = relay.draining.cancelled() => Refusal::ShuttingDown.into(),
            Err(end) = reader.run(&mut seat, address) => end,
            Err(broken) = mailbox.deliver() => match broken {
                Broken::Overflow => Refusal::Overflow.into(),
                Broken::Socket(_) => End::Closed,
            },
            () = watch(&mailbox, &traffic, limits) => End::Silent,
            () = traffic.write_stall(limits.write_timeout) => Refusal::SlowReader(limits.write_timeout.as_secs_f64()).into(),
        };
        let half = reader.half;
        if let Some(seat) = seat {
            relay.rooms.leave(seat).await;
        }
        mailbox.close();
        debug!(%address, ?end, "a client is gone");
        finish(&relay, half, &mailbox, end).await;
    }

    /// Tells the client why it is not served.
    pub async fn refuse(self, refusal: Refusal) {
        let Self { relay, address, mut stream, .. } = self;
        // Who is not served gets no burst either.
        stream.limit_reads(read_limit(&relay, FAREWELL_BYTES, 1));
        debug!(%address, code = refusal.code().name(), "a client was refused");
        let (half, outlet) = stream.split();
        finish(&relay, half, &Mailbox::new(0, 0, outlet), refusal.into()).await;
    }
}

fn read_limit<R: Rooms>(relay: &Relay<R>, burst: usize, per_second: usize) -> ReadLimit {
    ReadLimit::new(burst, per_second, relay.metrics.waits_for_rate.clone(), relay.budgets.total())
}

/// What takes frames from the client and passes them on to its room.
struct Reader<'a, R: Rooms> {
    relay: &'a Relay<R>,
    half: ReadHalf,
    incoming: Incoming,
    mailbox: &'a Arc<Mailbox>,
    traffic: &'a Traffic,
    pass: Pass,
}

impl<R: Rooms> Reader<'_, R> {
    /// Joins, then passes on all frames that are there before it sends them off.
    async fn run(&mut self, seat: &mut Option<R::Seat>, address: ClientAddress) -> Result<Infallible, End> {
        let patience = self.relay.limits.join_timeout;
        let Ok(joined) = timeout(patience, self.join(address)).await else {
            return Err(Refusal::JoinTimeout(patience.as_secs_f64()).into());
        };
        let seat = seat.insert(joined?);
        loop {
            let mut messages = 0;
            while messages < BATCH
                && let Some(message) = self.incoming.next_message()?
            {
                messages += 1;
                if let Some(frame) = frame_of(message, self.mailbox)? {
                    handle(self.relay, seat, frame).await?;
                }
            }
            self.relay.rooms.flush(seat).await;
            self.traffic.surcharge(messages * MESSAGE_COST);
            if messages < BATCH {
                read(&mut self.half, &mut self.incoming).await?;
            }
        }
    }

    async fn join(&mut self, address: ClientAddress) -> Result<R::Seat, End> {
        loop {
            let Some(message) = self.incoming.next_message()? else {
                read(&mut self.half, &mut self.incoming).await?;
                continue;
            };
            self.traffic.surcharge(MESSAGE_COST);
            let Some(frame) = frame_of(message, self.mailbox)? else { continue };
            let ToRelay::Join { room } = ToRelay::decode(frame).map_err(Refusal::from)? else {
                return Err(Refusal::OutOfTurn("its first frame was no JOIN").into());
            };
            let room = RoomId(room);
            self.pass.check(room, SystemTime::now()).map_err(Refusal::from)?;
            debug!(%address, ?room, "a client joins");
            let seat = self.relay.rooms.join(room, address, self.mailbox.clone()).await?;
            if let Some(budget) = self.relay.budgets.of(room, Instant::now().into_std()) {
                self.traffic.share(budget);
            }
            return Ok(seat);
        }
    }
}

/// Waits for bytes and takes those that are there.
async fn read(half: &mut ReadHalf, incoming: &mut Incoming) -> Result<(), End> {
    let length = poll_fn(|cx| {
        let mut buffer = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(&mut *half).poll_read(cx, &mut buffer))?;
        incoming.extend(buffer.filled());
        io::Result::Ok(buffer.filled().len()).into()
    });
    match length.await {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(End::Closed),
    }
}

/// The relay frame in a message. Pings are answered.
fn frame_of<'a>(message: Message<'a>, mailbox: &Mailbox) -> Result<Option<&'a [u8]>, End> {
    match message {
        Message::Binary(frame) => return Ok(Some(frame)),
        Message::Text => return Err(Refusal::OutOfTurn("it sent a text message").into()),
        Message::Ping(payload) => mailbox.pong(payload),
        Message::Pong => {}
        Message::Close(answer) => return Err(End::Left(answer)),
    }
    Ok(None)
}

async fn handle<R: Rooms>(relay: &Relay<R>, seat: &mut R::Seat, frame: &[u8]) -> Result<(), End> {
    let rooms = &relay.rooms;
    match ToRelay::decode(frame).map_err(Refusal::from)? {
        ToRelay::Data(line, bytes) => rooms.data(seat, line, bytes).await,
        ToRelay::Consumed(line, amount) => rooms.consumed(seat, line, amount).await,
        ToRelay::Return(line, amount) => rooms.take_back(seat, line, amount).await,
        ToRelay::LastWords(line, bytes) => rooms.last_words(seat, line, bytes).await,
        ToRelay::Direct(line, is_direct) => rooms.set_direct(seat, line, is_direct).await?,
        ToRelay::Flow => rooms.keep_to_credit(seat).await?,
        ToRelay::Dial(line) => rooms.dial(seat, line).await?,
        ToRelay::Hangup(line, reason) => rooms.hangup(seat, line, reason).await,
        ToRelay::Join { .. } => return Err(Refusal::OutOfTurn("it joined twice").into()),
    }
    Ok(())
}

/// Pings the client, until nothing has come from it for too long.
async fn watch(mailbox: &Mailbox, traffic: &Traffic, limits: &Limits) {
    let mut ping_at = Instant::now() + jittered(limits.ping_interval);
    while let left = limits.dead_after.saturating_sub(traffic.silence())
        && !left.is_zero()
    {
        sleep(left.min(ping_at.saturating_duration_since(Instant::now()))).await;
        if ping_at <= Instant::now() {
            mailbox.ping();
            ping_at += jittered(limits.ping_interval);
        }
    }
}

/// `time` ± 20 %.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    time.mul_f64(0.8 + 0.4 * random)
}

/// Ends a connection as its end demands. On the heap, so that an idle connection does not pay for it.
async fn finish<R: Rooms>(relay: &Relay<R>, half: ReadHalf, mailbox: &Mailbox, end: End) {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    match end {
        End::Silent | End::Closed => return,
        End::Left(answer) => put_close(&mut last, answer.as_ref()),
        End::Refused(refusal) => {
            relay.metrics.refused(&refusal);
            if refusal == Refusal::ShuttingDown {
                put_frame(&mut first, &FromRelay::GoingAway { back_in: relay.limits.back_in });
            }
            let (code, text) = (refusal.code().name(), refusal.to_string());
            put_frame(&mut last, &FromRelay::Refused { code, text: &text });
            put_close(&mut last, Some(&CloseFrame { code: refusal.close_code(), reason: code.into() }));
        }
    }
    let _ = Box::pin(timeout(FAREWELL_TIME, say_farewell(half, mailbox, first, last))).await;
}

fn put_frame(out: &mut Vec<u8>, frame: &FromRelay<'_>) {
    put_message(out, OpCode::Data(Data::Binary), |out| frame.encode(out));
}

/// Writes what is left between `first` and `last`, then reads on until the client closes: closing first could destroy both on their way.
async fn say_farewell(mut half: ReadHalf, mailbox: &Mailbox, first: Vec<u8>, last: Vec<u8>) -> Result<(), Broken> {
    mailbox.finish(&first, &last).await?;
    let mut rest = [0; 1_024];
    while half.read(&mut rest).await.map_err(Broken::Socket)? > 0 {}
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
