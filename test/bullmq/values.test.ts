import { Jobserver, LostResult, move } from '../../dist/index.js';
import { ClusterHost, type ValueStore } from '../../dist/bullmq.js';
import { useCluster } from '../helpers/cluster.js';
import { RedisServer, useRedis } from '../helpers/redis.js';
import { silentProxy } from '../helpers/silent-proxy.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(120_000 * timeoutFactor);

const { Redis } = require('ioredis') as typeof import('ioredis');

describe('values in a cluster', () => {
  const redis = useRedis();
  const { host, executor, checkout, queue } = useCluster({ leaseMs: 60_000 });
  const fn = (name: string): string => checkout().fn(name);

  async function keysOfValues(): Promise<string[]> {
    const client = new Redis(redis().url);
    try {
      return await client.keys(`*${queue()}:value.*`);
    } finally {
      client.disconnect();
    }
  }

  test('values of each kind come back as they are', async () => {
    const connection = redis().url;
    await host({ connection });
    const executed = executor({ connection });
    const cyclic: Record<string, unknown> = { n: 1n };
    cyclic['self'] = cyclic;
    for (const value of [
      undefined,
      null,
      -0,
      'ü',
      Array(3),
      new Map([[1, new Set(['a'])]]),
      new Date(0),
      cyclic,
      new Uint16Array([1, 2]),
      new RangeError('no'),
    ]) {
      expect(await executed.submit(fn('identity'), value)).toEqual(value);
    }
  });

  test.each([16_000, 17_000, 1 << 20, (1 << 20) + 1, 64 << 20])(
    '%p bytes travel in both directions, and nothing of them is left',
    async (length) => {
      const connection = redis().url;
      await host({ connection });
      const executed = executor({ connection });
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i += 997) bytes[i] = i;
      const back = await executed.submit<[Uint8Array], Uint8Array>(
        fn('identity'),
        bytes,
      );
      expect(Buffer.compare(back, bytes)).toBe(0);
      await until('its values to be dropped', async () => {
        return (await keysOfValues()).length === 0;
      });
    },
  );

  test('a value that cannot travel is an error with its path', async () => {
    const executed = executor({ connection: redis().url });
    for (const [value, path] of [
      [{ log: () => 1 }, 'args[0].log'],
      [new SharedArrayBuffer(8), 'args[0]'],
      [{ within: executed }, 'args[0].within'],
    ] as const) {
      const error = await rejection(executed.submit(fn('identity'), value));
      expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
      expect((error as Error).message).toContain(path);
    }
  });

  test('a buffer that is moved arrives', async () => {
    const connection = redis().url;
    await host({ connection });
    const executed = executor({ connection });
    const bytes = new Uint8Array(100_000).fill(5);
    expect(await executed.submit(fn('lengthOf'), move(bytes))).toBe(100_000);
  });

  test('a server without memory for them is an error of the call', async () => {
    const server = await RedisServer.start(['--maxmemory', '8mb']);
    try {
      const executed = executor({ connection: server.url });
      const error = await rejection(
        executed.submit(fn('identity'), new Uint8Array(16 << 20)),
      );
      expect((error as Error).message).toContain('OOM');
    } finally {
      await server.end();
    }
  });

  describe('in a store', () => {
    const kept = new Map<string, Uint8Array>();
    const used: string[] = [];
    /** Keys that end with this are lost, once. */
    let lost: string | undefined;
    const store: ValueStore = {
      put: async (key, bytes) => {
        used.push(key);
        kept.set(key, Uint8Array.from(bytes));
      },
      get: async (key) => {
        if (lost !== undefined && key.endsWith(lost)) {
          lost = undefined;
          throw new Error('it was lost');
        }
        return kept.get(key)!;
      },
      drop: async (key) => void kept.delete(key),
    };
    const options = { store, inlineBytes: 100 };
    const value = 'x'.repeat(1000);
    let there: ClusterHost | undefined;
    beforeEach(() => {
      used.length = 0;
      lost = undefined;
      const { root } = checkout();
      const connection = redis().url;
      there = new ClusterHost({
        ...options,
        ...{ connection, queue: queue(), root, name: 'there' },
      });
    });
    afterEach(async () => {
      await there?.close();
    });

    test('large values are there instead of in Redis', async () => {
      const executed = executor({ connection: redis().url, ...options });
      expect(await executed.submit(fn('identity'), value)).toBe(value);
      expect(used.length).toBe(2);
      expect(await keysOfValues()).toEqual([]);
      await until('all to be dropped', () => kept.size === 0);
    });

    test('a host that is cut off while it waits for one has its slot back', async () => {
      const proxy = await silentProxy(redis().port);
      const jobserver = new Jobserver({ slots: 1 });
      const silent = { ...store, get: () => new Promise<never>(() => {}) };
      const { root } = checkout();
      const own = new ClusterHost({
        ...{ jobserver, root, queue: `${queue()}-own`, leaseMs: 1000 },
        ...{ connection: `redis://127.0.0.1:${proxy.port}`, store: silent },
      });
      try {
        await own.ready();
        const connection = redis().url;
        const executed = executor({
          ...options,
          ...{ connection, queue: `${queue()}-own`, leaseMs: 1000 },
        });
        const work = executed.submit(fn('identity'), value);
        work.catch(() => undefined);
        await until('the host to have it', () => own.running === 1);
        proxy.cut();
        // It has no other slot.
        expect(await jobserver.run(fn('identity'), 2)).toBe(2);
        await rejection(work);
      } finally {
        proxy.heal();
        await own.close();
        await jobserver.close();
        await proxy.close();
      }
    });

    describe.each(['.args', '.result'])('a lost value of %p', (name) => {
      test('loses its call', async () => {
        lost = name;
        const executed = executor({ connection: redis().url, ...options });
        const error = await rejection(executed.submit(fn('identity'), value));
        expect(error).toBeInstanceOf(LostResult);
        expect(error).toMatchObject({
          host: 'there',
          attempts: 1,
          reason: expect.stringMatching(
            /^the store does not have the value .+/,
          ),
          cause: expect.objectContaining({ message: 'it was lost' }),
        });
        await until('all to be dropped', () => kept.size === 0);
      });

      test('is made again for `retries`', async () => {
        lost = name;
        const connection = redis().url;
        const executed = executor({ connection, ...options, retries: 1 });
        expect(await executed.submit(fn('identity'), value)).toBe(value);
        expect(lost).toBe(undefined);
        await until('all to be dropped', () => kept.size === 0);
      });
    });
  });
});
