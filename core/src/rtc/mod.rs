//! WebRTC without I/O: what two devices say to each other so that they become directly connected, and what is to be done for it.
//!
//! Descriptions and candidates are opaque strings here (SDP, RFC 8829 and RFC 8839): whoever owns an `RTCPeerConnection` makes and reads
//! them.

pub mod negotiation;
pub mod signal;

/// One way by which a device may be reached, as `RTCIceCandidate` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its `candidate`.
    pub candidate: String,
    /// Its `sdpMid`.
    pub mid: Option<String>,
}

/// A STUN or TURN server that a relay announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:`.
    pub url: String,
    /// Empty for STUN.
    pub username: String,
    /// Empty for STUN.
    pub credential: String,
}

/// What is to be done with a peer connection. Steps are taken one after another, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make an offer and take it for the local description, which is to be told.
    Offer {
        /// Whether it begins anew to look for a way (`iceRestart`).
        restart: bool,
    },
    /// Take the remote's offer, in place of one of ours if there is one, and make an answer the local description, which is to be told.
    Answer(String),
    /// Take the remote's answer.
    Accept(String),
    /// Add a candidate of the remote's. One that is of no use any more does no harm.
    Candidate(Candidate),
}

/// What a peer connection says of its way to the remote (`connectionState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// There is one.
    Connected,
    /// It may be lost.
    Disconnected,
    /// There is none.
    Failed,
}
