// The global object of the thread's main realm. It differs from globalThis when
// this library was loaded into a vm context, as under jest.
import { runInThisContext } from 'node:vm';

let main: Record<PropertyKey, unknown> | undefined;

export function mainGlobal(): Record<PropertyKey, unknown> {
  main ??= runInThisContext('globalThis') as Record<PropertyKey, unknown>;
  return main;
}
