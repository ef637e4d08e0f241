//! Who may have a connection: counts in all and per address, and how fast one address may open new ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::address::ClientAddress;
use crate::bucket::Bucket;
use crate::limits::{ADDRESSES, HTTP_CONNECTIONS, HTTP_CONNECTIONS_PER_ADDRESS, Limits};
use crate::refusal::Refusal;

/// The door of the relay.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: Tally,
    addresses: HashMap<ClientAddress, PerAddress>,
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
    /// It has asked for nothing yet, for [`HTTP_HEAD_TIME`](crate::limits::HTTP_HEAD_TIME) at most, or is being refused.
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
    /// A door with nobody inside.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// Lets a TCP connection in, if it is not one too many even for being told so. `is_proxy` is not counted by address
    /// until it has become a WebSocket.
    pub fn connect(self: &Arc<Self>, address: ClientAddress, is_proxy: bool) -> Option<Place> {
        let limits = &self.limits;
        let mut counts = self.counts();
        if counts.all.total() >= limits.tcp_connections() {
            return None;
        }
        let newcomers = counts.of(address, limits)?.tally.newcomers;
        if newcomers >= limits.newcomers_per_address() && !is_proxy {
            return None;
        }
        let held = Held { kind: Kind::Newcomer, address };
        counts.add(held, limits)?;
        Some(Place { admission: self.clone(), is_proxy, held: Mutex::new(held) })
    }

    /// WebSockets that are open.
    pub fn sockets(&self) -> usize {
        self.counts().all.sockets
    }

    /// Connections that are open and asked for anything but a WebSocket.
    pub fn http_connections(&self) -> usize {
        self.counts().all.http
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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
        if is_free {
            let address = held.address;
            self.change(&mut counts, &mut held, Held { kind: Kind::Http, address });
        }
        is_free
    }

    /// Lets the connection be a WebSocket of `client`.
    pub fn upgrade(&self, client: ClientAddress) -> Result<(), Refusal> {
        let limits = &self.admission.limits;
        let full = Refusal::TooManyConnections(limits.connections);
        let mut held = self.held();
        let mut counts = self.admission.counts();
        if counts.all.sockets >= limits.connections {
            return Err(full);
        }
        let entry = counts.of(client, limits).ok_or(full)?;
        if entry.tally.sockets >= limits.connections_per_address {
            return Err(Refusal::TooManyFromAddress(limits.connections_per_address));
        }
        entry.open_socket(limits)?;
        self.change(&mut counts, &mut held, Held { kind: Kind::Socket, address: client });
        Ok(())
    }

    /// Counts a WebSocket of `client` that is refused for its own sake: it takes no place, but whoever guesses tokens is as slow as
    /// who opens connections.
    pub fn turn_away(&self, client: ClientAddress) -> Result<(), Refusal> {
        let limits = &self.admission.limits;
        let mut counts = self.admission.counts();
        counts.of(client, limits).ok_or(Refusal::TooManyConnections(limits.connections))?.open_socket(limits)
    }

    /// The new kind counts before the old one ends, so that the entry of an address is not forgotten in between.
    fn change(&self, counts: &mut Counts, held: &mut Held, new: Held) {
        if counts.add(new, &self.admission.limits).is_some() {
            counts.remove(std::mem::replace(held, new));
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let held = *self.held();
        self.admission.counts().remove(held);
    }
}

impl Counts {
    /// The entry of an address, or nothing if too many other addresses are busy.
    fn of(&mut self, address: ClientAddress, limits: &Limits) -> Option<&mut PerAddress> {
        let now = Instant::now();
        if self.addresses.len() >= ADDRESSES && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, entry| !entry.is_forgettable(now));
            if self.addresses.len() >= ADDRESSES {
                return None;
            }
        }
        Some(self.addresses.entry(address).or_insert_with(|| PerAddress {
            tally: Tally::default(),
            new_sockets: Bucket::new(limits.new_connections_burst, limits.new_connections_per_second, now),
        }))
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

    fn total(&self) -> usize {
        self.newcomers + self.http + self.sockets
    }
}
