// Where the prebuilt binaries are, and whether they are all there: run as a
// program, before a pack, it fails when one is missing or out of date.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), '..');

export const targets = [
  'linux-x64',
  'linux-arm64',
  'darwin-x64',
  'darwin-arm64',
];

export function prebuild(target) {
  return join(root, 'prebuilds', target, 'jobserver.node');
}

/** Whether no source is newer. */
export function isFresh(binary) {
  const { mtimeMs } = statSync(binary);
  const native = join(root, 'native');
  return readdirSync(native, { recursive: true }).every(
    (name) => statSync(join(native, name)).mtimeMs <= mtimeMs,
  );
}

/** Those whose binary is missing or older than its sources. */
export function unfitTargets() {
  return targets.filter((target) => {
    const binary = prebuild(target);
    return !existsSync(binary) || !isFresh(binary);
  });
}

if (argv[1] === script) {
  const unfit = unfitTargets();
  if (unfit.length > 0) {
    console.error(
      'No prebuilt binary, or one older than its sources, for ' +
        `${unfit.join(', ')}. Run: npm run prebuild:all`,
    );
    process.exitCode = 1;
  }
}
