// What this tab remembers across reloads: nothing where the browser blocks storage, which throws at the first touch of it.

/** What was remembered by this name; `''` for nothing. */
export function recall(name) {
  try {
    return sessionStorage.getItem(name) ?? '';
  } catch {
    return '';
  }
}

/** Remembers a text, if it can. */
export function remember(name, text) {
  try {
    sessionStorage.setItem(name, text);
  } catch {
    // Then it is forgotten with the page.
  }
}
