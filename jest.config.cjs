'use strict';
const { availableParallelism } = require('node:os');

const { env, execArgv } = process;

// Only a node without threads can fork itself. It runs only the tests of that.
const isForkable = execArgv.includes('--single-threaded');
const forkTests = 'contract/fork';

// These need a server: scripts/test-cluster.mjs runs them.
const clusterTests = 'dist-test/bullmq';
const isCluster = env.TEST_CLUSTER === '1';

// The tests are compiled before jest runs, because the processes that they start
// have to find the same JavaScript.
module.exports = {
  testEnvironment: 'node',
  transform: {},
  // Every job starts a process, which takes long on a slow machine.
  testTimeout: 90_000 * Number(env.TEST_TIMEOUT_FACTOR ?? 1),
  // Jest leaves one CPU free by default. Tests wait for processes, so that two CPUs
  // have time for three of them.
  maxWorkers: Number(
    env.TEST_WORKERS ?? Math.max(3, availableParallelism() - 1),
  ),
  testSequencer: require.resolve('./scripts/test-sequencer.cjs'),
  roots: ['<rootDir>/dist-test'],
  testMatch: [`**/${isForkable ? `${forkTests}/` : ''}*.test.js`],
  testPathIgnorePatterns: [
    ...(isForkable ? [] : [`/${forkTests}/`]),
    ...(isCluster ? [] : [`/${clusterTests}/`]),
  ],
  reporters: ['default', require.resolve('./scripts/summary-reporter.cjs')],
};
