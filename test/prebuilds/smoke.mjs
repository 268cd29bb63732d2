// Runs a job of each kind in each context that an ordinary Node supports.
import assert from 'node:assert/strict';
import { Jobserver } from 'jobserver';
import { add, forever, machine, nested, raise } from './jobs.mjs';

for (const context of ['spawn', 'forkserver']) {
  const jobserver = new Jobserver({ context, slots: 2 });
  assert.equal(await jobserver.run(add, 2, 3), 5);
  await assert.rejects(jobserver.run(raise), RangeError);
  assert.equal(await jobserver.run(nested, context), 7);
  const future = await jobserver.submit(forever);
  future.kill('SIGKILL');
  await assert.rejects(future.result(), { signal: 'SIGKILL' });
  const bytes = Buffer.alloc(1 << 20, 7);
  const back = await jobserver.run(Buffer.from, bytes);
  assert.ok(bytes.equals(back));
  console.log(context, await jobserver.run(machine));
  await jobserver.close();
}
