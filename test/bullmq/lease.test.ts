import { setTimeout as sleep } from 'node:timers/promises';
import { type LeaseServer, Leases } from '../../dist/bullmq/lease.js';
import { now } from '../../dist/system/deadline.js';
import { until } from '../helpers/until.js';

const ms = 300;
/** Longer than a slow machine keeps a renewal waiting. */
const longMs = 3000;

describe('the leases of a host', () => {
  const all: Leases[] = [];
  const open = (renew: LeaseServer['renew'], leaseMs = ms): Leases => {
    const leases = new Leases({ renew }, leaseMs);
    all.push(leases);
    return leases;
  };
  afterEach(() => {
    for (const leases of all.splice(0)) leases.stop();
  });

  test('are renewed, with their locks, until they are deleted', async () => {
    const renewed: string[][] = [];
    const leases = open((ids, tokens) => {
      renewed.push([...ids, ...tokens]);
      return Promise.resolve([]);
    }, longMs);
    const ended: string[] = [];
    leases.add('a', 'lock', now(), () => ended.push('a'));
    await until('four times', () => renewed.length >= 4);
    expect(renewed[0]).toEqual(['a', 'lock']);
    leases.delete('a');
    const count = renewed.length;
    await sleep(longMs / 2);
    expect(renewed.length - count).toBeLessThanOrEqual(1);
    expect(ended).toEqual([]);
  });

  test('end once, when the server says that they have', async () => {
    const leases = open((ids) => Promise.resolve(ids));
    const ended: string[] = [];
    leases.add('a', 'lock', now(), () => ended.push('a'));
    await until('the end', () => ended.length > 0);
    await sleep(ms);
    expect(ended).toEqual(['a']);
  });

  test('end while a server that is frozen does not answer', async () => {
    const leases = open(() => new Promise(() => undefined));
    const start = now();
    let ended = 0;
    leases.add('a', 'lock', start, () => (ended = now()));
    await until('the end', () => ended > 0);
    expect(ended - start).toBeGreaterThanOrEqual(ms);
  });

  test('of jobs whose end is being told are not renewed, and end nevertheless', async () => {
    const renewed: string[] = [];
    const leases = open((ids) => {
      renewed.push(...ids);
      // As the server does that has been told.
      return Promise.resolve(ids);
    });
    const start = now();
    let ended = 0;
    leases.add('a', 'lock', start, () => (ended = now()));
    leases.settle('a');
    await until('the end', () => ended > 0);
    expect(ended - start).toBeGreaterThanOrEqual(ms);
    expect(renewed).toEqual([]);
  });
});
