import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { Blocked, LostResult } from '../../dist/index.js';
import { setVariable } from '../fixtures/controlled-jobs.js';
import type * as nestingJobs from '../fixtures/nesting-jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { runNode } from '../helpers/program.js';
import { until } from '../helpers/until.js';

type Jobs = {
  [Name in keyof typeof nestingJobs]: (
    ...args: Parameters<(typeof nestingJobs)[Name]>
  ) =>
    | Awaited<ReturnType<(typeof nestingJobs)[Name]>>
    | ReturnType<(typeof nestingJobs)[Name]>;
};

/** Jobs that submit jobs share the slots of their own pool. */
export function nestingContract(context: Context, jobs: Jobs): void {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  test('new Jobserver() in a job joins the pool that runs the job', async () => {
    const js = openJobserver({ context, slots: 3 });
    expect(await js.run(jobs.describePool)).toEqual({ slots: 3, context });
  });

  test('nested jobs use the slots of the same pool', async () => {
    const js = openJobserver({ context, slots: 3 });
    const sums = await Promise.all([
      js.run(jobs.sumOfSquares, [1, 2, 3]),
      js.run(jobs.sumOfSquares, [4, 5]),
    ]);
    expect(sums).toEqual([14, 41]);
  });

  test('a handle nested in an argument arrives as one working handle', async () => {
    const js = openJobserver({ context, slots: 3 });
    const revised = js.reviseEnv({ NESTED_TEST: 'crossed' });
    const given = { deep: { handles: [revised, revised] } };
    expect(await js.run(jobs.useHandle, given)).toEqual([true, 16, 'crossed']);
  });

  test.each([...new Set<Context>(['spawn', context])])(
    'a handle with a preexec works in a job of context %s',
    async (outer) => {
      const js = openJobserver({ context: outer, slots: 2 });
      const handle = openJobserver({ context, slots: 1 });
      const guarded = handle.replacePreexec(setVariable, 'NESTED_TEST', 'set');
      const given = { deep: { handles: [guarded, guarded] } };
      const outcome = await js.run(jobs.useHandle, given);
      expect(outcome).toEqual([true, 16, 'set']);
    },
  );

  test('a handle of another pool, as an argument, uses the slots of that pool', async () => {
    const js = openJobserver({ context, slots: 1 });
    const other = openJobserver({ context, slots: 1 });
    const given = { deep: { handles: [other, other] } };
    expect(await js.run(jobs.useHandle, given)).toEqual([true, 16, undefined]);
  });

  test('nesting goes as deep as there are slots, then throws Blocked', async () => {
    const js = openJobserver({ context, slots: 3 });
    expect(await js.run(jobs.goDeeper, 2, 1)).toBe(2);
    await expect(js.run(jobs.goDeeper, 3, 1)).rejects.toThrow(Blocked);
    expect(await js.run(jobs.goDeeper, 2, 1)).toBe(2);
  });

  test('nesting with consume 0 is not limited by the slots', async () => {
    const js = openJobserver({ context, slots: 1 });
    expect(await js.run(jobs.goDeeper, 4, 0)).toBe(4);
  });

  test.each([true, false])(
    'a job that ends before its own jobs loses no slot (it throws: %p)',
    async (fails) => {
      const js = openJobserver({ context, slots: 3 });
      const outcome = js.run(jobs.leaveJobsBehind, fails);
      if (fails) await expect(outcome).rejects.toThrow('on purpose');
      else expect(await outcome).toBe('left');
      expect(freeSlots(js)).toBe(3);
    },
  );

  test.each([
    [null, 'waitForFile'] as const,
    [null, 'throwAtFile'] as const,
    ['SIGTERM', 'waitForFile'] as const,
    // Jest replaces process.exit, also in its forks: nothing emits `exit` there.
    ...(context === 'fork' ? [] : [[null, 'exitAtFile'] as const]),
  ])(
    'a job killed while its own job runs rejects and loses no slot (orphanSignal: %p, %s)',
    async (orphanSignal, inner) => {
      const js = openJobserver({ context, slots: 3 });
      const go = join(folder, 'go');
      const started = join(folder, 'started');
      const args = [go, started, orphanSignal, inner] as const;
      const middle = await js.submit(jobs.holdJob, [...args]);
      await until('the inner job to start', () => existsSync(started));
      middle.kill('SIGKILL');
      await expect(middle.result({ timeout: 5000 })).rejects.toThrow(
        LostResult,
      );
      writeFileSync(go, '');
      await until('all slots to be free', () => freeSlots(js) === 3);
      const pid = Number(readFileSync(started, 'utf8'));
      await until('the inner job to end', () => !isAlive(pid));
    },
  );

  testIf(isRemote(context))(
    'a main module that submits jobs without a guard gets ERR_JOBSERVER_IMPORTING',
    async () => {
      const program = join(folder, 'unguarded.mjs');
      const main = require.resolve('../../dist/index.js');
      writeFileSync(
        program,
        `import { createRequire } from 'node:module';
       const { Jobserver } = createRequire(import.meta.url)(${JSON.stringify(main)});
       export function job() { return 1; }
       const jobserver = new Jobserver({ context: '${context}', slots: 2 });
       try { await jobserver.run(job); } catch (error) { console.log(error.code); }
       await jobserver.close();`,
      );
      const { stdout, code } = await runNode([program]);
      expect({ stdout, code }).toEqual({
        stdout: 'ERR_JOBSERVER_IMPORTING\n',
        code: 0,
      });
    },
  );
  testIf(isRemote(context))(
    'a module without exports is not run in a job: its function is refused at each submit',
    async () => {
      const program = join(folder, 'unexported.mjs');
      const main = require.resolve('../../dist/index.js');
      writeFileSync(
        program,
        `import { createRequire } from 'node:module';
       const { Jobserver, JobserverExecutor } =
         createRequire(import.meta.url)(${JSON.stringify(main)});
       console.log('top level');
       function job() { return 1; }
       const jobserver = new Jobserver({ context: '${context}', slots: 2 });
       const executor = new JobserverExecutor(jobserver);
       for (const submit of [
         () => jobserver.run(job),
         () => jobserver.submitSync(job).result(),
         () => jobserver.map(job, [1]).next(),
         () => executor.submit(job),
         () => jobserver.replacePreexec(job).run(Math.abs, 1),
       ]) {
         try { await submit(); } catch ({ code, message }) {
           console.log(code, message.includes('job is not exported from'));
         }
       }
       await jobserver.close();`,
      );
      const { stdout, code } = await runNode([program]);
      const refused = 'ERR_JOBSERVER_FUNCTION true\n';
      expect({ stdout, code }).toEqual({
        stdout: `top level\n${refused.repeat(5)}`,
        code: 0,
      });
    },
  );
}
