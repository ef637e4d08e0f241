// A small Internet: servers with an address that everybody reaches, and homes behind routers that translate addresses.

import { fileURLToPath } from 'node:url';
import { systemCommand } from '../../../scripts/debian.mjs';
import { FLAGS, startBrowser } from '../../e2e/support/browser.mjs';
import { Network } from './network.mjs';

/** Where servers are. */
export const SERVER = '192.0.2.1';
/** A second address of theirs. */
export const OTHER_SERVER = '192.0.2.2';
/** The addresses of all homes, and that of the first. */
export const HOMES = '198.51.100.0/24';
export const HOME = '198.51.100.6';
/** An address of nobody: what is sent there is lost without a word. */
export const NOWHERE = '192.0.2.9';

/** How a router chooses the port by which the Internet knows a socket at home. */
const NATS = {
  /** The one that the socket has, wherever it sends to. Strangers are not let in: a port-restricted cone. */
  cone: 'masquerade',
  /** A new one for every address that the socket sends to. */
  symmetric: 'masquerade fully-random',
};

const startWith = fileURLToPath(new URL('start-with.sh', import.meta.url));

/** A name of mDNS in place of an address means nothing in another home: with nothing to try, ICE would never say that it has failed. */
const PLAIN_ADDRESSES = '--disable-features=WebRtcHideLocalIpsWithMdns';

/**
 * An Internet with two homes, each with a Chromium; all ends with the test file.
 * @param {keyof typeof NATS} nat the kind of both routers
 * @returns `internet`, the `browsers` in their homes, and `lose`, see below
 */
export async function startInternet(nat) {
  const internet = await Network.create();
  await internet.forward();
  await internet.ip(`address add ${SERVER}/32 dev lo`, `address add ${OTHER_SERVER}/32 dev lo`);
  // The rest of it takes every packet and answers none. Without it a server would be told that nobody has an address, and coturn ends a
  // session that tries one at home.
  const rest = await Network.create(internet);
  await internet.link({ name: 'rest', address: '198.51.100.253/30' }, rest, { name: 'rest', address: '198.51.100.254/30' });
  await internet.ip('route add default via 198.51.100.254');
  const browsers = await Promise.all([1, 2].map(async (number) => startBrowserIn(await buildHome(internet, number, nat))));
  return { internet, browsers, lose: (...packets) => lose(internet, packets) };
}

/** Loses packets from now on that match one of these conditions of `nft` on addresses. What is returned ends that. */
async function lose(internet, packets) {
  const rules = packets.map((packet) => `${packet} drop`).join('; ');
  // What is for a server passes the first, what is from one the second.
  const chains = ['prerouting', 'postrouting'].map((hook) => `chain ${hook} { type filter hook ${hook} priority filter; ${rules}; }`);
  await internet.nft(`table ip loss { ${chains.join('; ')}; }`);
  return () => internet.nft('delete table ip loss');
}

/** A home with one machine, which has no address that means anything outside; gives its network. */
async function buildHome(internet, number, nat) {
  const [router, home] = [await Network.create(internet), await Network.create(internet)];
  await router.forward();
  const [gateway, outside] = [`198.51.100.${number * 4 + 1}`, `198.51.100.${number * 4 + 2}`];
  await internet.link({ name: `home${number}`, address: `${gateway}/30` }, router, { name: 'outside', address: `${outside}/30` });
  await router.ip(`route add default via ${gateway}`);
  await router.link({ name: 'inside', address: `192.168.${number}.1/24` }, home, { name: 'wifi', address: `192.168.${number}.2/24` });
  await home.ip(`route add default via 192.168.${number}.1`);
  // What comes unasked is dropped and not refused: a router that remembers it would find the port taken when its home sends there.
  await router.nft(`
    table ip router {
      chain translate {
        type nat hook postrouting priority srcnat
        oifname "outside" ${NATS[nat]}
      }
      chain forward {
        type filter hook forward priority filter; policy drop
        iifname "inside" accept
        ct state established,related accept
      }
      chain unasked {
        type filter hook input priority filter; policy drop
        iifname "inside" accept
      }
    }
  `);
  return home;
}

function startBrowserIn(network) {
  const env = { ...process.env, START_WITH: [...network.enter, systemCommand('chromium')].join(' ') };
  return startBrowser({ executablePath: startWith, env, args: [...FLAGS, PLAIN_ADDRESSES] });
}
