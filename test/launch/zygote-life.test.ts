import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  packPreload,
  writePreparation,
} from '../../dist/protocol/preparation.js';
import { runNode } from '../helpers/program.js';
import { isAlive } from '../helpers/processes.js';
import { timeoutFactor, until } from '../helpers/until.js';

const programs = resolve('dist-test', 'fixtures', 'zygote-programs.js');
jest.setTimeout(30_000 * timeoutFactor);

async function run(name: string, ...flags: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await runNode([...flags, programs, name]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('copies of the module share a zygote, which ends with the last Jobserver', async () => {
  expect(await run('copies')).toEqual({ counts: [1, 1], isKept: true });
});

test('threads that start at the same time share a zygote', async () => {
  expect(await run('threads')).toEqual({ zygotes: 1, isShared: true });
});

test('a zygote ends with the last thread that uses it', async () => {
  expect(await run('threadEnds')).toEqual(Array(6).fill(true));
});

test('forkserverKeepAlive keeps the zygote for the next Jobserver', async () => {
  const kept = { isSame: true, isKept: true, isOther: true };
  expect(await run('keptAlive')).toEqual(kept);
});

test('after a zygote was killed, copies of the module share the next one', async () => {
  expect(await run('killed')).toEqual({ isShared: true });
});

test('a job of the fork context does not end the zygote of its submitter', async () => {
  const flags = ['--single-threaded', '--v8-pool-size=1'];
  expect(await run('forked', ...flags)).toEqual({ isKept: true });
});

test('a zygote ends after its Jobserver was garbage collected', async () => {
  expect(await run('collected', '--expose-gc')).toEqual({ count: 1 });
});

test.each([
  ['that has closed its Jobserver', 'endClosed'],
  ['that has not closed its Jobserver', 'endOpen'],
  ['that exits while a thread uses the zygote', 'exitWithThread'],
])(
  'a zygote keeps no program alive and ends with a program %s',
  async (_, name) => {
    const { zygote, now } = (await run(name)) as Record<string, number>;
    // Far less than the program keeps its zygote.
    expect(Date.now() - now!).toBeLessThan(60_000);
    await until('the zygote to end', () => !isAlive(zygote!));
  },
);

test('a zygote that refuses all jobs ends when it cannot receive requests', async () => {
  const entry = resolve('dist', 'child', 'zygote.js');
  const throwing = pathToFileURL(
    resolve('test', 'fixtures', 'preload', 'throws.mjs'),
  );
  // A file, which is always readable, in place of its socket.
  const file = openSync(devNull, 'r');
  const preload = packPreload([{ module: throwing.href }], false);
  const preparation = writePreparation({ preload, warmUp: undefined });
  const zygote = spawn(process.execPath, [entry], {
    stdio: ['ignore', 'ignore', 'inherit', file, preparation.number],
  });
  closeSync(file);
  preparation.close();
  const ended = once(zygote, 'exit');
  const watchdog = setTimeout(() => zygote.kill('SIGKILL'), 20_000);
  expect(await ended).toEqual([0, null]);
  clearTimeout(watchdog);
});
