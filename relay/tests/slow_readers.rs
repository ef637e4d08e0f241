//! Credit: whoever does not read costs the others neither memory nor time, and whoever sends to it is told to slow down.

mod common;

use std::collections::BTreeMap;

use common::{Client, Event, MANY_SOCKETS, ROOM, Relay, encoded, line};
use futures_util::SinkExt;
use peersockets_core::credit::Flow;
use peersockets_core::limits::{CIRCUIT_CHUNK, CREDIT_BASE, DATA_COST};
use peersockets_core::rendezvous::{HangupReason, Line, Member, ToRelay};
use peersockets_core::time::Time;
use tokio_tungstenite::tungstenite::Message;

/// Bytes that someone sends who does not care for credit.
const FLOOD: usize = 100 * 1024 * 1024;
const QUEUE: usize = 1024 * 1024;
/// What a queue may hold beyond its capacity for small frames.
const CONTROL_RESERVE: usize = 64 * 1024;
/// Nobody is closed as a slow reader, nor read slowly, while it is looked at.
const PATIENT: [&str; 3] = ["--write-timeout=600", "--client-rate=1000000000", "--client-burst=1000000000"];

/// A client that keeps to credit and reports what it reads.
struct Keeper {
    client: Client,
    flows: BTreeMap<Line, Flow>,
    /// Circuits of which it reports nothing.
    neglected: Vec<Line>,
    received: usize,
    lent: u64,
}

impl Keeper {
    async fn join(relay: &Relay) -> Self {
        Self::enter(Client::connect(relay).await).await
    }

    async fn enter(mut client: Client) -> Self {
        client.enter(ROOM).await;
        client.send(ToRelay::Flow).await;
        // Before that nobody who sends to it is held to credit.
        client.heard().await;
        Self { client, flows: BTreeMap::new(), neglected: Vec::new(), received: 0, lent: 0 }
    }

    fn member(&self) -> Member {
        self.client.member
    }

    async fn dial(&mut self, other: &mut Self) -> Line {
        let dialled = line(other.member(), 1);
        self.client.send(ToRelay::Dial(dialled)).await;
        self.flows.insert(dialled, Flow::default());
        let told = line(self.member(), 1);
        assert_eq!(other.event().await, Event::Dialed(told));
        other.flows.insert(told, Flow::default());
        dialled
    }

    async fn event(&mut self) -> Event {
        let event = self.client.event().await;
        match &event {
            Event::Credit(line, amount) => {
                self.lent += amount;
                self.flows.get_mut(line).expect("an open circuit").lend(Time::default(), *amount);
            }
            Event::Data(line, bytes) => {
                self.received += bytes.len();
                let consumed = self.flows.get_mut(line).and_then(|flow| flow.consume(bytes.len()));
                if let Some(amount) = consumed.filter(|_| !self.neglected.contains(line)) {
                    self.client.send(ToRelay::Consumed(*line, amount)).await;
                }
            }
            _ => {}
        }
        event
    }

    /// The next event that is neither bytes nor credit.
    async fn end(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::Data(..) | Event::Credit(..) => {}
                event => return event,
            }
        }
    }

    /// Sends what the credit allows. Returns how many bytes that were.
    async fn use_up(&mut self, to: Line) -> usize {
        let mut sent = 0;
        while let flow = self.flows.get_mut(&to).expect("an open circuit")
            && let chunk @ 1.. = flow.chunk()
        {
            flow.spend(chunk);
            self.client.send(ToRelay::Data(to, &vec![7; chunk])).await;
            sent += chunk;
        }
        sent
    }

    /// Sends to one who reads, so that more and more is lent.
    async fn warm_up(&mut self, to: Line, reader: &mut Self) {
        for _ in 0..12 {
            let expected = reader.received + self.use_up(to).await;
            while reader.received < expected {
                reader.event().await;
            }
            // What is lent for it comes before what the reader says after it.
            reader.say(line(self.member(), to.circuit), self).await;
        }
    }

    /// A message to another member and its answer.
    async fn exchange(&mut self, to: Line, other: &mut Self) {
        let back = line(self.member(), to.circuit);
        self.say(to, other).await;
        other.say(back, self).await;
    }

    async fn say(&mut self, to: Line, other: &mut Self) {
        const WORDS: &[u8] = b"still here";
        self.client.send(ToRelay::Data(to, WORDS)).await;
        self.flows.get_mut(&to).expect("an open circuit").spend(WORDS.len());
        loop {
            match other.event().await {
                Event::Data(from, bytes) => {
                    assert_eq!((from, &bytes[..]), (line(self.member(), to.circuit), WORDS));
                    return;
                }
                Event::Credit(..) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Sends a hundred megabytes, whatever the credit.
    async fn flood(&mut self, to: Line) {
        let chunk = encoded(ToRelay::Data(to, &[7; CIRCUIT_CHUNK]));
        for _ in 0..FLOOD / CIRCUIT_CHUNK {
            self.client.socket.feed(Message::Binary(chunk.clone().into())).await.expect("open");
        }
        self.client.socket.flush().await.expect("open");
    }
}

fn bound(members: usize) -> f64 {
    (QUEUE + members * CREDIT_BASE + CONTROL_RESERVE) as f64
}

#[tokio::test]
async fn a_socket_that_is_not_read_costs_others_neither_memory_nor_time() {
    let relay = Relay::start(&PATIENT);
    let mut stuck = Keeper::enter(Client::with_small_buffers(&relay).await).await;
    let (mut third, mut sender, mut other) =
        (Keeper::join(&relay).await, Keeper::join(&relay).await, Keeper::join(&relay).await);
    let to_stuck = sender.dial(&mut stuck).await;
    let to_third = sender.dial(&mut third).await;
    let other_to_third = other.dial(&mut third).await;
    sender.warm_up(to_stuck, &mut stuck).await;
    let before = relay.memory("VmRSS");

    // From here on it reads nothing. What was lent is sent, and no more comes.
    let sent = sender.use_up(to_stuck).await;
    assert!((QUEUE / 4..QUEUE).contains(&sent), "{sent} bytes");
    for _ in 0..200 {
        sender.exchange(to_third, &mut third).await;
        other.exchange(other_to_third, &mut third).await;
    }
    assert_eq!(sender.flows[&to_stuck].chunk(), 0, "the sender was told to slow down");
    assert!(relay.metric("credit_used_up_total").await >= 1.0);

    // One who does not listen loses the circuit, and its socket is read all the same.
    sender.flood(to_stuck).await;
    assert_eq!(sender.end().await, Event::HungUp(to_stuck, HangupReason::Violation));
    for _ in 0..200 {
        sender.exchange(to_third, &mut third).await;
        other.exchange(other_to_third, &mut third).await;
    }
    assert_eq!(relay.metric("waits_for_receiver_total").await, 0.0);
    assert_eq!(relay.metric("credit_violations_total").await, 1.0);
    let queued = relay.metric("queued_bytes").await;
    assert!(queued > 0.0 && queued <= bound(4), "{queued} bytes wait");
    let grown = relay.memory("VmHWM").saturating_sub(before);
    assert!(grown < 6 * 1024 * 1024, "{grown} bytes more at the highest");
}

#[tokio::test]
async fn a_circuit_that_is_not_read_costs_others_neither_memory_nor_time() {
    let relay = Relay::start(&PATIENT);
    let mut reader = Keeper::join(&relay).await;
    let (mut sender, mut other) = (Keeper::join(&relay).await, Keeper::join(&relay).await);
    let to_reader = sender.dial(&mut reader).await;
    let other_to_reader = other.dial(&mut reader).await;
    let to_other = line(sender.member(), 1);
    other.client.send(ToRelay::Dial(to_other)).await;
    assert_eq!(sender.event().await, Event::Dialed(line(other.member(), 1)));
    other.flows.insert(to_other, Flow::default());
    sender.flows.insert(line(other.member(), 1), Flow::default());
    let before = relay.memory("VmRSS");

    reader.neglected.push(line(sender.member(), 1));
    let sent = sender.use_up(to_reader).await;
    assert_eq!(sent + DATA_COST, CREDIT_BASE);
    while reader.received < sent {
        reader.event().await;
    }
    other.warm_up(other_to_reader, &mut reader).await;
    for _ in 0..200 {
        other.exchange(to_other, &mut sender).await;
        other.exchange(other_to_reader, &mut reader).await;
    }
    assert_eq!(sender.flows[&to_reader].chunk(), 0, "the sender was told to slow down");
    assert!(relay.metric("credit_used_up_total").await >= 1.0);

    sender.flood(to_reader).await;
    assert_eq!(sender.end().await, Event::HungUp(to_reader, HangupReason::Violation));
    assert_eq!(reader.end().await, Event::HungUp(line(sender.member(), 1), HangupReason::Violation));
    other.exchange(other_to_reader, &mut reader).await;
    assert_eq!(relay.metric("waits_for_receiver_total").await, 0.0);
    let grown = relay.memory("VmHWM").saturating_sub(before);
    assert!(grown < 6 * 1024 * 1024, "{grown} bytes more at the highest");
}

#[tokio::test]
async fn however_many_send_to_one_who_does_not_read_its_queue_stays_bounded() {
    const SENDERS: usize = 40;
    let relay = Relay::start(&[&PATIENT[..], &MANY_SOCKETS].concat());
    let mut stuck = Keeper::enter(Client::with_small_buffers(&relay).await).await;
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        let mut sender = Keeper::join(&relay).await;
        let to_stuck = sender.dial(&mut stuck).await;
        sender.warm_up(to_stuck, &mut stuck).await;
        senders.push((sender, to_stuck));
    }
    let lent = relay.metric("credit_lent_bytes").await;
    assert!(lent > QUEUE as f64 * 0.9 && lent < QUEUE as f64, "{lent} bytes are lent");
    let mut sent = 0;
    for (sender, to_stuck) in &mut senders {
        sent += sender.use_up(*to_stuck).await;
    }
    // That it is used up has happened before, when it was warmed up.
    relay.until_metric("credit_lent_bytes", |lent| lent == 0.0).await;
    let queued = relay.metric("queued_bytes").await;
    assert!(sent as f64 > QUEUE as f64 && queued <= bound(SENDERS + 1), "{queued} of {sent} bytes wait");
    assert_eq!(relay.metric("waits_for_receiver_total").await, 0.0);

    // It reads again: all arrives, and all may send again.
    let expected = stuck.received + sent;
    while stuck.received < expected {
        stuck.event().await;
    }
    for (sender, _) in &mut senders {
        assert!(matches!(sender.event().await, Event::Credit(..)));
    }
}

#[tokio::test]
async fn credit_that_is_given_back_or_whose_circuit_ends_is_free_again() {
    let relay = Relay::start(&PATIENT);
    let (mut reader, mut sender) = (Keeper::join(&relay).await, Keeper::join(&relay).await);
    let to_reader = sender.dial(&mut reader).await;
    sender.warm_up(to_reader, &mut reader).await;
    let lent = relay.metric("credit_lent_bytes").await;
    assert!(lent > QUEUE as f64 / 4.0, "{lent} bytes are lent");
    sender.client.send(ToRelay::Return(to_reader, lent as u64)).await;
    relay.until_metric("credit_lent_bytes", |lent| lent == 0.0).await;
    sender.flows.insert(to_reader, Flow::default());
    sender.warm_up(to_reader, &mut reader).await;
    assert!(relay.metric("credit_lent_bytes").await > QUEUE as f64 / 4.0);
    sender.client.close().await;
    relay.until_metric("credit_lent_bytes", |lent| lent == 0.0).await;
}

#[tokio::test]
async fn more_than_the_credit_ends_that_circuit_only() {
    let relay = Relay::start(&PATIENT);
    let (mut reader, mut sender) = (Keeper::join(&relay).await, Keeper::join(&relay).await);
    let mut third = Keeper::join(&relay).await;
    let to_reader = sender.dial(&mut reader).await;
    let third_to_sender = third.dial(&mut sender).await;
    sender.client.send(ToRelay::Data(to_reader, &[7; CREDIT_BASE - DATA_COST])).await;
    assert!(matches!(reader.client.event().await, Event::Data(..)), "all of the base is there at once");
    sender.client.send(ToRelay::Data(to_reader, b"x")).await;
    assert_eq!(reader.event().await, Event::HungUp(line(sender.member(), 1), HangupReason::Violation));
    assert_eq!(sender.event().await, Event::HungUp(to_reader, HangupReason::Violation));
    sender.client.send(ToRelay::Data(to_reader, b"stray")).await;
    third.exchange(third_to_sender, &mut sender).await;
    assert_eq!(relay.metric("credit_violations_total").await, 1.0);
    assert_eq!(relay.metric("stray_frames_total").await, 1.0);
}

#[tokio::test]
async fn last_words_go_beyond_the_credit_as_far_as_the_receivers_pool_goes() {
    let relay = Relay::start(&[&PATIENT[..], &["--queue=262144"]].concat());
    let mut reader = Keeper::enter(Client::with_small_buffers(&relay).await).await;
    let mut sender = Keeper::join(&relay).await;
    let to_reader = sender.dial(&mut reader).await;
    let words = vec![7; CIRCUIT_CHUNK];
    sender.client.send(ToRelay::LastWords(to_reader, &words)).await;
    assert_eq!(reader.event().await, Event::Data(line(sender.member(), 1), words.clone().into()));
    for _ in 0..20 {
        sender.client.send(ToRelay::LastWords(to_reader, &words)).await;
    }
    assert_eq!(sender.end().await, Event::HungUp(to_reader, HangupReason::Busy));
    assert_eq!(relay.metric("waits_for_receiver_total").await, 0.0);
    assert!(relay.metric("queued_bytes").await <= 262_144.0);
}

#[tokio::test]
async fn a_dial_to_a_member_whose_queue_is_full_is_busy_at_once() {
    let relay = Relay::start(&[&PATIENT[..], &["--queue=65536", "--queue-timeout=600"]].concat());
    let mut stuck = Client::with_small_buffers(&relay).await;
    stuck.enter(ROOM).await;
    let (mut old, _) = Client::join(&relay, ROOM).await;
    let mut caller = Keeper::join(&relay).await;
    let to_stuck = line(stuck.member, 1);
    caller.client.send(ToRelay::Dial(to_stuck)).await;
    relay.until_metric("circuits", |circuits| circuits == 1.0).await;
    let flooding = tokio::spawn(async move {
        old.send(ToRelay::Dial(to_stuck)).await;
        let chunk = encoded(ToRelay::Data(to_stuck, &[7; CIRCUIT_CHUNK]));
        while old.socket.send(Message::Binary(chunk.clone().into())).await.is_ok() {}
    });
    relay.until_metric("waits_for_receiver_total", |waits| waits > 0.0).await;
    assert_eq!(relay.metric("circuits").await, 2.0);
    let again = line(stuck.member, 2);
    caller.client.send(ToRelay::Dial(again)).await;
    // The other waits for ten minutes.
    assert_eq!(caller.event().await, Event::HungUp(again, HangupReason::Busy));
    assert_eq!(relay.metric("circuits").await, 1.0, "the one that it would have replaced has ended too");
    flooding.abort();
}

#[tokio::test]
async fn who_says_too_late_that_it_keeps_to_credit_is_closed() {
    let relay = Relay::start(&[]);
    let mut twice = Keeper::join(&relay).await;
    let (mut late, _) = Client::join(&relay, ROOM).await;
    late.send(ToRelay::Dial(line(twice.member(), 1))).await;
    for client in [&mut late, &mut twice.client] {
        client.send(ToRelay::Flow).await;
        loop {
            match client.event().await {
                Event::Refused(code, _) => break assert_eq!(code, "bad-frame"),
                Event::Dialed(_) | Event::Left(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Clients of the first build know no credit, get none, and have no part in it.
#[tokio::test]
async fn old_clients_and_new_ones_understand_each_other() {
    const TOTAL: usize = 4 * 1024 * 1024;
    for (sends_credit, reads_credit) in [(false, false), (false, true), (true, false), (true, true)] {
        let relay = Relay::start(&PATIENT);
        let enter = async |keeps_credit| {
            let mut client = Client::connect(&relay).await;
            client.enter(ROOM).await;
            if keeps_credit {
                client.send(ToRelay::Flow).await;
            }
            Keeper { client, flows: BTreeMap::new(), neglected: Vec::new(), received: 0, lent: 0 }
        };
        let (mut reader, mut sender) = (enter(reads_credit).await, enter(sends_credit).await);
        let to_reader = sender.dial(&mut reader).await;
        let from_sender = line(sender.member(), 1);
        if !reads_credit {
            reader.neglected.push(from_sender);
        }
        let sending = async {
            let mut sent = 0;
            while sent < TOTAL {
                if !sends_credit {
                    sender.client.send(ToRelay::Data(to_reader, &[7; CIRCUIT_CHUNK])).await;
                    sent += CIRCUIT_CHUNK;
                    continue;
                }
                sent += sender.use_up(to_reader).await;
                if sent < TOTAL {
                    assert!(matches!(sender.event().await, Event::Credit(..)));
                }
            }
            sent
        };
        let reading = async {
            while reader.received < TOTAL {
                assert!(matches!(reader.event().await, Event::Data(from, _) if from == from_sender));
            }
        };
        let (sent, ()) = tokio::join!(sending, reading);
        while reader.received < sent {
            reader.event().await;
        }
        assert_eq!(reader.received, sent);
        assert_eq!(sender.lent > 0, sends_credit, "only who asked for it is told of credit");
        assert_eq!(relay.metric("credit_violations_total").await, 0.0);
        assert!(relay.metric("circuits").await > 0.0);
    }
}
