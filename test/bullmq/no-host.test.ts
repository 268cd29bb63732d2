import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../../dist/bullmq/connection.js';
import { NoHostWarning } from '../../dist/bullmq/no-host.js';
import { settingsOf } from '../../dist/bullmq/options.js';
import { useCluster } from '../helpers/cluster.js';
import { freePort, useRedis } from '../helpers/redis.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const patienceMs = 200;

describe('the warning that no host is there', () => {
  const redis = useRedis();
  const { host, executor, checkout, queue } = useCluster();
  const connections: Connection[] = [];
  let warned: jest.SpyInstance;

  beforeEach(() => {
    warned = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined);
  });
  afterEach(async () => {
    warned.mockRestore();
    for (const connection of connections.splice(0)) await connection.close();
  });

  async function open(url = redis().url): Promise<NoHostWarning> {
    const settings = settingsOf({ connection: url, queue: queue() });
    const connection = new Connection(settings, () => undefined);
    connections.push(connection);
    if (url === redis().url) await connection.redis.ping();
    return new NoHostWarning(connection, patienceMs);
  }

  test('comes once, when calls have waited for so long', async () => {
    const warning = await open();
    const start = performance.now();
    warning.watch(true);
    await until('the warning', () => warned.mock.calls.length > 0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(patienceMs - 5);
    const [text, options] = warned.mock.calls[0]!;
    expect(text).toContain(`no host serves the queue ${queue()}`);
    expect(options).toEqual({
      type: 'JobserverWarning',
      code: 'JOBSERVER_NO_HOST',
    });
    warning.watch(false);
    warning.watch(true);
    await sleep(3 * patienceMs);
    expect(warned).toHaveBeenCalledTimes(1);
  });

  test('does not come when a host comes in time', async () => {
    const warning = await open();
    await host({ connection: redis().url });
    warning.watch(true);
    await sleep(3 * patienceMs);
    expect(warned).not.toHaveBeenCalled();
  });

  test('does not come when no call waits any more', async () => {
    const warning = await open();
    warning.watch(true);
    warning.watch(false);
    await sleep(3 * patienceMs);
    expect(warned).not.toHaveBeenCalled();
  });

  test('does not come after stop', async () => {
    const warning = await open();
    warning.watch(true);
    warning.stop();
    await sleep(3 * patienceMs);
    expect(warned).not.toHaveBeenCalled();
  });

  test('says so where the server cannot be reached', async () => {
    const port = await freePort();
    const warning = await open(`redis://127.0.0.1:${port}`);
    warning.watch(true);
    await until('the warning', () => warned.mock.calls.length > 0);
    const [text, options] = warned.mock.calls[0]!;
    expect(text).toMatch(/the server cannot be reached: .*ECONNREFUSED/);
    expect(options).toMatchObject({ code: 'JOBSERVER_NO_SERVER' });
  });

  test('comes from an executor after 10 s, and not from one with a host', async () => {
    const connection = redis().url;
    const other = `${queue()}-other`;
    await host({ connection, queue: other });
    const executed = [
      executor({ connection }),
      executor({ connection, queue: other }),
    ];
    const start = performance.now();
    const work = executed.map((each) =>
      each.submit(checkout().fn('square'), 3),
    );
    for (const each of work) each.catch(() => undefined);
    await until('the warning', () => warned.mock.calls.length > 0, 30_000);
    expect(performance.now() - start).toBeGreaterThanOrEqual(9900);
    expect(await work[1]).toBe(9);
    expect(warned).toHaveBeenCalledTimes(1);
    expect(warned.mock.calls[0]![0]).toContain('have waited for 10 s');
  });
});
