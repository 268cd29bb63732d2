import {
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import type { Context } from '../../dist/context.js';
import { useFolder } from '../helpers/folder.js';
import { isAlive, stateOf } from '../helpers/processes.js';
import { type Terminal, openTerminal } from '../helpers/terminal.js';
import { until } from '../helpers/until.js';

const programs = resolve('dist-test', 'fixtures', 'terminal-programs.js');
const ctrlC = '\x03';
const ctrlZ = '\x1a';

/** What a user types while jobs run; nothing is left afterwards. */
export function terminalKeyContract(context: Context): void {
  // Where processes of a session can be listed.
  if (!existsSync('/proc/self/stat')) return;

  const folder = useFolder();
  let terminal: Terminal;
  const start = async (...argv: string[]): Promise<void> => {
    terminal = await openTerminal();
    const words = [process.execPath, ...process.execArgv, ...argv];
    terminal.type(`${words.map((word) => `'${word}'`).join(' ')}\n`);
  };

  /** Starts a program, and returns the pids of its two jobs. */
  const startJobs = async (...argv: string[]): Promise<number[]> => {
    const file = join(folder(), 'job');
    await start(programs, 'stay', context, file, ...argv);
    const files = [`${file}-1`, `${file}-2`];
    await until('both jobs to run', () => files.every((it) => existsSync(it)));
    return files.map((it) => Number(readFileSync(it, 'utf8')));
  };

  const expectStatus = async (status: number): Promise<void> => {
    await terminal.untilShown('[prompt]');
    // Split, because the terminal shows what is typed as well.
    terminal.type('echo sta""tus $?\n');
    await terminal.untilShown(`status ${status}\r\n`);
  };

  const untilStates = (pids: number[], states: string): Promise<void> =>
    until(`states ${states}`, () =>
      pids.every((pid) => states.includes(stateOf(pid))),
    );

  const untilGone = (pids: number[]): Promise<void> =>
    until('the jobs to end', () => !pids.some(isAlive));

  const groups: [string, string[]][] = [
    ['of its own group', []],
    ['in groups of their own', ['SIGTERM', 'group']],
  ];

  describe.each(groups)('with jobs %s,', (_, controls) => {
    test('Ctrl-C ends all', async () => {
      const pids = await startJobs(...controls);
      terminal.type(ctrlC);
      await expectStatus(130);
      await untilGone(pids);
      await terminal.close();
    });

    test('Ctrl-Z stops the program, and fg continues it', async () => {
      const pids = await startJobs(...controls);
      terminal.type(ctrlZ);
      await terminal.untilShown('[prompt]');
      // A group of its own is not that of the terminal.
      await untilStates(pids, controls.length === 0 ? 'T' : 'SR');
      const parent = Number(readFileSync(join(folder(), 'job-0'), 'utf8'));
      await untilStates([parent], 'T');
      terminal.type('fg\n');
      await untilStates([parent, ...pids], 'SR');
      terminal.type(ctrlC);
      await expectStatus(130);
      await untilGone(pids);
      await terminal.close();
    });

    test('the end of the terminal ends all', async () => {
      const pids = await startJobs(...controls);
      await terminal.close();
      await untilGone(pids);
    });

    test('the end of the terminal ends all that is stopped', async () => {
      const pids = await startJobs(...controls);
      terminal.type(ctrlZ);
      await terminal.untilShown('[prompt]');
      await terminal.close();
      await untilGone(pids);
    });
  });

  if (context !== 'forkserver') return;

  /** The program of the recipe, in a folder with the package. */
  const recipe = (): string => {
    const page = readFileSync(join('docs', 'recipes.md'), 'utf8');
    const [, source] = /```js\n(\/\/ finish\.mjs\n[^]*?)```/.exec(page)!;
    mkdirSync(join(folder(), 'node_modules'));
    symlinkSync(resolve('.'), join(folder(), 'node_modules', 'jobserver'));
    const file = join(folder(), 'finish.mjs');
    writeFileSync(file, source!);
    return file;
  };

  /** The first two steps, in any order. */
  const untilTwoBegin = async (): Promise<void> => {
    await terminal.untilShown(' begins');
    await terminal.untilShown(' begins');
  };

  describe('a program that finishes what runs, as in the recipe,', () => {
    test('does so on Ctrl-C', async () => {
      await start(recipe());
      await untilTwoBegin();
      terminal.type(ctrlC);
      await terminal.untilShown('2 of 6 steps are done');
      await expectStatus(130);
      await terminal.close();
    });

    test('ends at the second Ctrl-C', async () => {
      await start(recipe());
      await untilTwoBegin();
      terminal.type(ctrlC);
      await terminal.untilShown('Finishing');
      terminal.type(ctrlC);
      await expectStatus(130);
      await terminal.close();
    });
  });
}
