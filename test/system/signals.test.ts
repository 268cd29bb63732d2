import { constants } from 'node:os';
import { signalName, signalNumber } from '../../dist/system/signals.js';
import { thrown } from '../helpers/thrown.js';

const { SIGABRT, SIGKILL, SIGTERM } = constants.signals;

test('a signal is a name or a number, and 0 is accepted as a probe', () => {
  expect(
    ['SIGTERM', 'SIGKILL', 15, 0, 64].map((it) => signalNumber(it, 'signal')),
  ).toEqual([SIGTERM, SIGKILL, 15, 0, 64]);
});

test('an unknown name is refused', () => {
  for (const name of ['SIGNOPE', 'TERM', 'sigterm', '', '15', 'toString']) {
    expect(thrown(() => signalNumber(name, 'killSignal'))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_UNKNOWN_SIGNAL',
      message: expect.stringMatching(/killSignal.*(string)/),
    });
  }
});

test('a value that is neither a name nor a number is refused', () => {
  for (const signal of [null, undefined, true, {}, 15n, ['SIGTERM']]) {
    expect(thrown(() => signalNumber(signal, 'signal'))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
});

test('a number that no signal has is refused', () => {
  for (const signal of [-1, 65, 1.5, NaN, Infinity]) {
    expect(thrown(() => signalNumber(signal, 'signal'))).toMatchObject({
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: expect.stringContaining(String(signal)),
    });
  }
});

test('every number has a name, and the usual one if there are two', () => {
  for (const [name, number] of Object.entries(constants.signals)) {
    expect(signalNumber(signalName(number), 'signal')).toBe(number);
    expect(constants.signals[signalName(number)]).toBe(number);
    expect(signalNumber(name, 'signal')).toBe(number);
  }
  expect(signalName(SIGABRT)).toBe('SIGABRT');
});

test('a signal without a name is called by its number', () => {
  expect(signalName(63)).toBe('SIG63');
});
