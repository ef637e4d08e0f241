//! What two devices say to each other on their channel so that they become directly connected (PROTOCOL.md §15).

use super::Candidate;
use crate::error::WireError;
use crate::limits;
use crate::wire::encoding::{Encode, Reader};

/// The types of signals on the channel `peersockets/1`: those that are not known belong to a newer device.
pub const SIGNALS: std::ops::RangeInclusive<u64> = 32..=47;
const OFFER: u64 = 32;
const ANSWER: u64 = 33;
const CANDIDATE: u64 = 34;
const CLOSE: u64 = 35;
/// Why an attempt is closed, behind its number: whoever offered it is to leave it for a while. Builds that say no reason say nothing there.
const NO_PLACE: u64 = 1;

/// A signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Which attempt of the two devices it belongs to.
    pub attempt: u64,
    /// What it says of that.
    pub said: Said,
}

/// What is said of an attempt to become directly connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The sender's description, which wants an answer.
    Offer(String),
    /// The sender's description, for the offer of the other.
    Answer(String),
    /// A way by which the sender may be reached.
    Candidate(Candidate),
    /// The attempt, and all before it, are over.
    Close,
    /// The same, because the sender has no place for one more connection.
    NoPlace,
}

impl Signal {
    /// The type and the payload of its message.
    pub fn encode(&self) -> (u64, Vec<u8>) {
        let mut payload = Vec::new();
        payload.put_uint(self.attempt);
        let kind = match &self.said {
            Said::Offer(description) => {
                payload.put_string(description);
                OFFER
            }
            Said::Answer(description) => {
                payload.put_string(description);
                ANSWER
            }
            Said::Candidate(Candidate { candidate, mid }) => {
                payload.put_string(candidate);
                payload.put_string(mid.as_deref().unwrap_or_default());
                CANDIDATE
            }
            Said::Close => CLOSE,
            Said::NoPlace => {
                payload.put_uint(NO_PLACE);
                CLOSE
            }
        };
        (kind, payload)
    }

    /// Reads a message of one of the [`SIGNALS`]; `None` for a type of a newer device.
    pub fn decode(kind: u64, payload: &[u8]) -> Result<Option<Self>, WireError> {
        let mut reader = Reader::new(payload);
        let string = |longest: usize, reader: &mut Reader<'_>| match reader.string()? {
            text if text.len() > longest => Err(WireError::FrameTooLong),
            text => Ok(text.to_string()),
        };
        if !(OFFER..=CLOSE).contains(&kind) {
            return Ok(None);
        }
        let attempt = reader.uint()?;
        let said = match kind {
            OFFER => Said::Offer(string(limits::DESCRIPTION, &mut reader)?),
            ANSWER => Said::Answer(string(limits::DESCRIPTION, &mut reader)?),
            CANDIDATE => {
                let candidate = string(limits::CANDIDATE, &mut reader)?;
                let mid = string(limits::CANDIDATE, &mut reader)?;
                Said::Candidate(Candidate { candidate, mid: (!mid.is_empty()).then_some(mid) })
            }
            _ if reader.uint() == Ok(NO_PLACE) => Said::NoPlace,
            _ => Said::Close,
        };
        Ok(Some(Self { attempt, said }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(candidate: &str, mid: Option<&str>) -> Said {
        Said::Candidate(Candidate { candidate: candidate.into(), mid: mid.map(Into::into) })
    }

    #[test]
    fn every_signal_reads_back_as_it_was_written() {
        let all = [Said::Offer("o".repeat(limits::DESCRIPTION)), Said::Answer("a".into()), candidate("c", Some("0"))];
        for said in all.into_iter().chain([candidate("", None), Said::Close]) {
            let signal = Signal { attempt: 70_000, said };
            let (kind, payload) = signal.encode();
            assert_eq!(Signal::decode(kind, &payload), Ok(Some(signal)));
            for cut in 0..payload.len() {
                assert_eq!(Signal::decode(kind, &payload[..cut]), Err(WireError::Truncated), "{kind} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_close_for_want_of_a_place_is_a_close_to_those_who_know_no_reasons() {
        let signal = |said| Signal { attempt: 5, said };
        let (kind, payload) = signal(Said::NoPlace).encode();
        let (close, number) = signal(Said::Close).encode();
        assert!(kind == close && payload.starts_with(&number), "what follows the number is ignored");
        assert_eq!(Signal::decode(kind, &payload), Ok(Some(signal(Said::NoPlace))));
        for reason in [&[][..], &[0], &[2], &[0xfd], &[0xff, 1]] {
            let payload = [&number[..], reason].concat();
            assert_eq!(Signal::decode(kind, &payload), Ok(Some(signal(Said::Close))), "{reason:?}");
        }
    }

    #[test]
    fn signals_of_a_newer_device_are_ignored_and_those_too_long_refused() {
        assert_eq!(Signal::decode(36, &[0xff, 2, 3]), Ok(None));
        assert_eq!(Signal::decode(CLOSE, &[5, 0xaa]), Ok(Some(Signal { attempt: 5, said: Said::Close })));
        for said in
            [Said::Offer("o".repeat(limits::DESCRIPTION + 1)), candidate(&"c".repeat(limits::CANDIDATE + 1), None)]
        {
            let (kind, payload) = Signal { attempt: 1, said }.encode();
            assert_eq!(Signal::decode(kind, &payload), Err(WireError::FrameTooLong));
        }
    }
}
