import { getEventListeners } from 'node:events';
import {
  checkAbortSignal,
  onAbort,
  throwIfAborted,
} from '../../dist/system/abort.js';
import { thrown } from '../helpers/thrown.js';

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

test('a value is refused unless it is an AbortSignal or undefined', () => {
  expect([checkAbortSignal(undefined), checkAbortSignal(null)]).toEqual([
    undefined,
    undefined,
  ]);
  const { signal } = new AbortController();
  expect(checkAbortSignal(signal)).toBe(signal);
  for (const bad of [5, 'abort', true, {}, () => true]) {
    expect(thrown(() => checkAbortSignal(bad))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});

test('an aborted signal throws an AbortError, caused by its reason', () => {
  throwIfAborted(undefined);
  const controller = new AbortController();
  throwIfAborted(controller.signal);
  controller.abort('for a reason');
  expect(thrown(() => throwIfAborted(controller.signal))).toMatchObject({
    name: 'AbortError',
    code: 'ABORT_ERR',
    cause: 'for a reason',
  });
});

test('100 callbacks for a signal take one listener of the signal', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: number[] = [];
  for (let i = 0; i < 100; i++) onAbort(signal, () => called.push(i));
  expect(listenersOf(signal)).toBe(1);
  controller.abort();
  expect(called).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(listenersOf(signal)).toBe(0);
});

test('a removed callback is not called, and leaves no listener', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const remove = [
    onAbort(signal, () => called.push('first')),
    onAbort(signal, () => called.push('second')),
  ];
  remove[0]!();
  remove[0]!();
  expect(listenersOf(signal)).toBe(1);
  remove[1]!();
  expect(listenersOf(signal)).toBe(0);
  onAbort(signal, () => called.push('third'));
  controller.abort();
  remove[1]!();
  expect(called).toEqual(['third']);
});

test('a callback may remove and add others, which are not called', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const remove: (() => void)[] = [];
  onAbort(signal, () => {
    called.push('first');
    remove[0]!();
    onAbort(signal, () => called.push('late'));
  });
  remove.push(onAbort(signal, () => called.push('second')));
  onAbort(signal, () => called.push('third'));
  controller.abort();
  expect(called).toEqual(['first', 'third']);
});

test('a callback may be removed after the abort, and more than once', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const remove = onAbort(signal, () => undefined);
  controller.abort();
  remove();
  remove();
  expect(listenersOf(signal)).toBe(0);
});

test('nothing is called or removed without a signal', () => {
  expect(
    onAbort(undefined, () => {
      throw new Error('never called');
    })(),
  ).toBe(undefined);
});
