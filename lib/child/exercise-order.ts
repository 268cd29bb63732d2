// The order of a job that does nothing, which a zygote runs in advance.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fingerprint } from '../functions/exports.js';
import { importModule } from '../functions/loaded-module.js';
import { memoryLimit } from '../memory/usage.js';
import { environmentOfJob, workingDirectory } from '../protocol/environment.js';
import { packHead } from '../protocol/order.js';
import { writeOrder } from '../protocol/order-file.js';
import { packSurroundings } from '../protocol/surroundings.js';
import { Token } from '../slots/token.js';
import { encode } from '../wire/value.js';

/** Returns its file. It names the function as a submitter does. */
export async function writeExercise(): Promise<number> {
  const url = pathToFileURL(
    join(__dirname, '..', 'child', 'exercise.mjs'),
  ).href;
  const { echo } = (await importModule(url)) as { echo: Function };
  const at = { line: 1, column: 0, isRewritten: false };
  const print = fingerprint(echo);
  const head = {
    fn: { kind: 'place', url, load: 'import', name: 'echo', print, ...at },
    mapping: 'none',
    name: 'echo',
    depth: 1,
    preexec: undefined,
    imports: [],
    hasClaims: false,
    slots: [1],
    context: 'forkserver',
    warmUp: undefined,
    orphanSignal: 0,
    memoryLimit: memoryLimit(),
  } as const;
  // Not a text, because a clone takes more code.
  const args = encode([3, { four: 4 }, 'five', undefined], 'args');
  const surroundings = packSurroundings({
    cwd: workingDirectory(),
    env: environmentOfJob(new Map()),
  });
  return writeOrder(Token.none(), [packHead(head), args, '', surroundings], {
    enclosureCount: 0,
    hasClaims: false,
  }).number;
}
