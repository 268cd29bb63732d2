import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { Blocked, type Jobserver, LostResult } from '../../dist/index.js';
import {
  type Chain,
  type Form,
  blockingForms,
  branch,
  chain,
  descend,
  descendAtOnce,
  fillOwnPool,
  holdTwo,
  leafAfterChain,
  mapInOwnSlot,
  submitOne,
  submitOneSync,
  twoBranches,
  waitingForms,
} from '../fixtures/lending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { hasEventLoop, isWhole, testIf } from '../helpers/context.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { runNode } from '../helpers/program.js';
import { until } from '../helpers/until.js';

const programs = join(__dirname, '..', 'fixtures', 'lending-programs.js');

/** How many leaves of a log ran at once. */
function mostAtOnce(log: string): number {
  let running = 0;
  let most = 0;
  for (const mark of readFileSync(log, 'utf8')) {
    running += mark === '+' ? 1 : -1;
    most = Math.max(most, running);
  }
  return most;
}

/** A job that waits for its own jobs lends its slot to one of them. */
export function lendingContract(context: Context): void {
  const isAsync = hasEventLoop(context);
  // One that blocks and one that waits, where another context shows all.
  const some = isWhole(context) ? Infinity : 1;
  const forms: readonly Form[] = [
    ...blockingForms.slice(0, some),
    ...(isAsync ? waitingForms.slice(0, some) : []),
  ];
  const submit = (isAsync ? submitOne : submitOneSync) as typeof submitOne;
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  let folder: string;
  let log: string;
  let links: Chain;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
    log = join(folder, 'log');
    const pids = join(folder, 'pids');
    mkdirSync(pids);
    const gate = join(folder, 'gate');
    links = { pids, gate, orphanSignal: null, then: 'wait' };
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const pidAt = (depth: number): number =>
    Number(readFileSync(join(links.pids, String(depth)), 'utf8'));
  const start = async (depth: number): Promise<void> => {
    const file = join(links.pids, String(depth));
    await until('the job to start', () => existsSync(file) && pidAt(depth) > 0);
  };

  test.each(forms)(
    'as many jobs as slots can each wait for jobs of their own (%s)',
    async (form) => {
      const js = open(2);
      const branches = [1, 2].map(() => js.run(branch, form, log));
      expect(await Promise.all(branches)).toEqual([
        [1, 1, 1],
        [1, 1, 1],
      ]);
      expect(mostAtOnce(log)).toBeLessThanOrEqual(2);
      expect([freeSlots(js), js.running]).toEqual([2, 0]);
    },
  );

  test.each(forms)(
    'a recursion may be deeper than the slots (%s)',
    async (form) => {
      const js = open(1);
      expect(await js.run(descend, { form, depth: 5 })).toBe(5);
      expect([freeSlots(js), js.running]).toEqual([1, 0]);
    },
  );

  test('a job lends its slot through a handle that it received', async () => {
    const js = open(1);
    const [form] = forms;
    expect(await js.run(branch, form!, log, js)).toEqual([1, 1, 1]);
  });

  testIf(isAsync)('all handles in a job lend one slot', async () => {
    const js = open(1);
    await js.run(twoBranches, 'executor', log);
    await js.run(twoBranches, 'map', log);
    expect(mostAtOnce(log)).toBe(1);
  });

  test('a job does not lend its slot to jobs of another pool', async () => {
    const outcome = open(1).run(fillOwnPool, links.gate);
    await expect(outcome).rejects.toThrow(Blocked);
  });

  test.each([{ timeout: 0 }, { timeout: 200, consume: 1 as const }])(
    'a job does not lend its slot to a submit with %p',
    async (options) => {
      const js = open(1);
      await expect(js.run(submit, options)).rejects.toThrow(Blocked);
      await expect(js.run(submitOneSync, options)).rejects.toThrow(Blocked);
    },
  );

  test("consume: 'own' takes the slot of the job at once", async () => {
    const js = open(1);
    expect(await js.run(descendAtOnce, 5)).toBe(5);
    expect(await js.run(mapInOwnSlot, log)).toEqual([1, 1, 1]);
    expect(mostAtOnce(log)).toBe(1);
  });

  test("consume: 'own' takes another slot while that of the job is lent", async () => {
    const js = open(3);
    const held = await js.submit(holdTwo, [links.gate]);
    await until('two slots to be taken', () => freeSlots(js) === 1);
    // The one that is left is not taken either.
    await new Promise((wake) => setTimeout(wake, 100));
    expect(freeSlots(js)).toBe(1);
    writeFileSync(links.gate, '');
    await held.result();
    expect(freeSlots(js)).toBe(3);
  });

  test("outside of a job, consume: 'own' takes a slot", async () => {
    const js = open(1);
    const own = { consume: 'own' } as const;
    const held = await js.submit(waitAt, [links.gate], own);
    const other = js.submit(waitAt, [links.gate], { ...own, timeout: 0 });
    await expect(other).rejects.toThrow(Blocked);
    writeFileSync(links.gate, '');
    await held.result();
  });

  test('a job without a slot has none to lend', async () => {
    const js = open(1);
    const held = await js.submit(chain, [0, links]);
    const options = { timeout: 200 };
    const outer = await js.submit(submit, [options], { consume: 0 });
    await expect(outer.result()).rejects.toThrow(Blocked);
    writeFileSync(links.gate, '');
    expect(await held.result()).toBe('seen');
  });

  test('the slot of a killed lender stays taken until its borrower ends', async () => {
    const js = open(1);
    const lender = await js.submit(chain, [1, links]);
    await start(0);
    lender.kill('SIGKILL');
    await expect(lender.result({ timeout: 5000 })).rejects.toThrow(LostResult);
    expect([freeSlots(js), js.running]).toEqual([0, 1]);
    const drained = js.close();
    writeFileSync(links.gate, '');
    await drained;
    expect(js.running).toBe(0);
    await until('the borrower to end', () => !isAlive(pidAt(0)));
  });

  test('the slot of two killed lenders stays taken until the last borrower ends', async () => {
    const js = open(1);
    const lender = await js.submit(chain, [3, links]);
    await start(0);
    for (const depth of [1, 2, 3]) process.kill(pidAt(depth), 'SIGKILL');
    await expect(lender.result({ timeout: 5000 })).rejects.toThrow(LostResult);
    expect(freeSlots(js)).toBe(0);
    writeFileSync(links.gate, '');
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('a lender whose borrower is killed lends only when all borrowers have ended', async () => {
    const js = open(1);
    const lender = await js.submit(leafAfterChain, [log, links]);
    await start(0);
    process.kill(pidAt(1), 'SIGKILL');
    const lost = join(links.pids, 'lost');
    await until('the borrower to be lost', () => existsSync(lost));
    expect(await lender.wait({ timeout: 200 })).toBe(false);
    expect(existsSync(log)).toBe(false);
    writeFileSync(links.gate, '');
    expect(await lender.result()).toBe('ran');
    expect(freeSlots(js)).toBe(1);
  });

  // Elsewhere a job is not notified of the death of its submitter.
  const hasOrphanSignal = process.platform === 'linux';
  const onLinux = hasOrphanSignal ? test : test.skip;
  onLinux(
    'a killed lender takes its borrowers along by the orphan signal',
    async () => {
      const js = open(1);
      links = { ...links, orphanSignal: 'SIGTERM' };
      const lender = await js.submit(chain, [3, links]);
      await start(0);
      lender.kill('SIGKILL');
      await expect(lender.result({ timeout: 5000 })).rejects.toThrow(
        LostResult,
      );
      await until('the slot to be free', () => freeSlots(js) === 1);
      // They have closed their files, but may still be ending.
      const pids = [0, 1, 2].map(pidAt);
      await until('the borrowers to end', () => !pids.some(isAlive));
    },
  );

  test('a job that waits for 10 s with its slot, or without one, warns once', async () => {
    const node = [...process.execArgv, programs, context];
    const { stdout, stderr } = await runNode(node);
    const both = isAsync ? ' Blocked' : '';
    expect(stdout).toBe(`Blocked Blocked Blocked${both}\n`);
    const warnings = stderr.match(/JOBSERVER_STANDSTILL/g);
    expect(warnings).toHaveLength(isAsync ? 3 : 2);
    expect(stderr).toContain('submitted with `consume: 0`');
  });

  // Jest replaces process.exit, also in its forks.
  testIf(context !== 'fork')(
    'the slot of a lender that exits stays taken until its borrower ends',
    async () => {
      const js = open(1);
      const args = [1, { ...links, then: 'exit' }] as const;
      const lender = await js.submit(chain, [...args]);
      await expect(lender.result()).rejects.toMatchObject({ exitCode: 3 });
      expect(freeSlots(js)).toBe(0);
      writeFileSync(links.gate, '');
      await until('the slot to be free', () => freeSlots(js) === 1);
    },
  );

  test.each(hasOrphanSignal ? ([null, 'SIGTERM'] as const) : [null])(
    'the slots of a dead submitter of a lender are given back (orphanSignal: %p)',
    async (orphanSignal) => {
      const js = open(2);
      links = { ...links, orphanSignal };
      // The first has a slot, the second takes the other one and lends it.
      const first = await js.submit(chain, [3, links]);
      await start(0);
      first.kill('SIGKILL');
      await expect(first.result()).rejects.toThrow(LostResult);
      if (orphanSignal === null) writeFileSync(links.gate, '');
      await until('all slots to be free', () => freeSlots(js) === 2);
    },
  );
}
