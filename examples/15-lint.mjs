// lint.mjs lints a folder with ESLint, in processes that have it loaded. This program
// checks what it prints, its exit codes, and that Ctrl-C ends it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('lint.mjs', import.meta.url));

function start(folder) {
  const stdio = ['ignore', 'pipe', 'inherit'];
  return spawn(process.execPath, [program, folder], { stdio });
}

async function lint(folder) {
  const child = start(folder);
  const exited = once(child, 'exit');
  const output = await text(child.stdout);
  const [code] = await exited;
  return { code, output };
}

async function interrupt(folder) {
  const child = start(folder);
  const exited = once(child, 'exit');
  await once(child.stdout, 'data'); // Its first line.
  child.kill('SIGINT');
  child.stdout.resume();
  const [code] = await exited;
  return code;
}

const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
try {
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(folder, `${i}.mjs`), `export const n = ${i};\n`);
  }
  const clean = await lint(folder);
  assert.equal(clean.code, 0);
  assert.match(clean.output, /^20 files, 0 messages$/m);

  writeFileSync(join(folder, 'bad.mjs'), 'const a = 1;\na = 2;\n');
  const bad = await lint(folder);
  assert.equal(bad.code, 1);
  assert.match(bad.output, /bad\.mjs:2:1: 'a' is constant\.$/m);

  assert.equal(await interrupt(folder), 130);
} finally {
  rmSync(folder, { recursive: true });
}
console.log('ESLint found the mistake, and Ctrl-C ended the program.');
