//! What must hold whatever happens to links, relays and networks: every run follows from a seed.

use peersockets_core::random::Random;
use peersockets_netem::{Mischief, Room, Seed, seconds};

/// What a storm is made of: how likely each is, in 100 steps.
#[derive(Clone, Copy, Default)]
struct Storm {
    cuts: usize,
    restarts: usize,
    deaths: usize,
    silences: usize,
    goodbyes: usize,
    mischief: usize,
}

fn rage(seed: Seed, storm: Storm, steps: usize) -> Room {
    let mut dice = Random::from_seed([seed.0 as u8; 32]);
    let mut below = |count: usize| u32::from_le_bytes(dice.bytes()) as usize % count;
    let crowd = if below(8) == 0 { 15 } else { 4 };
    let (devices, relays) = (2 + below(crowd), 1 + below(2));
    let mut room = Room::new(seed, devices, relays);
    room.pass(seconds(3.0));
    let mut back = vec![None; devices];
    for _ in 0..steps {
        let (device, relay) = (room.below(devices), room.below(relays));
        let mut die = room.below(100);
        let mut happens = |chance: usize| {
            let does = die < chance;
            die = if does { usize::MAX } else { die - chance.min(die) };
            does
        };
        if happens(storm.cuts) {
            room.world.cut(device, relay);
        } else if happens(storm.restarts) {
            match room.world.relays[relay].is_up {
                true => room.world.stop_relay(relay),
                false => room.world.relays[relay].is_up = true,
            }
        } else if happens(storm.deaths) {
            room.world.kill_sockets(device);
        } else if happens(storm.silences) {
            match back[device].take() {
                None => {
                    room.world.go_offline(device);
                    back[device] = Some(());
                }
                Some(()) => room.world.go_online(device),
            }
        } else if happens(storm.goodbyes) {
            room.leave_or_return(device);
        } else if happens(storm.mischief) {
            let random = room.random();
            let is_honest = room.world.relays[relay].mischief.is_none();
            room.world.relays[relay].mischief = is_honest.then(|| Mischief::new(0.1, random));
        }
        for _ in 0..room.below(4) {
            room.talk(20);
        }
        let milliseconds = room.below(800) as f64;
        room.pass(seconds(milliseconds / 1_000.0));
    }
    room.recover();
    room
}

/// Seeds of each storm: 1,000 in all, with the real cipher.
const SEEDS: u64 = 250;

#[test]
fn links_that_break_lose_nothing_and_nobody() {
    let mut calm = 0;
    let mut runs = 0;
    Seed::run(SEEDS, |seed| {
        let room = rage(seed, Storm { cuts: 10, ..Storm::default() }, 40);
        runs += 1;
        calm += u64::from(room.leaves == 0);
        assert!(room.delivered > 0);
    });
    // Of few runs a share means nothing.
    assert!(runs < 100 || calm * 10 >= runs * 9, "{calm} of {runs} without a leave");
}

#[test]
fn nothing_is_lost_repeated_or_reordered_while_a_session_lives() {
    let storm = Storm { cuts: 8, restarts: 8, deaths: 4, silences: 6, ..Storm::default() };
    Seed::run(SEEDS, |seed| {
        rage(seed, storm, 60);
    });
}

#[test]
fn whoever_comes_and_goes_is_seen_to_come_once_and_to_go_once() {
    let storm = Storm { cuts: 5, restarts: 4, deaths: 2, silences: 4, goodbyes: 20, mischief: 0 };
    Seed::run(SEEDS, |seed| {
        rage(seed, storm, 60);
    });
}

#[test]
fn a_hostile_relay_has_nothing_wrong_given_out() {
    let storm = Storm { cuts: 3, restarts: 2, mischief: 20, ..Storm::default() };
    Seed::run(SEEDS, |seed| {
        rage(seed, storm, 60);
    });
}
