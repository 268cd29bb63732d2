// Programs that run under the make that is installed.
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FdState, Span } from '../fixtures/make/jobs.js';
import {
  type Found,
  makeVersion,
  overlap,
  program,
  start,
} from '../fixtures/make/run.js';
import { checkLeaks } from '../helpers/leaks.js';
import type { Ended } from '../helpers/program.js';

const version = makeVersion();
const hasFifo = Number(version?.split('.', 2).join('.')) >= 4.4;
const isLinux = process.platform === 'linux';
// macOS cannot open an inherited pipe anew.
const canJoin = version !== undefined && (isLinux || hasFifo);
const name = version === undefined ? 'under GNU make' : `under make ${version}`;
const contexts = isLinux ? ['forkserver', 'spawn'] : ['spawn'];

let directory: string;
let spansFile: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'make-'));
  spansFile = join(directory, 'spans');
});
afterEach(() => rmSync(directory, { recursive: true }));
checkLeaks();

/** Runs make on a Makefile with one target for each recipe. */
async function make(flag: string, recipes: readonly string[]): Promise<Ended> {
  const targets = recipes.map((_, i) => `t${i}`);
  const rules = recipes.map((recipe, i) => `t${i}:\n\t${recipe}\n`);
  const text = `all: ${targets.join(' ')}\n${rules.join('')}`;
  writeFileSync(join(directory, 'Makefile'), text);
  const args = [flag, '-s', '-C', directory, '--no-print-directory'];
  const ended = await start('make', args).ended;
  if (ended.code !== 0) throw new Error(ended.stderr);
  return ended;
}

function recipe(...args: readonly string[]): string {
  return [process.execPath, program, ...args].map((it) => `'${it}'`).join(' ');
}

function found({ stdout }: Ended): Found[] {
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Found);
}

function spans(): Span[] {
  const lines = readFileSync(spansFile, 'utf8').trim().split('\n');
  return lines.flatMap((line) => JSON.parse(line) as Span[]);
}

(canJoin ? describe : describe.skip)(name, () => {
  describe.each(contexts)('%s', (context) => {
    test.each([2, 3, 4])(
      'a recipe of make -j%d runs that many jobs and gives back all tokens',
      async (slots) => {
        const fill = recipe('fill', context, directory, String(slots));
        const ended = await make(`-j${slots}`, [`+${fill}`]);
        expect(found(ended)).toEqual([
          { found: { slots: null, most: slots }, warnings: [] },
        ]);
        // Make counts its tokens at the end, and reports a missing one.
        expect(ended.stderr).toBe('');
      },
    );

    test('two recipes share the slots of make -j4', async () => {
      const report = recipe('report', context, spansFile, '10', '80');
      const ended = await make('-j4', [`+${report}`, `+${report}`]);
      expect(overlap(spans())).toBeLessThanOrEqual(4);
      expect(spans()).toHaveLength(20);
      expect(ended.stderr).toBe('');
    });

    test('recipes that hold all slots of make -j2 still finish', async () => {
      const report = recipe('report', context, spansFile, '5', '40');
      const ended = await make('-j2', Array<string>(4).fill(`+${report}`));
      expect(overlap(spans())).toBeLessThanOrEqual(2);
      expect(spans()).toHaveLength(20);
      expect(ended.stderr).toBe('');
    });

    test('nested jobs run in the slots of make -j4 too', async () => {
      const ended = await make('-j4', [`+${recipe('nested', context)}`]);
      const [run] = found(ended) as [Found];
      const nested = run.found as { slots: null; spans: Span[] };
      expect(nested.slots).toBe(null);
      // The job that waits for them lends its slot.
      expect(overlap(nested.spans)).toBeLessThanOrEqual(4);
      expect(ended.stderr).toBe('');
    });
  });

  test('a job that is killed with jobs of its own gives all tokens back', async () => {
    const kill = recipe('killNested', contexts[0]!, directory);
    const ended = await make('-j4', [`+${kill}`]);
    expect(found(ended)).toEqual([{ found: { ended: 2 }, warnings: [] }]);
    expect(ended.stderr).toBe('');
  });

  test.each([
    ['close waits for', 'close', true],
    ['a program does not end after closeSync before', 'closeSync', false],
    ['a program does not end before', 'none', false],
  ])('%s the jobs of a job that was killed', async (_, how, isOpen) => {
    const outlive = recipe('outlive', contexts[0]!, directory, how);
    const ended = await make('-j4', [`+${outlive}`]);
    expect(found(ended)).toEqual([{ found: { isOpen }, warnings: [] }]);
    expect(ended.stderr).toBe('');
  });

  // Only for a make that passes a pipe.
  (hasFifo ? test.skip : test)(
    'the pipe of make stays in its blocking mode',
    async () => {
      const ended = await make('-j3', [`+${recipe('modes', contexts[0]!)}`]);
      const [{ found: modes }] = found(ended) as [Found];
      const { hasMake, before, during, after, job } = modes as Record<
        string,
        FdState
      >;
      expect(hasMake).toBe(true);
      expect(during).toEqual(before);
      expect(after).toEqual(before);
      expect(job).toEqual({ link: before!.link, isNonBlocking: true });
      expect(ended.stderr).toBe('');
    },
  );

  (hasFifo ? test.skip : test)(
    'a recipe without + gets a warning and the default slots',
    async () => {
      const report = recipe('report', contexts[0]!, spansFile, '4', '20');
      const ended = await make('-j3', [`JOBSERVER_SLOTS=2 ${report}`]);
      const [run] = found(ended) as [Found];
      expect(run.found).toEqual({ slots: 2 });
      expect(run.warnings).toEqual([
        {
          code: 'JOBSERVER_NO_MAKE',
          message: expect.stringMatching(
            /put '\+' in front of the recipe line/,
          ),
        },
      ]);
      expect(overlap(spans())).toBeLessThanOrEqual(2);
    },
  );

  test.each(['-j1', '-k'])(
    'make %s has no job server, which causes no warning',
    async (flag) => {
      const count = recipe('count', contexts[0]!);
      const ended = await make(flag, [`+JOBSERVER_SLOTS=5 ${count}`]);
      const slots = flag === '-j1' ? 1 : 5;
      expect(found(ended)).toEqual([
        { found: { slots: [slots, slots] }, warnings: [] },
      ]);
      expect(existsSync(spansFile)).toBe(false);
    },
  );
});
