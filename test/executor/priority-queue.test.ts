import { PriorityQueue } from '../../dist/executor/priority-queue.js';

describe('PriorityQueue', () => {
  const names = (...entries: [string, number][]): string[] => {
    const queue = new PriorityQueue<{ name: string; priority: number }>();
    for (const [name, priority] of entries) queue.add({ name, priority });
    const taken = [];
    for (let each; (each = queue.shift()) !== undefined;) {
      taken.push(each.name);
    }
    expect([queue.size, queue.first]).toEqual([0, undefined]);
    return taken;
  };

  test('returns the highest priority first, and the oldest of equal priority', () => {
    expect(
      names(['d', 0], ['f', -1], ['a', 7], ['e', 0], ['c', 1], ['b', 7]),
    ).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('finds the value after each, across priorities', () => {
    const queue = new PriorityQueue<{ priority: number }>();
    const values = [5, 5, 0, -1].map((priority) => ({ priority }));
    for (const value of [...values].reverse()) queue.add(value);
    const seen = [];
    for (let each = queue.first; each; each = queue.after(each)) {
      seen.push(each.priority);
    }
    expect(seen).toEqual([5, 5, 0, -1]);
    expect(queue.after({ priority: 0 })).toBe(values[3]);
  });

  test('accepts a priority again after all its items were removed', () => {
    const queue = new PriorityQueue<{ priority: number }>();
    const [low, high] = [{ priority: 1 }, { priority: 2 }];
    queue.add(low);
    queue.add(high);
    expect([queue.delete(high), queue.delete(high)]).toEqual([true, false]);
    expect([queue.first, queue.size]).toEqual([low, 1]);
    queue.add(high);
    expect(queue.first).toBe(high);
  });
});
