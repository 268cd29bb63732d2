import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { useFolder } from '../helpers/folder.js';
import { timeoutFactor, until } from '../helpers/until.js';

// vitest is not loaded here: it needs a process of its own. scripts/test-vitest.mjs names
// the packages of another version.
const ofVitest = process.env['TEST_VITEST_PACKAGES'] ?? resolve('node_modules');
const packages = [
  ...['vitest', 'vite', '@vitest'].map((name) => join(ofVitest, name)),
  ...['typescript', 'jsdom', 'happy-dom'].map((name) =>
    resolve('node_modules', name),
  ),
];

/** A copy of a project of test/fixtures/vitest for each test. */
export function useProject(name?: string): () => string {
  const folder = useFolder();
  beforeEach(() => {
    if (name !== undefined) {
      cpSync(resolve('test', 'fixtures', 'vitest', name), folder(), {
        recursive: true,
      });
    }
    const modules = join(folder(), 'node_modules');
    mkdirSync(modules);
    symlinkSync(resolve('.'), join(modules, 'jobserver'));
    for (const each of packages) {
      symlinkSync(each, join(modules, basename(each)));
    }
  });
  // A process that is left behind fails the test that has started it.
  afterEach(async () => {
    await until('the processes of vitest to end', () => {
      return processesOf(folder()).length === 0;
    });
  });
  return folder;
}

/** What is left of a test, or a file of tests, that vitest has run. */
export interface TestResult {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly unknown[];
  readonly meta: Readonly<Record<string, unknown>>;
}

export interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly TestResult[];
}

export interface Run {
  readonly output: string;
  readonly files: readonly FileResult[];
}

export interface RunOptions {
  /** Of the pool of this package. */
  readonly pool?: object | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Options of the node that runs vitest. */
  readonly execArgv?: readonly string[];
  /** What runs vitest, in the folder; by default its command. */
  readonly program?: string;
}

/** Runs vitest to its end, which is to have this exit code. */
export async function runVitest(
  folder: string,
  args: readonly string[] = [],
  options: RunOptions & { readonly code?: number } = {},
): Promise<Run> {
  const { code = 0 } = options;
  const report = join(folder, 'report.json');
  const reporters = [
    ...['--reporter=json', '--reporter=default', `--outputFile=${report}`],
    // The names of slow tests would be printed, and the machine may be slow.
    '--slowTestThreshold=1000000',
  ];
  const running = startVitest(folder, ['run', ...reporters, ...args], options);
  await running.ended;
  if (running.process.exitCode !== code) {
    const { exitCode, signalCode } = running.process;
    throw new Error(`${exitCode ?? signalCode}: ${running.output()}`);
  }
  const text = existsSync(report) ? readFileSync(report, 'utf8') : '{}';
  const { testResults = [] } = JSON.parse(text) as {
    testResults?: FileResult[];
  };
  return { output: running.output(), files: testResults };
}

export interface Running {
  readonly process: ChildProcess;
  /** What it has written. */
  output(): string;
  /** Rejects when it hangs. */
  readonly ended: Promise<void>;
}

// Only a hang takes so long.
const limitMs = 40_000 * timeoutFactor;

export function startVitest(
  folder: string,
  args: readonly string[],
  options: RunOptions = {},
): Running {
  const { pool, env, execArgv = [] } = options;
  const { program = join(folder, 'node_modules', 'vitest', 'vitest.mjs') } =
    options;
  const argv = [...execArgv, program, ...args, '--no-color'];
  const child = spawn(process.execPath, argv, {
    cwd: folder,
    // So that Ctrl-C can be sent to it and its children.
    detached: true,
    env: {
      ...process.env,
      NODE_ENV: undefined,
      FORCE_COLOR: '0',
      CI: '1',
      [mark]: folder,
      POOL_OPTIONS: JSON.stringify(pool ?? {}),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const timer = setTimeout(() => {
    output += '\n[the test has killed vitest, because it hangs]\n';
    process.kill(-child.pid!, 'SIGKILL');
  }, limitMs);
  const ended = once(child, 'close').then(() => {
    clearTimeout(timer);
  });
  return { process: child, output: () => output, ended };
}

const mark = 'JOBSERVER_VITEST_FOLDER';

/**
 * The processes that vitest has started in a folder, and itself, whose command lines
 * begin with `start` (Linux).
 */
export function processesOf(folder: string, start = ''): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const read = (name: string): string =>
          readFileSync(`/proc/${pid}/${name}`, 'utf8');
        return (
          read('environ').includes(`${mark}=${folder}\0`) &&
          read('cmdline').startsWith(start)
        );
      } catch {
        return false; // It has ended, or is not ours.
      }
    })
    .map(Number);
}

/** One line for each file and each test, in order. */
export function summary({ files }: Run): string[] {
  const lines = files.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.split('/').at(-1)!;
    const tests = assertionResults.map(
      (test) =>
        `${file}: ${test.fullName}: ${test.status} ` +
        test.failureMessages.map(firstLine).join(' | '),
    );
    return [`${file}: ${status} ${firstLine(message)}`, ...tests];
  });
  return lines.sort();
}

/** The lines of the output without what differs from run to run. */
export function comparable({ output }: Run): string[] {
  return (
    output
      .replace(/\d+(\.\d+)?m?s\b/g, 'TIME')
      .replace(/^( +Start at +)[\d:]+$/m, '$1TIME')
      // vitest 5 says how the time is divided, and what would take less.
      .replace(/^( +Duration +TIME) \(.*\)$/m, '$1')
      .replace(/^( +Duration .*\n)(\n| .*\n)+/m, '$1')
      .replace(/\[\d+\/\d+\]⎯/g, '⎯')
      .replace(/\(node:\d+\)/g, '(node:PID)')
      .replace(/(\/[\w.+-]+)+\/jobserver-\w{6}\b/g, 'FOLDER')
      // Where files are spawned, vitest's own pool has no such warning.
      .replace(/^.*JOBSERVER_VITEST_SPAWN.*\n.*--trace-warnings.*$/m, '')
      .split('\n')
      .filter((line) => line.trim() !== '' && !/^ +(❯|at) /.test(line))
      .sort()
  );
}

/** The `meta` of all tests that have some. */
export function metas({ files }: Run): Readonly<Record<string, unknown>>[] {
  return files
    .flatMap(({ assertionResults }) => assertionResults)
    .map(({ meta }) => meta)
    .filter((meta) => Object.keys(meta).length > 0);
}

function firstLine(text: unknown): string {
  return String(text).split('\n', 1)[0]!;
}
