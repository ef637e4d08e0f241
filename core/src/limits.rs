//! Every bound of the protocol: value, reason, and what it costs in memory.
//!
//! Nothing in this crate grows by a number that a remote sent; it grows by bytes that arrived, up to one of these.

use crate::time::Duration;

/// Longest message of a topic, in bytes: what Beaker's wire could carry. A longer one is refused by `send`.
pub const MESSAGE: usize = 8_388_607;
/// Longest topic name in bytes of UTF-8.
pub const TOPIC_NAME: usize = 255;
/// Slots for topics on a channel, in each direction; numbered from 0 on the wire. Costs 128 × 255 bytes per peer at most.
pub const SLOTS: usize = 128;
/// Topics a device has joined at once: each has a slot towards each peer.
pub const TOPICS: usize = SLOTS;
/// Devices of one drive that are peers at once. Each costs a secret stream (about 1 KiB) and its queues.
pub const DEVICES: usize = 256;
/// Departed devices whose peer id is remembered, oldest forgotten first. About 100 bytes each.
pub const DEPARTED_DEVICES: usize = 4_096;
/// Handles of topics and watchers that a page holds at once: a page that leaks them is told, not slowed down.
pub const HANDLES: usize = 4_096;

/// Largest sealed frame that we write, with its length field: several topics share a link, so none may hold it for long. A message sent
/// as an extension is one frame whatever its length, up to [`MESSAGE`]: whoever takes extensions knows no parts.
pub const SEALED_FRAME: usize = 16_384;
/// Largest frame taken from a remote that has not proved the drive key: four times what a device of ours writes. It is also what a
/// link's buffer may hold, so 256 strangers cost 16 MiB.
pub const FRAME: usize = 65_536;
/// Largest frame in which a corestore opens all its cores, up to [`CHANNELS`], in one batch: taken from a drive peer that has not
/// proved the drive key, and from a device that has, which may be a native one. 256 of those cost 128 MiB, if all do their worst.
/// A native device takes it from any device whose handshake is complete, because the proof before it may not have been heard; its
/// memory grows by what arrives, and the relay's rooms and [`PROOF_TIME`] bound how many do so: [`ROOM`] × 512 KiB = 128 MiB.
pub const FIRST_FRAME: usize = 524_288;
/// Largest frame a uint24 can announce, and largest taken from a proved drive peer: its replication is not ours to shape. 16 MiB for
/// each of [`DRIVE_PEERS`]. A native device takes it from every device that has proved the drive key, since it replicates with them and
/// a block may be that long; npm's stream allocates it by its length: 16 MiB × [`DEVICES`] = 4 GiB, if all who have the key do their
/// worst.
pub const UINT24: usize = 16_777_215;
/// Largest chunk that is handed to a relay circuit: four sealed frames.
pub const CIRCUIT_CHUNK: usize = 65_536;
/// Largest WebSocket message between browser and relay: one chunk and its header.
pub const RELAY_MESSAGE: usize = CIRCUIT_CHUNK + 32;
/// Largest WebSocket message of a drive peer: the longest frame with its length. What it is cut into means nothing, but it lies in
/// memory before it can be read.
pub const DRIVE_PEER_MESSAGE: usize = UINT24 + 3;
/// Channel ids that one remote may use on a link: a corestore opens all its cores at once. 16 bytes each.
pub const CHANNELS: usize = 4_096;
/// Messages in one batch of the mux: an empty one takes a remote 2 bytes and us an event.
pub const BATCH: usize = 65_536;
/// Longest name of a mux protocol, and longest id of a channel.
pub const CHANNEL_NAME: usize = 255;

/// Incomplete messages of all peers together, in bytes. Those of one may take no more than what is left for others: half of it where there are
/// none, which is [`SEND_QUEUE`] twice. So much may one of ours have under way, on a link that died and again on the next.
pub const REASSEMBLY: usize = 64 * 1024 * 1024;
/// Bytes queued towards one peer, above which `send` fails with `queue-full`.
pub const SEND_QUEUE: usize = 16 * 1024 * 1024;
/// Bytes queued towards one peer, above which the application is told when they have gone. A session keeps what is not acknowledged, so
/// this is also what one that waits has under way: 80 Mbit/s at a round trip of 100 ms.
pub const SEND_HIGH_WATER: usize = 1024 * 1024;
/// Bytes down to which they have to go for that.
pub const SEND_LOW_WATER: usize = 256 * 1024;
/// What a message counts for beside its bytes, in the two above, in what the application is told of them and in [`SEND_QUEUES`]: whoever
/// keeps below the high water keeps below [`SEND_QUEUE_MESSAGES`] too, however short the messages are.
pub const MESSAGE_WEIGHT: usize = 32;
/// Messages queued towards one peer, above which `send` fails with `queue-full`: an empty one costs memory too.
pub const SEND_QUEUE_MESSAGES: usize = 65_536;
/// Bytes queued towards all peers together, those included that are missed, and [`MESSAGE_WEIGHT`] for each message.
pub const SEND_QUEUES: usize = 64 * 1024 * 1024;
/// Bytes of a link's queue that are still sent before its goodbye. A page that closes has no time for more.
pub const LAST_WORDS: usize = 65_536;
/// Bytes handed to one relay socket and not yet written by it, above which we hold back.
pub const SOCKET_HIGH_WATER: usize = 1024 * 1024;
/// Bytes that wait in a socket, above which an answer is not missed yet: the question may wait behind them.
pub const SOCKET_BUSY: usize = 16 * 1024;
/// Bytes that a host's stream wrote for a circuit and that have not gone, above which it is to wait.
pub const HOST_HIGH_WATER: usize = 1024 * 1024;
/// Bytes of a circuit that a host's stream has not read, above which the circuit ends: a relay cannot be held back. They are more than
/// what a device may have queued for us ([`SEND_QUEUE`]), so only a stream that is stuck loses its circuit. × [`DEVICES`], as [`UINT24`].
pub const HOST_UNREAD: usize = 16 * 1024 * 1024;
/// Sealed bytes of a link that wait for its transport. More means a remote that makes us answer and does not read.
pub const LINK_OUTPUT: usize = 1024 * 1024;
/// Messages kept for peers that are not known yet, while the first relay is being joined.
pub const EARLY_MESSAGES: usize = 256;
/// Bytes of those messages.
pub const EARLY_BYTES: usize = 1024 * 1024;

/// Relays that are used at once. More in the list are refused with `bad-relay-url`.
pub const RELAYS: usize = 3;
/// Drive peers that are used at once. More in the list are refused with `bad-peer-url`.
pub const DRIVE_PEERS: usize = 8;
/// Credit that each direction of a circuit begins with, and never has less of for good. More is lent by the relay from the receiver's
/// pool, so one client's queue at a relay holds at most its pool + [`ROOM`] × 4 KiB + what the relay keeps for small frames.
pub const CREDIT_BASE: usize = 4_096;
/// Credit that a DATA frame costs beyond its bytes: more than its header and its place in a queue take.
pub const DATA_COST: usize = 32;
/// Credit below which none is lent, returned, reported or spent: a quarter of [`CREDIT_BASE`], so that two ends which both wait for as
/// much leave half of it to send.
pub const CREDIT_STEP: usize = 1_024;
/// Most that may be on its way on one circuit, sent and not consumed or lent and not sent.
pub const CREDIT_WINDOW: usize = 1024 * 1024;
/// Members of one relay room.
pub const ROOM: usize = 256;
/// STUN and TURN servers that a relay announces. With three texts each they take 6 KiB per relay.
pub const ICE_SERVERS: usize = 8;
/// Longest URL, user name or credential of one of those, in bytes of UTF-8.
pub const ICE_SERVER_TEXT: usize = 255;
/// Members of one room that come from one address.
pub const ROOM_PER_ADDRESS: usize = 64;
/// Inbound handshakes per second and device: one costs about 0.5 ms of computing in a page.
pub const HANDSHAKES_PER_SECOND: u32 = 20;

/// Devices that are directly connected at once, unless the owner wants another number: each is an `RTCPeerConnection` of some 100 KiB and
/// more traffic to keep it, and Chromium ends at 500 in a page.
pub const DIRECT_PEERS: usize = 32;
/// Bytes handed to a data channel and not yet sent, above which we hold back: beyond 256 KiB Chromium's throughput collapses.
pub const CHANNEL_HIGH_WATER: usize = 256 * 1024;
/// Bytes down to which they have to go before the owner says so.
pub const CHANNEL_LOW_WATER: usize = 64 * 1024;
/// Largest message of a data channel, in both directions: what every implementation of WebRTC takes.
pub const CHANNEL_MESSAGE: usize = 16_384;
/// Longest description of a peer connection, in bytes. One of a single data channel has about 700.
pub const DESCRIPTION: usize = 12_288;
/// Longest candidate, and its media id.
pub const CANDIDATE: usize = 1_024;
/// Candidates for one description, in each direction.
pub const CANDIDATES: usize = 64;
/// Offers of a remote that are answered on one peer connection: one, and those by which it looks for another way.
pub const OFFERS: usize = 16;
/// Peer connections that a remote may have us begin at a stroke, and one more each second.
pub const INVITATIONS: u32 = 10;
/// The same for all remotes together: as many as there may be devices, and then no more than this device itself begins.
pub const INVITATIONS_OF_ALL: u32 = 256;
/// How many more of those there may be each second.
pub const INVITATIONS_PER_SECOND: u32 = 20;
/// Signals, signs of life and acknowledgements that wait on one link: 128 × 12 KiB at most. Further signals are not said.
pub const URGENT: usize = 128;

/// From a new link to the proof of the drive key.
pub const PROOF_TIME: Duration = Duration::from_secs(10);
/// Time that a direct connection may take to be there.
pub const DIRECT_TIME: Duration = Duration::from_secs(15);
/// Time that the device with the lesser key leaves to the other to begin a direct connection.
pub const DIRECT_AFTER: Duration = Duration::from_secs(3);
/// Time that two devices which have just met have for what they say first, before they begin a direct connection.
pub const DIRECT_SOON: Duration = Duration::from_millis(100);
/// Pause between the beginnings of two direct connections: each takes a page some milliseconds.
pub const DIRECT_PACE: Duration = Duration::from_millis(50);
/// First pause before a direct connection that failed is tried again. It doubles up to [`DIRECT_RETRY_MAX`], each time ± 50 %.
pub const DIRECT_RETRY: Duration = Duration::from_secs(1);
/// Longest of those pauses.
pub const DIRECT_RETRY_MAX: Duration = Duration::from_secs(300);
/// Pause, ± 50 %, before it is tried again with a device that has no place for one more.
pub const DIRECT_REFUSED: Duration = Duration::from_secs(30);
/// Time after which a direct connection was sound: earlier failures do not count any more.
pub const DIRECT_IS_SOUND_AFTER: Duration = Duration::from_secs(30);
/// Time in which something has to leave a data channel in which bytes wait, or it is dead.
pub const STALL: Duration = Duration::from_secs(5);
/// How often it is looked at who has most to say, where not all can be connected to directly.
pub const DIRECT_REVIEW: Duration = Duration::from_secs(10);
/// Silence on a link after which it is pinged.
pub const PING_AFTER: Duration = Duration::from_secs(3);
/// How much sooner the end of a link that began the handshake asks: only where that takes longer do both.
pub const PING_LEAD: Duration = Duration::from_millis(500);
/// Time after an answer after which a remote is pinged that pings: it may be one that hears nothing.
pub const PING_EVERY: Duration = Duration::from_secs(20);
/// Time after a ping after which the round trip is measured anew, on a link that is busy: on a silent one pings do that by the way.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Time that an answer to a ping may take after [`PING_AFTER`], after which the link is dead.
pub const PONG_WITHIN: Duration = Duration::from_secs(7);
/// Time in which a frame has to come whole: bytes of one that never ends are no sign of life.
pub const FRAME_TIME: Duration = Duration::from_secs(30);
/// Bytes of a frame after which it has as long again, where a native device gets it on a circuit: replication may have long ones. A length
/// that was damaged on the way makes one of all that follows, most of the time of little.
pub const FRAME_STEP: usize = 16_384;
/// Silence of a drive peer that sends keepalives after which it is dead: JavaScript's come every 5 s.
pub const KEEPALIVES_STOPPED: Duration = Duration::from_secs(20);
/// Time that a device is waited for whose links are all cut, before it has left.
pub const GRACE: Duration = Duration::from_secs(5);
/// Time that it is waited for if its own socket closed, as far as a relay knows.
pub const GRACE_AFTER_CLOSE: Duration = Duration::from_secs(2);
/// Pause between two signs of life to a device of which a long message comes, part by part.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Time that an answer may take before a device without another link has left: 5 s of silence with [`PING_AFTER`].
pub const MISSED_AFTER: Duration = Duration::from_secs(2);
/// Longest time after which a relay may say that it is back: devices that were reached through it are waited for that long and [`GRACE`]
/// more, and no lie of a relay's makes it longer.
pub const BACK_IN: Duration = Duration::from_secs(25);
/// Time over which devices come back to a relay that was stopped, beyond the second half of the time that it said it takes.
pub const BACK_SPREAD: Duration = Duration::from_secs(2);
/// Longest pause, ± 50 %, before a relay is tried again that should be back.
pub const BACK_RETRY: Duration = Duration::from_secs(1);
/// Time that a session outlives the leave of its device, unless the owner wants another.
pub const SESSION_TIME: Duration = Duration::from_secs(120);
/// Sessions of devices that left. Each costs what it keeps of [`SEND_QUEUES`].
pub const SESSIONS: usize = 256;
/// Bytes of messages, and [`MESSAGE_WEIGHT`] for each, after which a session's remote is told at once what has arrived: less than
/// [`SEND_LOW_WATER`], so that who waits for that never waits for [`ACK_AFTER`].
pub const ACK_WEIGHT: usize = 128 * 1024;
/// Time after which it is told of less.
pub const ACK_AFTER: Duration = Duration::from_millis(100);
/// Time within which bytes of a circuit have to be read for its window to grow.
pub const CREDIT_QUICK: Duration = Duration::from_millis(500);
/// Time after which a window is too large: what is sent waits for what was sent before, and with it what others send to that device. Less
/// than [`MISSED_AFTER`], so that nobody takes it for gone.
pub const CREDIT_SLOW: Duration = Duration::from_secs(1);
/// Time after the last credit came for a circuit in which what is not used of it is kept.
pub const CREDIT_IDLE: Duration = Duration::from_secs(1);
/// First pause before a relay is tried again. It doubles up to [`RETRY_MAX`], each time ± 50 %.
pub const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Time in a relay's room after which earlier failures do not count any more: one that welcomes and refuses is tried ever later.
pub const RELAY_IS_SOUND_AFTER: Duration = Duration::from_secs(30);
/// Longest pause before a relay is tried again.
pub const RETRY_MAX: Duration = Duration::from_secs(30);
/// Time that a relay has to answer a new socket with a welcome.
pub const WELCOME_TIME: Duration = Duration::from_secs(10);
/// Time that a relay has to give a sign of life after it was asked for one, and once more the same.
pub const ANSWER_TIME: Duration = Duration::from_millis(1_500);
/// Time that a drive peer which cannot be asked has to say anything when the network is back, and once more the same: JavaScript's
/// keepalives come every 5 s.
pub const KEEPALIVE_TIME: Duration = Duration::from_millis(3_250);
