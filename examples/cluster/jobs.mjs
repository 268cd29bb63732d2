// What jobs call. The same file is in the image of the workers.
import { hostname } from 'node:os';

/** The primes below a number, by trial division. */
export function primesBelow(end) {
  const primes = [];
  for (let n = 2; n < end; n++) {
    if (primes.every((p) => n % p !== 0)) primes.push(n);
  }
  return { host: hostname(), count: primes.length };
}
