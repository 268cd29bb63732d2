// The spawn context: a new node for each job, which finds its descriptors at fixed
// numbers.
import { constants, existsSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { inheritedStdio } from '../output/plan.js';
import { inheritedFds } from '../protocol/fds.js';
import { workingDirectory } from '../protocol/environment.js';
import { writeOrder } from '../protocol/order-file.js';
import type { Surroundings } from '../protocol/surroundings.js';
import { check, errno, native } from '../system/binding.js';
import { openFile } from '../system/fd.js';
import { checkReadable } from '../system/readable.js';
import { ChildWorker } from './child-worker.js';
import type { Launcher } from './launcher.js';
import { groupGraceOf } from './process-group.js';

const entry = join(__dirname, '..', 'child', 'spawned.js');

export const spawnLauncher: Launcher = {
  launch(order, resultWriter, token, stdio = inheritedStdio) {
    checkReadable(entry);
    const enclosures = order.enclosures?.send() ?? [];
    const { packed } = order.preparation.preload;
    const parts = [...order.body, noSurroundings, packed];
    const file = writeOrder(token, parts, {
      enclosureCount: enclosures.length,
      hasClaims: order.claimsFile !== undefined,
    });
    try {
      // In the order of `spawnedFds`.
      const inherited = inheritedFds(order, token.lenders, enclosures);
      const { stdout, stderr } = stdio;
      const fds = [stdout, stderr, file.number, resultWriter, ...inherited];
      const argv = [...order.execArgv, entry];
      const pid = startNode(argv, order, fds, {
        input: stdio.input,
        leadsGroup: order.processGroup,
      });
      native.endWithThread(pid, order.orphanSignal);
      return new ChildWorker(pid, groupGraceOf(order));
    } finally {
      file.close();
    }
  },
};

// The node is started with the environment and the directory of the job.
const noSurroundings = '';

// The worker requests the signal itself; see followSubmitter in child/worker.
const noDeathSignal = 0;

const isLinux = process.platform === 'linux';

/**
 * Starts a node whose fds from 1 on are `fds`, and returns its pid. `input`: its
 * standard input, by default the null device. `leadsGroup`: it leads a new process
 * group.
 */
export function startNode(
  argv: readonly string[],
  { env, cwd }: Surroundings,
  fds: readonly number[],
  {
    input,
    leadsGroup = false,
  }: { input?: number | undefined; leadsGroup?: boolean } = {},
): number {
  const sink =
    input === undefined ? openFile(devNull, constants.O_RDONLY) : undefined;
  try {
    const stdin = input ?? sink!.number;
    const pairs = [stdin, ...fds].flatMap((fd, target) => [fd, target]);
    const { execPath } = process;
    // A process need not be able to enter the directory that it is in.
    const directory = cwd === workingDirectory() ? '' : cwd;
    const table = Int32Array.of(noDeathSignal, ...pairs);
    const all = [execPath, ...argv];
    const verb = leadsGroup ? 'spawnGroup' : 'spawn';
    const start = (file: string): number =>
      native[verb](file, all, env, directory, table);
    let result = start(execPath);
    // An upgrade may remove the program that runs.
    if (result === -errno.ENOENT && isLinux) result = start('/proc/self/exe');
    const isMissing = directory !== '' && !existsSync(directory);
    return check(
      result,
      isMissing ? `enter ${directory}` : `spawn ${execPath}`,
    );
  } finally {
    sink?.close();
  }
}
