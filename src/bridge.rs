//! Between the swarm and the page: does what the swarm wants done, and gives the page its events.
//!
//! **Re-entrancy.** No JavaScript runs while a `RefCell` here is borrowed, so a listener may call whatever it likes. A call from
//! JavaScript never delivers: it schedules a microtask, which also lets many sends of one turn share a WebSocket message.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use js_sys::{Object, Reflect, Uint8Array};
use peersockets_core::limits;
use peersockets_core::swarm::{Event, Output, Report, SocketFailure, SocketId, Swarm};
use peersockets_core::table::Table;
use peersockets_core::time::{Duration, Time};
use wasm_bindgen::prelude::*;

use crate::connection::Connection;
use crate::options::Options;
use crate::page::{self, Lifeline, Timer};
use crate::snapshot::milliseconds;
use crate::socket::Socket;

#[wasm_bindgen]
extern "C" {
    /// Where events go: `deliver(kind, handle, peerId, payload)`.
    #[wasm_bindgen(js_name = Function)]
    pub type Deliver;

    /// Numbers go as numbers: as values of JavaScript each would cost a call more.
    #[wasm_bindgen(method, catch)]
    fn call(
        this: &Deliver,
        object: &JsValue,
        kind: u32,
        handle: u32,
        peer: u32,
        payload: &JsValue,
    ) -> Result<(), JsValue>;
}

/// First pause before a full WebSocket is looked at again; it doubles up to [`LONGEST_LOOK`]. There is no event for it.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// One swarm in a page.
pub struct Bridge {
    me: Weak<Bridge>,
    swarm: RefCell<Swarm>,
    sockets: RefCell<Table<SocketId, Transport>>,
    /// Why sockets to these URLs did not open, until one does.
    failures: RefCell<Table<String, SocketFailure>>,
    events: RefCell<VecDeque<Event>>,
    deliver: Deliver,
    is_secure: bool,
    lifeline: Lifeline,
    #[cfg(feature = "host")]
    host: crate::hosting::Host,
    is_scheduled: Cell<bool>,
    next_look: Cell<Duration>,
    timer: Timer,
    run_scheduled: Closure<dyn FnMut()>,
}

impl Bridge {
    /// A bridge that does nothing until something happens or is scheduled.
    pub fn new(swarm: Swarm, deliver: Deliver, options: &Options) -> Rc<Self> {
        Rc::new_cyclic(|me: &Weak<Bridge>| Self {
            me: me.clone(),
            swarm: RefCell::new(swarm),
            sockets: RefCell::default(),
            failures: RefCell::default(),
            events: RefCell::default(),
            deliver,
            is_secure: options.is_secure(),
            lifeline: options.lifeline(),
            #[cfg(feature = "host")]
            host: options.host(),
            is_scheduled: Cell::new(false),
            next_look: Cell::new(FIRST_LOOK),
            timer: Timer::new(options.lifeline(), with(me, Bridge::handle_timeout)),
            run_scheduled: Closure::new(with(me, Bridge::run)),
        })
    }

    /// A reference that keeps nothing alive.
    pub fn downgrade(&self) -> Weak<Self> {
        self.me.clone()
    }

    /// Does something to the swarm for JavaScript; what follows from it comes in a microtask.
    pub fn command<Answer>(&self, command: impl FnOnce(&mut Swarm) -> Answer) -> Answer {
        let answer = command(&mut self.swarm.borrow_mut());
        self.schedule();
        answer
    }

    /// Does something to the swarm that depends on the time, which JavaScript tells.
    pub fn command_at<Answer>(&self, command: impl FnOnce(&mut Swarm, Time) -> Answer) -> Answer {
        let now = page::now();
        self.command(|swarm| command(swarm, now))
    }

    /// Asks the swarm something.
    pub fn read<Answer>(&self, question: impl FnOnce(&Swarm) -> Answer) -> Answer {
        question(&self.swarm.borrow())
    }

    /// Who holds what is opened outside.
    pub fn lifeline(&self) -> &Lifeline {
        &self.lifeline
    }

    /// Takes a step that something outside brought about.
    pub fn step(&self, step: impl FnOnce(&Self)) {
        let mut step = Some(step);
        self.lifeline.run(&mut || {
            if let Some(step) = step.take() {
                step(self);
            }
        });
    }

    /// Tells the swarm what happened outside, and does what follows.
    pub fn input(&self, input: impl FnOnce(&mut Swarm, Time)) {
        let now = page::now();
        input(&mut self.swarm.borrow_mut(), now);
        self.run();
    }

    /// Whether a message of this length is to be read: asked before its bytes are copied into wasm.
    pub fn takes(&self, socket: SocketId, length: usize) -> bool {
        let now = page::now();
        let takes = self.swarm.borrow_mut().handle_socket_length(now, socket, length);
        if !takes {
            self.run();
        }
        takes
    }

    /// Keeps why a socket did not open.
    pub fn remember_failure(&self, url: String, failure: SocketFailure) {
        self.failures.borrow_mut().insert(url, failure);
    }

    /// A socket to this URL opened: what was known of it is of no use any more.
    pub fn forget_failure(&self, url: &str) {
        self.failures.borrow_mut().remove(&url.to_string());
    }

    /// Runs in a microtask.
    pub fn schedule(&self) {
        if !self.is_scheduled.replace(true) {
            page::queue_microtask(self.run_scheduled.as_ref());
        }
    }

    /// Does all that the swarm wants done; its events are only queued.
    pub fn drain(&self) {
        self.look_at_sockets();
        while let Some(event) = self.poll() {
            self.events.borrow_mut().push_back(event);
        }
        self.look_again_if_full();
    }

    /// Each event is delivered before the swarm is asked for the next: what a listener does counts for that one already.
    fn run(&self) {
        self.is_scheduled.set(false);
        self.look_at_sockets();
        while let Some(event) = self.next_event() {
            self.deliver(event);
        }
        self.look_again_if_full();
    }

    fn next_event(&self) -> Option<Event> {
        let queued = self.events.borrow_mut().pop_front();
        queued.or_else(|| self.poll())
    }

    /// Does what the swarm wants done, up to its next event.
    fn poll(&self) -> Option<Event> {
        loop {
            let output = self.swarm.borrow_mut().poll_output();
            match output {
                Output::Open { socket, url, subprotocol } => self.open(socket, &url, subprotocol),
                Output::Write { socket, message } => {
                    // Sending runs JavaScript where a page has put its own in the browser's place.
                    let socket = self.sockets.borrow().get(&socket).cloned();
                    if let Some(socket) = socket {
                        socket.send(&message);
                    }
                }
                Output::Close { socket } => {
                    let socket = self.sockets.borrow_mut().remove(&socket);
                    drop(socket);
                }
                Output::Connect { socket, ice_servers } => {
                    let connection = Rc::new(Connection::open(self, socket, ice_servers));
                    self.sockets.borrow_mut().insert(socket, Transport::Direct(connection));
                }
                Output::Negotiate { socket, step } => {
                    let socket = self.sockets.borrow().get(&socket).cloned();
                    if let Some(Transport::Direct(connection)) = socket {
                        connection.negotiate(step);
                    }
                }
                #[cfg(feature = "host")]
                Output::Host { link, action } => {
                    if self.host.act(link, action).is_err() {
                        let now = page::now();
                        self.swarm.borrow_mut().handle_stream_ended(now, link);
                    }
                }
                #[cfg(not(feature = "host"))]
                Output::Host { .. } => {}
                Output::Event(event) => return Some(event),
                Output::Timeout(at) => {
                    if let Some(at) = at {
                        self.timer.set(at);
                    }
                    return None;
                }
            }
        }
    }

    fn handle_timeout(&self) {
        self.timer.fired();
        // Whether questions have left them counts for what is due.
        self.look_at_sockets();
        self.input(Swarm::handle_timeout);
    }

    fn open(&self, id: SocketId, url: &str, subprotocol: Option<&'static str>) {
        let known = self.failures.borrow().get(&url.to_string()).copied();
        match Socket::open(self, id, url, subprotocol, known) {
            Ok(socket) => {
                self.sockets.borrow_mut().insert(id, Transport::WebSocket(Rc::new(socket)));
            }
            Err(failure) => {
                let now = page::now();
                self.swarm.borrow_mut().handle_socket_failed(now, id, failure);
            }
        }
    }

    /// Whether the page may open no `ws:` to other hosts.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Tells the swarm how full the sockets are.
    fn look_at_sockets(&self) -> Look {
        let mut look = Look::default();
        let sockets: Vec<_> = self.sockets.borrow().iter().map(|(id, socket)| (*id, socket.clone())).collect();
        for (id, socket) in sockets {
            let buffered = socket.buffered();
            // A data channel says so itself when it drains.
            look.is_full |= matches!(socket, Transport::WebSocket(_)) && buffered >= limits::SOCKET_HIGH_WATER;
            look.has_drained |= self.swarm.borrow_mut().handle_socket_buffered(id, buffered);
        }
        look
    }

    /// A browser says nothing when a WebSocket's buffer drains: one that is full is looked at again soon. In Node it may have drained
    /// already, and then what waits is written in the next turn.
    fn look_again_if_full(&self) {
        let look = self.look_at_sockets();
        if look.is_full {
            let pause = self.next_look.get();
            self.next_look.set((pause * 2).min(LONGEST_LOOK));
            self.timer.set(page::now() + pause);
        } else {
            self.next_look.set(FIRST_LOOK);
        }
        if look.has_drained {
            self.timer.set(page::now());
        }
    }

    fn deliver(&self, event: Event) {
        let (kind, handle, peer, payload) = arguments(event);
        // The TypeScript half catches what listeners throw; nothing can be done here about what it throws itself.
        let _ = self.deliver.call(&JsValue::UNDEFINED, kind, handle, peer, &payload);
    }
}

/// What is behind a [`SocketId`]. It closes when the last reference is dropped.
#[derive(Clone)]
enum Transport {
    WebSocket(Rc<Socket>),
    Direct(Rc<Connection>),
}

impl Transport {
    fn send(&self, message: &[u8]) {
        match self {
            Self::WebSocket(socket) => socket.send(message),
            Self::Direct(connection) => connection.send(message),
        }
    }

    fn buffered(&self) -> usize {
        match self {
            Self::WebSocket(socket) => socket.buffered(),
            Self::Direct(connection) => connection.buffered(),
        }
    }
}

/// What the sockets' buffers are like.
#[derive(Default)]
struct Look {
    /// Whether one is too full to be written.
    is_full: bool,
    /// Whether one takes messages again that it took none of.
    has_drained: bool,
}

fn with(me: &Weak<Bridge>, run: fn(&Bridge)) -> impl FnMut() + 'static {
    let me = me.clone();
    move || {
        if let Some(bridge) = me.upgrade() {
            bridge.step(run);
        }
    }
}

/// The arguments of `deliver`: kind, handle, peer id, payload.
fn arguments(event: Event) -> (u32, u32, u32, JsValue) {
    match event {
        Event::Join { watch, peer } => (1, watch.0, peer.0, JsValue::UNDEFINED),
        Event::Leave { watch, peer } => (2, watch.0, peer.0, JsValue::UNDEFINED),
        Event::Message { topic, peer, message } => (3, topic.0, peer.0, Uint8Array::from(message.as_slice()).into()),
        Event::Error(report) => {
            let handle = report.handle.map_or(0, |handle| handle.0);
            let peer = report.peer.map_or(0, |peer| peer.0);
            (4, handle, peer, error_object(report))
        }
        Event::Drain { topic, peer } => (6, topic.0, peer.0, JsValue::UNDEFINED),
        Event::Path { watch, peer, route, round_trip } => {
            let path = [("path", route.name().into()), ("roundTripTime", round_trip.map(milliseconds).into())];
            (7, watch.0, peer.0, object(&path))
        }
        Event::State(state) => (5, 0, 0, state.name().into()),
    }
}

/// A report as JavaScript gets it.
pub fn error_object(report: Report) -> JsValue {
    object(&[
        ("code", report.code.name().into()),
        ("text", report.text.into()),
        ("url", report.url.into()),
        ("topic", report.topic.as_deref().into()),
        ("message", report.message.map(|message| Uint8Array::from(message.as_slice())).into()),
    ])
}

/// A plain object with these properties, of which some may be undefined.
fn object(properties: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}
