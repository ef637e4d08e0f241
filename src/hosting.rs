//! For a process that replicates the drive: its own secret streams and muxes, npm's, carry the links (PROTOCOL.md §12).
//!
//! Not in what pages download: it is built with the feature `host`.

use js_sys::Uint8Array;
use peersockets_core::conversation::{Established, Heard};
use peersockets_core::link::{self, HostAction};
use peersockets_core::secure::Role;
use peersockets_core::swarm::{LinkId, Swarm};
use wasm_bindgen::prelude::*;

use crate::peer_sockets::{PeerSockets, Topic};

#[wasm_bindgen]
extern "C" {
    /// What the TypeScript half does to its streams, each named by the number of its link. What it throws ends that link.
    #[derive(Clone)]
    pub type Host;

    /// Make a secret stream for a circuit.
    #[wasm_bindgen(method, catch)]
    fn start(this: &Host, link: u32, is_initiator: bool) -> Result<(), JsValue>;

    /// Hand the stream bytes from its circuit.
    #[wasm_bindgen(method, catch)]
    fn read(this: &Host, link: u32, bytes: Uint8Array) -> Result<(), JsValue>;

    /// Go on writing to the circuit.
    #[wasm_bindgen(method, catch)]
    fn drained(this: &Host, link: u32) -> Result<(), JsValue>;

    /// Open `peersockets/1`.
    #[wasm_bindgen(method, catch)]
    fn open(this: &Host, link: u32, id: Uint8Array, handshake: Uint8Array) -> Result<(), JsValue>;

    /// Send a message on `peersockets/1`.
    #[wasm_bindgen(method, catch)]
    fn message(this: &Host, link: u32, kind: u32, payload: Uint8Array) -> Result<(), JsValue>;

    /// Send a topic's message as an extension.
    #[wasm_bindgen(method, catch)]
    fn extension(this: &Host, link: u32, topic: &str, payload: Uint8Array) -> Result<(), JsValue>;

    /// Replicate the drive.
    #[wasm_bindgen(method, catch)]
    fn replicate(this: &Host, link: u32) -> Result<(), JsValue>;

    /// End the stream, or leave one that is not ours, and forget it.
    #[wasm_bindgen(method, catch)]
    fn end(this: &Host, link: u32) -> Result<(), JsValue>;
}

impl Host {
    /// Does one thing. Fails where npm's libraries threw: what became of the stream is not known then.
    pub fn act(&self, LinkId(link): LinkId, action: HostAction) -> Result<(), JsValue> {
        match action {
            HostAction::Start(role) => self.start(link, role == Role::Initiator),
            HostAction::Read(bytes) => self.read(link, Uint8Array::from(&bytes[..])),
            HostAction::Drained => self.drained(link),
            HostAction::Open { id, handshake } => {
                self.open(link, Uint8Array::from(&id[..]), Uint8Array::from(&handshake[..]))
            }
            HostAction::Message(frame) => self.message(link, frame.kind as u32, Uint8Array::from(&frame.payload[..])),
            HostAction::Extension(topic, message) => self.extension(link, &topic, Uint8Array::from(&message[..])),
            HostAction::Replicate => self.replicate(link),
            HostAction::End => self.end(link),
        }
    }
}

/// What the TypeScript half says of its streams. A link that is over is ignored.
#[wasm_bindgen]
impl PeerSockets {
    /// A stream that is there already. Returns its link.
    #[wasm_bindgen(js_name = handleStream)]
    pub fn handle_stream(&self) -> u32 {
        self.bridge.command_at(|swarm, now| swarm.handle_stream(now, link::Host::Here)).0
    }

    /// The handshake is complete: the remote's key (32 bytes) and the handshake hash (64 bytes).
    #[wasm_bindgen(js_name = handleStreamOpened)]
    pub fn handle_stream_opened(&self, link: u32, is_initiator: bool, remote: &[u8], handshake_hash: &[u8]) {
        let role = if is_initiator { Role::Initiator } else { Role::Responder };
        let (Ok(remote), Ok(handshake_hash)) = (remote.try_into(), handshake_hash.try_into()) else {
            return self.handle_stream_ended(link);
        };
        let session = Established { remote, role, handshake_hash };
        self.bridge.command_at(|swarm, now| swarm.handle_stream_opened(now, LinkId(link), session));
    }

    /// The remote opened `peersockets/1`.
    #[wasm_bindgen(js_name = handleChannelOpened)]
    pub fn handle_channel_opened(&self, link: u32, handshake: &[u8]) {
        self.hear(link, Heard::Opened(handshake));
    }

    /// The remote rejected or closed `peersockets/1`.
    #[wasm_bindgen(js_name = handleChannelClosed)]
    pub fn handle_channel_closed(&self, link: u32) {
        self.hear(link, Heard::Closed);
    }

    /// A message on `peersockets/1`.
    #[wasm_bindgen(js_name = handleChannelMessage)]
    pub fn handle_channel_message(&self, link: u32, kind: u32, payload: &[u8]) {
        self.hear(link, Heard::Message(kind.into(), payload));
    }

    /// The drive's own channel is open, and the remote has proved the drive key there.
    #[wasm_bindgen(js_name = handleDriveOpened)]
    pub fn handle_drive_opened(&self, link: u32) {
        self.hear(link, Heard::DriveOpened);
    }

    /// The drive's own channel is closed.
    #[wasm_bindgen(js_name = handleDriveClosed)]
    pub fn handle_drive_closed(&self, link: u32) {
        self.hear(link, Heard::DriveClosed);
    }

    /// A topic's message as an extension.
    #[wasm_bindgen(js_name = handleExtension)]
    pub fn handle_extension(&self, link: u32, topic: &str, payload: &[u8]) {
        self.hear(link, Heard::Extension(topic.into(), payload));
    }

    /// The stream wrote bytes for its circuit. Returns whether it is to wait for `drained` before it writes more.
    #[wasm_bindgen(js_name = handleStreamWritten)]
    pub fn handle_stream_written(&self, link: u32, bytes: &[u8]) -> bool {
        self.bridge.command(|swarm| swarm.handle_stream_written(LinkId(link), bytes))
    }

    /// The stream takes more messages, or none for now.
    #[wasm_bindgen(js_name = handleStreamDrained)]
    pub fn handle_stream_drained(&self, link: u32, is_drained: bool) {
        self.bridge.command(|swarm| swarm.handle_stream_drained(LinkId(link), is_drained));
    }

    /// Something came on the stream, whatever it means.
    #[wasm_bindgen(js_name = handleStreamAlive)]
    pub fn handle_stream_alive(&self, link: u32) {
        self.bridge.command_at(|swarm, now| swarm.handle_stream_alive(now, LinkId(link)));
    }

    /// Has the streams of circuits say goodbye, before it returns; nothing is delivered any more. What they seal is to be waited for
    /// before `close`.
    #[wasm_bindgen(js_name = sayLastWords)]
    pub fn say_last_words(&self) {
        self.bridge.command_at(Swarm::say_last_words);
        self.bridge.drain();
    }

    /// The stream ended.
    #[wasm_bindgen(js_name = handleStreamEnded)]
    pub fn handle_stream_ended(&self, link: u32) {
        self.bridge.command_at(|swarm, now| swarm.handle_stream_ended(now, LinkId(link)));
    }
}

/// What the TypeScript half asks of topics.
#[wasm_bindgen]
impl Topic {
    /// Whether it could be had, and is not closed.
    #[wasm_bindgen(getter, js_name = isOpen)]
    pub fn is_open(&self) -> bool {
        self.bridge.read(|swarm| swarm.is_open(self.handle))
    }
}

impl PeerSockets {
    fn hear(&self, link: u32, heard: Heard<'_>) {
        self.bridge.command_at(|swarm, now| swarm.handle_stream_heard(now, LinkId(link), heard));
    }
}
