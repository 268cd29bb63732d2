// What `jobserver worker` and `jobserver status` promise, with a Redis.
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LostResult } from '../../dist/index.js';
import {
  ClusterExecutor,
  type ClusterExecutorOptions,
} from '../../dist/bullmq.js';
import { type Ended, runNode, runProgram } from '../helpers/program.js';
import { RedisServer } from '../helpers/redis.js';
import { until } from '../helpers/until.js';
import { WorkerProcess } from '../helpers/worker-process.js';

const root = resolve('test', 'fixtures', 'cli');
const main = resolve('dist', 'cli', 'main.js');
const jobs = join(root, 'jobs.mjs');
const jobsUrl = pathToFileURL(jobs);
const key = 'a key of the tests';

let redis: RedisServer;
let folder: string;
const executors: ClusterExecutor[] = [];
let queues = 0;
let queue: string;

beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.end());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'worker-'));
  queue = `queue${++queues}`;
});
afterEach(async () => {
  await Promise.all(
    executors
      .splice(0)
      .map((executor) =>
        executor.shutdown({ cancelFutures: true, killSignal: 'SIGKILL' }),
      ),
  );
  await WorkerProcess.endAll();
  rmSync(folder, { recursive: true });
});

const path = (name: string): string => join(folder, name);

function worker(
  args: readonly string[] = [],
  options: ConstructorParameters<typeof WorkerProcess>[1] = {},
  url = redis.url,
): WorkerProcess {
  const own = ['--root', root, '--queue', queue, '--lease=10000', '-j2'];
  const given = url === '' ? [] : [url];
  return new WorkerProcess([...own, ...args, ...given], options);
}

function executor(options: ClusterExecutorOptions = {}): ClusterExecutor {
  const where = { connection: redis.url, queue, root, leaseMs: 10_000 };
  const made = new ClusterExecutor({ ...where, ...options });
  executors.push(made);
  return made;
}

const call = (name: string): URL => new URL(`#${name}`, jobsUrl);

/** Submits a job that ends once `go` was called, and waits until it runs. */
async function startWaiting(made: ClusterExecutor): Promise<Waiting> {
  const end = made.submit(call('wait'), path('begun'), path('go'));
  const settled = Promise.allSettled([end]);
  await until('the job to begin', () => existsSync(path('begun')));
  return {
    go: () => {
      writeFileSync(path('go'), '');
    },
    outcome: async () => (await settled)[0],
  };
}

interface Waiting {
  go(): void;
  outcome(): Promise<PromiseSettledResult<unknown>>;
}

describe('a worker', () => {
  test('runs jobs of its queue until SIGTERM, and exits with 0', async () => {
    const running = worker();
    expect(await executor().submit(call('double'), 21)).toBe(42);
    running.kill('SIGTERM');

    expect(await running.end()).toBe(0);
    expect(running.stderr).toMatch(/ takes jobs name=\S+ id=\S+ slots=2 /);
    expect(running.stderr).toMatch(/ ends after its jobs signal=SIGTERM /);
  });

  test('lets what jobs write through, to its own output', async () => {
    const running = worker();
    await executor().submit(call('say'), 'hello');
    await until('the output', () => running.stdout === 'hello\n');
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'waits at %s for the job that runs, and takes no other',
    async (signal) => {
      const running = worker(['--health=127.0.0.1:0']);
      const made = executor();
      const waiting = await startWaiting(made);
      running.kill(signal);
      await running.says(/ends after its jobs/);
      const later = made.submit(call('double'), 1);
      await expectStatus(running, '/readyz', 503);
      await expectStatus(running, '/healthz', 200);
      waiting.go();

      expect(await running.end()).toBe(0);
      expect(await waiting.outcome()).toMatchObject({ value: 'done' });
      expect(later.cancel()).toBe(true);
      await expect(later).rejects.toThrow();
    },
  );

  test('keeps Ctrl-C in its terminal from its jobs', async () => {
    const running = worker([], { leadsGroup: true });
    const waiting = await startWaiting(executor());
    running.killGroup('SIGINT');
    await running.says(/ends after its jobs/);
    waiting.go();

    expect(await waiting.outcome()).toMatchObject({ value: 'done' });
    expect(await running.end()).toBe(0);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('ends its jobs at a second %s', async (signal, code) => {
    const running = worker();
    const waiting = await startWaiting(executor());
    running.kill('SIGTERM');
    await running.says(/ends after its jobs/);
    running.kill(signal);

    expect(await running.end()).toBe(code);
    expect(await waiting.outcome()).toMatchObject({
      reason: expect.any(LostResult),
    });
  });

  test('waits for a Redis that is not there yet', async () => {
    const late = await RedisServer.start();
    await late.kill();
    const running = worker(['--health=127.0.0.1:0'], {}, late.url);
    await running.says(/ECONNREFUSED/);
    await expectStatus(running, '/readyz', 503);
    await expectStatus(running, '/healthz', 200);
    await late.startAgain();
    await running.says(/takes jobs/);
    await until(
      'readiness',
      async () => (await get(running, '/readyz')) === 200,
    );
    running.kill('SIGTERM');

    expect(await running.end()).toBe(0);
    await late.end();
  });

  test('ends at a signal also before it has reached Redis', async () => {
    const running = worker([], {}, 'redis://127.0.0.1:1');
    await running.says(/ECONNREFUSED/);
    running.kill('SIGTERM');

    expect(await running.end()).toBe(0);
  });

  test('exits with 1 when a module of --preload does not load', async () => {
    const running = worker(['--preload', join(root, 'throws.mjs')]);

    expect(await running.end()).toBe(1);
    expect(running.stderr).toContain('this module does not load');
  });

  test('exits with 1 when its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const running = worker([`--health=127.0.0.1:${port}`]);

    expect(await running.end()).toBe(1);
    expect(running.stderr).toContain(
      `cannot listen on 127.0.0.1:${port}: EADDRINUSE`,
    );
    other.close();
  });

  test('exits with 1 when Redis may remove keys', async () => {
    const evicting = await RedisServer.start([
      '--maxmemory-policy',
      'allkeys-lru',
    ]);
    const running = worker(['--log=json'], {}, evicting.url);

    expect(await running.end()).toBe(1);
    expect(running.stderr).toContain('noeviction');
    // Nothing but lines of JSON.
    expect(running.lines.length).toBeGreaterThan(0);
    expect(running.stdout).toBe('');
    await evicting.end();
  });

  test('takes the slots of the make that runs it', async () => {
    writeFileSync(
      path('Makefile'),
      `farm:\n\t+exec ${process.execPath} ${main} worker --root ${root} ` +
        `--queue ${queue} --lease 10000 ${redis.url}\n`,
    );
    const env = { ...process.env, MAKEFLAGS: '' };
    const made = runProgram('make', ['-s', '-j3', '-C', folder], { env });
    const hosts = executor();
    await until('the host', async () => (await hosts.hosts()).length === 1);
    const [host] = await hosts.hosts();
    process.kill(host!.pid, 'SIGTERM');

    expect(host!.slots).toBeUndefined();
    const { code, stderr } = await made;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).not.toContain('INTERNAL');
  });

  test('with re-used processes, gives make back each slot that its jobs have had', async () => {
    writeFileSync(
      path('Makefile'),
      `farm:\n\t+exec ${process.execPath} ${main} worker --root ${root} ` +
        `--queue ${queue} --jobs-per-process Infinity ${redis.url}\n`,
    );
    const env = { ...process.env, MAKEFLAGS: '' };
    const made = runProgram('make', ['-s', '-j3', '-C', folder], { env });
    const executed = executor({ leaseMs: 15_000 });
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    const work = numbers.map((n) => executed.submit(call('double'), n));
    expect(await Promise.all(work)).toEqual(numbers.map((n) => 2 * n));
    const [host] = await executed.hosts();
    process.kill(host!.pid, 'SIGTERM');

    const { code, stderr } = await made;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // Make counts its tokens.
    expect(stderr).not.toContain('INTERNAL');
  });

  test('finds large values in the store that it is given', async () => {
    const file = join(root, 'folder-store.mjs');
    worker(['--store', file], { env: { STORE: folder } });
    const asked: string[] = [];
    const store = {
      put: async (name: string, bytes: Uint8Array) => {
        asked.push(name);
        writeFileSync(path(name), bytes);
      },
      get: async (name: string) => readFileSync(path(name)),
      drop: async (name: string) => {
        rmSync(path(name), { force: true });
      },
    };
    const made = executor({ store });

    expect(await made.submit(call('lengthOf'), Buffer.alloc(50_000))).toBe(
      50_000,
    );
    expect(asked).toHaveLength(1);
  });

  test('exits with 1 when the module of --store has no store', async () => {
    const running = worker(['--store', jobs]);

    expect(await running.end()).toBe(1);
    expect(running.stderr).toContain('has no export `store`');
  });
});

describe('the key of a worker', () => {
  test('comes from a file, and is in no environment of jobs', async () => {
    writeFileSync(path('key'), `${key}\n`);
    worker(['--key-file', path('key')], {
      env: { JOBSERVER_KEY: 'another key ....' },
    });
    const names = ['JOBSERVER_KEY', 'JOBSERVER_URL'];
    const found = executor({ key }).submit(call('environment'), ...names);

    expect(await found).toEqual([undefined, undefined]);
  });

  test('comes from JOBSERVER_KEY, and another one is refused', async () => {
    const running = worker(['--log-interval=1'], {
      env: { JOBSERVER_KEY: key },
    });
    const made = executor({ key: 'not the key of it' });

    await expect(made.submit(call('double'), 1)).rejects.toThrow();
    await running.says(/ warn: job refused id=.*`key`/);
    await running.says(/ state .*refused=1/);
    expect(await executor({ key }).submit(call('double'), 1)).toBe(2);
  });

  test('a password in the URL is warned of, and not repeated', async () => {
    const locked = await RedisServer.start(['--requirepass', 'secret']);
    const url = locked.url.replace('//', '//:secret@');
    const running = worker([], {}, url);
    await running.says(/takes jobs/);

    expect(running.stderr).toMatch(/warn: every user .* set JOBSERVER_URL/);
    expect(running.stderr).not.toContain('secret');
    const other = worker([], { env: { JOBSERVER_URL: url } }, '');
    await other.says(/takes jobs/);
    expect(other.stderr).not.toMatch(/secret|every user/);
    await locked.end();
  });
});

describe('what a worker says', () => {
  test('with --log json, each line is JSON', async () => {
    const running = worker(['--log=json', '--log-interval=1', '--name=north']);
    const made = executor();
    await made.submit(call('double'), 1);
    await made.submit(call('fail')).catch(() => undefined);
    await made.submit(call('die')).catch(() => undefined);
    const isCounted = (): boolean =>
      running.lines.some(
        ({ message, value, error, lost }) =>
          message === 'state' && value === 1 && error === 1 && lost === 1,
      );
    await until('the line of state', isCounted).catch((error: Error) => {
      throw new Error(`${error.message}\n${running.stderr}`);
    });
    running.kill('SIGTERM');

    expect(await running.end()).toBe(0);
    expect(running.lines).toContainEqual(
      expect.objectContaining({
        message: 'takes jobs',
        name: 'north',
        slots: 2,
      }),
    );
    expect(running.lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        message: 'job lost',
        name: expect.stringContaining('die'),
      }),
    );
    for (const { time } of running.lines) {
      expect(new Date(String(time)).toISOString()).toBe(time);
    }
  });

  test('metrics count jobs and measure them', async () => {
    const running = worker(['--metrics=127.0.0.1:0']);
    const made = executor();
    await made.submit(call('double'), 1);
    await made.submit(call('fail')).catch(() => undefined);
    const waiting = await startWaiting(made);
    const [, url] = await running.says(/serves metrics url=(\S+)/);
    const lines = async (): Promise<string[]> => {
      const response = await fetch(`${url!}/metrics`);
      expect(response.headers.get('content-type')).toMatch(/version=0\.0\.4/);
      return (await response.text()).split('\n');
    };
    // The submitter may learn of an end before the host counts it.
    await until('the counts', async () =>
      (await lines()).includes('jobserver_jobs_total{outcome="error"} 1'),
    );

    expect(await lines()).toEqual(
      expect.arrayContaining([
        'jobserver_jobs_total{outcome="value"} 1',
        'jobserver_jobs_running 1',
        'jobserver_slots 2',
        'jobserver_connected 1',
        'jobserver_draining 0',
        'jobserver_job_run_seconds_count 2',
        'jobserver_job_wait_seconds_count 2',
      ]),
    );
    expect((await fetch(`${url!}/no`)).status).toBe(404);
    expect((await fetch(`${url!}/metrics`, { method: 'POST' })).status).toBe(
      405,
    );
    waiting.go();
    await waiting.outcome();
  });
});

describe('jobserver status', () => {
  test('prints hosts, slots and jobs', async () => {
    worker(['--name=north']);
    const made = executor();
    const waiting = await startWaiting(made);
    await until('the host', async () =>
      (await made.hosts()).some((h) => h.running === 1),
    );
    const { code, stdout, stderr } = await status();

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^queue +${queue}$`, 'm'));
    expect(stdout).toMatch(/^hosts +1, with 2 slots$/m);
    expect(stdout).toMatch(/^jobs +0 pending, 1 running$/m);
    expect(stdout).toMatch(/^HOST +PID +SLOTS +RUNNING +ENDED +UP$/m);
    expect(stdout).toMatch(/^north +\d+ +2 +1 +0 +\d+s$/m);
    waiting.go();
    await waiting.outcome();
  });

  test('prints JSON of a queue without hosts', async () => {
    const { code, stdout } = await status('--json');

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      queue,
      hosts: [],
      counts: { pending: 0, running: 0 },
    });
  });

  test('exits with 1 when Redis cannot be reached', async () => {
    const args = [main, 'status', 'redis://:secret@127.0.0.1:1'];
    const { code, stderr } = await runNode(args);

    expect(code).toBe(1);
    expect(stderr).toMatch(/^jobserver: redis:\/\/:\*\*\*@127\.0\.0\.1:1: /);
    expect(stderr).not.toContain('secret');
  });
});

function status(...args: readonly string[]): Promise<Ended> {
  return runNode([main, 'status', '--queue', queue, ...args, redis.url]);
}

async function get(running: WorkerProcess, name: string): Promise<number> {
  const [, url] = await running.says(/serves health.* url=(\S+)/);
  return (await fetch(`${url!}${name}`)).status;
}

async function expectStatus(
  running: WorkerProcess,
  name: string,
  code: number,
): Promise<void> {
  expect(await get(running, name)).toBe(code);
}
