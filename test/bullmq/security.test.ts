import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { seal, unseal } from '../../dist/bullmq/envelope.js';
import { Keyring } from '../../dist/bullmq/keyring.js';
import { makeCertificate, tlsArgs } from '../helpers/certificate.js';
import { useFolder } from '../helpers/folder.js';
import { linesIn, useCluster } from '../helpers/cluster.js';
import { RedisServer, freePort, useRedis } from '../helpers/redis.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const { Redis: RedisClass } = require('ioredis') as typeof import('ioredis');
const { Queue } = require('bullmq') as typeof import('bullmq');

const key = 'a secret of the cluster';

interface Forged {
  readonly fn: Record<'file' | 'query' | 'ref', unknown>;
  readonly controls: Record<'given' | 'env' | 'cwd', unknown>;
  args: unknown;
}

interface Forgery {
  /** Why the host has refused the job; undefined if it has run. */
  readonly reason: string | undefined;
}

interface JobData {
  readonly message: string;
  readonly mac: string;
}

describe('security of a cluster', () => {
  const redis = useRedis();
  const { host, executor, checkout, makeGate, queue } = useCluster({
    leaseMs: 60_000,
  });
  const fn = (name: string, file?: string): string => checkout().fn(name, file);
  const clients: Redis[] = [];
  const servers: RedisServer[] = [];
  const folder = useFolder();

  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect();
    await Promise.all(servers.splice(0).map((server) => server.end()));
  });

  function client(url = redis().url): Redis {
    const made = new RedisClass(url, { maxRetriesPerRequest: null });
    clients.push(made);
    return made;
  }

  /** The data of a job that waits in the queue. */
  async function waitingJob(): Promise<{
    id: string;
    data: JobData;
    name: string;
  }> {
    const jobs = new Queue(queue(), { connection: client() });
    await until('the job to be in the queue', async () => {
      return (await jobs.getPrioritizedCount()) === 1;
    });
    const [job] = await jobs.getPrioritized();
    return { id: job!.id!, data: job!.data as JobData, name: job!.name };
  }

  async function add(id: string, data: unknown): Promise<void> {
    const jobs = new Queue(queue(), { connection: client() });
    await jobs.add('forged', data, { jobId: id, priority: 1 });
  }

  test('with the same key, calls run, also those with large values', async () => {
    const connection = redis().url;
    await host({ connection, key });
    const executed = executor({ connection, key });
    expect(await executed.submit(fn('square'), 7)).toBe(49);
    const bytes = new Uint8Array(1 << 20).fill(3);
    expect(await executed.submit(fn('identity'), bytes)).toEqual(bytes);
    const error = await rejection(executed.submit(fn('fail'), 'on purpose'));
    expect(error).toBeInstanceOf(RangeError);
  });

  test.each([
    ['another key', 'another secret of it', key],
    ['no key, where the host has one', undefined, key],
    ['a key, where the host has none', key, undefined],
  ])('an executor with %s gets an error', async (_, own, ofHost) => {
    const connection = redis().url;
    const there = await host({
      connection,
      name: 'mill',
      ...(ofHost === undefined ? {} : { key: ofHost }),
    });
    const log = makeGate().file;
    const executed = executor({ connection, ...(own && { key: own }) });
    const error = await rejection(executed.submit(fn('note'), log, 'x'));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_REFUSED' });
    const isRefusedByHost = ofHost !== undefined;
    expect(linesIn(log)).toEqual(isRefusedByHost ? [] : ['x']);
    expect((error as Error).message).toContain(
      isRefusedByHost ? 'Host mill' : 'not signed',
    );
    await until('the host to say how it ended', () => there.has('ended'));
    expect(there.lines.at(-1)).toMatchObject({
      outcome: isRefusedByHost ? 'refused' : 'value',
    });
    expect(there.stderr).toBe('');
  });

  test('a message that was signed for another job, or changed, does not run', async () => {
    const connection = redis().url;
    const log = makeGate().file;
    const executed = executor({ connection, key });
    const work = executed.submit(fn('note'), log, 'x');
    const { data } = await waitingJob();
    await add('another-id', data);
    const bytes = Buffer.from(data.message, 'base64');
    bytes[bytes.length - 1]! ^= 1;
    await add('third-id', { ...data, message: bytes.toString('base64') });
    await add('fourth-id', { message: data.message });
    await add('fifth-id', null);
    const there = await host({ connection, key });
    expect(await work).toBe('x');
    const jobs = new Queue(queue(), { connection: client() });
    await until('the others to fail', async () => {
      return (await jobs.getFailedCount()) === 4;
    });
    expect(linesIn(log)).toEqual(['x']);
    expect(there.stderr).toBe('');
  });

  test('a job whose message is put into the queue again does not run again, on any host', async () => {
    const connection = redis().url;
    const log = makeGate().file;
    const executed = executor({ connection, key });
    const work = executed.submit(fn('note'), log, 'x');
    const { id, data } = await waitingJob();
    const first = await host({ connection, key });
    expect(await work).toBe('x');
    await first.kill();
    const jobs = new Queue(queue(), { connection: client() });
    await jobs.remove(id);
    await host({ connection, key });
    await add(id, data);
    await until('it to fail', async () => (await jobs.getFailedCount()) === 1);
    const [failed] = await jobs.getFailed();
    expect(failed!.failedReason).toContain('started before');
    expect(linesIn(log)).toEqual(['x']);
  });

  test('a value in the store that was exchanged is refused', async () => {
    const connection = redis().url;
    const executed = executor({ connection, key });
    const work = executed.submit(fn('lengthOf'), 'x'.repeat(100_000));
    await waitingJob();
    const own = client();
    const [value] = await own.keys(`*${queue()}:value.*`);
    await own.set(value!, Buffer.from(`1:${'y'.repeat(100_002)}`));
    await host({ connection, key });
    expect(await rejection(work)).toMatchObject({
      code: 'ERR_JOBSERVER_REFUSED',
    });
  });

  describe('of a message that somebody else has written, a host without a key', () => {
    /** Puts a job into the queue, as `change` has changed a real one of `fn`. */
    async function forge(
      change: (call: Forged) => void,
      name = 'note',
      ...args: unknown[]
    ): Promise<Forgery> {
      const connection = redis().url;
      const executed = executor({ connection, detached: true });
      void executed.submit(fn(name), ...args).catch(() => undefined);
      const { id, data } = await waitingJob();
      const jobs = new Queue(queue(), { connection: client() });
      await jobs.remove(id);
      const keyring = new Keyring(undefined, queue());
      const call = unseal(keyring, 'call', id, data) as Forged;
      change(call);
      await add('forged', seal(keyring, 'call', 'forged', call));
      await host({ connection, name: 'mill' });
      let job: Job | undefined;
      await until('the job to end', async () => {
        job = await jobs.getJob('forged');
        return job?.finishedOn !== undefined;
      });
      return { reason: job!.failedReason };
    }
    const text = (file: string): string =>
      `() => process.getBuiltinModule('node:fs').appendFileSync('${file}', 'x')`;
    const functions: [string, (call: Forged, file: string) => void][] = [
      [
        'the text of a function',
        ({ fn }, file) => {
          fn.ref = { kind: 'text', text: text(file), name: '', line: 0 };
        },
      ],
      [
        'a function of Node',
        ({ fn }) => {
          fn.ref = { kind: 'builtin', module: 'node:os', path: ['hostname'] };
        },
      ],
      [
        'a global',
        ({ fn }) => {
          fn.ref = { kind: 'global', path: ['escape'] };
        },
      ],
      [
        'a query that leads to another file',
        ({ fn }) => {
          fn.query = '/../../outside.mjs';
        },
      ],
      [
        'a file outside of root',
        ({ fn }) => {
          fn.file = '../outside.mjs';
        },
      ],
    ];

    test.each(functions)('does not run %s', async (_, change) => {
      const log = makeGate().file;
      const { reason } = await forge((call) => change(call, log), 'note', log);
      expect(reason).toMatch(/Host mill .* in its `root`/);
      expect(linesIn(log)).toEqual([]);
    });

    test('does not call a preexec', async () => {
      const log = makeGate().file;
      const { reason } = await forge(
        ({ controls }) => {
          const write = [log, 'preexec\n'];
          controls.given = { preexec: ['node:fs#appendFileSync', ...write] };
        },
        'note',
        log,
        'job',
      );
      expect(reason).toBe(undefined);
      expect(linesIn(log)).toEqual(['job']);
    });

    test.each<[string, (call: Forged) => void]>([
      [
        'execArgv',
        ({ controls }) => {
          controls.given = { execArgv: ['--require', '/tmp/other.cjs'] };
        },
      ],
      [
        'inheritExecArgv',
        ({ controls }) => {
          controls.given = { inheritExecArgv: false };
        },
      ],
      [
        'NODE_OPTIONS',
        ({ controls }) => {
          controls.env = [['NODE_OPTIONS', '--require=/tmp/other.cjs']];
        },
      ],
      [
        'LD_PRELOAD',
        ({ controls }) => {
          controls.env = [['LD_PRELOAD', '/tmp/other.so']];
        },
      ],
    ])('takes no %s', async (name, change) => {
      const log = makeGate().file;
      const { reason } = await forge(change, 'note', log, 'job');
      expect(reason).toContain(`takes no ${name} from a job`);
      expect(linesIn(log)).toEqual([]);
    });

    test.each(['..', '../not-there'])('does not enter %s', async (cwd) => {
      const { reason } = await forge(({ controls }) => {
        controls.cwd = cwd;
      });
      expect(reason).toContain('outside of the `root` of its host');
    });

    test('asks the store for no key that could be a path', async () => {
      const { reason } = await forge((call) => {
        call.args = { key: '../../etc/passwd', size: 1, hash: '' };
      });
      expect(reason).toContain('which no executor makes');
    });
  });

  test('with a key, options of node and variables that it reads travel', async () => {
    const connection = redis().url;
    const traced = ['/bin/sh', '-c', 'exec "$0" --trace-uncaught "$@"'];
    await host({ connection, key, command: traced });
    const handle = executor({ connection, key }).with({
      execArgv: ['--title=own'],
      env: { NODE_OPTIONS: '--no-warnings' },
    });
    expect(await handle.submit(fn('optionsOfNode'))).toEqual({
      execArgv: ['--trace-uncaught', '--title=own'],
      options: '--no-warnings',
    });
    const alone = handle.with({ inheritExecArgv: false });
    expect(await alone.submit(fn('optionsOfNode'))).toMatchObject({
      execArgv: ['--title=own'],
    });
  });

  describe('functions', () => {
    test('an executor refuses what is in no file of root', async () => {
      const executed = executor({ connection: redis().url });
      const outside = join(folder(), 'outside.mjs');
      writeFileSync(outside, 'export const f = () => 1;\n');
      for (const each of [
        parseInt,
        'node:os#hostname',
        `${outside}#f`,
        'data:text/javascript,export default () => 1',
      ]) {
        expect(await rejection(executed.submit(each as never))).toMatchObject({
          code: 'ERR_JOBSERVER_FUNCTION',
        });
      }
    });

    test('a host refuses a file that is a link out of its root', async () => {
      const connection = redis().url;
      const there = await host({ connection, name: 'mill' });
      const text = 'export const f = () => 1;\n';
      const outside = join(folder(), 'outside.mjs');
      writeFileSync(outside, text);
      writeFileSync(join(checkout().root, 'linked.mjs'), text);
      symlinkSync(outside, join(there.checkout.root, 'linked.mjs'));
      const executed = executor({ connection });
      const error = await rejection(executed.submit(fn('f', 'linked.mjs')));
      expect(error).toMatchObject({ code: 'ERR_JOBSERVER_FUNCTION' });
      expect((error as Error).message).toContain('Host mill');
    });

    test('a file that the host lacks, or has in another version, is an error with both hashes', async () => {
      const connection = redis().url;
      const there = await host({ connection, name: 'mill' });
      const executed = executor({ connection });
      writeFileSync(
        join(checkout().root, 'new.mjs'),
        'export const f = () => 1;\n',
      );
      const missing = await rejection(executed.submit(fn('f', 'new.mjs')));
      expect(missing).toMatchObject({ code: 'ERR_JOBSERVER_FUNCTION' });
      expect((missing as Error).message).toContain('new.mjs');
      writeFileSync(
        join(there.checkout.root, 'new.mjs'),
        'export const f = () => 2;\n',
      );
      const changed = (await rejection(
        executed.submit(fn('f', 'new.mjs')),
      )) as Error;
      expect(changed).toMatchObject({ code: 'ERR_JOBSERVER_FUNCTION' });
      expect(changed.message).toMatch(/Host mill .*[0-9a-f]{12}.*[0-9a-f]{12}/);
    });
  });

  test('jobs of another version do not meet the hosts of this one', async () => {
    const connection = redis().url;
    await host({ connection, version: 'old' });
    const executed = executor({ connection, version: 'new' });
    const work = executed.submit(fn('square'), 7);
    await until('it to be in the queue', async () => {
      const keys = await client().keys(`*${queue()}@new:prioritized`);
      return keys.length === 1;
    });
    await host({ connection, version: 'new' });
    expect(await work).toBe(49);
  });

  test('neither the key nor the environment of the submitter is in Redis, nor the key in that of a job', async () => {
    const connection = redis().url;
    try {
      process.env['JOBSERVER_KEY'] = key;
      await host({ connection });
      // The host does not have it.
      process.env['SECRET_OF_THE_TEST'] = 'do-not-store-me';
      const executed = executor({ connection, env: { LEVEL: '2' } });
      expect(await executed.submit(fn('variable'), 'LEVEL')).toBe('2');
      const text = JSON.stringify(await executed.submit(fn('environment')));
      expect(text).not.toContain(key);
      expect(await executed.submit(fn('countLeaves'), 1, 2)).toBe(2);
      await rejection(executed.submit(fn('fail'), 'x'));
      const all = await dump(client());
      expect(all).toContain('countLeaves');
      for (const secret of [key, 'do-not-store-me', 'SECRET_OF_THE_TEST']) {
        expect(all).not.toContain(secret);
        const encoded = Buffer.from(secret).toString('base64').slice(2, -4);
        expect(all).not.toContain(encoded);
      }
    } finally {
      delete process.env['SECRET_OF_THE_TEST'];
      delete process.env['JOBSERVER_KEY'];
    }
  });

  test('a server with TLS and users of least rights serves', async () => {
    const port = await freePort();
    const certificate = makeCertificate(folder());
    const server = await RedisServer.start(tlsArgs(port, certificate));
    servers.push(server);
    const user = documentedUser(queue());
    await client(server.url).call('ACL', 'SETUSER', ...user);
    const connection = {
      host: '127.0.0.1',
      port,
      username: 'cluster',
      password: 'of-the-cluster',
      tls: { rejectUnauthorized: false },
    };
    const there = await host({ connection, key, slots: 1 });
    const executed = executor({ connection, key, retries: 1 });
    expect(await executed.submit(fn('square'), 7)).toBe(49);
    const large = new Uint8Array(1 << 20);
    expect(await executed.submit(fn('identity'), large)).toEqual(large);
    await rejection(executed.submit(fn('fail'), 'x'));
    await rejection(executed.submit(fn('dieBy'), 'SIGKILL'));
    const gate = makeGate();
    const log = makeGate().file;
    const controller = new AbortController();
    const { signal } = controller;
    const ended = executed.submitWith(
      { signal },
      fn('noteAndWait'),
      log,
      'x',
      gate.file,
    );
    await until('it to run', () => ended.state === 'running');
    const pending = executed.submit(fn('square'), 1);
    expect(pending.cancel()).toBe(true);
    controller.abort();
    await rejection(ended);
    expect(await executed.submit(fn('countLeaves'), 2, 2)).toBe(4);
    expect((await executed.hosts()).length).toBe(1);
    expect(there.stderr).toBe('');
    const logged = (await client(server.url).call('ACL', 'LOG')) as unknown[];
    expect(logged).toEqual([]);
  });

  test('a server that refuses the password is an error of each call', async () => {
    const server = await RedisServer.start(['--requirepass', 'right']);
    servers.push(server);
    const connection = `redis://:wrong@127.0.0.1:${server.port}`;
    const executed = executor({ connection });
    const error = await rejection(executed.submit(fn('square'), 7));
    expect((error as Error).message).toMatch(/WRONGPASS|NOAUTH/);
    expect(String((error as Error).stack)).not.toContain('wrong');
    // Its connections are closed, too: otherwise they would try for ever.
    await executed.shutdown({ timeout: 20_000 * timeoutFactor });
  });

  test('a server of a Redis Cluster is an error', async () => {
    const server = await RedisServer.start(['--cluster-enabled', 'yes']);
    servers.push(server);
    const executed = executor({ connection: server.url });
    const error = await rejection(executed.submit(fn('square'), 7));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_CLUSTER' });
    expect((error as Error).message).toContain('Redis Cluster');
  });

  test('a server that may evict keys is an error', async () => {
    const server = await RedisServer.start([
      ...['--maxmemory-policy', 'allkeys-lru'],
    ]);
    servers.push(server);
    const executed = executor({ connection: server.url });
    const error = await rejection(executed.submit(fn('square'), 7));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_CLUSTER' });
    expect((error as Error).message).toContain('noeviction');
  });
});

/** All keys with their values, as text. */
async function dump(redis: Redis): Promise<string> {
  const parts: string[] = [];
  for (const name of await redis.keys('*')) {
    const type = await redis.type(name);
    const value =
      type === 'string'
        ? await redis.get(name)
        : type === 'hash'
          ? await redis.hgetall(name)
          : type === 'stream'
            ? await redis.xrange(name, '-', '+')
            : type === 'zset'
              ? await redis.zrangebyscore(name, '-inf', '+inf')
              : type === 'list'
                ? await redis.lrange(name, 0, -1)
                : await redis.smembers(name);
    parts.push(name, JSON.stringify(value));
  }
  const text = parts.join('\n');
  const decoded = [...text.matchAll(/[A-Za-z0-9+/=]{16,}/g)].map(([match]) =>
    Buffer.from(match, 'base64').toString('latin1'),
  );
  return [text, ...decoded].join('\n');
}

/** The user that docs/security.md shows for the queue `ci`, for another queue. */
function documentedUser(queue: string): string[] {
  const text = readFileSync('docs/security.md', 'utf8');
  const [, block] = /```text\nACL SETUSER ([^`]+)```/.exec(text)!;
  const args = block!.trim().replaceAll('bull:ci', `bull:${queue}`);
  return args.replace('PASSWORD', 'of-the-cluster').split(/\s+/);
}
