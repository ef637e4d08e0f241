//! Two devices that meet at a relay in virtual time and send each other messages: always the same, so that its instructions can be counted.
//!
//! `data-path handshakes|small|large` does one thing many times; `npm test -- instructions` counts.

use peersockets_netem::{World, seconds};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("handshakes") => (0..100).for_each(|_| drop(Pair::meet())),
        Some("small") => Pair::meet().exchange(10_000, 100),
        Some("large") => Pair::meet().exchange(250, 64 * 1024),
        other => panic!("{other:?} is none of handshakes, small, large"),
    }
}

struct Pair {
    world: World,
}

/// Messages that are sent before the other device is heard.
const BURST: usize = 16;

impl Pair {
    /// Two devices that see each other.
    fn meet() -> Self {
        let mut world = World::new(1);
        world.add(&[0]);
        world.add(&[0]);
        world.advance(seconds(1.0));
        assert!(world.devices.iter().all(|device| device.swarm.stats().peers.len() == 1));
        Self { world }
    }

    /// The first sends the second so many messages of this length.
    fn exchange(mut self, count: usize, length: usize) {
        let topics = [0, 1].map(|device| self.world.devices[device].swarm.join("chat"));
        let to = self.world.devices[0].swarm.stats().peers[0].peer;
        let mut arrived = 0;
        for _ in 0..count / BURST {
            for _ in 0..BURST {
                self.world.devices[0].swarm.send(topics[0], to, vec![7; length]);
            }
            self.world.advance(seconds(0.001));
            arrived += self.world.messages(1, topics[1]).len();
        }
        assert_eq!(arrived, count / BURST * BURST);
    }
}
