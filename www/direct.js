import { byId } from './dom.js';
import { recall, remember } from './memory.js';

/** By which a tab remembers that it is to connect to nobody directly. */
const NAME = 'direct';
const OFF = 'off';

// A window that was opened by one that is not to be shown is not either, and needs its address for that no more.
const asked = new RegExp(`[#&]${NAME}=${OFF}$`);
if (asked.test(location.href)) {
  remember(NAME, OFF);
  history.replaceState(null, '', location.href.replace(asked, ''));
}

/** Whether this page may connect directly to peers, which shows them its address: the visitor's choice, kept as long as the tab. */
export function mayBeDirect() {
  return recall(NAME) !== OFF;
}

/** Shows the choice, and follows it: what is connected already would show an address, so the page begins anew. */
export function offerChoice() {
  const box = byId('direct');
  box.checked = mayBeDirect();
  const second = byId('second-window');
  if (!box.checked) second.href += `${new URL(second.href).hash === '' ? '#' : '&'}${NAME}=${OFF}`;
  box.addEventListener('change', () => {
    remember(NAME, box.checked ? '' : OFF);
    location.reload();
  });
}
