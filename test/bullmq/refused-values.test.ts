import { readdirSync } from 'node:fs';
import { LostResult } from '../../dist/index.js';
import type { ClusterExecutor } from '../../dist/bullmq.js';
import { openFileStore } from '../fixtures/file-store.js';
import { type HostProcess, linesIn, useCluster } from '../helpers/cluster.js';
import { useFolder } from '../helpers/folder.js';
import { RedisServer, useRedis } from '../helpers/redis.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const { Redis } = require('ioredis') as typeof import('ioredis');
type Client = InstanceType<typeof Redis>;

// With the lease of a minute, none of these ends by its lease.
describe('a value that its store refuses', () => {
  const redis = useRedis();
  const tools = useCluster({ leaseMs: 60_000 });
  const { checkout, makeGate, queue } = tools;
  const fn = (name: string): string => checkout().fn(name);
  const folder = useFolder();
  const servers: RedisServer[] = [];
  const clients: Client[] = [];
  // After the executors.
  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect();
    await Promise.all(servers.splice(0).map((server) => server.end()));
  });
  const large = 'x'.repeat(1000);

  function executor(refuses?: string): ClusterExecutor {
    const store = openFileStore({ folder: folder(), refuses });
    const options = { store, inlineBytes: 100, retries: 1 };
    return tools.executor({ connection: redis().url, ...options });
  }

  function host(refuses: string): Promise<HostProcess> {
    const store = { folder: folder(), refuses };
    const connection = redis().url;
    return tools.host({ connection, store, inlineBytes: 100, name: 'mill' });
  }

  async function expectNothingLeft(): Promise<void> {
    await until('all values to be dropped', () => {
      return readdirSync(folder()).length === 0;
    });
  }

  test('is an error of the call with these arguments, and of no other', async () => {
    await host('nothing');
    const executed = executor('.1.args');
    const small = 'y'.repeat(50);
    const calls = [large, large, small].map((value) =>
      executed.submit(fn('identity'), value),
    );
    const error = await rejection(calls[0]!);
    expect(error).toMatchObject({
      code: 'ERR_JOBSERVER_CLUSTER',
      message:
        'The arguments could not be stored: RangeError: the store is full',
      cause: expect.any(RangeError),
    });
    expect(await Promise.all(calls.slice(1))).toEqual([large, small]);
    await expectNothingLeft();
  });

  test('is an error of the call with this result, at once, and is not made again', async () => {
    const there = await host('.result');
    const log = makeGate().file;
    const executed = executor();
    const error = await rejection(executed.submit(fn('note'), log, large));
    expect(error).not.toBeInstanceOf(LostResult);
    expect(error).toMatchObject({
      code: 'ERR_JOBSERVER_CLUSTER',
      message:
        'Host mill could not store the result: RangeError: the store is full',
      cause: expect.objectContaining({
        message: 'RangeError: the store is full',
      }),
    });
    expect(linesIn(log)).toEqual([large]);
    await until('the host to say how it ended', () => there.has('ended'));
    expect(there.lines.at(-1)).toMatchObject({
      outcome: 'error',
      reason: (error as Error).message,
    });
    // The host goes on.
    expect(await executed.submit(fn('square'), 3)).toBe(9);
    await expectNothingLeft();
  });

  test('is named beside what the job has thrown', async () => {
    await host('.result');
    const error = await rejection(executor().submit(fn('fail'), large));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_CLUSTER' });
    expect((error as Error).message).toMatch(
      /^Host mill could not store the error \(RangeError: x{1000}\): RangeError: the store is full$/,
    );
    await expectNothingLeft();
  });

  test.each(['report', 'output'])(
    'is an error of the call whose %s it was',
    async (kind) => {
      const there = await host(`.${kind}.1`);
      const seen: unknown[] = [];
      const note = (value: unknown): void => void seen.push(value);
      const executed = executor();
      const call =
        kind === 'report'
          ? executed
              .with({ onReport: note })
              .submit(fn('reportAll'), [1, large, 3])
          : executed
              .with({ output: { lines: note } })
              .submit(fn('print'), `1\n${large}\n3\n`, '');
      const error = await rejection(call);
      expect(error).toMatchObject({
        code: 'ERR_JOBSERVER_CLUSTER',
        message: `Host mill could not send what the job said: RangeError: the store is full`,
      });
      expect(seen).toEqual([kind === 'report' ? 1 : '1']);
      expect(await executed.submit(fn('square'), 3)).toBe(9);
      expect(there.stderr).toBe('');
      await expectNothingLeft();
    },
  );

  describe('of a server without memory', () => {
    async function smallServer(): Promise<{ url: string; client: Client }> {
      const server = await RedisServer.start(['--maxmemory', '12mb']);
      servers.push(server);
      const client = new Redis(server.url);
      clients.push(client);
      return { url: server.url, client };
    }

    test('is an error of the call, and frees what was written', async () => {
      const { url: connection, client } = await smallServer();
      await tools.host({ connection, name: 'mill' });
      const executed = tools.executor({ connection, retries: 1 });
      const args = await rejection(
        executed.submit(fn('identity'), new Uint8Array(16 << 20)),
      );
      const result = await rejection(executed.submit(fn('bytesOf'), 16 << 20));
      for (const [error, who] of [
        [args, 'The arguments could not be stored'],
        [result, 'Host mill could not store the result'],
      ] as const) {
        expect(error).toMatchObject({ code: 'ERR_JOBSERVER_CLUSTER' });
        expect((error as Error).message).toContain(`${who}: ReplyError: OOM`);
      }
      expect(await executed.submit(fn('square'), 3)).toBe(9);
      expect(await client.keys(`*${queue()}:value.*`)).toEqual([]);
    });

    test.each(['value', 'error'])(
      'is no matter for a short %s of a job that runs',
      async (kind) => {
        const { url: connection, client } = await smallServer();
        await tools.host({ connection });
        const executed = tools.executor({ connection });
        const [started, gate] = [makeGate().file, makeGate()];
        const name = kind === 'value' ? 'noteAndWait' : 'waitAndFail';
        const work = executed.submit(fn(name), started, 'x', gate.file);
        const outcome = work.catch((error: unknown) => error);
        await until('it to run', () => linesIn(started).length === 1);
        for (const size of [1 << 16, 1 << 10]) await fill(client, size);
        gate.open();
        expect(await outcome).toEqual(
          kind === 'value' ? 'x' : new RangeError('x'),
        );
        const refused = await rejection(executed.submit(fn('square'), 3));
        expect(refused).toMatchObject({
          code: 'ERR_JOBSERVER_CLUSTER',
          message: expect.stringMatching(
            /^The server does not take the call: ReplyError: OOM/,
          ),
        });
      },
    );
  });
});

/** Until the server takes no more. */
async function fill(client: Client, size: number): Promise<void> {
  for (let i = 0; i < 100_000; i++) {
    const set = client.set(`filler:${size}:${i}`, Buffer.alloc(size));
    if ((await set.catch(() => 'full')) === 'full') return;
  }
}
