//! Rooms of one process.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use peersockets_core::credit::{self, Loan, Overdrawn};
use peersockets_core::rendezvous::{Circuit, FromRelay, HangupReason, Line, Member};
use peersockets_core::time::Time;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::{Census, RoomId, Rooms};
use crate::address::ClientAddress;
use crate::ice::IceServers;
use crate::limits::Limits;
use crate::lock::lock;
use crate::mailbox::{Mailbox, Posted, Stuck};
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// Rooms whose members are all connected to this process.
///
/// Locks are taken in this order: `rooms`, a room's `guests`, a guest's `circuits`, a mailbox. None is held across an await, and no two
/// of the same kind at once.
#[derive(Debug)]
pub struct LocalRooms {
    limits: Limits,
    /// What members are told of.
    ice_servers: Arc<IceServers>,
    metrics: Arc<Metrics>,
    rooms: Arc<Mutex<HashMap<RoomId, Arc<Room>>>>,
    /// Whether nobody is told any more who leaves.
    is_closed: Arc<AtomicBool>,
    origin: Instant,
    /// Shared by all rooms, so that a room that emptied and filled again does not use a number twice.
    next_member: AtomicU64,
}

#[derive(Debug)]
struct Room {
    id: RoomId,
    guests: Mutex<BTreeMap<Member, Arc<Guest>>>,
}

/// A member, as the others of its room see it.
#[derive(Debug)]
struct Guest {
    member: Member,
    address: ClientAddress,
    mailbox: Arc<Mailbox>,
    /// Whether it keeps to credit and reports what it has consumed.
    keeps_credit: AtomicBool,
    /// The open circuit with each other member. Both ends have it.
    circuits: Mutex<HashMap<Member, OpenCircuit>>,
}

#[derive(Debug)]
struct OpenCircuit {
    circuit: Circuit,
    other: Arc<Guest>,
    /// What this end may send, from the pool of the other's mailbox.
    loan: Loan,
    /// Whether this end, which dialled, says that both are connected directly too.
    is_direct: bool,
}

/// A member's place. Dropping it leaves the room.
#[derive(Debug)]
pub struct Seat {
    metrics: Arc<Metrics>,
    rooms: Arc<Mutex<HashMap<RoomId, Arc<Room>>>>,
    is_closed: Arc<AtomicBool>,
    /// From which [`Time`] is counted.
    origin: Instant,
    room: Arc<Room>,
    guest: Arc<Guest>,
    /// Whether it may still say that it keeps to credit: not after it has dialled or sent anything.
    is_new: bool,
    /// The last circuit number used towards each member that was dialled. They were all present at the join.
    dialled: HashMap<Member, Circuit>,
    unflushed: Unflushed,
}

/// What happened since the last flush.
#[derive(Debug, Default)]
struct Unflushed {
    receivers: Vec<Arc<Guest>>,
    frames: u64,
    bytes: u64,
    stray_frames: u64,
    credit_used_up: u64,
}

/// What became of bytes for the other end of a circuit.
enum Passed {
    /// They are in its mailbox, or the circuit is over.
    Done,
    /// Its mailbox is full, and one of the two knows no credit.
    Full(Arc<Guest>),
    /// They were more than the credit.
    Overdrawn,
}

impl LocalRooms {
    /// No rooms yet.
    pub fn new(limits: Limits, ice_servers: Arc<IceServers>, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            ice_servers,
            metrics,
            rooms: Arc::default(),
            is_closed: Arc::default(),
            origin: Instant::now(),
            next_member: AtomicU64::new(1),
        }
    }

    fn all_rooms(&self) -> Vec<Arc<Room>> {
        lock(&self.rooms).values().cloned().collect()
    }

    fn check_room(&self, guests: &BTreeMap<Member, Arc<Guest>>, address: ClientAddress) -> Result<(), Refusal> {
        let Limits { room_members, room_members_per_address, .. } = self.limits;
        if guests.len() >= room_members {
            return Err(Refusal::RoomFull(room_members));
        }
        if guests.values().filter(|guest| guest.address == address).count() >= room_members_per_address {
            return Err(Refusal::AddressRoomFull(room_members_per_address));
        }
        Ok(())
    }

    /// Tells a client of the servers for direct connections, if there are any.
    fn announce_to(&self, mailbox: &Mailbox) {
        let servers = self.ice_servers.announcement(SystemTime::now());
        if !servers.is_empty() {
            mailbox.post_now(&FromRelay::IceServers(servers));
        }
    }

    /// Waits until `receiver` takes more, while what was sent before goes on. Gives up on one that stays full.
    async fn await_room(&self, seat: &mut Seat, receiver: &Guest) -> Result<(), Stuck> {
        if !receiver.mailbox.is_full() {
            return Ok(());
        }
        self.metrics.waits_for_receiver.inc();
        seat.flush();
        receiver.mailbox.room(self.limits.queue_timeout).await
    }

    /// Tells the caller that its circuit ended. One that doesn't read waits for itself, until it is closed as a slow reader.
    async fn tell_caller(&self, seat: &mut Seat, line: Line, reason: HangupReason) {
        seat.flush();
        let _ = seat.guest.mailbox.room(self.limits.write_timeout).await;
        seat.guest.mailbox.post_now(&FromRelay::HungUp(line, reason));
    }

    /// Ends a circuit with a member that takes nothing, or one that was overdrawn. Both are told; the caller goes on with its others.
    async fn give_up(&self, seat: &mut Seat, line: Line, reason: HangupReason) {
        // Otherwise it has ended meanwhile, and the caller is told that.
        if seat.hang_up(line, reason) {
            match reason {
                HangupReason::Busy => self.metrics.busy_hangups.inc(),
                _ => self.metrics.credit_violations.inc(),
            };
            self.tell_caller(seat, line, reason).await;
        }
    }
}

impl Rooms for LocalRooms {
    type Seat = Seat;

    async fn join(&self, id: RoomId, address: ClientAddress, mailbox: Arc<Mailbox>) -> Result<Seat, Refusal> {
        let mut rooms = lock(&self.rooms);
        let entry = rooms.entry(id);
        let room = match &entry {
            Entry::Occupied(present) => present.get().clone(),
            Entry::Vacant(_) => Arc::new(Room { id, guests: Mutex::default() }),
        };
        let mut guests = lock(&room.guests);
        self.check_room(&guests, address)?;

        let member = self.next_member.fetch_add(1, Relaxed);
        let present = guests.keys().copied().collect();
        mailbox.post_now(&FromRelay::Welcome { member, lends: true, counts_direct: true, present });
        // Under the lock: whoever is told here of a secret that is over by then is told of the new one with all others.
        self.announce_to(&mailbox);
        let keeps_credit = AtomicBool::new(false);
        let guest = Arc::new(Guest { member, address, mailbox, keeps_credit, circuits: Mutex::default() });
        guests.insert(member, guest.clone());
        drop(guests);
        entry.or_insert_with(|| room.clone());
        Ok(Seat {
            metrics: self.metrics.clone(),
            rooms: self.rooms.clone(),
            is_closed: self.is_closed.clone(),
            origin: self.origin,
            room,
            guest,
            is_new: true,
            dialled: HashMap::new(),
            unflushed: Unflushed::default(),
        })
    }

    async fn keep_to_credit(&self, seat: &mut Seat) -> Result<(), Refusal> {
        if !std::mem::take(&mut seat.is_new) {
            return Err(Refusal::OutOfTurn("it said too late that it keeps to credit"));
        }
        seat.guest.keeps_credit.store(true, Relaxed);
        Ok(())
    }

    async fn dial(&self, seat: &mut Seat, line: Line) -> Result<(), Refusal> {
        seat.is_new = false;
        if line.member >= seat.guest.member {
            return Err(Refusal::OutOfTurn("it dialled a member that did not come before it"));
        }
        let Some(other) = seat.present(line.member) else {
            self.tell_caller(seat, line, HangupReason::Gone).await;
            return Ok(());
        };
        if seat.dialled.get(&line.member).is_some_and(|last| *last >= line.circuit) {
            return Err(Refusal::OutOfTurn("it used a circuit number again"));
        }
        let is_busy = match seat.guest.keeps_credit() {
            true => other.mailbox.is_full(),
            false => self.await_room(seat, &other).await.is_err(),
        };
        if is_busy {
            self.metrics.busy_hangups.inc();
            // A dial ends an older circuit, even this one.
            if let Some(circuit) = seat.circuit_with(line.member) {
                seat.hang_up(Line { circuit, ..line }, HangupReason::Busy);
            }
            self.tell_caller(seat, line, HangupReason::Busy).await;
        } else if !seat.open(line) {
            self.tell_caller(seat, line, HangupReason::Gone).await;
        }
        Ok(())
    }

    async fn data(&self, seat: &mut Seat, line: Line, bytes: &[u8]) {
        seat.is_new = false;
        let now = seat.clock();
        loop {
            match seat.pass(line, bytes, |loan, _| loan.spend(&now, credit::cost(bytes.len()))) {
                Passed::Done => return,
                Passed::Full(receiver) if self.await_room(seat, &receiver).await.is_ok() => {}
                Passed::Full(_) => return self.give_up(seat, line, HangupReason::Busy).await,
                Passed::Overdrawn => return self.give_up(seat, line, HangupReason::Violation).await,
            }
        }
    }

    async fn last_words(&self, seat: &mut Seat, line: Line, bytes: &[u8]) {
        let spend = |loan: &mut Loan, free| loan.spend_beyond(credit::cost(bytes.len()), free);
        // There is no time to wait for room: what does not fit is lost with the circuit.
        if !matches!(seat.pass(line, bytes, spend), Passed::Done) {
            self.give_up(seat, line, HangupReason::Busy).await;
        }
    }

    async fn consumed(&self, seat: &mut Seat, line: Line, amount: u64) {
        if let Some(other) = seat.other_end(line) {
            let back = Line { member: seat.guest.member, ..line };
            other.lend(seat.clock()(), back, &seat.guest.mailbox, amount);
        }
    }

    async fn take_back(&self, seat: &mut Seat, line: Line, amount: u64) {
        if let Some(open) = lock(&seat.guest.circuits).get_mut(&line.member).filter(|open| open.circuit == line.circuit)
        {
            let OpenCircuit { other, loan, .. } = open;
            other.mailbox.take_back(loan, amount);
        }
    }

    async fn set_direct(&self, seat: &mut Seat, line: Line, is_direct: bool) -> Result<(), Refusal> {
        if line.member >= seat.guest.member {
            return Err(Refusal::OutOfTurn("it spoke of a direct connection on a circuit that it did not dial"));
        }
        let mut circuits = lock(&seat.guest.circuits);
        match circuits.get_mut(&line.member).filter(|open| open.circuit == line.circuit) {
            Some(open) => open.is_direct = is_direct,
            None => seat.unflushed.stray_frames += 1,
        }
        Ok(())
    }

    async fn hangup(&self, seat: &mut Seat, line: Line, reason: HangupReason) {
        if !seat.hang_up(line, reason) {
            seat.unflushed.stray_frames += 1;
        }
    }

    async fn flush(&self, seat: &mut Seat) {
        seat.flush();
    }

    async fn leave(&self, seat: Seat) {
        drop(seat);
    }

    async fn announce(&self) {
        for room in self.all_rooms() {
            for guest in room.all_guests() {
                self.announce_to(&guest.mailbox);
            }
            // Others get their turn.
            yield_now().await;
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    fn census(&self) -> Census {
        let rooms = self.all_rooms();
        let mut census = Census { rooms: rooms.len(), ..Census::default() };
        for guest in rooms.iter().flat_map(|room| room.all_guests()) {
            let pending = guest.mailbox.pending();
            let circuits = lock(&guest.circuits);
            census.members += 1;
            census.circuits += circuits.len();
            census.direct_pairs += circuits.values().filter(|open| open.is_direct).count();
            drop(circuits);
            census.queued += pending;
            census.lent += guest.mailbox.lent();
            census.fullest_queue = census.fullest_queue.max(pending);
        }
        // Both ends were counted.
        census.circuits /= 2;
        census
    }
}

impl Room {
    fn all_guests(&self) -> Vec<Arc<Guest>> {
        lock(&self.guests).values().cloned().collect()
    }
}

impl Seat {
    fn present(&self, member: Member) -> Option<Arc<Guest>> {
        lock(&self.room.guests).get(&member).cloned()
    }

    /// Opens a circuit, in place of an older one with that member. `false`: the member is gone.
    fn open(&mut self, line: Line) -> bool {
        let guests = lock(&self.room.guests);
        let Some(other) = guests.get(&line.member) else { return false };
        let member = self.guest.member;
        self.dialled.insert(line.member, line.circuit);
        let ours = OpenCircuit { circuit: line.circuit, other: other.clone(), loan: Loan::default(), is_direct: false };
        let theirs =
            OpenCircuit { circuit: line.circuit, other: self.guest.clone(), loan: Loan::default(), is_direct: false };
        lock(&self.guest.circuits).insert(line.member, ours);
        lock(&other.circuits).insert(member, theirs);
        other.mailbox.post_now(&FromRelay::Dialed(Line { member, ..line }));
        true
    }

    /// Posts bytes to the other end of a circuit. `spend` pays for them, if this end keeps to credit.
    fn pass(
        &mut self,
        line: Line,
        bytes: &[u8],
        spend: impl FnOnce(&mut Loan, usize) -> Result<(), Overdrawn>,
    ) -> Passed {
        let guest = &self.guest;
        let mut circuits = lock(&guest.circuits);
        let Some(open) = circuits.get_mut(&line.member).filter(|open| open.circuit == line.circuit) else {
            self.unflushed.stray_frames += 1;
            return Passed::Done;
        };
        let OpenCircuit { other, loan, .. } = open;
        let frame = FromRelay::Data(Line { member: guest.member, ..line }, bytes);
        let was_used_up = loan.is_used_up();
        let posted = match (guest.keeps_credit(), other.keeps_credit()) {
            (true, false) if other.mailbox.is_full() => Posted::Full,
            (true, _) => match other.mailbox.post_paid(&frame, loan, spend) {
                Ok(posted) => posted,
                Err(Overdrawn) => return Passed::Overdrawn,
            },
            (false, _) => other.mailbox.post(&frame),
        };
        match posted {
            Posted::Full => return Passed::Full(other.clone()),
            Posted::Closed => self.unflushed.stray_frames += 1,
            Posted::Queued => self.unflushed.add(other, bytes.len()),
        }
        self.unflushed.credit_used_up += u64::from(loan.is_used_up() && !was_used_up);
        let receiver = (guest.keeps_credit() && !other.keeps_credit()).then(|| other.clone());
        drop(circuits);
        // One that knows no credit reports nothing: what is queued for it counts as consumed.
        if let Some(receiver) = receiver {
            guest.lend(self.clock()(), line, &receiver.mailbox, credit::cost(bytes.len()) as u64);
        }
        Passed::Done
    }

    fn clock(&self) -> impl Fn() -> Time + use<> {
        let origin = self.origin;
        move || Time::ORIGIN + origin.elapsed()
    }

    /// The member at the other end of an open circuit.
    fn other_end(&self, line: Line) -> Option<Arc<Guest>> {
        let circuits = lock(&self.guest.circuits);
        circuits.get(&line.member).filter(|open| open.circuit == line.circuit).map(|open| open.other.clone())
    }

    fn circuit_with(&self, member: Member) -> Option<Circuit> {
        lock(&self.guest.circuits).get(&member).map(|open| open.circuit)
    }

    /// Closes a circuit at both ends and tells the other member, unless it was not open.
    ///
    /// This needs no room to be waited for: there are no more hangups than dials, and those wait.
    fn hang_up(&self, line: Line, reason: HangupReason) -> bool {
        let Some(other) = take_circuit(&self.guest, line) else { return false };
        let line = Line { member: self.guest.member, ..line };
        take_circuit(&other, line);
        other.mailbox.post_now(&FromRelay::HungUp(line, reason));
        true
    }

    fn flush(&mut self) {
        let Unflushed { receivers, frames, bytes, stray_frames, credit_used_up } = &mut self.unflushed;
        receivers.drain(..).for_each(|receiver| receiver.mailbox.send());
        self.metrics.frames.inc_by(std::mem::take(frames));
        self.metrics.bytes.inc_by(std::mem::take(bytes));
        self.metrics.stray_frames.inc_by(std::mem::take(stray_frames));
        self.metrics.credit_used_up.inc_by(std::mem::take(credit_used_up));
    }
}

impl Guest {
    fn keeps_credit(&self) -> bool {
        self.keeps_credit.load(Relaxed)
    }

    /// What this member sent on a circuit was consumed: lends it more from the receiver's pool, and says so.
    fn lend(&self, now: Time, line: Line, pool: &Mailbox, consumed: u64) {
        let mut circuits = lock(&self.circuits);
        let Some(open) = circuits.get_mut(&line.member).filter(|open| open.circuit == line.circuit) else { return };
        let lent = pool.lend(now, &mut open.loan, consumed);
        if lent > 0 && self.keeps_credit() {
            self.mailbox.post_now(&FromRelay::Credit(line, lent as u64));
        }
    }
}

impl Drop for OpenCircuit {
    fn drop(&mut self) {
        self.other.mailbox.take_back(&mut self.loan, u64::MAX);
    }
}

impl Unflushed {
    fn add(&mut self, receiver: &Arc<Guest>, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        // To wake a receiver twice does no harm; to look through all of them would cost more.
        if !self.receivers.last().is_some_and(|last| Arc::ptr_eq(last, receiver)) {
            self.receivers.push(receiver.clone());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.flush();
        let member = self.guest.member;
        let mut guests = lock(&self.room.guests);
        guests.remove(&member);
        for (number, other) in guests.iter() {
            lock(&other.circuits).remove(&member);
            // Later members were told of us by WELCOME, earlier ones by our DIAL.
            let was_told = *number > member || self.dialled.contains_key(number);
            if was_told && !self.is_closed.load(Relaxed) {
                other.mailbox.post_now(&FromRelay::Left(member));
            }
        }
        let is_empty = guests.is_empty();
        drop(guests);
        lock(&self.guest.circuits).clear();

        if is_empty {
            let mut rooms = lock(&self.rooms);
            // Someone may have joined meanwhile.
            if rooms.get(&self.room.id).is_some_and(|room| lock(&room.guests).is_empty()) {
                rooms.remove(&self.room.id);
            }
        }
    }
}

fn take_circuit(guest: &Guest, line: Line) -> Option<Arc<Guest>> {
    match lock(&guest.circuits).entry(line.member) {
        Entry::Occupied(open) if open.get().circuit == line.circuit => Some(open.remove().other.clone()),
        _ => None,
    }
}
