import { availableParallelism } from 'node:os';
import { cpuQuota } from '../../dist/slots/cpu-quota.js';
import { checkSlots, defaultSlots } from '../../dist/slots/default-count.js';
import { thrown } from '../helpers/thrown.js';

describe('the number of slots', () => {
  const { JOBSERVER_SLOTS: given } = process.env;
  afterEach(() => {
    delete process.env['JOBSERVER_SLOTS'];
    if (given !== undefined) process.env['JOBSERVER_SLOTS'] = given;
  });

  test('is an integer from 1 to 4096', () => {
    expect([1, 2.0, 4096].map(checkSlots)).toEqual([1, 2, 4096]);
    for (const slots of [0, -1, 4097, 1.5, NaN, Infinity]) {
      expect(thrown(() => checkSlots(slots))).toMatchObject({
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `Expected \`slots\` to be an integer from 1 to 4096, got \`${slots}\` (number)`,
      });
    }
    for (const slots of ['2', 2n, true, null, undefined, {}, [2]]) {
      expect(thrown(() => checkSlots(slots))).toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
  });

  test('is by default JOBSERVER_SLOTS or the number of CPUs', () => {
    const slotsFor = (text: string): number => {
      process.env['JOBSERVER_SLOTS'] = text;
      return defaultSlots();
    };
    expect(['1', '007', '4096'].map(slotsFor)).toEqual([1, 7, 4096]);
    const cpus = Math.min(availableParallelism(), Math.floor(cpuQuota()));
    expect(slotsFor('')).toBe(Math.max(1, cpus));
    delete process.env['JOBSERVER_SLOTS'];
    expect(defaultSlots()).toBe(Math.max(1, cpus));
    for (const text of ['0', '4097', '+1', '-1', '1.5', '1 ', 'x', '١']) {
      expect(thrown(() => slotsFor(text))).toMatchObject({
        name: 'RangeError',
        message: expect.stringContaining('JOBSERVER_SLOTS'),
      });
    }
  });
});
