//! Two muxes, whatever is asked of them, and frames that a hostile remote might send: honest frames never end a stream, ids are
//! dense, and what is written is bounded by what was asked and read.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use peersockets_core::wire::encoding::Reader;
use peersockets_core::wire::mux::{ChannelId, Mux, MuxEvent};
use peersockets_fuzz::{Step, steps};

#[derive(Default)]
struct End {
    mux: Mux,
    channels: Vec<ChannelId>,
    /// Frames on their way to the other end.
    written: VecDeque<Vec<u8>>,
    opens: u64,
    has_failed: bool,
    /// Whether a frame came that the other end did not write.
    was_deceived: bool,
}

impl End {
    fn open(&mut self, name: u8) {
        let protocol = ["alpha", "beta", "gamma", "delta"][usize::from(name & 3)];
        self.channels.extend(self.mux.open(protocol, &[name >> 2 & 1], &[name]));
        self.opens += 1;
        self.write(1);
    }

    fn read(&mut self, frame: &[u8]) {
        if self.has_failed {
            return;
        }
        let (mut events, mut payloads) = (0, 0);
        let outcome = self.mux.handle_frame(frame, &mut |event| {
            events += 1;
            if let MuxEvent::Message { payload, .. } | MuxEvent::Opened { handshake: payload, .. } = event {
                payloads += payload.len();
            }
            Ok(())
        });
        self.has_failed = outcome.is_err();
        assert!(!self.has_failed || self.was_deceived, "{outcome:?} by an honest frame: {frame:?}");
        assert!(events <= frame.len() && payloads <= frame.len());
        // A reject is the only answer there is; an Open takes at least 5 bytes.
        self.write(1 + frame.len() / 5);
    }

    /// Takes what the last step wrote: at most so many frames.
    fn write(&mut self, at_most: usize) {
        let mut count = 0;
        while let Some(frame) = self.mux.poll_frame() {
            let mut reader = Reader::new(&frame);
            if let (Ok(0), Ok(1), Ok(id)) = (reader.uint(), reader.uint(), reader.uint()) {
                assert!((1..=self.opens).contains(&id), "id {id} after {} opens", self.opens);
            }
            self.written.push_back(frame);
            count += 1;
        }
        assert!(count <= at_most, "{count} frames");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut ends = [End::default(), End::default()];
    for Step { what, bytes } in steps(input).take(512) {
        let [first, second] = &mut ends;
        let (end, other) = if what & 1 == 0 { (first, second) } else { (second, first) };
        let argument = bytes.first().copied().unwrap_or_default();
        let channel = (!end.channels.is_empty()).then(|| end.channels[usize::from(argument) % end.channels.len()]);
        match (what >> 1 & 7, channel) {
            (0 | 1, _) => end.open(argument),
            (2, Some(channel)) => {
                end.mux.send(channel, what.into(), bytes);
                end.write(1);
            }
            (3, Some(channel)) => {
                end.mux.close(channel);
                end.write(1);
            }
            (4..=6, _) => {
                let frames = std::mem::take(&mut other.written);
                end.was_deceived |= other.was_deceived;
                frames.iter().for_each(|frame| end.read(frame));
            }
            (7, _) => {
                end.was_deceived = true;
                end.read(bytes);
            }
            _ => {}
        }
    }
});
