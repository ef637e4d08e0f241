// Frames given to Protomux: those of an orderly remote, and those that only a broken or hostile one sends.
import { close, cork, end, endPairing, inBatch, open, opening, pair, receive, remoteOpen, send, uncork } from './protomux-steps.mjs'

const id = 'c0'.repeat(32)
const both = [open('a', 'alpha'), remoteOpen('01', 'alpha')]

export const transcripts = [
  // Opening
  { name: 'our open is answered', steps: both },
  { name: 'our open is answered with a handshake', steps: [open('a', 'alpha', { handshake: '01' }), remoteOpen('01', 'alpha', { handshake: '0203' })] },
  { name: 'a handshake is expected and none is there', steps: [open('a', 'alpha', { handshake: '01' }), remoteOpen('01', 'alpha')] },
  { name: 'no handshake is expected and one is there', steps: [open('a', 'alpha'), remoteOpen('01', 'alpha', { handshake: '0203' })] },
  { name: 'the answer has another id', steps: [open('a', 'alpha', { id }), remoteOpen('01', 'alpha')] },
  { name: 'ids of the two sides differ', steps: [open('a', 'alpha'), open('b', 'beta'), remoteOpen('01', 'beta'), remoteOpen('02', 'alpha'), receive('01 00 62'), receive('02 00 61')] },
  { name: 'an open that pairs', steps: [pair('alpha', open('a', 'alpha')), remoteOpen('01', 'alpha')] },
  { name: 'an open that pairs under any id', steps: [pair('alpha', open('a', 'alpha', { id })), remoteOpen('01', 'alpha', { id })] },
  { name: 'an open that is asked about and not accepted', steps: [pair('alpha'), remoteOpen('01', 'alpha')] },
  { name: 'an open that nobody pairs, then a message', steps: [remoteOpen('01', 'alpha'), receive('01 00 61')] },
  { name: 'the id of a rejected open is used again', steps: [pair('beta', open('b', 'beta')), remoteOpen('01', 'alpha'), remoteOpen('01', 'beta')] },
  { name: 'a second open of an open protocol and id', steps: [...both, remoteOpen('02', 'alpha'), receive('01 00 61')] },

  // Messages
  { name: 'a message', steps: [...both, receive('01 00 68656c6c6f'), receive('01 03')] },
  { name: 'a message of a type that the channel has not', steps: [...both, receive('01 04 61'), receive('01 fd2c01 61'), receive('01 00 61')] },
  { name: 'a message on a channel never opened', steps: [...both, receive('02 00 61'), receive('ffffffffffffff1f00 00 61'), receive('01 00 61')] },
  { name: 'a message on a closed channel', steps: [...both, receive('00 03 01'), receive('01 00 61')] },
  { name: 'a message after our close', steps: [...both, close('a'), receive('01 00 61')] },
  { name: 'a channel and type in more bytes than needed', steps: [...both, receive('fd0100 fe00000000 61')] },
  {
    name: 'messages right after the open, before the local side opened',
    steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), receive('01 00 61'), receive('01 01 62'), open('a', 'alpha'), endPairing]
  },
  { name: 'messages right after the open, never opened here', steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), receive('01 00 61'), endPairing] },
  { name: 'open and messages in one batch that pairs', steps: [pair('alpha', open('a', 'alpha')), receive('00 00 00', inBatch(opening('01', 'alpha')), '00 01', inBatch('00 61'), inBatch('01 62'))] },
  { name: 'open and messages in one batch that nobody pairs', steps: [receive('00 00 00', inBatch(opening('01', 'alpha')), '00 01', inBatch('00 61'), inBatch('01 62'))] },
  {
    name: 'the stream pauses above 32768 kept bytes, 512 counted for each message',
    steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), receive('00 00 01', inBatch('00 61').repeat(63)), receive('01 00 61'), open('a', 'alpha', { types: 0 })]
  },

  // Batches
  { name: 'a batch of control messages', steps: [pair('beta', open('b', 'beta')), open('a', 'alpha'), receive('00 00 00', inBatch(opening('01', 'alpha')), inBatch(opening('02', 'beta')), inBatch(opening('03', 'gamma')))] },
  { name: 'a batch over two channels', steps: [open('a', 'alpha'), open('b', 'beta'), remoteOpen('01', 'alpha'), remoteOpen('02', 'beta'), receive('00 00 01', inBatch('00 61'), inBatch('03 62'), '00 02', inBatch('01 63'), '00 01', inBatch('00 64'))] },
  { name: 'answers to a batch of one are plain', steps: [open('a', 'alpha', { echo: true }), remoteOpen('01', 'alpha'), receive('00 00 01', inBatch('00 61'))] },
  { name: 'answers to a batch of two are a batch', steps: [open('a', 'alpha', { echo: true }), remoteOpen('01', 'alpha'), receive('00 00 01', inBatch('00 61'), inBatch('01 62'))] },
  { name: 'a batch with a message on an unknown channel', steps: [...both, receive('00 00 05', inBatch('00 61'), '00 01', inBatch('00 62'))] },
  { name: 'a batch without messages', steps: [...both, receive('00 00 01'), receive('01 00 61')] },
  { name: 'a batch that only switches channels', steps: [...both, receive('00 00 01 0002 0001'), receive('01 00 61')] },
  { name: 'a batch without a channel', steps: [...both, receive('00 00')] },
  { name: 'a batch that ends in a switch', steps: [...both, receive('00 00 01', inBatch('00 61'), '00')] },
  { name: 'a batch whose last message is shorter than its length', steps: [...both, receive('00 00 01', inBatch('00 61'), '09 00 6263')] },
  { name: 'a batch whose last message has no bytes', steps: [...both, receive('00 00 01', inBatch('00 61'), '02')] },
  { name: 'a batch with a message that has no payload', steps: [...both, receive('00 00 01', inBatch('00'), inBatch('00 61'))] },
  { name: 'a batch with a length of 2^53 - 1', steps: [...both, receive('00 00 01 ffffffffffffff1f00 00 61')] },
  { name: 'a batch in a batch', steps: [...both, receive('00 00 00', inBatch('00 01' + inBatch('00 61') + inBatch('01 62')), '00 01', inBatch('00 63'))] },
  { name: 'a batch that dies in the middle', steps: [...both, receive('00 00 01', inBatch('00 61'), '00 00', inBatch(opening('05', 'beta')), '00 01', inBatch('00 62'))] },
  { name: 'a batch while we are corked', steps: [open('a', 'alpha', { echo: true }), remoteOpen('01', 'alpha'), cork, receive('00 00 01', inBatch('00 61'), inBatch('01 62')), uncork] },

  // Rejects
  { name: 'our open is rejected', steps: [open('a', 'alpha'), receive('00 02 01'), open('b', 'beta')] },
  { name: 'our open is rejected after messages were sent', steps: [open('a', 'alpha'), send('a', 0, 'x'), receive('00 02 01'), send('a', 0, 'y')] },
  { name: 'our open is rejected after we closed', steps: [open('a', 'alpha'), close('a'), receive('00 02 01')] },
  { name: 'a reject of an id never opened', steps: [open('a', 'alpha'), receive('00 02 02')] },
  { name: 'a reject of id 0', steps: [open('a', 'alpha'), receive('00 02 00')] },
  { name: 'a reject of a channel that is open', steps: [...both, receive('00 02 01')] },
  { name: 'a reject repeated', steps: [open('a', 'alpha'), receive('00 02 01'), receive('00 02 01')] },
  { name: 'a reject with bytes after it', steps: [open('a', 'alpha'), receive('00 02 01 ffff')] },

  // Closes
  { name: 'the remote closes', steps: [...both, receive('00 03 01'), open('b', 'beta')] },
  { name: 'the remote closes and opens again', steps: [...both, receive('00 03 01'), open('b', 'alpha'), remoteOpen('01', 'alpha'), receive('01 00 61')] },
  { name: 'both close at once', steps: [...both, close('a'), receive('00 03 01')] },
  { name: 'a close of an id never opened', steps: [...both, receive('00 03 02'), receive('00 03 ffffffffffffff1f00'), receive('01 00 61')] },
  { name: 'a close of id 0', steps: [...both, receive('00 03 00'), receive('01 00 61')] },
  { name: 'a close with bytes after it', steps: [...both, receive('00 03 01 ffff')] },
  { name: 'a close while the pairing is held is forgotten', steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), receive('00 03 01'), open('a', 'alpha'), endPairing, receive('01 00 61')] },
  { name: 'a close while the pairing is held, never opened here', steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), receive('00 03 01'), endPairing] },

  // Ids
  { name: 'an open with id 0', steps: [remoteOpen('00', 'alpha')] },
  { name: 'an open whose id skips ahead', steps: [remoteOpen('02', 'alpha')] },
  { name: 'an open whose id is in use', steps: [open('a', 'alpha'), open('b', 'beta'), remoteOpen('01', 'alpha'), remoteOpen('01', 'beta')] },
  { name: 'an open whose id is held by an unanswered open', steps: [pair('alpha', null, { hold: true }), remoteOpen('01', 'alpha'), remoteOpen('01', 'beta')] },
  { name: 'an open with id 2^32', steps: [remoteOpen('ff0000000001000000', 'alpha')] },
  { name: 'an open with id 2^53 - 1', steps: [remoteOpen('ffffffffffffff1f00', 'alpha')] },
  { name: 'an open with id 2^62', steps: [remoteOpen('ff0000000000000040', 'alpha')] },
  { name: 'the id of a rejected open is free, and may be passed over', steps: [pair('alpha'), remoteOpen('01', 'alpha', { id: '01' }), remoteOpen('01', 'alpha', { id: '02' }), remoteOpen('02', 'alpha', { id: '03' })] },
  { name: 'a remote id that was freed may come back after a higher one', steps: [open('a', 'alpha'), open('b', 'beta'), remoteOpen('01', 'alpha'), remoteOpen('02', 'beta'), receive('00 03 01'), open('c', 'gamma'), remoteOpen('01', 'gamma')] },

  // Malformed frames
  { name: 'an empty frame', steps: [...both, receive(''), receive('01 00 61')] },
  { name: 'a frame of a channel only', steps: [...both, receive('01')] },
  { name: 'a frame of an unknown channel only', steps: [...both, receive('09')] },
  { name: 'a frame that ends in the channel', steps: [...both, receive('fd01')] },
  { name: 'a frame that ends in the type', steps: [...both, receive('01 fd01')] },
  { name: 'a channel of 2^53', steps: [...both, receive('ff0000000000002000 00 61')] },
  { name: 'a control frame without a type', steps: [...both, receive('00')] },
  { name: 'an unknown control type', steps: [...both, receive('00 04'), receive('00 09 ffff'), receive('00 fd0001 01'), receive('01 00 61')] },
  { name: 'an open without an id', steps: [receive('00 01')] },
  { name: 'an open that ends in the protocol', steps: [receive('00 01 01 05 616c')] },
  { name: 'an open without the channel id', steps: [receive('00 01 01 05 616c706861')] },
  { name: 'an open that ends in the channel id', steps: [receive('00 01 01 05 616c706861 20 c0c0')] },
  { name: 'an open whose protocol is 2^53 - 1 bytes long', steps: [receive('00 01 01 ffffffffffffff1f00 61')] },
  { name: 'an open with an empty protocol', steps: [receive('00 01 01 00 00')] },
  { name: 'a reject without an id', steps: [receive('00 02')] },
  { name: 'a close without an id', steps: [receive('00 03')] },

  // The end
  { name: 'the remote ends the stream', steps: [...both, end] },
  { name: 'the remote ends the stream before it answered', steps: [open('a', 'alpha'), end] }
]
