//! A direct connection to a device: the TypeScript half's `RTCPeerConnection` and its data channel.

use std::cell::Cell;

use peersockets_core::rtc::{Candidate, Connectivity, IceServer, Step};
use peersockets_core::swarm::{SocketFailure, SocketId};
use wasm_bindgen::prelude::*;

use crate::bridge::Bridge;
use crate::page::Lifeline;
use crate::socket::receive;

/// What is told, in the words of `Told` in `pkg-template/src/peer-connection.ts`.
const DESCRIPTION: u32 = 0;
const CANDIDATE: u32 = 1;
const CONNECTIVITY: u32 = 2;
const OPENED: u32 = 3;
const MESSAGE: u32 = 4;
const DRAINED: u32 = 5;
const CLOSED: u32 = 6;

#[wasm_bindgen]
extern "C" {
    /// The class of this name in the TypeScript half. It tells nothing inside of these calls.
    type PeerConnection;

    #[wasm_bindgen(method, js_name = newPeerConnection)]
    fn new_peer_connection(this: &Lifeline, ice_servers: Vec<String>, tell: &JsValue) -> PeerConnection;

    #[wasm_bindgen(method)]
    fn offer(this: &PeerConnection, restart: bool);

    #[wasm_bindgen(method)]
    fn answer(this: &PeerConnection, sdp: &str);

    #[wasm_bindgen(method)]
    fn accept(this: &PeerConnection, sdp: &str);

    #[wasm_bindgen(method)]
    fn candidate(this: &PeerConnection, candidate: &str, mid: Option<&str>);

    #[wasm_bindgen(method)]
    fn send(this: &PeerConnection, message: &[u8]);

    #[wasm_bindgen(method, getter, js_name = bufferedAmount)]
    fn buffered_amount(this: &PeerConnection) -> usize;

    #[wasm_bindgen(method)]
    fn close(this: &PeerConnection);
}

/// What is told: which of the above, and what belongs to it.
type Tell = dyn FnMut(u32, JsValue, JsValue);

/// A direct connection. Dropping it closes it, after what was sent.
pub struct Connection {
    connection: PeerConnection,
    /// Whether anything may wait in it: there are many of them, and all are asked at every step.
    may_wait: Cell<bool>,
    _tell: Closure<Tell>,
}

impl Connection {
    /// Begins one. All that comes of it goes to the bridge, also that the browser refuses.
    pub fn open(bridge: &Bridge, id: SocketId, ice_servers: Vec<IceServer>) -> Self {
        let texts =
            ice_servers.into_iter().flat_map(|server| [server.url, server.username, server.credential]).collect();
        let me = bridge.downgrade();
        let tell: Closure<Tell> = Closure::new(move |what, payload, mid| {
            if let Some(bridge) = me.upgrade() {
                hear(&bridge, id, what, payload, &mid);
            }
        });
        let connection = bridge.lifeline().new_peer_connection(texts, tell.as_ref());
        Self { connection, may_wait: Cell::new(false), _tell: tell }
    }

    /// Takes a step, after those before it.
    pub fn negotiate(&self, step: Step) {
        match step {
            Step::Offer { restart } => self.connection.offer(restart),
            Step::Answer(offer) => self.connection.answer(&offer),
            Step::Accept(answer) => self.connection.accept(&answer),
            Step::Candidate(Candidate { candidate, mid }) => self.connection.candidate(&candidate, mid.as_deref()),
        }
    }

    /// Sends one message. A channel that is not open any more drops it, and says so by closing.
    pub fn send(&self, message: &[u8]) {
        self.may_wait.set(true);
        self.connection.send(message);
    }

    /// Bytes that were sent and have not left.
    pub fn buffered(&self) -> usize {
        let buffered = if self.may_wait.get() { self.connection.buffered_amount() } else { 0 };
        self.may_wait.set(buffered > 0);
        buffered
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connection.close();
    }
}

fn hear(bridge: &Bridge, id: SocketId, what: u32, payload: JsValue, mid: &JsValue) {
    if what == MESSAGE {
        return receive(bridge, id, payload);
    }
    let text = payload.as_string().unwrap_or_default();
    bridge.input(|swarm, now| match what {
        DESCRIPTION => swarm.handle_description(now, id, text),
        CANDIDATE => swarm.handle_candidate(now, id, Candidate { candidate: text, mid: mid.as_string() }),
        CONNECTIVITY => swarm.handle_connectivity(now, id, connectivity(&payload)),
        OPENED => swarm.handle_socket_opened(now, id),
        // What is written then follows from looking at it.
        DRAINED => {}
        CLOSED => swarm.handle_socket_closed(now, id),
        _ => swarm.handle_socket_failed(now, id, SocketFailure::Unreachable),
    });
}

fn connectivity(place: &JsValue) -> Connectivity {
    match place.as_f64() {
        Some(0.0) => Connectivity::Connected,
        Some(1.0) => Connectivity::Disconnected,
        _ => Connectivity::Failed,
    }
}
