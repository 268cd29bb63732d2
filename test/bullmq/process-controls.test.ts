import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join, resolve } from 'node:path';
import { LostResult } from '../../dist/index.js';
import * as groups from '../fixtures/group-jobs.js';
import * as output from '../fixtures/output-jobs.js';
import * as jobs from '../fixtures/settings-jobs.js';
import { type HostProcess, useCluster } from '../helpers/cluster.js';
import { testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { isAlive } from '../helpers/processes.js';
import { useRedis } from '../helpers/redis.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const isLinux = process.platform === 'linux';
const root = resolve('dist-test');

// The processes of jobs have what the controls of an executor say.
describe.each<{ jobsPerProcess?: number }>([{}, { jobsPerProcess: 1000 }])(
  'controls of processes in a cluster, %p',
  (given) => {
    const redis = useRedis();
    const tools = useCluster({ leaseMs: 60_000 });
    const folder = useFolder();
    const executor = (): ReturnType<typeof tools.executor> =>
      tools.executor({ connection: redis().url, root });
    // What the host does is the same for both.
    const isOwn = given.jobsPerProcess === undefined;
    let host: HostProcess;
    beforeEach(async () => {
      host = await tools.host({ connection: redis().url, root, ...given });
    });

    test('nice is the level of the job, and of no other one', async () => {
      const executed = executor();
      const own = getPriority();
      const level = Math.min(19, own + 3);
      const nicer = executed.with({ nice: level });
      expect(await nicer.submit(jobs.niceLevels)).toEqual([level]);
      expect(await executed.submit(jobs.niceLevels)).toEqual([own]);
    });

    testIf(isLinux)('oomScoreAdj is added to that of the host', async () => {
      const executed = executor();
      const own = jobs.oomScore();
      const sooner = executed.with({ oomScoreAdj: 7 });
      expect(await sooner.submit(jobs.oomScore)).toBe(own + 7);
      expect(await executed.submit(jobs.oomScore)).toBe(own);
    });

    testIf(isLinux)('limits add up, and are those of the job', async () => {
      const executed = executor();
      const limits = { openFiles: 200, coreDump: 0 };
      const limited = executed
        .with({ limits })
        .with({ limits: { openFiles: 100 } });
      // What the handle has is what it was given.
      limits.coreDump = 5000;
      const limitOf = (name: string): Promise<string[]> =>
        Promise.resolve(limited.submit(jobs.limitOf, name));
      expect(await limitOf('Max open files')).toEqual(['100', '100']);
      expect(await limitOf('Max core file size')).toEqual(['0', '0']);
      const [, most] = await executed.submit(jobs.limitOf, 'Max open files');
      expect(most).toBe(jobs.limitOf('Max open files')[1]);
    });

    test('a job that uses up its cpuTime is lost, and its error names the limit', async () => {
      const limited = executor().with({ limits: { cpuTime: 1 } });
      const error = await rejection(limited.submit(jobs.useCpu));
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({
        signal: 'SIGXCPU',
        limit: 'it has used its cpuTime of 1 ms',
      });
    });

    test('maxHeapMb is the limit of the heap, and the error of a job beyond it names it', async () => {
      const executed = executor();
      const small = executed.with({ maxHeapMb: 50 });
      expect(await small.submit(jobs.nodeOptions)).toContain(
        '--max-old-space-size=50',
      );
      const error = await rejection(small.submit(jobs.fillHeap));
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({
        limit: 'most likely it ran out of its 50 MiB heap',
      });
      expect(await executed.submit(jobs.nodeOptions)).not.toContain(
        '--max-old-space-size=50',
      );
    });

    test('with processGroup, what a job leaves behind on the host ends', async () => {
      const file = join(folder(), 'child');
      const leader = executor().with({ processGroup: true });
      const left = await leader.submit(
        groups.leaveChild,
        file,
        'return',
        false,
      );
      expect(left).toBe('a value');
      const child = Number(readFileSync(file, 'utf8'));
      await until('the child to end', () => !isAlive(child));
      expect(existsSync(`${file}.signaled`)).toBe(true);
    });

    testIf(isOwn)(
      'with processGroup, an abort ends the children of the job, too',
      async () => {
        const file = join(folder(), 'child');
        const leader = executor().with({ processGroup: true });
        const abort = new AbortController();
        const work = leader.submitWith(
          { signal: abort.signal },
          groups.leaveChild,
          file,
          'stay',
          false,
        );
        await until('the child to start', () => existsSync(file));
        abort.abort();
        expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
        const child = Number(readFileSync(file, 'utf8'));
        await until('the child to end', () => !isAlive(child));
      },
    );

    test('input is what a job reads, and no other job', async () => {
      const executed = executor();
      const bytes = Buffer.from('bytes');
      const reader = executed.with({ input: bytes });
      // The handle has a copy.
      bytes.fill(0);
      expect(await reader.submit(output.readInput)).toBe('bytes');
      expect(await reader.submit(output.readInput)).toBe('bytes');
      const other = reader.with({ input: 'text' });
      expect(await other.submit(output.readInput)).toBe('text');
      expect(await other.submit(output.readInputOfChild)).toBe('text');
      for (const without of [executed, reader.with({ input: null })]) {
        expect(await without.submit(output.readInput)).toBe('');
      }
    });

    test("with output 'capture', errors have the end of what the job wrote", async () => {
      const captured = executor().with({ output: 'capture' });
      const thrown = await rejection(captured.submit(output.talkAndThrow, '1'));
      expect(thrown).toBeInstanceOf(RangeError);
      expect(thrown).toMatchObject({ stderr: '1\n' });
      const lost = await rejection(captured.submit(output.talkAndDie, '2'));
      expect(lost).toBeInstanceOf(LostResult);
      expect(lost).toMatchObject({ stderr: '2\n' });
      const late = await rejection(
        captured.with({ runTimeout: 1000 }).submit(output.talkAndStay, '3'),
      );
      expect(late).toMatchObject({ name: 'TimeoutError', stderr: '3\n' });
      expect(host.stderr).toBe('');
    });

    testIf(isOwn)('an AbortError has it, too', async () => {
      const started = join(folder(), 'started');
      const abort = new AbortController();
      const work = executor()
        .with({ output: 'capture' })
        .submitWith({ signal: abort.signal }, output.talkAndStay, '4', started);
      await until('the job to write', () => existsSync(started));
      abort.abort();
      const error = await rejection(work);
      expect(error).toMatchObject({ name: 'AbortError', stderr: '4\n' });
    });

    testIf(isOwn)(
      "with output 'group', the host writes it when the job has ended",
      async () => {
        const started = join(folder(), 'started');
        const abort = new AbortController();
        const work = executor()
          .with({ output: 'group' })
          .submitWith(
            { signal: abort.signal },
            output.talkAndStay,
            'x',
            started,
          );
        work.catch(() => undefined);
        await until('the job to write', () => existsSync(started));
        expect(host.stderr).toBe('');
        abort.abort();
        await until('the host to write it', () => host.stderr === 'x\n');
      },
    );

    testIf(isOwn)("with output 'ignore', nothing is written", async () => {
      const silent = executor().with({ output: 'ignore' });
      await rejection(silent.submit(output.talkAndThrow, 'x'));
      expect(host.stderr).toBe('');
    });
  },
);
