// Requests for jobs whose submitter ends before the forkserver has taken them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPid } from '../fixtures/forkserver-jobs.js';
import * as jobs from '../fixtures/request-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, freeSlots, openJobserver } from '../helpers/jobserver.js';
import { descendantsOf, isAlive, stateOf } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

const folder = useFolder();
checkSlots();
jest.setTimeout(60_000 * timeoutFactor);

/** Stops the zygote and its children, but for some; then it forks no more. */
async function stop(zygote: number, others: number[]): Promise<number[]> {
  process.kill(zygote, 'SIGSTOP');
  await until('the zygote to stop', () => stateOf(zygote) === 'T');
  const spares = descendantsOf(zygote).filter((pid) => !others.includes(pid));
  for (const pid of spares) process.kill(pid, 'SIGSTOP');
  return [zygote, ...spares];
}

test.each<jobs.Request>(['plain', 'port', 'buffer', 'reused', 'borrowed'])(
  'a request (%s) gives its slot back',
  async (kind) => {
    const js = openJobserver({ slots: 3, context: 'forkserver' });
    const zygote = await js.run(parentPid);
    const future =
      kind === 'borrowed'
        ? await js.submit(jobs.requestDeeper, [folder()])
        : await js.submit(jobs.request, [folder(), kind]);
    const file = join(folder(), 'pids');
    const submitters = (): number[] =>
      existsSync(file)
        ? readFileSync(file, 'utf8').split('\n').slice(0, -1).map(Number)
        : [];
    const count = kind === 'borrowed' ? 2 : 1;
    await until('the submitters', () => submitters().length === count);
    const stopped = await stop(zygote, submitters());
    try {
      writeFileSync(join(folder(), 'gate'), '');
      const sent = join(folder(), 'sent');
      await until('the request', () => existsSync(sent));
      // It holds a slot, but for one that was borrowed.
      expect(freeSlots(js)).toBe(1);
      for (const pid of submitters()) {
        process.kill(pid, 'SIGKILL');
        await until('its end', () => !isAlive(pid));
      }
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
    expect(await rejection(future.result())).toMatchObject({
      signal: 'SIGKILL',
    });
    await until('all slots', () => freeSlots(js) === 3);
  },
);
