// What Protomux writes, call by call.
import { close, cork, open, receive, remoteOpen, send, uncork } from './protomux-steps.mjs'

const id = 'c0'.repeat(32)

export const frames = [
  { name: 'open without id or handshake', steps: [open('a', 'peersockets/1')] },
  { name: 'open with a 32-byte id', steps: [open('a', 'hypercore/alpha', { id })] },
  { name: 'open with a handshake', steps: [open('a', 'peersockets/1', { handshake: '01020304' })] },
  { name: 'open with an empty handshake', steps: [open('a', 'peersockets/1', { handshake: '' })] },
  { name: 'open with a 32-byte id and a handshake', steps: [open('a', 'hypercore/alpha', { id, handshake: '00ff' })] },
  { name: 'open with a 1-byte id', steps: [open('a', 'alpha', { id: '07' })] },
  { name: 'open with a 253-byte id', steps: [open('a', 'alpha', { id: '07'.repeat(253) })] },
  {
    name: 'messages of type 0 and 3 on channels 1 and 2, before the remote has opened them',
    steps: [
      open('a', 'alpha'),
      open('b', 'beta'),
      send('a', 0, 'hello'),
      send('a', 3, 'hello'),
      send('b', 0, 'world'),
      send('b', 3, ''),
      send('a', 0, '')
    ]
  },
  { name: 'a message of type 300', steps: [open('a', 'alpha', { types: 301 }), send('a', 300, 'x')] },
  {
    name: 'channel 253',
    steps: [
      cork,
      ...Array.from({ length: 253 }, (_, i) => open(`c${i + 1}`, 'alpha', { id: (i + 1).toString(16).padStart(4, '0') })),
      uncork,
      send('c252', 0, 'x'),
      send('c253', 0, 'x'),
      close('c253')
    ]
  },
  {
    name: 'corked: opens, messages over two channels and a close are one batch',
    steps: [
      cork,
      open('a', 'alpha'),
      open('b', 'beta', { id, handshake: 'beef' }),
      send('a', 0, 'one'),
      send('a', 3, 'two'),
      send('b', 1, 'three'),
      send('a', 0, ''),
      close('b'),
      uncork
    ]
  },
  { name: 'corked: one message is a batch too', steps: [open('a', 'alpha'), cork, send('a', 0, 'x'), uncork] },
  { name: 'corked: one open is a batch too', steps: [cork, open('a', 'alpha'), uncork] },
  { name: 'corked: nothing is no frame', steps: [cork, uncork] },
  {
    name: 'corked twice: written at the last uncork',
    steps: [open('a', 'alpha'), cork, send('a', 0, 'x'), cork, send('a', 0, 'y'), uncork, send('a', 0, 'z'), uncork, send('a', 0, 'plain')]
  },
  { name: 'corked: a message of 253 bytes', steps: [open('a', 'alpha'), cork, send('a', 0, 'x'.repeat(251)), send('a', 0, 'x'.repeat(252)), uncork] },
  { name: 'an unpaired open is rejected', steps: [remoteOpen('01', 'alpha')] },
  { name: 'close after both opened', steps: [open('a', 'alpha'), remoteOpen('01', 'alpha'), close('a')] },
  { name: 'close before the remote opened', steps: [open('a', 'alpha'), close('a')] },
  { name: 'after its close a channel sends nothing', steps: [open('a', 'alpha'), remoteOpen('01', 'alpha'), close('a'), send('a', 0, 'x'), close('a')] },
  {
    name: 'the id of a channel that both opened is used again after its close',
    steps: [open('a', 'alpha'), remoteOpen('01', 'alpha'), close('a'), open('b', 'alpha'), send('b', 0, 'x')]
  },
  {
    name: 'the id of a channel closed before the remote opened it waits for that open',
    steps: [open('a', 'alpha'), close('a'), open('b', 'beta'), remoteOpen('01', 'alpha'), open('c', 'gamma')]
  },
  {
    name: 'the id of a channel closed before the remote opened it waits for the reject',
    steps: [open('a', 'alpha'), close('a'), open('b', 'beta'), receive('00 02 01'), open('c', 'gamma')]
  },
  {
    name: 'the id freed last is used first',
    steps: [
      open('a', 'alpha'),
      open('b', 'beta'),
      open('c', 'gamma'),
      remoteOpen('01', 'alpha'),
      remoteOpen('02', 'beta'),
      remoteOpen('03', 'gamma'),
      close('a'),
      close('c'),
      open('d', 'delta'),
      open('e', 'epsilon'),
      open('f', 'zeta')
    ]
  },
  { name: 'a second channel of one protocol and id is not created', steps: [open('a', 'alpha', { id }), open('b', 'alpha', { id }), open('c', 'alpha')] }
]
