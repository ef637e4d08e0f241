//! Frames and transcripts of npm `protomux`, played against our `Mux`.

mod vectors;

use std::collections::HashMap;

use peersockets_core::error::{LinkError, MuxViolation, WireError};
use peersockets_core::wire::mux::{ChannelId, Mux, MuxEvent};
use serde_json::Value;
use vectors::{bytes, bytes_or_none, list, number, text};

/// Every call that makes npm `protomux` write makes us write the same bytes, and we understand them. What it writes when it is uncorked
/// is what we write as a batch, except that one frame by itself is none with us.
#[test]
fn mux_frames_match_npm_protomux() {
    let vectors = vectors::read("protomux.json");
    let (corked, plain): (Vec<_>, Vec<_>) = list(&vectors["frames"]).iter().partition(|case| has_call(case, "cork"));
    assert_eq!((corked.len(), plain.len()), (7, 18));
    for case in plain {
        assert_eq!(play(case), as_recorded(case), "{}", case["name"]);
    }
    for case in corked {
        let mut expected = as_recorded(case);
        if let Some((_, frame)) = BY_THEMSELVES.iter().find(|(name, _)| *name == text(&case["name"])) {
            expected.last_mut().unwrap().wrote = vec![(*frame).into()];
        }
        assert_eq!(play(case), expected, "{}", case["name"]);
        assert_eq!(understood(case), as_called(case), "{}", case["name"]);
    }
}

/// What we write where JavaScript makes a batch of one.
const BY_THEMSELVES: [(&str, &str); 2] =
    [("corked: one message is a batch too", "010078"), ("corked: one open is a batch too", "00010105616c70686100")];

/// Where we do not do as JavaScript does with the frames of an orderly or a hostile remote.
const DEVIATIONS: [(&str, Ours, &str); 5] = [
    (
        "a batch in a batch",
        Ours::EndsAfter(0, LinkError::Mux(MuxViolation::NestedBatch)),
        "JavaScript never writes one",
    ),
    (
        "a batch whose last message is shorter than its length",
        Ours::EndsAfter(1, LinkError::Malformed(WireError::Truncated)),
        "half a message is no message",
    ),
    (
        "a batch with a length of 2^53 - 1",
        Ours::EndsAfter(0, LinkError::Malformed(WireError::Truncated)),
        "half a message is no message",
    ),
    (
        "an open with id 0",
        Ours::EndsAfter(0, LinkError::Mux(MuxViolation::OpenId)),
        "JavaScript refuses it too, by accident: it stumbles over 0 - 1",
    ),
    ("open and messages in one batch that nobody pairs", Ours::Writes(&["000201"]), "one answer is no batch"),
];

enum Ours {
    /// The last step gives so many of JavaScript's events, then this error.
    EndsAfter(usize, LinkError),
    /// The last step writes these frames instead.
    Writes(&'static [&'static str]),
}

#[test]
fn npm_protomux_transcripts_are_understood() {
    let vectors = vectors::read("protomux.json");
    let transcripts = list(&vectors["transcripts"]);
    let (skipped, played): (Vec<_>, Vec<_>) =
        transcripts.iter().partition(|case| has_call(case, "pair") || has_call(case, "cork"));
    assert_eq!(skipped.len(), 14, "those that pair, and one corked: our mux has neither call");
    assert_eq!(played.len(), 68);

    let mut deviations = 0;
    for case in played {
        let mut expected = as_recorded(case);
        if let Some((_, ours, _)) = DEVIATIONS.iter().find(|(name, ..)| *name == text(&case["name"])) {
            deviations += 1;
            let last = expected.last_mut().unwrap();
            match ours {
                Ours::EndsAfter(events, error) => {
                    last.events.truncate(*events);
                    last.error = Some(*error);
                }
                Ours::Writes(frames) => last.wrote = frames.iter().map(ToString::to_string).collect(),
            }
        }
        assert_eq!(play(case), expected, "{}", case["name"]);
    }
    assert_eq!(deviations, DEVIATIONS.len(), "every deviation is one of the vectors");
}

/// What came of one step.
#[derive(Debug, Default, PartialEq)]
struct Step {
    events: Vec<Event>,
    wrote: Vec<String>,
    error: Option<LinkError>,
}

#[derive(Debug, PartialEq)]
enum Event {
    /// The handshake is empty where JavaScript's channel expects none and so shows none.
    Opened(String, Vec<u8>),
    Message(String, u64, Vec<u8>),
    Closed(String),
}

/// What JavaScript did, step by step. A stream's end and a close of our own are no events of our mux: its caller knows of them.
fn as_recorded(case: &Value) -> Vec<Step> {
    list(&case["steps"]).iter().map(recorded_step).collect()
}

fn recorded_step(step: &Value) -> Step {
    let mut recorded = Step::default();
    for then in list(&step["then"]) {
        let channel = || text(&then["channel"]).to_string();
        match text(&then["event"]) {
            "wrote" => recorded.wrote.push(text(&then["frame"]).into()),
            "opened" => recorded.events.push(Event::Opened(channel(), bytes_or_none(&then["handshake"]))),
            "message" => {
                recorded.events.push(Event::Message(channel(), number(&then["type"]), bytes(&then["payload"])));
            }
            "closed" if then["by"] == "remote" => recorded.events.push(Event::Closed(channel())),
            "closed" | "not_created" => {}
            "stream_destroyed" => {
                recorded.error = then["error"].as_str().map(meaning);
                // JavaScript goes on to close each channel; with us the whole stream is gone.
                return recorded;
            }
            "stream_ended" => return recorded,
            other => panic!("{other:?} is an event that this test does not know"),
        }
    }
    recorded
}

fn meaning(error: &str) -> LinkError {
    match error {
        "Out of bounds" => WireError::Truncated.into(),
        "Invalid open message" => LinkError::Mux(MuxViolation::OpenId),
        "Invalid reject message" => LinkError::Mux(MuxViolation::RejectId),
        error if error.starts_with("uint must be between") => WireError::UintTooLarge.into(),
        other => panic!("{other:?} is an error that this test does not know"),
    }
}

/// Plays a case's calls on our mux.
fn play(case: &Value) -> Vec<Step> {
    let mut ours = Ends::default();
    list(&case["steps"]).iter().map(|step| ours.step(step)).collect()
}

#[derive(Default)]
struct Ends {
    mux: Mux,
    /// By the name that the case gives it.
    channels: HashMap<String, ChannelId>,
    opens: HashMap<ChannelId, Open>,
    /// How often JavaScript was corked, and not uncorked since.
    corks: usize,
}

/// What a case's `open` said of a channel.
struct Open {
    name: String,
    has_handshake: bool,
    types: u64,
    echo: bool,
}

impl Ends {
    fn step(&mut self, step: &Value) -> Step {
        let mut done = Step::default();
        match text(&step["call"]) {
            "open" => self.open(step),
            "send" => {
                self.mux.send(self.channels[text(&step["channel"])], number(&step["type"]), &bytes(&step["payload"]))
            }
            "close" => self.mux.close(self.channels[text(&step["channel"])]),
            "receive" => done.error = self.receive(&bytes(&step["frame"]), &mut done.events).err(),
            "cork" => self.corks += 1,
            "uncork" => self.corks -= 1,
            "end" => {}
            other => panic!("{other:?} is a call that our mux does not have"),
        }
        let mut written = Vec::new();
        while self.corks == 0
            && let Some(frame) = self.mux.poll_batch(usize::MAX)
        {
            written.push(hex(&frame));
        }
        done.wrote = written;
        done
    }

    fn open(&mut self, step: &Value) {
        let handshake = bytes_or_none(&step["handshake"]);
        let Some(id) = self.mux.open(text(&step["protocol"]), &bytes_or_none(&step["id"]), &handshake) else {
            return;
        };
        let open = Open {
            name: text(&step["channel"]).into(),
            has_handshake: !step["handshake"].is_null(),
            types: number(&step["types"]),
            echo: step["echo"] == true,
        };
        self.channels.insert(open.name.clone(), id);
        self.opens.insert(id, open);
    }

    /// JavaScript's channels ignore types that they were not given; so does what is above our mux.
    fn receive(&mut self, frame: &[u8], events: &mut Vec<Event>) -> Result<(), LinkError> {
        let mut echoes = Vec::new();
        let opens = &self.opens;
        self.mux.handle_frame(frame, &mut |event| {
            match event {
                MuxEvent::Opened { channel, handshake } => {
                    let open = &opens[&channel];
                    let shown = if open.has_handshake { handshake } else { &[] };
                    events.push(Event::Opened(open.name.clone(), shown.to_vec()));
                }
                MuxEvent::Message { channel, kind, payload } if kind < opens[&channel].types => {
                    if opens[&channel].echo {
                        echoes.push((channel, kind, payload.to_vec()));
                    }
                    events.push(Event::Message(opens[&channel].name.clone(), kind, payload.to_vec()));
                }
                MuxEvent::Message { .. } => {}
                MuxEvent::Closed { channel } => events.push(Event::Closed(opens[&channel].name.clone())),
            }
            Ok(())
        })?;
        for (channel, kind, payload) in echoes {
            self.mux.send(channel, kind, &payload);
        }
        Ok(())
    }
}

/// What a mux of ours that wants every channel of a case reads in the frames that JavaScript wrote.
fn understood(case: &Value) -> Vec<Event> {
    let mut ours = Ends::default();
    let steps = list(&case["steps"]);
    steps.iter().filter(|step| step["call"] == "open").for_each(|step| ours.open(step));
    let mut events = Vec::new();
    for then in steps.iter().flat_map(|step| list(&step["then"])).filter(|then| then["event"] == "wrote") {
        ours.receive(&bytes(&then["frame"]), &mut events).unwrap();
    }
    events
}

/// What a case's calls say to the remote.
fn as_called(case: &Value) -> Vec<Event> {
    let steps = list(&case["steps"]).iter().filter(|step| !matches!(text(&step["call"]), "cork" | "uncork"));
    let called = |step: &Value| {
        let channel = text(&step["channel"]).to_string();
        match text(&step["call"]) {
            "open" => Event::Opened(channel, bytes_or_none(&step["handshake"])),
            "send" => Event::Message(channel, number(&step["type"]), bytes(&step["payload"])),
            "close" => Event::Closed(channel),
            other => panic!("{other:?} says nothing to the remote"),
        }
    };
    steps.map(called).collect()
}

fn has_call(case: &Value, call: &str) -> bool {
    list(&case["steps"]).iter().any(|step| step["call"] == call)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
