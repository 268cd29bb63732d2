// Checks the names in an object of options, because a misspelled name would be
// an option without effect.
import { invalidArgument, outOfRange, unknownOption } from '../errors.js';

/** Lists each option of O, or the compiler reports it. */
export type OptionNames<O> = Readonly<Record<keyof O, true>>;

/**
 * Returns the options. Throws a TypeError when they are no object, or have a
 * property of their own that is no option.
 */
export function checkOptions<O extends object>(
  options: O,
  names: Readonly<Record<keyof O, unknown>>,
): O {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('options', 'an object', options);
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue;
    const known = Object.keys(names).map((option): [string, number] => [
      option,
      edits(name.slice(0, 60).toLowerCase(), option.toLowerCase()),
    ]);
    const nearestFirst = known.sort(([, a], [, b]) => a - b);
    throw unknownOption(
      name,
      nearestFirst.map(([option]) => option),
    );
  }
  return options;
}

/** Returns a number of milliseconds, 0 or more. */
export function checkMs(ms: unknown, name: string): number {
  if (typeof ms !== 'number') {
    throw invalidArgument(name, 'a number of milliseconds', ms);
  }
  if (!(ms >= 0)) throw outOfRange(name, 'non-negative', ms);
  return ms;
}

/** Returns an integer of at least `least`, or Infinity. */
export function checkMost(count: unknown, name: string, least: 0 | 1): number {
  const range = least === 0 ? 'an integer, 0 or more,' : 'an integer above 0,';
  const expected = `${range} or Infinity`;
  if (typeof count !== 'number') throw invalidArgument(name, expected, count);
  const isCount = Number.isSafeInteger(count) || count === Infinity;
  if (isCount && count >= least) return count;
  throw outOfRange(name, expected, count);
}

export function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument(name, 'a boolean', value);
}

/** The number of letters to insert, delete or replace (Levenshtein). */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replaced = row[j]! + (letter === to[j] ? 0 : 1);
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}
