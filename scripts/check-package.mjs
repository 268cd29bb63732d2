// Packs the package and checks the tarball as its users get it.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  run,
  runSteps,
} from './command.mjs';
import { entries, linkedFiles, subpaths } from './link.mjs';
import { pack } from './pack.mjs';
import { unfitTargets } from './prebuilds.mjs';

const usage = `
Usage: node scripts/check-package.mjs [prepack | files | links | publint | attw …]

Packs the package and checks the tarball: that npm refuses to pack without the
binaries of all platforms, that exactly the right files are packed, that the
relative links in its Markdown files lead to packed files, and that publint and
attw find nothing.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });

const bin = join(root, 'node_modules', '.bin');
const temp = mkdtempSync(join(tmpdir(), 'check-package-'));
let tarball = '';

endWithCommands(removeTemp);
try {
  tarball = await pack(temp);
  const steps = { prepack, files, links, publint, attw };
  await runSteps(steps, positionals);
} finally {
  removeTemp();
}

// A package that lacks a platform cannot be published.
async function prepack() {
  const dry = ['pack', '--dry-run', '--silent'];
  const { failure, output } = await run('npm', dry, {
    cwd: root,
    timeoutMs: 120_000,
  });
  const hasAll = unfitTargets().length === 0;
  if (hasAll && failure !== undefined) throw new Error(output.all);
  if (!hasAll && !/prebuild:all/.test(output.all)) {
    throw new Error('npm packs without the binaries of all platforms');
  }
}

async function packedFiles() {
  const { stdout } = await command('tar', ['-tzf', tarball]);
  return stdout
    .split('\n')
    .filter((path) => path !== '' && !path.endsWith('/'))
    .map((path) => path.replace(/^package\//, ''));
}

// The tarball has the sources, what is compiled from them, the binaries and the
// documentation, and no other file.
async function files() {
  const packed = await packedFiles();
  const compiled = [
    ...[...entries, ...linkedFiles].map((name) => `dist/${name}`),
    ...below('lib')
      .filter((path) => subpaths.includes(path.split(/[./]/, 1)[0]))
      .map((path) => `dist/${path.replace(/ts$/, 'js')}`),
    // Of an .mts file, .mjs is packed. No program imports its types.
    ...below('lib').map((path) =>
      path.endsWith('.mts')
        ? `dist/${path.replace(/ts$/, 'js')}`
        : `dist/${path.replace(/ts$/, 'd.ts')}`,
    ),
  ];
  const required = [
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'UPGRADING.md',
    'package.json',
    'scripts/build-native.mjs',
    ...compiled,
    ...['docs', 'examples', 'native'].flatMap((folder) =>
      below(folder).map((path) => `${folder}/${path}`),
    ),
  ];
  const prebuilt = `prebuilds/${process.platform}-${process.arch}/`;
  const isPrebuild = /^prebuilds\/(README\.md|[^/]+\/[^/]+\.node)$/;

  const missing = required.filter((path) => !packed.includes(path));
  if (!packed.some((path) => path.startsWith(prebuilt))) missing.push(prebuilt);
  const surplus = packed.filter(
    (path) => !required.includes(path) && !isPrebuild.test(path),
  );
  if (missing.length > 0 || surplus.length > 0) {
    throw new Error(
      [
        ...missing.map((path) => `\n  missing in the tarball: ${path}`),
        ...surplus.map((path) => `\n  not wanted in the tarball: ${path}`),
      ].join(''),
    );
  }
}

// A relative link, or image, in a packed Markdown file leads to a packed file, and
// its fragment to a heading there.
async function links() {
  const packed = await packedFiles();
  const read = (path) => readFileSync(join(root, path), 'utf8');
  const broken = packed
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) =>
      linksIn(read(path))
        .filter((link) => !leadsToPacked(path, link))
        .map((link) => `\n  ${path}: ${link}`),
    );
  if (broken.length > 0) {
    throw new Error(`links to what is not in the tarball:${broken.join('')}`);
  }

  function leadsToPacked(path, link) {
    const [file, fragment] = link.split('#', 2);
    const target = file === '' ? path : normalize(join(dirname(path), file));
    const folder = target.endsWith('/') ? target : `${target}/`;
    const isFolder = packed.some((other) => other.startsWith(folder));
    if (!packed.includes(target)) return isFolder && fragment === undefined;
    if (fragment === undefined || !target.endsWith('.md')) return true;
    return anchorsIn(read(target)).includes(fragment);
  }
}

function linksIn(markdown) {
  const text = withoutCode(markdown);
  const inline = text.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g);
  const references = text.matchAll(/^\[[^\]]+\]:\s+<?([^\s>]+)/gm);
  const html = text.matchAll(/\b(?:href|src|srcset)="([^"\s]+)"/g);
  return [...inline, ...references, ...html]
    .map(([, link]) => link)
    .filter((link) => !/^[a-z]+:/i.test(link));
}

/** The anchors that GitHub and npm give to headings. */
function anchorsIn(markdown) {
  const headings = withoutCode(markdown).matchAll(/^#+\s+(.+?)\s*#*$/gm);
  const anchors = [...headings].map(([, heading]) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
  // A repeated heading gets a number.
  return anchors.map((anchor, i) => {
    const before = anchors.slice(0, i).filter((other) => other === anchor);
    return before.length === 0 ? anchor : `${anchor}-${before.length}`;
  });
}

function withoutCode(markdown) {
  return markdown.replace(/^(`{3,}|~{3,})[^]*?^\1\s*$/gm, '');
}

async function publint() {
  await command(join(bin, 'publint'), ['run', tarball, '--strict']);
}

// The strict profile checks every way to resolve the package. `import` and
// `require` both get CommonJS with one .d.ts.
async function attw() {
  const options = ['--profile', 'strict', '--format', 'ascii', '--no-emoji'];
  await command(join(bin, 'attw'), [tarball, ...options]);
}

function below(folder) {
  return readdirSync(join(root, folder), {
    recursive: true,
    withFileTypes: true,
  })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name).slice(join(root, folder).length + 1),
    );
}

function removeTemp() {
  rmSync(temp, { recursive: true, force: true });
}
