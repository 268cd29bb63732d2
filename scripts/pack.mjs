// Makes the tarball that would be published.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { command } from './command.mjs';
import { prebuildThis } from './prebuild-this.mjs';
import { unfitTargets } from './prebuilds.mjs';

/**
 * Packs into `folder` and returns the path of the tarball. Takes the binaries
 * in prebuilds/, and builds that of this machine when it is missing or older
 * than its sources.
 */
export async function pack(folder) {
  await build({ native: false });
  const target = `${process.platform}-${process.arch}`;
  if (unfitTargets().includes(target)) await prebuildThis();
  // Without the prepack script, which requires the binaries of all platforms.
  const options = ['--silent', '--ignore-scripts', '--pack-destination'];
  await command('npm', ['pack', ...options, folder]);
  const packed = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
  if (packed.length !== 1) throw new Error(`${packed.length} tarballs`);
  return join(folder, packed[0]);
}
