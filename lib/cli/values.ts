// Values of options, from the text of the command line.
import { defaultSlots } from '../slots/default-count.js';
import { maxSlots } from '../slots/slot-pipe.js';
import { UsageError } from './exit.js';

/** A number of slots: `4`, or relative to the default: `50%`, `+1`, `-1`. */
export function slotsOf(text: string, command: string): number {
  const [, sign, digits, percent] = /^([+-]?)(\d+)(%?)$/.exec(text) ?? [];
  const number = Number(digits);
  if (digits !== undefined && !(percent === '%' && sign !== '')) {
    const slots = relative(sign!, number, percent === '%');
    if (slots >= 1 && slots <= maxSlots) return slots;
  }
  throw new UsageError(
    `--slots has to be a number from 1 to ${maxSlots}, or relative to the CPUs: ` +
      `50%, +1 or -1; got ${JSON.stringify(text)}`,
    command,
  );
}

function relative(sign: string, number: number, isPercent: boolean): number {
  if (isPercent)
    return Math.max(1, Math.floor((defaultSlots() * number) / 100));
  if (sign === '+') return defaultSlots() + number;
  if (sign === '-') return Math.max(1, defaultSlots() - number);
  return number;
}

/** An integer of at least 1; with `orInfinity`, also the word `Infinity`. */
export function countOf(
  text: string | undefined,
  option: string,
  command: string,
  orInfinity = false,
): number | undefined {
  if (text === undefined) return undefined;
  if (orInfinity && text === 'Infinity') return Infinity;
  if (/^\d{1,15}$/.test(text) && Number(text) >= 1) return Number(text);
  const expected = `an integer above 0${orInfinity ? ', or Infinity' : ''}`;
  throw new UsageError(
    `${option} has to be ${expected}; got ${JSON.stringify(text)}`,
    command,
  );
}

/** Where a server listens: `PORT` on all interfaces, or `HOST:PORT`. */
export interface Address {
  readonly host: string | undefined;
  readonly port: number;
}

export function addressOf(
  text: string | undefined,
  option: string,
  command: string,
): Address | undefined {
  if (text === undefined) return undefined;
  const [, ipv6, name, digits] =
    /^(?:(?:\[([\da-f:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/i.exec(text) ?? [];
  if (digits !== undefined && Number(digits) <= 65_535) {
    return { host: ipv6 ?? name, port: Number(digits) };
  }
  throw new UsageError(
    `${option} has to be PORT or HOST:PORT; got ${JSON.stringify(text)}`,
    command,
  );
}
