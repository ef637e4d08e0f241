//! A byte stream and how it is cut: the frames are those of the whole stream, and no more memory is held than arrived.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peersockets_core::error::WireError;
use peersockets_core::wire::framing::FrameReader;
use peersockets_fuzz::steps;

fuzz_target!(|input: &[u8]| {
    // The first byte limits the frames, the rest is the stream in chunks.
    let Some((limit, input)) = input.split_first() else {
        return;
    };
    let limit = usize::from(*limit);
    let stream: Vec<u8> = steps(input).flat_map(|step| step.bytes).copied().collect();

    let mut reader = FrameReader::default();
    let mut read = Vec::new();
    let mut outcome = Ok(());
    for step in steps(input) {
        reader.push(step.bytes);
        while outcome.is_ok() {
            match reader.next_frame(limit) {
                Ok(Some(frame)) => read.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => outcome = Err(error),
            }
        }
        if outcome.is_err() {
            break;
        }
        // A whole frame below the limit, a chunk behind it, and what a growing vector leaves free.
        assert!(reader.allocated() <= 2 * (3 + limit + 255) + 64, "{} bytes", reader.allocated());
    }
    assert_eq!((read, outcome), frames_of(&stream, limit));
});

/// The frames of a stream that is all there.
fn frames_of(mut stream: &[u8], limit: usize) -> (Vec<Vec<u8>>, Result<(), WireError>) {
    let mut frames = Vec::new();
    while let [low, middle, high, rest @ ..] = stream {
        let length = usize::from(*low) + usize::from(*middle) * 256 + usize::from(*high) * 65_536;
        if length > limit {
            return (frames, Err(WireError::FrameTooLong));
        }
        if length > rest.len() {
            break;
        }
        let (frame, rest) = rest.split_at(length);
        frames.push(frame.to_vec());
        stream = rest;
    }
    (frames, Ok(()))
}
