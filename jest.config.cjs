'use strict';

const { env } = process;

// The tests are compiled by tsc first: the processes they start must find the
// same JavaScript that jest runs.
module.exports = {
  testEnvironment: 'node',
  transform: {},
  // Jobs are processes, and machines are slow.
  testTimeout: 90_000 * Number(env.TEST_TIMEOUT_FACTOR ?? 1),
  roots: ['<rootDir>/dist-test'],
  reporters: ['default', '<rootDir>/scripts/summary-reporter.cjs'],
};
