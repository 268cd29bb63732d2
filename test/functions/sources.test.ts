import {
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  changesOfModules,
  followFunctions,
  versionOf,
} from '../../dist/functions/sources.js';
import { useFolder } from '../helpers/folder.js';
import { until } from '../helpers/until.js';

const folder = useFolder();
const at = (name: string): string => join(folder(), name);
const write = (name: string, text: string): string => {
  mkdirSync(dirname(at(name)), { recursive: true });
  writeFileSync(at(name), text);
  return pathToFileURL(at(name)).href;
};
const follow = (url: string): void => {
  followFunctions([{ kind: 'export', url, load: 'import', path: ['f'] }]);
};
/** Whether the change is noticed. */
const countsChange = async (change: () => void): Promise<void> => {
  const before = changesOfModules();
  change();
  await until('the change to count', () => changesOfModules() > before);
};

test('a change of any file that the text names counts', async () => {
  const files = {
    'a.mjs': `import x, { y } from './b.mjs'; export * from "./c/d.mjs";`,
    'b.mjs': `await import('./e.mjs?query'); import './typed.js'`,
    'c/d.mjs': `import '../f.cjs'; import nothing from './missing.mjs';`,
    'e.mjs': `import './a.mjs';`,
    'typed.ts': '',
    'f.cjs': `require('./g'); require('node:fs'); require('./h.json')`,
    'g/index.js': `const { z } = require(
      'linked')`,
    'h.json': '{}',
    'packages/linked/index.js': '',
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  mkdirSync(at('node_modules'));
  symlinkSync(at('packages/linked'), at('node_modules/linked'));
  follow(pathToFileURL(at('a.mjs')).href);
  for (const [name, text] of Object.entries(files)) {
    await countsChange(() => write(name, `${text} `));
  }
});

test('the files of packages and of the library are not followed', async () => {
  write('node_modules/dep/index.js', `require('./inner.js')`);
  write('node_modules/dep/inner.js', '');
  const own = join(__dirname, '../../dist/index.js');
  const url = write('a.cjs', `require('dep'); require(${JSON.stringify(own)})`);
  follow(url);
  await countsChange(() => write('a.cjs', '// none'));
  const before = changesOfModules();
  write('node_modules/dep/inner.js', '// changed');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(changesOfModules()).toBe(before);
  await countsChange(() => write('node_modules/dep/index.js', '// changed'));
});

test('a file that is replaced, removed or made counts as changed', async () => {
  const url = write('a.mjs', 'one');
  follow(url);
  await countsChange(() => {
    utimesSync(at('a.mjs'), 1, 1);
  });
  await countsChange(() => {
    rmSync(at('a.mjs'));
  });
  await countsChange(() => write('a.mjs', 'two'));
});

test('what a file imports after a change counts too', async () => {
  const url = write('a.mjs', '');
  write('b.mjs', '');
  follow(url);
  await countsChange(() => write('a.mjs', `import './b.mjs'`));
  await countsChange(() => write('b.mjs', '// changed'));
});

test('the version differs where a file of these modules differs', async () => {
  const urls = [write('a.mjs', `import './b.mjs'`), 'node:fs', 'data:,1'];
  write('b.mjs', '');
  const other = [write('other.mjs', '')];
  const [first, theirs] = [versionOf(urls), versionOf(other)];
  expect([versionOf([...urls]), versionOf([])]).toEqual([first, '']);
  await countsChange(() => write('b.mjs', '// changed'));
  expect(versionOf(urls)).not.toBe(first);
  expect(versionOf(other)).toBe(theirs);
});
