import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const root = join(__dirname, '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const { scripts } = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
};
const names = Object.keys(scripts);
// npm runs this one itself, before it packs.
const lifecycle = ['prepack'];
const pages = ['.', 'docs', 'examples', 'prebuilds'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
const workflows = readdirSync(join(root, '.github', 'workflows')).map((name) =>
  join('.github', 'workflows', name),
);

test('there are at most 18 npm scripts', () => {
  expect(names.length).toBeLessThanOrEqual(18);
});

test('no npm script runs before or after another', () => {
  const hooks = names.filter((name) =>
    names.some((other) => name === `pre${other}` || name === `post${other}`),
  );
  expect(hooks).toEqual([]);
});

test('CONTRIBUTING.md has one line for each npm script', () => {
  const lines = read('CONTRIBUTING.md').split('\n');
  const counts = names.map((name) => {
    const command = lifecycle.includes(name) ? name : commandOf(name);
    const row = lines.filter((line) => line.startsWith(`| \`${command}\` `));
    return [name, row.length];
  });
  expect(counts).toEqual(names.map((name) => [name, 1]));
});

test('the npm scripts that documentation and CI name exist', () => {
  const named = [...pages, ...workflows, '.ci/run'].flatMap((path) =>
    [...read(path).matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)].map(
      ([, name]) => ({
        path,
        name: name!,
      }),
    ),
  );
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter(({ name }) => !names.includes(name))).toEqual([]);
});

test('the scripts that npm, documentation and CI name exist', () => {
  const places = [...pages, ...workflows, '.ci/run', 'package.json'];
  const named = places.flatMap((path) =>
    [...read(path).matchAll(/\b(?:scripts|bench|test)\/[\w/-]+\.mjs\b/g)].map(
      ([script]) => ({ path, script }),
    ),
  );
  expect(named.length).toBeGreaterThan(0);
  const missing = named.filter(({ script }) => !existsSync(join(root, script)));
  expect(missing).toEqual([]);
});

function commandOf(name: string): string {
  return name === 'test' ? 'npm test' : `npm run ${name}`;
}
