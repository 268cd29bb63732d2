import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import * as jobs from '../fixtures/output-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { until } from '../helpers/until.js';

/** Jobs of one process have their output apart. */
export function reuseStreamContract(context: Context): void {
  const options = { context, jobsPerProcess: Infinity };
  const folder = useFolder();
  const gate = useGates();

  test('many jobs of few processes each have their own output', async () => {
    const js = openJobserver({ ...options, slots: 2 });
    const captured = js.with({ output: 'capture' });
    const names = Array.from({ length: 100 }, (_, i) => `job ${i}`);
    const futures = await Promise.all(
      names.map((name) => captured.submit(jobs.talkAndTell, [name])),
    );
    const pids = await Promise.all(futures.map((future) => future.result()));
    expect(new Set(pids).size).toBeLessThanOrEqual(2);
    expect(futures.map(({ stdout }) => stdout)).toEqual(
      names.map((name) => `${name} to stdout\n`),
    );
    expect(futures.map(({ stderr }) => stderr)).toEqual(
      names.map((name) => `${name} to stderr\n`),
    );
  });

  test('what a child of the job before writes is in no later output', async () => {
    const { file, open: openGate } = gate();
    const ended = join(folder(), 'ended');
    const js = openJobserver({ ...options, slots: 1 });
    const captured = js.with({ output: 'capture' });
    const before = await captured.submit(jobs.leaveWriter, [file, ended]);
    await before.result();
    const next = await captured.submit(jobs.talkAfter, ['next', file]);
    openGate();
    await next.result();
    await until('the child to end', () => existsSync(ended));
    expect(before.stdout).toBe('in time\n');
    expect(next.stdout).toBe('next to stdout\n');
    const last = await captured.submit(jobs.talk, ['last']);
    await last.result();
    expect(last.stdout).toBe('last to stdout\n');
  });

  test('jobs whose output is ignored share processes with those that are captured', async () => {
    const js = openJobserver({ ...options, slots: 1 });
    const captured = js.with({ output: 'capture' });
    const ignored = js.with({ output: 'ignore' });
    const pid = await captured.run(jobs.talkAndTell, 'a');
    expect(await ignored.run(jobs.talkAndTell, 'b')).toBe(pid);
    expect(await captured.run(jobs.talkAndTell, 'c')).toBe(pid);
    expect(await js.run(jobs.quiet)).not.toBe(pid);
  });

  test('a job with input has a process of its own', async () => {
    const js = openJobserver({ ...options, slots: 1 });
    const pid = await js.run(jobs.quiet);
    expect(await js.with({ input: 'a' }).run(jobs.quiet)).not.toBe(pid);
    expect(await js.run(jobs.quiet)).toBe(pid);
  });

  test('without the control, nothing is measured but the processes', async () => {
    const js = openJobserver({ ...options, slots: 1, idleTimeout: 0 });
    const future = await js.submit(jobs.burn, [50]);
    await future.result();
    expect(future.usage).toBe(undefined);
    await until('the process to end', () => js.usage.user > 0);
    expect(js.usage.user + js.usage.system).toBeGreaterThan(40);
  });
}
