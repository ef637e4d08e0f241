//! Every limit of the relay, with its reason: an option with a default, where operators differ, or else a constant.
//!
//! The longest WebSocket message is part of the protocol and no option: [`peersockets_core::limits::RELAY_MESSAGE`].

use std::time::Duration;

use clap::Args;
use clap::builder::{RangedU64ValueParser, TypedValueParser};
use peersockets_core::limits;

/// Bytes of small frames (LEFT, DIALED, HUNGUP) that a full queue still takes: they can't wait for a slow reader.
pub const CONTROL_RESERVE: usize = 64 * 1024;
/// Bytes that are read from a socket at once. They lie on the stack: a connection holds what is not a message yet, and no buffer.
pub const READ: usize = 16 * 1024;
/// Longest head of an HTTP request, in bytes.
pub const HTTP_HEAD: usize = 16 * 1024;
/// Time for a new connection to have asked for something: TLS handshake and head of its first HTTP request together.
pub const NEWCOMER_TIME: Duration = Duration::from_secs(5);
/// Time for an HTTP connection to send the head of the next request.
pub const HTTP_HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest life of an HTTP connection, but for the answer to a client that is under way then: so nobody holds a place by asking again and
/// again.
pub const HTTP_LIFE: Duration = Duration::from_secs(60);
/// Connections used for anything but a WebSocket, beyond those of `--connections`: pages get through at a
/// full relay, and downloads take no WebSocket's place.
pub const HTTP_CONNECTIONS: usize = 256;
/// The same for one address.
pub const HTTP_CONNECTIONS_PER_ADDRESS: usize = 64;
/// The operator's connections at once. They take no client's place.
pub const ADMIN_CONNECTIONS: usize = 16;
/// Connections that the system keeps until they are accepted.
pub const BACKLOG: u32 = 1_024;
/// The least number of connections beyond all others, so that a full relay can still hear what a newcomer wants and refuse it.
pub const NEWCOMERS: usize = 256;
/// Connections of one address that have asked for nothing yet, unless `--new-connections-burst` is more.
pub const NEWCOMERS_PER_ADDRESS: usize = 64;
/// Bytes that the system gathers for one socket. Left to itself it takes megabytes of each slow one, and tells us of room
/// so rarely that a slow client looks like a stuck one. It allows 10 Mbit/s at a round trip of 200 ms.
pub const SEND_BUFFER: u32 = 128 * 1024;
/// Pause after an accept that failed, for want of file descriptors for instance.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes that a client must take within `--write-timeout` while more wait for it. A client that takes a byte now and then
/// holds its queue as long as one that takes none.
pub const LEAST_TAKEN: u64 = 256 * 1024;
/// The least number of addresses that are remembered at once; those with no connection and a full allowance are forgotten first.
pub const ADDRESSES: usize = 16_384;
/// Time for a refused client to read why and to close.
pub const FAREWELL_TIME: Duration = Duration::from_secs(1);
/// Bytes that are still read from a client which is refused at the door: closing on unread ones could destroy the refusal on its way.
pub const FAREWELL_BYTES: usize = 128 * 1024;
/// Time that clients get to take their farewell when the relay ends. The whole end takes less than 2 s.
pub const SHUTDOWN_TIME: Duration = Duration::from_millis(1_500);
/// Bytes by which a message counts beyond its own in `--client-rate`: even an empty ping costs us an answer.
pub const MESSAGE_COST: usize = 64;
/// Frames of one socket that are passed on before their receivers are woken and others get their turn.
pub const BATCH: usize = 64;

/// The limits that the operator can set.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(next_help_heading = "Limits")]
#[non_exhaustive]
pub struct Limits {
    /// Members of one room. A client that comes later is refused with `room-full`.
    #[arg(long, value_name = "COUNT", default_value_t = limits::ROOM, value_parser = count(2, limits::ROOM))]
    pub room_members: usize,

    /// Members of one room that have the same address, else `address-room-full`. An IPv6 address counts by its /64.
    #[arg(long, value_name = "COUNT", default_value_t = limits::ROOM_PER_ADDRESS, value_parser = count(1, limits::ROOM))]
    pub room_members_per_address: usize,

    /// WebSockets open at once, else `too-many-connections`. Beyond them there may be 256 connections for HTTP, 64 of
    /// one address, and a quarter as many, at least 256, that have asked for nothing yet; then the oldest of these is closed.
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = count(1, 1_000_000))]
    pub connections: usize,

    /// WebSockets open at once from one address, else `too-many-from-address`.
    #[arg(long, value_name = "COUNT", default_value_t = 1_024, value_parser = count(1, 1_000_000))]
    pub connections_per_address: usize,

    /// New WebSockets that one address may open at a stroke, else `too-fast`.
    #[arg(long, value_name = "COUNT", default_value_t = 60, value_parser = count(1, 1_000_000))]
    pub new_connections_burst: usize,

    /// New WebSockets per second that one address may open after its burst.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = count(1, 1_000_000))]
    pub new_connections_per_second: usize,

    /// Time for a new WebSocket to join a room, else `join-timeout`.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub join_timeout: Duration,

    /// Pause between WebSocket pings to a client, each ± 20 %, so that clients are not pinged in step.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub ping_interval: Duration,

    /// Silence after which a client is taken for dead. A client answers pings, so this is about three of them.
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds)]
    pub dead_after: Duration,

    /// Time in which a client must take 256 KiB of what waits for it, or all, else `slow-reader`. HTTP downloads end too.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub write_timeout: Duration,

    /// Bytes per second taken from one client after its burst, 64 more for each message. A faster one is not closed: it
    /// is read more slowly.
    #[arg(long, value_name = "BYTES", default_value_t = 8 * 1024 * 1024, value_parser = count(1_024, 1 << 40))]
    pub client_rate: usize,

    /// Bytes that one client may send at a stroke.
    #[arg(long, value_name = "BYTES", default_value_t = 32 * 1024 * 1024, value_parser = count(1_024, 1 << 40))]
    pub client_burst: usize,

    /// Bytes per second taken from all members of one room together after their burst. Beyond it they are read more slowly
    /// [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = count(1_024, 1 << 40))]
    pub room_rate: Option<usize>,

    /// Bytes that the members of one room may send at a stroke [default: four times the rate]
    #[arg(long, value_name = "BYTES", value_parser = count(1_024, 1 << 40))]
    pub room_burst: Option<usize>,

    /// Bytes per second taken from all clients together after their burst. Beyond it they are read more slowly, each in its turn: an
    /// address with many connections has as many turns [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = count(1_024, 1 << 40))]
    pub total_rate: Option<usize>,

    /// Bytes that all clients may send at a stroke [default: four times the rate]
    #[arg(long, value_name = "BYTES", value_parser = count(1_024, 1 << 40))]
    pub total_burst: Option<usize>,

    /// Bytes that wait for one client. They are lent as credit to whoever sends to it, a circuit at most half of what is free: who has
    /// used its own up waits for no one else, and nothing is lost. Clients of the first build know no credit: they are not read meanwhile.
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = count(4_096, 1 << 30))]
    pub queue: usize,

    /// Time that the queue of a client may stay full. Then a circuit on which a client that knows no credit sends more to it is hung
    /// up with reason `busy`, so that whoever sends can go on with its other circuits.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub queue_timeout: Duration,

    /// Time after which clients are told to come back when the relay is stopped, 25 at most: what a restart takes. Their peers wait for
    /// them that long and 5 s more.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = back_in)]
    pub back_in: Duration,
}

impl Limits {
    /// Bytes that may wait for one client beyond `--queue`: what each member of its room may send without borrowing, and small frames. So
    /// the queue of a client never holds more than `--queue` + `--room-members` × 4 KiB + [`CONTROL_RESERVE`], and one message of a
    /// client that keeps to no credit.
    pub fn queue_reserve(&self) -> usize {
        self.room_members.saturating_mul(limits::CREDIT_BASE).saturating_add(CONTROL_RESERVE)
    }

    /// TCP connections open at once, whatever they are used for.
    pub fn tcp_connections(&self) -> usize {
        self.connections + HTTP_CONNECTIONS + self.newcomers()
    }

    /// TCP connections that have asked for nothing yet, beside as many WebSockets as there may be. Where there are fewer, newcomers may
    /// have the rest: after a restart all come at once.
    pub fn newcomers(&self) -> usize {
        NEWCOMERS.max(self.connections / 4)
    }

    /// Addresses that are remembered at once: those of all connections, and as many that have just gone.
    pub fn addresses(&self) -> usize {
        ADDRESSES.max(2 * self.tcp_connections())
    }

    /// TCP connections of one address that have asked for nothing yet.
    pub fn newcomers_per_address(&self) -> usize {
        self.new_connections_burst.max(NEWCOMERS_PER_ADDRESS)
    }
}

fn count(least: usize, most: usize) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<u64>::new().range(least as u64..=most as u64).map(|number| number as usize)
}

fn back_in(text: &str) -> Result<Duration, String> {
    let most = limits::BACK_IN.as_secs();
    match seconds(text) {
        Ok(time) if time <= limits::BACK_IN => Ok(time),
        _ => Err(format!("expected a number of seconds from 0.001 to {most}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&time) => Ok(time),
        _ => Err("expected a number of seconds from 0.001 to 86400".to_owned()),
    }
}
