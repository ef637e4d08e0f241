//! The classes that JavaScript calls.

use std::rc::Rc;

use js_sys::Function;
use peersockets_core::code::Code;
use peersockets_core::drive::DriveKey;
use peersockets_core::quote::quoted;
use peersockets_core::swarm::{Config, HandleId, PeerId, Report, Swarm};
use peersockets_core::time::Time;
use wasm_bindgen::prelude::*;

use crate::bridge::{Bridge, error_object};
use crate::options::Options;
use crate::page;
use crate::snapshot::Snapshot;

/// The peers of one drive.
#[wasm_bindgen]
pub struct PeerSockets {
    pub(crate) bridge: Rc<Bridge>,
}

#[wasm_bindgen]
impl PeerSockets {
    /// Starts to connect. `deliver(kind, handle, peerId, payload)` gets every event, never from inside a call of these classes.
    ///
    /// Throws an error as `deliver` gets them if the drive cannot be read, and whatever the browser threw if it has no randomness.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &Options, deliver: Function) -> Result<PeerSockets, JsValue> {
        let drive = drive_key(options).map_err(error_object)?;
        let seed = page::random_seed()?;
        let (relays, drive_peers) = (options.relays(), options.peers());
        let session_time =
            options.session_time().map(|milliseconds| Time::from_millis(milliseconds).since(Time::default()));
        let config = Config {
            relays: &relays,
            drive_peers: &drive_peers,
            host_seed: host_seed(options),
            session_time,
            direct_peers: options.direct_peers(),
        };
        let swarm = Swarm::new(page::now(), seed, drive, config);
        let bridge = Bridge::new(swarm, deliver.unchecked_into(), options);
        bridge.schedule();
        Ok(PeerSockets { bridge })
    }

    /// Joins a topic.
    pub fn join(&self, topic: &str) -> Topic {
        let handle = self.bridge.command(|swarm| swarm.join(topic));
        Topic { bridge: self.bridge.clone(), handle }
    }

    /// Watches peers.
    pub fn watch(&self) -> PeerEvents {
        let handle = self.bridge.command(Swarm::watch);
        PeerEvents { bridge: self.bridge.clone(), handle }
    }

    /// The user is back: every relay is tried at once, or asked whether it is still there.
    pub fn retry(&self) {
        self.bridge.command_at(Swarm::retry);
    }

    /// The browser says that there is no network.
    pub fn offline(&self) {
        self.bridge.command_at(Swarm::handle_offline);
    }

    /// The browser says that the network is back.
    pub fn online(&self) {
        self.bridge.command_at(Swarm::handle_online);
    }

    /// Says goodbye and closes the sockets before it returns: the page may be gone after.
    pub fn goodbye(&self) {
        self.bridge.command_at(Swarm::goodbye);
        self.bridge.drain();
    }

    /// Connects again after a goodbye.
    pub fn resume(&self) {
        self.bridge.command_at(Swarm::resume);
    }

    /// Says goodbye for good.
    pub fn close(&self) {
        self.bridge.command_at(Swarm::close);
        self.bridge.drain();
    }

    /// A picture of everything, for people to look at.
    pub fn stats(&self) -> Result<JsValue, JsValue> {
        let stats = self.bridge.read(Swarm::stats);
        Ok(serde_wasm_bindgen::to_value(&Snapshot::from(stats))?)
    }
}

/// A topic that was joined.
#[wasm_bindgen]
pub struct Topic {
    pub(crate) bridge: Rc<Bridge>,
    pub(crate) handle: HandleId,
}

#[wasm_bindgen]
impl Topic {
    /// Its number in `deliver`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> u32 {
        self.handle.0
    }

    /// Why a message of this length would come back with `queue-full`, if it would: asked before its bytes are copied into wasm.
    pub fn refusal(&self, peer_id: u32, length: usize) -> Option<String> {
        self.bridge.read(|swarm| swarm.refusal(PeerId(peer_id), length))
    }

    /// What waits for a peer counts for, or for all where it is 0.
    pub fn buffered(&self, peer_id: u32) -> usize {
        self.bridge.read(|swarm| match peer_id {
            0 => swarm.buffered_in_all(),
            peer => swarm.buffered(PeerId(peer)),
        })
    }

    /// Sends a message.
    pub fn send(&self, peer_id: u32, message: Vec<u8>) {
        self.bridge.command(|swarm| swarm.send(self.handle, PeerId(peer_id), message));
    }

    /// Ends it.
    pub fn close(&self) {
        self.bridge.command(|swarm| swarm.close_handle(self.handle));
    }
}

/// A watcher of peers.
#[wasm_bindgen]
pub struct PeerEvents {
    bridge: Rc<Bridge>,
    handle: HandleId,
}

#[wasm_bindgen]
impl PeerEvents {
    /// Its number in `deliver`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> u32 {
        self.handle.0
    }

    /// Ends it.
    pub fn close(&self) {
        self.bridge.command(|swarm| swarm.close_handle(self.handle));
    }
}

#[cfg(feature = "host")]
fn host_seed(options: &Options) -> Option<[u8; 32]> {
    options.device_seed().try_into().ok()
}

#[cfg(not(feature = "host"))]
fn host_seed(_: &Options) -> Option<[u8; 32]> {
    None
}

fn drive_key(options: &Options) -> Result<DriveKey, Report> {
    match options.drive() {
        Some(text) => DriveKey::parse(&text).map_err(|error| {
            let text = format!("the drive {} cannot be used: {error}", quoted(&text, 100));
            Report::new(Code::BadDrive, text)
        }),
        None if options.origin() == "null" => Err(Report::new(
            Code::BadDrive,
            "no drive is named, and there is no page here with an origin to derive one from",
        )),
        None => Ok(DriveKey::from_origin(&options.origin())),
    }
}
