//! What `/metrics` shows.

use peersockets_core::code::REFUSALS;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

use crate::admission::Admission;
use crate::refusal::Refusal;
use crate::rooms::Census;

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counters of one relay. None has a label that names a room, a member or an address.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// DATA frames passed on.
    pub frames: Counter,
    /// Bytes of DATA passed on.
    pub bytes: Counter,
    /// DATA, HANGUP and DIRECT frames on circuits that were not open any more.
    pub stray_frames: Counter,
    /// WebSockets taken in.
    pub sockets_opened: Counter,
    /// Upgrades with an `x-forwarded-for` that was not believed.
    pub untrusted_forwards: Counter,
    /// Circuits hung up because the queue of a receiver stayed full.
    pub busy_hangups: Counter,
    /// Times that a client was not read because the queue of its receiver was full.
    pub waits_for_receiver: Counter,
    /// Times that a client was not read because it had used up its rate.
    pub waits_for_rate: Counter,
    /// Times that a client was not read because its room had used up its rate.
    pub waits_for_room_rate: Counter,
    /// Times that a client was not read because all clients together had used up their rate.
    pub waits_for_total_rate: Counter,
    /// TCP connections that were closed unheard, for there were too many.
    pub closed_at_the_door: Counter,
    /// Connections that were closed because no request came in time, after the TLS handshake if there is one.
    pub late_newcomers: Counter,
    /// Connections whose TLS handshake failed or took too long.
    pub tls_failures: Counter,
    /// Times that a circuit's credit was used up: its sender is told to slow down by getting no more.
    pub credit_used_up: Counter,
    /// Circuits hung up because more was sent on them than their credit.
    pub credit_violations: Counter,
    refusals: Family<RefusalLabels, Counter>,
    connections: Gauge,
    newcomers: Gauge,
    http_connections: Gauge,
    rooms: Gauge,
    members: Gauge,
    circuits: Gauge,
    direct_pairs: Gauge,
    queued: Gauge,
    lent: Gauge,
    fullest_queue: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    code: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("peersockets_relay"),
            frames: Counter::default(),
            bytes: Counter::default(),
            stray_frames: Counter::default(),
            sockets_opened: Counter::default(),
            untrusted_forwards: Counter::default(),
            busy_hangups: Counter::default(),
            waits_for_receiver: Counter::default(),
            waits_for_rate: Counter::default(),
            waits_for_room_rate: Counter::default(),
            waits_for_total_rate: Counter::default(),
            closed_at_the_door: Counter::default(),
            late_newcomers: Counter::default(),
            tls_failures: Counter::default(),
            credit_used_up: Counter::default(),
            credit_violations: Counter::default(),
            refusals: Family::default(),
            connections: Gauge::default(),
            newcomers: Gauge::default(),
            http_connections: Gauge::default(),
            rooms: Gauge::default(),
            members: Gauge::default(),
            circuits: Gauge::default(),
            direct_pairs: Gauge::default(),
            queued: Gauge::default(),
            lent: Gauge::default(),
            fullest_queue: Gauge::default(),
        };
        metrics.register();
        // Each is there from the beginning: Prometheus sees no increase in a first value.
        for code in REFUSALS {
            metrics.refusals.get_or_create(&RefusalLabels { code: code.name() }).inc_by(0);
        }
        metrics
    }
}

impl Metrics {
    /// Counts a refusal by its code.
    pub fn refused(&self, refusal: &Refusal) {
        self.refusals.get_or_create(&RefusalLabels { code: refusal.code().name() }).inc();
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self, admission: &Admission, census: Census, queue_capacity: usize) -> String {
        self.connections.set(admission.sockets() as i64);
        self.newcomers.set(admission.newcomers() as i64);
        self.http_connections.set(admission.http_connections() as i64);
        self.rooms.set(census.rooms as i64);
        self.members.set(census.members as i64);
        self.circuits.set(census.circuits as i64);
        self.direct_pairs.set(census.direct_pairs as i64);
        self.queued.set(census.queued as i64);
        self.lent.set(census.lent as i64);
        self.fullest_queue.set(census.fullest_queue as f64 / queue_capacity as f64);
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("connections", "WebSockets that are open", self.connections.clone());
        registry.register(
            "newcomers",
            "Connections that have asked for nothing yet, or are being refused",
            self.newcomers.clone(),
        );
        registry.register(
            "http_connections",
            "Connections that are open and asked for anything but a WebSocket",
            self.http_connections.clone(),
        );
        registry.register("connections_opened", "WebSockets taken in", self.sockets_opened.clone());
        registry.register("rooms", "Rooms with a member", self.rooms.clone());
        registry.register("members", "Members of all rooms", self.members.clone());
        registry.register("circuits", "Circuits between members: pairs of them", self.circuits.clone());
        registry.register(
            "direct_pairs",
            "Circuits whose two members are connected directly too, as the one that dialled says",
            self.direct_pairs.clone(),
        );
        registry.register("frames", "DATA frames passed on", self.frames.clone());
        registry.register_with_unit("data", "Bytes of DATA passed on", Unit::Bytes, self.bytes.clone());
        registry.register("stray_frames", "Frames on circuits that were not open any more", self.stray_frames.clone());
        registry.register(
            "untrusted_forwards",
            "WebSockets whose x-forwarded-for was not believed, for it came from no trusted proxy",
            self.untrusted_forwards.clone(),
        );
        registry.register(
            "busy_hangups",
            "Circuits hung up because the queue of a receiver stayed full",
            self.busy_hangups.clone(),
        );
        registry.register("refusals", "Sockets closed by the relay, by code", self.refusals.clone());
        registry.register_with_unit("queued", "Bytes that wait for clients", Unit::Bytes, self.queued.clone());
        registry.register_with_unit(
            "credit_lent",
            "Credit that was lent to senders and is not used, beyond what every circuit has",
            Unit::Bytes,
            self.lent.clone(),
        );
        registry.register(
            "credit_used_up",
            "Times that a circuit's credit was used up: its sender is told to slow down by getting no more",
            self.credit_used_up.clone(),
        );
        registry.register(
            "credit_violations",
            "Circuits hung up because more was sent on them than their credit",
            self.credit_violations.clone(),
        );
        registry.register(
            "fullest_queue_ratio",
            "Bytes that wait for the slowest client, as a part of its queue",
            self.fullest_queue.clone(),
        );
        registry.register(
            "waits_for_receiver",
            "Times that a client was not read because the queue of its receiver was full",
            self.waits_for_receiver.clone(),
        );
        registry.register(
            "waits_for_rate",
            "Times that a client was not read because it had used up its rate",
            self.waits_for_rate.clone(),
        );
        registry.register(
            "waits_for_room_rate",
            "Times that a client was not read because its room had used up its rate",
            self.waits_for_room_rate.clone(),
        );
        registry.register(
            "waits_for_total_rate",
            "Times that a client was not read because all clients together had used up their rate",
            self.waits_for_total_rate.clone(),
        );
        registry.register(
            "closed_at_the_door",
            "TCP connections closed unheard: too many, all told or of one address, had asked for nothing yet",
            self.closed_at_the_door.clone(),
        );
        registry.register(
            "late_newcomers",
            "Connections closed because no request came in time, after the TLS handshake if there is one",
            self.late_newcomers.clone(),
        );
        registry.register(
            "tls_failures",
            "Connections whose TLS handshake failed or took too long",
            self.tls_failures.clone(),
        );
    }
}
