import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../../dist/bullmq/connection.js';
import { EventReader } from '../../dist/bullmq/event-reader.js';
import { settingsOf } from '../../dist/bullmq/options.js';
import type { Redis } from '../../dist/bullmq/packages.js';
import { useRedis } from '../helpers/redis.js';
import { type SilentProxy, silentProxy } from '../helpers/silent-proxy.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

// A read that nothing ends takes 5 s.
const atOnceMs = 4000;

describe('the reader of a stream', () => {
  const redis = useRedis();
  let writer: Redis;
  let proxy: SilentProxy;
  let connection: Connection;
  let reader: EventReader;
  let key: string;
  let seen: string[];
  let count = 0;

  beforeEach(async () => {
    key = `stream-${++count}`;
    seen = [];
    const { Redis: RedisClass } =
      require('ioredis') as typeof import('ioredis');
    writer = new RedisClass(redis().url);
    proxy = await silentProxy(redis().port);
    connection = new Connection(
      settingsOf({ connection: `redis://127.0.0.1:${proxy.port}` }),
      () => undefined,
    );
    reader = new EventReader(connection, key, ({ n }) => seen.push(n!));
  });

  afterEach(async () => {
    await reader.stop();
    await connection.close();
    await proxy.close();
    writer.disconnect();
  });

  const write = (n: number): Promise<unknown> => writer.xadd(key, '*', 'n', n);

  const clients = (): Promise<string> =>
    writer.client('LIST') as Promise<string>;

  async function reads(): Promise<number> {
    const stats = await writer.info('commandstats');
    return Number(/cmdstat_xread:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  test('gives what comes after its start, in order', async () => {
    await write(0);
    await reader.start();
    for (let n = 1; n <= 5; n++) await write(n);
    await until('all', () => seen.length === 5);
    expect(seen).toEqual(['1', '2', '3', '4', '5']);
  });

  test('starts also when its connection is lost before the first reply', async () => {
    await until('its connection', async () => {
      return (await clients()).trim().split('\n').length === 3;
    });
    await sleep(50);
    proxy.cutReplies();
    const started = reader.start();
    await sleep(50);
    proxy.drop();
    await started;
    await write(1);
    await until('the first', () => seen.length === 1);
  });

  test('misses nothing that comes while its connection is cut, and gives nothing twice', async () => {
    await reader.start();
    await write(1);
    await until('the first', () => seen.length === 1);
    for (let n = 2; n <= 6; n += 2) {
      proxy.drop();
      await write(n);
      await write(n + 1);
      await until('both', () => seen.length === n + 1);
    }
    expect(seen).toEqual(['1', '2', '3', '4', '5', '6', '7']);
  });

  test('misses nothing when a reply is lost on its way', async () => {
    await reader.start();
    await write(1);
    await until('the first', () => seen.length === 1);
    proxy.cutReplies();
    await write(2);
    await sleep(50);
    proxy.drop();
    await write(3);
    await until('the others', () => seen.length === 3);
    expect(seen).toEqual(['1', '2', '3']);
  });

  test('gives up a connection that is silent for too long', async () => {
    await reader.start();
    await write(1);
    await until('the first', () => seen.length === 1);
    proxy.cut({ newOnes: false });
    await write(2);
    await until('the second', () => seen.length === 2, 20_000);
  });

  test('stops at once during a read', async () => {
    await reader.start();
    await sleep(50);
    const start = performance.now();
    await reader.stop();
    expect(performance.now() - start).toBeLessThan(atOnceMs);
    await write(1);
    await sleep(50);
    expect(seen).toEqual([]);
  });

  test('stops at once while the server is away', async () => {
    await reader.start();
    await proxy.close();
    await sleep(50);
    const start = performance.now();
    await reader.stop();
    expect(performance.now() - start).toBeLessThan(atOnceMs);
  });

  test('tries a read that is refused again after a moment, and goes on when it can', async () => {
    await reader.start();
    await until('it to read', async () => {
      return (await clients()).includes('cmd=xread');
    });
    await writer.set(key, 'no stream');
    const [, id] = /id=(\d+) [^\n]*cmd=xread/.exec(await clients())!;
    const before = await reads();
    const start = performance.now();
    await writer.client('UNBLOCK', id!, 'ERROR');
    await until('three more', async () => (await reads()) >= before + 3);
    // 100 ms before each. A timer of Node may fire a fraction of a millisecond early.
    expect(performance.now() - start).toBeGreaterThanOrEqual(295);
    await writer.del(key);
    await write(1);
    await until('it to go on', () => seen.length === 1);
  });

  test('does not start with a stream that the server refuses', async () => {
    await writer.set(key, 'no stream');
    const error = await rejection(reader.start());
    expect((error as Error).message).toContain('WRONGTYPE');
  });
});
