//! Whether the remote of a link is alive: when it was heard, what it was asked, and what it owes.

use crate::error::LinkError;
use crate::limits;
use crate::time::{Duration, Time};

/// How a remote shows that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// It has not proved the drive key, and has [`limits::PROOF_TIME`] for that, however much it talks.
    Unproved,
    /// It answers pings.
    Answers,
    /// It answers none, and at best has a rhythm of its own.
    Keepalives,
}

/// What is known of a remote's life.
pub struct Liveness {
    opened_at: Time,
    heard_at: Time,
    asked_at: Option<Time>,
    /// Since when a ping has not been answered, whatever else was heard.
    unanswered: Option<Time>,
    /// When a ping was answered last.
    answered_at: Time,
    /// Since when bytes have come that amount to no frame, and how many if it may be a long one.
    unopened: Option<(Time, usize)>,
    /// Whether a frame may take any time: a drive peer's replication is not ours to shape.
    has_slow_frames: bool,
    sends_keepalives: bool,
    /// How much sooner than the remote it asks, so that one question and its answer are a sign of life to both.
    lead: Duration,
    /// When the parts of a long message are answered next.
    sign_of_life_at: Time,
    /// The number of the last ping, and when it was sent.
    asked: (u64, Time),
    /// From that ping to its answer; of the one before, while it has none.
    round_trip: Option<Duration>,
    /// Whether its answer is still to come.
    is_measuring: bool,
}

impl Liveness {
    pub fn new(now: Time, has_slow_frames: bool) -> Self {
        Self {
            opened_at: now,
            heard_at: now,
            asked_at: None,
            unanswered: None,
            answered_at: now,
            unopened: None,
            has_slow_frames,
            sends_keepalives: false,
            lead: Duration::ZERO,
            sign_of_life_at: now + limits::SIGN_OF_LIFE,
            asked: (0, now),
            round_trip: None,
            is_measuring: false,
        }
    }

    /// The remote leaves it to this end to ask first, by [`limits::PING_LEAD`].
    pub fn asks_first(&mut self) {
        self.lead = limits::PING_LEAD;
    }

    /// Bytes came, whatever they mean.
    pub fn heard(&mut self, now: Time) {
        self.heard_at = now;
        self.asked_at = None;
    }

    /// Whoever sends keepalives is expected to go on.
    pub fn heard_keepalive(&mut self) {
        self.sends_keepalives = true;
    }

    /// A ping came. Returns since when that leaves it open whether its sender hears anything: a question tells, from time to time.
    pub fn heard_ping(&self) -> Option<Time> {
        let is_open = self.unanswered.is_none() && self.heard_at >= self.answered_at + limits::PING_EVERY;
        is_open.then_some(self.heard_at)
    }

    /// The answer to the ping of this number came, or a sign of life.
    pub fn heard_pong(&mut self, number: Option<u64>) {
        self.unanswered = None;
        self.answered_at = self.heard_at;
        let (asked, at) = self.asked;
        if self.is_measuring && number == Some(asked) {
            self.is_measuring = false;
            self.round_trip = Some(self.heard_at.since(at));
        }
    }

    /// A ping is sent. Returns its number.
    pub fn count_ping(&mut self, now: Time) -> u64 {
        self.asked = (self.asked.0 + 1, now);
        self.is_measuring = true;
        self.asked.0
    }

    /// How long the last question and its answer took that were measured.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Something came that asks and answers nothing. Returns the moment, if what was measured is old by then.
    pub fn remeasure(&self) -> Option<Time> {
        let pause = if self.is_measuring { limits::FRAME_TIME } else { limits::MEASURE_EVERY };
        (self.heard_at >= self.asked.1 + pause).then_some(self.heard_at)
    }

    /// The last moment that bytes came.
    pub fn heard_at(&self) -> Time {
        self.heard_at
    }

    /// Bytes of a frame came; so many of one that may be as long as replication has them.
    pub fn expect_frame(&mut self, now: Time, bytes: usize) {
        let (since, before) = self.unopened.unwrap_or((now, 0));
        let come = before + bytes;
        self.unopened = Some(if come < limits::FRAME_STEP { (since, come) } else { (now, 0) });
    }

    /// A frame was opened: the bytes that came are those that the remote wrote.
    pub fn heard_frame(&mut self) {
        self.unopened = None;
    }

    /// A ping is sent that has to be answered in time.
    pub fn expect_pong(&mut self, now: Time) {
        self.unanswered = self.unanswered.or(Some(now));
    }

    /// A sign of life is missed from now on.
    pub fn miss(&mut self, now: Time) {
        self.asked_at.get_or_insert(now);
    }

    /// What was asked may only now be on its way.
    pub fn put_off(&mut self, now: Time) {
        self.asked_at = self.asked_at.map(|at| at.max(now));
        self.unanswered = self.unanswered.map(|_| now);
    }

    /// Since when a sign of life has been missing, if one was asked for: from [`limits::PING_AFTER`] on, however early it was.
    pub fn asked_at(&self) -> Option<Time> {
        self.asked_at
    }

    /// Whether the sender of a long message, of which a part came, is to be told that we live. Each such sign is due once.
    pub fn take_sign_of_life(&mut self) -> bool {
        let is_due = self.heard_at >= self.sign_of_life_at;
        if is_due {
            self.sign_of_life_at = self.heard_at + limits::SIGN_OF_LIFE;
        }
        is_due
    }

    /// When [`Liveness::handle_timeout`] wants to be called.
    pub fn next_timeout(&self, habit: Habit) -> Time {
        let silence = match (habit, self.asked_at) {
            (Habit::Unproved, _) => self.opened_at + limits::PROOF_TIME,
            (Habit::Answers, None) => self.heard_at + (limits::PING_AFTER - self.lead),
            (Habit::Keepalives, None) => self.missing_at(),
            (_, Some(asked_at)) => asked_at + self.patience(habit),
        };
        self.overdue_at().fold(silence, Time::min)
    }

    /// Gives a dead remote up; returns whether a silent one is to be asked for a sign of life. A timer that runs late ends nothing: it
    /// asks first.
    pub fn handle_timeout(&mut self, now: Time, habit: Habit) -> Result<bool, LinkError> {
        if now < self.next_timeout(habit) {
            return Ok(false);
        }
        if habit == Habit::Unproved {
            return Err(LinkError::ProofTimeout);
        }
        let has_to_show_itself = habit == Habit::Answers || self.sends_keepalives;
        if self.overdue_at().any(|at| at <= now) || (self.asked_at.is_some() && has_to_show_itself) {
            return Err(LinkError::Silent);
        }
        self.asked_at = Some(self.missing_at().max(now));
        Ok(true)
    }

    /// When a remote that goes on talking is given up: its frame never ends, or it answers no ping. An answer may come behind a long
    /// frame.
    fn overdue_at(&self) -> impl Iterator<Item = Time> {
        let frame = self.unopened.filter(|_| !self.has_slow_frames).map(|(since, _)| since);
        let answer = self.unanswered.filter(|_| self.unopened.is_none());
        frame.into_iter().chain(answer).map(|since| since + limits::FRAME_TIME)
    }

    /// When a sign of life is missing.
    fn missing_at(&self) -> Time {
        self.heard_at + limits::PING_AFTER
    }

    /// How long a remote may leave a sign of life unanswered.
    fn patience(&self, habit: Habit) -> Duration {
        match habit {
            Habit::Keepalives if self.sends_keepalives => limits::KEEPALIVES_STOPPED - limits::PING_AFTER,
            _ => limits::PONG_WITHIN,
        }
    }
}
