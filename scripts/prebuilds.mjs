// The prebuilt binaries: where they are, and which are missing or older than
// their sources. As a program, it fails when there is such a one: npm runs it
// before it packs the package.
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

/** Whether the binary is newer than all sources. */
export function isFresh(binary) {
  const { mtimeMs } = statSync(binary);
  const native = join(root, 'native');
  return readdirSync(native, { recursive: true }).every(
    (name) => statSync(join(native, name)).mtimeMs <= mtimeMs,
  );
}

/** The targets whose binary is missing or older than its sources. */
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
