//! What the TypeScript half resolved for us.

use serde::Deserialize;

/// The options of [`PeerSockets`](crate::PeerSockets).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// The drive as the user wrote it; absent for the key of the origin.
    pub drive: Option<String>,
    /// The page's origin, `null` if it has none.
    pub origin: String,
    /// URLs of relays.
    pub relays: Vec<String>,
    /// Whether the page was loaded securely, so that it may not open `ws:` to other hosts.
    pub is_secure: bool,
}
