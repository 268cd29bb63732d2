'use strict';

const { env, execArgv } = process;

// A node without threads can fork itself, and runs the tests of that only.
const isForkable = execArgv.includes('--single-threaded');
const forkTests = 'contract/fork.test.js';

// The tests are compiled by tsc first: the processes they start must find the
// same JavaScript that jest runs.
module.exports = {
  testEnvironment: 'node',
  transform: {},
  // Jobs are processes, and machines are slow.
  testTimeout: 90_000 * Number(env.TEST_TIMEOUT_FACTOR ?? 1),
  roots: ['<rootDir>/dist-test'],
  testMatch: [isForkable ? `**/${forkTests}` : '**/*.test.js'],
  testPathIgnorePatterns: isForkable ? [] : [`/${forkTests}$`],
  reporters: ['default', '<rootDir>/scripts/summary-reporter.cjs'],
};
