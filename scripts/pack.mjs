// Makes the tarball that would be published.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command } from './command.mjs';
import { unfitTargets } from './prebuilds.mjs';

/**
 * Packs into `folder` and gives the tarball's path. The binaries are those of
 * prebuilds/; that of this machine is made when it is missing or out of date.
 */
export async function pack(folder) {
  await command('npm', ['run', '-s', 'build:lib'], { minutes: 5 });
  const target = `${process.platform}-${process.arch}`;
  if (unfitTargets().includes(target)) {
    await command('npm', ['run', '-s', 'prebuild:this'], { minutes: 5 });
  }
  // Without the check that all platforms are there.
  const options = ['--silent', '--ignore-scripts', '--pack-destination'];
  await command('npm', ['pack', ...options, folder]);
  const packed = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  if (packed.length !== 1) throw new Error(`${packed.length} tarballs`);
  return join(folder, packed[0]);
}
