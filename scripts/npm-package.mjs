// Brings a package from npm that only a script needs, such as another Node, to
// a folder of its own: in node_modules it would be in everybody's way.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './command.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(root, 'node_modules', '.cache', 'jobserver');
const limitMs = 10 * 60_000;

/** The folder of the package, installed there unless it is already. */
export async function npmPackage(name, version) {
  const prefix = join(cache, `${name.replace('/', '+')}@${version}`);
  const folder = join(prefix, 'node_modules', name);
  if (existsSync(folder)) return folder;
  // By force, because some are for another machine.
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  options.push('--force');
  const { failure, output } = await run(
    'npm',
    ['install', ...options, '--prefix', prefix, `${name}@${version}`],
    { timeoutMs: limitMs },
  );
  if (failure === undefined) return folder;
  throw new Error(`${name}@${version}: ${failure}\n${output.all}`);
}

/** The bin/ of the newest Node of a major version, for this machine. */
export async function nodeBin(version) {
  const name = `node-${process.platform}-${process.arch}`;
  return join(await npmPackage(name, version), 'bin');
}
