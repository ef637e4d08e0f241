// What this tab remembers across reloads. Where the browser blocks storage, which throws at the first touch of it, that lies in the
// window's name, which browsers keep as long.

/** What was remembered by this name; `''` for nothing. */
export function recall(name) {
  try {
    return sessionStorage.getItem(name) ?? '';
  } catch {
    return new URLSearchParams(window.name).get(name) ?? '';
  }
}

/** Remembers a text. */
export function remember(name, text) {
  try {
    sessionStorage.setItem(name, text);
  } catch {
    const remembered = new URLSearchParams(window.name);
    remembered.set(name, text);
    window.name = remembered.toString();
  }
}
