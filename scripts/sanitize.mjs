// Runs the tests against a build of the addon with sanitizers:
//   node scripts/sanitize.mjs [address | thread | leak] [jest argument …]
// address is ASan with UBSan, which is the default, under jest; thread (TSan)
// and leak (LSan) run a program of many jobs of all kinds, since jest itself
// leaks and races. Needs the libraries that come with g++.
import { rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { endWithCommands, root, run } from './command.mjs';
import { nodeBin } from './npm-package.mjs';
import { buildInStage, makeStage } from './stage.mjs';

const soak = ['test/soak/soak.mjs', '60', '20'];
const kinds = {
  address: {
    flag: 'address,undefined',
    library: 'libasan.so',
    env: {
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
    program: ['scripts/test.mjs'],
  },
  leak: {
    flag: 'address',
    library: 'libasan.so',
    env: {
      ASAN_OPTIONS: 'detect_leaks=1:quarantine_size_mb=1',
      LSAN_OPTIONS: 'suppressions=test/native/leaks.supp',
    },
    program: soak,
  },
  thread: {
    flag: 'thread',
    library: 'libtsan.so',
    env: {
      TSAN_OPTIONS:
        'ignore_noninstrumented_modules=1:exitcode=66:die_after_fork=0',
    },
    program: soak,
    // Older ones move their code to large pages, of which TSan knows nothing.
    nodeVersion: '26',
  },
};

const [kind = 'address', ...args] = process.argv.slice(2);
const { flag, library, env, program, nodeVersion } = kinds[kind];
const stage = makeStage('sanitize-');
const removeStage = () => rmSync(stage, { recursive: true, force: true });

endWithCommands(removeStage);
try {
  const place = await buildInStage(stage, `-fsanitize=${flag}`);
  const { stdout } = spawnSync('g++', [`-print-file-name=${library}`], {
    encoding: 'utf8',
  });
  const node =
    nodeVersion === undefined
      ? process.execPath
      : join(await nodeBin(nodeVersion), 'node');
  const { failure } = await run(node, [...program, ...args], {
    cwd: root,
    env: {
      ...process.env,
      ...env,
      LD_PRELOAD: stdout.trim(),
      ...place,
      // Ten times slower is what a sanitizer is allowed to be.
      TEST_TIMEOUT_FACTOR: '10',
    },
    timeoutMs: 3 * 3_600_000,
    inherit: true,
  });
  console.log(`${kind}: ${failure ?? 'ok'}`);
  if (failure !== undefined) process.exitCode = 1;
} finally {
  removeStage();
}
