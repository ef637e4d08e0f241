//! Devices that talk while the network does what it likes, and what must hold whatever happens.

use std::collections::BTreeMap;
use std::fmt;

use peersockets_core::code::Code;
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::swarm::stats::Route;
use peersockets_core::swarm::{Event, HandleId, PeerId, Report};
use peersockets_core::time::{Duration, Time};

use crate::mischief::Mischief;
use crate::weather::Weather;
use crate::world::{World, seconds};

/// What a run follows from. If the run panics, it says how to repeat it.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

/// Bytes of a message that tell what it is.
const HEADER: usize = 24;

/// Topics that everyone talks on.
const TOPICS: [&str; 2] = ["chat", "files"];

/// What a device of a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page.
    Page,
    /// A page that keeps no sessions, as those of the first build.
    Sessionless,
    /// A process that holds the drive. It can end and be started again: another device then, with the same key.
    Host,
}

/// A drive's devices, which talk to each other.
pub struct Room {
    /// The devices and their network.
    pub world: World,
    seed: Seed,
    random: Random,
    people: Vec<Person>,
    /// How often each device left, returned or came back too late, so that what was under way may be lost.
    turns: Vec<u32>,
    /// How often one of two devices, the lower number first, gave up what waited for the other.
    given_up: BTreeMap<(usize, usize), u32>,
    /// Whether nothing happens any more that may cost a message.
    is_calm: bool,
    /// What was sent and what of it has arrived.
    talks: BTreeMap<Talk, Log>,
    /// How often anyone was told that someone left.
    pub leaves: usize,
    /// How many messages arrived.
    pub delivered: usize,
    /// How often relays did each kind of damage, in the order of [`Fault::ALL`](crate::Fault::ALL).
    pub faults: [u64; 7],
    /// How often a direct connection came to grief.
    pub accidents: usize,
    /// How often processes were started again.
    pub restarts: usize,
    /// How often what waited for somebody was given up for want of memory.
    pub dropped: usize,
    /// How many messages came back for want of memory.
    pub refused: usize,
    /// How long all had been well when everyone who may be was directly connected, of the time that was looked at.
    pub meshed_after: Duration,
}

/// From which device to which, on which topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Talk {
    from: usize,
    to: usize,
    topic: usize,
}

#[derive(Default)]
struct Log {
    /// For each message that was sent, whether it has to arrive.
    sent: Vec<Owed>,
    /// Which of them have arrived.
    arrived: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// Both may not have met, or it was not sent at all.
    Never,
    /// If these are the turns of both still: the session lives in which it was sent.
    While(u32),
    /// Nothing broke.
    Always,
}

struct Person {
    kind: Kind,
    key: [u8; 32],
    watch: HandleId,
    /// Its topics, as far as it has them open, and how often it opened or closed each.
    topics: [(Option<HandleId>, u32); TOPICS.len()],
    /// Whom the watcher takes for present.
    present: BTreeMap<PeerId, bool>,
    /// How it was told that each of those is reached.
    paths: BTreeMap<PeerId, Route>,
    /// When it was told of each peer's last leave.
    left: BTreeMap<PeerId, Time>,
    /// The keys of peers.
    keys: BTreeMap<PeerId, [u8; 32]>,
    /// Which device a peer is, by its messages.
    names: BTreeMap<PeerId, usize>,
    /// The turns of both devices when they met.
    met: BTreeMap<usize, Option<u32>>,
    is_away: bool,
    /// Whether its process has ended.
    is_over: bool,
}

impl Room {
    /// So many pages, which share so many relays, in changeable weather.
    pub fn new(seed: Seed, devices: usize, relays: usize) -> Self {
        Self::of(seed, &vec![Kind::Page; devices], relays)
    }

    /// These devices, which share so many relays, in changeable weather.
    pub fn of(seed: Seed, kinds: &[Kind], relays: usize) -> Self {
        Self::connected(seed, kinds, relays, 0)
    }

    /// The same, each of which connects to so many others directly.
    pub fn connected(seed: Seed, kinds: &[Kind], relays: usize, direct_peers: usize) -> Self {
        let mut random = seed.random();
        let mut world = World::new(relays);
        world.direct_peers = direct_peers;
        let weather = Random::from_seed(random.bytes());
        world.weather = Weather::new(Duration::from_millis(5), Duration::from_millis(40), weather);
        let mut room = Self {
            world,
            seed,
            random,
            people: Vec::new(),
            turns: Vec::new(),
            given_up: BTreeMap::new(),
            is_calm: false,
            talks: BTreeMap::new(),
            leaves: 0,
            delivered: 0,
            faults: [0; 7],
            accidents: 0,
            restarts: 0,
            dropped: 0,
            refused: 0,
            meshed_after: Duration::ZERO,
        };
        let relays = room.relays();
        for kind in kinds {
            room.world.session_time = (*kind == Kind::Sessionless).then_some(Duration::ZERO);
            let device = match kind {
                Kind::Page | Kind::Sessionless => room.world.add(&relays),
                Kind::Host => room.world.add_host(&relays),
            };
            room.welcome(device, *kind);
        }
        room.world.session_time = None;
        room
    }

    /// The devices that there are: those whose process has not ended.
    pub fn devices(&self) -> Vec<usize> {
        (0..self.people.len()).filter(|device| !self.people[*device].is_over).collect()
    }

    /// One of them.
    pub fn anyone(&mut self) -> usize {
        let devices = self.devices();
        devices[self.below(devices.len())]
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (u32::from_le_bytes(self.random.bytes()) as usize) % count.max(1)
    }

    /// A fresh source of random numbers.
    pub fn random(&mut self) -> Random {
        Random::from_seed(self.random.bytes())
    }

    /// Lets time pass, and checks what it brought.
    pub fn pass(&mut self, duration: Duration) {
        self.world.advance(duration);
        self.look();
    }

    /// Any device sends up to so many messages to everyone it takes for present.
    pub fn talk(&mut self, most: usize) {
        let from = self.anyone();
        for _ in 0..self.below(most + 1) {
            self.say(from);
        }
    }

    /// A device leaves on purpose, or comes back.
    pub fn leave_or_return(&mut self, device: usize) {
        self.look();
        let now = self.world.now;
        let person = &mut self.people[device];
        person.is_away = !person.is_away;
        self.turns[device] += 1;
        if person.is_away {
            self.world.devices[device].swarm.goodbye(now);
        } else {
            self.world.devices[device].swarm.resume(now);
        }
    }

    /// The process of a host ends without a word and is started again. Nothing happens to others.
    pub fn restart(&mut self, device: usize) {
        self.look();
        let person = &mut self.people[device];
        if person.kind != Kind::Host || person.is_over {
            return;
        }
        person.is_over = true;
        self.world.crash(device);
        let again = self.world.start_again(device, &self.relays());
        self.welcome(again, Kind::Host);
        self.restarts += 1;
    }

    /// A device sends everyone it takes for present more than may wait for one. Long messages, of a tenth of that each.
    pub fn flood(&mut self, from: usize) {
        for _ in 0..11 {
            let topic = self.below(TOPICS.len());
            self.send(from, topic, limits::SEND_QUEUE / 10);
        }
    }

    /// A relay becomes hostile, or honest.
    pub fn set_mischief(&mut self, relay: usize, mischief: Option<Mischief>) {
        let before = std::mem::replace(&mut self.world.relays[relay].mischief, mischief);
        for (sum, count) in self.faults.iter_mut().zip(before.map_or([0; 7], |before| before.counts)) {
            *sum += count;
        }
    }

    /// A device closes a topic, or opens it again.
    pub fn close_or_open(&mut self, device: usize, topic: usize) {
        // What was given out before was given out rightly.
        self.look();
        let topic = topic % TOPICS.len();
        let (handle, turns) = &mut self.people[device].topics[topic];
        let swarm = &mut self.world.devices[device].swarm;
        *turns += 1;
        match handle.take() {
            Some(open) => swarm.close_handle(open),
            None => *handle = Some(swarm.join(TOPICS[topic])),
        }
    }

    /// Everything is well again, for a while: everyone who is not away on purpose meets, and what was sent arrives.
    pub fn recover(&mut self) {
        let since = self.world.now;
        self.world.direct_succeeds = true;
        self.world.open_in_time();
        let devices = self.devices();
        let is_any_sessionless = devices.iter().any(|device| !self.keeps_session(*device));
        for relay in self.relays() {
            self.set_mischief(relay, None);
            let relay_of = &mut self.world.relays[relay];
            relay_of.false_welcomes = None;
            // Whom it parted meets when it begins anew. A circuit that it misled about credit ends some time: without a session that shows.
            if relay_of.has_parted || (relay_of.has_misled && is_any_sessionless) {
                self.world.stop_relay(relay);
            }
            self.world.relays[relay].is_up = true;
        }
        for device in &devices {
            self.world.go_online(*device);
        }
        self.pass(seconds(90.0));
        if devices.iter().any(|device| self.present(*device) != self.expected(*device)) {
            // One of those circuits may just have fallen silent.
            self.pass(seconds(15.0));
        }
        for device in &devices {
            assert_eq!(self.present(*device), self.expected(*device), "{device} sees everyone who is there");
        }
        self.is_calm = true;
        for from in &devices {
            for _ in 0..10 {
                self.say(*from);
            }
        }
        self.pass(seconds(30.0));
        for device in &self.world.devices {
            let kept: usize = device.swarm.stats().peers.iter().map(|peer| peer.queued_bytes).sum();
            assert_eq!(kept, 0, "bytes are kept that have arrived");
        }
        let is_over = |device: usize| self.people[device].is_over;
        for (talk, log) in self.talks.iter().filter(|(talk, _)| !is_over(talk.from) && !is_over(talk.to)) {
            let last = self.turns_of(*talk);
            let is_owed = |owed: &Owed| *owed == Owed::Always || *owed == Owed::While(last);
            let owed = log.sent.iter().enumerate().filter(|(_, owed)| is_owed(owed));
            let lost: Vec<usize> =
                owed.map(|(number, _)| number).filter(|number| !log.arrived.contains(&(*number as u32))).collect();
            assert!(lost.is_empty(), "of {talk:?}, {} messages: lost {lost:?}", log.sent.len());
        }
        self.expect_mesh(since);
    }

    /// Whether a device is not away on purpose.
    pub(crate) fn is_here(&self, device: usize) -> bool {
        !self.people[device].is_away
    }

    /// How many others a device takes for present.
    fn present(&self, device: usize) -> usize {
        self.people[device].present.values().filter(|is_here| **is_here).count()
    }

    /// How many there are for it.
    fn expected(&self, device: usize) -> usize {
        let is_there = |other: &usize| self.is_here(*other);
        let others = self.devices().into_iter().filter(|other| *other != device && is_there(other));
        if is_there(&device) { others.count() } else { 0 }
    }

    fn say(&mut self, from: usize) {
        let topic = self.below(TOPICS.len());
        let length = match self.below(20) {
            0 => self.below(100_000),
            1 => 0,
            _ => self.below(200),
        };
        self.send(from, topic, length);
    }

    /// A device sends one message to everyone it takes for present, with so many bytes beside those that tell what it is. Returns to how
    /// many.
    pub fn send(&mut self, from: usize, topic: usize, length: usize) -> usize {
        let topic = topic % TOPICS.len();
        let stats = self.world.devices[from].swarm.stats();
        let queued: usize = stats.peers.iter().map(|peer| peer.queued_bytes).sum();
        assert!(queued <= limits::SEND_QUEUES, "{queued} bytes wait");
        let (Some(handle), _) = self.people[from].topics[topic] else {
            return 0;
        };
        let count = stats.peers.len();
        for peer in stats.peers {
            let to = self.of_key(peer.key);
            let is_heard = self.people[to].topics[topic].0.is_some();
            let owed = match self.people[from].met.get(&to).copied().flatten() {
                _ if !is_heard => Owed::Never,
                _ if self.is_calm => Owed::Always,
                Some(turns) if self.keeps_session(from) && self.keeps_session(to) => {
                    Owed::While(turns + self.people[to].topics[topic].1)
                }
                _ => Owed::Never,
            };
            let log = self.talks.entry(Talk { from, to, topic }).or_default();
            let mut message = Vec::with_capacity(HEADER + length);
            let number = log.sent.len();
            for field in [from as u32, to as u32, topic as u32, number as u32, length as u32, self.turns[from]] {
                message.extend(field.to_le_bytes());
            }
            message.resize(HEADER + length, number as u8);
            log.sent.push(owed);
            self.world.devices[from].swarm.send(handle, peer.peer, message);
        }
        count
    }

    fn welcome(&mut self, device: usize, kind: Kind) {
        let swarm = &mut self.world.devices[device].swarm;
        let topics = TOPICS.map(|topic| (Some(swarm.join(topic)), 0));
        let watch = swarm.watch();
        self.people.push(Person {
            kind,
            key: swarm.stats().device_key,
            watch,
            topics,
            present: BTreeMap::new(),
            paths: BTreeMap::new(),
            left: BTreeMap::new(),
            keys: BTreeMap::new(),
            names: BTreeMap::new(),
            met: BTreeMap::new(),
            is_away: false,
            is_over: false,
        });
        self.turns.push(0);
    }

    fn relays(&self) -> Vec<usize> {
        (0..self.world.relays.len()).collect()
    }

    /// The device that has this key now.
    fn of_key(&self, key: [u8; 32]) -> usize {
        self.people.iter().rposition(|person| person.key == key).expect("a device of the room")
    }

    /// Whether another one had its key before.
    fn has_predecessor(&self, device: usize) -> bool {
        self.people[..device].iter().any(|person| person.key == self.people[device].key)
    }

    fn keeps_session(&self, device: usize) -> bool {
        self.people[device].kind != Kind::Sessionless
    }

    /// What must not have changed since a message was sent if it is owed.
    fn turns_of(&self, Talk { from, to, topic }: Talk) -> u32 {
        self.turns_between(from, to) + self.people[to].topics[topic].1
    }

    fn turns_between(&self, one: usize, other: usize) -> u32 {
        let given_up = self.given_up.get(&(one.min(other), one.max(other)));
        self.turns[one] + self.turns[other] + given_up.copied().unwrap_or(0)
    }

    fn look(&mut self) {
        for device in 0..self.people.len() {
            for event in self.world.events(device) {
                self.check(device, event);
            }
            // A process that has ended is told nothing any more.
            if !self.people[device].is_over {
                let peers = self.world.devices[device].swarm.stats().peers;
                let paths = peers.iter().map(|other| (other.peer, other.route)).collect();
                assert_eq!(self.people[device].paths, paths, "{device} knows how they are reached");
            }
        }
    }

    fn check(&mut self, device: usize, event: Event) {
        let person = &mut self.people[device];
        match event {
            Event::Join { watch, peer } if watch == person.watch => {
                let before = person.present.insert(peer, true);
                assert_ne!(before, Some(true), "{device} was told twice that {peer:?} joined");
                // Looks are seconds apart at worst.
                let is_late = |left| self.world.now > left + limits::SESSION_TIME.mul_f64(0.9);
                if person.left.get(&peer).copied().is_some_and(is_late) {
                    self.turns[device] += 1;
                }
                let stats = self.world.devices[device].swarm.stats();
                if let Some(key) = stats.peers.iter().find(|other| other.peer == peer).map(|other| other.key) {
                    let other = self.of_key(key);
                    self.people[device].keys.insert(peer, key);
                    // Of a key that had another process before, only a message tells which one was met.
                    let is_unsure = self.has_predecessor(other) && self.people[device].names.get(&peer) != Some(&other);
                    let turns = self.turns_between(device, other);
                    let is_met = !self.people[other].is_away && !is_unsure;
                    self.people[device].met.insert(other, is_met.then_some(turns));
                }
            }
            Event::Leave { watch, peer } if watch == person.watch => {
                let before = person.present.insert(peer, false);
                assert_eq!(before, Some(true), "{device} was told that {peer:?} left, who was not there");
                person.left.insert(peer, self.world.now);
                person.paths.remove(&peer);
                self.leaves += 1;
            }
            Event::Path { watch, peer, route, .. } if watch == person.watch => {
                assert_eq!(person.present.get(&peer), Some(&true), "{device} was told of a path to who is not there");
                assert_ne!(
                    person.paths.insert(peer, route),
                    Some(route),
                    "{device} was told twice of a path to {peer:?}"
                );
            }
            Event::Message { topic, peer, message } => {
                assert_eq!(person.present.get(&peer), Some(&true), "{device} got a message of who is not there");
                let mut fields = message.chunks(4).map(|field| u32::from_le_bytes(field.try_into().expect("4 bytes")));
                let [from, to, on, number, length, turns] = [(); 6].map(|()| fields.next().expect("a field") as usize);
                assert_eq!(to, device, "it is for someone else");
                assert_eq!(person.topics[on].0, Some(topic), "it is of another topic");
                assert_eq!(message.len(), HEADER + length);
                assert!(message[HEADER..].iter().all(|byte| *byte == number as u8), "its bytes are others");
                let before = person.names.insert(peer, from).unwrap_or(from);
                assert!(before <= from, "{peer:?} is {from} again, who was {before} already");
                assert_eq!(self.people[before].key, self.people[from].key, "{peer:?} is someone else now");
                if before != from || self.has_predecessor(from) {
                    self.confirm(device, from, turns as u32);
                }
                let log = self.talks.get_mut(&Talk { from, to, topic: on }).expect("it was sent");
                let last = log.arrived.last().copied();
                assert!(last.is_none_or(|last| last < number as u32), "{number} of {from} to {to} behind {last:?}");
                log.arrived.push(number as u32);
                self.delivered += 1;
            }
            Event::Error(report) => self.hear_of(device, report),
            _ => {}
        }
    }

    /// A message tells a device which process it has met, and of how many turns of its: those that it had when it sent it.
    fn confirm(&mut self, device: usize, other: usize, turns: u32) {
        let now = self.turns[other];
        let met = (turns == now).then(|| self.turns_between(device, other));
        let unmet = self.people[device].met.entry(other).or_default();
        *unmet = unmet.or(met);
    }

    /// A device tells of a problem.
    fn hear_of(&mut self, device: usize, report: Report) {
        match (report.code, report.message) {
            (Code::QueueFull, Some(message)) => {
                let mut fields = message.chunks(4).map(|field| u32::from_le_bytes(field.try_into().expect("4 bytes")));
                let [from, to, topic, number] = [(); 4].map(|()| fields.next().expect("a field") as usize);
                self.talks.get_mut(&Talk { from, to, topic }).expect("it was sent").sent[number] = Owed::Never;
                self.refused += 1;
            }
            (Code::SessionDropped, None) => {
                self.dropped += 1;
                let peer = report.peer.expect("it is about somebody");
                match self.people[device].keys.get(&peer).map(|key| self.of_key(*key)) {
                    Some(other) => *self.given_up.entry((device.min(other), device.max(other))).or_default() += 1,
                    // It was not here long enough to be looked at.
                    None => self.turns[device] += 1,
                }
            }
            (Code::MessageLost, _) => panic!("{device} had no memory for a message"),
            _ => {}
        }
    }
}

impl Seed {
    fn random(self) -> Random {
        let mut seed = [0x0e; 32];
        seed[..8].copy_from_slice(&self.0.to_le_bytes());
        Random::from_seed(seed)
    }

    /// The seeds of a test: so many, or as many as the environment asks for in `TEST_SEEDS`, or the one in `TEST_SEED`.
    pub fn run(count: u64, mut test: impl FnMut(Self)) {
        let asked = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
        match asked("TEST_SEED") {
            Some(seed) => test(Self(seed)),
            None => (0..asked("TEST_SEEDS").unwrap_or(count)).for_each(|seed| test(Self(seed))),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TEST_SEED={}", self.0)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see it again: {} and the same test", self.seed);
        }
    }
}
