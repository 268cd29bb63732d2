import { type JobCall, callAsync, callSync } from '../../dist/child/call.js';

/** A call whose preexec returns a Disposable that notes its disposal. */
function guarded(fn: () => unknown, disposed: string[]): JobCall {
  return {
    fn,
    args: () => [],
    mapping: 'none',
    preexec: () => ({ [Symbol.dispose]: () => void disposed.push('yes') }),
    preexecArgs: () => [],
  };
}

const failure = new RangeError('on purpose');

const calls = [
  ['callSync', async (call: JobCall): Promise<unknown> => callSync(call)],
  ['callAsync', callAsync],
] as const;

describe.each(calls)('%s', (_, run) => {
  test('makes each call of a mapped call in order, and says how long they took', async () => {
    const double = (n: unknown): number => 2 * (n as number);
    const call = { ...guarded(() => 0, []), fn: double };
    const args = (): unknown[] => [[1], [2]];
    const values = await run({ ...call, mapping: 'values', args });
    expect(values).toEqual([2, 4, expect.any(Number)]);
  });

  test('goes on after a call that throws where each call has an outcome', async () => {
    const fail = (n: unknown): unknown => {
      if (n === 2) throw failure;
      return n;
    };
    const call = { ...guarded(() => 0, []), fn: fail };
    const args = (): unknown[] => [[1], [2], [3]];
    const outcomes = await run({ ...call, mapping: 'outcomes', args });
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 3 },
      expect.any(Number),
    ]);
  });

  test('disposes of the guard when the function throws', async () => {
    const disposed: string[] = [];
    const call = guarded(() => {
      throw failure;
    }, disposed);
    await expect(run(call)).rejects.toBe(failure);
    expect(disposed).toEqual(['yes']);
  });

  test('disposes of the guard when `then` of the value throws', async () => {
    const disposed: string[] = [];
    const value = {
      get then(): never {
        throw failure;
      },
    };
    await expect(run(guarded(() => value, disposed))).rejects.toBe(failure);
    expect(disposed).toEqual(['yes']);
  });

  test('throws the error of the disposal, caused by that of the call', async () => {
    const error = new Error('disposal');
    const call = guarded(() => {
      throw failure;
    }, []);
    const preexec = (): Disposable => ({
      [Symbol.dispose]: () => {
        throw error;
      },
    });
    await expect(run({ ...call, preexec })).rejects.toBe(error);
    expect(error.cause).toBe(failure);
  });
});

test('callSync refuses a promise of each step by name', () => {
  const promise = async (): Promise<void> => undefined;
  expect(() => callSync(guarded(promise, []))).toThrow(
    /^The job returned a promise/,
  );
  expect(() => callSync({ ...guarded(() => 1, []), preexec: promise })).toThrow(
    /^preexec returned a promise/,
  );
  const preexec = (): object => ({ [Symbol.dispose]: promise });
  expect(() => callSync({ ...guarded(() => 1, []), preexec })).toThrow(
    /^The Disposable of preexec returned a promise/,
  );
});
