//! What all connections of one relay share.

use std::sync::Arc;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::admission::Admission;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::rooms::Rooms;

/// A relay: its rooms and its door.
#[derive(Debug)]
#[non_exhaustive]
pub struct Relay<R: Rooms> {
    /// The operator's limits.
    pub limits: Limits,
    /// Who may use it.
    pub access: Access,
    /// Networks of reverse proxies.
    pub trusted_proxies: Vec<IpNet>,
    /// The rooms.
    pub rooms: R,
    /// The door.
    pub admission: Arc<Admission>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the relay ends.
    pub shutdown: CancellationToken,
    /// The WebSockets, which say farewell when the relay ends.
    pub sockets: TaskTracker,
}

impl<R: Rooms> Relay<R> {
    /// A relay with `rooms`.
    pub fn new(
        limits: Limits,
        access: Access,
        trusted_proxies: Vec<IpNet>,
        rooms: R,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            admission: Admission::new(limits.clone()),
            limits,
            access,
            trusted_proxies,
            rooms,
            metrics,
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
        })
    }
}
