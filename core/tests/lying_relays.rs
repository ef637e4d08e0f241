//! Relays that say what is not so: it costs a circuit, and no session (PROTOCOL.md §3, §14).

mod pair;

use pair::*;
use peersockets_core::limits;
use peersockets_core::rendezvous::HangupReason;
use peersockets_netem::{World, seconds};

#[test]
fn a_relay_that_claims_a_leave_is_proved_wrong_within_the_grace() {
    for liar_to in [0, 1] {
        let (mut world, watches, topics) = met_on(&[0]);
        send(&mut world, 1 - liar_to, topics[1 - liar_to], 0..10);
        world.settle();
        numbers(&mut world, liar_to, topics[liar_to]);
        world.claim_left(liar_to, 0);
        send(&mut world, 1 - liar_to, topics[1 - liar_to], 10..20);
        send(&mut world, liar_to, topics[liar_to], 0..10);
        // The dialler finds out at once; the other end has to wait until the dialler misses it.
        world.advance(seconds(15.0));
        for device in [0, 1] {
            let expected = if device == liar_to { all(10..20) } else { all(0..10) };
            let (arrived, told) = seen(&mut world, device, watches[device], topics[device]);
            assert_eq!(arrived, expected, "{device} of {liar_to}");
            assert!(told.is_empty() || told == [-1, 1], "{told:?}");
        }
    }
}

#[test]
fn a_leave_that_is_claimed_twice_is_proved_wrong_too() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_left(1, 0);
    world.claim_left(1, 0);
    send(&mut world, 1, topics[1], 0..10);
    world.advance(limits::RETRY_FIRST * 2);
    assert_eq!(seen(&mut world, 0, watches[0], topics[0]), (all(0..10), vec![]));
}

#[test]
fn a_circuit_that_a_relay_claims_to_be_over_is_dialled_again_whatever_reason_it_gives() {
    use HangupReason::{Busy, Done, Gone, Timeout, Violation};
    for liar_to in [0, 1] {
        for reason in [Done, Busy, Violation, Gone, Timeout] {
            let (mut world, watches, topics) = met_on(&[0]);
            world.claim_hangups(liar_to, 0, reason);
            send_both(&mut world, topics, 0..10);
            // Who was told nothing misses the other within ten seconds and hangs up.
            world.advance(limits::PING_AFTER + limits::PONG_WITHIN + limits::RETRY_FIRST * 2);
            for device in [0, 1] {
                let (arrived, told) = seen(&mut world, device, watches[device], topics[device]);
                assert_eq!(arrived, all(0..10), "{reason:?} to {liar_to}");
                assert!(told.is_empty() || told == [-1, 1], "{told:?}");
            }
        }
    }
}

#[test]
fn a_device_that_is_claimed_gone_is_dialled_again_though_it_was_told_that_we_left() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_left(0, 0);
    world.claim_hangups(1, 0, HangupReason::Gone);
    send_both(&mut world, topics, 0..10);
    world.advance(limits::RETRY_FIRST * 2);
    expect_both(&mut world, watches, topics, 0..10);
}

#[test]
fn a_leave_that_is_claimed_of_a_device_before_it_is_met_is_proved_wrong_too() {
    let mut world = World::new(1);
    world.relays[0].tamper = Some(|_| false);
    let devices = [world.add(&[0]), world.add(&[0])];
    let watches = devices.map(|device| world.devices[device].swarm.watch());
    world.settle();
    world.claim_left(1, 0);
    world.relays[0].tamper = None;
    world.advance(limits::RETRY_FIRST * 2);
    for device in devices {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
}

#[test]
fn a_circuit_that_only_its_relay_knows_of_ends_the_true_one_for_a_moment() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.claim_dials(0, 0);
    send_both(&mut world, topics, 0..10);
    world.advance(limits::RETRY_FIRST * 2);
    expect_both(&mut world, watches, topics, 0..10);
}
