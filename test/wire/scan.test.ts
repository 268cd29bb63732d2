import { decode, encode, sendable } from '../../dist/wire/value.js';
import { roundTrip } from './round-trip.js';

describe('the search for errors and handles', () => {
  test('finds an error in a named property of a long array', () => {
    const error = Object.assign(new Error('found'), { code: 'E' });
    const array = Object.assign(Array.from({ length: 100 }).fill(1), { error });
    expect(roundTrip([array])[0].error.code).toBe('E');
  });

  test('visits a wide cycle about once', () => {
    const parent: object[] = [];
    for (let i = 0; i < 50_000; i += 1) parent.push({ i, parent });
    const arrived = roundTrip(parent);
    expect(arrived).toHaveLength(50_000);
    expect(arrived[49_999].parent === arrived).toBe(true);
  });

  test('visits shared parts about once, to a depth of 60', () => {
    let value: object = {};
    for (let i = 0; i < 60; i += 1) value = { left: value, right: value };
    const arrived = roundTrip([value, new Error('special')])[0];
    expect(arrived.left === arrived.right).toBe(true);
  });

  test('finds instances of a class that is marked by a field', () => {
    class Marked {
      readonly [sendable] = true;
    }
    const sent = Array.from({ length: 100 }, () => ({ of: new Marked() }));
    const arrived = decode(
      encode(sent, 'args', () => 'data'),
      (data) => ({ data }),
    ) as { of: unknown }[];
    expect(arrived).toHaveLength(100);
    expect(arrived[50]!.of).toHaveProperty('data', 'data');
  });
});
