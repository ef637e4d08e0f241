//! What every page and worker has: a clock, randomness, timers.

use std::cell::RefCell;

use peersockets_core::time::{Duration, Time};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, WebSocket};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(bytes: &mut [u8]) -> Result<(), JsValue>;

    #[wasm_bindgen(js_name = queueMicrotask)]
    pub fn queue_microtask(callback: &JsValue);

    /// The TypeScript half's hold on all that we have outside: after a trap it closes and stops that.
    #[derive(Clone)]
    pub type Lifeline;

    /// Takes a step that something outside brought about. A trap in it ends there.
    #[wasm_bindgen(method)]
    pub fn run(this: &Lifeline, step: &mut dyn FnMut());

    /// Holds a socket until it is closed; to be called before anybody listens to it.
    #[wasm_bindgen(method, js_name = keepSocket)]
    pub fn keep_socket(this: &Lifeline, socket: &WebSocket);

    /// What ends a question over HTTP; held until it has.
    #[wasm_bindgen(method, catch, js_name = newAbortController)]
    pub fn new_abort_controller(this: &Lifeline) -> Result<AbortController, JsValue>;

    #[wasm_bindgen(method, js_name = setTimeout)]
    fn set_timeout(this: &Lifeline, callback: &JsValue, milliseconds: f64) -> JsValue;

    #[wasm_bindgen(method, js_name = clearTimeout)]
    fn clear_timeout(this: &Lifeline, timeout: &JsValue);
}

/// Browsers take a longer delay for none. A call too early does no harm.
const LONGEST_DELAY: Duration = Duration::from_millis(0x7fff_ffff);

/// Milliseconds since the page began, never running backwards.
pub fn now() -> Time {
    Time::from_millis(performance_now())
}

/// 32 bytes from the browser's source of randomness.
pub fn random_seed() -> Result<[u8; 32], JsValue> {
    let mut seed = [0; 32];
    get_random_values(&mut seed)?;
    Ok(seed)
}

/// One timer that calls the same function each time it is due.
pub struct Timer {
    lifeline: Lifeline,
    callback: Closure<dyn FnMut()>,
    pending: RefCell<Option<(JsValue, Time)>>,
}

impl Timer {
    /// A timer that is not set.
    pub fn new(lifeline: Lifeline, callback: impl FnMut() + 'static) -> Self {
        Self { lifeline, callback: Closure::new(callback), pending: RefCell::new(None) }
    }

    /// Makes it due at `at`, or earlier if it was set so: a call too early does no harm, and setting a timer costs.
    pub fn set(&self, at: Time) {
        let now = now();
        // Taken out meanwhile: what JavaScript is called here may call back.
        match self.pending.take() {
            Some((timeout, earlier)) if earlier <= at => {
                self.pending.replace(Some((timeout, earlier)));
                return;
            }
            Some((timeout, _)) => self.lifeline.clear_timeout(&timeout),
            None => {}
        }
        // Browsers round down: a millisecond more, so that it is due when it fires.
        let delay = (at.since(now) + Duration::from_millis(1)).min(LONGEST_DELAY);
        let ours = (self.lifeline.set_timeout(self.callback.as_ref(), delay.as_secs_f64() * 1000.0), at);
        // Whoever called back may have set another.
        let (kept, dropped) = match self.pending.take() {
            Some(other) if other.1 <= at => (other, Some(ours)),
            other => (ours, other),
        };
        self.pending.replace(Some(kept));
        if let Some((timeout, _)) = dropped {
            self.lifeline.clear_timeout(&timeout);
        }
    }

    /// To be called first when it fires.
    pub fn fired(&self) {
        *self.pending.borrow_mut() = None;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((timeout, _)) = self.pending.get_mut() {
            self.lifeline.clear_timeout(timeout);
        }
    }
}
