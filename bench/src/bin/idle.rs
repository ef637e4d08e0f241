//! What devices cost their relay that only are there, in virtual time.
//!
//! `idle MEMBERS` prints the messages and bytes a second for each device of a room of so many: got and sent by the relay, with the headers of
//! WebSocket frames.

use peersockets_netem::{World, seconds};

/// Headers of a short frame from a client, which masks it, and of one to a client.
const HEADERS: f64 = (6 + 2) as f64 / 2.0;
const TIME: f64 = 600.0;

fn main() {
    let members: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("idle MEMBERS");
    let mut world = World::new(1);
    for _ in 0..members {
        world.add(&[0]);
    }
    world.advance(seconds(60.0));
    let (messages, bytes) = world.relays[0].traffic;
    world.advance(seconds(TIME));
    let for_each = |before: u64, after: u64| (after - before) as f64 / TIME / members as f64;
    let messages = for_each(messages, world.relays[0].traffic.0);
    let bytes = for_each(bytes, world.relays[0].traffic.1) + messages * HEADERS;
    println!("{messages} {bytes}");
}
