//! What all connections of one relay share.

use std::sync::{Arc, Once};
use std::time::Instant;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::access::Access;
use crate::address::ClientAddress;
use crate::admission::Admission;
use crate::budget::Budgets;
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
    /// What clients may send together.
    pub budgets: Budgets,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the relay is stopped: WebSockets say farewell, and no more are taken in.
    pub draining: CancellationToken,
    /// Cancelled when the relay ends.
    pub shutdown: CancellationToken,
    /// The WebSockets, which say farewell when the relay ends.
    pub sockets: TaskTracker,
    forwards_untrusted: Once,
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
            admission: Admission::new(limits.clone(), metrics.closed_at_the_door.clone()),
            budgets: Budgets::new(&limits, &metrics, Instant::now()),
            limits,
            access,
            trusted_proxies,
            rooms,
            metrics,
            draining: CancellationToken::new(),
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
            forwards_untrusted: Once::new(),
        })
    }

    /// Counts an `x-forwarded-for` that is not believed. The first one is logged: it may be a proxy that was forgotten; the
    /// rest would let any client fill the log.
    pub fn ignore_forward(&self, from: ClientAddress) {
        self.metrics.untrusted_forwards.inc();
        self.forwards_untrusted.call_once(|| {
            warn!(
                %from,
                "ignored an x-forwarded-for: if that is your proxy, name it with --trusted-proxy, or all its clients count \
                 as one. This is said once; untrusted_forwards of /metrics counts them"
            );
        });
    }

    /// Sends every client away until the relay is back.
    pub fn drain(&self) {
        self.rooms.close();
        self.draining.cancel();
        self.sockets.close();
    }
}
