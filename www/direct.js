import { byId } from './dom.js';
import { recall, remember } from './memory.js';

/** By which a tab remembers that it is to connect to nobody directly. */
const NAME = 'direct';
const OFF = 'off';

/** Whether this page may connect directly to peers, which shows them its address: the visitor's choice, kept as long as the tab. */
export function mayBeDirect() {
  return recall(NAME) !== OFF;
}

/** Shows the choice, and follows it: what is connected already would show an address, so the page begins anew. */
export function offerChoice() {
  const box = byId('direct');
  box.checked = mayBeDirect();
  box.addEventListener('change', () => {
    remember(NAME, box.checked ? '' : OFF);
    location.reload();
  });
}
