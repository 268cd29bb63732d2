import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runNode } from '../helpers/program.js';

const index = JSON.stringify(resolve('dist', 'index.js'));

test('the error for a missing binary has the reason', async () => {
  const { code, stderr } = await runNode([
    '--no-addons',
    '-e',
    `require(${index})`,
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain('ERR_JOBSERVER_NO_BINARY');
  expect(stderr).toMatch(
    /No binary of jobserver for .* can be loaded \(.*disabled/,
  );
  expect(stderr).toMatch(/ Run node without --no-addons$/m);
});

test('the error for a missing binary in an asar archive says to unpack it', async () => {
  const temp = mkdtempSync(join(tmpdir(), 'asar-'));
  try {
    const modules = join(temp, 'app.asar', 'node_modules');
    const copy = (from: string, to: string): void =>
      cpSync(from, join(modules, to), { recursive: true });
    copy('dist', 'jobserver/dist');
    copy('node_modules/node-gyp-build', 'node-gyp-build');
    const { stderr } = await runNode([join(modules, 'jobserver', 'dist')]);
    expect(stderr).toContain('ERR_JOBSERVER_NO_BINARY');
    expect(stderr).toMatch(/^Error: .*`asarUnpack`$/m);
  } finally {
    rmSync(temp, { recursive: true });
  }
});
