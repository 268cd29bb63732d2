import { Pace, type PaceOptions } from '../../dist/map/pace.js';

interface World {
  /** Milliseconds of the call for an item. */
  readonly callMs: (item: number) => number;
  /** Milliseconds that a job takes besides. */
  readonly overheadMs: (items: number) => number;
}

interface Chunk {
  readonly first: number;
  readonly items: number;
  readonly callsMs: number;
  readonly totalMs: number;
  readonly end: number;
}

/** Runs a map on a clock of its own; gives the chunks in their order. */
function simulate(
  options: Partial<PaceOptions>,
  count: number,
  { callMs, overheadMs }: World,
): Chunk[] {
  const { slots = 2 } = options;
  const given = { chunkSize: 'auto', isReused: false, length: count } as const;
  const pace = new Pace({ ...given, slots, ...options });
  const chunks: Chunk[] = [];
  const running: Chunk[] = [];
  let time = 0;
  let taken = 0;
  while (taken < count || running.length > 0) {
    if (taken < count && running.length < slots) {
      const items = Math.min(pace.size, count - taken);
      let callsMs = 0;
      for (let i = 0; i < items; i++) callsMs += callMs(taken + i);
      const totalMs = callsMs + overheadMs(items);
      const end = time + totalMs;
      const chunk = { first: taken, items, callsMs, totalMs, end };
      pace.take(items);
      taken += items;
      running.push(chunk);
      chunks.push(chunk);
      continue;
    }
    running.sort((a, b) => a.end - b.end);
    const first = running.shift()!;
    time = first.end;
    pace.measure(first);
  }
  return chunks;
}

const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
const overheadOf = (chunks: Chunk[]): number => {
  const all = sum(chunks.map(({ totalMs }) => totalMs));
  return 1 - sum(chunks.map(({ callsMs }) => callsMs)) / all;
};
const endOf = (chunks: Chunk[]): number =>
  Math.max(...chunks.map(({ end }) => end));

describe('the pace of a map', () => {
  const base = { slots: 2, length: undefined, isReused: false } as const;

  test('a number is the size of every chunk', () => {
    const pace = new Pace({ ...base, chunkSize: 7 });
    expect(pace.size).toBe(7);
    pace.take(7);
    pace.measure({ items: 7, callsMs: 1000, totalMs: 1001 });
    expect(pace.size).toBe(7);
  });

  test('chunks have one item until the first has ended', () => {
    const pace = new Pace({ ...base, chunkSize: 'auto', length: 1e6 });
    for (let i = 0; i < 100; i++) {
      expect(pace.size).toBe(1);
      pace.take(1);
    }
    pace.measure({ items: 1, callsMs: 0.001, totalMs: 3 });
    expect(pace.size).toBeGreaterThan(1);
  });

  test.each([
    ['a fresh process, short calls', 2, 0.005, 1e6],
    ['a fresh process, calls of 1 ms', 2, 1, 1e5],
    ['a new node, short calls', 60, 0.5, 2e5],
    ['a re-used process, short calls', 0.1, 0.005, 1e5],
    ['a re-used process, calls of 1 ms', 0.1, 1, 1e4],
    ['a re-used process, long calls', 0.1, 100, 1e3],
  ])('%s: the overhead is less than 5 %%', (_, overhead, call, count) => {
    for (const length of [count, undefined]) {
      const world = { callMs: () => call, overheadMs: () => overhead };
      const chunks = simulate({ length }, count, world);
      expect(overheadOf(chunks)).toBeLessThan(0.05);
    }
  });

  test('calls that take longer than a process to start have jobs of their own', () => {
    const world = { callMs: () => 100, overheadMs: () => 2 };
    const chunks = simulate({}, 100, world);
    expect(chunks.map(({ items }) => items)).toEqual(Array(100).fill(1));
  });

  test('near the end of the input, chunks are small', () => {
    for (const slots of [1, 2, 16]) {
      const world = { callMs: () => 0.1, overheadMs: () => 2 };
      const chunks = simulate({ slots }, 50_000, world);
      for (const { first, items, callsMs } of chunks) {
        const share = (50_000 - first) / (2 * slots);
        if (callsMs > 8.1) expect(items).toBeLessThanOrEqual(share);
      }
      // The slots end at nearly the same time.
      const ideal = sum(chunks.map(({ totalMs }) => totalMs)) / slots;
      expect(endOf(chunks) - ideal).toBeLessThan(20);
    }
  });

  test('where the length is not known, a chunk is small beside those before it', () => {
    const world = { callMs: () => 0.1, overheadMs: () => 100 };
    const chunks = simulate({ length: undefined }, 1e6, world);
    for (const { first, items, callsMs } of chunks) {
      if (callsMs > 401) expect(items).toBeLessThanOrEqual(first / 4);
    }
  });

  test.each([
    ['at random', (i: number) => (i % 97 === 0 ? 1000 : 1)],
    ['first the short ones', (i: number) => (i < 9000 ? 1 : 1000)],
    ['first the long ones', (i: number) => (i < 1000 ? 1000 : 1)],
    ['in turns', (i: number) => (Math.floor(i / 500) % 2 === 0 ? 1 : 1000)],
  ])(
    'calls that differ by a factor of 1000, %s, share the slots',
    (_, rate) => {
      const world = {
        callMs: (item: number) => rate(item) * 0.005,
        overheadMs: () => 2,
      };
      for (const length of [10_000, undefined]) {
        const chunks = simulate({ length, slots: 4 }, 10_000, world);
        const ideal = sum(chunks.map(({ callsMs }) => callsMs)) / 4;
        expect(endOf(chunks)).toBeLessThan(3 * ideal);
      }
    },
  );

  test('a chunk of calls that seem to take no time has a size', () => {
    const world = { callMs: () => 0, overheadMs: () => 1 };
    const chunks = simulate({}, 1e6, world);
    expect(sum(chunks.map(({ items }) => items))).toBe(1e6);
  });

  test('answers that are copied for long do not make chunks grow without end', () => {
    const overheadMs = (items: number): number => 0.1 + items * 0.05;
    const world = { callMs: () => 0.05, overheadMs };
    const chunks = simulate({ isReused: true }, 1e6, world);
    const most = Math.max(...chunks.map(({ items }) => items));
    expect(most).toBeLessThan(5000);
  });

  test('the start of the first processes does not count for re-used ones', () => {
    let jobs = 0;
    const overheadMs = (): number => (jobs++ < 4 ? 50 : 0.1);
    const world = { callMs: () => 0.1, overheadMs };
    const chunks = simulate({ slots: 4 }, 1e5, world);
    const most = Math.max(...chunks.map(({ callsMs }) => callsMs));
    expect(most).toBeLessThan(100);
  });

  test('answers that are handled together do not change the overhead', () => {
    const pace = new Pace({ ...base, chunkSize: 'auto', length: 1e9 });
    for (let i = 0; i < 400; i++) {
      pace.take(pace.size);
      // Every other answer waits for the one after it.
      const totalMs = i % 2 === 0 ? 10 : 0;
      pace.measure({ items: 100, callsMs: 4, totalMs });
    }
    // An overhead of 1 ms is that of 25 items.
    expect(pace.size).toBe(750);
  });

  test('an input with more items than its length says is read to its end', () => {
    const world = { callMs: () => 0.1, overheadMs: () => 2 };
    for (const length of [0, 10, Infinity]) {
      const chunks = simulate({ length }, 5000, world);
      expect(sum(chunks.map(({ items }) => items))).toBe(5000);
    }
  });

  describe('of chunks that wait for a slot', () => {
    const waiting = (chunkSize: number | 'auto', callsMs: number): number => {
      const options = { ...base, slots: 4, isReused: true, chunkSize };
      const pace = new Pace(options);
      expect(pace.mostWaiting).toBe(1);
      pace.measure({ items: 1, callsMs, totalMs: callsMs + 1 });
      return pace.mostWaiting;
    };

    test('there is one where each job has a process of its own', () => {
      const pace = new Pace({ ...base, chunkSize: 1 });
      pace.measure({ items: 1, callsMs: 0.01, totalMs: 1 });
      expect(pace.mostWaiting).toBe(1);
    });

    test('there are as many as run in a short time in re-used processes', () => {
      const numbers = [0, 0.01, 1, 10, 39, 100].map((ms) => waiting(1, ms));
      expect(numbers).toEqual([128, 128, 40, 4, 1, 1]);
    });

    test("there is one for each slot with 'auto'", () => {
      expect(waiting('auto', 0.01)).toBe(4);
    });
  });
});
