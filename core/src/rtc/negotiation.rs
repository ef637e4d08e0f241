//! How two devices agree on a peer connection (PROTOCOL.md §15): the "perfect negotiation" of WebRTC 1.0 §10.7, as a state machine.
//!
//! Either may begin, at any time, also both at once. Attempts have numbers, which both count: what is said of one that is over is
//! ignored, and whoever hears of a later one gives up the earlier.

use std::collections::VecDeque;

use super::signal::{Said, Signal};
use super::{Candidate, Step};
use crate::limits;
use crate::wire::encoding::MAX_UINT;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a peer connection.
    Begin,
    /// Take a step with it.
    Step(Step),
    /// Tell the remote.
    Signal(Signal),
    /// Close the peer connection and forget it.
    End,
}

/// One of the two sides.
#[derive(Debug)]
pub struct Negotiation {
    /// Whether it gives way if both offer at once. The other side must not.
    is_polite: bool,
    /// The attempt under way, or the last one.
    attempt: u64,
    connection: Option<Connection>,
    /// Whether the remote had no place for a connection when it was offered the last one.
    was_refused: bool,
    actions: VecDeque<Action>,
}

/// What is known of the peer connection of this attempt.
#[derive(Debug, Default)]
struct Connection {
    /// Descriptions that it was asked to make and has not told.
    awaited: VecDeque<Description>,
    /// Whether an offer of ours waits for its answer.
    has_offered: bool,
    /// Whether the remote has a description of ours, which candidates are about.
    is_described: bool,
    /// Whether a description of the remote was taken.
    knows_remote: bool,
    /// Our candidates that came before our description, or the remote's that came before its.
    early: (Vec<Candidate>, Vec<Candidate>),
    /// Candidates told and heard since the last description.
    candidates: (usize, usize),
    /// Offers of the remote that were answered.
    answered: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Description {
    Offer,
    /// An offer in place of which the remote's was taken.
    Withdrawn,
    Answer,
}

impl Negotiation {
    /// A side that has heard of no attempt.
    pub fn new(is_polite: bool) -> Self {
        Self { is_polite, attempt: 0, connection: None, was_refused: false, actions: VecDeque::new() }
    }

    /// Whether it gives way if both offer at once.
    pub fn is_polite(&self) -> bool {
        self.is_polite
    }

    /// Whether there is a peer connection, open or not.
    pub fn is_under_way(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether an offer waits for its answer.
    pub fn is_unanswered(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.has_offered)
    }

    /// Whether the remote had no place for a connection when it was offered the last one.
    pub fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether an attempt may begin: none is under way, and there is a number for it.
    pub fn may_begin(&self) -> bool {
        self.connection.is_none() && self.attempt < MAX_UINT
    }

    /// Begins an attempt, if it may.
    pub fn begin(&mut self) {
        if self.may_begin() {
            self.connect(self.attempt + 1);
            self.offer(false);
        }
    }

    /// Looks for another way between the two, on the peer connection that there is: nothing that it carries is lost.
    pub fn restart(&mut self) {
        let is_settled = |connection: &Connection| connection.awaited.is_empty() && !connection.has_offered;
        if self.connection.as_ref().is_some_and(is_settled) {
            self.offer(true);
        }
    }

    /// Gives the attempt up, if one is under way, and tells the remote.
    pub fn close(&mut self) {
        if self.end() {
            self.say(Said::Close);
        }
    }

    /// Whether an offer of this attempt makes a new peer connection.
    pub fn would_begin(&self, attempt: u64) -> bool {
        attempt > self.attempt
    }

    /// The remote offers what this side has no place for now. With it goes what there was before.
    pub fn refuse(&mut self, attempt: u64) {
        self.reject(attempt, Said::NoPlace);
    }

    /// The remote says something. A description of more than one data section ends its attempt: sound, pictures and further sections would
    /// be received beside all bounds.
    pub fn handle_signal(&mut self, signal: Signal) {
        let Signal { attempt, said } = signal;
        if let Said::Offer(description) | Said::Answer(description) = &said
            && attempt >= self.attempt
            && !is_data_alone(description)
        {
            return self.reject(attempt, Said::Close);
        }
        let is_current = attempt == self.attempt && self.connection.is_some();
        match said {
            Said::Offer(description) if attempt > self.attempt || is_current => self.hear_offer(attempt, description),
            // It learns which attempts are over; the one that is under way is not.
            Said::Offer(_) => {
                let attempt = self.attempt - u64::from(self.connection.is_some());
                self.actions.push_back(Action::Signal(Signal { attempt, said: Said::Close }));
            }
            Said::Answer(description) if is_current => self.hear_answer(description),
            Said::Candidate(candidate) if is_current => self.hear_candidate(candidate),
            Said::Close | Said::NoPlace if attempt >= self.attempt => {
                self.was_refused = is_current && said == Said::NoPlace;
                self.end();
                self.attempt = attempt;
            }
            Said::Answer(_) | Said::Candidate(_) | Said::Close | Said::NoPlace => {}
        }
    }

    /// The peer connection has made a description. One that is too long ends the attempt.
    pub fn handle_description(&mut self, description: String) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let said = match connection.awaited.pop_front() {
            Some(_) if description.len() > limits::DESCRIPTION => return self.close(),
            Some(Description::Offer) => {
                connection.has_offered = true;
                Said::Offer(description)
            }
            Some(Description::Answer) => Said::Answer(description),
            Some(Description::Withdrawn) | None => return,
        };
        connection.is_described = true;
        connection.candidates.0 = 0;
        let early = std::mem::take(&mut connection.early.0);
        self.say(said);
        early.into_iter().for_each(|candidate| self.handle_candidate(candidate));
    }

    /// The peer connection has found a way to this device. Too many, and those too long, are not told.
    pub fn handle_candidate(&mut self, candidate: Candidate) {
        let length = candidate.candidate.len() + candidate.mid.as_ref().map_or(0, String::len);
        let Some(connection) = self.connection.as_mut().filter(|_| length <= limits::CANDIDATE) else {
            return;
        };
        if connection.candidates.0 >= limits::CANDIDATES {
            return;
        }
        if connection.is_described {
            connection.candidates.0 += 1;
            self.say(Said::Candidate(candidate));
        } else if connection.early.0.len() < limits::CANDIDATES {
            connection.early.0.push(candidate);
        }
    }

    fn reject(&mut self, attempt: u64, said: Said) {
        self.end();
        self.attempt = self.attempt.max(attempt);
        self.say(said);
    }

    fn hear_offer(&mut self, attempt: u64, description: String) {
        if attempt > self.attempt {
            self.end();
            self.connect(attempt);
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        let is_offering = connection.has_offered || connection.awaited.contains(&Description::Offer);
        if is_offering && !self.is_polite {
            // The remote takes ours.
            return;
        }
        if connection.answered >= limits::OFFERS {
            return self.close();
        }
        connection.answered += 1;
        connection.has_offered = false;
        for awaited in connection.awaited.iter_mut().filter(|awaited| **awaited == Description::Offer) {
            *awaited = Description::Withdrawn;
        }
        connection.awaited.push_back(Description::Answer);
        self.take(Step::Answer(description));
    }

    fn hear_answer(&mut self, description: String) {
        if let Some(connection) = &mut self.connection
            && std::mem::take(&mut connection.has_offered)
        {
            self.take(Step::Accept(description));
        }
    }

    fn hear_candidate(&mut self, candidate: Candidate) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if connection.candidates.1 >= limits::CANDIDATES {
            return;
        }
        connection.candidates.1 += 1;
        if connection.knows_remote {
            self.step(Step::Candidate(candidate));
        } else {
            connection.early.1.push(candidate);
        }
    }

    fn connect(&mut self, attempt: u64) {
        self.attempt = attempt;
        self.was_refused = false;
        self.connection = Some(Connection::default());
        self.actions.push_back(Action::Begin);
    }

    fn offer(&mut self, restart: bool) {
        if let Some(connection) = &mut self.connection {
            connection.awaited.push_back(Description::Offer);
            self.step(Step::Offer { restart });
        }
    }

    /// Takes a description of the remote, and then what came of its candidates before.
    fn take(&mut self, step: Step) {
        self.step(step);
        if let Some(connection) = &mut self.connection {
            connection.knows_remote = true;
            connection.candidates.1 = 0;
            let early = std::mem::take(&mut connection.early.1);
            early.into_iter().for_each(|candidate| self.step(Step::Candidate(candidate)));
        }
    }

    /// Whether there was one to end.
    fn end(&mut self) -> bool {
        let was_under_way = self.connection.take().is_some();
        if was_under_way {
            self.actions.push_back(Action::End);
        }
        was_under_way
    }

    fn step(&mut self, step: Step) {
        self.actions.push_back(Action::Step(step));
    }

    fn say(&mut self, said: Said) {
        self.actions.push_back(Action::Signal(Signal { attempt: self.attempt, said }));
    }
}

/// Whether a description is of one section at most, and that of data (RFC 8866, §5.14; RFC 8841).
pub fn is_data_alone(description: &str) -> bool {
    let mut sections = description.lines().filter_map(|line| line.strip_prefix("m="));
    sections.next().is_none_or(|section| section.starts_with("application ")) && sections.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(negotiation: &mut Negotiation) -> Vec<Action> {
        std::iter::from_fn(|| negotiation.poll_action()).collect()
    }

    fn signal(attempt: u64, said: Said) -> Signal {
        Signal { attempt, said }
    }

    fn offer(attempt: u64) -> Signal {
        signal(attempt, Said::Offer("offer".into()))
    }

    fn candidate(name: &str) -> Candidate {
        Candidate { candidate: name.into(), mid: None }
    }

    /// One that has offered, in the first attempt.
    fn offering(is_polite: bool) -> Negotiation {
        let mut negotiation = Negotiation::new(is_polite);
        negotiation.begin();
        assert_eq!(actions(&mut negotiation), [Action::Begin, Action::Step(Step::Offer { restart: false })]);
        negotiation.handle_description("ours".into());
        let said = signal(1, Said::Offer("ours".into()));
        assert_eq!(actions(&mut negotiation), [Action::Signal(said)]);
        negotiation
    }

    #[test]
    fn an_offer_is_answered_and_an_answer_taken() {
        let (mut one, mut other) = (offering(true), Negotiation::new(false));
        other.handle_signal(offer(1));
        assert_eq!(actions(&mut other), [Action::Begin, Action::Step(Step::Answer("offer".into()))]);
        other.handle_description("answer".into());
        let answer = signal(1, Said::Answer("answer".into()));
        assert_eq!(actions(&mut other), [Action::Signal(answer.clone())]);
        one.handle_signal(answer.clone());
        assert_eq!(actions(&mut one), [Action::Step(Step::Accept("answer".into()))]);
        one.handle_signal(answer);
        assert_eq!(actions(&mut one), [], "once");
    }

    #[test]
    fn of_two_offers_at_once_that_of_the_impolite_side_is_taken() {
        let mut impolite = offering(false);
        impolite.handle_signal(offer(1));
        assert_eq!(actions(&mut impolite), []);
        let mut polite = offering(true);
        polite.handle_signal(offer(1));
        assert_eq!(actions(&mut polite), [Action::Step(Step::Answer("offer".into()))]);
        // What the impolite side says to the polite one's offer was never said; whatever says so is ignored.
        polite.handle_signal(signal(1, Said::Answer("late".into())));
        assert_eq!(actions(&mut polite), []);
    }

    #[test]
    fn an_offer_that_was_not_told_yet_is_withdrawn_for_that_of_the_impolite_side() {
        let mut polite = Negotiation::new(true);
        polite.begin();
        polite.handle_signal(offer(1));
        actions(&mut polite);
        polite.handle_description("ours".into());
        assert_eq!(actions(&mut polite), [], "nobody is told of it");
        polite.handle_description("answer".into());
        assert_eq!(actions(&mut polite), [Action::Signal(signal(1, Said::Answer("answer".into())))]);
    }

    #[test]
    fn a_later_attempt_ends_the_one_before() {
        let mut negotiation = offering(false);
        negotiation.handle_signal(offer(5));
        assert_eq!(actions(&mut negotiation), [Action::End, Action::Begin, Action::Step(Step::Answer("offer".into()))]);
        negotiation.close();
        assert_eq!(actions(&mut negotiation), [Action::End, Action::Signal(signal(5, Said::Close))]);
        negotiation.begin();
        negotiation.handle_description("ours".into());
        assert!(actions(&mut negotiation).contains(&Action::Signal(signal(6, Said::Offer("ours".into())))));
    }

    #[test]
    fn only_who_has_no_place_for_what_was_offered_has_refused_it() {
        for (attempt, said, is_refusal) in
            [(1, Said::NoPlace, true), (2, Said::NoPlace, false), (1, Said::Close, false), (2, Said::Close, false)]
        {
            let mut negotiation = offering(true);
            negotiation.handle_signal(signal(attempt, said));
            assert_eq!(negotiation.was_refused(), is_refusal);
            assert!(!negotiation.is_under_way());
            negotiation.begin();
            assert!(!negotiation.was_refused(), "that was then");
        }
        let mut negotiation = Negotiation::new(false);
        negotiation.refuse(4);
        assert_eq!(actions(&mut negotiation), [Action::Signal(signal(4, Said::NoPlace))]);
    }

    #[test]
    fn an_offer_of_an_attempt_that_is_over_is_told_so() {
        let mut negotiation = offering(true);
        negotiation.handle_signal(signal(7, Said::Close));
        assert_eq!(actions(&mut negotiation), [Action::End]);
        for attempt in [1, 6, 7] {
            negotiation.handle_signal(offer(attempt));
            assert_eq!(actions(&mut negotiation), [Action::Signal(signal(7, Said::Close))]);
        }
        assert!(!negotiation.is_under_way());
        // The one that is under way is not over.
        negotiation.begin();
        actions(&mut negotiation);
        negotiation.handle_signal(offer(7));
        assert_eq!(actions(&mut negotiation), [Action::Signal(signal(7, Said::Close))]);
        assert!(negotiation.is_under_way());
    }

    #[test]
    fn a_description_of_more_than_data_ends_its_attempt() {
        const DATA: &str = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n";
        for more in ["m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "m=audio 9 UDP/TLS/RTP/SAVPF 0\n", DATA] {
            for description in [[DATA, more].concat(), [more, DATA].concat()] {
                let mut negotiation = Negotiation::new(false);
                negotiation.handle_signal(signal(1, Said::Offer(description.clone())));
                assert_eq!(actions(&mut negotiation), [Action::Signal(signal(1, Said::Close))]);
                let mut negotiation = offering(true);
                let attempt = negotiation.attempt;
                negotiation.handle_signal(signal(attempt, Said::Answer(description)));
                assert_eq!(actions(&mut negotiation), [Action::End, Action::Signal(signal(attempt, Said::Close))]);
            }
        }
        let mut negotiation = Negotiation::new(false);
        negotiation.handle_signal(signal(1, Said::Offer(DATA.into())));
        assert!(negotiation.is_under_way());
    }

    #[test]
    fn behind_the_last_number_no_attempt_begins() {
        let mut negotiation = Negotiation::new(false);
        assert!(negotiation.may_begin());
        negotiation.handle_signal(signal(MAX_UINT, Said::Close));
        assert!(!negotiation.may_begin());
        negotiation.begin();
        assert_eq!(actions(&mut negotiation), []);
    }

    #[test]
    fn what_is_said_of_an_attempt_that_is_over_is_ignored() {
        let mut negotiation = offering(true);
        negotiation.handle_signal(offer(3));
        actions(&mut negotiation);
        for attempt in [0, 1, 2, 4] {
            negotiation.handle_signal(signal(attempt, Said::Answer("answer".into())));
            negotiation.handle_signal(signal(attempt, Said::Candidate(candidate("lost"))));
        }
        negotiation.handle_signal(signal(2, Said::Close));
        assert_eq!(actions(&mut negotiation), []);
        assert!(negotiation.is_under_way());
    }

    #[test]
    fn a_candidate_is_told_behind_its_description() {
        let mut negotiation = Negotiation::new(false);
        negotiation.begin();
        actions(&mut negotiation);
        negotiation.handle_candidate(candidate("early"));
        assert_eq!(actions(&mut negotiation), []);
        negotiation.handle_description("ours".into());
        negotiation.handle_candidate(candidate("late"));
        let said =
            [Said::Offer("ours".into()), Said::Candidate(candidate("early")), Said::Candidate(candidate("late"))];
        assert_eq!(actions(&mut negotiation), said.map(|said| Action::Signal(signal(1, said))));
    }

    #[test]
    fn a_candidate_that_overtakes_a_description_waits_for_it() {
        let mut negotiation = offering(false);
        negotiation.handle_signal(signal(1, Said::Candidate(candidate("early"))));
        assert_eq!(actions(&mut negotiation), []);
        negotiation.handle_signal(signal(1, Said::Answer("answer".into())));
        let steps = [Step::Accept("answer".into()), Step::Candidate(candidate("early"))];
        assert_eq!(actions(&mut negotiation), steps.map(Action::Step));
    }

    #[test]
    fn floods_of_candidates_and_offers_are_bounded() {
        for knows_remote in [false, true] {
            let mut negotiation = offering(true);
            if knows_remote {
                negotiation.handle_signal(signal(1, Said::Answer("answer".into())));
            }
            for _ in 0..10_000 {
                negotiation.handle_signal(signal(1, Said::Candidate(candidate("flood"))));
                negotiation.handle_candidate(candidate("ours"));
            }
            negotiation.handle_signal(signal(1, Said::Answer("answer".into())));
            assert_eq!(actions(&mut negotiation).len(), 1 + 2 * limits::CANDIDATES);
        }
        let mut negotiation = offering(true);
        for _ in 0..10_000 {
            negotiation.handle_signal(offer(1));
        }
        assert!(!negotiation.is_under_way());
        assert!(actions(&mut negotiation).len() < 2 * limits::OFFERS + 10_000, "the rest is told that it is over");
    }

    #[test]
    fn a_description_of_our_own_that_is_too_long_is_not_told_and_ends_its_attempt() {
        let (longest, too_long) = ("d".repeat(limits::DESCRIPTION), "d".repeat(limits::DESCRIPTION + 1));
        let answering = || {
            let mut negotiation = Negotiation::new(false);
            negotiation.handle_signal(offer(1));
            negotiation
        };
        let begun = || {
            let mut negotiation = Negotiation::new(true);
            negotiation.begin();
            negotiation
        };
        let told = [Said::Offer(longest.clone()), Said::Answer(longest.clone())];
        for (make, said) in [begun as fn() -> Negotiation, answering].into_iter().zip(told) {
            let mut negotiation = make();
            actions(&mut negotiation);
            negotiation.handle_description(longest.clone());
            assert_eq!(actions(&mut negotiation), [Action::Signal(signal(1, said))]);

            let mut negotiation = make();
            actions(&mut negotiation);
            negotiation.handle_candidate(candidate("early"));
            negotiation.handle_description(too_long.clone());
            assert_eq!(actions(&mut negotiation), [Action::End, Action::Signal(signal(1, Said::Close))]);
            assert!(negotiation.may_begin(), "it is tried again");
            negotiation.handle_description(longest.clone());
            negotiation.handle_candidate(candidate("late"));
            assert_eq!(actions(&mut negotiation), [], "of an attempt that is over nothing is told");
        }
    }

    #[test]
    fn candidates_of_our_own_that_are_too_long_are_not_told_and_cost_nothing() {
        let of = |length: usize, mid: Option<usize>| Candidate {
            candidate: "c".repeat(length),
            mid: mid.map(|length| "m".repeat(length)),
        };
        let longest = [of(limits::CANDIDATE, None), of(limits::CANDIDATE - 2, Some(2)), of(0, Some(limits::CANDIDATE))];
        let too_long =
            [of(limits::CANDIDATE + 1, None), of(limits::CANDIDATE - 1, Some(2)), of(1, Some(limits::CANDIDATE))];
        for is_early in [true, false] {
            let mut negotiation = Negotiation::new(true);
            negotiation.begin();
            actions(&mut negotiation);
            if !is_early {
                negotiation.handle_description("ours".into());
            }
            for _ in 0..limits::CANDIDATES {
                too_long.iter().cloned().for_each(|candidate| negotiation.handle_candidate(candidate));
            }
            longest.iter().cloned().for_each(|candidate| negotiation.handle_candidate(candidate));
            if is_early {
                negotiation.handle_description("ours".into());
            }
            let told = std::iter::once(Said::Offer("ours".into())).chain(longest.clone().map(Said::Candidate));
            let told: Vec<Action> = told.map(|said| Action::Signal(signal(1, said))).collect();
            assert_eq!(actions(&mut negotiation), told);
        }
    }

    #[test]
    fn a_connection_that_lost_its_way_looks_for_another_without_being_given_up() {
        let mut negotiation = offering(false);
        negotiation.restart();
        assert_eq!(actions(&mut negotiation), [], "not while it still negotiates");
        negotiation.handle_signal(signal(1, Said::Answer("answer".into())));
        actions(&mut negotiation);
        negotiation.restart();
        negotiation.restart();
        assert_eq!(actions(&mut negotiation), [Action::Step(Step::Offer { restart: true })]);
    }

    #[test]
    fn the_last_attempt_that_can_be_counted_is_the_last() {
        let mut negotiation = Negotiation::new(true);
        negotiation.handle_signal(signal(MAX_UINT, Said::Close));
        negotiation.begin();
        assert_eq!(actions(&mut negotiation), []);
    }
}
