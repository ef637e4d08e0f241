// The smallest program that shows that pages reach each other: each greets whom it sees.

import { openPerson } from '../../e2e/support/browser.mjs';

/** What it says of a greeting, on the console. */
const GREETED = 'peer 1 says hello';

/** The program, as it is after `install` was imported; `options` is the text of those of `install`. */
export function chatProgram(options = '') {
  return `
    const sockets = install(${options})
    const peerEvents = sockets.watch()
    const chat = sockets.join('chat')
    peerEvents.addEventListener('join', ({ peerId }) => chat.send(peerId, 'hello'))
    peerEvents.addEventListener('leave', ({ peerId }) => console.log(\`peer \${peerId} is gone\`))
    chat.addEventListener('message', ({ peerId, message }) => console.log(\`peer \${peerId} says \${new TextDecoder().decode(message)}\`))
  `;
}

/** A page that loads a module. */
export function pageWith(script, head = '') {
  return `<!doctype html><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">${head}<script type="module" src="${script}"></script>`;
}

/**
 * Opens a page that runs the program, or one that does the same, in two contexts, and waits until each was greeted by the other.
 * Then `afterwards` is done with the two people, and the pages are closed: before their relay, of whose end they would complain.
 */
export async function twoGreetEachOther(t, browser, url, afterwards = () => {}) {
  await withTwoPeople(t, browser, async (people) => {
    for (const { page } of people) await page.goto(url);
    await Promise.all(people.map((person) => person.line(GREETED)));
    await afterwards(people);
  });
}

/** Does something with two people who have no page open yet; closes their pages. */
export async function withTwoPeople(t, browser, action) {
  const people = [await openPerson(t, browser), await openPerson(t, browser)];
  await action(people);
  for (const { page } of people) await page.close();
}
