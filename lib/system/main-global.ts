// The global object of the thread's main realm. It differs from globalThis when
// this library was loaded into a vm context, as under jest.
import { runInThisContext } from 'node:vm';

let main: Record<PropertyKey, unknown> | undefined;

export function mainGlobal(): Record<PropertyKey, unknown> {
  main ??= runInThisContext('globalThis') as Record<PropertyKey, unknown>;
  return main;
}

/**
 * A value that all copies of this library in the thread share. `code` makes it:
 * a value from a vm context would keep that context for good.
 */
export function mainValue<Value>(name: string, code: string): Value {
  return (mainGlobal()[Symbol.for(name)] ??= runInThisContext(code)) as Value;
}
