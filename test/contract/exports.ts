import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from '../../dist/context.js';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';

const refused = 'ERR_JOBSERVER_FUNCTION';
const canRequire = parseInt(process.versions.node) >= 22;

/** A function that its ES module does not export is refused before a job starts. */
export function exportContract(context: Context): void {
  const folder = useFolder();

  /** What a part of the program returns, which must print nothing else. */
  async function run(part: string): Promise<Record<string, unknown>> {
    const program = resolve('test', 'fixtures', 'export-program.mjs');
    const { code, stdout, stderr } = await runNode([program, context, part]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  test('the first submit of a function that is not exported starts no job', async () => {
    const { outcomes, started } = await run('refused');
    expect(outcomes).toEqual({
      submit: refused,
      run: refused,
      map: refused,
      starmap: refused,
      'executor.submit': refused,
      'executor.map': refused,
      preexec: refused,
      gate: refused,
    });
    expect(started).toEqual([]);
  });

  test('several such submits at once start no job', async () => {
    const outcomes = [refused, refused, refused, refused, 1];
    expect(await run('together')).toEqual({ outcomes, started: ['abs'] });
  });

  test('a function that a data: URL does not export starts no job', async () => {
    expect(await run('data')).toEqual({ outcome: refused, started: [] });
  });

  test('a blocking submit refuses it once a turn of the event loop has passed', async () => {
    const outcomes = [refused, refused, refused];
    expect(await run('sync')).toEqual({ outcomes, started: ['hidden'] });
  });

  test('the first blocking submit refuses it where Node can require ES modules', async () => {
    const started = canRequire ? [] : ['hidden'];
    expect(await run('syncFirst')).toEqual({ outcome: refused, started });
  });

  test('a submit during the evaluation of its module starts a job, a later one does not', async () => {
    const outcomes = [refused, refused];
    expect(await run('late')).toEqual({ outcomes, started: ['hidden'] });
  });

  test('a function runs that is exported under another name or in an object', async () => {
    const values = ['named', 'named', 'named', 'inner', 'default'];
    expect(await run('exported')).toEqual({ first: values, again: values });
  });

  test('jobs start in the order of their submits', async () => {
    const first = ['named', 'abs', 'ceil', 'floor', 'sign'];
    const blocking = ['named', 'cbrt', 'named', 'exp'];
    expect(await run('order')).toEqual({ started: [...first, ...blocking] });
  });

  test('the first submit of a function captures its arguments, environment and directory', async () => {
    const { captured, cwd } = await run('captured');
    expect(captured).toEqual([['before'], 'before', cwd]);
  });

  test('the first submit of a function ends by its signal, its timeout and close', async () => {
    expect(await run('ended')).toEqual({
      outcomes: [
        'ABORT_ERR',
        'named',
        'named',
        'ERR_JOBSERVER_BLOCKED',
        'ERR_JOBSERVER_CLOSED',
      ],
      started: ['named', 'named', 'node:timers/promises#setTimeout'],
    });
  });

  const importing = 'ERR_JOBSERVER_IMPORTING';
  test.each([
    ['await main();', importing],
    ['void main();', refused],
    ['block();', importing],
    ['setTimeout(block);', refused],
    ["if (isWorker) beforeAll('jobs'); await main();", 'ReferenceError'],
  ])(
    'a program without a guard that calls `%s` gets %s',
    async (start, expected) => {
      const program = join(folder(), 'unguarded.mjs');
      const library = JSON.stringify(resolve('dist', 'index.js'));
      writeFileSync(
        program,
        `import { createRequire } from 'node:module';
       const { Jobserver, isWorker } = createRequire(import.meta.url)(${library});
       export const other = () => 1;
       function hidden() {}
       async function main() {
         const js = new Jobserver({ context: '${context}', slots: 2 });
         await js.run(hidden).catch(print);
         await js.close();
       }
       function block() {
         const js = new Jobserver({ context: '${context}', slots: 2 });
         try {
           js.submitSync(hidden).resultSync();
         } catch (error) {
           print(error);
         }
         js.closeSync();
       }
       function print({ name, code = name, message }) {
         console.log(JSON.stringify({ code, message }));
       }
       ${start}`,
      );
      const { stdout, code } = await runNode([program]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({
        code: expected,
        message: expect.stringContaining(
          expected === refused
            ? 'is not exported'
            : `module of hidden (${pathToFileURL(program).href}) was loaded`,
        ),
      });
    },
  );
}
