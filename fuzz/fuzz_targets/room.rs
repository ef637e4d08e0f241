//! Devices that join, send, close, are cut off, come back and meet hostile relays, in any order: what must hold in every storm of
//! `netem/` holds, and when all is well again everyone meets and what is owed arrives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::random::Random;
use peersockets_netem::{Fault, Mischief, Room, Seed, seconds};

const RELAYS: usize = 2;
const MOST_DEVICES: usize = 3;
const STEPS: usize = 32;

fuzz_target!(|input: &[u8]| {
    // The first byte says how many devices there are; each step is a byte that says what and to whom, and an argument.
    let Some((devices, steps)) = input.split_first() else {
        return;
    };
    let devices = if devices % 4 == 1 { MOST_DEVICES } else { 2 };
    let mut room = Room::new(Seed(0), devices, RELAYS);
    let mut is_offline = [false; MOST_DEVICES];
    for step in steps.chunks_exact(2).take(STEPS) {
        let argument = usize::from(step[1]);
        let (device, relay) = (usize::from(step[0] >> 5) % devices, usize::from(step[0] >> 4) % RELAYS);
        match step[0] & 0xf {
            0 => _ = room.send(device, relay, argument),
            1 => _ = room.send(device, relay, argument * 500),
            2 => (0..argument % 64).for_each(|length| _ = room.send(device, relay, length)),
            3 => room.close_or_open(device, relay),
            4 => room.world.cut(device, relay),
            5 if room.world.relays[relay].is_up => room.world.stop_relay(relay),
            5 => room.world.relays[relay].is_up = true,
            6 => room.world.kill_sockets(device),
            7 => {
                is_offline[device] = !is_offline[device];
                match is_offline[device] {
                    true => room.world.go_offline(device),
                    false => room.world.go_online(device),
                }
            }
            8 => room.leave_or_return(device),
            9 | 10 => {
                let peaceful = || Mischief::new(0.0, Random::from_seed([7; 32]));
                let mischief = room.world.relays[relay].mischief.get_or_insert_with(peaceful);
                (0..=argument / 64).for_each(|_| mischief.order(Fault::ALL[argument % Fault::ALL.len()]));
            }
            11 if room.world.is_member(device, relay) => room.world.claim_left(device, relay),
            // Seconds, each of which is looked at.
            12 => (0..argument).for_each(|_| room.pass(seconds(1.0))),
            13 => room.pass(seconds(argument as f64 / 100.0)),
            _ => room.pass(seconds(argument as f64 / 1_000.0)),
        }
    }
    room.recover();
});
