import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { submitOrphan } from '../fixtures/orphan-jobs.js';
import { hasEventLoop, testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { type Orphan, isOver, orphanOf } from '../helpers/orphan.js';
import { stateOf } from '../helpers/processes.js';
import { until } from '../helpers/until.js';

// Only Linux has orphan signals.
const hasOrphanSignal = process.platform === 'linux';

/** A job that its orphan signal does not end keeps its slot until it ends. */
export function orphanContract(context: Context): void {
  const folder = useFolder();
  const started = (): string => join(folder(), 'started');
  const openGate = (): void => writeFileSync(join(folder(), 'gate'), '');

  /** Starts the job; the returned function kills its submitter. */
  const start = async (
    js: Jobserver,
    name: 'handleSignal' | 'block',
  ): Promise<Orphan> => {
    const args = [name, started(), join(folder(), 'gate')] as const;
    const submitter = await js.submit(submitOrphan, [...args]);
    await until('the job to start', () => existsSync(started()));
    return orphanOf(submitter, started());
  };

  const expectEnd = async (js: Jobserver, pid: number): Promise<void> => {
    await until('the job to be over', () => isOver(context, pid));
    await until('its slot to be free', () => freeSlots(js) === 2);
  };

  // A job of the fork context inherits Jest's own process.on.
  testIf(hasOrphanSignal && hasEventLoop(context))(
    'a job that handles its orphan signal gives its slot back once, when it ends',
    async () => {
      const js = openJobserver({ context, slots: 2 });
      const { pid, killSubmitter } = await start(js, 'handleSignal');
      await killSubmitter();
      const signaled = `${started()}.signaled`;
      await until('the orphan signal', () => existsSync(signaled));
      // It would give the slot back in this time.
      await sleep(100);
      expect(freeSlots(js)).toBe(1);
      openGate();
      await expectEnd(js, pid);
    },
  );

  testIf(hasOrphanSignal)(
    'a job that is stopped gives its slot back once, when it continues and ends',
    async () => {
      const js = openJobserver({ context, slots: 2 });
      const { pid, killSubmitter } = await start(js, 'block');
      process.kill(pid, 'SIGSTOP');
      await until('the job to stop', () => stateOf(pid) === 'T');
      await killSubmitter();
      await sleep(100);
      expect([freeSlots(js), stateOf(pid)]).toEqual([1, 'T']);
      openGate();
      process.kill(pid, 'SIGCONT');
      await expectEnd(js, pid);
    },
  );

  test('a job that is killed after its submitter loses no slot', async () => {
    const js = openJobserver({ context, slots: 2 });
    const { pid, killSubmitter } = await start(js, 'block');
    process.kill(pid, 'SIGSTOP');
    await until('the job to stop', () => stateOf(pid) === 'T');
    await killSubmitter();
    process.kill(pid, 'SIGKILL');
    await expectEnd(js, pid);
  });
}
