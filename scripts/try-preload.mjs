// Tries what well-known packages do when they are preloaded: docs/forking.md has
// the table that this prints.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from './build.mjs';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  run,
} from './command.mjs';

const usage = `
Usage: node scripts/try-preload.mjs [--scripts] [PACKAGE …]

Tries the packages that are named, or else a list of well-known ones. The script
installs them from npm into a temporary folder. It uses each package in a job of
the forkserver three times: without preload, with preload, and with preload after
a use before the fork. It prints a table in Markdown.

  --scripts  Runs the install scripts of the packages. Some download a binary.
`;
const { values, positionals } = commandLine(usage, {
  options: { scripts: { type: 'boolean', default: false } },
  allowPositionals: true,
});

// What uses each package, as the body of an async function. `it` is its namespace,
// with the exports of CommonJS in it.
const uses = {
  '@babel/core': `it.transformSync('let a = 1');`,
  '@napi-rs/canvas': `await it.createCanvas(8, 8).encode('png');`,
  '@node-rs/argon2': `await it.hash('password');`,
  '@parcel/watcher': `await it.writeSnapshot(folder, folder + '/snapshot');`,
  '@resvg/resvg-js': `
    new it.Resvg('<svg xmlns="http://www.w3.org/2000/svg"/>').render().asPng();`,
  '@swc/core': `
    it.transformSync('let a = 1');
    await it.transform('let a = 1');`,
  '@tailwindcss/node': `it.optimize('a { color: red }', { minify: true });`,
  bcrypt: `
    it.hashSync('password', 4);
    await it.hash('password', 4);`,
  'better-sqlite3': `new it.default(':memory:').exec('select 1');`,
  canvas: `it.createCanvas(8, 8).toBuffer();`,
  esbuild: `await it.transform('let a = 1');`,
  'esbuild, transformSync': `it.transformSync('let a = 1');`,
  eslint: `new it.Linter().verify('let a', {});`,
  jsdom: `new it.JSDOM('<p>text').window.document.querySelector('p');`,
  lightningcss: `
    const code = Buffer.from('a { color: red }');
    it.transform({ filename: 'a.css', code, minify: true });`,
  'onnxruntime-node': `
    // Its output is its input, one number.
    const model =
      'CAc6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCAhAN';
    const bytes = Buffer.from(model, 'base64');
    const session = await it.InferenceSession.create(bytes);
    await session.run({ x: new it.Tensor('float32', [1], [1]) });`,
  'oxc-parser': `
    it.parseSync('a.js', 'let a = 1');
    await it.parse('a.js', 'let a = 1');`,
  'playwright-core': `it.chromium.name();`,
  prettier: `await it.format('a', { parser: 'babel' });`,
  rollup: `
    const load = () => 'export default 1';
    const plugins = [{ resolveId: (id) => id, load }];
    await (await it.rollup({ input: 'a', plugins })).generate({});`,
  sharp: `
    const create = { width: 8, height: 8, channels: 3, background: 'red' };
    await it.default({ create }).png().toBuffer();`,
  terser: `await it.minify('let a = 1');`,
  'tree-sitter@0.21': `new it.default();`,
  'typescript@6': `it.transpileModule('let a: number', {});`,
  vite: `await it.resolveConfig({ configFile: false, root: folder }, 'build');`,
  webpack: `
    const output = { path: folder + '/dist' };
    const mode = 'development';
    const compiler = it.default({ mode, entry: folder + '/entry.js', output });
    await new Promise((resolve, reject) => {
      compiler.run((error) => (error ? reject(error) : resolve()));
    });`,
};
const attempts = ['job', 'preloaded', 'used'];

const all = Object.keys(uses);
const chosen = positionals.length > 0 ? positionals : all;
const unknown = chosen.filter((label) => !all.includes(label));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. Known: ${all.join('; ')}`);
  process.exit(2);
}

const temp = mkdtempSync(join(tmpdir(), 'try-preload-'));
const removeTemp = () => rmSync(temp, { recursive: true, force: true });
endWithCommands(removeTemp);
try {
  await build({ tests: false });
  await install([...new Set(chosen.map((label) => label.split(',')[0]))]);
  console.log(
    `Node ${process.version} on ${process.platform}-${process.arch}\n`,
  );
  console.log('| package | version | in the job | preloaded | used before |');
  console.log('| ------- | ------- | ---------- | --------- | ----------- |');
  for (const label of chosen) {
    const folder = write(label);
    const cells = [`\`${label.replace(/@\d.*/, '')}\``, versionOf(label)];
    for (const attempt of attempts) cells.push(await outcome(folder, attempt));
    console.log(`| ${cells.join(' | ')} |`);
  }
} finally {
  removeTemp();
}

function nameOf(label) {
  return label.replace(/,.*|(?<=.)@.*/, '');
}

async function install(names) {
  writeFileSync(join(temp, 'package.json'), '{ "private": true }');
  const options = ['--no-audit', '--no-fund', '--prefix', temp];
  if (!values.scripts) options.push('--ignore-scripts');
  await command('npm', ['install', ...options, ...names], { minutes: 20 });
}

function versionOf(label) {
  const file = join(temp, 'node_modules', nameOf(label), 'package.json');
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** Writes the modules that import and use a package. Returns their folder. */
function write(label) {
  const folder = join(temp, label.replaceAll(/\W/g, '-'));
  mkdirSync(folder);
  const files = {
    'entry.js': '',
    'use.mjs': `
      import * as namespace from '${nameOf(label)}';
      const it = { ...namespace.default, ...namespace };
      const folder = import.meta.url.slice('file://'.length, -'/use.mjs'.length);
      export async function use() {
        ${uses[label]}
      }`,
    'used.mjs': `
      import { use } from './use.mjs';
      await use();`,
    'attempt.mjs': `
      import { Jobserver } from '${pathToFileURL(join(root, 'dist', 'index.js'))}';
      const at = (name) => new URL(name, import.meta.url).href;
      const files = { job: [], preloaded: ['./use.mjs'], used: ['./used.mjs'] };
      const preload = files[process.argv[2]].map(at);
      const jobserver = new Jobserver({ context: 'forkserver', slots: 1, preload });
      const future = await jobserver.submit(at('./use.mjs#use'));
      try {
        await future.result({ timeout: 60_000 });
        console.log('yes');
      } catch (error) {
        const [line] = error.message.split('\\n');
        const has = /has (?:left (.*), which|registered (.*) that)/.exec(line);
        console.log('no: ' + (has?.[1] ?? has?.[2] ?? line));
        future.kill('SIGKILL');
      }
      process.exit();`,
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** What came of one attempt: 'yes', or 'no' and the reason. */
async function outcome(folder, attempt) {
  const args = [join(folder, 'attempt.mjs'), attempt];
  const options = { cwd: folder, timeoutMs: 120_000 };
  const { failure, output } = await run(process.execPath, args, options);
  return failure === undefined
    ? (output.stdout.trim().split('\n').at(-1) ?? '')
    : `no: ${failure}`;
}
