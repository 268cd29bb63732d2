'use strict';

const { env } = process;

// The tests are compiled by tsc first: the processes they start must find the
// same JavaScript that jest runs.
module.exports = {
  testEnvironment: 'node',
  transform: {},
  // Jobs are processes, and machines are slow.
  testTimeout: 90_000 * Number(env.TEST_TIMEOUT_FACTOR ?? 1),
  // The stress tests take minutes of all processors: npm run stress.
  roots: [
    env.STRESS === '1' ? '<rootDir>/dist-test/stress' : '<rootDir>/dist-test',
  ],
  testPathIgnorePatterns: env.STRESS === '1' ? [] : ['/dist-test/stress/'],
  reporters: ['default', '<rootDir>/scripts/summary-reporter.cjs'],
};
