// A copy of what a build of the addon needs, so that the build of this machine
// in build/ stays what it is.
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './command.mjs';

/** The new folder; the caller removes it. */
export function makeStage(prefix) {
  const stage = mkdtempSync(join(tmpdir(), prefix));
  for (const entry of ['native', 'binding.gyp', 'package.json']) {
    cpSync(join(root, entry), join(stage, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
  return stage;
}
