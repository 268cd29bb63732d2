import { stat } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import {
  onDeadline,
  deadlineAfter,
  never,
  now,
  pollTimeout,
  remaining,
} from '../../dist/system/deadline.js';
import { thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { until } from '../helpers/until.js';

afterEach(() => jest.restoreAllMocks());

describe('deadlineAfter', () => {
  test('undefined and null mean never', () => {
    expect(deadlineAfter(undefined)).toBe(never);
    expect(deadlineAfter(null)).toBe(never);
  });

  test('a number means milliseconds from now, with fractions', () => {
    jest.spyOn(performance, 'now').mockReturnValue(1000);
    expect(deadlineAfter(0)).toBe(1000);
    expect(deadlineAfter(-0)).toBe(1000);
    expect(deadlineAfter(2.5)).toBe(1002.5);
    expect(deadlineAfter(2 ** 40)).toBe(1000 + 2 ** 40);
  });

  test('throws for a value that is not a timeout', () => {
    for (const [timeout, error] of badTimeouts) {
      expect(thrown(() => deadlineAfter(timeout))).toMatchObject(error);
    }
    expect(thrown(() => deadlineAfter(-1, 'patience'))).toMatchObject({
      message: 'Expected `patience` to be non-negative, got `-1` (number)',
    });
  });
});

test('the remaining time decreases to 0, and not below', () => {
  const clock = jest.spyOn(performance, 'now').mockReturnValue(1000);
  const deadline = deadlineAfter(10);
  expect([remaining(deadline), pollTimeout(deadline)]).toEqual([10, 10]);
  clock.mockReturnValue(1009.5);
  expect([remaining(deadline), pollTimeout(deadline)]).toEqual([0.5, 0.5]);
  clock.mockReturnValue(1011);
  expect([remaining(deadline), pollTimeout(deadline)]).toEqual([0, 0]);
});

test('an infinite time remains until never, which is -1 for poll', () => {
  expect([remaining(never), pollTimeout(never)]).toEqual([Infinity, -1]);
});

describe('at', () => {
  /** Timers that fire when the test calls `fire`. */
  function scripted() {
    const armed: { delay: number; fire: () => void }[] = [];
    const set = (fire: () => void, delay: number): number =>
      armed.push({ delay, fire });
    jest.spyOn(timers, 'setTimeout').mockImplementation(set as never);
    jest
      .spyOn(timers, 'setImmediate')
      .mockImplementation(((call: () => void) => call()) as never);
    const clear = jest.spyOn(timers, 'clearTimeout').mockReturnValue();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    return { armed, clear, clock };
  }

  test('calls back at the deadline', () => {
    const { armed, clock } = scripted();
    const callback = jest.fn();
    onDeadline(10.25, callback);
    expect(armed.map(({ delay }) => delay)).toEqual([11]);
    clock.mockReturnValue(10.25);
    armed[0]!.fire();
    expect(callback).toHaveBeenCalledTimes(1);
    expect(armed.length).toBe(1);
  });

  test('sets the timer again when it fires early', () => {
    const { armed, clock } = scripted();
    const callback = jest.fn();
    onDeadline(10, callback);
    clock.mockReturnValue(9.6);
    armed[0]!.fire();
    expect(callback).not.toHaveBeenCalled();
    expect(armed[1]!.delay).toBe(1);
    clock.mockReturnValue(10.1);
    armed[1]!.fire();
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('reaches a deadline beyond the range of timers in steps', () => {
    const { armed, clock } = scripted();
    const longest = 2 ** 31 - 1;
    const callback = jest.fn();
    onDeadline(2 ** 31 + 100, callback);
    expect(armed[0]!.delay).toBe(longest);
    clock.mockReturnValue(longest);
    armed[0]!.fire();
    expect(armed[1]!.delay).toBe(101);
    expect(callback).not.toHaveBeenCalled();
    clock.mockReturnValue(2 ** 31 + 100);
    armed[1]!.fire();
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('calls back after the I/O callbacks that are due', async () => {
    const order: string[] = [];
    const timer = onDeadline(now() + 5, () => order.push('time'));
    onDeadline(now() + 5, () => order.push('cancelled')).cancel();
    const read = stat(__filename).then(() => order.push('fd'));
    for (const end = now() + 200; now() < end;);
    await read;
    await until('the deadline', () => order.includes('time'));
    await turnOfLoop();
    expect(order).toEqual(['fd', 'time']);
    timer.cancel();
  });

  test('sets no timer for never', () => {
    const { armed } = scripted();
    const timer = onDeadline(never, () => undefined);
    expect(armed).toEqual([]);
    timer.cancel();
  });

  test('can cancel a timer that was set again', () => {
    const { armed, clear } = scripted();
    const timer = onDeadline(10, () => undefined);
    armed[0]!.fire();
    timer.cancel();
    expect(clear).toHaveBeenLastCalledWith(2);
  });

  test('never calls back early by the real clock', async () => {
    for (const ms of [0, 0.3, 1, 5.5]) {
      const deadline = now() + ms;
      await new Promise<void>((resolve) => onDeadline(deadline, resolve));
      expect(now()).toBeGreaterThanOrEqual(deadline);
    }
  });
});
