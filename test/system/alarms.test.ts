import { setTimeout as sleep } from 'node:timers/promises';
import { selector } from '../../dist/system/selector.js';
import { type Timer, now } from '../../dist/system/deadline.js';
import { checkLeaks } from '../helpers/leaks.js';
import { until } from '../helpers/until.js';

const timers: Timer[] = [];
afterEach(() => {
  for (const timer of timers.splice(0)) timer.cancel();
});
checkLeaks(async () => selector.turn(0));

/** Adds an alarm that appends its milliseconds. */
function add(to: number[], ms: number): Timer {
  const timer = selector.alarm(ms, () => to.push(ms));
  timers.push(timer);
  return timer;
}

test('a call that blocks the thread runs alarms in the order of their time', () => {
  const called: number[] = [];
  for (const ms of [30, 10, 30, 20, 10]) add(called, ms);
  const end = now() + 10_000;
  while (called.length < 5 && now() < end) selector.turn(-1);
  expect(called).toEqual([10, 10, 20, 30, 30]);
});

test('no alarm runs before its time', () => {
  const called: number[] = [];
  const start = now();
  add(called, 25);
  while (called.length === 0) selector.turn(-1);
  expect(now() - start).toBeGreaterThanOrEqual(25);
});

test('the event loop runs alarms, also those that an alarm has added', async () => {
  const called: number[] = [];
  add(called, 20);
  timers.push(selector.alarm(5, () => void add(called, 1)));
  await until('all alarms', () => called.length === 2);
  expect(called.sort()).toEqual([1, 20]);
});

test('an alarm that is cancelled does not run', async () => {
  const called: number[] = [];
  const first = add(called, 5);
  add(called, 10);
  first.cancel();
  first.cancel();
  await until('the other', () => called.length > 0);
  await sleep(20);
  expect(called).toEqual([10]);
});

test('an alarm may cancel the next one', () => {
  const called: number[] = [];
  const other: Timer[] = [];
  timers.push(selector.alarm(5, () => other[0]!.cancel()));
  other.push(add(called, 5));
  const end = now() + 30;
  while (now() < end) selector.turn(5);
  expect(called).toEqual([]);
});

test('an alarm of infinite or very many milliseconds does not run at once', async () => {
  const called: number[] = [];
  for (const ms of [Infinity, 2 ** 40]) add(called, ms);
  selector.turn(5);
  await sleep(20);
  expect(called).toEqual([]);
});
