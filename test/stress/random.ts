// Pseudo-random numbers that a seed repeats.

export type Random = () => number;

/** Numbers from 0 to below 1, by the mulberry32 generator. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs with STRESS_SEED or a new seed; the error of a failure states it. */
export async function withSeed(
  run: (random: Random) => Promise<void>,
): Promise<void> {
  const seed = Number(process.env['STRESS_SEED'] ?? Date.now() % 2 ** 32);
  try {
    await run(randomFrom(seed));
  } catch (error) {
    const cause = error as Error;
    cause.message = `STRESS_SEED=${seed}: ${cause.message}`;
    cause.stack = `STRESS_SEED=${seed}: ${cause.stack}`;
    throw cause;
  }
}
