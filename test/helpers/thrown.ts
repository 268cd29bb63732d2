// A large value is cut short in the message of a failure.
import { inspect } from 'node:util';

/** Returns what a call throws; fails when it does not throw. */
export function thrown(call: () => unknown): unknown {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    return error;
  }
  throw new Error(`Nothing was thrown, but returned: ${inspect(value)}`);
}

/** Returns the reason of a rejected promise; fails when it is fulfilled. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`Nothing was rejected, but resolved: ${inspect(value)}`);
}
