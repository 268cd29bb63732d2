import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nameFunction } from '../../dist/functions/function-ref.js';
import {
  type Call,
  callAll,
  fixtures,
  refusal,
  useDirectory,
} from './name-and-call.js';

const { path, write } = useDirectory();

describe('a URL or string', () => {
  const file = join(fixtures, 'jobs.mjs');
  const url = pathToFileURL(file).href;

  test.each([
    ['an export', `${url}#arrow`, 6],
    ['the path of an export', `${url}#named.inner.method`, 11],
    ['the default export', url, 8],
    ['an export of an absolute path', `${file}#arrow`, 6],
    ['an export of CommonJS', join(fixtures, 'jobs.cjs#double'), 10],
    ['module.exports', join(fixtures, 'more-jobs.cjs'), 17],
    ['a builtin', 'node:path#posix.normalize', '5'],
    ['a builtin without its scheme', 'path#normalize', '5'],
    ['a data: URL', 'data:text/javascript,export default (x) => x - 1', 4],
  ])('names %s', (_, text, value) => {
    const arg = text.includes('path#') ? '5' : 5;
    const calls: Call[] = [['it', nameFunction(text, 'fn'), arg]];
    expect(callAll(calls)['it']?.value).toBe(value);
  });

  test('names a function relative to the working directory', () => {
    const cwd = process.cwd();
    try {
      process.chdir(fixtures);
      expect(nameFunction('./jobs.mjs#arrow', 'fn')).toEqual(
        nameFunction(`${url}#arrow`, 'fn'),
      );
    } finally {
      process.chdir(cwd);
    }
  });

  test('names an export of an installed package', () => {
    const cwd = process.cwd();
    const folder = join('node_modules', 'some-package');
    mkdirSync(join(path(), folder), { recursive: true });
    write(join(folder, 'index.js'), 'exports.f = (x) => x * x;');
    try {
      process.chdir(path());
      const ref = nameFunction('some-package#f', 'fn');
      expect(callAll([['f', ref, 5]])['f']?.value).toBe(25);
      expect(() => nameFunction('no-such-package#f', 'fn')).toThrow(
        expect.objectContaining(refusal('cannot be required from')),
      );
    } finally {
      process.chdir(cwd);
    }
  });

  test.each(['', '#f', './file.js#', './file.js#a..b', 'file://host/x.mjs'])(
    'that is malformed is a TypeError: %j',
    (text) => {
      expect(() => nameFunction(text, 'fn')).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_VALUE',
          message: expect.stringContaining('`fn`'),
        }),
      );
    },
  );

  test.each([['./no-such-file.mjs#f'], ['file:///no/such/file.mjs'], ['/']])(
    'that names no file is refused by the parent: %s',
    (text) => {
      expect(() => nameFunction(text, 'fn')).toThrow(
        expect.objectContaining(refusal('there is no file')),
      );
    },
  );

  test.each([
    ['tasks.js', 'tasks.ts'],
    ['view.js', 'view.tsx'],
    ['view.jsx', 'view.tsx'],
    ['tasks.mjs', 'tasks.mts'],
    ['tasks.cjs', 'tasks.cts'],
    ['both.js', 'both.js'],
  ])('that names %s means %s where only that exists', (name, file) => {
    write('both.ts', '');
    write(file, '');
    const url = pathToFileURL(join(path(), name)).href;
    const found = pathToFileURL(join(path(), file)).href;
    expect(nameFunction(`${url}#f`, 'fn')).toMatchObject({ url: found });
    const query = nameFunction(`${url}?version=1#f`, 'fn');
    expect(query).toMatchObject({ url: `${found}?version=1` });
  });

  test('that names a builtin is checked by the parent', () => {
    expect(() => nameFunction('node:zlib#nope', 'fn')).toThrow(
      expect.objectContaining(refusal('node:zlib exports no function nope')),
    );
    expect(() => nameFunction('node:nope#f', 'fn')).toThrow(
      expect.objectContaining(refusal('Node has no node:nope')),
    );
  });
});
