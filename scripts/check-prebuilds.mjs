// Checks that the binaries in prebuilds/ can be loaded on every platform that is
// supported, by the symbols that they import and export.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { commandLine, root } from './command.mjs';
import { verifySignature } from './macho-signature.mjs';
import { isFresh, prebuild, targets } from './prebuilds.mjs';

const usage = `
Usage: node scripts/check-prebuilds.mjs

Fails when a binary in prebuilds/ is missing, is older than its sources, or
could not be loaded with glibc 2.17, with musl, or on macOS 11. Needs the Debian
packages llvm-19 and musl.
`;
commandLine(usage);

const musl = '/lib/ld-musl-x86_64.so.1';

const exported = [
  'napi_register_module_v1',
  'node_api_module_get_api_version_v1',
];
// Never newer than Node 20 itself needs, and older where that is possible.
const newest = { GLIBC: '2.17', GLIBCXX: '3.4.21', CXXABI: '1.3.9' };
const ofNode = /^(napi|uv)_\w+$/;
const ofLinker =
  /^(_ITM_(de)?registerTMCloneTable|__gmon_start__|__cxa_finalize)$/;

for (const target of targets) {
  const faults = check(target);
  for (const fault of faults) console.log(`  ${target}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}

function check(target) {
  const file = prebuild(target);
  if (!existsSync(file)) return ['does not exist'];
  console.log(`${target}: ${statSync(file).size} bytes`);
  const faults = target.startsWith('linux') ? checkElf(file) : checkMacho(file);
  if (!isFresh(file)) faults.push('is older than its sources');
  return faults;
}

function checkElf(file) {
  const faults = [];
  const headers = llvm('objdump', '-p', file);
  for (const [, library] of headers.matchAll(/NEEDED\s+(\S+)/g)) {
    if (!['libc.so.6', 'libstdc++.so.6'].includes(library)) {
      faults.push(`needs the library ${library}`);
    }
  }
  const ofMusl = new Set(names('--defined-only', musl));
  for (const symbol of names('--undefined-only', file)) {
    const [name, version] = symbol.split('@');
    if (ofNode.test(name) || ofLinker.test(name)) continue;
    const [family, number] = (version ?? '').split('_');
    if (!(family in newest)) {
      faults.push(`imports ${symbol} from an unknown library`);
    } else if (isNewer(number, newest[family])) {
      faults.push(`imports ${symbol}, which is newer than ${newest[family]}`);
    }
    if (family === 'GLIBC' && !ofMusl.has(name)) {
      faults.push(`imports ${name}, which musl lacks`);
    }
  }
  return [...faults, ...checkExports(names('--defined-only', file))];
}

function names(kind, file) {
  return llvm('nm', '-D', '--format=just-symbols', kind, file)
    .split('\n')
    .filter(Boolean);
}

function checkMacho(file) {
  const faults = verifySignature(readFileSync(file));
  for (const line of llvm('nm', '-m', '-u', file).split('\n')) {
    const [, name, from] = /external _(\S+) \((.+)\)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const isNodes = from === 'dynamically looked up' && ofNode.test(name);
    if (!isNodes && !/^from lib(System|c\+\+)$/.test(from)) {
      faults.push(`imports ${name} (${from})`);
    }
  }
  const defined = llvm(
    'nm',
    '-g',
    '--defined-only',
    '--format=just-symbols',
    file,
  );
  return [
    ...faults,
    ...checkExports(
      defined
        .split('\n')
        .filter((name) => name !== '' && !name.startsWith('__mh_'))
        .map((name) => name.slice(1)),
    ),
  ];
}

function checkExports(found) {
  return found.sort().join() === exported.join() ? [] : [`exports ${found}`];
}

/** Compares numbers such as 2.17. */
function isNewer(version, limit) {
  const order = version.localeCompare(limit, 'en', { numeric: true });
  return order > 0;
}

function llvm(tool, ...args) {
  const { status, error, stdout, stderr } = spawnSync(`llvm-${tool}-19`, args, {
    cwd: root,
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  throw new Error(`llvm-${tool}-19: ${error?.message ?? stderr}`);
}
