// A job is a function call in a process of its own. submit starts it, and
// result waits for its value.
import assert from 'node:assert/strict';
import { Jobserver, isWorker } from 'jobserver';

export function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

export function pidAndLength(text) {
  return { pid: process.pid, length: text.length };
}

export function squareRoot(n) {
  if (n < 0) throw new RangeError(`No real root of ${n}`);
  return Math.sqrt(n);
}

// The process of a job imports this file to find the functions above, which
// runs the top level of the file again. The guard keeps the main part of the
// program out of the jobs.
if (!isWorker) {
  const jobserver = new Jobserver();
  try {
    // submit waits for a free slot. The Future represents the running job.
    const future = await jobserver.submit(pidAndLength, ['Hello, jobserver!']);
    const { pid, length } = await future.result();
    assert.equal(length, 17);
    assert.notEqual(pid, process.pid);

    // run calls submit and then result. These jobs share the free slots.
    const numbers = await Promise.all(
      [22, 23, 24, 25].map((n) => jobserver.run(fibonacci, n)),
    );
    assert.deepEqual(numbers, [17711, 28657, 46368, 75025]);

    // map does the same for many items. Results come in the order of the items.
    const roots = [];
    for await (const root of jobserver.map(squareRoot, [1, 4, 9, 16])) {
      roots.push(root);
    }
    assert.deepEqual(roots, [1, 2, 3, 4]);

    // result throws what the job threw, with its class and its stack.
    await assert.rejects(jobserver.run(squareRoot, -1), (error) => {
      assert.ok(error instanceof RangeError);
      assert.equal(error.message, 'No real root of -1');
      assert.match(error.stack, /squareRoot/);
      return true;
    });
  } finally {
    await jobserver.close();
  }
  console.log('Jobs ran in other processes; values and errors came back.');
}
