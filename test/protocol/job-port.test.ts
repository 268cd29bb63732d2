import { once } from 'node:events';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { packFrame, writeFrame } from '../../dist/protocol/frame.js';
import { type JobPort, portControl } from '../../dist/protocol/job-port.js';
import { channel } from '../../dist/protocol/channel.js';
import { native } from '../../dist/system/binding.js';
import { type Fd, openSocketPair } from '../../dist/system/fd.js';
import { collectGarbage } from '../helpers/collect.js';
import { checkLeaks } from '../helpers/leaks.js';
import { runNode } from '../helpers/program.js';
import { until } from '../helpers/until.js';

let port: JobPort;
let peer: Fd;
afterEach(() => {
  port.close();
  peer.close();
});

checkLeaks(async () => {
  for (const port of channel()) port.close();
  await turnOfLoop();
});
beforeEach(() => {
  const { reader, writer } = openSocketPair('a test');
  port = portControl.receive(reader.disown());
  peer = writer;
});
const write = (bytes: Uint8Array): number =>
  native.write(peer.number, bytes, 0, bytes.length);

test.each([
  ['what is no frame', Buffer.from('not a frame at all')],
  ['half a frame', Buffer.of(5, 9, 0, 0, 0, 0, 0, 0, 0, 0x31)],
  ['a frame with a huge length', Buffer.alloc(9, 0xf5)],
])('a peer that sends %s closes the port with an error', async (_, bytes) => {
  const messages: unknown[] = [];
  port.on('message', (value) => messages.push(value));
  writeFrame(peer.number, 'report', '1');
  write(bytes);
  peer.close();
  const [error] = (await once(port, 'close')) as [Error];
  expect(error).toMatchObject({ code: 'ERR_JOBSERVER_PORT' });
  expect(messages).toEqual([1]);
});

test('a message that cannot be decoded is a messageerror, and the port goes on', async () => {
  const messages: unknown[] = [];
  port.on('message', (value) => messages.push(value));
  const failure = once(port, 'messageerror');
  writeFrame(peer.number, 'report', Buffer.of(1, 2, 3));
  writeFrame(peer.number, 'report', '"next"');
  expect(await failure).toEqual([
    expect.objectContaining({ code: 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE' }),
  ]);
  await until('the next message', () => messages.length > 0);
  expect(messages).toEqual(['next']);
});

test('the bytes of messages may arrive one by one', async () => {
  const [first] = packFrame('report', '"ü"', 0);
  const bytes = Buffer.from(first);
  const message = once(port, 'message');
  for (const byte of bytes) {
    write(Buffer.of(byte));
    await turnOfLoop();
  }
  expect(await message).toEqual(['ü']);
});

test('a listener that throws is an uncaught error, and other ports go on', async () => {
  const program = `
    const { channel } = require(${JSON.stringify(require.resolve('../../dist/index.js'))});
    const [one, other] = channel();
    process.on('uncaughtException', ({ message }) => console.log(message));
    one.on('message', (value) => { throw new Error(value); });
    one.on('close', () => console.log('closed'));
    other.postMessage('first');
    other.postMessage('second');
    other.close();
    setTimeout(() => {}, 100);
  `;
  const { stdout } = await runNode(['-e', program]);
  expect(stdout.trim().split('\n').sort()).toEqual([
    'closed',
    'first',
    'second',
  ]);
});

test('an end whose other end is here keeps nothing alive', async () => {
  const program = `
    const { channel } = require(${JSON.stringify(require.resolve('../../dist/index.js'))});
    const [one, other] = channel();
    one.on('message', () => {});
    other.postMessage('x');
    console.log('over');
  `;
  const { stdout } = await runNode(['-e', program]);
  expect(stdout).toBe('over\n');
});

test('ports that nobody refers to are closed', async () => {
  const before = channel();
  const numbers = new Set<number>();
  for (let i = 0; i < 50; i++) channel();
  for (const each of before) each.close();
  await until('the sockets to be closed', () => {
    collectGarbage();
    const { reader, writer } = openSocketPair('a probe');
    numbers.add(reader.number);
    const { number } = reader;
    reader.close();
    writer.close();
    return number < 60;
  });
});

test('nothing arrives after close, and closing twice is fine', async () => {
  const messages: unknown[] = [];
  port.on('message', (value) => {
    messages.push(value);
    port.close();
  });
  writeFrame(peer.number, 'report', '1');
  writeFrame(peer.number, 'report', '2');
  await once(port, 'close');
  port.close();
  expect(messages).toEqual([1]);
  expect(port.postMessage(3)).toBe(false);
});

test('unref lets the process end while a listener waits', () => {
  const isActive = (): boolean =>
    process.getActiveResourcesInfo().some((name) => /poll/i.test(name));
  const before = isActive();
  port.on('message', () => undefined);
  port.unref();
  expect(isActive()).toBe(before);
  port.ref();
});
