//! Who may have a connection: counts in all and per address, and how fast one address may open new ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::address::ClientAddress;
use crate::bucket::Bucket;
use crate::limits::{ADDRESSES, HTTP_RESERVE, HTTP_RESERVE_PER_ADDRESS, Limits};
use crate::refusal::Refusal;

/// The door of the relay.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    sockets: usize,
    addresses: HashMap<ClientAddress, PerAddress>,
}

#[derive(Debug)]
struct PerAddress {
    connections: usize,
    sockets: usize,
    new_sockets: Bucket,
}

/// What a permit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A TCP connection, whatever it asks for.
    Connection,
    /// A WebSocket that the relay serves.
    Socket,
}

/// One connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    address: ClientAddress,
    kind: Kind,
}

impl Admission {
    /// A door with nobody inside.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// Lets a TCP connection in, if it is not one too many even for being told so. `is_proxy` is not counted by address.
    pub fn connect(self: &Arc<Self>, address: ClientAddress, is_proxy: bool) -> Option<Permit> {
        let limits = &self.limits;
        let mut counts = self.counts();
        if counts.connections >= limits.connections.saturating_add(HTTP_RESERVE) {
            return None;
        }
        let per_address = counts.of(address, limits)?;
        if per_address.connections >= limits.connections_per_address.saturating_add(HTTP_RESERVE_PER_ADDRESS)
            && !is_proxy
        {
            return None;
        }
        per_address.connections += 1;
        counts.connections += 1;
        Some(Permit { admission: self.clone(), address, kind: Kind::Connection })
    }

    /// Lets a WebSocket in.
    pub fn admit(self: &Arc<Self>, address: ClientAddress) -> Result<Permit, Refusal> {
        let limits = &self.limits;
        let full = Refusal::TooManyConnections(limits.connections);
        let mut counts = self.counts();
        if counts.sockets >= limits.connections {
            return Err(full);
        }
        let per_address = counts.of(address, limits).ok_or(full)?;
        if per_address.sockets >= limits.connections_per_address {
            return Err(Refusal::TooManyFromAddress(limits.connections_per_address));
        }
        if !per_address.new_sockets.take(1, Instant::now()) {
            return Err(Refusal::TooFast {
                burst: limits.new_connections_burst,
                per_second: limits.new_connections_per_second,
            });
        }
        per_address.sockets += 1;
        counts.sockets += 1;
        Ok(Permit { admission: self.clone(), address, kind: Kind::Socket })
    }

    /// WebSockets that are open.
    pub fn sockets(&self) -> usize {
        self.counts().sockets
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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
            connections: 0,
            sockets: 0,
            new_sockets: Bucket::new(limits.new_connections_burst, limits.new_connections_per_second, now),
        }))
    }
}

impl PerAddress {
    fn is_forgettable(&mut self, now: Instant) -> bool {
        self.connections == 0 && self.sockets == 0 && self.new_sockets.is_full(now)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        let counts = &mut *counts;
        let Some(entry) = counts.addresses.get_mut(&self.address) else { return };
        match self.kind {
            Kind::Connection => {
                counts.connections -= 1;
                entry.connections -= 1;
            }
            Kind::Socket => {
                counts.sockets -= 1;
                entry.sockets -= 1;
            }
        }
        if entry.is_forgettable(Instant::now()) {
            counts.addresses.remove(&self.address);
        }
    }
}
