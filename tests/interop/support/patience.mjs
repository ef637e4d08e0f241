/** Longest time that a test waits for one thing, in milliseconds. */
const PATIENCE = 20_000;

/** What a promise gives, or an error that names what was waited for too long. */
export async function patiently(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`after ${PATIENCE} ms there is no ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when a `PeerSockets` is in this state. */
export async function until(sockets, state) {
  while (sockets.state !== state) {
    await patiently(`state ${state}`, new Promise((resolve) => sockets.addEventListener('state', resolve, { once: true })));
  }
}
