//! What must hold whatever happens to links, relays and networks: every run follows from a seed.

use std::collections::BTreeSet;

use peersockets_core::random::Random;
use peersockets_core::rendezvous::HangupReason;
use peersockets_core::time::{Duration, Time};
use peersockets_netem::{Accident, Fault, Kind, Lie, Mischief, Room, Seed, Tally, seconds};

/// What a storm is made of: how likely each is, in 100 steps.
#[derive(Clone, Copy, Default)]
struct Storm {
    cuts: usize,
    restarts: usize,
    deaths: usize,
    silences: usize,
    goodbyes: usize,
    mischief: usize,
    /// Links that the relay begins itself.
    forgeries: usize,
    /// What it says of members and circuits, and is not so.
    lies: usize,
    /// Processes that end and are started again.
    crashes: usize,
    /// What becomes of direct connections, which devices have if this is not 0.
    accidents: usize,
    /// Whether there are processes that hold the drive, and pages without sessions, beside pages.
    is_mixed: bool,
}

/// A storm, and that all is well after it.
fn rage(seed: Seed, storm: Storm, steps: usize) -> Room {
    let mut room = brew(seed, storm, steps);
    room.recover();
    room
}

fn brew(seed: Seed, storm: Storm, steps: usize) -> Room {
    let mut dice = [0; 32];
    dice[..8].copy_from_slice(&seed.0.to_le_bytes());
    let mut dice = Random::from_seed(dice);
    let mut below = |count: usize| u32::from_le_bytes(dice.bytes()) as usize % count;
    let crowd = if below(8) == 0 { 15 } else { 4 };
    let (devices, relays) = (2 + below(crowd), 1 + below(2));
    let mut kind = || match below(6) {
        0 | 1 if storm.is_mixed => Kind::Host,
        2 if storm.is_mixed => Kind::Sessionless,
        _ => Kind::Page,
    };
    let kinds: Vec<Kind> = (0..devices).map(|_| kind()).collect();
    let direct_peers = if storm.accidents > 0 { 1 + below(4) } else { 0 };
    let mut room = Room::connected(seed, &kinds, relays, direct_peers);
    for relay in &mut room.world.relays {
        relay.is_old = below(4) == 0;
    }
    if storm.accidents > 0 {
        room.world.channel_rate = [None, None, Some(50_000.0), Some(300_000.0)][below(4)];
        if below(2) == 0 {
            let random = room.random();
            room.world.open_late(random);
        }
    }
    room.pass(seconds(3.0));
    let mut is_offline = BTreeSet::new();
    let mut accidents = 0;
    for _ in 0..steps {
        let (device, relay) = (room.anyone(), room.below(relays));
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
            match is_offline.remove(&device) {
                true => room.world.go_online(device),
                false => {
                    room.world.go_offline(device);
                    is_offline.insert(device);
                }
            }
        } else if happens(storm.goodbyes) {
            room.leave_or_return(device);
        } else if happens(storm.mischief) {
            let random = room.random();
            let is_honest = room.world.relays[relay].mischief.is_none();
            room.set_mischief(relay, is_honest.then(|| Mischief::new(0.1, random)));
        } else if happens(storm.forgeries) {
            let mut random = room.random();
            match room.below(2) {
                0 => room.world.forge_resume(relay, device, &mut random),
                _ => room.world.replay_link(relay, device, &mut random),
            }
        } else if happens(storm.lies) {
            tell_a_lie(&mut room, relay, device);
        } else if happens(storm.accidents) {
            room.world.direct_succeeds = room.below(4) > 0;
            let accident = Accident::ALL[room.below(Accident::ALL.len())];
            let index = room.below(4);
            let broke = match room.below(3) {
                0 => room.world.break_everything(device, index, accident),
                _ => room.world.break_channel(device, index, accident),
            };
            accidents += usize::from(broke);
            if room.below(12) == 0 {
                // Long enough for either to try again, knowing nothing of the other's offer.
                lag(&mut room, seconds(5.5));
            }
        } else if happens(storm.crashes) {
            // A process that ends with its machine closes no socket.
            if room.below(4) == 0 {
                room.world.kill_sockets(device);
            }
            room.restart(device);
        }
        for _ in 0..room.below(4) {
            room.talk(20);
        }
        if room.world.channel_rate.is_some() && room.below(6) == 0 {
            // More than a channel takes at once.
            room.send(device, 0, 600_000 / (devices - 1));
        }
        let milliseconds = room.below(800) as f64;
        room.pass(seconds(milliseconds / 1_000.0));
    }
    room.accidents = accidents;
    room
}

/// What relays have for devices comes late.
fn lag(room: &mut Room, time: Duration) {
    for relay in &mut room.world.relays {
        relay.is_lagging = true;
    }
    room.pass(time);
    for relay in 0..room.world.relays.len() {
        room.world.release(relay);
    }
}

fn tell_a_lie(room: &mut Room, relay: usize, device: usize) {
    let random = room.random();
    let honest = room.world.relays[relay].false_welcomes.is_none();
    match room.below(4) {
        0 => room.world.relays[relay].false_welcomes = honest.then_some(random),
        _ if !room.world.is_member(device, relay) => {}
        1 => room.world.claim_left(device, relay),
        2 => room.world.claim_dials(device, relay),
        _ => {
            use HangupReason::{Busy, Done, Gone, Timeout, Violation};
            let reason = [Done, Busy, Violation, Gone, Timeout][room.below(5)];
            room.world.claim_hangups(device, relay, reason);
        }
    }
}

/// Seeds of each storm: more than 1,000 in all, with the real cipher.
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
    let storm =
        Storm { cuts: 5, restarts: 4, deaths: 2, silences: 4, goodbyes: 20, is_mixed: true, ..Storm::default() };
    Seed::run(SEEDS, |seed| {
        rage(seed, storm, 60);
    });
}

#[test]
fn whoever_is_started_again_with_its_key_is_met_anew() {
    let weather = Storm { cuts: 5, restarts: 3, deaths: 2, silences: 4, goodbyes: 4, ..Storm::default() };
    let storm = Storm { crashes: 20, is_mixed: true, ..weather };
    let (mut runs, mut restarts) = (0, 0);
    Seed::run(SEEDS, |seed| {
        restarts += rage(seed, storm, 40).restarts;
        runs += 1;
    });
    println!("{restarts} processes started again in {runs} runs");
    assert!(runs < 100 || restarts > runs);
}

#[test]
fn whatever_becomes_of_direct_connections_nothing_is_lost_repeated_or_reordered() {
    let storm = Storm { accidents: 30, cuts: 6, restarts: 4, deaths: 3, silences: 4, goodbyes: 4, ..Storm::default() };
    let (mut runs, mut accidents, mut tally) = (0, 0, Tally::default());
    let mut meshed_after = Duration::ZERO;
    Seed::run(4 * SEEDS, |seed| {
        let room = rage(seed, storm, 40);
        runs += 1;
        accidents += room.accidents;
        tally += room.world.tally;
        meshed_after = meshed_after.max(room.meshed_after);
    });
    println!("{accidents} direct connections came to grief in {runs} runs: {tally:?},");
    println!("all that may be were there again {meshed_after:?} after the storm at the latest");
    // Of few runs a sum means nothing.
    assert!(runs < 100 || accidents > runs);
    assert!(runs < 100 || tally.has_all(), "{tally:?}");
    // Otherwise they meet at the next attempt.
    assert!(runs < 100 || tally.glares_settled * 2 > tally.glares, "of two that offer at once one gives way");
}

/// A device sends more than it may keep while some of the others are away.
fn fill_up(room: &mut Room) {
    let sender = room.anyone();
    let mut silent = room.devices();
    silent.retain(|device| *device != sender && room.below(2) == 0);
    for device in &silent {
        room.world.go_offline(*device);
    }
    room.flood(sender);
    room.pass(seconds(5.5));
    // They have left. Their links live a little longer.
    let milliseconds = room.below(6_000) as f64;
    room.pass(seconds(milliseconds / 1_000.0));
    room.flood(sender);
    room.talk(20);
    room.pass(seconds(2.0));
    for device in &silent {
        if room.below(2) == 0 {
            room.world.kill_sockets(*device);
        }
        room.world.go_online(*device);
    }
    room.talk(20);
    room.pass(seconds(5.0));
}

#[test]
fn what_is_given_up_for_want_of_memory_is_told_of_and_costs_no_other_a_message() {
    use Kind::{Host, Page, Sessionless};
    let (mut runs, mut dropped, mut refused) = (0, 0, 0);
    // Each takes seconds.
    Seed::run(SEEDS, |seed| {
        if seed.0 % 120 == 0 {
            let mut room = Room::of(seed, &[Page, Page, Page, Host, Page, Page, Sessionless, Page, Page], 1);
            // As one has that runs, so that all arrives in the time that there is.
            room.world.relays[0].pool = 1 << 20;
            room.pass(seconds(3.0));
            fill_up(&mut room);
            fill_up(&mut room);
            room.recover();
            runs += 1;
            dropped += room.dropped;
            refused += room.refused;
        }
    });
    println!("in {runs} runs what waited was given up {dropped} times, and {refused} messages came back");
    assert!(runs < 3 || (dropped > 0 && refused > 0));
}

#[test]
fn a_hostile_relay_has_nothing_wrong_given_out() {
    let meddling = Storm { cuts: 3, restarts: 2, mischief: 20, forgeries: 10, lies: 10, ..Storm::default() };
    let storm = Storm { crashes: 2, is_mixed: true, ..meddling };
    let (mut runs, mut time, mut delivered) = (0, Duration::ZERO, 0);
    let (mut faults, mut lies) = ([0; Fault::ALL.len()], [0; Lie::ALL.len()]);
    let (mut resumes, mut links) = (0, 0);
    let (mut used_up, mut overdrawn) = (0, 0);
    Seed::run(SEEDS, |seed| {
        let mut room = brew(seed, storm, 60);
        runs += 1;
        time += room.world.now.since(Time::default());
        delivered += room.delivered;
        room.recover();
        faults.iter_mut().zip(room.faults).for_each(|(sum, count)| *sum += count);
        for relay in &room.world.relays {
            resumes += relay.impostor.resumes_forged;
            links += relay.impostor.links_replayed;
            lies.iter_mut().zip(relay.lies).for_each(|(sum, count)| *sum += count);
            used_up += relay.used_up;
            overdrawn += relay.overdrawn;
        }
        let before = room.delivered;
        let devices = room.devices();
        let sent: usize = (0..100).map(|number| room.send(devices[number % 2], number, number)).sum();
        room.pass(seconds(10.0));
        let arrived = room.delivered - before;
        assert!(sent >= 100 && arrived == sent, "{arrived} of {sent} arrive afterwards");
    });
    let faults: Vec<_> = Fault::ALL.into_iter().zip(faults).collect();
    let lies: Vec<_> = Lie::ALL.into_iter().zip(lies).collect();
    println!("{:.1} hours of virtual time in {runs} runs: {faults:?},", time.as_secs_f64() / 3_600.0);
    println!("{lies:?},");
    println!("{resumes} resumes forged, {links} links replayed, {delivered} messages delivered meanwhile");
    println!("out of credit {used_up} times, forged credit used {overdrawn} times");
    // Of few runs a sum means nothing.
    if runs >= 100 {
        assert!(faults.iter().all(|(_, count)| *count > 0) && resumes > 0 && links > 0);
        assert!(lies.iter().all(|(_, count)| *count > 0));
        assert!(used_up > 0 && overdrawn > 0);
        assert!(
            delivered >= 1_000 && time.as_secs_f64() >= 20.0 * f64::from(runs),
            "hours with the usual number of seeds"
        );
    }
}
