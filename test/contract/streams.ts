import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import {
  CallbackRaised,
  type Future,
  type JobOutput,
  type Jobserver,
  LostResult,
} from '../../dist/index.js';
import * as limits from '../fixtures/limit-jobs.js';
import * as jobs from '../fixtures/output-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useFolder } from '../helpers/folder.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const invalid = { code: 'ERR_INVALID_ARG_TYPE' };
const outOfRange = { code: 'ERR_OUT_OF_RANGE' };

const program = resolve('dist-test', 'fixtures', 'output-jobs.js');

/** What a job writes arrives where its handle says. */
export function streamContract(context: Context): void {
  const open = (): Jobserver => openJobserver({ context, slots: 1 });
  const folder = useFolder();
  const gate = useGates();

  type Fn = (...args: never[]) => unknown;

  /** The future of a job that has finished. */
  async function finished(
    js: Jobserver,
    fn: Fn,
    ...args: unknown[]
  ): Promise<Future<unknown>> {
    const future = await js.submit(fn, args as never);
    await future.wait();
    return future;
  }

  describe('capture', () => {
    const capturing = (): Jobserver => open().with({ output: 'capture' });

    test('the future has what the job has written, once it is done', async () => {
      const js = capturing();
      const future = await js.submit(jobs.talk, ['job']);
      expect(future.stdout).toBe(undefined);
      expect(await future.result()).toBe('job');
      expect(future.stdout).toBe('job to stdout\n');
      expect(future.stderr).toBe('job to stderr\n');
      expect(future.stdoutBytes).toEqual(Buffer.from('job to stdout\n'));
      expect(future.stderrBytes).toEqual(Buffer.from('job to stderr\n'));
    });

    test('each job has its own', async () => {
      const js = capturing();
      for (const name of ['a', 'b', 'c']) {
        const { stdout } = await finished(js, jobs.talk, name);
        expect(stdout).toBe(`${name} to stdout\n`);
      }
      const silent = await finished(js, identity, 1);
      expect([silent.stdout, silent.stderr]).toEqual(['', '']);
    });

    test('a handle without it says nothing about output', async () => {
      const js = capturing().with({ output: 'ignore' });
      const future = await finished(js, jobs.talk, 'job');
      expect([future.stdout, future.stderrBytes]).toEqual([
        undefined,
        undefined,
      ]);
    });

    test('writes of system calls and of programs are captured', async () => {
      const future = await finished(capturing(), jobs.talkInAllWays);
      expect(future.stdout).toBe(
        'by a system call\nby a program\nby a stream\n',
      );
      expect(future.stderr).toBe('and its errors\n');
    });

    test('more than a pipe holds is captured, also in a call that blocks', async () => {
      const js = capturing();
      const { stdout } = await finished(js, jobs.writeLines, 3000);
      expect(stdout).toHaveLength(3000 * 1024);
      const future = js.submitSync(jobs.writeLines, [500, 'y']);
      expect(future.resultSync()).toBe(500);
      expect(future.stdout).toBe(`${'y'.repeat(1023)}\n`.repeat(500));
    });

    test('of more than maxOutput, the first and the last bytes are kept', async () => {
      const js = capturing().with({ maxOutput: 2001 });
      const { stdout } = await finished(js, jobs.writeLines, 100);
      const whole = `${'x'.repeat(1023)}\n`.repeat(100);
      const missing = `\n[${whole.length - 2001} bytes are missing here]\n`;
      expect(stdout).toBe(
        whole.slice(0, 1001) + missing + whole.slice(whole.length - 1000),
      );
    });

    test('maxOutput 0 keeps nothing, and Infinity everything', async () => {
      const js = capturing();
      const none = await finished(js.with({ maxOutput: 0 }), jobs.talk, 'a');
      expect(none.stdout).toBe('\n[12 bytes are missing here]\n');
      const all = await finished(
        js.with({ maxOutput: Infinity }),
        jobs.writeLines,
        300,
      );
      expect(all.stdoutBytes).toHaveLength(300 * 1024);
    });

    test('what a job throws has the end of its standard error', async () => {
      const js = capturing();
      const error = await rejection(js.run(jobs.talkAndThrow, 'why'));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ stderr: 'why\n' });
      const long = 'x'.repeat(100_000);
      const longer = await rejection(js.run(jobs.talkAndThrow, long));
      const { stderr } = longer as { stderr: string };
      expect(stderr).toBe(`${long}\n`.slice(-65_536));
    });

    test('what has a stderr already keeps it, and no object gets none', async () => {
      const js = capturing();
      const error = await rejection(js.run(jobs.throwWithStderr));
      expect(error).toMatchObject({ stderr: 'of a program' });
      const text = await rejection(js.run(jobs.talkAndThrowText, 'why'));
      expect(text).toBe('on purpose');
    });

    test('the error of a job that was lost has it as well', async () => {
      const error = await rejection(capturing().run(jobs.talkAndDie, 'last'));
      expect(error).toBeInstanceOf(LostResult);
      expect(error).toMatchObject({ stderr: 'last\n' });
    });

    test('so does that of a job that was ended', async () => {
      const js = capturing().with({ killGrace: 100 });
      const limited = js.with({ runTimeout: 2000 });
      const late = await rejection(limited.run(jobs.talkAndStay, 'late'));
      expect(late).toMatchObject({ name: 'TimeoutError', stderr: 'late\n' });
      const controller = new AbortController();
      const { signal } = controller;
      const started = join(folder(), 'started');
      const args: [string, string] = ['stay', started];
      const future = await js.submit(jobs.talkAndStay, args, { signal });
      await until('the job to write', () => existsSync(started));
      controller.abort();
      const aborted = await rejection(future.result());
      expect(aborted).toMatchObject({ name: 'AbortError', stderr: 'stay\n' });
      expect(future.stderr).toBe('stay\n');
    });

    test('errors of a map have it', async () => {
      const items = capturing().map(jobs.talkAndThrow, ['why']);
      const error = await rejection(items.next());
      expect(error).toMatchObject({ stderr: 'why\n' });
    });

    test('a job that has left a child with its streams does not wait for it', async () => {
      const { file, open: openGate } = gate();
      const ended = join(folder(), 'ended');
      const pool = open();
      const js = pool.with({ output: 'capture' });
      const future = await js.submit(jobs.leaveWriter, [file, ended]);
      expect(await future.result()).toBe('left a writer');
      expect(future.stdout).toBe('in time\n');
      expect(freeSlots(pool)).toBe(1);
      const next = await js.submit(jobs.readAfter, [file]);
      openGate();
      // The child finds no reader.
      await until('the child to end', () => existsSync(ended));
      await until('its code', () => readFileSync(ended, 'utf8') !== '');
      expect(readFileSync(ended, 'utf8')).not.toBe('0\n');
      expect(await next.result()).toBe('read');
      expect(next.stdout).toBe('');
    });

    test('a job that is started again has the output of its last attempt', async () => {
      const js = capturing().with({ retries: 1, input: 'again' });
      const future = await finished(js, jobs.talkTwice);
      expect(await future.result()).toBe(2);
      expect(future.stdout).toBe('attempt 2\ninput again\n');
    });

    test('a handle that comes along captures in a job', async () => {
      const js = openJobserver({ context, slots: 2 });
      const captured = js.with({ output: 'capture' });
      const future = await captured.submit(jobs.nestedOutput, [captured]);
      expect(await future.result()).toBe('nested to stdout\n');
      expect(future.stdout).toBe('');
    });
  });

  describe('listeners', () => {
    test('a function gets each chunk as it comes, with its stream and future', async () => {
      const chunks: [string, string][] = [];
      const futures = new Set<unknown>();
      const gates = [0, 1, 2, 3, 4, 5].map(() => gate());
      const js = open().with({
        output: (chunk, stream, future) => {
          gates[chunks.length]!.open();
          chunks.push([stream, chunk.toString()]);
          futures.add(future);
        },
      });
      const files = gates.map(({ file }) => file);
      const future = await finished(js, jobs.alternate, files);
      expect(chunks).toEqual([
        ['stdout', '0\n'],
        ['stderr', '1\n'],
        ['stdout', '2\n'],
        ['stderr', '3\n'],
        ['stdout', '4\n'],
        ['stderr', '5\n'],
      ]);
      expect([...futures]).toEqual([future]);
      expect(future.stdout).toBe(undefined);
    });

    test('lines are whole, and without their line breaks', async () => {
      const lines: string[] = [];
      const output = { lines: (line: string) => lines.push(line) };
      const js = open().with({ output });
      await finished(js, jobs.writeBytes);
      expect(lines).toEqual(['€', 'end']);
      await finished(js.with({ maxOutput: 600 }), jobs.writeLines, 1);
      expect(lines.slice(2).join('')).toBe('x'.repeat(1023));
    });

    test('a promise pauses the job, and no byte is lost', async () => {
      const done = join(folder(), 'done');
      let bytes = 0;
      let goOn: () => void = () => undefined;
      const js = open().with({
        output: (chunk) => {
          bytes += chunk.length;
          return new Promise<void>((resolve) => (goOn = resolve));
        },
      });
      const future = await js.submit(jobs.fillPipe, [done]);
      await until('the first chunk', () => bytes > 0);
      const first = bytes;
      await sleep(200);
      expect([bytes, existsSync(done)]).toEqual([first, false]);
      while (!(await future.wait({ timeout: 10 }))) goOn();
      expect(bytes).toBe(1 << 20);
      expect(future.done()).toBe(true);
    });

    test('the future is done only when its listener is', async () => {
      let isOver = false;
      const js = open().with({
        output: async () => {
          await sleep(100);
          isOver = true;
        },
      });
      const future = await js.submit(jobs.writeLines, [1]);
      await future.result();
      expect(isOver).toBe(true);
    });

    test('a call that blocks does not wait for promises', async () => {
      let bytes = 0;
      const js = open().with({
        output: (chunk) => {
          bytes += chunk.length;
          return new Promise(() => undefined);
        },
      });
      const future = await js.submit(jobs.writeLines, [500]);
      await until('the first chunk', () => bytes > 0);
      expect(future.resultSync()).toBe(500);
      expect(bytes).toBe(500 * 1024);
      const next = js.submitSync(jobs.writeLines, [500]);
      expect(next.resultSync()).toBe(500);
      expect(bytes).toBe(1000 * 1024);
    });

    test('a job that is ended does not wait for promises', async () => {
      const done = join(folder(), 'done');
      let chunks = 0;
      const js = open().with({
        output: () => {
          chunks += 1;
          return new Promise(() => undefined);
        },
      });
      const late = js.with({ runTimeout: 500 });
      expect(await rejection(late.run(jobs.fillPipe, done))).toMatchObject({
        name: 'TimeoutError',
      });
      const controller = new AbortController();
      const { signal } = controller;
      const heard = chunks;
      const future = await js.submit(jobs.fillPipe, [done], { signal });
      await until('the next chunk', () => chunks > heard);
      controller.abort();
      expect(await rejection(future.result())).toMatchObject({
        name: 'AbortError',
      });
    });

    test('what a listener throws is that of a callback, and the job goes on', async () => {
      const failures = [
        () => {
          throw new Error('thrown');
        },
        () => Promise.reject(new Error('thrown')),
      ];
      for (const output of failures) {
        const future = await open()
          .with({ output })
          .submit(jobs.writeLines, [300]);
        const error = await rejection(future.result());
        expect(error).toBeInstanceOf(CallbackRaised);
        expect(error).toMatchObject({ cause: { message: 'thrown' } });
        expect(await future.result()).toBe(300);
      }
    });

    test('all attempts of a job are heard', async () => {
      const lines: string[] = [];
      const output = { lines: (line: string) => lines.push(line) };
      const js = open().with({ output, retries: 1 });
      await finished(js, jobs.talkTwice);
      expect(lines).toEqual([
        ...['attempt 1', 'input ', 'attempt 2', 'input '],
      ]);
    });
  });

  describe('jobs that do not end by themselves', () => {
    const outputs: [string, JobOutput][] = [
      ['capture', 'capture'],
      ['a listener', () => undefined],
    ];
    const stubborn: [string, (started: string) => string][] = [
      ['ignores SIGTERM', limits.ignoreTermination],
      ['is stopped', limits.stop],
      ['has a child that holds its streams', limits.leaveHolder],
    ];
    for (const [name, output] of outputs) {
      test.each(stubborn)(
        `with ${name}, a job that %s ends in time`,
        async (_, fn) => {
          const pool = open();
          const started = join(folder(), 'started');
          const js = pool.with({ output, killGrace: 100 });
          const controller = new AbortController();
          const { signal } = controller;
          const future = await js.submit(fn, [started], { signal });
          const isReady = (): boolean =>
            existsSync(started) &&
            (fn !== limits.leaveHolder || readFileSync(started, 'utf8') !== '');
          await until('the job', isReady);
          controller.abort();
          const error = await rejection(future.result());
          expect(error).toMatchObject({ name: 'AbortError' });
          expect(freeSlots(pool)).toBe(1);
          if (fn === limits.leaveHolder) {
            process.kill(Number(readFileSync(started, 'utf8')), 'SIGKILL');
          }
        },
      );
    }

    test('a job whose submitter is killed does not wait for a reader', async () => {
      const started = join(folder(), 'started');
      const argv = [
        ...process.execArgv,
        program,
        'abandoned',
        context,
        started,
      ];
      const submitter = spawn(process.execPath, argv, { stdio: 'ignore' });
      await until('the job', () => existsSync(started));
      const pid = Number(readFileSync(started, 'utf8'));
      submitter.kill('SIGKILL');
      await once(submitter, 'exit');
      await until('the job to end', () => !isAlive(pid));
    });
  });

  describe('input', () => {
    test('a job reads its input, and so do its programs', async () => {
      const js = open().with({ input: 'text' });
      expect(await js.run(jobs.readInput)).toBe('text');
      expect(await js.run(jobs.readInput)).toBe('text');
      expect(await js.run(jobs.readInputOfChild)).toBe('text');
      const bytes = Uint8Array.of(0, 255);
      const other = js.with({ input: bytes });
      bytes.fill(1);
      expect(await other.run(jobs.readInput)).toBe('\0\xff');
    });

    test('it is empty without one', async () => {
      const js = open();
      expect(await js.run(jobs.readInput)).toBe('');
      const none = js.with({ input: 'text' }).with({ input: null });
      expect(await none.run(jobs.readInput)).toBe('');
    });

    test('it may be large', async () => {
      const js = open().with({ input: 'x'.repeat(1 << 20) });
      expect(await js.run(jobs.readInput)).toHaveLength(1 << 20);
    });
  });

  describe('programs', () => {
    const file = program;
    const run = (name: string): SpawnSyncReturns<string> =>
      spawnSync(process.execPath, [...process.execArgv, file, name, context], {
        env: { ...process.env, NODE_DEBUG: 'jobserver' },
        encoding: 'utf8',
        maxBuffer: 1 << 26,
        timeout: 60_000,
      });

    test('output is inherited, ignored, or written when the job ends', () => {
      const { stdout, stderr } = run('small');
      expect(stdout).toBe('grouped to stdout\ninherited to stdout\n');
      const lines = stderr.split('\n').filter((line) => / to /.test(line));
      expect(lines).toEqual(['grouped to stderr', 'inherited to stderr']);
    });

    test('groups are never interleaved, also those of nested jobs', () => {
      const { stdout, stderr } = run('group');
      expect(stderr).not.toContain('still locked');
      const letters = stdout.replaceAll('\n', '');
      const runs = (text: string): [string, number][] =>
        (text.match(/(.)\1*/g) ?? []).map((run) => [run[0]!, run.length]);
      const all = [...'abcdefgh'];
      expect(runs(letters.toLowerCase()).sort()).toEqual(
        all.map((letter) => [letter, 1536 * 1023]),
      );
      // What a nested job writes is a part of what its job writes.
      const nested = runs(letters).filter(([letter]) => all.includes(letter));
      expect(nested.sort()).toEqual(all.map((letter) => [letter, 512 * 1023]));
    });

    test('captured output is not that of a terminal', () => {
      const pty = 'import pty, sys; pty.spawn(sys.argv[1:])';
      const argv = [process.execPath, ...process.execArgv];
      const { stdout } = spawnSync(
        'python3',
        ['-c', pty, ...argv, file, 'terminal', context],
        { encoding: 'utf8', timeout: 60_000 },
      );
      expect(stdout.trim().split(/\r?\n/)).toEqual([
        '[null,null]',
        '[true,true]',
      ]);
    });

    test('a program whose output has no reader gets a warning', () => {
      const warning = join(folder(), 'warning');
      const argv = [...process.execArgv, file, 'closed', context, warning];
      const command = argv.map((arg) => `'${arg}'`).join(' ');
      const script = `'${process.execPath}' ${command} | true`;
      const { status } = spawnSync('sh', ['-c', script], { timeout: 60_000 });
      expect(status).toBe(0);
      expect(readFileSync(warning, 'utf8')).toBe(
        'The output of jobs is lost: Error: EPIPE: write the output of a job',
      );
    });
  });

  test('invalid values are refused by name', () => {
    const js = open();
    const cases: [object, object][] = [
      [{ output: 'both' }, { ...invalid, message: /`output`.*'capture'/ }],
      [{ output: null }, { ...invalid, message: /`output`/ }],
      [{ output: { lines: 1 } }, { ...invalid, message: /`output`/ }],
      [{ output: { line: identity } }, { message: /`lines`.*`line`/ }],
      [{ maxOutput: -1 }, { ...outOfRange, message: /`maxOutput`/ }],
      [{ maxOutput: '1' }, { ...invalid, message: /`maxOutput`/ }],
      [{ input: 1 }, { ...invalid, message: /`input`/ }],
      [{ input: new ArrayBuffer(1) }, { ...invalid, message: /`input`/ }],
      [{ usage: 1 }, { ...invalid, message: /`usage`/ }],
    ];
    for (const [controls, { message, ...rest }] of cases as [
      object,
      { message: RegExp },
    ][]) {
      const error = thrown(() => js.with(controls));
      expect(error).toMatchObject(rest);
      expect((error as Error).message).toMatch(message);
    }
  });
}
