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
    // Nothing grew by a number that a remote sent, not even for a moment.
    let peak = peak_bytes();
    assert!(peak <= late + 8 * 1024 * 1024, "{peak} bytes at once, {late} in the end");
}

struct Cases {
    noise: Noise,
    device: DeviceKey,
    /// One that lives on: what it is sent is ignored.
    lasting: (End, Stranger),
    /// One to a drive peer that lives on.
    replicating: (End, Stranger),
    ended: u32,
}

impl Cases {
    fn new() -> Self {
        let mut end = End::new(Role::Responder, 1, drive());
        let lasting = Stranger::proved(&mut end);
        let mut drive_peer = End::towards_drive_peer(1, drive());
        let replicating = Stranger::replicating(&mut drive_peer);
        Self {
            noise: Noise(3),
            device: devices::device(1),
            lasting: (end, lasting),
            replicating: (drive_peer, replicating),
            ended: 0,
        }
    }

    fn run(&mut self, count: u32) {
        for index in 0..count {
            let length = (self.noise.next() % 600) as usize;
            let bytes = self.noise.bytes(length);
            match index % 100 {
                0 => self.after_a_handshake(&bytes),
                1 => self.of_a_drive_peer(&bytes),
                2..38 => self.ignored(&bytes),
                38..40 => self.ignored_of_a_drive_peer(&bytes),
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

    fn of_a_drive_peer(&mut self, bytes: &[u8]) {
        let mut end = End::towards_drive_peer(1, drive());
        let mut stranger = match bytes.len() % 2 {
            0 => Stranger::meet(&mut end),
            _ => Stranger::replicating(&mut end),
        };
        let outcome = match bytes.len() % 4 {
            // Nothing but the beginning of a long frame comes.
            0 => end
                .read(Time::default(), &[&[0, 0, 8][..], bytes].concat())
                .and_then(|()| end.read(Time::default(), &[0])),
            1 => end.read(Time::default(), &[&[0xff; 3][..], bytes].concat()),
            // An Open of channel 2^24, and one of 2^62.
            2 => stranger.say(&mut end, &[&[0, 1, 0xfe, 0, 0, 0, 1][..], bytes].concat()),
            _ => stranger.say(&mut end, &[&[0, 1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x40][..], bytes].concat()),
        };
        self.ended += u32::from(outcome.is_err());
        assert!(end.events.is_empty());
    }

    fn ignored_of_a_drive_peer(&mut self, bytes: &[u8]) {
        let (end, stranger) = &mut self.replicating;
        let core = [&[0, 1, 2, 15][..], b"hypercore/alpha", &[32], &[7; 32], &[0; 33]].concat();
        let data = [&[1, 3], bytes].concat();
        let other_extension = [&[1, 9, 5][..], b"other", bytes].concat();
        // Longer than what the link keeps for good.
        let block = [&[1, 3], &bytes.repeat(300)[..]].concat();
        let request = [1, 1, 1, 9];
        for plaintext in [&core[..], &data, &other_extension, &block, &request] {
            stranger.say(end, plaintext).unwrap();
        }
        assert_eq!(stranger.heard.len(), 2, "a reject, and no data");
        stranger.heard.clear();
        assert!(end.events.is_empty());
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

/// The most memory that the process had in use at once.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells a process its size");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("one of its lines");
    1024 * peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

/// The process's memory in use, as Linux counts it.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells a process its size");
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("its second number is what is resident");
    pages * 4096
}
