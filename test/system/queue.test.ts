import { PriorityQueue } from '../../dist/executor/priority-queue.js';
import { Queue } from '../../dist/system/queue.js';

describe('Queue', () => {
  test('gives what came first', () => {
    const queue = new Queue<string>();
    expect([queue.first, queue.shift(), queue.size]).toEqual([
      undefined,
      undefined,
      0,
    ]);
    for (const value of ['a', 'b', 'c', 'b']) queue.add(value);
    expect([queue.size, queue.first]).toEqual([3, 'a']);
    expect([queue.shift(), queue.shift(), queue.shift()]).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect([queue.first, queue.size]).toEqual([undefined, 0]);
  });

  test.each(['a', 'b', 'c'])('gives the others when %s is deleted', (gone) => {
    const queue = new Queue<string>();
    for (const value of ['a', 'b', 'c']) queue.add(value);
    expect([queue.delete(gone), queue.delete(gone)]).toEqual([true, false]);
    expect(queue.has(gone)).toBe(false);
    queue.add('d');
    const left = [];
    for (let value; (value = queue.shift()) !== undefined;) left.push(value);
    expect(left).toEqual(['a', 'b', 'c', 'd'].filter((it) => it !== gone));
  });

  test('is empty once it is cleared', () => {
    const queue = new Queue<string>();
    queue.add('a');
    queue.clear();
    expect([queue.size, queue.first, queue.has('a')]).toEqual([
      0,
      undefined,
      false,
    ]);
    queue.add('b');
    expect(queue.shift()).toBe('b');
  });
});

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

  test('gives the highest priority, and of one the oldest', () => {
    expect(
      names(['d', 0], ['f', -1], ['a', 7], ['e', 0], ['c', 1], ['b', 7]),
    ).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  test('forgets a priority that is used no more', () => {
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
