//! What two devices with a session make of links that break: nothing is lost, repeated or reordered (PROTOCOL.md §14).

mod pair;

use pair::*;
use peersockets_core::limits;
use peersockets_core::random::Random;
use peersockets_core::swarm::{Event, HandleId, PeerId, State};
use peersockets_core::time::Duration;
use peersockets_netem::{Weather, World, seconds};

/// Bytes of a message that counts for so many in the queues of all peers.
const MEBIBYTE: usize = (1 << 20) - limits::MESSAGE_WEIGHT;

#[test]
fn what_was_in_flight_on_a_link_that_broke_comes_on_the_next_one() {
    for cut_device in [0, 1] {
        let (mut world, watches, topics) = met_on(&[0]);
        // Some of it on its way, some not yet sent, both ways.
        send_both(&mut world, topics, 0..500);
        world.settle_partly(3);
        world.cut(cut_device, 0);
        send_both(&mut world, topics, 500..600);
        world.advance(limits::GRACE_AFTER_CLOSE - Duration::from_millis(1));
        expect_both(&mut world, watches, topics, 0..600);
    }
}

#[test]
fn a_relay_that_restarts_within_the_grace_is_not_noticed() {
    let (mut world, watches, topics) = met_on(&[0]);
    for round in 0..2 {
        send_both(&mut world, topics, round * 100..round * 100 + 100);
        world.settle_partly(2);
        world.stop_relay(0);
        world.advance(seconds(1.0));
        world.relays[0].is_up = true;
        world.advance(seconds(3.9));
    }
    expect_both(&mut world, watches, topics, 0..200);
}

#[test]
fn who_loses_every_link_leaves_after_five_seconds_and_after_two_if_its_socket_closed() {
    let (mut world, watches, _) = met_on(&[0]);
    world.stop_relay(0);
    world.advance(limits::GRACE - Duration::from_millis(1));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(Duration::from_millis(2));
    assert_eq!(world.presence(0, watches[0]), [-1]);

    let (mut world, watches, _) = met_on(&[0]);
    world.relays[0].is_up = false;
    world.cut(1, 0);
    world.advance(limits::GRACE_AFTER_CLOSE - Duration::from_millis(1));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(Duration::from_millis(2));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn who_falls_silent_leaves_after_five_seconds_and_joins_when_it_is_heard_again() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.go_offline(1);
    send(&mut world, 0, topics[0], 0..10);
    world.advance(seconds(4.9));
    assert!(world.presence(0, watches[0]).is_empty());
    world.advance(seconds(0.2));
    assert_eq!(world.presence(0, watches[0]), [-1]);
    send(&mut world, 0, topics[0], 10..20);
    world.advance(seconds(2.0));
    world.go_online(1);
    assert_eq!(world.presence(0, watches[0]), [1]);
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..10), "what was sent to it after it left went to nobody");
    assert_eq!(world.relays[0].attempts.len(), 2, "its socket and its link lived on");
}

#[test]
fn who_comes_back_within_two_minutes_gets_what_was_sent_before_it_left() {
    for is_dialler in [false, true] {
        let away = usize::from(is_dialler);
        let here = 1 - away;
        let (mut world, watches, topics) = met_on(&[0]);
        world.go_offline(away);
        world.kill_sockets(away);
        send(&mut world, here, topics[here], 0..300);
        send(&mut world, away, topics[away], 0..300);
        world.advance(seconds(100.0));
        assert_eq!(world.presence(here, watches[here]), [-1]);
        world.go_online(away);
        world.advance(seconds(1.0));
        for device in [0, 1] {
            let told = if device == here { vec![1] } else { vec![-1, 1] };
            assert_eq!(seen(&mut world, device, watches[device], topics[device]), (all(0..300), told), "{device}");
        }
    }
}

#[test]
fn who_comes_back_later_is_met_as_if_for_the_first_time() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.go_offline(1);
    world.kill_sockets(1);
    send(&mut world, 0, topics[0], 0..10);
    world.advance(limits::GRACE + limits::SESSION_TIME + seconds(10.0));
    world.go_online(1);
    world.advance(seconds(5.0));
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    send(&mut world, 0, topics[0], 100..110);
    world.settle();
    assert_eq!(numbers(&mut world, 1, topics[1]), all(100..110));
}

#[test]
fn a_long_message_that_was_cut_off_comes_whole() {
    let (mut world, _, topics) = met_on(&[0]);
    let long: Vec<u8> = (0..limits::MESSAGE).map(|index| (index % 253) as u8).collect();
    world.devices[0].swarm.send(topics[0], FIRST, b"before".to_vec());
    world.devices[0].swarm.send(topics[0], FIRST, long.clone());
    world.devices[0].swarm.send(topics[0], FIRST, b"behind".to_vec());
    for _ in 0..3 {
        world.settle_partly(40);
        world.cut(0, 0);
        world.advance(seconds(0.7));
    }
    world.advance(seconds(5.0));
    let arrived: Vec<Vec<u8>> = world.messages(1, topics[1]).into_iter().map(|(_, bytes)| bytes).collect();
    assert!(arrived == [b"before".to_vec(), long, b"behind".to_vec()], "{} messages", arrived.len());
}

#[test]
fn a_damaged_circuit_is_replaced_and_nobody_sees_it() {
    let (mut world, watches, topics) = met_on(&[0]);
    for round in 0..5 {
        world.relays[0].tamper = Some(|bytes| {
            bytes[0] ^= 1;
            true
        });
        send(&mut world, 0, topics[0], round * 10..round * 10 + 10);
        world.settle();
        world.relays[0].tamper = None;
        world.advance(seconds(1.9));
    }
    assert!(world.presence(0, watches[0]).is_empty());
    let events = world.events(1);
    assert_eq!(numbers_in(&events, topics[1]), all(0..50));
    let is_error = |event: &Event| matches!(event, Event::Error(_));
    assert!(!events.iter().any(is_error), "nothing was lost: there is nothing to report");
}

#[test]
fn the_last_piece_that_a_relay_swallowed_is_missed_at_the_next_ping() {
    let (mut world, watches, topics) = met_on(&[0]);
    world.relays[0].tamper = Some(|_| false);
    send(&mut world, 0, topics[0], 0..3);
    world.settle();
    world.relays[0].tamper = None;
    world.advance(seconds(5.0));
    assert_eq!(numbers(&mut world, 1, topics[1]), all(0..3));
    assert!(world.presence(0, watches[0]).is_empty());
}

#[test]
fn messages_move_to_the_other_relay_when_one_goes() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    send_both(&mut world, topics, 0..300);
    world.settle_partly(5);
    world.stop_relay(0);
    send_both(&mut world, topics, 300..400);
    world.settle();
    expect_both(&mut world, watches, topics, 0..400);
}

#[test]
fn a_link_that_falls_silent_is_not_waited_for_where_there_is_another() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    world.relays[0].tamper = Some(|_| false);
    send_both(&mut world, topics, 0..50);
    world.advance(limits::PING_AFTER + limits::MISSED_AFTER + Duration::from_millis(1));
    expect_both(&mut world, watches, topics, 0..50);
}

#[test]
fn a_relay_that_moves_to_another_url_of_the_list_is_found_within_the_grace() {
    let mut world = World::new(2);
    world.relays[1].is_up = false;
    let (watches, topics) = world.add_pair(&[0, 1]);
    // So long that the other URL is tried every 30 s only.
    world.advance(seconds(300.0));
    for device in [0, 1] {
        world.reports(device);
    }
    send_both(&mut world, topics, 0..100);
    world.settle_partly(3);
    world.stop_relay(0);
    // The first attempt comes too early.
    world.advance(seconds(1.0));
    world.relays[1].is_up = true;
    world.advance(seconds(3.9));
    expect_both(&mut world, watches, topics, 0..100);
}

#[test]
fn a_goodbye_that_overtakes_the_last_words_waits_for_them() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    // The relay that messages go through lags, and the goodbye comes through the other.
    world.relays[0].is_lagging = true;
    send(&mut world, 1, topics[1], 0..10);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    assert!(world.presence(0, watches[0]).is_empty());
    world.release(0);
    assert_eq!(seen(&mut world, 0, watches[0], topics[0]), (all(0..10), vec![-1]));
}

#[test]
fn a_goodbye_whose_last_words_never_come_is_a_leave_after_two_seconds() {
    let (mut world, watches, topics) = met_on(&[0, 1]);
    world.relays[0].is_lagging = true;
    send(&mut world, 1, topics[1], 0..10);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    world.advance(limits::GRACE_AFTER_CLOSE + Duration::from_millis(1));
    assert_eq!(world.presence(0, watches[0]), [-1]);
}

#[test]
fn devices_with_and_without_sessions_understand_each_other() {
    let mut world = World::new(1);
    let old = {
        world.session_time = Some(Duration::ZERO);
        let device = world.add(&[0]);
        world.session_time = None;
        device
    };
    let new = world.add(&[0]);
    let watches = [old, new].map(|device| world.devices[device].swarm.watch());
    let topics = [old, new].map(|device| world.devices[device].swarm.join("chat"));
    world.settle();
    for device in [old, new] {
        assert_eq!(world.presence(device, watches[device]), [1]);
    }
    for device in [old, new] {
        send(&mut world, device, topics[device], 0..10);
    }
    world.settle();
    world.cut(new, 0);
    world.advance(seconds(2.0));
    for device in [old, new] {
        let told = seen(&mut world, device, watches[device], topics[device]);
        assert_eq!(told, (all(0..10), vec![-1, 1]), "what may be lost is visible");
    }
    assert_eq!(world.state(new), State::Ready);
}

#[test]
fn a_device_that_went_and_comes_back_begins_a_new_session() {
    let (mut world, watches, topics) = met_on(&[0]);
    send(&mut world, 0, topics[0], 0..10);
    world.settle();
    numbers(&mut world, 1, topics[1]);
    let now = world.now;
    world.devices[1].swarm.goodbye(now);
    world.settle();
    world.devices[1].swarm.resume(now);
    world.advance(seconds(1.0));
    assert_eq!(world.presence(0, watches[0]), [-1, 1]);
    send(&mut world, 0, topics[0], 10..20);
    send(&mut world, 1, topics[1], 0..5);
    assert_eq!(numbers(&mut world, 1, topics[1]), all(10..20));
    assert_eq!(numbers(&mut world, 0, topics[0]), all(0..5));
}

#[test]
fn what_arrived_is_not_kept() {
    let (mut world, _, topics) = met_on(&[0]);
    for round in 0..40 {
        world.devices[0].swarm.send(topics[0], FIRST, vec![0; 1 << 20]);
        world.settle();
        assert!(world.devices[0].swarm.stats().peers[0].queued_bytes <= 1 << 20, "round {round}");
        world.messages(1, topics[1]);
    }
    world.advance(limits::ACK_AFTER);
    assert_eq!(world.devices[0].swarm.stats().peers[0].queued_bytes, 0);
    assert!(world.reports(0).is_empty());
}

#[test]
fn what_waits_for_who_is_missed_makes_room_for_who_is_here_and_is_reported() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let topic = world.devices[sender].swarm.join("chat");
    let crowd = limits::SEND_QUEUES / limits::SEND_QUEUE;
    let missed: Vec<usize> = (0..=crowd).map(|_| world.add(&[0])).collect();
    world.settle();
    for (index, device) in missed.iter().enumerate() {
        world.go_offline(*device);
        world.kill_sockets(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; MEBIBYTE]);
        }
        world.advance(seconds(13.0));
        let codes: Vec<_> = world.reports(sender).into_iter().map(|report| (report.code.name(), report.peer)).collect();
        if index < crowd {
            assert!(codes.is_empty(), "{codes:?}");
        } else {
            assert_eq!(codes, [("session-dropped", Some(FIRST))], "the one that left first");
        }
    }
}

#[test]
fn what_waits_for_who_is_missed_makes_room_though_its_link_is_still_open() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let (watch, topic) = (world.devices[sender].swarm.watch(), world.devices[sender].swarm.join("chat"));
    let crowd = limits::SEND_QUEUES / limits::SEND_QUEUE;
    let others: Vec<usize> = (0..=crowd).map(|_| world.add(&[0])).collect();
    let topics: Vec<HandleId> = others.iter().map(|device| world.devices[*device].swarm.join("chat")).collect();
    world.settle();
    for (index, device) in others[..crowd].iter().enumerate() {
        world.go_offline(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; MEBIBYTE]);
        }
    }
    world.advance(seconds(5.5));
    assert_eq!(world.presence(sender, watch).iter().filter(|peer| **peer < 0).count(), crowd, "they are missed");
    let here = PeerId(crowd as u32 + 1);
    world.devices[sender].swarm.send(topic, here, b"small".to_vec());
    let codes: Vec<_> = world.reports(sender).into_iter().map(|report| (report.code.name(), report.peer)).collect();
    assert_eq!(codes, [("session-dropped", Some(FIRST))], "the one that left first");
    assert_eq!(world.messages(others[crowd], topics[crowd]), [(FIRST, b"small".to_vec())]);
    // Each is back, on the old link or a new one. Who was given up is met anew.
    for device in &others[..crowd] {
        world.go_online(*device);
    }
    world.advance(seconds(20.0));
    let arrived: Vec<usize> = (0..crowd).map(|index| world.messages(others[index], topics[index]).len()).collect();
    assert_eq!(arrived, [0, 16, 16, 16]);
    assert_eq!(world.presence(sender, watch), [2, 3, 4, 1]);
    world.devices[sender].swarm.send(topic, FIRST, b"anew".to_vec());
    let arrived: Vec<Vec<u8>> = world.messages(others[0], topics[0]).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(arrived, [b"anew".to_vec()]);
}

#[test]
fn acknowledgements_do_not_cut_off_the_last_words_of_a_host() {
    let mut world = World::new(1);
    let (host, page) = (world.add_host(&[0]), world.add(&[0]));
    let (watch, heard) = (world.devices[page].swarm.watch(), world.devices[page].swarm.join("chat"));
    let topic = world.devices[host].swarm.join("chat");
    world.settle();
    assert_eq!(world.presence(page, watch), [1]);
    world.weather = Weather::new(Duration::from_millis(50), Duration::ZERO, Random::from_seed([1; 32]));
    world.devices[host].is_stuck = true;
    for number in 0..30_u32 {
        let mut message = vec![0; 60_000];
        message[..4].copy_from_slice(&number.to_le_bytes());
        world.devices[host].swarm.send(topic, FIRST, message);
    }
    world.advance(Duration::from_millis(150));
    world.devices[host].swarm.say_last_words(world.now);
    world.advance(Duration::from_millis(100));
    assert_eq!(world.reports(host), []);
    world.devices[host].is_stuck = false;
    let socket = world.socket(host, 0);
    world.devices[host].swarm.handle_socket_buffered(socket, 0);
    world.advance(seconds(20.0));
    let events = world.events(page);
    let arrived =
        events.iter().filter(|event| matches!(event, Event::Message { topic, .. } if *topic == heard)).count();
    assert!(arrived > 15, "{arrived} arrived");
    assert_eq!(presence_in(&events, watch), [-1]);
}

#[test]
fn a_message_to_who_left_costs_nobody_what_is_kept_for_him() {
    let mut world = World::new(1);
    let sender = world.add(&[0]);
    let topic = world.devices[sender].swarm.join("chat");
    let others: Vec<usize> = (0..5).map(|_| world.add(&[0])).collect();
    world.settle();
    world.devices[others[4]].swarm.close(world.now);
    world.settle();
    for (index, device) in others[..4].iter().enumerate() {
        world.go_offline(*device);
        world.kill_sockets(*device);
        for _ in 0..16 {
            world.devices[sender].swarm.send(topic, PeerId(index as u32 + 1), vec![0; MEBIBYTE]);
        }
        world.advance(seconds(13.0));
    }
    world.events(sender);
    world.devices[sender].swarm.send(topic, PeerId(5), vec![0; 1 << 20]);
    assert_eq!(world.reports(sender), []);
}
