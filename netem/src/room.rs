//! Devices that talk while the network does what it likes, and what must hold whatever happens.

use std::collections::BTreeMap;
use std::fmt;

use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::swarm::{Event, HandleId, PeerId};
use peersockets_core::time::{Duration, Time};

use crate::mischief::Mischief;
use crate::weather::Weather;
use crate::world::{Device, World, seconds};

/// What a run follows from. If the run panics, it says how to repeat it.
#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

/// Topics that everyone talks on.
const TOPICS: [&str; 2] = ["chat", "files"];

/// A drive's devices, which talk to each other.
pub struct Room {
    /// The devices and their network.
    pub world: World,
    seed: Seed,
    random: Random,
    people: Vec<Person>,
    /// How often each device left, returned or came back too late, so that what was under way may be lost.
    turns: Vec<u32>,
    /// What was sent and what of it has arrived.
    talks: BTreeMap<Talk, Log>,
    /// How often anyone was told that someone left.
    pub leaves: usize,
    /// How many messages arrived.
    pub delivered: usize,
    /// How often relays did each kind of damage, in the order of [`Fault::ALL`](crate::Fault::ALL).
    pub faults: [u64; 7],
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
    /// For each message that was sent, the turns of both devices when the one met the other and those of the topic, if they had met for sure.
    sent: Vec<Option<u32>>,
    /// Which of them have arrived.
    arrived: Vec<u32>,
}

struct Person {
    watch: HandleId,
    /// Its topics, as far as it has them open, and how often it opened or closed each.
    topics: [(Option<HandleId>, u32); TOPICS.len()],
    /// Whom the watcher takes for present.
    present: BTreeMap<PeerId, bool>,
    /// When it was told of each peer's last leave.
    left: BTreeMap<PeerId, Time>,
    /// Which device a peer is.
    names: BTreeMap<PeerId, usize>,
    /// The turns of both devices when they met.
    met: BTreeMap<usize, Option<u32>>,
    is_away: bool,
}

impl Room {
    /// So many devices, which share so many relays, in changeable weather.
    pub fn new(seed: Seed, devices: usize, relays: usize) -> Self {
        let mut random = seed.random();
        let mut world = World::new(relays);
        let weather = Random::from_seed(random.bytes());
        world.weather = Weather::new(Duration::from_millis(5), Duration::from_millis(40), weather);
        let mut room = Self {
            world,
            seed,
            random,
            people: Vec::new(),
            turns: Vec::new(),
            talks: BTreeMap::new(),
            leaves: 0,
            delivered: 0,
            faults: [0; 7],
        };
        let relays: Vec<usize> = (0..relays).collect();
        for _ in 0..devices {
            let device = room.world.add(&relays);
            let swarm = &mut room.world.devices[device].swarm;
            let topics = TOPICS.map(|topic| (Some(swarm.join(topic)), 0));
            let watch = swarm.watch();
            room.people.push(Person {
                watch,
                topics,
                present: BTreeMap::new(),
                left: BTreeMap::new(),
                names: BTreeMap::new(),
                met: BTreeMap::new(),
                is_away: false,
            });
            room.turns.push(0);
        }
        room
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
        let from = self.below(self.people.len());
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
        for relay in 0..self.world.relays.len() {
            self.world.relays[relay].is_up = true;
            self.set_mischief(relay, None);
        }
        for device in 0..self.people.len() {
            self.world.go_online(device);
        }
        self.pass(seconds(90.0));
        for device in 0..self.people.len() {
            let others = (0..self.people.len()).filter(|other| *other != device && !self.people[*other].is_away);
            let expected = if self.people[device].is_away { 0 } else { others.count() };
            let present = self.people[device].present.values().filter(|is_here| **is_here).count();
            assert_eq!(present, expected, "{} sees everyone who is there", device);
        }
        for from in 0..self.people.len() {
            for _ in 0..10 {
                self.say(from);
            }
        }
        self.pass(seconds(30.0));
        for device in &self.world.devices {
            let kept: usize = device.swarm.stats().peers.iter().map(|peer| peer.queued_bytes).sum();
            assert_eq!(kept, 0, "bytes are kept that have arrived");
        }
        for (talk, log) in &self.talks {
            let last = Some(self.turns_of(*talk));
            let owed = log.sent.iter().enumerate().filter(|(_, met)| **met == last);
            let lost: Vec<usize> =
                owed.map(|(number, _)| number).filter(|number| !log.arrived.contains(&(*number as u32))).collect();
            assert!(lost.is_empty(), "of {talk:?}, {} messages: lost {lost:?}", log.sent.len());
        }
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

    /// A device sends one message to everyone it takes for present, with so many bytes beside those that tell what it is. Returns to how many.
    pub fn send(&mut self, from: usize, topic: usize, length: usize) -> usize {
        let topic = topic % TOPICS.len();
        let keys: Vec<[u8; 32]> = self.world.devices.iter().map(|device| device.swarm.stats().device_key).collect();
        let stats = self.world.devices[from].swarm.stats();
        let queued: usize = stats.peers.iter().map(|peer| peer.queued_bytes).sum();
        assert!(queued <= limits::SEND_QUEUES, "{queued} bytes wait");
        let (Some(handle), _) = self.people[from].topics[topic] else {
            return 0;
        };
        let count = stats.peers.len();
        for peer in stats.peers {
            let to = keys.iter().position(|key| *key == peer.key).expect("a device of the room");
            let met = self.people[from].met.get(&to).copied().flatten();
            let met = met.map(|turns| turns + self.people[to].topics[topic].1);
            let is_heard = self.people[to].topics[topic].0.is_some();
            let log = self.talks.entry(Talk { from, to, topic }).or_default();
            let mut message = Vec::with_capacity(20 + length);
            for number in [from as u32, to as u32, topic as u32, log.sent.len() as u32, length as u32] {
                message.extend(number.to_le_bytes());
            }
            message.resize(20 + length, log.sent.len() as u8);
            log.sent.push(met.filter(|_| is_heard));
            self.world.devices[from].swarm.send(handle, peer.peer, message);
        }
        count
    }

    /// What must not have changed since a message was sent if it is owed.
    fn turns_of(&self, Talk { from, to, topic }: Talk) -> u32 {
        self.turns[from] + self.turns[to] + self.people[to].topics[topic].1
    }

    fn look(&mut self) {
        for device in 0..self.people.len() {
            for event in self.world.events(device) {
                self.check(device, event);
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
                    let of = |device: &Device| device.swarm.stats().device_key == key;
                    let other = self.world.devices.iter().position(of).expect("a device of the room");
                    let turns = self.turns[device] + self.turns[other];
                    let is_away = self.people[other].is_away;
                    self.people[device].met.insert(other, (!is_away).then_some(turns));
                }
            }
            Event::Leave { watch, peer } if watch == person.watch => {
                let before = person.present.insert(peer, false);
                assert_eq!(before, Some(true), "{device} was told that {peer:?} left, who was not there");
                person.left.insert(peer, self.world.now);
                self.leaves += 1;
            }
            Event::Message { topic, peer, message } => {
                assert_eq!(person.present.get(&peer), Some(&true), "{device} got a message of who is not there");
                let mut fields = message.chunks(4).map(|field| u32::from_le_bytes(field.try_into().expect("4 bytes")));
                let [from, to, on, number, length] = [(); 5].map(|()| fields.next().expect("a field") as usize);
                assert_eq!(to, device, "it is for someone else");
                assert_eq!(person.topics[on].0, Some(topic), "it is of another topic");
                assert_eq!(message.len(), 20 + length);
                assert!(message[20..].iter().all(|byte| *byte == number as u8), "its bytes are others");
                assert_eq!(*person.names.entry(peer).or_insert(from), from, "{peer:?} is someone else now");
                let log = self.talks.get_mut(&Talk { from, to, topic: on }).expect("it was sent");
                let last = log.arrived.last().copied();
                assert!(last.is_none_or(|last| last < number as u32), "{number} of {from} to {to} behind {last:?}");
                log.arrived.push(number as u32);
                self.delivered += 1;
            }
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
