import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { useCluster } from '../helpers/cluster.js';
import { RedisServer, useRedis } from '../helpers/redis.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const run = promisify(execFile);
const program = resolve('test', 'fixtures', 'cluster-idle.mjs');

describe('the process of a host that is closed', () => {
  const redis = useRedis();
  const { checkout, queue } = useCluster();

  test('is not kept alive by a timer', async () => {
    const { root } = checkout();
    const options = { connection: redis().url, queue: queue(), root };
    const closed = resolve('test', 'fixtures', 'cluster-closed.mjs');
    const args = [closed, JSON.stringify(options)];
    const { stdout } = await run(process.execPath, args);
    expect(stdout).toBe('0\n');
  });
});

describe('the process of an executor whose server went away', () => {
  const { host, checkout, queue } = useCluster();
  const children: ChildProcess[] = [];
  let server: RedisServer;

  beforeEach(async () => {
    server = await RedisServer.start();
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await server.end();
  });

  async function submitter(isBusy: boolean) {
    const connection = server.url;
    const there = await host({ connection });
    const options = { connection, queue: queue(), root: checkout().root };
    const args = [options, checkout().fn('square'), isBusy];
    const child = spawn(process.execPath, [program, JSON.stringify(args)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
    await until('its first call to end', () => said === '4\n');
    return { child, there, said: () => said };
  }

  test('ends when it has no calls', async () => {
    const { child } = await submitter(false);
    await server.kill();
    // It tries to connect again.
    await sleep(500);
    expect(child.exitCode).toBe(null);
    child.stdin.end();
    await until('it to end', () => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
  });

  test('ends when it has no calls and the server is frozen', async () => {
    const { child } = await submitter(false);
    server.signal('SIGSTOP');
    child.stdin.end();
    await until('it to end', () => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
  });

  test('goes on as long as it has calls, and ends after the last one', async () => {
    const { child, there, said } = await submitter(true);
    await server.kill();
    await sleep(500);
    child.stdin.end('submit\n');
    await until('it to submit', () => said().includes('submits'));
    await sleep(3000);
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    await server.startAgain();
    await until('the result', () => said().endsWith('submits\n9\n'));
    await until('it to end', () => child.exitCode !== null);
    expect(child.exitCode).toBe(0);
    expect(there.stderr).toBe('');
  });
});
