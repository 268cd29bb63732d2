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

test('no signal is fine, and so is one by its shape', () => {
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

test('an aborted signal throws an AbortError with its reason', () => {
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

test('a hundred listeners of a signal take one of its own', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: number[] = [];
  for (let i = 0; i < 100; i++) onAbort(signal, () => called.push(i));
  expect(listenersOf(signal)).toBe(1);
  controller.abort();
  expect(called).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(listenersOf(signal)).toBe(0);
});

test('who has left is not called, and the last one leaves nothing', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const leave = [
    onAbort(signal, () => called.push('first')),
    onAbort(signal, () => called.push('second')),
  ];
  leave[0]!();
  leave[0]!();
  expect(listenersOf(signal)).toBe(1);
  leave[1]!();
  expect(listenersOf(signal)).toBe(0);
  onAbort(signal, () => called.push('third'));
  controller.abort();
  leave[1]!();
  expect(called).toEqual(['third']);
});

test('a listener may make others leave, and a new one is not called', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const called: string[] = [];
  const leave: (() => void)[] = [];
  onAbort(signal, () => {
    called.push('first');
    leave[0]!();
    onAbort(signal, () => called.push('late'));
  });
  leave.push(onAbort(signal, () => called.push('second')));
  onAbort(signal, () => called.push('third'));
  controller.abort();
  expect(called).toEqual(['first', 'third']);
});

test('leaving after the abort does no harm to those that listen again', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const leave = onAbort(signal, () => undefined);
  controller.abort();
  leave();
  leave();
  expect(listenersOf(signal)).toBe(0);
});

test('without a signal there is nothing to leave', () => {
  expect(
    onAbort(undefined, () => {
      throw new Error('never called');
    })(),
  ).toBe(undefined);
});
