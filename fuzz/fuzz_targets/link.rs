//! A proved link and a remote that has the drive key and seals anything: the link ends with an error or goes on, delivers no
//! more than it was sent, and holds no more than its limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::budget::Budget;
use peersockets_core::channel::peersockets::{PROTOCOL, open_handshake};
use peersockets_core::conversation::LinkEvent;
use peersockets_core::error::LinkError;
use peersockets_core::limits;
use peersockets_core::link::Link;
use peersockets_core::secure::{Role, Secure};
use peersockets_core::time::{Duration, Time};
use peersockets_core::wire::encoding::Encode;
use peersockets_fuzz::{Step, device, drive, entropy, link, steps};

/// Small, so that a fuzzer gets there.
const BUDGET: usize = 300;

fuzz_target!(|input: &[u8]| {
    let budget = Budget::new(BUDGET);
    let mut now = Time::default();
    let mut link = link(Role::Responder, &budget, false);
    let mut remote = Secure::new(Role::Initiator, &device(2), entropy(2));
    prove(&mut link, &mut remote);

    let (mut sent, mut received) = (0, 0);
    for Step { what, bytes } in steps(input).take(256) {
        let mut events = Vec::new();
        let outcome = match what & 7 {
            // Most steps are frames of the remote.
            0..4 => {
                assert!(remote.seal(bytes.to_vec()));
                sent += bytes.len();
                link.handle_bytes(now, &remote.take_output(usize::MAX), &|topic: &str| topic != "unwanted", &mut events)
            }
            4 => {
                let topic = format!("{}", what >> 3).into();
                let sends = link.send(&topic, bytes.repeat(usize::from(what >> 3)));
                sends.map_err(|_| LinkError::Unread)
            }
            5 => {
                let taken = link.take_output(bytes.len() * 100);
                assert!(taken.len() <= bytes.len() * 100);
                remote.handle_bytes(&taken);
                while remote.poll_frame(limits::SEALED_FRAME).expect("we write what can be read").is_some() {}
                Ok(())
            }
            6 => {
                now = now + Duration::from_millis(u64::from(what) * 40);
                link.handle_timeout(now)
            }
            _ => {
                link.goodbye(None);
                Ok(())
            }
        };
        for event in events {
            match event {
                LinkEvent::Message { number, topic, bytes } => {
                    assert_eq!(number, None, "there is no session");
                    assert_ne!(&*topic, "unwanted");
                    received += bytes.len();
                }
                LinkEvent::Lost { length, .. } => assert!(length > 0 && length <= limits::MESSAGE),
                LinkEvent::Goodbye(_) | LinkEvent::Acknowledged(_) => {}
                LinkEvent::Signal(_) => panic!("this device takes no signals"),
                LinkEvent::Unwanted { .. } | LinkEvent::Part(_) | LinkEvent::SessionOffered => {
                    panic!("there is no session")
                }
                LinkEvent::Proved(_) => panic!("it was proved before"),
            }
        }
        assert!(received <= sent, "{received} bytes of {sent}");
        assert!(budget.used() <= BUDGET.min(sent));
        if outcome.is_err() {
            break;
        }
    }
    drop(link);
    assert_eq!(budget.used(), 0);
});

fn prove(link: &mut Link, remote: &mut Secure) {
    let mut events = Vec::new();
    let mut has_opened = false;
    while !link.is_proved() {
        let bytes = remote.take_output(usize::MAX);
        link.handle_bytes(Time::default(), &bytes, &|_: &str| true, &mut events).expect("an honest remote");
        remote.handle_bytes(&link.take_output(usize::MAX));
        while remote.poll_frame(limits::SEALED_FRAME).expect("an honest link").is_some() {}
        if let (Some(hash), false) = (remote.handshake_hash(), has_opened) {
            let mut open = vec![0, 1, 1];
            open.put_string(PROTOCOL);
            open.put_buffer(&drive().channel_id(hash));
            open.extend(open_handshake(&drive(), Role::Initiator, hash, &Default::default()));
            has_opened = remote.seal(open);
        }
    }
    assert_eq!(remote.output_length() + link.take_output(usize::MAX).len(), 0);
}
