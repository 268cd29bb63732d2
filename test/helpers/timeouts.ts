// Values that are refused as a timeout, and the errors that they cause.

const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const rangeError = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

export const badTimeouts: readonly [unknown, object][] = [
  ...['5', '', {}, [], true, false, 5n, Symbol('5')].map(
    (value): [unknown, object] => [
      value,
      { ...typeError, message: expect.stringContaining('timeout') },
    ],
  ),
  ...[-1, -0.001].map((value): [unknown, object] => [
    value,
    { ...rangeError, message: expect.stringContaining('non-negative') },
  ]),
  ...[NaN, Infinity, -Infinity].map((value): [unknown, object] => [
    value,
    { ...rangeError, message: expect.stringContaining('finite') },
  ]),
];
