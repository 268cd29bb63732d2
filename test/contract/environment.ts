import { tmpdir } from 'node:os';
import { realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import {
  setVariable,
  uptime,
  variableAtImport,
  variables,
  workingDirectory,
} from '../fixtures/controlled-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';

const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const valueError = { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' };

/** reviseEnv: the environment of a job. */
export function environmentContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const names = ['JS_A', 'JS_B', 'JS_C'];

  beforeEach(() => {
    process.env['JS_A'] = 'parent';
    delete process.env['JS_B'];
    delete process.env['JS_C'];
  });
  afterEach(() => {
    for (const name of names) delete process.env[name];
  });

  test('reviseEnv changes the environment of its own jobs only', async () => {
    const js = open(2);
    const revised = js.reviseEnv({ JS_A: null, JS_B: 'b=\n é', JS_C: '' });
    const [own, others] = await Promise.all([
      revised.run(variables, ...names),
      js.run(variables, ...names),
    ]);
    expect(own).toEqual({ JS_A: null, JS_B: 'b=\n é', JS_C: '' });
    expect(others).toEqual({ JS_A: 'parent', JS_B: null, JS_C: null });
    expect(names.map((name) => process.env[name])).toEqual([
      'parent',
      undefined,
      undefined,
    ]);
    expect(revised.slots).toBe(2);
  });

  test('a job that changes its environment affects no other process', async () => {
    const js = open(1);
    await js.run(setVariable, 'JS_A', 'changed');
    expect(process.env['JS_A']).toBe('parent');
    expect(await js.run(variables, 'JS_A')).toEqual({ JS_A: 'parent' });
  });

  test('process.uptime counts from the start of a process, not from before a fork', async () => {
    await open(1).run(uptime);
    await sleep(100);
    const js = open(1);
    const start = performance.now();
    const ms = 1000 * (await js.run(uptime));
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThan(performance.now() - start);
  });

  test('unsetting a variable that is not set has no effect', async () => {
    const js = open(1).reviseEnv({ JS_B: null });
    expect(await js.run(variables, 'JS_B')).toEqual({ JS_B: null });
  });

  test('an object, a Map and pairs are equivalent, and the last value of a name wins', async () => {
    const js = open(1);
    const pairs: [string, string | null][] = [
      ['JS_A', '1'],
      ['JS_B', 'b'],
      ['JS_A', null],
    ];
    const expected = { JS_A: null, JS_B: 'b' };
    const generated = (function* () {
      yield* pairs;
    })();
    for (const additions of [
      { JS_A: null, JS_B: 'b' },
      { JS_A: undefined as never, JS_B: 'b' },
      new Map(pairs),
      pairs,
      generated,
    ]) {
      const revised = js.reviseEnv(additions);
      expect(await revised.run(variables, 'JS_A', 'JS_B')).toEqual(expected);
    }
  });

  test('revisions merge: a later value wins, and an unset variable stays unset', async () => {
    const js = open(1);
    const first = js.reviseEnv({ JS_A: null, JS_B: '1' });
    const second = first.reviseEnv({ JS_B: '2', JS_C: '3' });
    const third = second.reviseEnv({ JS_C: null }).reviseEnv({});
    const found = [];
    for (const handle of [first, second, third]) {
      found.push(await handle.run(variables, ...names));
    }
    expect(found).toEqual([
      { JS_A: null, JS_B: '1', JS_C: null },
      { JS_A: null, JS_B: '2', JS_C: '3' },
      { JS_A: null, JS_B: '2', JS_C: null },
    ]);
  });

  test('reviseEnv copies the additions at the call', async () => {
    const additions: Record<string, string> = { JS_B: 'early' };
    const js = open(1).reviseEnv(additions);
    additions['JS_B'] = 'late';
    additions['JS_C'] = 'late';
    expect(await js.run(variables, 'JS_B', 'JS_C')).toEqual({
      JS_B: 'early',
      JS_C: null,
    });
  });

  test('a name or value that is not a string throws an error that names it', () => {
    const js = open(1);
    const bad: [unknown, string][] = [
      [5, 'additions'],
      [null, 'additions'],
      [undefined, 'additions'],
      ['JS_A=1', 'additions'],
      [true, 'additions'],
      [[['JS_A']], 'additions'],
      [[['JS_A', '1', '2']], 'additions'],
      [['JS_A'], 'additions'],
      [[null], 'additions'],
      [[[5, 'x']], '5'],
      [[[Symbol('s'), null]], 's'],
      [{ JS_A: 5 }, 'JS_A'],
      [{ JS_A: true }, 'JS_A'],
      [{ JS_A: {} }, 'JS_A'],
      [new Map([['JS_A', 5n]]), 'JS_A'],
    ];
    for (const [additions, text] of bad) {
      expect(thrown(() => js.reviseEnv(additions as never))).toMatchObject({
        ...typeError,
        message: expect.stringContaining(text),
      });
    }
  });

  test('a name or value that no environment can hold throws at once', () => {
    const js = open(1);
    for (const additions of [
      { '': 'x' },
      { '': null },
      { 'JS=A': 'x' },
      { 'JS=A': null },
      { 'JS\0A': 'x' },
      { JS_A: 'x\0y' },
    ] as Record<string, string | null>[]) {
      expect(thrown(() => js.reviseEnv(additions))).toMatchObject(valueError);
    }
  });

  // A fork inherits the modules that its parent has loaded.
  testIf(isRemote(context))(
    'the modules of a job see the revised environment while they load',
    async () => {
      const js = open(1).reviseEnv({ JS_B: 'early', JS_A: null });
      expect([
        await js.run(variableAtImport, 'JS_B'),
        await js.run(variableAtImport, 'JS_A'),
      ]).toEqual(['early', null]);
    },
  );

  test('a job has the environment and working directory of the call to submit', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const cwd = process.cwd();
    const env = js.run(variables, 'JS_A', 'JS_B');
    const directory = js.run(workingDirectory);
    process.env['JS_A'] = 'late';
    process.env['JS_B'] = 'late';
    try {
      process.chdir(tmpdir());
      const elsewhere = js.run(workingDirectory);
      gate.open();
      expect(await env).toEqual({ JS_A: 'parent', JS_B: null });
      expect(await directory).toBe(cwd);
      expect(await elsewhere).toBe(realpathSync(tmpdir()));
    } finally {
      process.chdir(cwd);
    }
    expect(await js.run(variables, 'JS_A')).toEqual({ JS_A: 'late' });
  });

  test('the revised environment applies to each job of map', async () => {
    const js = open(2).reviseEnv({ JS_B: 'b' });
    const argses: [string][] = [['JS_B'], ['JS_B']];
    const expected = [{ JS_B: 'b' }, { JS_B: 'b' }];
    expect([...js.starmapSync(variables, argses)]).toEqual(expected);
  });
}
