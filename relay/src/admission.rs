//! Who may have a connection: counts in all and per address, and how fast one address may open new ones.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;

use crate::address::ClientAddress;
use crate::bucket::Bucket;
use crate::limits::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, Limits};
use crate::lock::lock;
use crate::refusal::Refusal;

/// The door of the relay.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
    /// Connections that were closed unheard.
    closed: Counter,
}

#[derive(Debug, Default)]
struct Counts {
    all: Tally,
    addresses: HashMap<ClientAddress, PerAddress>,
    /// By age: the numbers of places go up.
    newcomers: BTreeMap<u64, Newcomer>,
    places: u64,
}

#[derive(Debug)]
struct Newcomer {
    address: ClientAddress,
    /// Cancelled when a later newcomer takes the place.
    exit: CancellationToken,
}

#[derive(Debug)]
struct PerAddress {
    tally: Tally,
    new_sockets: Bucket,
}

/// Connections of each kind. A connection counts as one kind only, so none takes the place of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    newcomers: usize,
    http: usize,
    sockets: usize,
}

/// What a TCP connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It has asked for nothing yet, for [`NEWCOMER_TIME`](crate::limits::NEWCOMER_TIME) at most, or is being refused.
    Newcomer,
    /// Anything but a WebSocket.
    Http,
    /// A WebSocket that the relay serves.
    Socket,
}

/// The place of one TCP connection, which counts until this is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    number: u64,
    is_proxy: bool,
    held: Mutex<Held>,
}

/// As what, and for whom, a place counts.
#[derive(Clone, Copy, Debug)]
struct Held {
    kind: Kind,
    address: ClientAddress,
}

impl Admission {
    /// A door with nobody inside, which counts in `closed` whom it closes on unheard.
    pub fn new(limits: Limits, closed: Counter) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default(), closed })
    }

    /// Lets a TCP connection in, unless too many of its address have asked for nothing yet; `is_proxy` is not counted by address
    /// until it has become a WebSocket. Where too many of all addresses have, the oldest of them goes: who means it has asked within a
    /// few round trips, so silent sockets, however many, never lock the door.
    pub fn connect(self: &Arc<Self>, address: ClientAddress, is_proxy: bool) -> Option<Place> {
        let mut counts = self.counts();
        let place = counts.take_in(address, is_proxy, &self.limits).map(|number| {
            let held = Mutex::new(Held { kind: Kind::Newcomer, address });
            Place { admission: self.clone(), number, is_proxy, held }
        });
        let oldest = if counts.is_crowded(&self.limits) { counts.send_off_oldest() } else { None };
        drop(counts);
        if place.is_none() || oldest.is_some() {
            self.closed.inc();
        }
        if let Some(exit) = oldest {
            exit.cancel();
        }
        place
    }

    /// WebSockets that are open.
    pub fn sockets(&self) -> usize {
        self.counts().all.sockets
    }

    /// Connections that have asked for nothing yet, or are being refused.
    pub fn newcomers(&self) -> usize {
        self.counts().all.newcomers
    }

    /// Connections that are open and asked for anything but a WebSocket.
    pub fn http_connections(&self) -> usize {
        self.counts().all.http
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

impl Place {
    /// Lets the connection be used for HTTP. `false`: there are too many such connections.
    pub fn serve_http(&self) -> bool {
        let mut held = self.held();
        if held.kind == Kind::Http {
            return true;
        }
        let mut counts = self.admission.counts();
        let Some(entry) = counts.of(held.address, &self.admission.limits) else { return false };
        let is_fair = self.is_proxy || entry.tally.http < HTTP_CONNECTIONS_PER_ADDRESS;
        let is_free = is_fair && counts.all.http < HTTP_CONNECTIONS;
        let address = held.address;
        is_free && self.change(&mut counts, &mut held, Held { kind: Kind::Http, address })
    }

    /// Lets the connection be a WebSocket of `client`.
    pub fn upgrade(&self, client: ClientAddress) -> Result<(), Refusal> {
        let limits = &self.admission.limits;
        let full = || Refusal::TooManyConnections(limits.connections);
        let mut held = self.held();
        let mut counts = self.admission.counts();
        if counts.all.sockets >= limits.connections {
            return Err(full());
        }
        let entry = counts.of(client, limits).ok_or_else(full)?;
        if entry.tally.sockets >= limits.connections_per_address {
            return Err(Refusal::TooManyFromAddress(limits.connections_per_address));
        }
        entry.open_socket(limits)?;
        if self.change(&mut counts, &mut held, Held { kind: Kind::Socket, address: client }) {
            Ok(())
        } else {
            Err(full())
        }
    }

    /// Counts a WebSocket of `client` that is refused for its own sake: it takes no place, but whoever guesses tokens is as slow as
    /// who opens connections.
    pub fn turn_away(&self, client: ClientAddress) -> Result<(), Refusal> {
        let limits = &self.admission.limits;
        let mut counts = self.admission.counts();
        counts.of(client, limits).ok_or(Refusal::TooManyConnections(limits.connections))?.open_socket(limits)
    }

    /// Whether it has asked for nothing yet, or is being refused.
    pub fn is_newcomer(&self) -> bool {
        self.held().kind == Kind::Newcomer
    }

    /// Returns once a later newcomer has taken this place; never, once it is no newcomer's any more.
    pub async fn lost(&self) {
        let exit = self.admission.counts().newcomers.get(&self.number).map(|newcomer| newcomer.exit.clone());
        match exit {
            Some(exit) => exit.cancelled().await,
            None if self.is_newcomer() => {}
            None => pending().await,
        }
    }

    /// The new kind counts before the old one ends, so that the entry of an address is not forgotten in between. `false`: the place is
    /// lost already.
    fn change(&self, counts: &mut Counts, held: &mut Held, new: Held) -> bool {
        let is_lost = held.kind == Kind::Newcomer && !counts.newcomers.contains_key(&self.number);
        if is_lost || counts.add(new, &self.admission.limits).is_none() {
            return false;
        }
        counts.leave(self.number, std::mem::replace(held, new));
        true
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        lock(&self.held)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = *self.held();
        self.admission.counts().leave(self.number, held);
    }
}

impl Counts {
    /// The entry of an address, or nothing if too many other addresses are busy.
    fn of(&mut self, address: ClientAddress, limits: &Limits) -> Option<&mut PerAddress> {
        let now = Instant::now();
        if self.addresses.len() >= limits.addresses() && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, entry| !entry.is_forgettable(now));
            if self.addresses.len() >= limits.addresses() {
                return None;
            }
        }
        Some(self.addresses.entry(address).or_insert_with(|| PerAddress {
            tally: Tally::default(),
            new_sockets: Bucket::new(limits.new_connections_burst, limits.new_connections_per_second, now),
        }))
    }

    /// The number of a new place, if its address may have one more.
    fn take_in(&mut self, address: ClientAddress, is_proxy: bool, limits: &Limits) -> Option<u64> {
        let of_address = self.of(address, limits)?.tally.newcomers;
        if of_address >= limits.newcomers_per_address() && !is_proxy {
            return None;
        }
        self.add(Held { kind: Kind::Newcomer, address }, limits)?;
        self.places += 1;
        self.newcomers.insert(self.places, Newcomer { address, exit: CancellationToken::new() });
        Some(self.places)
    }

    /// Whether newcomers are one too many beside the WebSockets.
    fn is_crowded(&self, limits: &Limits) -> bool {
        self.all.newcomers + self.all.sockets > limits.connections + limits.newcomers()
    }

    fn send_off_oldest(&mut self) -> Option<CancellationToken> {
        let (_, Newcomer { address, exit }) = self.newcomers.pop_first()?;
        self.remove(Held { kind: Kind::Newcomer, address });
        Some(exit)
    }

    /// Ends what a place counts as, unless it was taken from it.
    fn leave(&mut self, place: u64, held: Held) {
        if held.kind != Kind::Newcomer || self.newcomers.remove(&place).is_some() {
            self.remove(held);
        }
    }

    fn add(&mut self, Held { kind, address }: Held, limits: &Limits) -> Option<()> {
        *self.of(address, limits)?.tally.of(kind) += 1;
        *self.all.of(kind) += 1;
        Some(())
    }

    fn remove(&mut self, Held { kind, address }: Held) {
        let Some(entry) = self.addresses.get_mut(&address) else { return };
        *entry.tally.of(kind) -= 1;
        *self.all.of(kind) -= 1;
        if entry.is_forgettable(Instant::now()) {
            self.addresses.remove(&address);
        }
    }
}

impl PerAddress {
    fn open_socket(&mut self, limits: &Limits) -> Result<(), Refusal> {
        let Limits { new_connections_burst: burst, new_connections_per_second: per_second, .. } = *limits;
        if self.new_sockets.take(1, Instant::now()) { Ok(()) } else { Err(Refusal::TooFast { burst, per_second }) }
    }

    fn is_forgettable(&mut self, now: Instant) -> bool {
        self.tally == Tally::default() && self.new_sockets.is_full(now)
    }
}

impl Tally {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Newcomer => &mut self.newcomers,
            Kind::Http => &mut self.http,
            Kind::Socket => &mut self.sockets,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use clap::Parser;
    use futures_util::FutureExt;

    use super::*;
    use crate::options::Options;

    /// A door for one WebSocket and 256 newcomers, and its counter.
    fn door() -> (Arc<Admission>, Counter) {
        let closed = Counter::default();
        (Admission::new(Options::parse_from(["relay", "--connections=1"]).limits, closed.clone()), closed)
    }

    fn address(number: usize) -> ClientAddress {
        std::net::IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number as u32)).into()
    }

    fn is_lost(place: &Place) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn of_too_many_newcomers_of_many_addresses_the_oldest_goes() {
        let (door, closed) = door();
        let room = door.limits.connections + door.limits.newcomers();
        let mut places: Vec<Place> = (0..room).map(|n| door.connect(address(n), false).expect("a place")).collect();
        assert!(!places.iter().any(is_lost) && closed.get() == 0);

        for late in 0..10 {
            places.push(door.connect(address(room + late), false).expect("a place"));
            assert!(is_lost(&places[late]) && !is_lost(&places[late + 1]), "the oldest, and no other");
        }
        assert_eq!((door.newcomers(), closed.get()), (room, 10));
        places.clear();
        assert_eq!(door.newcomers(), 0);
        assert!(door.counts().newcomers.is_empty() && door.counts().all == Tally::default());
    }

    #[test]
    fn who_lost_a_place_gets_none_by_asking_later() {
        let (door, _) = door();
        let late = door.connect(address(0), false).expect("a place");
        let _others: Vec<Place> = (1..300).map(|n| door.connect(address(n), false).expect("a place")).collect();
        assert!(is_lost(&late));
        assert!(!late.serve_http());
        assert!(late.upgrade(address(0)).is_err());
        assert_eq!((door.sockets(), door.http_connections()), (0, 0));
    }

    #[test]
    fn who_is_served_is_no_newcomer_and_never_goes_for_one() {
        let (door, _) = door();
        let [socket, http] = [0, 1].map(|n| door.connect(address(n), false).expect("a place"));
        assert!(socket.upgrade(address(0)).is_ok() && http.serve_http());
        let flood: Vec<Place> = (2..1_000).map(|n| door.connect(address(n), false).expect("a place")).collect();
        assert!(!is_lost(&socket) && !is_lost(&http));
        assert_eq!(flood.iter().filter(|place| !is_lost(place)).count(), door.limits.newcomers());
    }

    #[test]
    fn newcomers_may_have_the_places_of_websockets_that_nobody_has() {
        let closed = Counter::default();
        let door = Admission::new(Options::parse_from(["relay"]).limits, closed.clone());
        // As many as come back at once after a restart.
        let places: Vec<Place> = (0..5_000).map(|n| door.connect(address(n), false).expect("a place")).collect();
        assert!(places.iter().enumerate().all(|(n, place)| place.upgrade(address(n)).is_ok()));
        assert_eq!(closed.get(), 0);
    }

    #[test]
    fn each_of_many_connections_may_have_an_address_of_its_own() {
        const MANY: usize = 40_000;
        let door = Admission::new(Options::parse_from(["relay", "--connections=40000"]).limits, Counter::default());
        let places: Vec<Place> = (0..MANY).map(|n| door.connect(address(n), false).expect("a place")).collect();
        assert!(places.iter().enumerate().all(|(n, place)| place.upgrade(address(n)).is_ok()));
        assert_eq!(door.sockets(), MANY);
    }

    #[test]
    fn one_address_has_a_limited_number_of_newcomers_and_a_proxy_has_not() {
        let (door, closed) = door();
        let _newcomers: Vec<Place> = (0..64).map(|_| door.connect(address(0), false).expect("a place")).collect();
        assert!(door.connect(address(0), false).is_none());
        assert_eq!(closed.get(), 1);
        assert!(door.connect(address(0), true).is_some() && door.connect(address(1), false).is_some());
    }
}
