import {
  nestedStartupFacts,
  startupFacts,
} from '../fixtures/controlled-jobs.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';

const { NODE_OPTIONS: own } = process.env;

afterEach(() => {
  if (own === undefined) delete process.env['NODE_OPTIONS'];
  else process.env['NODE_OPTIONS'] = own;
});
checkSlots();

// A fork of the submitter is not started again, so its node reads no options.
describe.each(['spawn', 'forkserver'] as const)('context %s', (context) => {
  test('NODE_OPTIONS and NODE_PATH of reviseEnv take effect', async () => {
    const js = openJobserver({ context, slots: 1 });
    const plain = await js.run(startupFacts);
    const revised = js.reviseEnv({
      NODE_OPTIONS: '--stack-trace-limit=3 --no-deprecation',
      NODE_PATH: '/js-path',
    });
    expect(await revised.run(startupFacts)).toMatchObject({
      stackTraceLimit: 3,
      noDeprecation: true,
      globalPaths: expect.arrayContaining(['/js-path']) as string[],
    });
    expect(await js.run(startupFacts)).toEqual(plain);
  });

  test('NODE_OPTIONS of the submitter at submit take effect', async () => {
    const js = openJobserver({ context, slots: 1 });
    const plain = await js.run(startupFacts);
    process.env['NODE_OPTIONS'] = '--stack-trace-limit=4';
    expect(await js.run(startupFacts)).toMatchObject({ stackTraceLimit: 4 });
    const unset = js.reviseEnv({ NODE_OPTIONS: null });
    expect(await unset.run(startupFacts)).toEqual(plain);
  });

  test('NODE_OPTIONS of a job take effect in its own jobs', async () => {
    const js = openJobserver({ context, slots: 2 });
    const facts = await js.run(nestedStartupFacts, '--stack-trace-limit=5');
    expect(facts).toMatchObject({ stackTraceLimit: 5 });
  });
});
