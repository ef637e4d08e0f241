//! What the TypeScript half resolved for us.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The options of [`PeerSockets`](crate::PeerSockets), a plain object. Read by its properties: a derived reader would be a tenth
    /// of what a page downloads.
    pub type Options;

    /// The drive as the user wrote it; absent for the key of the origin.
    #[wasm_bindgen(method, getter)]
    pub fn drive(this: &Options) -> Option<String>;

    /// The page's origin, `null` if it has none.
    #[wasm_bindgen(method, getter)]
    pub fn origin(this: &Options) -> String;

    /// URLs of relays.
    #[wasm_bindgen(method, getter)]
    pub fn relays(this: &Options) -> Vec<String>;

    /// URLs of drive peers.
    #[wasm_bindgen(method, getter)]
    pub fn peers(this: &Options) -> Vec<String>;

    /// Who holds all that we open outside.
    #[wasm_bindgen(method, getter)]
    pub fn lifeline(this: &Options) -> crate::page::Lifeline;

    /// Milliseconds that a session outlives the leave of its device, if that is not left to the core.
    #[wasm_bindgen(method, getter, js_name = sessionTime)]
    pub fn session_time(this: &Options) -> Option<f64>;

    /// Peers that are connected to directly at most; 0 where the page can't or should not.
    #[wasm_bindgen(method, getter, js_name = directPeers)]
    pub fn direct_peers(this: &Options) -> usize;

    /// Who runs the secret streams of circuits: a process that replicates the drive on them.
    #[cfg(feature = "host")]
    #[wasm_bindgen(method, getter)]
    pub fn host(this: &Options) -> crate::hosting::Host;

    /// The 32 bytes that such a process's device key is made of.
    #[cfg(feature = "host")]
    #[wasm_bindgen(method, getter, js_name = deviceSeed)]
    pub fn device_seed(this: &Options) -> Vec<u8>;

    /// Whether the page was loaded securely, so that it may not open `ws:` to other hosts.
    #[wasm_bindgen(method, getter, js_name = isSecure)]
    pub fn is_secure(this: &Options) -> bool;
}
