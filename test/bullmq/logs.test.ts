import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runNode } from '../helpers/program.js';
import { RedisServer } from '../helpers/redis.js';
import { timeoutFactor } from '../helpers/until.js';
import { WorkerProcess } from '../helpers/worker-process.js';

jest.setTimeout(60_000 * timeoutFactor);

const root = resolve('test', 'fixtures', 'cli');
const jobs = pathToFileURL(resolve(root, 'jobs.mjs')).href;
const callsProgram = resolve('test', 'fixtures', 'cluster-calls.mjs');

const password = 'password-of-the-tests';
const secrets = {
  key: 'key-of-the-worker-in-tests',
  other: 'key-of-another-executor',
  password,
};

describe('the logs of a cluster', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start(['--requirepass', password]);
  });
  afterEach(() => WorkerProcess.endAll());
  afterAll(() => server.end());

  test.each(['text', 'json'])(
    'have no key and no password, also when what goes wrong is logged (%s)',
    async (format) => {
      const url = server.url.replace('//', `//:${password}@`);
      const worker = new WorkerProcess(
        [
          ...['--root', root, '--queue', format, '--log', format],
          ...['--log-interval', '100', '--health', '127.0.0.1:0'],
        ],
        {
          env: {
            JOBSERVER_URL: url,
            JOBSERVER_KEY: secrets.key,
            NODE_DEBUG: 'jobserver',
          },
        },
      );
      await worker.says(/takes jobs/);
      const said: string[] = [];
      for (const key of [secrets.key, secrets.other]) {
        const options = { connection: url, root, queue: format, key };
        const names = ['double', 'fail', 'die', 'environment'];
        const calls = names.map((name) => [`${jobs}#${name}`, 1]);
        const called = await runNode([callsProgram], {
          env: {
            ...process.env,
            CALLS: JSON.stringify({ options, calls }),
            NODE_DEBUG: 'jobserver',
          },
        });
        expect(called.stdout).toMatch(
          key === secrets.key ? /"value":2/ : /ERR_JOBSERVER_REFUSED/,
        );
        said.push(called.stderr, called.stdout);
      }
      await worker.says(/job lost/);
      await worker.says(/job refused/);
      worker.kill('SIGTERM');
      expect(await worker.end()).toBe(0);
      expect(worker.stderr).toMatch(/^JOBSERVER \d+: /m);
      const all = [...said, worker.stderr, worker.stdout].join('\n');
      for (const secret of Object.values(secrets)) {
        for (const text of [secret, encodeURIComponent(secret)]) {
          expect(all).not.toContain(text);
        }
        for (const encoding of ['base64', 'hex'] as const) {
          const encoded = Buffer.from(secret).toString(encoding);
          expect(all).not.toContain(encoded.slice(2, -4));
        }
      }
    },
  );
});
