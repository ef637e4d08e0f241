import { byId, copy } from './dom.js';
import { hexOf } from './bytes.js';
import { isOnThisComputer } from './origin.js';

/**
 * The drive that the page's address names, or none: then it is the public one that every visitor of this origin shares.
 *
 * Links carry it behind the `#`, which browsers keep to themselves: behind a `?` the server, which here is the relay, would be told
 * the drive's key. Such an address works too.
 */
export function readDrive(address) {
  const url = new URL(address);
  const hidden = new URLSearchParams(url.hash.slice(1)).get('drive');
  const text = hidden ?? url.searchParams.get('drive') ?? undefined;
  return { text, isToldToServer: text !== undefined && hidden === null };
}

/** The address of this page on a drive. */
function linkTo(text) {
  const url = new URL(location.href);
  url.search = '';
  url.hash = text === undefined ? '' : `drive=${text}`;
  return url.href;
}

function newDrive() {
  return `hyper://${hexOf(crypto.getRandomValues(new Uint8Array(32)))}`;
}

/** Says which drive is open, and how to get others to it or oneself to another. */
export class DriveBar {
  #drive;

  constructor(drive) {
    this.#drive = drive;
    this.#describe();
    this.#offerLink(linkTo(drive.text));
    // What differs only behind the # does not load the page anew.
    addEventListener('hashchange', () => {
      if (readDrive(location.href).text !== drive.text) location.reload();
    });
  }

  /** It turned out that the text names no drive. */
  reject() {
    byId('drive-remark').textContent = 'This is no drive’s name: that is hyper:// and 64 hex digits or 52 letters.';
    byId('invitation').hidden = true;
  }

  #describe() {
    const { text, isToldToServer } = this.#drive;
    const other = byId('other-drive');
    if (text === undefined) {
      byId('drive-name').textContent = `Public drive of ${location.host}`;
      byId('drive-remark').textContent = 'Derived from this address: anyone who can open this page can join, and so can whoever runs the relay.';
      other.textContent = 'Start a private drive';
      other.href = linkTo(newDrive());
      return;
    }
    byId('drive-name').textContent = shorten(text);
    byId('drive-name').title = text;
    byId('drive-remark').textContent = isToldToServer
      ? 'The address this page was opened with told the drive’s key to the server. The link here does not.'
      : 'Private: only those who have the link can join, and not even the relay knows the key.';
    other.textContent = 'Back to the public drive';
    other.href = linkTo(undefined);
  }

  #offerLink(link) {
    const field = byId('link');
    field.value = link;
    field.addEventListener('focus', () => field.select());
    byId('second-window').href = link;
    if (isOnThisComputer) {
      byId('link-label').textContent = 'Open this link in another window of this computer';
      byId('or-phone').hidden = true;
    }
    const copyButton = byId('copy-link');
    copyButton.addEventListener('click', () => copy(link, copyButton, () => field.focus()));
    const shareButton = byId('share-link');
    shareButton.hidden = navigator.share === undefined;
    // Rejects when the user thinks better of it.
    shareButton.addEventListener('click', () => navigator.share({ title: document.title, url: link }).catch(() => {}));
  }
}

function shorten(text) {
  return text.length > 34 ? `${text.slice(0, 20)}…${text.slice(-8)}` : text;
}
