'use strict';
// Starts the longest test files first, so that no worker is left with one of them at
// the end. Jest knows how long a file takes only after it has run it once.
const { default: Sequencer } = require('@jest/test-sequencer');

const long = ['/contract/', '/large-values.', '/warm-up.', '/inheritance.'];

module.exports = class extends Sequencer {
  sort(tests) {
    const isLong = ({ path }) => long.some((part) => path.includes(part));
    const sorted = super.sort(tests);
    return [
      ...sorted.filter(isLong),
      ...sorted.filter((test) => !isLong(test)),
    ];
  }
};
