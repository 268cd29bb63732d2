import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type Certificate,
  makeCertificate,
  tlsArgs,
} from '../helpers/certificate.js';
import { useFolder } from '../helpers/folder.js';
import { type Ended, runNode } from '../helpers/program.js';
import { RedisServer, freePort } from '../helpers/redis.js';
import { timeoutFactor } from '../helpers/until.js';
import { WorkerProcess } from '../helpers/worker-process.js';

jest.setTimeout(60_000 * timeoutFactor);

const root = resolve('test', 'fixtures', 'cli');
const jobs = pathToFileURL(resolve(root, 'jobs.mjs')).href;
const main = resolve('dist', 'cli', 'main.js');
const callsProgram = resolve('test', 'fixtures', 'cluster-calls.mjs');
const password = 'a-password-of-tests';

// Node reads NODE_EXTRA_CA_CERTS at its start, so each of these is a process.
describe('a server with TLS, by its URL', () => {
  const folder = useFolder();
  let certificate: Certificate;
  let server: RedisServer;
  let url: string;
  const trusting = (): NodeJS.ProcessEnv => ({
    NODE_EXTRA_CA_CERTS: certificate.cert,
  });

  beforeEach(async () => {
    certificate = makeCertificate(folder());
    const port = await freePort();
    server = await RedisServer.start([
      ...tlsArgs(port, certificate),
      ...['--requirepass', password],
    ]);
    url = `rediss://:${password}@127.0.0.1:${port}`;
  });
  afterEach(async () => {
    await WorkerProcess.endAll();
    await server.end();
  });

  const worker = (env: NodeJS.ProcessEnv): WorkerProcess =>
    new WorkerProcess(['--root', root], {
      env: { ...env, JOBSERVER_URL: url },
    });
  const node = (
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<Ended> =>
    runNode(args, { env: { ...process.env, JOBSERVER_URL: url, ...env } });

  test('a worker, an executor and jobserver status reach it', async () => {
    const running = worker(trusting());
    await running.says(/ takes jobs /);
    const options = { connection: url, root };
    const calls = [[`${jobs}#double`, 21]];
    const called = await node([callsProgram], {
      ...trusting(),
      CALLS: JSON.stringify({ options, calls }),
    });
    expect(called).toMatchObject({ code: 0, stdout: '{"value":42}\n' });
    const status = await node([main, 'status', '--json'], trusting());
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(status.stdout)).toMatchObject({
      hosts: [{ pid: running.pid }],
      counts: { completed: 1 },
    });
    running.kill('SIGTERM');
    expect(await running.end()).toBe(0);
    expect(running.stderr).not.toContain(password);
  });

  test('whose certificate nobody has signed whom they trust, is not used', async () => {
    const running = worker({});
    await running.says(/self-signed certificate/);
    expect(running.stderr).not.toMatch(/ takes jobs /);
    const status = await node([main, 'status'], {});
    expect(status.code).not.toBe(0);
    expect(status.stderr).toContain('self-signed certificate');
    expect(running.stderr + status.stderr).not.toContain(password);
  });
});
