// Deadlines do not depend on the wall clock.
import { resolve } from 'node:path';
import { testIf } from './helpers/context.js';
import { runNode } from './helpers/program.js';
import { timeoutFactor } from './helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

interface Wait {
  readonly ms: number;
  readonly outcome: unknown;
}

const blocked = 'ERR_JOBSERVER_BLOCKED';

/** What each wait ends with, and after how many milliseconds at the earliest. */
const expected: Record<string, Wait> = {
  submit: { ms: 200, outcome: blocked },
  submitSync: { ms: 200, outcome: blocked },
  wait: { ms: 200, outcome: false },
  waitSync: { ms: 200, outcome: false },
  map: { ms: 200, outcome: blocked },
  gate: { ms: 200, outcome: 1 },
  loan: { ms: 10, outcome: 1 },
  grace: { ms: 5000, outcome: 'ABORT_ERR' },
};

// A timer of Node may fire a fraction of a millisecond early.
const toleranceMs = 5;

for (const context of ['spawn', 'forkserver'] as const) {
  testIf(context === 'spawn' || process.platform === 'linux')(
    `no wait ends early or late while Date jumps by hours: ${context}`,
    async () => {
      const program = resolve('test', 'fixtures', 'clock-program.mjs');
      const { code, stdout, stderr } = await runNode([program, context]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { keepAlive, ...processes } = JSON.parse(stdout) as {
        keepAlive?: number;
      } & Record<'submitter' | 'job', Record<string, Wait>>;
      for (const waits of Object.values(processes)) {
        expect(Object.keys(waits)).toEqual(Object.keys(expected));
        for (const [name, { ms, outcome }] of Object.entries(waits)) {
          const least = expected[name]!;
          expect({ name, outcome }).toEqual({ name, outcome: least.outcome });
          expect(ms).toBeGreaterThan(least.ms - toleranceMs);
        }
      }
      if (context === 'spawn') return;
      expect(keepAlive).toBeGreaterThan(500 - toleranceMs);
    },
  );
}
