// The classes of objects by name. Nothing here throws, whatever the object.

import { types } from 'node:util';

/** The name of an object's class, for messages. */
export function className(value: object): string {
  const name = constructorName(value) ?? 'Object';
  if (name !== 'Object') return name;
  try {
    // Iterators and the arguments of a function have no class of their own.
    return Object.prototype.toString.call(value).slice(8, -1);
  } catch {
    // The getter of Symbol.toStringTag threw.
    return name;
  }
}

/** The name of the nearest constructor that has one. Calls no getter. */
export function constructorName(value: object): string | undefined {
  let link: object | null = value;
  while (link !== null && !types.isProxy(link)) {
    const own = Object.getOwnPropertyDescriptor(link, 'constructor');
    const constructor: unknown = own?.value;
    if (typeof constructor === 'function' && !types.isProxy(constructor)) {
      const name = Object.getOwnPropertyDescriptor(constructor, 'name');
      if (typeof name?.value === 'string' && name.value !== '') {
        return name.value;
      }
    }
    link = Object.getPrototypeOf(link) as object | null;
  }
  return undefined;
}

export function isBuiltinFunction(value: unknown): value is { name: string } {
  return (
    typeof value === 'function' &&
    Function.prototype.toString.call(value).endsWith('{ [native code] }')
  );
}
