// Runs the tests against a build of the addon with sanitizers. TSan and LSan run a
// program instead, because jest itself leaks memory and has data races.
import { rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { endWithCommands, jestCommandLine, root, run } from './command.mjs';
import { nodeBin } from './npm-package.mjs';
import { buildInStage, makeStage } from './stage.mjs';

const usage = `
Usage: node scripts/sanitize.mjs [address | leak | thread] [argument …]

Builds the addon with a sanitizer and runs it.

  address  The tests, with ASan and UBSan; the arguments are those of jest. This
           is the default.
  leak     Many jobs of all kinds, with LSan.
  thread   Many jobs of all kinds, with TSan.

Needs the sanitizer libraries that come with g++.
`;
const soak = ['test/soak/soak.mjs', '60', '20'];
const kinds = {
  address: {
    flag: 'address,undefined',
    library: 'libasan.so',
    env: {
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
    program: ['scripts/test.mjs', '--no-build'],
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
    // TSan has been tried with no other.
    nodeVersion: '26',
  },
};

const { rest } = jestCommandLine(usage);
const [kind = 'address', ...args] = rest;
if (!Object.hasOwn(kinds, kind)) {
  console.error(`No such sanitizer: ${kind}\n${usage}`);
  process.exit(2);
}
const { flag, library, env, program, nodeVersion } = kinds[kind];
const stage = makeStage('sanitize-');
const removeStage = () => rmSync(stage, { recursive: true, force: true });

endWithCommands(removeStage);
try {
  await build({ tests: true });
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
      // Sanitizers make programs several times slower.
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
