// A worker finds the function that a name refers to, or reports that it cannot.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type FunctionRef,
  nameFunction,
} from '../../dist/functions/function-ref.js';
import {
  type Called,
  callAll,
  fixtures,
  nameAll,
  nameAndCall,
  refusal,
  useDirectory,
} from './name-and-call.js';

const { write } = useDirectory();
const file = join(fixtures, 'jobs.mjs');

describe('a worker', () => {
  let called: Record<string, Called>;
  beforeAll(() => {
    ({ called } = nameAndCall(file, () => [5]));
  });

  test('distinguishes members with the same text by their location', () => {
    expect(called['twinOne']?.again).toMatchObject({ path: ['twinOne', 'f'] });
    expect(called['twinTwo']?.again).toMatchObject({ path: ['twinTwo', 'f'] });
  });

  test('knows the exact path of a function that it has imported', () => {
    expect(called['renamed']?.again).toMatchObject({
      kind: 'export',
      path: ['renamed'],
    });
  });

  test('refuses a function that is not exported', () => {
    expect(called['hidden']?.error).toEqual(refusal('hidden of line'));
    expect(called['hidden']?.error).toEqual(refusal('it is not exported'));
    expect(called['hidden']?.error).toEqual(refusal('import.meta.url'));
  });

  test('refuses a closure that is exported under another name', () => {
    expect(called['madeFour']?.error).toEqual(refusal('madeFour of line'));
  });

  test.each(['mjs', 'cjs'])(
    'refuses a function of a file that has changed (.%s)',
    (ending) => {
      const source = (body: string): string =>
        ending === 'mjs'
          ? `export const f = (x) => ${body};
             export const submitted = new Map([['f', f]]);`
          : `exports.f = (x) => ${body};
             exports.submitted = new Map([['f', exports.f]]);`;
      const changing = write(`changing.${ending}`, source('x + 1'));
      const { ref } = nameAll(changing)['f']!;
      write(`changing.${ending}`, source('x + 2'));
      const answer = callAll([['f', ref, 1]])['f'];
      expect(answer?.error).toEqual(refusal('the file has changed'));
    },
  );

  test('refuses two functions with the same text that have both moved', () => {
    const { ref } = nameAll(file)['twinOne']!;
    const moved = { ...ref, line: 10_000 } as FunctionRef;
    const error = callAll([['moved', moved, 5]])['moved']?.error;
    expect(error).toEqual(refusal('look like the function'));
    expect(error).toEqual(refusal('twinOne.f, twinTwo.f'));
    expect(error).toEqual(refusal("new URL('./file.js#twinOne.f'"));
  });

  test('lists the exports there are when one is missing', () => {
    const ref = nameFunction(`${pathToFileURL(file).href}#nope`, 'fn');
    const { error } = callAll([['nope', ref]])['nope']!;
    expect(error).toEqual(refusal('exports no function nope; it has default'));
    expect(error).toEqual(refusal('and 3 more'));
  });

  test('reports a global that it does not have', () => {
    const ref: FunctionRef = { kind: 'global', path: ['nope'] };
    expect(callAll([['nope', ref]])['nope']?.error).toEqual(
      refusal('There is no global function nope in this process'),
    );
  });

  test('finds by name a function whose text a transform has rewritten', () => {
    const { ref } = nameAll(file)['double']!;
    const other = { ...ref, print: '1:0' } as FunctionRef;
    const rewritten = { ...other, isRewritten: true } as FunctionRef;
    const answers = callAll([
      ['other', other, 5],
      ['rewritten', rewritten, 5],
    ]);
    expect(answers['other']?.error).toEqual(refusal('the file has changed'));
    expect(answers['rewritten']?.value).toBe(10);
  });
});
