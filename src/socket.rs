//! A WebSocket to a relay or a drive peer, and what became of one that did not open.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use gloo_events::EventListener;
use js_sys::{ArrayBuffer, Promise, Reflect, Uint8Array};
use peersockets_core::rendezvous::HTTP_HEADER;
use peersockets_core::swarm::{SocketFailure, SocketId};
use peersockets_core::time::Duration;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortController, AbortSignal, BinaryType, Event, MessageEvent, Request, RequestCache, RequestCredentials,
    RequestInit, RequestMode, RequestRedirect, Response, WebSocket,
};

use crate::bridge::Bridge;
use crate::page::{self, Lifeline, Timer};

/// Longest time that finding out about a failure may take.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// What a web server answers that passes requests on to somebody who is not there.
const NOBODY_BEHIND_PROXY: [u16; 3] = [502, 503, 504];

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(request: &Request) -> Promise;
}

/// An open or opening WebSocket. Dropping it closes it, after what was sent, and nobody asks any more why it did not open.
pub struct Socket {
    socket: WebSocket,
    _listeners: [EventListener; 3],
    _probe: Rc<Probe>,
}

impl Socket {
    /// Begins to open a socket. What comes of it goes to the bridge, unless the browser refuses at once. Why it fails is found out
    /// if it is not known from an earlier attempt: each question is one more line in the console.
    pub fn open(
        bridge: &Bridge,
        id: SocketId,
        url: &str,
        subprotocol: Option<&'static str>,
        known: Option<SocketFailure>,
    ) -> Result<Self, SocketFailure> {
        let socket = match subprotocol {
            Some(subprotocol) => WebSocket::new_with_str(url, subprotocol),
            None => WebSocket::new(url),
        };
        let socket = socket.map_err(refusal)?;
        // Chromium's way to say it: no event of closing follows.
        if socket.ready_state() == WebSocket::CLOSED {
            return Err(SocketFailure::BlockedByPolicy);
        }
        bridge.lifeline().keep_socket(&socket);
        socket.set_binary_type(BinaryType::Arraybuffer);

        let was_opened = Rc::new(Cell::new(false));
        let opened = listen(&socket, "open", bridge, {
            let was_opened = was_opened.clone();
            let opened_url = url.to_string();
            move |bridge, _| {
                was_opened.set(true);
                bridge.forget_failure(&opened_url);
                bridge.input(|swarm, now| swarm.handle_socket_opened(now, id));
            }
        });
        let message = listen(&socket, "message", bridge, move |bridge, event| {
            let data = event.dyn_ref::<MessageEvent>().map(MessageEvent::data).unwrap_or_default();
            receive(bridge, id, data);
        });
        let probe = Rc::new(Probe(bridge.lifeline().new_abort_controller().map_err(|_| SocketFailure::Unreachable)?));
        let probing = Rc::downgrade(&probe);
        let url = url.to_string();
        let closed = listen(&socket, "close", bridge, move |bridge, _| match known {
            _ if was_opened.get() => bridge.input(|swarm, now| swarm.handle_socket_closed(now, id)),
            Some(failure) => bridge.input(|swarm, now| swarm.handle_socket_failed(now, id, failure)),
            None => spawn_local(report_failure(bridge.downgrade(), probing.clone(), id, url.clone())),
        });
        Ok(Self { socket, _listeners: [opened, message, closed], _probe: probe })
    }

    /// Sends one binary message. A socket that is not open any more drops it, and says so by closing.
    pub fn send(&self, message: &[u8]) {
        let _ = self.socket.send_with_u8_array(message);
    }

    /// Bytes that were sent and have not left.
    pub fn buffered(&self) -> usize {
        self.socket.buffered_amount() as usize
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Fails only for a bad close code, and none is given.
        let _ = self.socket.close();
    }
}

fn listen(
    socket: &WebSocket,
    kind: &'static str,
    bridge: &Bridge,
    mut handle: impl FnMut(&Bridge, &Event) + 'static,
) -> EventListener {
    let bridge = bridge.downgrade();
    EventListener::new(socket, kind, move |event| {
        if let Some(bridge) = bridge.upgrade() {
            bridge.step(|bridge| handle(bridge, event));
        }
    })
}

/// A message came: an `ArrayBuffer`, or text. Its length is asked for before it is copied.
pub fn receive(bridge: &Bridge, id: SocketId, data: JsValue) {
    match data.dyn_into::<ArrayBuffer>() {
        Ok(buffer) if !bridge.takes(id, buffer.byte_length() as usize) => {}
        Ok(buffer) => {
            let bytes = Uint8Array::new(&buffer).to_vec();
            bridge.input(|swarm, now| swarm.handle_socket_message(now, id, &bytes));
        }
        Err(_) => bridge.input(|swarm, now| swarm.handle_socket_text(now, id)),
    }
}

/// Why the constructor threw.
fn refusal(error: JsValue) -> SocketFailure {
    let name = Reflect::get(&error, &"name".into()).ok().and_then(|name| name.as_string());
    match name.as_deref() {
        Some("SecurityError") => SocketFailure::MixedContent,
        // Firefox's way to say it.
        Some("NS_ERROR_CONTENT_BLOCKED") => SocketFailure::BlockedByPolicy,
        _ => SocketFailure::BadUrl,
    }
}

/// Plain HTTP to the place of a socket that did not open. Dropping it gives it up, so that it keeps no process running.
struct Probe(AbortController);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A socket that failed says nothing about the cause: plain HTTP to the same place says more.
async fn report_failure(bridge: Weak<Bridge>, probe: Weak<Probe>, id: SocketId, url: String) {
    let (Some(signal), Some((is_secure, lifeline))) = (
        probe.upgrade().map(|probe| probe.0.signal()),
        bridge.upgrade().map(|bridge| (bridge.is_secure(), bridge.lifeline().clone())),
    ) else {
        return;
    };
    let failure = if is_secure && url.starts_with("ws:") && !is_loopback(&url) {
        SocketFailure::MixedContent
    } else {
        let _timer = time_out(lifeline, probe.clone());
        diagnose(&format!("http{}", url.strip_prefix("ws").unwrap_or(&url)), &signal).await
    };
    if let (Some(bridge), Some(_)) = (bridge.upgrade(), probe.upgrade()) {
        bridge.step(|bridge| {
            bridge.remember_failure(url, failure);
            bridge.input(|swarm, now| swarm.handle_socket_failed(now, id, failure));
        });
    }
}

fn time_out(lifeline: Lifeline, probe: Weak<Probe>) -> Timer {
    let timer = Timer::new(lifeline, move || {
        if let Some(probe) = probe.upgrade() {
            probe.0.abort();
        }
    });
    timer.set(page::now() + PROBE_TIME);
    timer
}

/// Whether browsers take the host for secure without TLS.
fn is_loopback(url: &str) -> bool {
    let after_scheme = url.trim_start_matches(|character| character != '/').trim_start_matches('/');
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    let host =
        if authority.starts_with('[') { authority.split_inclusive(']').next() } else { authority.split(':').next() };
    let host = host.unwrap_or_default();
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}

/// A relay lets every origin read its answer and marks it; of anything else one can at least learn that it answers. Nobody is followed
/// to where he redirects: he may name what only this machine can reach.
async fn diagnose(url: &str, signal: &AbortSignal) -> SocketFailure {
    let readable = request(url, RequestMode::Cors, RequestRedirect::Manual, signal);
    match readable.await {
        Ok(answer) if answer.headers().has(HTTP_HEADER).unwrap_or(false) => SocketFailure::OnlyHttpOfRelay,
        Ok(answer) if NOBODY_BEHIND_PROXY.contains(&answer.status()) => SocketFailure::Unreachable,
        Ok(_) => SocketFailure::Stranger,
        Err(_) if answers_unread(url, signal).await => SocketFailure::Stranger,
        Err(_) => SocketFailure::Unreachable,
    }
}

/// Browsers hide the answer of who does not allow to read it, and follow a redirect where they hide it; a process reads everything.
async fn answers_unread(url: &str, signal: &AbortSignal) -> bool {
    !cfg!(feature = "host") && request(url, RequestMode::NoCors, RequestRedirect::Follow, signal).await.is_ok()
}

async fn request(
    url: &str,
    mode: RequestMode,
    redirect: RequestRedirect,
    signal: &AbortSignal,
) -> Result<Response, JsValue> {
    let options = RequestInit::new();
    options.set_mode(mode);
    options.set_redirect(redirect);
    options.set_credentials(RequestCredentials::Omit);
    options.set_cache(RequestCache::NoStore);
    options.set_signal(Some(signal));
    let request = Request::new_with_str_and_init(url, &options)?;
    JsFuture::from(fetch(&request)).await?.dyn_into()
}
