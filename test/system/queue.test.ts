import { Queue } from '../../dist/system/queue.js';

describe('Queue', () => {
  test('returns values in the order in which they were added', () => {
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

  test.each(['a', 'b', 'c'])(
    'returns the other values after %s was deleted',
    (gone) => {
      const queue = new Queue<string>();
      for (const value of ['a', 'b', 'c']) queue.add(value);
      expect([queue.delete(gone), queue.delete(gone)]).toEqual([true, false]);
      expect(queue.has(gone)).toBe(false);
      queue.add('d');
      const left = [];
      for (let value; (value = queue.shift()) !== undefined;) left.push(value);
      expect(left).toEqual(['a', 'b', 'c', 'd'].filter((it) => it !== gone));
    },
  );

  test('is empty after it was cleared', () => {
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
