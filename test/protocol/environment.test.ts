import {
  type EnvRevision,
  environmentOfJob,
  revise,
} from '../../dist/protocol/environment.js';
import { thrown } from '../helpers/thrown.js';

const none: EnvRevision = new Map();
const { env } = process;

afterEach(() => {
  process.env = env;
});

describe('revise', () => {
  test('merges additions into a copy', () => {
    const first = revise(none, { A: '1', B: null });
    const second = revise(first, new Map([['A', '2']]));
    expect([...none]).toEqual([]);
    expect([...first]).toEqual([
      ['A', '1'],
      ['B', null],
    ]);
    expect([...second]).toEqual([
      ['A', '2'],
      ['B', null],
    ]);
  });

  test('records null and undefined, which unset a variable', () => {
    const unset = revise(revise(none, { A: '1' }), { A: undefined });
    expect([...unset]).toEqual([['A', null]]);
  });

  test('uses the last of several values for a name', () => {
    const pairs = [
      ['A', '1'],
      ['A', null],
      ['B', null],
      ['B', '2'],
    ];
    expect([...revise(none, pairs)]).toEqual([
      ['A', null],
      ['B', '2'],
    ]);
  });

  test('ignores inherited and non-enumerable properties', () => {
    const additions = Object.create({ A: '1' }) as Record<string, string>;
    additions['B'] = '2';
    Object.defineProperty(additions, 'C', { value: 3, enumerable: false });
    expect([...revise(none, additions)]).toEqual([['B', '2']]);
  });

  test('leaves the revision unchanged when it refuses a value', () => {
    const before = revise(none, { A: '1' });
    const additions = [
      ['A', '2'],
      ['', '3'],
    ];
    expect(thrown(() => revise(before, additions))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
    });
    expect([...before]).toEqual([['A', '1']]);
  });

  test('names the variable in its messages', () => {
    expect(thrown(() => revise(none, { PATH: 5 }))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message:
        'Expected `additions.PATH` to be a string or null, got `5` (number)',
    });
    expect(thrown(() => revise(none, { PATH: 'a\0' }))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('additions.PATH'),
    });
    expect(thrown(() => revise(none, { 'A=B': 'x' }))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining('A=B'),
    });
  });
});

describe('environmentOfJob', () => {
  test('is the environment of this process, revised', () => {
    process.env = { A: '1', B: '2', C: '3' };
    const revision = revise(none, { B: null, C: '', D: 'x=y' });
    expect([...environmentOfJob(revision)].sort()).toEqual([
      'A=1',
      'C=',
      'D=x=y',
    ]);
  });

  test('is the same array as long as nothing changes', () => {
    process.env = { A: '1' };
    const first = environmentOfJob(none);
    expect(environmentOfJob(none)).toBe(first);
    process.env['A'] = '2';
    const second = environmentOfJob(none);
    expect([first, second]).toEqual([['A=1'], ['A=2']]);
    expect(environmentOfJob(revise(none, { A: '2' }))).toBe(second);
  });
});
