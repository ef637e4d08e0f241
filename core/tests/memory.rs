//! Malformed links leave nothing behind. Alone in its binary: it measures the memory of the whole process.

mod devices;

use devices::{End, Noise, Stranger, drive, framed};
use peersockets_core::secure::{DeviceKey, Role};
use peersockets_core::time::Time;

#[test]
fn memory_stays_flat_over_100_000_malformed_links() {
    let mut cases = Cases::new();
    cases.run(1_000);
    let early = resident_bytes();
    cases.run(99_000);
    let late = resident_bytes();
    assert!(cases.ended > 50_000, "{} links ended", cases.ended);
    assert!(late <= early + 5 * 1024 * 1024, "{early} bytes after 1,000 cases, {late} after 100,000");
}

struct Cases {
    noise: Noise,
    device: DeviceKey,
    /// One that lives on: what it is sent is ignored.
    lasting: (End, Stranger),
    ended: u32,
}

impl Cases {
    fn new() -> Self {
        let mut end = End::new(Role::Responder, 1, drive());
        let stranger = Stranger::proved(&mut end);
        Self { noise: Noise(3), device: devices::device(1), lasting: (end, stranger), ended: 0 }
    }

    fn run(&mut self, count: u32) {
        for index in 0..count {
            let length = (self.noise.next() % 600) as usize;
            let bytes = self.noise.bytes(length);
            match index % 100 {
                0 => self.after_a_handshake(&bytes),
                1..40 => self.ignored(&bytes),
                _ => self.before_a_handshake(&bytes),
            }
        }
    }

    fn before_a_handshake(&mut self, bytes: &[u8]) {
        let mut end = End::of(Role::Responder, &self.device, devices::entropy(1), drive());
        let first = if bytes.len().is_multiple_of(2) { vec![0xff; 3] } else { framed(&bytes[..bytes.len().min(31)]) };
        self.ended += u32::from(end.read(Time::default(), &first).is_err());
    }

    fn after_a_handshake(&mut self, bytes: &[u8]) {
        let mut end = End::new(Role::Responder, 1, drive());
        let mut stranger = Stranger::proved(&mut end);
        // A message that is never whole.
        stranger.say(&mut end, &[1, 0, 0, 1, b'a']).unwrap();
        stranger.say(&mut end, &[&[1, 2, 0, 0xfe, 0, 0, 0x10, 0], bytes].concat()).unwrap();
        assert_eq!(end.budget.used(), bytes.len());
        self.ended += u32::from(end.read(Time::default(), &framed(bytes)).is_err());
    }

    fn ignored(&mut self, bytes: &[u8]) {
        let (end, stranger) = &mut self.lasting;
        let unwanted_open = [0, 1, 2, 5, b'a', b'l', b'p', b'h', b'a', 0];
        let unknown_channel = [&[7, 0], bytes].concat();
        let unknown_type = [&[1, 0xfd, 0xff, 0xff], bytes].concat();
        for plaintext in [&unwanted_open[..], &unknown_channel, &unknown_type] {
            stranger.say(end, plaintext).unwrap();
        }
        stranger.heard.clear();
        assert!(end.events.is_empty());
    }
}

/// The process's memory in use, as Linux counts it.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells a process its size");
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("its second number is what is resident");
    pages * 4096
}
