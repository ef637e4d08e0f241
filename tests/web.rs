//! The glue in a real browser: what the TypeScript half may rely on. `wasm-pack test --headless --chrome` runs it, or `--firefox`.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

use beaker_peersockets::PeerSockets;
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::{Either, select};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

const DRIVE: &str = "hyper://00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// Kinds of events.
const ERROR: u32 = 4;
const STATE: u32 = 5;
/// Longest time that any event may take, in milliseconds.
const PATIENCE: i32 = 20_000;

#[wasm_bindgen_test]
async fn nothing_is_delivered_from_inside_a_call() {
    let mut page = Page::new();
    let sockets = page.open(Some(DRIVE), &[]);
    let topic = sockets.join("chat");
    let watch = sockets.watch();
    topic.send(1, vec![1]);
    sockets.retry();
    topic.close();
    watch.close();
    assert!(page.is_silent());
    assert_eq!(page.next().await.state(), "connecting");
}

#[wasm_bindgen_test]
fn a_drive_that_cannot_be_read_is_an_error_that_quotes_it_and_nothing_is_connected() {
    let mut page = Page::new();
    let error = page.refuses(&options(Some("hyper://not-a-key"), &[&page_relay()]));
    assert_eq!(text(&error, "code"), "bad-drive");
    assert!(text(&error, "text").contains(r#""hyper://not-a-key""#), "{}", text(&error, "text"));
    assert!(page.is_silent());
}

#[wasm_bindgen_test]
fn a_page_without_an_origin_must_name_its_drive() {
    let options = options(None, &[]);
    set(&options, "origin", &"null".into());
    assert_eq!(text(&Page::new().refuses(&options), "code"), "bad-drive");
}

#[wasm_bindgen_test]
fn pages_of_one_origin_share_a_drive_and_not_with_other_origins() {
    let page = Page::new();
    let key_of = |origin: &str| {
        let options = options(None, &[]);
        set(&options, "origin", &origin.into());
        text(&page.open_with(&options).stats().unwrap(), "driveDiscoveryKey")
    };
    assert_eq!(key_of("https://example.com"), key_of("https://example.com"));
    assert_ne!(key_of("https://example.com"), key_of("https://example.org"));
}

#[wasm_bindgen_test]
async fn a_url_that_is_no_websocket_is_called_so() {
    let mut page = Page::new();
    let _sockets = page.open(Some(DRIVE), &["ftp://relay.example/relay"]);
    let error = page.next_of(ERROR).await;
    assert_eq!(error.text_of("code"), "bad-relay-url");
    assert_eq!(error.text_of("url"), "ftp://relay.example/relay");
}

#[wasm_bindgen_test]
async fn a_server_that_is_no_relay_is_called_so() {
    let mut page = Page::new();
    let _sockets = page.open(Some(DRIVE), &[&page_relay()]);
    let error = page.next_of(ERROR).await;
    assert_eq!(error.text_of("code"), "not-a-relay");
    assert_eq!(error.text_of("url"), page_relay());
}

#[wasm_bindgen_test]
async fn a_message_that_is_too_large_comes_back_whole() {
    let mut page = Page::new();
    let sockets = page.open(Some(DRIVE), &[]);
    let topic = sockets.join("chat");
    let message: Vec<u8> = (0..8_388_608_u32).map(|at| at as u8).collect();
    topic.send(1, message.clone());
    let error = page.next_of(ERROR).await;
    assert_eq!(error.text_of("code"), "message-too-large");
    assert_eq!((error.handle, error.peer), (topic.handle(), 1));
    let returned: Uint8Array = get(&error.payload, "message").dyn_into().unwrap();
    assert!(returned.to_vec() == message);
}

#[wasm_bindgen_test]
fn handles_are_told_apart_by_their_numbers() {
    let page = Page::new();
    let sockets = page.open(Some(DRIVE), &[]);
    let mut handles = [sockets.join("chat").handle(), sockets.join("chat").handle(), sockets.watch().handle()];
    handles.sort_unstable();
    assert!(handles[0] > 0 && handles.is_sorted_by(|one, next| one < next), "{handles:?}");
}

#[wasm_bindgen_test]
async fn what_a_listener_calls_takes_effect_and_is_not_nested() {
    let mut page = Page::new();
    let options = options(Some(DRIVE), &[&page_relay()]);
    let sockets: Rc<RefCell<Option<PeerSockets>>> = Rc::default();
    let deliver = page.deliver_and({
        let sockets = sockets.clone();
        move |state| {
            if state == "connecting" {
                let sockets = sockets.borrow();
                let sockets = sockets.as_ref().expect("events come after the call that made the sockets");
                sockets.join("chat").send(1, vec![0; 8_388_608]);
                sockets.goodbye();
            }
        }
    });
    *sockets.borrow_mut() = Some(PeerSockets::new(options.unchecked_ref(), deliver).unwrap());
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let event = page.next().await;
        heard.push(if event.kind == ERROR { event.text_of("code") } else { event.state() });
    }
    assert_eq!(heard, ["connecting", "message-too-large", "offline"]);
}

#[wasm_bindgen_test]
async fn a_listener_that_throws_is_not_the_last_to_be_heard() {
    let mut page = Page::new();
    let options = options(Some(DRIVE), &[&page_relay()]);
    let deliver = page.deliver_and(|_| wasm_bindgen::throw_str("thrown by a test"));
    let sockets = PeerSockets::new(options.unchecked_ref(), deliver).unwrap();
    assert_eq!(page.next().await.state(), "connecting");
    sockets.close();
    for state in ["offline", "closed"] {
        assert_eq!(page.next().await.state(), state);
    }
}

#[wasm_bindgen_test]
async fn after_a_goodbye_it_connects_again() {
    let mut page = Page::new();
    let sockets = page.open(Some(DRIVE), &[&page_relay()]);
    sockets.goodbye();
    assert_eq!(page.next().await.state(), "connecting");
    assert_eq!(page.next().await.state(), "offline");
    sockets.resume();
    assert_eq!(page.next_of(ERROR).await.text_of("code"), "not-a-relay");
}

#[wasm_bindgen_test]
async fn after_close_it_does_not_connect_again() {
    let mut page = Page::new();
    let sockets = page.open(Some(DRIVE), &[&page_relay()]);
    sockets.close();
    sockets.resume();
    sockets.retry();
    for state in ["connecting", "offline", "closed"] {
        assert_eq!(page.next().await.state(), state);
    }
    assert_eq!(sockets.stats().map(|stats| relay_state(&stats)).unwrap(), "resting");
    page.turn().await;
    assert!(page.is_silent());
}

#[wasm_bindgen_test]
async fn after_free_nothing_is_delivered() {
    let mut page = Page::new();
    let sockets = page.open(Some(DRIVE), &[&page_relay()]);
    assert_eq!(page.next().await.state(), "connecting");
    drop(sockets);
    page.turn().await;
    assert!(page.is_silent());
}

#[wasm_bindgen_test]
fn stats_are_plain_data_with_a_device_key_of_its_own() {
    let page = Page::new();
    let stats = [(); 2].map(|()| page.open(Some(DRIVE), &[&page_relay()]).stats().unwrap());
    for stats in &stats {
        assert_eq!(text(stats, "state"), "connecting");
        assert_eq!(text(stats, "deviceKey").len(), 64);
        assert_eq!(Array::from(&get(stats, "peers")).length(), 0);
        let relay = Array::from(&get(stats, "relays")).get(0);
        assert_eq!(text(&relay, "url"), page_relay());
        assert_eq!(get(&relay, "members"), 0);
    }
    assert_ne!(text(&stats[0], "deviceKey"), text(&stats[1], "deviceKey"));
    assert_eq!(text(&stats[0], "driveDiscoveryKey"), text(&stats[1], "driveDiscoveryKey"));
}

/// A page's end of `deliver`.
struct Page {
    deliver: Function,
    events: UnboundedReceiver<Event>,
}

#[derive(Debug)]
struct Event {
    kind: u32,
    handle: u32,
    peer: u32,
    payload: JsValue,
}

impl Page {
    fn new() -> Self {
        let (sender, events) = unbounded();
        let deliver = Closure::<dyn Fn(u32, u32, u32, JsValue)>::new(move |kind, handle, peer, payload| {
            // The test may be over.
            let _ = sender.unbounded_send(Event { kind, handle, peer, payload });
        });
        Self { deliver: deliver.into_js_value().unchecked_into(), events }
    }

    fn open(&self, drive: Option<&str>, relays: &[&str]) -> PeerSockets {
        self.open_with(&options(drive, relays))
    }

    fn open_with(&self, options: &Object) -> PeerSockets {
        PeerSockets::new(options.unchecked_ref(), self.deliver.clone()).unwrap()
    }

    /// The error that these options are refused with.
    fn refuses(&self, options: &Object) -> JsValue {
        PeerSockets::new(options.unchecked_ref(), self.deliver.clone()).err().expect("an error")
    }

    /// A `deliver` that does something more on each state.
    fn deliver_and(&self, then: impl Fn(String) + 'static) -> Function {
        let deliver = self.deliver.clone();
        let both = Closure::<dyn Fn(u32, u32, u32, JsValue)>::new(move |kind, handle, peer, payload: JsValue| {
            let arguments = Array::of4(&JsValue::from(kind), &JsValue::from(handle), &JsValue::from(peer), &payload);
            deliver.apply(&JsValue::NULL, &arguments).unwrap();
            if kind == STATE {
                then(payload.as_string().unwrap());
            }
        });
        both.into_js_value().unchecked_into()
    }

    async fn next(&mut self) -> Event {
        match select(self.events.next(), pin!(timeout(PATIENCE))).await {
            Either::Left((event, _)) => event.expect("a page lives as long as its test"),
            Either::Right(_) => panic!("no event came in {PATIENCE} ms"),
        }
    }

    async fn next_of(&mut self, kind: u32) -> Event {
        loop {
            let event = self.next().await;
            if event.kind == kind {
                return event;
            }
        }
    }

    fn is_silent(&mut self) -> bool {
        self.events.try_recv().is_err()
    }

    /// Waits until every microtask of this turn has run.
    async fn turn(&self) {
        timeout(0).await;
    }
}

impl Event {
    fn state(&self) -> String {
        assert_eq!(self.kind, STATE, "{self:?}");
        self.payload.as_string().unwrap()
    }

    fn text_of(&self, name: &str) -> String {
        text(&self.payload, name)
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: i32);

    #[wasm_bindgen(js_namespace = location, js_name = host, thread_local_v2)]
    static HOST: String;
}

async fn timeout(milliseconds: i32) {
    let passed = Promise::new(&mut |resolve, _| set_timeout(&resolve, milliseconds));
    JsFuture::from(passed).await.unwrap();
}

/// The server of this page: it is there, and no relay.
fn page_relay() -> String {
    HOST.with(|host| format!("ws://{host}/relay"))
}

fn options(drive: Option<&str>, relays: &[&str]) -> Object {
    let options = Object::new();
    set(&options, "drive", &drive.map_or(JsValue::UNDEFINED, JsValue::from));
    set(&options, "origin", &"https://example.com".into());
    set(&options, "relays", &relays.iter().copied().map(JsValue::from).collect::<Array>());
    set(&options, "peers", &Array::new());
    set(&options, "isSecure", &false.into());
    set(&options, "directPeers", &0.into());
    set(&options, "lifeline", &lifeline());
    options
}

/// The TypeScript half's part in what is opened outside, as far as nothing traps.
fn lifeline() -> Object {
    let lifeline = Object::new();
    for (name, parameters, body) in [
        ("run", "step", "step()"),
        ("keepSocket", "socket", ""),
        ("newAbortController", "", "return new AbortController()"),
        ("setTimeout", "callback, milliseconds", "return setTimeout(callback, milliseconds)"),
        ("clearTimeout", "timer", "clearTimeout(timer)"),
    ] {
        set(&lifeline, name, &Function::new_with_args(parameters, body));
    }
    lifeline
}

fn set(object: &Object, name: &str, value: &JsValue) {
    Reflect::set(object, &name.into(), value).unwrap();
}

fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

fn text(object: &JsValue, name: &str) -> String {
    get(object, name).as_string().unwrap()
}

fn relay_state(stats: &JsValue) -> String {
    text(&Array::from(&get(stats, "relays")).get(0), "state")
}
