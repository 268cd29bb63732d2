'use strict';
const { writeSync } = require('node:fs');

// Prints the last line of a test run, "N passed, N failed". It waits for the exit
// event, because jest prints its own summary after onRunComplete.
module.exports = class SummaryReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const line = `${results.numPassedTests} passed, ${failed} failed\n`;
    process.once('exit', () => writeSync(1, line));
  }
};
